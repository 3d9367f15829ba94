//! `balcony receive`: waits for files that others send, and saves them.

mod tally;

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
use crate::safe::{Safe, in_command, lines};
use crate::signals::interrupted;
use tally::{End, Tally};

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
    let mut work = Receiving::begin(console, account, only, args).await?;
    // What can be had here, too, as long as this runs.
    let here = RefCell::new(Vec::new());
    let mut running = FuturesUnordered::new();
    let (mut given, mut shown) = (account.giving_events(), Shown::new(console));
    let mut devices = account.devices();
    let (mut asking, mut named) = (account.unanswered(), 0);
    let end = loop {
        if let Some(turn) = work.next_turn() {
            if let Some((offer, decision)) = work.look(&turn).await? {
                let here = &here;
                running.push(async move {
                    let done = take(console, account, &offer, decision, turn.agreed || args.yes, args).await;
                    if done.is_ok() {
                        let shares = here_too(console, account, &offer).await;
                        here.borrow_mut().extend(shares);
                    }
                    (offer, done)
                });
            }
            continue;
        }
        if work.tally.is_enough() && running.is_empty() {
            break End::Enough;
        }
        tokio::select! {
            Some((offer, done)) = running.next(), if !running.is_empty() => work.ended(&offer, done)?,
            offer = offers.next() => match offer {
                Some(offer) => work.came(offer).await?,
                None => return Err(ended(account).await),
            },
            Ok(()) = devices.changed(), if !work.absent.is_empty() => {
                let there = Arc::clone(&devices.borrow_and_update());
                work.devices_are(&there);
            }
            event = next_given(&mut given) => shown.show(&event),
            Ok(()) = asking.changed() => {
                let askers = asking.borrow_and_update().clone();
                askers.iter().skip(named).for_each(|asker| ask_to_see(console, asker));
                named = askers.len();
            }
            () = interrupted(), if running.is_empty() => break End::Enough,
            () = silence(args.timeout), if running.is_empty() => break End::Silence,
        }
    };
    work.tally.sum_up(end)
}

/// An offer that is to be looked at once there is room for it.
struct Turn {
    key: OfferKey,
    /// The person said yes to it in an earlier run.
    agreed: bool,
    /// The person heard of it in this run.
    is_told: bool,
    /// It cannot wait for room: others of the same session wait for what becomes of it.
    is_urgent: bool,
}

/// One run of the command.
struct Receiving<'a> {
    console: &'a Console,
    account: &'a Account,
    only: &'a [BareJid],
    args: &'a cli::Receive,
    told: Told,
    tally: Tally,
    queue: VecDeque<Turn>,
    seen: BTreeSet<OfferKey>,
    busy: BTreeSet<OfferKey>,
    /// What only a device gives that is not there: looked at again when it comes.
    absent: BTreeMap<OfferKey, CataloguedOffer>,
    /// What gained a source while it was being fetched: if that fails, there is another place.
    gained: BTreeMap<OfferKey, CataloguedOffer>,
}

impl<'a> Receiving<'a> {
    async fn begin(console: &'a Console, account: &'a Account, only: &'a [BareJid], args: &'a cli::Receive) -> Result<Self, Failure> {
        let mut told = Told::of(account.store(), account.jid()).map_err(|error| local(&error))?;
        let earlier = left_over(account, &mut told).await?;
        Ok(Self {
            console,
            account,
            only,
            args,
            told,
            tally: Tally::of(args.count),
            seen: earlier.iter().map(|(key, _)| *key).collect(),
            queue: earlier.into_iter().map(|(key, agreed)| Turn { key, agreed, is_told: false, is_urgent: false }).collect(),
            busy: BTreeSet::new(),
            absent: BTreeMap::new(),
            gained: BTreeMap::new(),
        })
    }

    fn has_room(&self) -> bool {
        self.busy.len() < self.tally.at_once(usize::from(self.args.jobs))
    }

    fn wants_more(&self) -> bool {
        self.busy.len() < self.tally.at_once(usize::MAX)
    }

    fn next_turn(&mut self) -> Option<Turn> {
        if self.has_room() {
            return self.queue.pop_front();
        }
        let urgent = self.queue.iter().position(|turn| turn.is_urgent).filter(|_| self.wants_more());
        urgent.and_then(|at| self.queue.remove(at))
    }

