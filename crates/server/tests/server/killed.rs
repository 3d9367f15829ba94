//! `kill -9` in the middle of everything: what is there at the next start.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use balcony_server::{Server, Settings};
use tokio::io::AsyncWriteExt as _;

use crate::house::{ACCOUNTS, House, start_in, tls};
use crate::peer::{Peer, body};
use crate::uploads::{bytes, slot};
use crate::web::{ask, begin_at, finish, put};

const FOLDER: &str = "BALCONY_TEST_SERVER_FOLDER";

/// The server that is killed: does nothing unless the test below starts it.
#[tokio::test]
async fn serves_until_it_is_killed() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let folder = Path::new(&folder);
    let mut settings = Settings::new("localhost", folder.join("data"));
    settings.scram_iterations = 4096;
    let server = Server::start(settings).await.unwrap();
    for name in ACCOUNTS {
        server.add_account(name, name).await.unwrap();
    }
    std::fs::write(folder.join("new"), format!("{}\n{}\n", server.c2s_tls_addr(), server.https_addr())).unwrap();
    std::fs::rename(folder.join("new"), folder.join("ready")).unwrap();
    // Whoever started it kills it; if that went wrong it ends by itself.
    tokio::time::sleep(Duration::from_secs(120)).await;
}

/// This very program again, as a server in that folder.
fn spawn(folder: &Path) -> (Child, SocketAddr, SocketAddr) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "killed::serves_until_it_is_killed"]).env(FOLDER, folder).stdout(Stdio::null()).stderr(Stdio::null());
    let child = command.spawn().unwrap();
    let until = Instant::now() + Duration::from_secs(60);
    let ready = loop {
        match std::fs::read_to_string(folder.join("ready")) {
            Ok(ready) => break ready,
            Err(_) if Instant::now() < until => std::thread::sleep(Duration::from_millis(20)),
            Err(error) => panic!("the server did not start: {error}"),
        }
    };
    let mut addresses = ready.lines().map(|line| line.parse().unwrap());
    (child, addresses.next().unwrap(), addresses.next().unwrap())
}

/// Logs in, says that it is there, and turns stream management on.
async fn managed(xmpp: SocketAddr, ca: &str, name: &str) -> Peer {
    let mut peer = Peer::connect_to(xmpp, &tls(ca, "xmpp-client")).await;
    peer.open().await;
    peer.log_in(name, name).await;
    peer.bind("balcony").await;
    // What comes because of that is not counted.
    peer.send("<presence/>").await;
    peer.settle().await;
    peer.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>").await;
    peer.until(|element| element.is("enabled", "urn:xmpp:sm:3")).await;
    peer
}

/// Says something and waits until the server has said that it has it.
async fn say(peer: &mut Peer, text: &str, hints: &str, nth: u32) {
    peer.send(&format!("<message type='chat' id='{text}' to='juliet@localhost'><body>{text}</body>{hints}</message>")).await;
    peer.send("<r xmlns='urn:xmpp:sm:3'/>").await;
    let nth = nth.to_string();
    peer.until(|element| element.is("a", "urn:xmpp:sm:3") && element.attr("h") == Some(nth.as_str())).await;
}

/// A message that was acknowledged to whoever said it was lost with the server, when its addressee had not got it, or had and was killed.
#[tokio::test]
async fn what_was_acknowledged_to_its_sender_survives_kill_9_whatever_its_addressee_does() {
    let folder = tempfile::tempdir().unwrap();
    let (mut child, xmpp, _) = spawn(folder.path());
    let ca = std::fs::read_to_string(folder.path().join("data/authority.crt")).unwrap();
    let mut romeo = managed(xmpp, &ca, "romeo").await;
    let mut juliet = managed(xmpp, &ca, "juliet").await;
    say(&mut romeo, "not acknowledged", "", 1).await;
    juliet.until(|element| body(element).as_deref() == Some("not acknowledged")).await;
    juliet.send("<a xmlns='urn:xmpp:sm:3' h='1'/>").await;
    juliet.settle().await;
    say(&mut romeo, "read, and not acknowledged", "", 2).await;
    say(&mut romeo, "not to be kept", "<no-store xmlns='urn:xmpp:hints'/>", 3).await;
    juliet.cut();
    say(&mut romeo, "while she is lost", "", 4).await;
    child.kill().unwrap();
    child.wait().unwrap();

    let house = House { server: start_in(&folder, |_| {}).await, folder };
    let mut juliet = house.login("juliet", "chamber").await;
    juliet.send("<presence/>").await;
    let came: Vec<_> = juliet.settle().await.iter().filter(|element| element.name() == "message").cloned().collect();
    let texts: Vec<_> = came.iter().filter_map(body).collect();
    assert_eq!(texts, ["read, and not acknowledged", "while she is lost"]);
    assert!(came.iter().all(|message| message.to_xml().contains("urn:xmpp:delay")), "they say when they were said");
    drop(juliet);
    let mut again = house.login("juliet", "balcony").await;
    again.send("<presence/>").await;
    assert!(!again.settle().await.iter().any(|element| element.name() == "message"), "once is enough");
}

