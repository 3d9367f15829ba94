//! Files straight from one device to the other: by SOCKS5, through the server's proxy, in band; several, empty ones, broken ones.

use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

use balcony_client::{
    Account, Availability, CataloguedOffer, ConnectOptions, Decision, DirectError, DirectEvent, DirectProgress, FetchEvent, FetchProgress,
    Offers, Plan, Rule, Security, SentDirectly, SharedFile, Store, WayTaken, Wish,
};
use balcony_wire::Jid;
use tokio::time::timeout;

use crate::live::sees;
use crate::scene::{Scene, noise};
use crate::sharing::{file, juliet};

const PATIENCE: Duration = Duration::from_secs(60);

/// Romeo and Juliet, who know each other and see each other come and go.
pub(crate) struct Couple {
    pub(crate) scene: Scene,
    pub(crate) romeo: Account,
    pub(crate) juliet: Account,
    pub(crate) offers: Offers,
    pub(crate) folder: tempfile::TempDir,
}

pub(crate) fn options(scene: &Scene, name: &str) -> ConnectOptions {
    ConnectOptions { loopback_http: true, ..scene.options(name, Security::StartTls) }
}

impl Couple {
    pub(crate) async fn new() -> Self {
        Self::with(|_| ()).await
    }

    /// By way of servers, 12 MB take some seconds: there is a middle to stop in.
    async fn slow() -> Self {
        Self::with(|settings| settings.proxy.rate = NonZeroU64::new(4_000_000)).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut balcony_server::Settings)) -> Self {
        let scene = Scene::with(change).await;
        let connect = async |name: &str| Account::connect(options(&scene, name), Store::in_memory().unwrap()).await.unwrap();
        let (romeo, juliet) = (connect("romeo").await, connect("juliet").await);
        romeo.add_contact(juliet.jid(), None, Vec::new(), true).await.unwrap();
        juliet.add_contact(romeo.jid(), None, Vec::new(), true).await.unwrap();
        for (account, other) in [(&romeo, &juliet), (&juliet, &romeo)] {
            sees(account, other).await;
        }
        let offers = juliet.offers();
        Self { scene, romeo, juliet, offers, folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        file(&self.folder, name, bytes)
    }

    pub(crate) async fn next(&mut self) -> CataloguedOffer {
        timeout(PATIENCE, self.offers.next()).await.expect("no offer comes").unwrap()
    }
}

/// The plan of somebody who says yes to what is asked.
pub(crate) async fn yes(account: &Account, offer: &CataloguedOffer) -> Plan {
    match account.decide_for(offer, Wish { asked: true, ..Wish::default() }).await.unwrap() {
        Decision::Fetch(plan) => plan,
        Decision::Ask(question) => question.yes(),
        other => panic!("not to be fetched: {other:?}"),
    }
}

pub(crate) async fn fetch(account: &Account, offer: &CataloguedOffer) -> SharedFile {
    let plan = yes(account, offer).await;
    timeout(PATIENCE, account.fetch(offer, plan)).await.expect("it takes too long").unwrap()
}

/// What became of a sending.
pub(crate) async fn sent(mut sending: DirectProgress) -> (Vec<DirectEvent>, Result<SentDirectly, DirectError>) {
    let mut seen = Vec::new();
    loop {
        match timeout(PATIENCE, sending.next()).await.expect("it takes too long").unwrap() {
            DirectEvent::Ended(sent) => return (seen, sent),
            event => seen.push(event),
        }
    }
}

async fn bytes_of(file: &SharedFile) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = file.save_in(folder.path(), balcony_client::OnClash::Rename).await.unwrap();
    std::fs::read(path).unwrap()
}

/// Lets contacts see the address: what a yes to that question does, as a rule.
pub(crate) async fn shows_its_address(account: &Account) {
    let rule: Rule = "fetch contacts from peers".parse().unwrap();
    let mut policy = account.fetcher().policy();
    assert!(policy.insert(0, rule));
    account.set_policy(policy).await.unwrap();
}

