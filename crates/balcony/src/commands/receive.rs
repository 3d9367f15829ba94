//! `balcony receive`: waits for files that others send, and saves them.

use std::collections::VecDeque;
use std::time::Duration;

use balcony_client::{Account, Availability, CataloguedOffer, Wish};
use balcony_store::OfferState;
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
    console.step("waiting", json!({"as": account.jid().as_str()}), format!("waiting for files to {} (^C ends it)", account.jid()));
    let mut begun = begun(account).await?;
    let mut left = args.count;
    let mut last = None;
    let mut saved = 0_u64;
    while left != Some(0) {
        let earlier = begun.pop_front();
        let agreed = args.yes || earlier.is_some();
        let offer = match earlier {
            Some(offer) => Some(offer),
            None => tokio::select! {
                offer = offers.next() => offer,
                () = interrupted() => return Ok(()),
                () = silence(args.timeout) => break,
            },
        };
        let Some(offer) = offer else { return Err(ended(account).await) };
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

/// What an earlier run began to fetch when it was stopped or killed: agreed to then, gone on with now.
async fn begun(account: &Account) -> Result<VecDeque<CataloguedOffer>, Failure> {
    let unfinished = account.fetcher().unfinished().await.map_err(|error| Failure::from_error(Class::Local, &error))?;
    Ok(unfinished.into_iter().filter(|offer| offer.state() == OfferState::Fetching).collect())
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
