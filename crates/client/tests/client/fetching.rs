//! Fetching from web servers that behave, and from those that do not. Without an account: nothing here needs one.

use std::time::{Duration, SystemTime};

use balcony_client::{CataloguedOffer, Class, Decision, FetchError, Fetcher, SharedFile, Wish};
use balcony_sharing::dialect::{self, OutgoingFile, OutgoingShare, write};
use balcony_sharing::plan::Policy;
use balcony_sharing::transfer::fetch::FetchSettings;
use balcony_sharing::verify::{Hasher, SHARED_ALGOS};
use balcony_sharing::{NetRules, Received, Source};
use balcony_store::{NewOffer, OfferState, Store};
use balcony_wire::Jid;
use testing_peers::web::{Manner, Web};

use crate::scene::{nobody, noise};

pub(crate) const SIZE: usize = 600_000;

/// A store with an offer of `bytes` at `urls`, and what fetches it.
pub(crate) struct Desk {
    pub(crate) fetcher: Fetcher,
    pub(crate) offer: CataloguedOffer,
}

impl Desk {
    pub(crate) async fn new(bytes: &[u8], urls: &[String]) -> Self {
        Self::in_store(Store::in_memory().unwrap(), bytes, urls, |_| ()).await
    }

    pub(crate) async fn in_store(store: Store, bytes: &[u8], urls: &[String], change: impl FnOnce(&mut OutgoingFile)) -> Self {
        let mut hasher = Hasher::new(SHARED_ALGOS);
        hasher.update(bytes);
        let mut file = OutgoingFile::new("s1", "file.bin", None, &hasher.finish());
        file.sources = urls.iter().map(Source::url).collect();
        change(&mut file);
        let account = "juliet@capulet.example".parse().unwrap();
        let to = Jid::parse("juliet@capulet.example").unwrap();
        let share = OutgoingShare { to, to_room: false, id: format!("m-{}", file.id), text: None, files: vec![file] };
        let mut message = write(&share).message;
        message.from = Some(Jid::parse("romeo@montague.example/orchard").unwrap());
        let stanza = message.clone().into_element().to_xml();
        let offers = dialect::read(&Received::direct(message, &account).unwrap()).offers;
        let (key, _) = store.add_offer(&NewOffer::new(&offers[0], stanza, SystemTime::now())).unwrap();
        let rules = NetRules { loopback_http: true, ..NetRules::default() };
        let fetcher = Fetcher::new(store, None, rules).unwrap().with_settings(quick(Duration::from_secs(60)));
        let offer = fetcher.offer(key).await.unwrap().unwrap();
        Self { fetcher, offer }
    }

    /// The same for servers that fall silent, where to wait for more is to wait for nothing.
    pub(crate) fn impatient(mut self) -> Self {
        self.fetcher = self.fetcher.with_settings(quick(Duration::from_secs(1)));
        self
    }

