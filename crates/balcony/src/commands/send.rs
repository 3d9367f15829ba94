//! `balcony send`: files to people, by upload and one message that every client understands.

use std::io::Read as _;

use balcony_client::{Account, Availability, FileFrom, Sending, Sent, Share, ShareEvent, SmallPicture};
use balcony_sharing::ByteLen;
use balcony_wire::Jid;
use serde_json::json;

use super::outbox;
use super::outgoing::{are_files, is_pipe, recipients};
use crate::cli;
use crate::connect::{self, share_failure};
use crate::console::{Bar, Console, digests};
use crate::exit::{Class, Failure};
use crate::home::Home;
use crate::safe::{Safe, lines};
use crate::signals::interrupted;

/// Bytes read from standard input at most where no service says how many it takes.
const LARGEST_PIPE: u64 = 16 << 30;

/// Bytes of a thumbnail that are looked at; those that are taken are fewer.
const LARGEST_PICTURE: u64 = 64 * 1024;

/// Runs the command.
pub(crate) async fn run(console: &Console, home: &Home, named: Option<&str>, args: &cli::Send) -> Result<(), Failure> {
    let recipients = recipients(&args.to)?;
    args.said.fits(&args.files)?;
    let from_pipe = args.files.iter().any(|path| is_pipe(path));
    if from_pipe && (args.files.len() > 1 || args.said.name.is_none()) {
        return Err(Failure::new(Class::Usage, "what comes from standard input has no name, and goes alone").advise("give it a --name"));
    }
    let picture = picture(args)?;
    are_files(&args.files)?;
    if args.direct {
        return super::send_direct::run(console, home, named, args, &recipients).await;
    }
    let account = connect::account(home, named, Availability::Hidden).await?;
    let sent = go(console, &account, &recipients, args, picture).await;
    // Whatever came of it, what was said is flushed and acknowledged.
    account.close().await;
    sent
}

async fn go(
    console: &Console,
    account: &Account,
    recipients: &[Jid],
    args: &cli::Send,
    picture: Option<SmallPicture>,
) -> Result<(), Failure> {
    let files = files(account, args).await?;
    let Some(sending) = sending(account, recipients, files, args, picture) else { return Ok(()) };
    // The same command again, after it was stopped, goes on and sends nothing twice.
    let unfinished = sending.unfinished().await.map_err(|error| Failure::from_error(Class::Local, &error))?;
    outbox::take_up(console, account).await?;
    let sending = match unfinished {
        Some(unfinished) => sending.go_on(unfinished),
        None => sending,
    };
    let sent = watch(console, sending, args.show_xml).await?;
    tell(console, &sent, recipients);
    Ok(())
}

/// The files; what comes from standard input goes into the store first, so that it can be sent again.
pub(super) async fn files(account: &Account, args: &cli::Send) -> Result<Vec<FileFrom>, Failure> {
    if !args.files.iter().any(|path| is_pipe(path)) {
        return Ok(args.files.iter().map(FileFrom::from).collect());
    }
    let services = account.services().await.map_err(|error| Failure::from_error(Class::Network, &error))?;
    // What nobody takes need not be read to its end.
    let limits = services.uploads.iter().map(|service| service.max_file_size).collect::<Option<Vec<u64>>>();
    let limits = limits.filter(|_| !args.direct);
    let most = limits.and_then(|limits| limits.into_iter().max()).unwrap_or(LARGEST_PIPE);
    let kept = account.keep(std::io::stdin(), most).await.map_err(|error| Failure::from_error(Class::Local, &error))?;
    Ok(vec![FileFrom::Store(kept)])
}

/// The small picture that goes along with a file.
fn picture(args: &cli::Send) -> Result<Option<SmallPicture>, Failure> {
    let Some(path) = &args.thumbnail else { return Ok(None) };
    if args.files.len() > 1 {
        return Err(Failure::new(Class::Usage, "--thumbnail is for one file, several were given"));
    }
    let unreadable = |error: std::io::Error| Failure::new(Class::Local, format!("cannot read {}: {error}", path.display()));
    let mut bytes = Vec::new();
    // One byte too many is enough to tell that it is too large.
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(LARGEST_PICTURE).read_to_end(&mut bytes).map_err(unreadable)?;
    let no_picture = |error| Failure::new(Class::Usage, format!("{} is no thumbnail: {error}", path.display()));
    SmallPicture::new(bytes).map(Some).map_err(no_picture)
}

fn sending(
    account: &Account,
    recipients: &[Jid],
    files: Vec<FileFrom>,
    args: &cli::Send,
    picture: Option<SmallPicture>,
) -> Option<Sending> {
    let mut files = files.into_iter().map(|from| match picture.clone() {
        Some(picture) => args.said.of(from).thumbnail(picture),
        None => args.said.of(from),
    });
    let first = account.share(files.next()?);
    let mut share = files.fold(first, Share::and);
    if args.announce_first {
        share = share.announce_first();
    }
    if let Some(text) = &args.said.text {
        share = share.text(text);
    }
    let (first, others) = recipients.split_first()?;
    Some(others.iter().fold(share.to(first), |sending, jid| sending.also_to(jid)))
}

