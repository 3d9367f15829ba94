//! `balcony receive`: waits for files that others send, and saves them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use balcony_client::{Account, Availability, CataloguedOffer, Decision, Wish};
use balcony_sharing::plan::Wait;
use balcony_store::{Listing, OfferKey, OfferState, StoreError};
use balcony_wire::BareJid;
use serde_json::json;

use crate::cli;
use crate::commands::outbox;
use crate::connect;
use crate::console::Console;
use crate::exit::{Class, Failure};
use crate::fetching;
use crate::home::Home;
use crate::safe::{Safe, lines};
use crate::signals::interrupted;

/// Offers of earlier runs that are looked at.
const MOST: usize = 500;

/// Runs the command.
pub(crate) async fn run(console: &Console, home: &Home, named: Option<&str>, args: &cli::Receive) -> Result<(), Failure> {
    let only: Vec<BareJid> =
        args.from.iter().map(|text| text.parse().map_err(|error| Failure::from_error(Class::Usage, &error))).collect::<Result<_, _>>()?;
    fetching::is_folder(&args.into)?;
    let account = connect::account(home, named, Availability::Available(0)).await?;
    let received = match outbox::take_up(console, &account).await {
        Ok(_) => receive(console, &account, &only, args).await,
        Err(failure) => Err(failure),
    };
    account.close().await;
    received
}

async fn receive(console: &Console, account: &Account, only: &[BareJid], args: &cli::Receive) -> Result<(), Failure> {
    let mut offers = account.offers();
    if args.ask {
        account.use_policy(account.policy().asking());
    }
    let unasked = if account.policy().fetches() {
        "your rules say what is fetched unasked (`balcony policy` shows them), --ask turns that off"
    } else {
        "nothing is fetched unasked"
    };
    console.step(
        "waiting",
        json!({"as": account.jid().as_str()}),
        format!("waiting for files to {} (^C ends it); {unasked}", account.jid()),
    );
    let mut earlier = left_over(account).await?;
    let mut seen: BTreeSet<OfferKey> = earlier.iter().map(|(offer, _)| offer.key()).collect();
    let mut left = args.count;
    let mut failed: BTreeMap<OfferKey, Class> = BTreeMap::new();
    let mut ended_with: BTreeSet<OfferKey> = BTreeSet::new();
    let mut saved = 0_u64;
    while left != Some(0) {
        let (offer, agreed) = match earlier.pop_front() {
            Some(offer) => offer,
            None => tokio::select! {
                offer = offers.next() => match offer {
                    Some(offer) if seen.insert(offer.key()) => (offer, false),
                    Some(offer) if offer.is_again() && is_open(account, &offer).await? => (offer, false),
                    Some(_) => continue,
                    None => return Err(ended(account).await),
                },
                () = interrupted() => return Ok(()),
                () = silence(args.timeout) => break,
            },
        };
        let agreed = agreed || args.yes;
        if !only.is_empty() && !only.contains(&offer.provenance().sender().bare()) {
            continue;
        }
        announce(console, &offer, args.show_xml);
        match take(console, account, &offer, agreed, args).await {
            Ok(true) => {
                saved += 1;
                failed.remove(&offer.key());
            }
            // Who offers it says later where it is; that does not count as a file.
            Ok(false) => continue,
            Err(failure) if failure.class == Class::Interrupted || failure.class == Class::Local => return Err(failure),
            // One file that cannot be had is no reason to stop listening.
            Err(failure) => {
                console.failure(&failure);
                failed.insert(offer.key(), failure.class);
            }
        }
        if ended_with.insert(offer.key()) {
            left = left.map(|left| left - 1);
        }
    }
    match failed.into_values().next_back() {
        None if saved == 0 && args.timeout.is_some() && left != Some(0) => Err(Failure::new(Class::Timeout, "no file came in time")),
        Some(class) => Err(Failure::new(class, "not every file could be had; the reasons are above")),
        None => Ok(()),
    }
}

fn announce(console: &Console, offer: &CataloguedOffer, show_xml: bool) {
    let (event, words) = match offer.is_again() {
        true => ("source", format!("{}: there is another place for it now", Safe(offer.name().as_str()))),
        false => ("offer", fetching::words(offer)),
    };
    console.step(event, fetching::fields(offer), words);
    if show_xml {
        let xml = offer.message().clone().into_element().to_xml();
        console.result("xml", json!({"xml": xml}), lines(&xml));
    }
}

/// Whether an offer that gained a source is still to be had: it may be here meanwhile, by another source.
async fn is_open(account: &Account, offer: &CataloguedOffer) -> Result<bool, Failure> {
    let offer = account.fetcher().offer(offer.key()).await.map_err(|error| Failure::from_error(Class::Local, &error))?;
    let is_open = |state| matches!(state, OfferState::New | OfferState::Asking | OfferState::Fetching | OfferState::Failed);
    Ok(offer.is_some_and(|offer| is_open(offer.state())))
}

/// What an earlier run left when it was stopped or killed: what it was fetching (agreed to then), and what it had not looked at
/// yet (nobody agreed to that).
async fn left_over(account: &Account) -> Result<VecDeque<(CataloguedOffer, bool)>, Failure> {
    let local = |error: StoreError| Failure::from_error(Class::Local, &error);
    let unfinished = account.fetcher().unfinished().await.map_err(local)?;
    let mut left: VecDeque<_> =
        unfinished.into_iter().filter(|offer| offer.state() == OfferState::Fetching).map(|offer| (offer, true)).collect();
    let rows = account.store().offers(Listing::Account(account.jid()), None, MOST).map_err(local)?;
    for row in rows.iter().rev().filter(|row| row.state == OfferState::New) {
        left.extend(CataloguedOffer::read(account.store(), row).map_err(local)?.map(|offer| (offer, false)));
    }
    Ok(left)
}

/// Fetches and saves an offer; `false` if nothing says yet where it is.
async fn take(console: &Console, account: &Account, offer: &CataloguedOffer, agreed: bool, args: &cli::Receive) -> Result<bool, Failure> {
    let wish = Wish { asked: agreed, ..Wish::default() };
    let decision = account.decide_for(offer, wish).await.map_err(|error| Failure::from_error(Class::Local, &error))?;
    if matches!(decision, Decision::Wait(Wait::ForSource)) {
        let words = format!("{}: its sender has not said yet where it is", Safe(offer.name().as_str()));
        console.step("pending", json!({"offer": offer.key().number()}), words);
        return Ok(false);
    }
    let file = fetching::get(console, account.fetcher(), offer, decision, agreed).await?;
    fetching::save(console, offer, &file, &args.into, args.on_clash).await.map(|_| true)
}

/// Ends after so many seconds; never without a number.
async fn silence(seconds: Option<u64>) {
    match seconds {
        Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
        None => std::future::pending().await,
    }
}

async fn ended(account: &Account) -> Failure {
    match account.online().await {
        Err(error) => Failure::from_error(connect::class_of(error.class()), &error),
        Ok(_) => Failure::new(Class::Internal, "the offers ended without a word"),
    }
}
