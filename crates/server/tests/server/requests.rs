//! Iq: who answers what, and what discovery says.

use balcony_wire::caps::verification_string;
use balcony_wire::disco::{DiscoInfo, DiscoItems};
use balcony_wire::{Payload as _, ns};

use crate::house::house;
use crate::peer::condition;

const INFO: &str = "<query xmlns='http://jabber.org/protocol/disco#info'/>";
const ITEMS: &str = "<query xmlns='http://jabber.org/protocol/disco#items'/>";

/// Proves: C6120-8.2-1, C6120-8.4-1, C6120-8.3-1, C6120-10-2.
#[tokio::test]
async fn requests_nobody_understands_are_refused_wherever_they_go() {
    let house = house().await;
    let mut peer = house.login("romeo", "balcony").await;
    let unknown = "<query xmlns='urn:example:unknown'/>";
    for to in [
        "",
        "romeo@localhost",
        "juliet@localhost",
        "nobody@localhost",
        "localhost",
        "upload.localhost",
        "romeo@localhost/gone",
        "localhost/x",
    ] {
        assert_eq!(condition(&peer.ask("get", to, unknown).await), "service-unavailable", "to {to:?}");
        assert_eq!(condition(&peer.ask("set", to, unknown).await), "service-unavailable", "to {to:?}");
    }
    assert_eq!(condition(&peer.ask("get", "elsewhere.example", unknown).await), "remote-server-not-found");
    let answer = peer.ask("get", "", unknown).await;
    let error = answer.children().next().unwrap();
    assert_eq!(error.attr("type"), Some("cancel"));
    assert!(error.child("text", ns::STANZA_ERRORS).is_some_and(|text| !text.text().is_empty()));
}

/// Proves: C6120-8.2-1, C6120-8.2-2.
#[tokio::test]
async fn malformed_requests_are_refused_and_answers_are_never_answered() {
    let house = house().await;
    let mut peer = house.login("romeo", "balcony").await;
    for malformed in [
        "<iq type='get' id='ask'/>",
        "<iq type='get' id='ask'><a xmlns='x'/><b xmlns='x'/></iq>",
        "<iq type='odd' id='ask'><a xmlns='x'/></iq>",
    ] {
        peer.send(malformed).await;
        let answer = peer.until(|element| element.attr("id") == Some("ask")).await;
        assert_eq!(condition(&answer), "bad-request", "{malformed}");
    }
    peer.send("<iq type='result' id='stray' to='localhost'/><iq type='error' id='stray' to='romeo@localhost'><error type='cancel'/></iq>")
        .await;
    peer.send("<iq type='result' id='stray' to='romeo@localhost/nobody'/>").await;
    assert!(peer.settle().await.iter().all(|element| element.attr("id") != Some("stray")));
    peer.send("<iq type='get' id='ask' to='a@b@c/'><a xmlns='x'/></iq>").await;
    let answer = peer.until(|element| element.attr("id") == Some("ask")).await;
    assert_eq!(condition(&answer), "jid-malformed");
}

/// Proves: C0030-3-1, C0030-3-2, C0030-4-1, HUP-3-4.
#[tokio::test]
async fn discovery_tells_what_is_there_and_nothing_else() {
    let house = house().await;
    let mut peer = house.login("romeo", "balcony").await;
    let info = DiscoInfo::read(peer.ask("get", "localhost", INFO).await.children().next().unwrap()).unwrap();
    assert!(info.is("server", "im"));
    for feature in [ns::DISCO_INFO, ns::DISCO_ITEMS, ns::PING, ns::CAPS] {
        assert!(info.features.iter().any(|announced| announced == feature), "{feature}");
    }
    let items = DiscoItems::read(peer.ask("get", "localhost", ITEMS).await.children().next().unwrap()).unwrap();
    let names: Vec<&str> = items.items.iter().map(|item| item.jid.as_str()).collect();
    assert_eq!(names, ["upload.localhost", "proxy.localhost"]);
    for to in ["romeo@localhost", "upload.localhost", "proxy.localhost"] {
        let empty = DiscoItems::read(peer.ask("get", to, ITEMS).await.children().next().unwrap()).unwrap();
        assert!(empty.items.is_empty());
    }
    let own = DiscoInfo::read(peer.ask("get", "romeo@localhost", INFO).await.children().next().unwrap()).unwrap();
    assert!(own.is("account", "registered"));
    let odd = "<query xmlns='http://jabber.org/protocol/disco#info' node='no-such-node'/>";
    assert_eq!(condition(&peer.ask("get", "localhost", odd).await), "item-not-found");
    // Every feature that can be asked for is answered.
    for feature in &info.features {
        if feature == ns::PING {
            assert_eq!(peer.ask("get", "localhost", "<ping xmlns='urn:xmpp:ping'/>").await.attr("type"), Some("result"));
        }
    }
}