    pub(crate) async fn fetch(&self) -> Result<SharedFile, FetchError> {
        let policy = open_policy();
        let wish = Wish { asked: true, ..Wish::default() };
        match self.fetcher.decide(&self.offer, &policy, wish).await.unwrap() {
            Decision::Fetch(plan) => self.fetcher.fetch(&self.offer, plan).await,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn state(&self) -> OfferState {
        self.fetcher.store().offer(self.offer.key()).unwrap().unwrap().state
    }

    pub(crate) fn staged(&self) -> u64 {
        self.fetcher.store().staged().unwrap().iter().map(|staged| staged.len).sum()
    }
}

/// Tries again soon; waits for a silent server as long as told.
fn quick(patience: Duration) -> FetchSettings {
    FetchSettings {
        open_timeout: patience,
        stall_timeout: patience,
        back_off: Duration::from_millis(20),
        longest_wait: Duration::from_millis(50),
        ..FetchSettings::default()
    }
}

pub(crate) fn read(file: &SharedFile) -> Vec<u8> {
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut file.open().unwrap(), &mut bytes).unwrap();
    bytes
}

#[tokio::test]
async fn a_file_is_fetched_in_one_request_and_proven() {
    let bytes = noise(SIZE);
    let web = Web::new(&bytes, [Manner::Good]);
    let desk = Desk::new(&bytes, &[web.url()]).await;
    let file = desk.fetch().await.unwrap();
    assert!(file.is_proven());
    assert_eq!(read(&file), bytes);
    assert_eq!(web.asked(), [None]);
    assert_eq!((desk.state(), desk.staged()), (OfferState::Here, 0));
}

#[tokio::test]
async fn a_broken_connection_is_taken_up_at_the_byte_where_it_broke() {
    let bytes = noise(SIZE);
    let web = Web::new(&bytes, [Manner::Breaks(200_000), Manner::Breaks(100_000), Manner::Good]);
    let desk = Desk::new(&bytes, &[web.url()]).await;
    assert_eq!(read(&desk.fetch().await.unwrap()), bytes);
    assert_eq!(web.asked(), [None, Some("bytes=200000-".to_owned()), Some("bytes=300000-".to_owned())]);
}

#[tokio::test]
async fn a_server_without_ranges_is_read_again_from_the_start() {
    let bytes = noise(SIZE);
    let web = Web::new(&bytes, [Manner::Breaks(200_000), Manner::NoRange]);
    let desk = Desk::new(&bytes, &[web.url()]).await;
    assert_eq!(read(&desk.fetch().await.unwrap()), bytes);
    assert_eq!(web.asked().len(), 2);
}

#[tokio::test]
async fn another_source_goes_on_where_the_first_one_failed() {
    let bytes = noise(SIZE);
    let (first, second) = (Web::new(&bytes, [Manner::Breaks(200_000), Manner::Status(404)]), Web::new(&bytes, [Manner::Good]));
    let desk = Desk::new(&bytes, &[first.url(), second.url()]).await;
    assert_eq!(read(&desk.fetch().await.unwrap()), bytes);
    assert_eq!(second.asked(), [Some("bytes=200000-".to_owned())]);
}

/// Proves: USER-2-3, USER-2-6.
#[tokio::test]
async fn a_fetch_that_was_dropped_goes_on_after_a_restart() {
    let bytes = noise(SIZE);
    let web = Web::new(&bytes, [Manner::Stalls(250_000), Manner::Good]);
    let folder = tempfile::tempdir().unwrap();
    let desk = Desk::in_store(Store::open(folder.path()).unwrap(), &bytes, &[web.url()], |_| ()).await;
    let Decision::Fetch(plan) = desk.fetcher.decide(&desk.offer, &open_policy(), Wish { asked: true, ..Wish::default() }).await.unwrap()
    else {
        panic!()
    };
    let progress = desk.fetcher.fetch(&desk.offer, plan).progress();
    while desk.staged() < 250_000 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    drop(progress);
    let Desk { fetcher, offer } = desk;
    drop(fetcher);
    let desk = reopened(folder.path(), offer).await;
    assert_eq!(desk.state(), OfferState::Fetching);
    assert_eq!(desk.fetcher.unfinished().await.unwrap()[0].key(), desk.offer.key());
    let file = desk.fetch().await.unwrap();
    assert_eq!(read(&file), bytes);
    assert_eq!(web.asked(), [None, Some("bytes=250000-".to_owned())]);
    assert!(desk.fetcher.unfinished().await.unwrap().is_empty());
}

pub(crate) async fn reopened(folder: &std::path::Path, offer: CataloguedOffer) -> Desk {
    let rules = NetRules { loopback_http: true, ..NetRules::default() };
    let fetcher = Fetcher::new(Store::open(folder).unwrap(), None, rules).unwrap();
    let offer = fetcher.offer(offer.key()).await.unwrap().unwrap();
    Desk { fetcher, offer }
}

pub(crate) fn open_policy() -> Policy {
    "fetch everybody even unproven".parse().unwrap()
}

async fn fails(manner: Manner) -> (FetchError, Desk, Web) {
    fails_with([manner]).await
}

async fn fails_with(manners: impl IntoIterator<Item = Manner>) -> (FetchError, Desk, Web) {
    let bytes = noise(SIZE);
    let web = Web::new(&bytes, manners);
    let desk = Desk::new(&bytes, &[web.url()]).await;
    failed(desk, web).await
}

async fn failed(desk: Desk, web: Web) -> (FetchError, Desk, Web) {
    let error = desk.fetch().await.err().unwrap();
    assert_eq!(desk.state(), OfferState::Failed);
    assert!(error.advice().is_some());
    (error, desk, web)
}

/// Proves: USER-1-6.
#[tokio::test]
async fn what_is_gone_is_said_to_be_gone_and_asked_for_once() {
    for status in [404, 410] {
        let (error, _, web) = fails(Manner::Status(status)).await;
        assert_eq!(error.class(), Class::Source);
        assert!(error.to_string().contains("no longer there"), "{error}");
        assert_eq!(web.asked().len(), 1);
    }
}

#[tokio::test]
async fn other_bytes_than_those_offered_are_not_kept() {
    let (error, desk, _) = fails(Manner::Wrong).await;
    assert_eq!(error.class(), Class::Proof);
    assert_eq!(desk.staged(), 0);
    assert!(desk.fetcher.store().find(desk.offer.digests()).unwrap().is_none());
}

#[tokio::test]
async fn more_bytes_than_announced_end_the_fetch() {
    let (error, _, _) = fails(Manner::Long(1_000_000)).await;
    assert_eq!(error.class(), Class::Source);
    assert!(error.to_string().contains("more than the 600000 bytes announced"), "{error}");
}

#[tokio::test]
async fn a_shorter_file_than_offered_is_not_the_file() {
    let (error, desk, _) = fails(Manner::Short(1000)).await;
    assert_eq!(error.class(), Class::Proof);
    assert_eq!(desk.staged(), 0);
}

#[tokio::test]
async fn a_body_that_breaks_off_every_time_is_given_up_and_what_came_is_kept() {
    let (error, desk, _) = fails_with([Manner::Breaks(1000), Manner::Breaks(0)]).await;
    assert_eq!(error.class(), Class::Network);
    assert!(error.to_string().contains("1 kB are kept"), "{error}");
    assert_eq!(desk.staged(), 1000);
}

#[tokio::test]
async fn a_server_that_stops_sending_is_left_and_what_came_is_kept() {
    let bytes = noise(SIZE);
    let web = Web::new(&bytes, [Manner::Stalls(1000), Manner::Stalls(0)]);
    let desk = Desk::new(&bytes, &[web.url()]).await.impatient();
    let (error, desk, _) = failed(desk, web).await;
    assert_eq!(error.class(), Class::Network);
    assert!(error.to_string().contains("1 kB are kept"), "{error}");
    assert_eq!(desk.staged(), 1000);
}

/// The redirect is judged where the socket would be opened, however the address is spelt.
/// Decision 41.
/// Proves: SEC-3-2.
#[tokio::test]
async fn a_redirect_to_a_private_address_is_not_followed() {
    for target in [
        "http://10.0.0.1/secret",
        "https://192.168.0.1/",
        "https://127.0.0.1:1/",
        "https://localhost:1/",
        "https://0x7f.1/",
        "https://[::ffff:10.0.0.1]/",
    ] {
        let (error, _, _) = fails(Manner::Redirect(target.to_owned())).await;
        assert_eq!(error.class(), Class::Policy, "{target}: {error}");
    }
}

#[tokio::test]
async fn redirects_are_followed_three_times_and_no_more() {
    let bytes = noise(SIZE);
    let last = Web::new(&bytes, [Manner::Good]);
    let third = Web::new(&bytes, [Manner::Redirect(last.url())]);
    let second = Web::new(&bytes, [Manner::Redirect(third.url())]);
    let first = Web::new(&bytes, [Manner::Redirect(second.url())]);
    let desk = Desk::new(&bytes, &[first.url()]).await;
    assert_eq!(read(&desk.fetch().await.unwrap()), bytes);
    let one_more = Web::new(&bytes, [Manner::Redirect(first.url())]);
    let desk = Desk::new(&bytes, &[one_more.url()]).await;
    assert_eq!(desk.fetch().await.err().unwrap().class(), Class::Policy);
}

#[tokio::test]
async fn a_host_that_cannot_be_reached_is_named() {
    let bytes = noise(10);
    let (_held, port) = nobody();
    let desk = Desk::new(&bytes, &[format!("http://127.0.0.1:{port}/file.bin")]).await;
    let error = desk.fetch().await.err().unwrap();
    assert_eq!(error.class(), Class::Network);
    assert!(error.to_string().contains("127.0.0.1"), "{error}");
}