    /// Somebody offers something, or says of what they offered where else it is. The person hears so at once, whatever is under way.
    async fn came(&mut self, offer: CataloguedOffer) -> Result<(), Failure> {
        let key = offer.key();
        if self.busy.contains(&key) {
            self.gained.extend(offer.is_again().then_some((key, offer)));
            return Ok(());
        }
        let is_new = self.seen.insert(key);
        if !self.is_wanted(&offer) || !(is_new || offer.is_again() && is_open(self.account, &offer).await?) {
            return Ok(());
        }
        self.absent.remove(&key);
        self.announce(&offer);
        let agreed = self.queue.iter().any(|turn| turn.key == key && turn.agreed);
        self.queue.retain(|turn| turn.key != key);
        let is_urgent = self.account.fetcher().is_answered_with_others(&offer);
        self.queue.push_back(Turn { key, agreed, is_told: true, is_urgent });
        if !(self.has_room() || is_urgent && self.wants_more()) {
            let words = match self.wants_more() {
                true => "waits until another file is there",
                false if fetching::is_in_session(&offer) => "no more files are wanted now: they are told, and can send it again",
                false => "is left for the next `balcony receive`: no more files are wanted now",
            };
            self.console.step("queued", json!({"offer": key.number()}), format!("{}: {words}", Safe(offer.name().as_str())));
        }
        Ok(())
    }

    fn is_wanted(&self, offer: &CataloguedOffer) -> bool {
        self.only.is_empty() || self.only.contains(&offer.provenance().sender().bare())
    }

    fn announce(&self, offer: &CataloguedOffer) {
        announce(self.console, offer, self.args.show_xml);
    }

    /// Decides on an offer whose turn it is; `None` where nothing comes of it just now.
    async fn look(&mut self, turn: &Turn) -> Result<Option<(CataloguedOffer, Decision)>, Failure> {
        let Some(offer) = self.account.fetcher().offer(turn.key).await.map_err(|error| local(&error))? else { return Ok(None) };
        if !self.is_wanted(&offer) {
            return Ok(None);
        }
        let name = offer.name();
        match self.absent.remove(&turn.key) {
            Some(_) => {
                let words = format!("{}: a device that has it is there now", Safe(name.as_str()));
                self.console.step("source", fetching::fields(&offer), words);
            }
            None if turn.is_told => {}
            None => self.announce(&offer),
        }
        let decision = decide(self.account, &offer, turn.agreed || self.args.yes, self.args).await?;
        let pending = |why: &str, words: &str| {
            let fields = json!({"offer": turn.key.number(), "why": why});
            self.console.step("pending", fields, format!("{}: {words}", Safe(name.as_str())));
        };
        if needs_device(&decision) {
            pending("absent", "the device that gives it is not there just now; waiting for it");
            self.absent.insert(turn.key, offer);
            return Ok(None);
        }
        if let Decision::Wait(wait @ (Wait::ForSource | Wait::ToBeSeen)) = &decision {
            // Who offers it says later where it is, or offers it again; that does not count as a file.
            match wait {
                Wait::ToBeSeen => pending("unseen", &unseen(&offer)),
                _ => pending("no-source", "its sender has not said yet where it is"),
            }
            self.told.add(turn.key).map_err(|error| local(&error))?;
            return Ok(None);
        }
        self.busy.insert(turn.key);
        Ok(Some((offer, decision)))
    }

    /// A file that was under way is there, or is not to be had.
    fn ended(&mut self, offer: &CataloguedOffer, done: Result<(), Failure>) -> Result<(), Failure> {
        self.busy.remove(&offer.key());
        let again = self.gained.remove(&offer.key()).filter(|_| done.is_err());
        self.tally.note(self.console, offer, done).map_err(|failure| of_several(failure, self.busy.len()))?;
        if let Some(again) = again {
            self.announce(&again);
            let is_urgent = self.account.fetcher().is_answered_with_others(&again);
            self.queue.push_back(Turn { key: again.key(), agreed: false, is_told: true, is_urgent });
        }
        Ok(())
    }

    /// Whoever is there now may have what was waited for.
    fn devices_are(&mut self, there: &Devices) {
        let come = self.absent.values().filter(|offer| is_there(offer, there)).map(CataloguedOffer::key);
        let come: Vec<_> = come.filter(|key| self.queue.iter().all(|turn| turn.key != *key)).collect();
        self.queue.extend(come.into_iter().map(|key| Turn { key, agreed: false, is_told: false, is_urgent: false }));
    }
}

/// Somebody wants to see when the person is there; until they do, files cannot go straight to this device.
fn ask_to_see(console: &Console, asker: &BareJid) {
    let jid = asker.as_str();
    let words = format!(
        "{} asks to see when you are there; `balcony contacts add {}` lets them, so that files can go straight from device to device",
        Safe(jid),
        in_command(jid)
    );
    console.step("asks-to-see", json!({"from": jid}), words);
}

/// Nobody answered who offers it, and what the person can do about that.
fn unseen(offer: &CataloguedOffer) -> String {
    let sender = offer.provenance().sender().bare();
    format!(
        "{} asked which of your devices takes it and got no answer, as they do not see when you are there; \
         `balcony contacts add {}` lets them once they add you as well, then they can send it again",
        Safe(sender.as_str()),
        in_command(sender.as_str())
    )
}

/// One ^C stops all that is under way.
fn of_several(failure: Failure, others: usize) -> Failure {
    if failure.class != Class::Interrupted || others == 0 {
        return failure;
    }
    failure.advise(format!("what is there of this file and of {others} more is kept; `balcony receive` goes on with them"))
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
