//! `balcony receive`: waits for files that others send, and saves them.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use balcony_client::{Account, Availability, CataloguedOffer, Decision, LiveShares, Wish};
use balcony_sharing::Source;
use balcony_sharing::plan::{Devices, Reason, Wait};
use balcony_store::{Listing, OfferKey, OfferState, StoreError};
use balcony_wire::BareJid;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use serde_json::json;

use crate::cli;
use crate::commands::pending::Told;
use crate::commands::share_live::{Shown, next_given};
use crate::commands::{files, outbox};
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
    files::obey_retention(console, account.store())?;
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
    account.fetcher().set_at_once(usize::from(args.jobs));
    let mut told = Told::of(account.store(), account.jid()).map_err(|error| local(&error))?;
    let mut earlier = left_over(account, &mut told).await?;
    let mut seen: BTreeSet<OfferKey> = earlier.iter().map(|(key, _)| *key).collect();
    let mut tally = Tally { left: args.count, ..Tally::default() };
    // What can be had here, too, as long as this runs.
    let here = RefCell::new(Vec::new());
    let mut running = FuturesUnordered::new();
    let (mut given, mut shown) = (account.giving_events(), Shown::new(console));
    let mut busy: BTreeSet<OfferKey> = BTreeSet::new();
    // What only a device gives that is not there: looked at again when it comes.
    let (mut devices, mut absent): (_, BTreeMap<OfferKey, CataloguedOffer>) = (account.devices(), BTreeMap::new());
    // What gained a source while it was being fetched: if that fails, there is another place.
    let mut gained: BTreeMap<OfferKey, CataloguedOffer> = BTreeMap::new();
    loop {
        let may_begin = running.len() < tally.at_once(usize::from(args.jobs));
        let next = match if may_begin { earlier.pop_front() } else { None } {
            Some((key, agreed)) => match account.fetcher().offer(key).await.map_err(|error| local(&error))? {
                Some(offer) => (offer, agreed),
                None => continue,
            },
            None if tally.left == Some(0) && running.is_empty() => break,
            None => tokio::select! {
                Some((offer, done)) = running.next(), if !running.is_empty() => {
                    let (offer, done): (CataloguedOffer, Result<(), Failure>) = (offer, done);
                    busy.remove(&offer.key());
                    let again = gained.remove(&offer.key()).filter(|_| done.is_err());
                    tally.note(console, &offer, done).map_err(|failure| of_several(failure, busy.len()))?;
                    earlier.extend(again.map(|offer| (offer.key(), false)));
                    continue;
                },
                offer = offers.next(), if may_begin => match offer {
                    Some(offer) if busy.contains(&offer.key()) => {
                        gained.extend(offer.is_again().then(|| (offer.key(), offer)));
                        continue;
                    }
                    Some(offer) if seen.insert(offer.key()) => (offer, false),
                    Some(offer) if offer.is_again() && is_open(account, &offer).await? => (offer, false),
                    Some(_) => continue,
                    None => return Err(ended(account).await),
                },
                Ok(()) = devices.changed(), if !absent.is_empty() => {
                    let there = Arc::clone(&devices.borrow_and_update());
                    let there = absent.values().filter(|offer| is_there(offer, &there)).map(|offer| (offer.key(), false));
                    let there: Vec<_> = there.filter(|next| !earlier.contains(next)).collect();
                    earlier.extend(there);
                    continue;
                },
                event = next_given(&mut given) => {
                    shown.show(&event);
                    continue;
                },
                () = interrupted(), if running.is_empty() => return Ok(()),
                () = silence(args.timeout), if running.is_empty() => break,
            },
        };
        let (offer, agreed) = (next.0, next.1 || args.yes);
        if !only.is_empty() && !only.contains(&offer.provenance().sender().bare()) {
            continue;
        }
        match absent.remove(&offer.key()) {
            Some(_) => console.step(
                "source",
                fetching::fields(&offer),
                format!("{}: a device that has it is there now", Safe(offer.name().as_str())),
            ),
            None => announce(console, &offer, args.show_xml),
        }
        let decision = decide(account, &offer, agreed, args).await?;
        if needs_device(&decision) {
            let words = format!("{}: the device that gives it is not there just now; waiting for it", Safe(offer.name().as_str()));
            console.step("pending", json!({"offer": offer.key().number()}), words);
            absent.insert(offer.key(), offer);
            continue;
        }
        if matches!(decision, Decision::Wait(Wait::ForSource)) {
            // Who offers it says later where it is; that does not count as a file.
            let words = format!("{}: its sender has not said yet where it is", Safe(offer.name().as_str()));
            console.step("pending", json!({"offer": offer.key().number()}), words);
            told.add(offer.key()).map_err(|error| local(&error))?;
            continue;
        }
        busy.insert(offer.key());
        let here = &here;
        running.push(async move {
            let done = take(console, account, &offer, decision, agreed, args).await;
            if done.is_ok() {
                let shares = here_too(console, account, &offer).await;
                here.borrow_mut().extend(shares);
            }
            (offer, done)
        });
    }
    tally.sum_up(args.timeout.is_some())
}

