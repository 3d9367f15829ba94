//! slixmpp knows stream initiation and no Jingle file transfer: files go both ways, by SOCKS5, through the proxies of other people's
//! servers, and in band.

use std::path::PathBuf;
use std::time::Duration;

use balcony_client::{Account, ConnectOptions, Offers, Security, ServerAddress, Store, WayTaken};
use balcony_wire::Jid;
use sha2::{Digest as _, Sha256};
use testing_peers::{Endpoints, Peers, Server, Slixmpp};
use tokio::time::timeout;

use crate::direct::{fetch, sent};
use crate::scene::noise;
use crate::sharing::file;

const PATIENCE: Duration = Duration::from_secs(60);

/// Alice with Balcony, Bob with slixmpp; they are contacts.
struct Pair {
    peers: Peers,
    there: Endpoints,
    alice: Account,
    offers: Offers,
    folder: tempfile::TempDir,
}

impl Pair {
    async fn new(peers: Peers, there: &Endpoints) -> Self {
        let address: ServerAddress = there.starttls().parse().unwrap();
        let options = ConnectOptions {
            server: Some((address, Security::StartTls)),
            ca_pem: Some(std::fs::read_to_string(there.ca()).unwrap()),
            loopback_http: true,
            ..ConnectOptions::with_password(there.jid("alice").parse().unwrap(), there.password("alice"))
        };
        let alice = Account::connect(options, Store::in_memory().unwrap()).await.unwrap();
        let bob = there.jid("bob").parse::<Jid>().unwrap().into_bare().unwrap();
        alice.add_contact(&bob, None, Vec::new(), true).await.unwrap();
        let offers = alice.offers();
        Self { peers, there: there.clone(), alice, offers, folder: tempfile::tempdir().unwrap() }
    }

    fn bob(&self, ways: &str) -> Slixmpp {
        self.peers.slixmpp(&self.there, "bob/old").with(&["--si", ways])
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        file(&self.folder, name, bytes)
    }

    /// Balcony gives: which way the bytes took.
    async fn give(&self, ways: &str, length: usize, relay_only: bool) -> WayTaken {
        let bob = self.bob(ways);
        let mut listening = tokio::task::spawn_blocking(move || bob.listen().unwrap()).await.unwrap();
        let bytes = noise(length);
        let share = self.alice.send_direct(self.file("to bob.bin", &bytes));
        let share = if relay_only { share.relay_only() } else { share };
        // To the person, not the device: it is found by its presence, and asked what it can do.
        let sent = sent(share.to(&self.there.jid("bob").parse().unwrap()).progress()).await.1.unwrap();
        let expected = hex(&bytes);
        let got = tokio::task::spawn_blocking(move || {
            let offered = listening.wait_for("an offer", |event| event["event"] == "si_offered");
            assert_eq!((offered["name"].as_str(), offered["size"].as_str()), (Some("to bob.bin"), Some(length.to_string().as_str())));
            // slixmpp connects to all places at once, and only one of them carries the file.
            let is_it = |event: &str| event == "s5b_received" || event == "ibb_received";
            listening.wait_for("the bytes", |event| event["event"].as_str().is_some_and(is_it) && event["sha256"] == expected.as_str());
        });
        got.await.unwrap();
        sent.files[0].way.clone().unwrap()
    }

    /// slixmpp gives: by which way it was asked to.
    async fn take(&mut self, ways: &str, length: usize) -> String {
        let (bob, bytes) = (self.bob(ways), noise(length));
        let path = self.file("to alice.bin", &bytes).display().to_string();
        let device = self.alice.online().await.unwrap().jid.to_string();
        let giving = tokio::task::spawn_blocking(move || bob.run(&["si", &device, &path]).unwrap());
        let offer = timeout(PATIENCE, self.offers.next()).await.expect("no offer comes").unwrap();
        assert_eq!((offer.name().as_str(), offer.size()), ("to alice.bin", Some(length as u64)));
        let got = fetch(&self.alice, &offer).await;
        let saved = got.save_in(self.folder.path(), balcony_client::OnClash::Rename).await.unwrap();
        assert!(std::fs::read(saved).unwrap() == bytes);
        let events = giving.await.unwrap();
        let accepted = events.iter().find(|event| event["event"] == "si_accepted");
        accepted.and_then(|event| event["method"].as_str()).unwrap_or_else(|| panic!("{events:?}")).to_owned()
    }
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn files_go_both_ways(server: Server) {
    let Ok(peers) = Peers::available().map_err(testing_peers::Skipped::say) else { return };
    let instance = peers.start(server, &[]).unwrap();
    let mut pair = Pair::new(peers, instance.endpoints()).await;
    assert_eq!(pair.give("s5b,ibb", 300_000, false).await, WayTaken::Direct);
    assert!(matches!(pair.give("s5b,ibb", 300_000, true).await, WayTaken::Proxy(_)));
    assert_eq!(pair.give("ibb", 30_000, false).await, WayTaken::InBand);
    assert_eq!(pair.take("s5b,ibb", 300_000).await, "s5b");
    assert_eq!(pair.take("ibb", 30_000).await, "ibb");
    pair.alice.close().await;
}

/// Proves: GL-20, USER-7-4, SIF-3.1-1, S5B-6.3-1, S5B-4-1.
#[tokio::test]
async fn slixmpp_and_we_give_each_other_files_over_prosody() {
    files_go_both_ways(Server::Prosody).await;
}

/// Proves: GL-20, USER-7-4, SIF-3.1-1, S5B-6.3-1, S5B-4-1.
#[tokio::test]
async fn slixmpp_and_we_give_each_other_files_over_ejabberd() {
    files_go_both_ways(Server::Ejabberd).await;
}