/// Proves: JIN-6.5-1.
#[tokio::test]
async fn a_file_goes_straight_to_the_other_device_and_arrives_proven() {
    let mut couple = Couple::with(|settings| settings.listen.proxy = None).await;
    shows_its_address(&couple.juliet).await;
    let bytes = noise(3_000_000);
    let path = couple.file("très cool.bin", &bytes);
    let sending = couple.romeo.send_direct(&path).to(&juliet()).progress();

    let offer = couple.next().await;
    assert_eq!((offer.name().as_str(), offer.size()), ("très cool.bin", Some(3_000_000)));
    let got = fetch(&couple.juliet, &offer).await;
    assert_eq!(bytes_of(&got).await, bytes);

    let (seen, sent) = sent(sending).await;
    let sent = sent.unwrap();
    assert_eq!((sent.files.len(), sent.failed.len()), (1, 0));
    assert_eq!(sent.files[0].way, Some(WayTaken::Direct), "{seen:?}");
    assert!(sent.files[0].address_shown);
    couple.romeo.close().await;
    couple.juliet.close().await;
}

/// Proves: JFT-5-2.
#[tokio::test]
async fn the_digest_of_a_large_file_comes_behind_the_bytes_once_and_is_known_from_then_on() {
    let mut couple = Couple::new().await;
    let path = couple.folder.path().join("film.mkv");
    let large = std::fs::File::create(&path).unwrap();
    large.set_len(65 << 20).unwrap();
    // What changed a moment ago may change again unseen.
    large.set_modified(std::time::SystemTime::now() - Duration::from_secs(3600)).unwrap();
    for is_known in [false, true] {
        let sending = couple.romeo.send_direct(&path).to(&juliet()).progress();
        let offer = couple.next().await;
        assert_eq!(offer.offer().claim().digests.is_empty(), !is_known);
        if is_known {
            assert!(matches!(couple.juliet.decide(&offer).await.unwrap(), Decision::Have(_)), "nobody needs the bytes again");
        } else {
            fetch(&couple.juliet, &offer).await;
            assert_eq!(sent(sending).await.1.unwrap().files.len(), 1);
        }
    }
}

/// Proves: S5J-6.1-1, JFT-10.1-1, JFT-10.2-1.
#[tokio::test]
async fn with_relay_only_no_address_is_shown_and_the_file_comes_through_servers_alone() {
    let mut couple = Couple::new().await;
    let bytes = noise(400_000);
    let path = couple.file("photo.jpg", &bytes);
    let sending = couple.romeo.send_direct(&path).relay_only().to(&juliet()).progress();
    let offer = couple.next().await;
    let got = fetch(&couple.juliet, &offer).await;
    assert_eq!(bytes_of(&got).await, bytes);
    let file = sent(sending).await.1.unwrap().files.remove(0);
    assert!(!matches!(file.way, None | Some(WayTaken::Direct)));
    assert!(!file.address_shown);
}

#[tokio::test]
async fn without_a_proxy_a_relayed_file_comes_in_band() {
    let mut couple = Couple::with(|settings| settings.listen.proxy = None).await;
    let bytes = noise(100_000);
    let path = couple.file("photo.jpg", &bytes);
    let sending = couple.romeo.send_direct(&path).relay_only().to(&juliet()).progress();
    let offer = couple.next().await;
    assert_eq!(bytes_of(&fetch(&couple.juliet, &offer).await).await, bytes);
    assert_eq!(sent(sending).await.1.unwrap().files[0].way, Some(WayTaken::InBand));
}