/// Shows what happens until it is over, or until ^C.
pub(crate) async fn watch(console: &Console, sending: Sending, show_xml: bool) -> Result<Sent, Failure> {
    let mut progress = sending.progress();
    let mut view = View::new(console, show_xml);
    loop {
        let event = tokio::select! {
            event = progress.next() => event,
            () = interrupted() => return Err(stopped()),
        };
        match event {
            Some(ShareEvent::Ended(Ok(sent))) => return Ok(sent),
            Some(ShareEvent::Ended(Err(error))) => return Err(share_failure(&error)),
            Some(event) => view.show(event),
            None => return Err(Failure::new(Class::Internal, "the sending ended without a word")),
        }
    }
}

fn stopped() -> Failure {
    Failure::new(Class::Interrupted, "stopped")
        .advise("the same command goes on with it, as does `balcony outbox resume`; `balcony outbox` lists it")
}

pub(super) struct View<'a> {
    console: &'a Console,
    show_xml: bool,
    names: Vec<String>,
    bar: Option<Bar>,
}

impl<'a> View<'a> {
    pub(super) fn new(console: &'a Console, show_xml: bool) -> Self {
        Self { console, show_xml, names: Vec::new(), bar: None }
    }

    fn name(&self, position: usize) -> &str {
        self.names.get(position).map_or("the file", String::as_str)
    }

    pub(super) fn show(&mut self, event: ShareEvent) {
        match event {
            ShareEvent::Looked { position, name, size, media_type } => {
                let words = format!("{}: {}, {}", Safe(&name), Safe(media_type.as_str()), ByteLen(size));
                self.console.step(
                    "looked",
                    json!({"position": position, "name": name, "size": size, "media_type": media_type.as_str()}),
                    words,
                );
                self.names.push(name);
            }
            ShareEvent::AskingForSlot { position, service } => {
                let words = format!("{}: asking {} whether it takes it", Safe(self.name(position)), Safe(service.as_str()));
                self.console.step("asking", json!({"position": position, "service": service.as_str()}), words);
            }
            ShareEvent::Pausing { position, service, pause } => {
                let (name, seconds) = (Safe(self.name(position)), pause.as_secs());
                let words = format!("{name}: {} takes no more just now, going on in {seconds} s", Safe(service.as_str()));
                self.console.step("pausing", json!({"position": position, "service": service.as_str(), "seconds": seconds}), words);
            }
            ShareEvent::Uploading { position, host, size } => {
                let words = format!("{}: uploading to {}", Safe(self.name(position)), Safe(&host));
                self.console.step("uploading", json!({"position": position, "host": host, "size": size}), words);
                self.bar = Some(self.console.bar(self.name(position), Some(size)));
            }
            ShareEvent::Progress { sent, .. } => {
                if let Some(bar) = &mut self.bar {
                    bar.at(sent);
                }
            }
            ShareEvent::Uploaded { position, url } => {
                self.bar.take().map(Bar::done).unwrap_or_default();
                let words = format!("{}: lies at {}", Safe(self.name(position)), Safe(&url));
                self.console.step("uploaded", json!({"position": position, "url": url}), words);
            }
            ShareEvent::Hashing { position } => {
                self.console.step("hashing", json!({"position": position}), format!("{}: taking its digests", Safe(self.name(position))));
            }
            ShareEvent::Announcing { position, name } => {
                let words = format!("{}: announced, the upload follows", Safe(&name));
                self.console.step("announcing", json!({"position": position, "name": name}), words);
            }
            ShareEvent::NotSent { position, why } => {
                let failure = Failure::new(Class::Server, format!("{}: {why}", Safe(self.name(position))));
                self.console.step("not-sent", json!({"position": position, "error": why}), failure.what);
            }
            ShareEvent::Offered { to, message } => {
                let xml = self.show_xml.then(|| message.into_element().to_xml());
                let words = format!("offered to {}", Safe(to.as_str()));
                self.console.step("offered", json!({"to": to.as_str(), "xml": xml}), words);
                if let Some(xml) = xml.filter(|_| !self.console.is_json()) {
                    self.console.result("xml", json!(null), lines(&xml));
                }
            }
            _ => {}
        }
    }
}

fn tell(console: &Console, sent: &Sent, recipients: &[Jid]) {
    let to: Vec<&str> = recipients.iter().map(|jid| jid.as_str()).collect();
    for file in &sent.files {
        console.result(
            "sent",
            json!({"name": file.name, "size": file.size, "media_type": file.media_type.as_str(), "url": file.url, "digests": digests(&file.digests), "to": to}),
            format!("sent {} ({}) to {}", Safe(&file.name), ByteLen(file.size), Safe(&to.join(", "))),
        );
    }
}
