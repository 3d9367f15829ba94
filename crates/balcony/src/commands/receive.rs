//! `balcony receive`: waits for files that others send, and saves them.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use balcony_client::{Account, Availability, CataloguedOffer, Wish};
use balcony_sharing::ByteLen;
use balcony_sharing::plan::{Policy, Unasked};
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
use crate::safe::lines;
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
    let policy = if args.ask { Policy { unasked: Unasked::Nobody, ..account.policy() } } else { account.policy() };
    let unasked = match policy.unasked {
        Unasked::Nobody => "nothing is fetched unasked".to_owned(),
        Unasked::Contacts => format!("files of contacts up to {} are fetched unasked, --ask turns that off", ByteLen(policy.unasked_limit)),
        Unasked::Everybody => format!("files up to {} are fetched unasked, --ask turns that off", ByteLen(policy.unasked_limit)),
    };
    account.set_policy(policy);
    console.step(
        "waiting",
        json!({"as": account.jid().as_str()}),
        format!("waiting for files to {} (^C ends it); {unasked}", account.jid()),
    );
    let mut earlier = left_over(account).await?;
    let mut seen: BTreeSet<OfferKey> = earlier.iter().map(|(offer, _)| offer.key()).collect();
    let mut left = args.count;
    let mut last = None;
    let mut saved = 0_u64;
    while left != Some(0) {
        let (offer, agreed) = match earlier.pop_front() {
            Some(offer) => offer,
            None => tokio::select! {
                offer = offers.next() => match offer {
                    Some(offer) if seen.insert(offer.key()) => (offer, false),
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
        let xml = args.show_xml.then(|| offer.message().clone().into_element().to_xml());
        console.step("offer", fetching::fields(&offer), fetching::words(&offer));
        if let Some(xml) = xml {
            console.result("xml", json!({"xml": xml}), lines(&xml));
        }
        match take(console, account, &offer, agreed, args).await {
            Ok(()) => saved += 1,
            Err(failure) if failure.class == Class::Interrupted || failure.class == Class::Local => return Err(failure),
            // One file that cannot be had is no reason to stop listening.
            Err(failure) => {
                console.failure(&failure);
                last = Some(failure.class);
            }
        }
        left = left.map(|left| left - 1);
    }
    match last {
        None if saved == 0 && args.timeout.is_some() && left != Some(0) => Err(Failure::new(Class::Timeout, "no file came in time")),
        Some(class) => Err(Failure::new(class, "not every file could be had; the reasons are above")),
        None => Ok(()),
    }
}

/// What an earlier run left when it was stopped or killed: what it was fetching (agreed to then), and what it had not looked at
/// yet (nobody agreed to that).
async fn left_over(account: &Account) -> Result<VecDeque<(CataloguedOffer, bool)>, Failure> {
    let local = |error: StoreError| Failure::from_error(Class::Local, &error);
    let unfinished = account.fetcher().unfinished().await.map_err(local)?;
    let mut left: VecDeque<_> =
        unfinished.into_iter().filter(|offer| offer.state() == OfferState::Fetching).map(|offer| (offer, true)).collect();
    let rows = account.store().offers(Listing::Account(account.jid()), None, MOST).map_err(local)?;
    let new = rows.iter().rev().filter(|row| row.state == OfferState::New).filter_map(CataloguedOffer::from_row);
    left.extend(new.map(|offer| (offer, false)));
    Ok(left)
}

async fn take(console: &Console, account: &Account, offer: &CataloguedOffer, agreed: bool, args: &cli::Receive) -> Result<(), Failure> {
    let wish = Wish { asked: agreed, ..Wish::default() };
    let decision = account.decide_for(offer, wish).await.map_err(|error| Failure::from_error(Class::Local, &error))?;
    let file = fetching::get(console, account.fetcher(), offer, decision, agreed).await?;
    fetching::save(console, offer, &file, &args.into, args.on_clash).await.map(drop)
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
