//! `balcony thumbnail`: the small picture of an offered file, written to a file. A terminal shows none.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use balcony_client::{Account, Availability, CataloguedOffer, Fetcher, NoThumbnail, ThumbnailBytes, Wish};
use balcony_sharing::FileName;
use balcony_sharing::thumbnail::{Thumbnail, ThumbnailAt};
use balcony_wire::Payload as _;
use balcony_wire::bits_of_binary::BitsOfBinary;
use serde_json::{Value, json};

use crate::cli;
use crate::connect::{self, class_of};
use crate::console::Console;
use crate::exit::{Class, Failure};
use crate::home::Home;
use crate::safe::Safe;

/// More names than that are not tried in a folder.
const NAMES: u32 = 1_000;

/// Runs the command.
pub(crate) async fn run(console: &Console, home: &Home, named: Option<&str>, args: &cli::Thumbnail) -> Result<(), Failure> {
    let (fetcher, offer) = super::offers::find(home, named, args.offer)?;
    let wish = Wish { asked: true, ..Wish::default() };
    let picture = match get(&fetcher, &offer, &wish, args.yes).await {
        Ok(picture) => picture,
        Err(NoThumbnail::Failed(_) | NoThumbnail::Ask(_)) if is_on_a_device(&offer) => {
            let account = connect::account(home, named, Availability::Hidden).await?;
            let got = ask(&account, &offer, &wish, args.yes).await;
            account.close().await;
            got.map_err(|error| failure(&offer, &error))?
        }
        Err(error) => return Err(failure(&offer, &error)),
    };
    let path = write(&picture, &offer, &args.into)?;
    let size = picture.bytes().len();
    console.result(
        "thumbnail",
        json!({"offer": offer.key().number(), "path": path, "media_type": picture.media_type().as_str(), "size": size}),
        format!("{}: thumbnail in {}", Safe(offer.name().as_str()), path.display()),
    );
    Ok(())
}

/// Offline, after a yes too where one was given beforehand.
async fn get(fetcher: &Fetcher, offer: &CataloguedOffer, wish: &Wish, yes: bool) -> Result<ThumbnailBytes, NoThumbnail> {
    let policy = fetcher.policy();
    match fetcher.thumbnail(offer, &policy, wish.clone()).await {
        Err(NoThumbnail::Ask(question)) if yes => {
            let wish = Wish { answers: question.answers(), ..wish.clone() };
            fetcher.thumbnail(offer, &policy, wish).await
        }
        done => done,
    }
}

async fn ask(account: &Account, offer: &CataloguedOffer, wish: &Wish, yes: bool) -> Result<ThumbnailBytes, NoThumbnail> {
    match account.thumbnail(offer, wish.clone()).await {
        Err(NoThumbnail::Ask(question)) if yes => account.thumbnail(offer, Wish { answers: question.answers(), ..wish.clone() }).await,
        done => done,
    }
}

/// Whether the sender's device would have to be asked.
fn is_on_a_device(offer: &CataloguedOffer) -> bool {
    offer.thumbnails().iter().any(|thumbnail| matches!(thumbnail.at, ThumbnailAt::Bits(_)))
}

fn failure(offer: &CataloguedOffer, error: &NoThumbnail) -> Failure {
    let number = offer.key().number();
    let failure = Failure::from_error(class_of(error.class()), error);
    let failure = Failure { what: format!("{}: {}", Safe(offer.name().as_str()), failure.what), ..failure };
    match error {
        NoThumbnail::Ask(_) => failure.advise(format!("if you agree: `balcony thumbnail {number} --yes`")),
        _ => failure,
    }
}

/// Writes it to a new file: one of this name, or in this folder under the name of the offered file. Never through a link, never
/// over something else.
fn write(picture: &ThumbnailBytes, offer: &CataloguedOffer, into: &Path) -> Result<PathBuf, Failure> {
    if !into.is_dir() {
        let made = create(into, picture.bytes());
        return made.map(|()| into.to_owned()).map_err(|error| cannot(into, &error));
    }
    let name = FileName::from_peer(&format!("{}.thumbnail.{}", offer.name(), picture.extension()));
    for number in 0..NAMES {
        let name = if number == 0 { name.clone() } else { name.numbered(number) };
        let path = into.join(name.as_str());
        match create(&path, picture.bytes()) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(cannot(&path, &error)),
        }
    }
    Err(Failure::new(Class::Local, format!("{} has too many thumbnails of that name", into.display())))
}

fn create(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let written = file.write_all(bytes);
    if written.is_err() {
        // Half a picture is none; that it cannot be taken away again changes nothing about the failure.
        let _ = std::fs::remove_file(path);
    }
    written
}

fn cannot(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Class::Local, format!("cannot write {}: {error}", path.display()))
}

/// What `balcony list --thumbnails` shows: where each one is, and what its sender says of it.
pub(super) fn fields(offer: &CataloguedOffer) -> Value {
    let one = |thumbnail: &Thumbnail| {
        let media_type = thumbnail.media_type.as_ref().map(balcony_sharing::MediaType::as_str);
        json!({"at": place(offer, thumbnail).0, "media_type": media_type, "width": thumbnail.width, "height": thumbnail.height})
    };
    offer.thumbnails().iter().map(one).collect()
}

/// The same in words; empty where there is none.
pub(super) fn words(offer: &CataloguedOffer) -> String {
    match offer.thumbnails().first() {
        Some(thumbnail) => format!("\n                thumbnail {}", place(offer, thumbnail).1),
        None => String::new(),
    }
}

fn place(offer: &CataloguedOffer, thumbnail: &Thumbnail) -> (&'static str, &'static str) {
    match &thumbnail.at {
        ThumbnailAt::Data(_) => ("message", "in the message"),
        ThumbnailAt::Bits(cid) => {
            let came = offer.message().payloads.iter().filter_map(|payload| BitsOfBinary::read(payload).ok());
            match came.into_iter().any(|bits| bits.cid == *cid && bits.data.is_some()) {
                true => ("message", "in the message"),
                false => ("device", "on the sender's device"),
            }
        }
        ThumbnailAt::Url(_) => ("web", "on the web"),
    }
}