/// Proves: C0115-5-1.
#[tokio::test]
async fn the_caps_in_the_features_are_those_of_the_discovery_answer() {
    use sha1::Digest as _;
    let house = house().await;
    let mut peer = house.stranger().await;
    let features = peer.log_in("romeo", "romeo").await;
    peer.bind("balcony").await;
    let caps = features.child("c", ns::CAPS).unwrap();
    let node = format!("{}#{}", caps.attr("node").unwrap(), caps.attr("ver").unwrap());
    let query = format!("<query xmlns='http://jabber.org/protocol/disco#info' node='{node}'/>");
    let info = DiscoInfo::read(peer.ask("get", "localhost", &query).await.children().next().unwrap()).unwrap();
    assert_eq!(info.node.as_deref(), Some(node.as_str()));
    let ver = verification_string(&info, |input| sha1::Sha1::digest(input).to_vec()).unwrap();
    assert_eq!(caps.attr("ver"), Some(ver.as_str()));
}

/// Proves: C0030-8-1.
#[tokio::test]
async fn an_account_shows_itself_to_its_contacts_only() {
    let house = house().await;
    let mut romeo = house.online("romeo", "balcony").await;
    let mut juliet = house.online("juliet", "chamber").await;
    for stranger in ["juliet@localhost", "nobody@localhost"] {
        assert_eq!(condition(&romeo.ask("get", stranger, INFO).await), "service-unavailable");
    }
    romeo.send("<presence type='subscribe' to='juliet@localhost'/>").await;
    juliet.until(|element| element.attr("type") == Some("subscribe")).await;
    juliet.send("<presence type='subscribed' to='romeo@localhost'/>").await;
    juliet.settle().await;
    let info = DiscoInfo::read(romeo.ask("get", "juliet@localhost", INFO).await.children().next().unwrap()).unwrap();
    assert!(info.is("account", "registered"));
}

/// Proves: C0199-4-1.
#[tokio::test]
async fn pings_come_back_from_the_server_and_the_own_account() {
    let house = house().await;
    let mut peer = house.login("romeo", "balcony").await;
    for to in ["", "localhost", "romeo@localhost", "upload.localhost"] {
        let pong = peer.ask("get", to, "<ping xmlns='urn:xmpp:ping'/>").await;
        assert_eq!(pong.attr("type"), Some("result"), "to {to:?}");
        assert_eq!(pong.attr("from"), Some(to).filter(|to| !to.is_empty()), "to {to:?}");
    }
}

/// Proves: C6120-8.1-1.
#[tokio::test]
async fn a_request_to_a_full_address_arrives_with_its_true_sender_and_its_answer_comes_back() {
    let house = house().await;
    let mut romeo = house.login("romeo", "balcony").await;
    let mut juliet = house.login("juliet", "chamber").await;
    romeo.send("<iq type='get' id='q1' to='juliet@localhost/chamber'><query xmlns='urn:example'/></iq>").await;
    let request = juliet.until(|element| element.attr("id") == Some("q1")).await;
    assert_eq!(request.attr("from"), Some("romeo@localhost/balcony"));
    juliet.send("<iq type='result' id='q1' to='romeo@localhost/balcony'><query xmlns='urn:example'>yes</query></iq>").await;
    let answer = romeo.until(|element| element.attr("id") == Some("q1")).await;
    assert_eq!((answer.attr("from"), answer.attr("type")), (Some("juliet@localhost/chamber"), Some("result")));
}
