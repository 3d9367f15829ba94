//! How fast a large catalogue answers, and what the store's part of many small files costs.
//!
//!     cargo run --release -p balcony-store --example catalogue -- [--offers 100000] [--files 1000] [--json] [DIR]
//!
//! Without a folder it works in one that is removed at the end. Each figure is the median of 21 runs, but for those of building.
#![allow(clippy::unwrap_used, reason = "a program for measuring: whatever fails ends it")]

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, UNIX_EPOCH};

use balcony_sharing::verify::{Hasher, SHARED_ALGOS};
use balcony_sharing::{DigestSet, Hashed};
use balcony_store::{JobId, Listing, NewOffer, OfferState, Sidecar, Standing, Store};
use balcony_wire::{BareJid, Jid};

/// Conversations that the offers are spread over.
const CONVERSATIONS: usize = 100;
/// Offers written down at once.
const BATCH: usize = 500;
const RUNS: usize = 21;

struct Options {
    offers: usize,
    files: usize,
    json: bool,
    dir: Option<PathBuf>,
}

fn main() {
    let options = options();
    let kept = tempfile::tempdir().unwrap();
    let dir = options.dir.clone().unwrap_or_else(|| kept.path().to_owned());
    let store = Store::open(&dir).unwrap();
    let mut figures = Vec::new();
    let (account, others) = (bare("juliet@capulet.example"), (0..CONVERSATIONS).map(|n| bare(&format!("friend{n}@montague.example"))));
    let others: Vec<BareJid> = others.collect();

    let began = Instant::now();
    for batch in (0..options.offers).collect::<Vec<_>>().chunks(BATCH) {
        let offers: Vec<NewOffer> = batch.iter().map(|number| offer(&account, &others[number % CONVERSATIONS], *number)).collect();
        store.add_offers(&offers).unwrap();
    }
    let built = began.elapsed();
    figures.push(("offers", options.offers as f64, "rows"));
    figures.push(("written-down", options.offers as f64 / built.as_secs_f64(), "offers/s"));
    figures.push((
        "last-50",
        median(|run| assert!(store.offers(Listing::Conversation(&account, &others[run]), None, 50).unwrap().len() <= 50)),
        "ms",
    ));
    figures.push(("last-50-of-all", median(|_| drop(store.offers(Listing::Account(&account), None, 50).unwrap())), "ms"));
    let claimed: Vec<DigestSet> = (0..RUNS).map(|run| digests(run * 37 % options.offers.max(1))).collect();
    figures.push(("claiming-a-digest", median(|run| assert!(!store.offers_claiming(&claimed[run], 50).unwrap().is_empty())), "ms"));
    figures.push((
        "one-offer-more",
        median(|run| assert!(store.add_offer(&offer(&account, &others[0], options.offers + run)).unwrap().1)),
        "ms",
    ));

    let stranger = |number: usize| {
        let sender = bare(&format!("stranger{}@tybalt.example", number % 7));
        NewOffer { standing: Standing::Stranger, state: OfferState::New, ..offer(&account, &sender, 50_000_000 + number) }
    };
    for batch in (0..21_000).collect::<Vec<_>>().chunks(BATCH) {
        store.add_offers(&batch.iter().map(|number| stranger(*number)).collect::<Vec<_>>()).unwrap();
    }
    figures.push(("one-more-of-a-flood", median(|run| assert!(store.add_offer(&stranger(30_000 + run)).unwrap().1)), "ms"));

    let mut hashed = Vec::new();
    for (name, threads) in [("small-files-one-by-one", 1), ("small-files-four-at-once", 4)] {
        let began = Instant::now();
        let next = AtomicUsize::new(0);
        let work = || {
            let mine = std::iter::from_fn(|| Some(next.fetch_add(1, Ordering::Relaxed)).filter(|number| *number < options.files));
            mine.map(|number| commit(&store, number * 10 + threads)).collect::<Vec<_>>()
        };
        hashed = std::thread::scope(|scope| {
            let working: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            working.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        figures.push((name, options.files as f64 / began.elapsed().as_secs_f64(), "files/s"));
    }
    if !hashed.is_empty() {
        figures.push(("found-by-digest", median(|run| assert!(store.find(hashed[run % hashed.len()].digests()).unwrap().is_some())), "ms"));
    }
    let began = Instant::now();
    drop(Store::open(&dir).unwrap());
    figures.push(("opened-again", began.elapsed().as_secs_f64() * 1_000.0, "ms"));
    for (name, value, unit) in figures {
        if options.json {
            println!("{{\"name\":\"{name}\",\"value\":{value},\"unit\":\"{unit}\"}}");
        } else {
            println!("{name:<24} {value:>12.3} {unit}");
        }
    }
}

fn options() -> Options {
    let mut options = Options { offers: 100_000, files: 1_000, json: false, dir: None };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--offers" => options.offers = words.next().unwrap().parse().unwrap(),
            "--files" => options.files = words.next().unwrap().parse().unwrap(),
            "--json" => options.json = true,
            dir => options.dir = Some(dir.into()),
        }
    }
    options
}

/// In milliseconds.
fn median(mut work: impl FnMut(usize)) -> f64 {
    let mut times: Vec<Duration> = (0..RUNS)
        .map(|run| {
            let began = Instant::now();
            work(run);
            began.elapsed()
        })
        .collect();
    times.sort();
    times[RUNS / 2].as_secs_f64() * 1_000.0
}

fn bare(text: &str) -> BareJid {
    Jid::parse(text).unwrap().into_bare().unwrap()
}

fn hashed(bytes: &[u8]) -> Hashed {
    let mut hasher = Hasher::new(SHARED_ALGOS);
    hasher.update(bytes);
    hasher.finish()
}

/// Every tenth file was offered before.
fn digests(number: usize) -> DigestSet {
    hashed(format!("file {}", number - number % 10 / 9).as_bytes()).digests().clone()
}

fn offer(account: &BareJid, other: &BareJid, number: usize) -> NewOffer {
    let digests = digests(number);
    let filler = "<!-- as long as a message that offers a picture in every way -->".len() * 40;
    NewOffer {
        account: account.clone(),
        conversation: other.clone(),
        sender: other.clone(),
        occupant: None,
        standing: Standing::Contact,
        message: Some(format!("message-{number}")),
        targets: vec![format!("message-{number}")],
        position: 0,
        provenance: format!("direct\n{account}\n{other}/balcony\n{account}"),
        stanza: format!("<message id='message-{number}'><body>{}</body></message>", "x".repeat(filler)),
        name: format!("IMG_{number:06}.jpg"),
        size: Some(number as u64 * 1_000),
        digests,
        received_at: UNIX_EPOCH + Duration::from_secs(1_700_000_000 + number as u64),
        state: if number.is_multiple_of(4) { OfferState::Own } else { OfferState::New },
    }
}

/// What a fetch of a small file asks of the store: staging, commit, outcome.
fn commit(store: &Store, number: usize) -> Hashed {
    let bytes = format!("small file {number} ").repeat(100);
    let account = bare("juliet@capulet.example");
    let (key, _) = store.add_offer(&offer(&account, &account, 10_000_000 + number)).unwrap();
    store.set_offer_state(key, OfferState::Fetching).unwrap();
    let mut staging = store.stage(JobId::random(), Sidecar { offer: key.to_string(), is_pure: true, ..Sidecar::default() }).unwrap();
    staging.append(bytes.as_bytes()).unwrap();
    let hashed = hashed(bytes.as_bytes());
    let blob = store.commit(staging, &hashed).unwrap();
    store.offer_is_here(key, &blob).unwrap();
    hashed
}
