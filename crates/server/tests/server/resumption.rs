//! XEP-0198: acknowledged, resumed, and what happens when nobody comes back.

use std::time::Duration;

use crate::house::{House, house, house_with};
use crate::peer::{Peer, body, condition};

/// Turns stream management on; the id to resume by.
async fn manage(peer: &mut Peer) -> String {
    peer.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>").await;
    let enabled = peer.until(|element| element.is("enabled", "urn:xmpp:sm:3")).await;
    enabled.attr("id").unwrap().to_owned()
}

/// A new connection asks for an old session.
async fn resume(house: &House, name: &str, id: &str, h: u32) -> (Peer, balcony_wire::Element) {
    let mut peer = house.stranger().await;
    peer.log_in(name, name).await;
    peer.send(&format!("<resume xmlns='urn:xmpp:sm:3' previd='{id}' h='{h}'/>")).await;
    let answer = peer.until(|element| element.ns() == "urn:xmpp:sm:3").await;
    (peer, answer)
}

async fn message(peer: &mut Peer, to: &str, text: &str) {
    peer.send(&format!("<message type='chat' id='{text}' to='{to}'><body>{text}</body></message>")).await;
}

/// Proves: C0198-4-1.
#[tokio::test]
async fn stanzas_are_counted_and_nothing_else_is() {
    let house = house().await;
    let mut peer = house.login("romeo", "balcony").await;
    manage(&mut peer).await;
    peer.send("<presence/> <message to='romeo@localhost' type='chat'/><iq type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>").await;
    peer.send("<a xmlns='urn:xmpp:sm:3' h='0'/><inactive xmlns='urn:xmpp:csi:0'/><r xmlns='urn:xmpp:sm:3'/>").await;
    // Told in parts: the message counts once it is safe, here on the disk, as the client does not say that it has it.
    let acks = peer.until(|element| element.is("a", "urn:xmpp:sm:3") && element.attr("h") == Some("3"));
    tokio::time::timeout(crate::peer::PATIENCE, acks).await.unwrap();
}

/// Proves: C0198-5-1.
#[tokio::test]
async fn a_lost_session_goes_on_and_nothing_said_meanwhile_is_lost_or_said_twice() {
    let house = house().await;
    let mut romeo = house.online("romeo", "balcony").await;
    let mut juliet = house.online("juliet", "chamber").await;
    let id = manage(&mut juliet).await;
    message(&mut romeo, "juliet@localhost", "read").await;
    juliet.until(|element| body(element).as_deref() == Some("read")).await;
    message(&mut romeo, "juliet@localhost", "on its way").await;
    romeo.settle().await;
    juliet.cut();
    message(&mut romeo, "juliet@localhost/chamber", "while away").await;
    romeo.settle().await;
    let (mut juliet, resumed) = resume(&house, "juliet", &id, 1).await;
    assert_eq!((resumed.name(), resumed.attr("h")), ("resumed", Some("0")));
    for expected in ["on its way", "while away"] {
        let came = juliet.until(|element| element.name() == "message").await;
        assert_eq!(body(&came).as_deref(), Some(expected));
    }
    message(&mut juliet, "romeo@localhost", "here again").await;
    let heard = romeo.until(|element| element.name() == "message").await;
    assert_eq!(heard.attr("from"), Some("juliet@localhost/chamber"));
    message(&mut romeo, "juliet@localhost", "good").await;
    assert_eq!(body(&juliet.until(|element| element.name() == "message").await).as_deref(), Some("good"));
}

