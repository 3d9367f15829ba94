//! One message with a link and a person's device as sources: the file is fetched from whichever remains when the other is taken away in
//! the middle, and not a byte is fetched twice.

use std::future::IntoFuture as _;
use std::sync::Arc;
use std::time::Duration;

use balcony_client::{CataloguedOffer, FetchEvent, LiveShares, Plan, SharedFile, Store, Taken, WayTaken};
use balcony_sharing::Source;
use balcony_sharing::dialect::{OutgoingFile, OutgoingShare, write};
use balcony_sharing::plan::How;
use balcony_sharing::transfer::SessionWay;
use balcony_sharing::verify::{Hasher, SHARED_ALGOS};
use balcony_wire::{Element, Jid};
use testing_peers::web::{Manner, Web};
use tokio::time::{Instant, timeout};

use crate::direct::{Couple, yes};
use crate::fetching::{Desk, read};
use crate::hostile_peers::mallory::Mallory;
use crate::live::{published, sees};
use crate::scene::noise;
use crate::sharing::juliet;

const PATIENCE: Duration = Duration::from_secs(60);
const SIZE: usize = 1_500_000;

/// As large, and nowhere alike.
fn junk() -> Vec<u8> {
    noise(SIZE).into_iter().map(|byte| !byte).collect()
}

/// A picture that Romeo shared in one message with both sources.
struct Both {
    couple: Couple,
    shares: LiveShares,
    web: Web,
    bytes: Vec<u8>,
    offer: CataloguedOffer,
}

impl Both {
    async fn new(manners: impl IntoIterator<Item = Manner>) -> Self {
        let bytes = noise(SIZE);
        Self::with(bytes.clone(), Web::new(&bytes, manners)).await
    }

    async fn with(bytes: Vec<u8>, web: Web) -> Self {
        let mut couple = Couple::new().await;
        sees(&couple.juliet, &couple.romeo).await;
        let path = couple.file("summit.jpg", &bytes);
        let shares = couple.romeo.share_live(&path).to(&juliet()).await.unwrap();
        couple.next().await; // the device alone
        let told = published(&shares);
        let device = Source::Published { from: told.from.unwrap(), id: told.id, applications: Vec::new() };
        let mut hasher = Hasher::new(SHARED_ALGOS);
        hasher.update(&bytes);
        let file =
            OutgoingFile { sources: vec![Source::url(web.url()), device], ..OutgoingFile::new("s1", "summit.jpg", None, &hasher.finish()) };
        let share = OutgoingShare { to: juliet(), to_room: false, id: "both".into(), text: None, files: vec![file] };
        couple.romeo.send(write(&share).message).await.unwrap();
        let offer = couple.next().await;
        assert_eq!(offer.sources().count(), 2);
        Self { couple, shares, web, bytes, offer }
    }

    /// Both, in this order and nothing else.
    async fn plan(&self, device_first: bool) -> Plan {
        let mut plan = yes(&self.couple.juliet, &self.offer).await;
        plan.attempts.truncate(2);
        let kinds: Vec<_> = plan.attempts.iter().map(|attempt| matches!(attempt.how, How::Session(_))).collect();
        assert_eq!(kinds, [false, true], "servers before devices");
        if device_first {
            plan.attempts.reverse();
        }
        plan
    }

    /// Fetches by a plan; `at` is called with the number of bytes there are.
    async fn fetch(&mut self, plan: Plan, mut at: impl AsyncFnMut(&mut LiveShares, u64)) -> (SharedFile, Vec<String>) {
        let mut progress = self.couple.juliet.fetch(&self.offer, plan).progress();
        let mut told = Vec::new();
        loop {
            match timeout(PATIENCE, progress.next()).await.expect("nothing happens").unwrap() {
                FetchEvent::Asking { from_byte, .. } => told.push(format!("link from {from_byte}")),
                FetchEvent::Calling { from_byte, .. } => told.push(format!("device from {from_byte}")),
                FetchEvent::Way(Taken::Session(way)) => {
                    assert!(matches!(way, WayTaken::Direct | WayTaken::Proxy(_) | WayTaken::InBand));
                    told.push("session".to_owned());
                }
                FetchEvent::Received(progress) => at(&mut self.shares, progress.have).await,
                FetchEvent::Ended(done) => return (done.unwrap(), told),
                _ => {}
            }
        }
    }
}