/// One ^C stops all that is under way.
fn of_several(failure: Failure, others: usize) -> Failure {
    if failure.class != Class::Interrupted || others == 0 {
        return failure;
    }
    failure.advise(format!("what is there of this file and of {others} more is kept; `balcony receive` goes on with them"))
}

/// What became of the files so far.
#[derive(Default)]
struct Tally {
    /// Files still wanted, if there is an end.
    left: Option<u64>,
    saved: u64,
    failed: BTreeMap<OfferKey, Class>,
    ended_with: BTreeSet<OfferKey>,
}

impl Tally {
    /// How many may be under way: no more than are still wanted.
    fn at_once(&self, jobs: usize) -> usize {
        self.left.map_or(jobs, |left| jobs.min(usize::try_from(left).unwrap_or(usize::MAX)))
    }

    fn note(&mut self, console: &Console, offer: &CataloguedOffer, done: Result<(), Failure>) -> Result<(), Failure> {
        match done {
            Ok(()) => {
                self.saved += 1;
                self.failed.remove(&offer.key());
            }
            Err(failure) if failure.class == Class::Interrupted || failure.class == Class::Local => return Err(failure),
            // One file that cannot be had is no reason to stop listening.
            Err(failure) => {
                console.failure(&failure);
                self.failed.insert(offer.key(), failure.class);
            }
        }
        if self.ended_with.insert(offer.key()) {
            self.left = self.left.map(|left| left.saturating_sub(1));
        }
        Ok(())
    }

    fn sum_up(self, was_silent: bool) -> Result<(), Failure> {
        match self.failed.into_values().next_back() {
            None if self.saved == 0 && was_silent && self.left != Some(0) => Err(Failure::new(Class::Timeout, "no file came in time")),
            Some(class) => Err(Failure::new(class, "not every file could be had; the reasons are above")),
            None => Ok(()),
        }
    }
}

fn announce(console: &Console, offer: &CataloguedOffer, show_xml: bool) {
    let (event, words) = match offer.is_again() {
        true if fetching::is_in_session(offer) => ("source", format!("{}: it is offered again", Safe(offer.name().as_str()))),
        true => ("source", format!("{}: there is another place for it now", Safe(offer.name().as_str()))),
        false => ("offer", fetching::words(offer)),
    };
    console.step(event, fetching::fields(offer), words);
    if show_xml {
        let xml = offer.message().clone().into_element().to_xml();
        console.result("xml", json!({"xml": xml}), lines(&xml));
    }
}

/// Whether it could be had if only a device were there.
fn needs_device(decision: &Decision) -> bool {
    let is_away = |reason: &Reason| matches!(reason, Reason::NobodyThere(_) | Reason::NotAble(_));
    matches!(decision, Decision::Refuse(refusal) if refusal.left_out.iter().any(|left| is_away(&left.reason)))
}

