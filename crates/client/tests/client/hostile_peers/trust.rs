//! Whom bytes, rules and places were meant for: what one person leaves behind, asks for or is told must not count for another.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use balcony_wire::Jid;
use tokio::time::timeout;

use super::mallory::{Mallory, refusal};
use super::{Offer, PATIENCE, Stage, about, chunk, in_band, open, polite, socks};
use crate::scene::{PASSWORD, noise};

/// Mallory knows which file Romeo will send, offers it first, and breaks off behind bytes that are none of it.
#[tokio::test]
async fn what_one_person_left_of_a_file_does_not_spoil_the_same_file_of_another() {
    let stage = Stage::new().await;
    let victim = stage.victim().await;
    let bytes = noise(100_000);
    let promised = Offer { sid: "s1", name: "first.bin", size: bytes.len(), bytes: &bytes, transport: in_band("i1") };
    assert!(refusal(&stage.offers(&promised).await).is_none());
    let offer = stage.offered("first.bin").await;
    let junk = vec![b'x'; 4_096];
    let give = async {
        stage.mallory.action("s1", "session-accept").await;
        assert!(refusal(&stage.mallory.ask("set", &victim, &open("i1")).await).is_none());
        for seq in 0..12 {
            assert!(refusal(&stage.mallory.ask("set", &victim, &chunk("i1", seq, &junk)).await).is_none());
        }
        let over = "<jingle xmlns='urn:xmpp:jingle:1' action='session-terminate' sid='s1'><reason><cancel/></reason></jingle>";
        stage.mallory.ask("set", &victim, over).await;
    };
    let (fetched, ()) = tokio::join!(stage.fetches(&offer), give);
    fetched.expect_err("less than half of it, and wrong");
    let path = stage.file("second.bin", &bytes);
    let to: Jid = "juliet@localhost".parse().unwrap();
    let sending = stage.romeo.send_direct(&path).to(&to).into_future();
    let taking = async {
        let offer = stage.offered("second.bin").await;
        stage.fetches(&offer).await
    };
    let (sent, taken) = timeout(PATIENCE * 2, async { tokio::join!(sending, taking) }).await.expect("it hangs");
    assert!(taken.unwrap_or_else(|error| panic!("honest Romeo's file is not taken: {error}")).is_proven());
    assert_eq!(sent.unwrap().files.len(), 1);
}

/// Each look takes its time so that nothing can be told from it; a stranger to whom anything is given has no more than a few at once.
#[tokio::test]
async fn a_stranger_who_asks_without_end_is_looked_after_a_few_times_at_once() {
    const ASKED: usize = 600;
    /// Of one person.
    const AT_ONCE: usize = 16;
    /// What each takes at least.
    const LOOK: Duration = Duration::from_millis(50);
    let stage = Stage::new().await;
    let victim = stage.victim().await;
    stage.scene.server.add_account("stranger", PASSWORD).await.unwrap();
    let stranger = Mallory::at(&stage.scene.server, "stranger", "x", Arc::new(polite)).await;
    stage.juliet.fetcher().set_giving(stage.juliet.jid(), "give strangers even unoffered".parse().unwrap()).await.unwrap();
    let began = Instant::now();
    let asked: Vec<_> =
        (0..ASKED).map(|n| stranger.begin("get", &victim, &format!("<start xmlns='urn:xmpp:jinglepub:1' id='guess{n}'/>"))).collect();
    let mut heard: BTreeMap<String, usize> = BTreeMap::new();
    for id in asked {
        let (condition, _) = refusal(&stranger.answer(&id).await).expect("started");
        *heard.entry(condition).or_default() += 1;
    }
    let looks = usize::try_from(began.elapsed().as_millis() / LOOK.as_millis()).unwrap() + 1;
    let looked = heard.get("not-acceptable").copied().unwrap_or_default();
    assert!(looked <= AT_ONCE * looks, "{looked} looks in {:?}: {heard:?}", began.elapsed());
    stage.honest_file_goes_through("honest.bin").await;
}

/// Mallory calls a machine of their own a proxy, and puts a name into the list that only their own server can look up. Who says that no
/// address is to be shown comes to neither, and looks nothing up: the file comes in band.
#[tokio::test]
async fn with_relays_alone_nobody_comes_to_a_place_that_the_peer_names() {
    let stage = Stage::new().await;
    stage.juliet.use_policy("fetch everybody from relayed".parse().unwrap());
    let victim = stage.victim().await;
    let trap = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = trap.local_addr().unwrap().port();
    let places = [
        ("127.0.0.1".to_owned(), port, None),
        ("127.0.0.1".to_owned(), port, Some("proxy.localhost")),
        ("127.0.0.1".to_owned(), port, Some("proxy.mallory.example")),
        ("localhost".to_owned(), port, Some("proxy.localhost")),
    ];
    let bytes = noise(8_192);
    let transport = socks("x1", &stage.mallory.jid, &places);
    let promised = Offer { sid: "s1", name: "trap.bin", size: bytes.len(), bytes: &bytes, transport };
    assert!(refusal(&stage.offers(&promised).await).is_none());
    let offer = stage.offered("trap.bin").await;
    let give = async {
        let accepted = stage.mallory.action("s1", "session-accept").await.to_xml();
        assert!(!accepted.contains("type='direct'") && !accepted.contains("type=\"direct\""), "{accepted}");
        let replace = about("transport-replace", "s1", &in_band("i1"));
        assert!(refusal(&stage.mallory.ask("set", &victim, &replace).await).is_none());
        stage.mallory.action("s1", "transport-accept").await;
        assert!(refusal(&stage.mallory.ask("set", &victim, &open("i1")).await).is_none());
        for (seq, block) in bytes.chunks(4_096).enumerate() {
            assert!(refusal(&stage.mallory.ask("set", &victim, &chunk("i1", seq, block)).await).is_none());
        }
        stage.mallory.ask("set", &victim, "<close xmlns='http://jabber.org/protocol/ibb' sid='i1'/>").await;
    };
    let (fetched, ()) = tokio::join!(stage.fetches(&offer), give);
    assert!(fetched.unwrap().is_proven());
    let came = timeout(Duration::from_millis(50), trap.accept()).await;
    assert!(came.is_err(), "somebody came to the trap");
}
