//! `balcony list` and `fetch`: what was offered, from the catalogue. Listing happens offline.

use std::time::Duration;

use balcony_client::{Account, Availability, CataloguedOffer, Decision, Fetcher, Wish};
use balcony_sharing::plan::{How, Reason};
use balcony_sharing::{ByteLen, Proof};
use balcony_store::{Listing, OfferKey, OfferState, StoreError};
use balcony_wire::BareJid;
use serde_json::json;

use super::thumbnail;
use crate::cli;
use crate::connect;
use crate::console::Console;
use crate::exit::{Class, Failure};
use crate::fetching::{self, Got};
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
    let mut rows = store.offers(listing, None, limit.saturating_add(1)).map_err(|error| local(&error))?;
    if rows.is_empty() {
        console.step("empty", json!({}), "no files yet; `balcony receive` waits for them");
    }
    if rows.len() > limit {
        rows.truncate(limit);
        console.step(
            "more",
            json!({}),
            format!("the latest {limit}; `balcony list --limit {}` shows earlier ones, too", limit.saturating_mul(10)),
        );
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
    let got = got(console, home, named, &fetcher, &offer, args).await?;
    if args.stdout {
        return fetching::pour(console, &offer, &got).await;
    }
    fetching::save(console, &offer, &got, &args.into, args.clash.choice()).await.map(drop)
}

/// The file, without connecting the account where that goes; people's devices are asked where nothing else gives it.
async fn got(
    console: &Console,
    home: &Home,
    named: Option<&str>,
    fetcher: &Fetcher,
    offer: &CataloguedOffer,
    args: &cli::Fetch,
) -> Result<Got, Failure> {
    let wish = || Wish { asked: true, answers: fetching::answers(args.yes, args.relay_only), ..Wish::default() };
    let decision = fetcher.decide(offer, &fetcher.policy(), wish()).await.map_err(|error| local(&error))?;
    if asks_for_bits(&decision) {
        let account = connect::account(home, named, Availability::Hidden).await?;
        let got = fetching::get(console, account.fetcher(), offer, decision, args.yes).await;
        account.close().await;
        return got;
    }
    let may_be_elsewhere = devices_may_have_it(fetcher, offer, &decision);
    let waits_for_us = is_offline(&decision);
    let failure = match fetching::get(console, fetcher, offer, decision, args.yes).await {
        Err(failure) if may_be_elsewhere && failure.class != Class::Local && failure.class != Class::Interrupted => failure,
        got => return got,
    };
    console.step("devices", json!({"offer": offer.key().number()}), "looking whose devices are there and may have it");
    // Whoever hides is told of nobody; with a priority below 0 nothing that is meant for other devices comes here.
    let Ok(account) = connect::account(home, named, Availability::Available(-1)).await else { return Err(failure) };
    let got = from_devices(console, &account, offer, wish, args.yes).await;
    account.close().await;
    got.unwrap_or_else(|| Err(if waits_for_us { nobody_has_it(offer) } else { failure }))
}

/// Whether some way was left out for nothing but that the account was not connected.
fn is_offline(decision: &Decision) -> bool {
    matches!(decision, Decision::Refuse(refusal) if refusal.left_out.iter().any(|left_out| matches!(left_out.reason, Reason::Offline)))
}

/// Connected, and still nothing.
fn nobody_has_it(offer: &CataloguedOffer) -> Failure {
    let next = match fetching::only_in_its_session(offer) {
        true => "ask them to send it again",
        false => "try again when a device that has it is online, or ask them to send it again",
    };
    Failure::new(Class::Source, format!("{}: no device that gives it is there", Safe(offer.name().as_str()))).advise(next)
}

/// Asks those who turn out to be there; `None` where nobody does.
async fn from_devices(
    console: &Console,
    account: &Account,
    offer: &CataloguedOffer,
    wish: impl Fn() -> Wish,
    yes: bool,
) -> Option<Result<Got, Failure>> {
    let mut devices = account.devices();
    let patience = tokio::time::sleep(PRESENCE);
    tokio::pin!(patience);
    loop {
        let decision = match account.decide_for(offer, wish()).await {
            Ok(decision) => decision,
            Err(error) => return Some(Err(local(&error))),
        };
        if decision.plan().is_some_and(|plan| plan.attempts.iter().any(|attempt| matches!(attempt.how, How::Session(_)))) {
            return Some(fetching::get(console, account.fetcher(), offer, decision, yes).await);
        }
        tokio::select! {
            changed = devices.changed() => changed.ok()?,
            () = &mut patience => return None,
        }
    }
}

/// How long devices may take to say that they are there and what they can do.
const PRESENCE: Duration = Duration::from_secs(3);

/// Whether small data has to be asked for over XMPP.
fn asks_for_bits(decision: &Decision) -> bool {
    let plan = match decision {
        Decision::Fetch(plan) => plan,
        Decision::Ask(question) => question.plan(),
        Decision::Have(_) | Decision::Wait(_) | Decision::Refuse(_) => return false,
    };
    plan.attempts.iter().any(|attempt| matches!(attempt.how, How::Bits { .. }))
}

/// Whether devices that are there could give it where nothing else does: the offer names them, or a hash names the file and the sender
/// is somebody whose devices we see.
fn devices_may_have_it(fetcher: &Fetcher, offer: &CataloguedOffer, decision: &Decision) -> bool {
    let is_named = decision.left_out().iter().any(|left_out| left_out.reason == Reason::Offline);
    let is_seen = |person: BareJid| person == *offer.provenance().account() || fetcher.contacts().groups(&person).is_some();
    is_named || (offer.proof() == Proof::Digest && offer.provenance().person().is_some_and(is_seen))
}

/// `balcony fetch --discard`
async fn discard(console: &Console, fetcher: &Fetcher, offer: &CataloguedOffer) -> Result<(), Failure> {
    let (name, number) = (offer.name(), offer.key().number());
    let name = Safe(name.as_str());
    let bytes = fetcher.discard(offer.key()).await.map_err(|error| match error {
        StoreError::Busy(_) => Failure::new(Class::Local, format!("{name}: somebody fetches it just now, so nothing was thrown away"))
            .advise("stop that first: another program of yours, such as `balcony receive`, is at it"),
        error => local(&error),
    })?;
    let state = fetcher.store().offer(offer.key()).map_err(|error| local(&error))?.map(|row| row.state);
    let words = match (bytes, state) {
        (0, Some(OfferState::Here)) => {
            format!("{name}: all of it is here and is kept; only what was not fetched to its end is thrown away")
        }
        (0, Some(OfferState::Own)) => format!("{name}: you offer it yourself, and nothing of it was fetched"),
        (0, _) => format!("{name}: nothing of it is there"),
        (bytes, Some(OfferState::Here)) => {
            format!("{name}: {} of a fetch that broke off thrown away; the file itself is kept", ByteLen(bytes))
        }
        (bytes, _) => format!("{name}: {} thrown away; `balcony fetch {number}` begins anew", ByteLen(bytes)),
    };
    console.result("discarded", json!({"offer": number, "bytes": bytes, "state": state.map(OfferState::as_str)}), words);
    Ok(())
}