/// The old connection may look alive to the server: the new one wins all the same.
///
/// Proves: C0198-5-1.
#[tokio::test]
async fn a_session_is_taken_over_from_a_connection_that_still_stands() {
    let house = house().await;
    let mut romeo = house.online("romeo", "balcony").await;
    let mut old = house.online("juliet", "chamber").await;
    let id = manage(&mut old).await;
    let (mut new, resumed) = resume(&house, "juliet", &id, 0).await;
    assert_eq!(resumed.name(), "resumed");
    assert_eq!(old.ending().await.as_deref(), Some("conflict"));
    message(&mut romeo, "juliet@localhost", "hello").await;
    assert_eq!(body(&new.until(|element| element.name() == "message").await).as_deref(), Some("hello"));
    // And again, from the one that took over.
    let (mut newest, resumed) = resume(&house, "juliet", &id, 1).await;
    assert_eq!(resumed.name(), "resumed");
    message(&mut romeo, "juliet@localhost", "again").await;
    assert_eq!(body(&newest.until(|element| element.name() == "message").await).as_deref(), Some("again"));
}

/// Proves: C0198-5-1.
#[tokio::test]
async fn sessions_of_others_and_unknown_ones_are_not_resumed_and_the_login_goes_on() {
    let house = house().await;
    let mut juliet = house.online("juliet", "chamber").await;
    let id = manage(&mut juliet).await;
    for (name, id) in [("romeo", id.as_str()), ("juliet", "no-such-session")] {
        let (mut peer, failed) = resume(&house, name, id, 0).await;
        assert_eq!(failed.name(), "failed");
        assert!(failed.child("item-not-found", "urn:ietf:params:xml:ns:xmpp-stanzas").is_some());
        peer.bind("new").await;
    }
    juliet.settle().await;
}

/// Proves: C0198-4-2.
#[tokio::test]
async fn what_a_client_that_never_comes_back_did_not_read_is_kept_or_returned() {
    let house = house_with(|settings| settings.resume_for = Duration::from_millis(200)).await;
    let mut romeo = house.online("romeo", "balcony").await;
    let mut juliet = house.online("juliet", "chamber").await;
    manage(&mut juliet).await;
    message(&mut romeo, "juliet@localhost", "one").await;
    romeo.settle().await;
    juliet.cut();
    message(&mut romeo, "juliet@localhost/chamber", "two").await;
    romeo.send("<iq type='get' id='lost' to='juliet@localhost/chamber'><query xmlns='urn:example'/></iq>").await;
    let refused = romeo.until(|element| element.attr("id") == Some("lost")).await;
    assert_eq!(condition(&refused), "service-unavailable");
    let mut juliet = house.login("juliet", "garden").await;
    juliet.send("<presence/>").await;
    let mut seen = Vec::new();
    while seen.len() < 2 {
        let came = juliet.until(|element| element.name() == "message").await;
        assert!(came.child("delay", "urn:xmpp:delay").is_some());
        seen.extend(body(&came));
    }
    assert_eq!(seen, ["one", "two"]);
}

/// Proves: C0198-6-1.
#[tokio::test]
async fn an_acknowledgement_of_more_than_was_sent_ends_the_stream() {
    let house = house().await;
    let mut peer = house.online("romeo", "balcony").await;
    manage(&mut peer).await;
    peer.send("<a xmlns='urn:xmpp:sm:3' h='1000'/>").await;
    let error = peer.until(|element| element.is("error", "http://etherx.jabber.org/streams")).await;
    let too_high = error.child("handled-count-too-high", "urn:xmpp:sm:3").unwrap();
    assert_eq!(too_high.attr("h"), Some("1000"));
}

#[tokio::test]
async fn a_lost_session_is_ended_by_a_new_one_of_the_same_address() {
    let house = house().await;
    let mut watcher = house.online("romeo", "garden").await;
    let mut lost = house.online("romeo", "balcony").await;
    let id = manage(&mut lost).await;
    lost.cut();
    house.online("romeo", "balcony").await.settle().await;
    watcher.until(|element| element.attr("type") == Some("unavailable") && element.attr("from") == Some("romeo@localhost/balcony")).await;
    let (_, failed) = resume(&house, "romeo", &id, 0).await;
    assert_eq!(failed.name(), "failed");
}

