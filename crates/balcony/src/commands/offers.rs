//! `balcony list` and `fetch`: what was offered, from the catalogue. Listing happens offline.

use balcony_client::{Account, Availability, CataloguedOffer, Decision, Fetcher, Wish};
use balcony_sharing::ByteLen;
use balcony_store::{Listing, OfferKey, OfferState, StoreError};
use balcony_wire::BareJid;
use serde_json::json;

use super::thumbnail;
use crate::cli;
use crate::connect;
use crate::console::Console;
use crate::exit::{Class, Failure};
use crate::fetching;
use crate::home::Home;
use crate::safe::Safe;

fn local(error: &dyn std::error::Error) -> Failure {
    Failure::from_error(Class::Local, error)
}

/// `balcony list`
pub(crate) fn list(console: &Console, home: &Home, named: Option<&str>, args: &cli::List) -> Result<(), Failure> {
    let (entry, store) = connect::store(home, named)?;
    let account = entry.jid()?;
    let with: Option<BareJid> = match &args.with {
        Some(with) => Some(with.parse().map_err(|error| Failure::from_error(Class::Usage, &error))?),
        None => None,
    };
    let listing = match &with {
        Some(with) => Listing::Conversation(&account, with),
        None => Listing::Account(&account),
    };
    let limit = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let rows = store.offers(listing, None, limit).map_err(|error| local(&error))?;
    if rows.is_empty() {
        console.step("empty", json!({}), "no files yet; `balcony receive` waits for them");
    }
    for row in rows.iter().rev() {
        let Some(offer) = CataloguedOffer::read(&store, row).map_err(|error| local(&error))? else { continue };
        let mut fields = fetching::fields(&offer);
        if let Some(object) = fields.as_object_mut() {
            object.insert("state".to_owned(), json!(row.state.as_str()));
            object.insert("with".to_owned(), json!(row.conversation.as_str()));
            if args.thumbnails {
                object.insert("thumbnails".to_owned(), thumbnail::fields(&offer));
            }
        }
        let picture = if args.thumbnails { thumbnail::words(&offer) } else { String::new() };
        let direction = if row.state == OfferState::Own { "to" } else { "from" };
        let size = offer.size().map_or_else(|| "size unknown".to_owned(), |size| ByteLen(size).to_string());
        let words = format!(
            "{:>4}  {:<9} {} ({size}) {direction} {}{picture}",
            row.key.number(),
            row.state.as_str(),
            Safe(offer.name().as_str()),
            Safe(row.conversation.as_str())
        );
        console.result("offer", fields, words);
    }
    Ok(())
}

/// The offer of a number, and what fetches it.
pub(super) fn find(home: &Home, named: Option<&str>, number: i64) -> Result<(Fetcher, CataloguedOffer), Failure> {
    let (entry, store) = connect::store(home, named)?;
    let unknown = || Failure::new(Class::Usage, format!("there is no offer {number}")).advise("`balcony list` shows those that are there");
    let row = store.offer(OfferKey::from_number(number)).map_err(|error| local(&error))?.ok_or_else(unknown)?;
    let offer = CataloguedOffer::read(&store, &row).map_err(|error| local(&error))?.ok_or_else(unknown)?;
    Ok((connect::fetcher(&entry, store)?, offer))
}

/// `balcony fetch`
pub(crate) async fn fetch(console: &Console, home: &Home, named: Option<&str>, args: &cli::Fetch) -> Result<(), Failure> {
    let (fetcher, offer) = find(home, named, args.offer)?;
    if args.discard {
        return discard(console, &fetcher, &offer).await;
    }
    if args.stdout && console.is_json() {
        return Err(Failure::new(Class::Usage, "the file and JSON cannot both go to standard output")
            .advise("leave out one of --stdout and --json"));
    }
    fetching::is_folder(&args.into)?;
    let wish = Wish { asked: true, answers: fetching::answers(args.yes), ..Wish::default() };
    let decision = fetcher.decide(&offer, &fetcher.policy(), wish).await.map_err(|error| local(&error))?;
    let account = match asks_a_device(&decision) {
        true => Some(connect::account(home, named, Availability::Hidden).await?),
        false => None,
    };
    let fetcher = account.as_ref().map_or(&fetcher, Account::fetcher);
    let got = fetching::get(console, fetcher, &offer, decision, args.yes).await;
    if let Some(account) = account {
        account.close().await;
    }
    let file = got?;
    if args.stdout {
        return fetching::pour(console, &offer, &file).await;
    }
    fetching::save(console, &offer, &file, &args.into, args.clash.choice()).await.map(drop)
}

/// Whether somebody has to be asked over XMPP: everything else is had without the account.
fn asks_a_device(decision: &Decision) -> bool {
    let plan = match decision {
        Decision::Fetch(plan) => plan,
        Decision::Ask(question) => question.plan(),
        Decision::Have(_) | Decision::Wait(_) | Decision::Refuse(_) => return false,
    };
    plan.attempts.iter().any(|attempt| matches!(attempt.how, balcony_sharing::plan::How::Bits { .. }))
}

/// `balcony fetch --discard`
async fn discard(console: &Console, fetcher: &Fetcher, offer: &CataloguedOffer) -> Result<(), Failure> {
    let bytes = fetcher.discard(offer.key()).await.map_err(|error| match error {
        StoreError::Busy(_) => local(&error).advise("somebody fetches it just now: stop that first"),
        error => local(&error),
    })?;
    let (name, number) = (offer.name(), offer.key().number());
    let words = match bytes {
        0 => format!("{}: nothing of it is there", Safe(name.as_str())),
        bytes => format!("{}: {} thrown away; `balcony fetch {number}` begins anew", Safe(name.as_str()), ByteLen(bytes)),
    };
    console.result("discarded", json!({"offer": number, "bytes": bytes}), words);
    Ok(())
}
