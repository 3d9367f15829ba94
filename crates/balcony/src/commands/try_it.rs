//! `balcony try`: a server, two accounts, a file from one to the other, checked; all of it real and in a temporary folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime};

use balcony_client::{Account, Availability, CataloguedOffer, ConnectOptions, Offers, Wish};
use balcony_server::{Running, Server, Settings};
use balcony_session::Security;
use balcony_sharing::ByteLen;
use balcony_store::{OnClash, Store};
use balcony_wire::BareJid;
use serde_json::json;

use crate::cli;
use crate::commands::serve::start_failure;
use crate::commands::{outgoing, send};
use crate::connect::{class_of, connect_failure};
use crate::console::Console;
use crate::exit::{Class, Failure};
use crate::fetching;
use crate::picture;
use crate::safe::{Safe, lines};

/// Runs the command.
pub(crate) async fn run(console: &Console, args: &cli::Try) -> Result<(), Failure> {
    outgoing::are_files(&args.files)?;
    let folder = Folder::make()?;
    if let Some(into) = &args.into {
        fs::create_dir_all(into)
            .map_err(|error| Failure::new(Class::Local, format!("cannot make the folder {}: {error}", into.display())))?;
    }
    let files = if args.files.is_empty() { vec![draw(console, &folder)?] } else { args.files.clone() };
    let settings = Settings::new("localhost", folder.path().join("server"));
    let running = Server::start(settings).await.map_err(|error| start_failure(&error))?;
    console.timed(
        "server",
        json!({"domain": running.domain(), "clients": running.c2s_addr().to_string()}),
        format!("a server for localhost listens at {}", running.c2s_addr()),
    );
    let played = play(console, &running, &folder, &files, args).await;
    running.shutdown().await;
    // Everything goes with the folder: there is nothing to take up again.
    played.map_err(|failure| if failure.class == Class::Interrupted { Failure::new(Class::Interrupted, "stopped") } else { failure })
}

async fn play(console: &Console, running: &Running, folder: &Folder, files: &[PathBuf], args: &cli::Try) -> Result<(), Failure> {
    let (romeo, juliet) = tokio::try_join!(login(console, running, folder, "romeo"), login(console, running, folder, "juliet"))?;
    let mut offers = juliet.offers();
    let into = args.into.clone().unwrap_or_else(|| folder.path().join("received"));
    fs::create_dir_all(&into).map_err(|error| Failure::new(Class::Local, format!("cannot make the folder {}: {error}", into.display())))?;
    for file in files {
        pass(console, &romeo, &juliet, &mut offers, file, &into, args.show_xml).await?;
    }
    tokio::join!(romeo.close(), juliet.close());
    match &args.into {
        Some(into) => console.timed(
            "done",
            json!({"files": files.len(), "folder": into}),
            format!("done: {} in {}", count(files.len()), into.display()),
        ),
        None => console.timed(
            "done",
            json!({"files": files.len()}),
            format!("done: {} arrived and proven; nothing is left behind (--into DIR keeps the files)", count(files.len())),
        ),
    }
    Ok(())
}

fn count(files: usize) -> String {
    if files == 1 { "1 file".to_owned() } else { format!("{files} files") }
}

/// An account made, and a client that is logged in to it over TLS.
async fn login(console: &Console, running: &Running, folder: &Folder, name: &str) -> Result<Account, Failure> {
    let password = secret()?;
    running.add_account(name, &password).await.map_err(|error| Failure::from_error(Class::Internal, &error))?;
    let jid: BareJid = format!("{name}@{}", running.domain()).parse().map_err(|error| Failure::from_error(Class::Internal, &error))?;
    let store = Store::open(folder.path().join(name)).map_err(|error| Failure::from_error(Class::Local, &error))?;
    let mut options = ConnectOptions::with_password(jid.clone(), password);
    options.server = Some((
        balcony_client::ServerAddress { host: running.c2s_addr().ip().to_string(), port: running.c2s_addr().port() },
        Security::StartTls,
    ));
    options.ca_pem = running.ca_pem().map(str::to_owned);
    options.availability = Availability::Available(0);
    let account = Account::connect(options, store).await.map_err(|error| connect_failure(jid.as_str(), &error))?;
    let online = account.online().await.map_err(|error| Failure::from_error(class_of(error.class()), &error))?;
    let words = format!("{jid} is logged in ({}, {})", online.learned.mechanism.name(), online.tls);
    console.timed("login", json!({"jid": jid.as_str(), "mechanism": online.learned.mechanism.name(), "tls": online.tls}), words);
    Ok(account)
}

