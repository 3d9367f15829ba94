//! `balcony attach`: says of a file that was offered before where it can be had as well.

use std::path::PathBuf;

use balcony_client::{Account, AttachError, Availability, CataloguedOffer, FileFrom, OfferKey, Place};
use balcony_sharing::DigestSet;
use balcony_sharing::verify::{Hasher, SHARED_ALGOS};
use serde_json::json;

use crate::cli;
use crate::connect::{self, class_of};
use crate::console::Console;
use crate::exit::{Class, Failure};
use crate::home::Home;
use crate::safe::Safe;

/// Offers of one file that are looked at.
const MOST: usize = 100;

/// Runs the command.
pub(crate) async fn run(console: &Console, home: &Home, named: Option<&str>, args: &cli::Attach) -> Result<(), Failure> {
    let account = connect::account(home, named, Availability::Hidden).await?;
    let done = go(console, &account, args).await;
    account.close().await;
    done
}

async fn go(console: &Console, account: &Account, args: &cli::Attach) -> Result<(), Failure> {
    let (offer, place) = match args.what.parse() {
        Ok(number) => (by_number(account, number).await?, place(args, Place::Copy)),
        Err(_) => {
            let path = PathBuf::from(&args.what);
            (by_file(account, path.clone(), args.with.as_deref()).await?, place(args, Place::File(FileFrom::Path(path))))
        }
    };
    let attached = account.attach(&offer, place).await.map_err(|error| failure(&error))?;
    let with = offer.provenance().conversation();
    console.result(
        "attached",
        json!({"offer": offer.key().number(), "name": offer.name().as_str(), "url": attached.url, "with": with.as_str(),
            "id": attached.message.id}),
        format!("{} lies at {} as well; {} was told", Safe(offer.name().as_str()), Safe(&attached.url), Safe(with.as_str())),
    );
    Ok(())
}

/// What is attached; the usual, unless something else is named.
fn place(args: &cli::Attach, usual: Place) -> Place {
    match (&args.url, &args.file) {
        (Some(url), _) => Place::Link(url.clone()),
        (None, Some(path)) => Place::File(FileFrom::Path(path.clone())),
        (None, None) => usual,
    }
}

async fn by_number(account: &Account, number: i64) -> Result<CataloguedOffer, Failure> {
    let offer = account.fetcher().offer(OfferKey::from_number(number)).await.map_err(|error| Failure::from_error(Class::Local, &error))?;
    offer.ok_or_else(|| Failure::new(Class::Usage, format!("there is no offer {number}")).advise("`balcony list` shows those there are"))
}

/// The last offer of that very file.
async fn by_file(account: &Account, path: PathBuf, with: Option<&str>) -> Result<CataloguedOffer, Failure> {
    let (store, named) = (account.store().clone(), path.clone());
    let reading = tokio::task::spawn_blocking(move || {
        let digests = hash(&path).map_err(|error| Failure::new(Class::Local, format!("cannot read {}: {error}", path.display())))?;
        let rows = store.offers_claiming(&digests, MOST).map_err(|error| Failure::from_error(Class::Local, &error))?;
        Ok::<_, Failure>(rows.into_iter().map(|row| (row.key, row.conversation)).collect::<Vec<_>>())
    });
    let rows = reading.await.map_err(|error| Failure::from_error(Class::Internal, &error))??;
    let mut fitting = rows.into_iter().filter(|(_, conversation)| with.is_none_or(|with| conversation.as_str() == with));
    let nobody = || Failure::new(Class::Usage, format!("{} was never offered", named.display())).advise("`balcony send` offers it");
    let (key, conversation) = fitting.next().ok_or_else(nobody)?;
    if let Some((_, other)) = fitting.find(|(_, other)| *other != conversation) {
        let what = format!("{} was offered with {} and with {}", named.display(), Safe(conversation.as_str()), Safe(other.as_str()));
        return Err(Failure::new(Class::Usage, what).advise("say which one with --with"));
    }
    by_number(account, key.number()).await
}

fn hash(path: &std::path::Path) -> std::io::Result<DigestSet> {
    use std::io::Read as _;
    let (mut file, mut hasher) = (std::fs::File::open(path)?, Hasher::new(SHARED_ALGOS));
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.finish().digests().clone()),
            read => hasher.update(&buffer[..read]),
        }
    }
}

fn failure(error: &AttachError) -> Failure {
    let failure = Failure::from_error(class_of(error.class()), error);
    match error.advice() {
        Some(advice) => failure.advise(advice),
        None => failure,
    }
}