/// Two devices of hers were lost; who comes after the crash gets what both waited for once.
#[tokio::test]
async fn what_several_lost_sessions_waited_for_is_kept_once() {
    let folder = tempfile::tempdir().unwrap();
    let (mut child, xmpp, _) = spawn(folder.path());
    let ca = std::fs::read_to_string(folder.path().join("data/authority.crt")).unwrap();
    let mut romeo = managed(xmpp, &ca, "romeo").await;
    for resource in ["phone", "laptop"] {
        let mut device = Peer::connect_to(xmpp, &tls(&ca, "xmpp-client")).await;
        device.open().await;
        device.log_in("juliet", "juliet").await;
        device.bind(resource).await;
        device.send("<presence/><enable xmlns='urn:xmpp:sm:3' resume='true'/>").await;
        device.until(|element| element.is("enabled", "urn:xmpp:sm:3")).await;
        device.cut();
    }
    for (nth, text) in (1..).zip(["twice", "twice", "once"]) {
        say(&mut romeo, text, "", nth).await;
    }
    child.kill().unwrap();
    child.wait().unwrap();

    let house = House { server: start_in(&folder, |_| {}).await, folder };
    let mut juliet = house.login("juliet", "chamber").await;
    juliet.send("<presence/>").await;
    let came: Vec<_> = juliet.settle().await.iter().filter_map(body).collect();
    assert_eq!(came, ["twice", "twice", "once"]);
}

#[tokio::test]
async fn what_was_answered_survives_kill_9_and_what_was_half_done_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (mut child, xmpp, https) = spawn(folder.path());
    let ca = std::fs::read_to_string(folder.path().join("data/authority.crt")).unwrap();
    let mut romeo = Peer::connect_to(xmpp, &tls(&ca, "xmpp-client")).await;
    romeo.open().await;
    romeo.log_in("romeo", "romeo").await;
    romeo.bind("balcony").await;
    romeo.ask("set", "", "<query xmlns='jabber:iq:roster'><item jid='juliet@localhost'/></query>").await;
    romeo.send("<message type='chat' to='juliet@localhost'><body>my last words</body></message>").await;
    romeo.settle().await;
    let (to, from) = slot(&mut romeo, "whole.bin", 100_000, "").await;
    let (half_to, half_from) = slot(&mut romeo, "half.bin", 10_000_000, "").await;
    let web = tls(&ca, "http/1.1");
    let mut whole = begin_at(https, &web, "PUT", &to, &[("Content-Length", "100000")]).await;
    whole.write_all(&bytes(100_000)).await.unwrap();
    whole.flush().await.unwrap();
    assert_eq!(finish(whole).await.status, 201);
    let mut half = begin_at(https, &web, "PUT", &half_to, &[("Content-Length", "10000000")]).await;
    half.write_all(&bytes(5_000_000)).await.unwrap();
    half.flush().await.unwrap();
    child.kill().unwrap();
    child.wait().unwrap();

    let house = House { server: start_in(&folder, |_| {}).await, folder };
    let moved = |url: &str| url.replace(&format!(":{}/", https.port()), &format!(":{}/", house.server.https_addr().port()));
    assert_eq!(std::fs::read_dir(house.folder.path().join("data/uploads/incoming")).unwrap().count(), 0);
    assert!(ask(&house, "GET", &moved(&from), &[]).await.body == bytes(100_000));
    assert_eq!(ask(&house, "GET", &moved(&half_from), &[]).await.status, 404);
    assert_eq!(put(&house, &moved(&half_to), None, &bytes(10_000_000)).await.status, 201, "the slot is still good");
    let mut juliet = house.login("juliet", "chamber").await;
    juliet.send("<presence/>").await;
    let letter = juliet.until(|element| element.name() == "message").await;
    assert_eq!(body(&letter).as_deref(), Some("my last words"));
    let mut romeo = house.login("romeo", "balcony").await;
    let roster = romeo.ask("get", "", "<query xmlns='jabber:iq:roster'/>").await;
    assert!(roster.to_xml().contains("juliet@localhost"));
}