/// One file, from one account to the other.
async fn pass(
    console: &Console,
    romeo: &Account,
    juliet: &Account,
    offers: &mut Offers,
    path: &Path,
    into: &Path,
    show_xml: bool,
) -> Result<(), Failure> {
    let began = Instant::now();
    let quiet = Console::new(false, true);
    let sent = send::watch(&quiet, romeo.share(path).to(juliet.jid()), false).await?;
    for file in &sent.files {
        let words = format!("romeo uploaded {} ({}) and offered it in one message", Safe(&file.name), ByteLen(file.size));
        console.timed("sent", json!({"name": file.name, "size": file.size, "url": file.url}), words);
    }
    let offer = offers.next().await.ok_or_else(|| Failure::new(Class::Internal, "juliet heard of no offer"))?;
    if show_xml {
        let xml = offer.message().clone().into_element().to_xml();
        console.result("xml", json!({"xml": xml}), lines(&xml));
    }
    console.timed("offer", fetching::fields(&offer), format!("juliet is offered {}", fetching::words(&offer)));
    let file = fetch(juliet, &offer).await?;
    let proof: Vec<_> = offer.digests().algos().map(|algo| algo.name()).collect();
    let words = format!(
        "juliet fetched it and checked {}: {}",
        proof.join(" and "),
        if file.is_proven() { "the bytes are those that were offered" } else { "nothing could be proven" }
    );
    console.timed("fetched", json!({"proven": file.is_proven(), "checked": proof}), words);
    let saved = file.save_in(into, OnClash::Rename).await.map_err(|error| Failure::from_error(class_of(error.class()), &error))?;
    let same = same_bytes(path, &saved).map_err(|error| Failure::new(Class::Local, format!("cannot compare the files: {error}")))?;
    if !same {
        return Err(Failure::new(Class::Proof, format!("{} is not what was sent", saved.display())));
    }
    let took = began.elapsed();
    console.timed(
        "same",
        json!({"path": saved, "took_ms": took.as_millis() as u64}),
        format!("compared byte by byte with the original: the same ({:.3} s in all)", took.as_secs_f64()),
    );
    Ok(())
}

/// They know each other, so nothing needs to be asked.
async fn fetch(juliet: &Account, offer: &CataloguedOffer) -> Result<balcony_client::SharedFile, Failure> {
    let wish = Wish { asked: true, ..Wish::default() };
    let decision = juliet.decide_for(offer, wish).await.map_err(|error| Failure::from_error(Class::Local, &error))?;
    let got = fetching::get(&Console::new(false, true), juliet.fetcher(), offer, decision, true).await?;
    Ok(got.file)
}

fn draw(console: &Console, folder: &Folder) -> Result<PathBuf, Failure> {
    let seed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(1, |since| since.subsec_nanos());
    let path = folder.path().join("balcony.png");
    let png = picture::png(u64::from(seed)).map_err(|error| Failure::from_error(Class::Internal, &error))?;
    fs::write(&path, &png).map_err(|error| Failure::new(Class::Local, format!("cannot write {}: {error}", path.display())))?;
    console.timed("picture", json!({"path": path, "size": png.len()}), format!("drew a picture to send ({})", ByteLen(png.len() as u64)));
    Ok(path)
}

fn same_bytes(one: &Path, other: &Path) -> std::io::Result<bool> {
    use std::io::Read as _;
    let (mut one, mut other) = (fs::File::open(one)?, fs::File::open(other)?);
    if one.metadata()?.len() != other.metadata()?.len() {
        return Ok(false);
    }
    let (mut a, mut b) = (vec![0; 1 << 18], vec![0; 1 << 18]);
    loop {
        let read = one.read(&mut a)?;
        if read == 0 {
            return Ok(true);
        }
        other.read_exact(&mut b[..read])?;
        if a[..read] != b[..read] {
            return Ok(false);
        }
    }
}

fn secret() -> Result<String, Failure> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| Failure::new(Class::Local, format!("the system gives no random bytes: {error}")))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A temporary folder that goes when this is dropped.
struct Folder(PathBuf);

impl Folder {
    fn make() -> Result<Self, Failure> {
        use std::os::unix::fs::DirBuilderExt as _;
        let path = std::env::temp_dir().join(format!("balcony-try-{}", secret()?));
        fs::DirBuilder::new().mode(0o700).create(&path).map_err(|error| {
            Failure::new(Class::Local, format!("cannot make the folder {}: {error}", path.display()))
                .advise("set TMPDIR to a folder with room")
        })?;
        Ok(Self(path))
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0); // what cannot be removed is the system's to clear
    }
}