#[tokio::test]
async fn several_files_and_an_empty_one_arrive() {
    let mut couple = Couple::new().await;
    let files: Vec<(String, Vec<u8>)> = (0..5).map(|number| (format!("{number}.bin"), noise(number * 50_000))).collect();
    let mut paths = files.iter().map(|(name, bytes)| couple.file(name, bytes)).collect::<Vec<_>>().into_iter();
    let share = couple.romeo.send_direct(paths.next().unwrap());
    let sending = paths.fold(share, |share, path| share.and(path)).to(&juliet()).progress();
    for _ in 0..files.len() {
        let offer = couple.next().await;
        let (_, bytes) = files.iter().find(|(name, _)| name == offer.name().as_str()).unwrap();
        assert_eq!(bytes_of(&fetch(&couple.juliet, &offer).await).await, *bytes, "{}", offer.name());
    }
    let sent = sent(sending).await.1.unwrap();
    assert!(sent.failed.is_empty(), "{:?}", sent.failed);
    assert_eq!(
        sent.files.iter().map(|file| file.name.clone()).collect::<Vec<_>>(),
        files.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn twenty_files_at_once_do_not_hinder_each_other() {
    let mut couple = Couple::new().await;
    couple.juliet.fetcher().set_at_once(20);
    let bytes: Vec<Vec<u8>> = (0..20).map(|number| noise(200_000 + number)).collect();
    let paths: Vec<_> = bytes.iter().enumerate().map(|(number, bytes)| couple.file(&format!("{number}.bin"), bytes)).collect();
    let sending: Vec<_> = paths.iter().map(|path| couple.romeo.send_direct(path).to(&juliet()).progress()).collect();
    let mut fetching = Vec::new();
    for _ in 0..paths.len() {
        let (account, offer) = (couple.juliet.clone(), couple.next().await);
        fetching.push(tokio::spawn(async move { (offer.name().to_string(), bytes_of(&fetch(&account, &offer).await).await) }));
    }
    for done in fetching {
        let (name, got) = done.await.unwrap();
        assert!(got == bytes[name.trim_end_matches(".bin").parse::<usize>().unwrap()], "{name}");
    }
    for sending in sending {
        assert_eq!(sent(sending).await.1.unwrap().files.len(), 1);
    }
}

/// Decision 43.
#[tokio::test]
async fn who_does_not_want_a_file_says_so_before_it_begins() {
    let mut couple = Couple::new().await;
    let path = couple.file("spam.bin", &noise(1000));
    let sending = couple.romeo.send_direct(&path).to(&juliet()).progress();
    let offer = couple.next().await;
    couple.juliet.fetcher().decline(&offer).await.unwrap();
    let error = sent(sending).await.1.unwrap_err();
    assert!(error.to_string().contains("declined"), "{error}");
}

/// Proves: JFT-6.5-1.
#[tokio::test]
async fn who_sends_can_stop_before_the_answer_and_the_offer_is_over_then() {
    let mut couple = Couple::new().await;
    let path = couple.file("photo.jpg", &noise(1000));
    let sending = couple.romeo.send_direct(&path).to(&juliet()).progress();
    let offer = couple.next().await;
    drop(sending);
    // The word is out before this returns.
    couple.romeo.close().await;
    let over = async {
        while !matches!(couple.juliet.decide(&offer).await.unwrap(), Decision::Refuse(_)) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, over).await.expect("the offer is still taken for a live one");
}

/// Proves: JIN-13-1, JIN-6.3-2.
#[tokio::test]
async fn strangers_meet_a_client_that_knows_no_sessions() {
    let scene = Scene::new().await;
    let connect = async |name: &str| Account::connect(options(&scene, name), Store::in_memory().unwrap()).await.unwrap();
    let (romeo, juliet_account) = (connect("romeo").await, connect("juliet").await);
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder, "photo.jpg", &noise(1000));
    let device = Jid::from(juliet_account.online().await.unwrap().jid.clone());
    let error = sent(romeo.send_direct(&path).to(&device).progress()).await.1.unwrap_err();
    assert!(error.to_string().contains("knows no file transfer"), "{error}");
    let mut offers = juliet_account.offers();
    assert!(timeout(Duration::from_millis(100), offers.next()).await.is_err(), "nothing is offered to her");
}

#[tokio::test]
async fn nobody_there_is_said_at_once_with_what_to_do() {
    let scene = Scene::new().await;
    let romeo = Account::connect(options(&scene, "romeo"), Store::in_memory().unwrap()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder, "photo.jpg", &noise(1000));
    let error = sent(romeo.send_direct(&path).to(&juliet()).progress()).await.1.unwrap_err();
    assert!(matches!(&error, DirectError::NoDevice { jid } if *jid == juliet()), "{error}");
    assert!(error.advice().unwrap().contains("without --direct"));
}

#[tokio::test]
async fn a_file_that_is_written_to_while_it_waits_is_named_and_nothing_of_it_is_kept() {
    let mut couple = Couple::new().await;
    let path = couple.file("log.txt", &noise(300_000));
    let sending = couple.romeo.send_direct(&path).to(&juliet()).progress();
    let offer = couple.next().await;
    std::fs::write(&path, noise(300_001)).unwrap();
    let plan = yes(&couple.juliet, &offer).await;
    timeout(PATIENCE, couple.juliet.fetch(&offer, plan)).await.unwrap().unwrap_err();
    let error = sent(sending).await.1.unwrap_err();
    assert!(matches!(&error, DirectError::File(why) if why.contains("changed")), "{error}");
}

/// Fetches until something is there.
async fn fetch_some(account: &Account, offer: &CataloguedOffer) -> FetchProgress {
    let mut fetching = account.fetch(offer, yes(account, offer).await).progress();
    loop {
        match timeout(PATIENCE, fetching.next()).await.expect("nothing comes").unwrap() {
            FetchEvent::Received(progress) if progress.have > 500_000 => return fetching,
            FetchEvent::Ended(ended) => panic!("too early: {ended:?}"),
            _ => {}
        }
    }
}

/// Proves: JFT-6.4-1, JIN-6.7-3.
#[tokio::test]
async fn a_device_that_vanished_midway_gets_the_rest_when_it_is_back() {
    let mut couple = Couple::slow().await;
    let bytes = noise(12_000_000);
    let path = couple.file("film.mkv", &bytes);
    let sending = couple.romeo.send_direct(&path).relay_only().to(&juliet()).progress();
    let offer = couple.next().await;
    let fetching = fetch_some(&couple.juliet, &offer).await;
    let store = couple.juliet.store().clone();
    let Couple { scene, romeo: _romeo, juliet, offers, folder: _folder } = couple;
    let sending = tokio::spawn(sent(sending));
    // Without a word.
    drop((fetching, offers, juliet));

    let juliet = Account::connect(options(&scene, "juliet"), store).await.unwrap();
    let mut offers = juliet.offers();
    let again = timeout(PATIENCE, offers.next()).await.expect("it is not offered again").unwrap();
    assert_eq!((again.key(), again.is_again()), (offer.key(), true));
    assert_eq!(bytes_of(&fetch(&juliet, &again).await).await, bytes);
    let (seen, sent) = sending.await.unwrap();
    assert_eq!(sent.unwrap().files.len(), 1);
    let began = |event: &DirectEvent| matches!(event, DirectEvent::Begins { from_byte, .. } if *from_byte >= 500_000);
    assert!(seen.iter().any(began), "it does not go on where it stopped: {seen:?}");
}

/// Proves: JFT-6.5-1.
#[tokio::test]
async fn either_side_stops_midway_and_the_other_hears_who_it_was() {
    let mut couple = Couple::slow().await;
    let path = couple.file("film.mkv", &noise(12_000_000));
    let sending = couple.romeo.send_direct(&path).relay_only().to(&juliet()).progress();
    let offer = couple.next().await;
    let mut fetching = fetch_some(&couple.juliet, &offer).await;
    fetching.cancel();
    while !matches!(timeout(PATIENCE, fetching.next()).await.unwrap(), Some(FetchEvent::Stopped { kept }) if kept >= 500_000) {}
    let error = sent(sending).await.1.unwrap_err();
    assert!(error.to_string().contains("the other side stopped it"), "{error}");

    let sending = couple.romeo.send_direct(&path).relay_only().to(&juliet()).progress();
    let offer = couple.next().await;
    let mut fetching = fetch_some(&couple.juliet, &offer).await;
    drop(sending);
    let error = loop {
        if let FetchEvent::Ended(ended) = timeout(PATIENCE, fetching.next()).await.expect("nothing is said").unwrap() {
            break ended.unwrap_err();
        }
    };
    assert!(error.to_string().contains("stopped it"), "{error}");
}

/// Romeo shows nobody that he is there, so he is told nothing of others; Juliet's devices are asked by message.
#[tokio::test]
async fn who_sees_no_presence_reaches_contacts_by_a_proposal() {
    let couple = Couple::new().await;
    couple.romeo.close().await;
    let (juliet_account, hidden) =
        (&couple.juliet, ConnectOptions { availability: Availability::Hidden, ..options(&couple.scene, "romeo") });
    let romeo = Account::connect(hidden, Store::in_memory().unwrap()).await.unwrap();
    let mut offers = juliet_account.offers();
    let folder = tempfile::tempdir().unwrap();
    let bytes = noise(10_000);
    let sending = romeo.send_direct(file(&folder, "photo.jpg", &bytes)).to(&juliet()).progress();
    let offer = timeout(PATIENCE, offers.next()).await.expect("no offer comes").unwrap();
    assert_eq!(bytes_of(&fetch(juliet_account, &offer).await).await, bytes);
    let sent = sent(sending).await.1.unwrap();
    assert_eq!(sent.files[0].device, Jid::from(juliet_account.online().await.unwrap().jid.clone()));
}