#[tokio::test]
async fn the_device_goes_on_where_the_link_was_taken_away() {
    let mut both = Both::new([Manner::Breaks(400_000), Manner::Status(410)]).await;
    let plan = both.plan(false).await;
    let (file, told) = both.fetch(plan, async |_, _| ()).await;
    assert!(file.is_proven());
    assert_eq!(read(&file), both.bytes);
    assert_eq!(told, ["link from 0", "device from 400000", "session"]);
    assert_eq!(both.web.asked().len(), 1, "what is gone on with elsewhere is not asked again");
}

#[tokio::test]
async fn the_link_goes_on_where_the_device_was_taken_away() {
    let mut both = Both::new([Manner::Good]).await;
    let (romeo, rules) = (both.couple.romeo.clone(), "give everybody at 256 KiB/s even unoffered".parse().unwrap());
    romeo.fetcher().set_giving(romeo.jid(), rules).await.unwrap();
    let plan = both.plan(true).await;
    let mut gone = false;
    let (file, told) = both
        .fetch(plan, async |_, have| {
            if have >= 100_000 && !std::mem::replace(&mut gone, true) {
                romeo.close().await;
            }
        })
        .await;
    assert!(file.is_proven());
    assert_eq!(read(&file), both.bytes);
    let ["device from 0", "session", link] = &told.iter().map(String::as_str).collect::<Vec<_>>()[..] else { panic!("{told:?}") };
    let from: u64 = link.strip_prefix("link from ").unwrap().parse().unwrap();
    assert!((100_000..SIZE as u64).contains(&from), "{told:?}");
    assert_eq!(both.web.asked(), [Some(format!("bytes={from}-"))]);
}

/// The same file once more, from elsewhere: what is there of it is not fetched again. Of another file nothing is taken.
#[tokio::test]
async fn what_an_offer_that_failed_left_serves_the_next_offer_of_the_same_file() {
    let bytes = noise(SIZE);
    let store = Store::in_memory().unwrap();
    let offered = async |bytes: &[u8], id: &str, web: &Web| {
        let id = id.to_owned();
        Desk::in_store(store.clone(), bytes, &[web.url()], move |file| file.id = id).await
    };
    let broken = Web::new(&bytes, [Manner::Breaks(300_000), Manner::Status(410)]);
    let first = offered(&bytes, "s1", &broken).await;
    first.fetch().await.unwrap_err();
    assert_eq!(first.staged(), 300_000);

    let other = noise(SIZE + 1);
    let elsewhere = Web::new(&other, [Manner::Breaks(100_000), Manner::Status(410)]);
    offered(&other, "s2", &elsewhere).await.fetch().await.unwrap_err();
    assert_eq!(elsewhere.asked()[0], None);

    let again = Web::new(&bytes, [Manner::Breaks(200_000), Manner::Status(410)]);
    let second = offered(&bytes, "s3", &again).await;
    second.fetch().await.unwrap_err();
    assert_eq!(again.asked()[0], Some("bytes=300000-".to_owned()));
    assert_eq!(second.fetcher.discard(second.offer.key()).await.unwrap(), 500_000, "it belongs to whoever had it last");

    let good = Web::new(&bytes, [Manner::Good]);
    let third = offered(&bytes, "s4", &good).await;
    assert_eq!(read(&third.fetch().await.unwrap()), bytes);
    assert_eq!(good.asked(), [None]);
}