#[tokio::test]
async fn a_server_that_ends_keeps_what_a_lost_client_did_not_read() {
    let house = house().await;
    let mut romeo = house.online("romeo", "balcony").await;
    let mut juliet = house.online("juliet", "chamber").await;
    manage(&mut juliet).await;
    juliet.cut();
    message(&mut romeo, "juliet@localhost", "late").await;
    romeo.settle().await;
    let house = house.restart().await;
    let mut juliet = house.login("juliet", "chamber").await;
    juliet.send("<presence/>").await;
    assert_eq!(body(&juliet.until(|element| element.name() == "message").await).as_deref(), Some("late"));
}

/// The one that came later was not there when the message was sent: it must get it, not lose it.
#[tokio::test]
async fn a_later_session_gets_what_a_lost_one_did_not_read() {
    let house = house_with(|settings| settings.resume_for = Duration::from_millis(500)).await;
    let mut romeo = house.online("romeo", "balcony").await;
    let mut lost = house.online("juliet", "lost").await;
    manage(&mut lost).await;
    lost.cut();
    message(&mut romeo, "juliet@localhost", "to whom it concerns").await;
    romeo.settle().await;
    let mut later = house.online("juliet", "later").await;
    let came = later.until(|element| element.name() == "message").await;
    assert_eq!(body(&came).as_deref(), Some("to whom it concerns"));
    later.log_out().await;
    let mut again = house.login("juliet", "again").await;
    again.send("<presence/>").await;
    assert!(again.settle().await.iter().all(|element| element.name() != "message"), "it came twice");
}

/// Who starts a program again after a crash does not wait for what the crashed one would have got.
#[tokio::test]
async fn a_new_session_gets_at_once_what_waits_for_a_lost_one_and_nobody_gets_it_twice() {
    let house = house_with(|settings| settings.resume_for = Duration::from_secs(300)).await;
    let mut romeo = house.online("romeo", "balcony").await;
    let mut lost = house.online("juliet", "lost").await;
    let id = manage(&mut lost).await;
    lost.cut();
    message(&mut romeo, "juliet@localhost", "for all").await;
    message(&mut romeo, "juliet@localhost/lost", "for one").await;
    romeo.settle().await;
    let mut new = house.online("juliet", "new").await;
    let came = new.until(|element| element.name() == "message").await;
    assert_eq!(body(&came).as_deref(), Some("for all"));
    assert!(came.child("delay", "urn:xmpp:delay").is_some());
    message(&mut romeo, "juliet@localhost", "later").await;
    assert_eq!(body(&new.until(|element| element.name() == "message").await).as_deref(), Some("later"));

    // A third one finds nothing that the second has not got, and the lost one comes back to all of it.
    let mut third = house.online("juliet", "third").await;
    assert!(third.settle().await.iter().all(|element| element.name() != "message"), "it came twice");
    let (mut lost, resumed) = resume(&house, "juliet", &id, 0).await;
    assert_eq!(resumed.name(), "resumed");
    let mut seen = Vec::new();
    while seen.len() < 3 {
        seen.extend(body(&lost.until(|element| element.name() == "message").await));
    }
    assert_eq!(seen, ["for all", "for one", "later"]);
}

#[tokio::test]
async fn lost_sessions_make_room_for_one_that_is_here_the_oldest_first() {
    let house = house_with(|settings| settings.limits.sessions_per_account = 2).await;
    let mut ids = Vec::new();
    for resource in ["first", "second"] {
        let mut peer = house.online("juliet", resource).await;
        ids.push(manage(&mut peer).await);
        peer.cut();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    house.online("juliet", "third").await.settle().await;
    let (_, gone) = resume(&house, "juliet", &ids[0], 0).await;
    assert_eq!(gone.name(), "failed");
    let (_second, resumed) = resume(&house, "juliet", &ids[1], 0).await;
    assert_eq!(resumed.name(), "resumed", "only as many as needed make room");
}
