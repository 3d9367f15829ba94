//! Proxies that lie: those of Mallory, and the one of our own server.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use balcony_client::{Account, Store, WayTaken};
use balcony_wire::{Element, Jid};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::time::timeout;

use super::bytes::host;
use super::mallory::{jingle, refusal};
use super::{Offer, PATIENCE, Stage, about, chunk, in_band, open, socks, told};
use crate::direct::options;
use crate::scene::{Scene, noise};

/// What a proxy says instead of an answer; each is a place for the next way.
const ANSWERS: [&[u8]; 6] = [
    b"\x05\xff",
    b"\x05\x00\x05\x05\x00\x03\x00\x00\x00",
    b"\x04\x00",
    b"\x05\x00\x05\x00\x00\x7f\x00\x00",
    b"HTTP/1.1 400 Bad Request\r\n\r\n",
    b"\x05",
];

async fn liar(says: &'static [u8]) -> (u16, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let task = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut heard = [0; 64];
                let _ = stream.read(&mut heard).await;
                let _ = stream.write_all(says).await;
                while stream.read(&mut heard).await.is_ok_and(|count| count > 0) {}
            });
        }
    });
    (port, task)
}

/// Mallory's candidates are all broken in ways of their own; in band it is honest.
#[tokio::test]
async fn hosts_that_answer_nonsense_lead_to_the_next_way() {
    let stage = Stage::new().await;
    let victim = stage.victim().await;
    let mut hosts = Vec::new();
    let mut tasks = Vec::new();
    for says in ANSWERS {
        let (port, task) = liar(says).await;
        hosts.push(("127.0.0.1".to_owned(), port, None));
        tasks.push(task);
    }
    let bytes = noise(4_000);
    let transport = socks("x1", &stage.mallory.jid, &hosts);
    assert!(refusal(&stage.offers(&Offer { sid: "s1", name: "found.bin", size: bytes.len(), bytes: &bytes, transport }).await).is_none());
    let offer = stage.offered("found.bin").await;
    let give = async {
        stage.mallory.action("s1", "session-accept").await;
        stage.mallory.ask("set", &victim, &about("transport-info", "s1", &told("x1", "<candidate-error/>"))).await;
        let failed = |element: &Element| jingle(element).is_some() && element.to_xml().contains("<candidate-error");
        stage.mallory.until("candidate-error", failed).await;
        stage.mallory.ask("set", &victim, &about("transport-replace", "s1", &in_band("i1"))).await;
        stage.mallory.action("s1", "transport-accept").await;
        assert!(refusal(&stage.mallory.ask("set", &victim, &open("i1")).await).is_none());
        assert!(refusal(&stage.mallory.ask("set", &victim, &chunk("i1", 0, &bytes)).await).is_none());
        stage.mallory.ask("set", &victim, "<close xmlns='http://jabber.org/protocol/ibb' sid='i1'/>").await;
    };
    let (fetched, ()) = tokio::join!(stage.fetches(&offer), give);
    assert!(fetched.unwrap().is_proven());
    tasks.iter().for_each(tokio::task::JoinHandle::abort);
    stage.honest_file_goes_through("honest.bin").await;
}

/// The proxy speaks before it was activated, and nobody ever activates it: what it says is not the file, even if it is.
/// Proves: S5B-10.1-1.
#[tokio::test]
async fn what_a_proxy_says_before_it_is_activated_is_not_taken() {
    let stage = Stage::new().await;
    let victim = stage.victim().await;
    let bytes = noise(50_000);
    let (port, task) = host(bytes.clone()).await;
    let transport = socks("x1", &stage.mallory.jid, &[("127.0.0.1".to_owned(), port, Some("proxy.evil.example"))]);
    assert!(refusal(&stage.offers(&Offer { sid: "s1", name: "early.bin", size: bytes.len(), bytes: &bytes, transport }).await).is_none());
    let offer = stage.offered("early.bin").await;
    let agree = async {
        stage.mallory.action("s1", "session-accept").await;
        stage.mallory.ask("set", &victim, &about("transport-info", "s1", &told("x1", "<candidate-error/>"))).await;
        let used = |element: &Element| jingle(element).is_some() && element.to_xml().contains("<candidate-used");
        stage.mallory.until("candidate-used", used).await;
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        let whole = |element: &Element| element.to_xml().contains("<received") || element.to_xml().contains("<success");
        assert_eq!(stage.mallory.lingers(whole).await, 0, "taken before it was activated");
        stage.mallory.ask("set", &victim, &about("transport-info", "s1", &told("x1", "<proxy-error/>"))).await;
        stage
            .mallory
            .ask(
                "set",
                &victim,
                "<jingle xmlns='urn:xmpp:jingle:1' action='session-terminate' sid='s1'><reason><connectivity-error/></reason></jingle>",
            )
            .await;
    };
    let (fetched, ()) = tokio::join!(stage.fetches(&offer), agree);
    let error = fetched.map(|file| file.is_proven()).expect_err("it was never activated");
    assert!(error.contains("mallory@localhost/evil"), "{error}");
    task.abort();
    stage.honest_file_goes_through("honest.bin").await;
}

