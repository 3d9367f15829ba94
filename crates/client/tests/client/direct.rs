//! Files straight from one device to the other: by SOCKS5, through the server's proxy, in band; several, empty ones, broken ones.

use std::path::PathBuf;
use std::time::Duration;

use balcony_client::{
    Account, CataloguedOffer, ConnectOptions, Decision, DirectError, DirectEvent, DirectProgress, Offers, Plan, Security, SentDirectly,
    SharedFile, Store, WayTaken, Wish,
};
use balcony_wire::Jid;
use tokio::time::timeout;

use crate::scene::{Scene, noise};
use crate::sharing::{file, juliet};

const PATIENCE: Duration = Duration::from_secs(30);

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
        let scene = Scene::new().await;
        let connect = async |name: &str| Account::connect(options(&scene, name), Store::in_memory().unwrap()).await.unwrap();
        let (romeo, juliet) = (connect("romeo").await, connect("juliet").await);
        romeo.add_contact(juliet.jid(), None, Vec::new(), true).await.unwrap();
        juliet.add_contact(romeo.jid(), None, Vec::new(), true).await.unwrap();
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

/// Proves: JIN-6.5-1.
#[tokio::test]
async fn a_file_goes_straight_to_the_other_device_and_arrives_proven() {
    let mut couple = Couple::new().await;
    let bytes = noise(3_000_000);
    let path = couple.file("très cool.bin", &bytes);
    let sending = couple.romeo.send_direct(&path).to(&juliet()).progress();

    let offer = couple.next().await;
    assert_eq!((offer.name().as_str(), offer.size()), ("très cool.bin", Some(3_000_000)));
    let got = fetch(&couple.juliet, &offer).await;
    assert_eq!(bytes_of(&got).await, bytes);

    let sent = sent(sending).await.1.unwrap();
    assert_eq!((sent.files.len(), sent.failed.len()), (1, 0));
    assert_eq!(sent.files[0].way, WayTaken::Direct);
    assert!(sent.files[0].address_shown);
    couple.romeo.close().await;
    couple.juliet.close().await;
}