/// A link gives wrong bytes and breaks off; then Romeo offers the file directly. His session is one answer, and is not staked on them.
#[tokio::test]
async fn wrong_bytes_that_came_before_cost_nobody_what_they_offer_directly() {
    let mut both = Both::new([Manner::Good]).await;
    let junk = Web::new(&junk(), [Manner::Breaks(400_000), Manner::Status(410)]);
    let mut link = both.plan(false).await.attempts.swap_remove(0);
    let How::Http(request) = &mut link.how else { panic!("{link:?}") };
    request.url = junk.url().parse().unwrap();
    let path = both.couple.file("directly.jpg", &both.bytes);
    let sending = tokio::spawn(both.couple.romeo.send_direct(&path).to(&juliet()).into_future());
    both.offer = both.couple.next().await;
    let mut plan = yes(&both.couple.juliet, &both.offer).await;
    plan.attempts.truncate(1);
    assert!(matches!(&plan.attempts[0].how, How::Session(request) if request.is_offered()), "{plan:?}");
    plan.attempts.insert(0, link);
    let (file, told) = both.fetch(plan, async |_, _| ()).await;
    assert!(file.is_proven());
    assert_eq!((read(&file), told), (both.bytes, ["link from 0", "device from 0", "session"].map(str::to_owned).to_vec()));
    assert_eq!(sending.await.unwrap().unwrap().files.len(), 1, "he need not offer it again");
}

/// The link broke, and the same person offers the same file directly: that goes on where the link broke. Where the link gave something
/// else, nobody can tell before the end; all of it goes, and the file comes once more from its first byte, by itself.
#[tokio::test]
async fn what_somebody_offers_directly_goes_on_behind_what_their_link_gave() {
    for is_right in [true, false] {
        let bytes = noise(SIZE);
        let given = if is_right { bytes.clone() } else { junk() };
        let mut both = Both::with(bytes, Web::new(&given, [Manner::Breaks(400_000), Manner::Status(410)])).await;
        let mut plan = both.plan(false).await;
        plan.attempts.truncate(1);
        let failed = both.couple.juliet.fetch(&both.offer, plan).await.unwrap_err();
        assert!(failed.to_string().contains("are kept for another try"), "{failed}");
        let path = both.couple.file("directly.jpg", &both.bytes);
        let sending = tokio::spawn(both.couple.romeo.send_direct(&path).to(&juliet()).into_future());
        both.offer = both.couple.next().await;
        let only = async |both: &Both| {
            let mut plan = yes(&both.couple.juliet, &both.offer).await;
            plan.attempts.truncate(1);
            plan
        };
        let mut plan = only(&both).await;
        if !is_right {
            let mut progress = both.couple.juliet.fetch(&both.offer, plan).progress();
            let mut from = None;
            let ended = loop {
                match timeout(PATIENCE, progress.next()).await.expect("nothing happens").unwrap() {
                    FetchEvent::Calling { from_byte, .. } => from = Some(from_byte),
                    FetchEvent::Ended(done) => break done,
                    _ => {}
                }
            };
            assert_eq!((from, ended.is_err()), (Some(400_000), true));
            both.offer = both.couple.next().await;
            plan = only(&both).await;
        }
        let (file, told) = both.fetch(plan, async |_, _| ()).await;
        assert!(file.is_proven());
        let from = if is_right { "device from 400000" } else { "device from 0" };
        assert_eq!((read(&file) == both.bytes, told), (true, [from, "session"].map(str::to_owned).to_vec()));
        assert_eq!(sending.await.unwrap().unwrap().files.len(), 1);
    }
}

/// A device that was killed is shown as present until its server notices.
#[tokio::test]
async fn a_device_that_says_nothing_holds_a_file_up_for_three_seconds_where_another_has_it() {
    let mut both = Both::new([Manner::Good]).await;
    let silent = Mallory::at(&both.couple.scene.server, "romeo", "killed", Arc::new(|_: &Element| None)).await;
    let mut plan = both.plan(true).await;
    plan.attempts.truncate(1);
    let mut killed = plan.attempts[0].clone();
    let How::Session(request) = &mut killed.how else { panic!("{killed:?}") };
    (request.peer, request.way) = (Jid::parse(&silent.jid).unwrap(), SessionWay::ByHash);
    killed.source = Source::ByHash { jid: request.peer.clone(), uri: String::new() }.key();
    plan.attempts.insert(0, killed);
    let begun = Instant::now();
    let (file, told) = both.fetch(plan, async |_, _| ()).await;
    let took = begun.elapsed();
    assert_eq!((read(&file), told), (both.bytes, ["device from 0", "device from 0", "session"].map(str::to_owned).to_vec()));
    // Alone it would have been waited for four times as long.
    assert!(took < Duration::from_secs(12), "{took:?}");
}