/// Whether a device that may have it is there.
fn is_there(offer: &CataloguedOffer, devices: &Devices) -> bool {
    let gives = |person: &BareJid| devices.of(person).any(|(_, abilities)| abilities.gives_files());
    offer.sources().any(|source| match source {
        Source::Published { from: device, .. } => devices.get(device).is_some_and(|abilities| abilities.gives_files()),
        Source::ByHash { jid, .. } => gives(&jid.bare()),
        _ => false,
    })
}

/// Whether an offer that gained a source is still to be had: it may be here meanwhile, by another source.
async fn is_open(account: &Account, offer: &CataloguedOffer) -> Result<bool, Failure> {
    let offer = account.fetcher().offer(offer.key()).await.map_err(|error| Failure::from_error(Class::Local, &error))?;
    let is_open = |state| matches!(state, OfferState::New | OfferState::Asking | OfferState::Fetching | OfferState::Failed);
    Ok(offer.is_some_and(|offer| is_open(offer.state())))
}

/// What an earlier run left when it was stopped or killed: what it was fetching (agreed to then), and what it had not looked at
/// yet (nobody agreed to that). What waits for a source and was told already is left out.
async fn left_over(account: &Account, told: &mut Told) -> Result<VecDeque<(OfferKey, bool)>, Failure> {
    let local = |error: StoreError| local(&error);
    let unfinished = account.fetcher().unfinished().await.map_err(local)?;
    // What was offered in a session that is over goes on when it is offered again.
    let can_go_on = |offer: &CataloguedOffer| offer.state() == OfferState::Fetching && !account.fetcher().has_ended(offer);
    let mut left: VecDeque<_> = unfinished.into_iter().filter(can_go_on).map(|offer| (offer.key(), true)).collect();
    let rows = account.store().offers(Listing::Account(account.jid()), None, MOST).map_err(local)?;
    let mut waiting = BTreeSet::new();
    for row in rows.iter().rev().filter(|row| row.state == OfferState::New) {
        let Some(offer) = CataloguedOffer::read(account.store(), row).map_err(local)? else { continue };
        if account.fetcher().has_ended(&offer) {
            account.store().set_offer_state(offer.key(), OfferState::Failed).map_err(local)?;
            continue;
        }
        if offer.is_pending() {
            waiting.insert(offer.key());
        }
        if !(offer.is_pending() && told.has(offer.key())) {
            left.push_back((offer.key(), false));
        }
    }
    told.keep(&waiting).map_err(local)?;
    Ok(left)
}

fn local(error: &dyn std::error::Error) -> Failure {
    Failure::from_error(Class::Local, error)
}

async fn decide(account: &Account, offer: &CataloguedOffer, agreed: bool, args: &cli::Receive) -> Result<Decision, Failure> {
    let wish = Wish { asked: agreed, answers: fetching::answers(args.yes, args.relay_only), metered: args.metered, ..Wish::default() };
    account.decide_for(offer, wish).await.map_err(|error| local(&error))
}

/// Fetches and saves an offer.
async fn take(
    console: &Console,
    account: &Account,
    offer: &CataloguedOffer,
    decision: Decision,
    agreed: bool,
    args: &cli::Receive,
) -> Result<(), Failure> {
    let file = fetching::get(console, account.fetcher(), offer, decision, agreed).await?;
    fetching::save(console, offer, &file, &args.into, args.clash.choice()).await.map(drop)
}

/// Says in the conversation that the file is here, too, where a rule says so (`balcony give`).
async fn here_too(console: &Console, account: &Account, offer: &CataloguedOffer) -> Option<LiveShares> {
    let name = offer.name();
    match account.announce_copy(offer).await {
        Ok(Some(shares)) => {
            let words = format!("{}: they know now that it can be had here, too", Safe(name.as_str()));
            console.step("here-too", json!({"offer": offer.key().number()}), words);
            Some(shares)
        }
        Ok(None) => None,
        Err(error) => {
            let words = format!("{}: nobody was told that it can be had here, too: {error}", Safe(name.as_str()));
            console.step("not-here-too", json!({"offer": offer.key().number(), "error": error.to_string()}), words);
            None
        }
    }
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