/// Our server sends both to a proxy that says yes to everybody and joins nobody: it cannot be activated, and the file goes in band.
/// Proves: S5J-2.4-3.
#[tokio::test]
async fn a_proxy_of_the_server_that_joins_nobody_costs_a_moment_and_not_the_file() {
    let (port, task) = host(b"these are not the bytes you are looking for".to_vec()).await;
    let scene = Scene::with(|settings| settings.proxy.public_port = Some(port)).await;
    let folder = tempfile::tempdir().unwrap();
    let connect = async |name: &str| Account::connect(options(&scene, name), Store::in_memory().unwrap()).await.unwrap();
    let (romeo, juliet) = (connect("romeo").await, connect("juliet").await);
    for (one, other) in [(&romeo, &juliet), (&juliet, &romeo)] {
        one.add_contact(other.jid(), None, Vec::new(), true).await.unwrap();
    }
    let bytes = noise(300_000);
    let path = folder.path().join("whole.bin");
    std::fs::write(&path, &bytes).unwrap();
    let mut offers = juliet.offers();
    let to: Jid = juliet.jid().to_string().parse().unwrap();
    let sending = romeo.send_direct(&path).relay_only().to(&to).into_future();
    let taking = async {
        let offer = timeout(PATIENCE, offers.next()).await.unwrap().unwrap();
        super::fetch(&juliet, &offer).await
    };
    let (sent, taken) = timeout(PATIENCE, async { tokio::join!(sending, taking) }).await.unwrap();
    let sent = sent.unwrap();
    assert_eq!(sent.files[0].way, Some(WayTaken::InBand));
    assert!(!sent.files[0].address_shown && taken.unwrap().is_proven());
    task.abort();
}

/// And one that says nothing at all.
#[tokio::test]
async fn a_proxy_that_is_silent_is_waited_for_a_moment_only() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    let silent = tokio::spawn(async move {
        let mut kept = Vec::new();
        loop {
            kept.push(listener.accept().await.unwrap());
            counted.fetch_add(1, Ordering::Relaxed);
        }
    });
    let scene = Scene::with(|settings| settings.proxy.public_port = Some(port)).await;
    let folder = tempfile::tempdir().unwrap();
    let connect = async |name: &str| Account::connect(options(&scene, name), Store::in_memory().unwrap()).await.unwrap();
    let (romeo, juliet) = (connect("romeo").await, connect("juliet").await);
    for (one, other) in [(&romeo, &juliet), (&juliet, &romeo)] {
        one.add_contact(other.jid(), None, Vec::new(), true).await.unwrap();
    }
    let path = folder.path().join("whole.bin");
    std::fs::write(&path, noise(300_001)).unwrap();
    let mut offers = juliet.offers();
    let to: Jid = juliet.jid().to_string().parse().unwrap();
    let sending = romeo.send_direct(&path).relay_only().to(&to).into_future();
    let taking = async {
        let offer = timeout(PATIENCE, offers.next()).await.unwrap().unwrap();
        super::fetch(&juliet, &offer).await
    };
    let (sent, taken) = timeout(PATIENCE, async { tokio::join!(sending, taking) }).await.unwrap();
    assert_eq!(sent.unwrap().files[0].way, Some(WayTaken::InBand));
    assert!(taken.unwrap().is_proven() && asked.load(Ordering::Relaxed) > 0);
    silent.abort();
}
