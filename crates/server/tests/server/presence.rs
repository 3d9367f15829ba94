//! Roster, subscriptions, presence.

use crate::house::{House, house, house_with};
use crate::peer::{Peer, condition};

const ROSTER: &str = "<query xmlns='jabber:iq:roster'/>";

fn item(jid: &str, rest: &str) -> String {
    format!("<query xmlns='jabber:iq:roster'><item jid='{jid}' {rest}</query>")
}

/// `jid subscription ask` of every item.
async fn roster(peer: &mut Peer) -> Vec<String> {
    let answer = peer.ask("get", "", ROSTER).await;
    let query = answer.children().next().unwrap();
    let show = |item: &balcony_wire::Element| {
        format!("{} {} {}", item.attr("jid").unwrap(), item.attr("subscription").unwrap(), item.attr("ask").unwrap_or("-"))
    };
    query.children().map(show).collect()
}

/// Both follow the roster and see each other.
async fn lovers(house: &House) -> (Peer, Peer) {
    let (mut romeo, mut juliet) = (house.online("romeo", "balcony").await, house.online("juliet", "chamber").await);
    roster(&mut romeo).await;
    roster(&mut juliet).await;
    romeo.send("<presence type='subscribe' to='juliet@localhost'/>").await;
    juliet.until(|element| element.attr("type") == Some("subscribe")).await;
    juliet.send("<presence type='subscribed' to='romeo@localhost'/><presence type='subscribe' to='romeo@localhost'/>").await;
    romeo.until(|element| element.attr("type") == Some("subscribe")).await;
    romeo.send("<presence type='subscribed' to='juliet@localhost'/>").await;
    juliet.until(|element| element.attr("from") == Some("romeo@localhost/balcony")).await;
    romeo.settle().await;
    juliet.settle().await;
    (romeo, juliet)
}

/// Proves: C6121-2-2.
#[tokio::test]
async fn changes_of_the_roster_are_pushed_to_every_session_that_asked_for_it() {
    let house = house().await;
    let mut one = house.online("romeo", "one").await;
    let mut two = house.login("romeo", "two").await;
    let mut three = house.login("romeo", "three").await;
    assert!(roster(&mut one).await.is_empty() && roster(&mut two).await.is_empty());
    let added = one.ask("set", "", &item("juliet@localhost", "name='Juliet'><group>Family</group><group>Friends</group></item>")).await;
    assert_eq!(added.attr("type"), Some("result"));
    for peer in [&mut one, &mut two] {
        let push = peer.until(|element| element.attr("type") == Some("set")).await;
        let item = push.children().next().unwrap().children().next().unwrap();
        assert_eq!(
            (item.attr("jid"), item.attr("name"), item.attr("subscription")),
            (Some("juliet@localhost"), Some("Juliet"), Some("none"))
        );
        assert_eq!(item.children().map(|group| group.text()).collect::<Vec<_>>(), ["Family", "Friends"]);
    }
    assert!(three.settle().await.iter().all(|element| element.attr("type") != Some("set")));
    let removed = two.ask("set", "", &item("juliet@localhost", "subscription='remove'/>")).await;
    assert_eq!(removed.attr("type"), Some("result"));
    let push = one.until(|element| element.attr("type") == Some("set")).await;
    assert!(push.to_xml().contains("remove"));
    assert!(roster(&mut one).await.is_empty());
}

/// Proves: C6121-2-2.
#[tokio::test]
async fn a_roster_that_is_known_already_is_not_sent_again() {
    let house = house().await;
    let mut romeo = house.login("romeo", "balcony").await;
    romeo.ask("set", "", &item("juliet@localhost", "/>")).await;
    let full = romeo.ask("get", "", "<query xmlns='jabber:iq:roster' ver=''/>").await;
    let ver = full.children().next().unwrap().attr("ver").unwrap().to_owned();
    let known = format!("<query xmlns='jabber:iq:roster' ver='{ver}'/>");
    assert_eq!(romeo.ask("get", "", &known).await.children().count(), 0);
    romeo.send(&format!("<iq type='set' id='more'>{}</iq>", item("nurse@localhost", "/>"))).await;
    let push = romeo.until(|element| element.attr("type") == Some("set")).await;
    let newer = push.children().next().unwrap().attr("ver").unwrap().to_owned();
    assert_ne!(newer, ver);
    assert_eq!(romeo.ask("get", "", &known).await.children().next().unwrap().children().count(), 2);
}

#[tokio::test]
async fn roster_sets_that_make_no_sense_are_refused_and_rosters_are_private() {
    let house = house_with(|settings| settings.limits.roster_items = 2).await;
    let mut romeo = house.login("romeo", "balcony").await;
    let two = "<query xmlns='jabber:iq:roster'><item jid='a@localhost'/><item jid='b@localhost'/></query>";
    for (payload, expected) in [
        (two.to_owned(), "bad-request"),
        ("<query xmlns='jabber:iq:roster'/>".to_owned(), "bad-request"),
        (item("@", "/>"), "bad-request"),
        (item("romeo@localhost", "/>"), "bad-request"),
        (item("a@localhost", "><group>x</group><group>x</group></item>"), "bad-request"),
        (item("a@localhost", "><group/></item>"), "not-acceptable"),
        (item("a@localhost", &format!("name='{}'/>", "x".repeat(2000))), "not-acceptable"),
        (item("nobody@localhost", "subscription='remove'/>"), "item-not-found"),
    ] {
        assert_eq!(condition(&romeo.ask("set", "", &payload).await), expected, "{payload}");
    }
    for kind in ["get", "set"] {
        assert_eq!(condition(&romeo.ask(kind, "juliet@localhost", &item("x@localhost", "/>")).await), "forbidden");
    }
    for contact in ["a@localhost", "b@localhost"] {
        assert_eq!(romeo.ask("set", "", &item(contact, "/>")).await.attr("type"), Some("result"));
    }
    assert_eq!(condition(&romeo.ask("set", "", &item("c@localhost", "/>")).await), "policy-violation");
}

/// Proves: C6121-3-1.
#[tokio::test]
async fn two_people_come_to_see_each_other_and_part_again() {
    let house = house().await;
    let (mut romeo, mut juliet) = lovers(&house).await;
    assert_eq!(roster(&mut romeo).await, ["juliet@localhost both -"]);
    assert_eq!(roster(&mut juliet).await, ["romeo@localhost both -"]);
    romeo.send("<presence><show>away</show></presence>").await;
    let away = juliet.until(|element| element.name() == "presence").await;
    assert_eq!((away.attr("from"), away.child_text("show").as_deref()), (Some("romeo@localhost/balcony"), Some("away")));
    romeo.send("<presence type='unsubscribe' to='juliet@localhost'/>").await;
    juliet.until(|element| element.attr("type") == Some("unsubscribe")).await;
    let gone = romeo.until(|element| element.attr("from") == Some("juliet@localhost/chamber")).await;
    assert_eq!(gone.attr("type"), Some("unavailable"));
    assert_eq!(roster(&mut romeo).await, ["juliet@localhost from -"]);
    assert_eq!(roster(&mut juliet).await, ["romeo@localhost to -"]);
    juliet.ask("set", "", &item("romeo@localhost", "subscription='remove'/>")).await;
    romeo.settle().await;
    assert_eq!(roster(&mut romeo).await, ["juliet@localhost none -"]);
    assert!(roster(&mut juliet).await.is_empty());
}

/// Proves: C6121-3-1, C6121-4-1.
#[tokio::test]
async fn a_request_waits_for_who_is_not_there_and_for_every_later_session_until_it_is_answered() {
    let house = house().await;
    let mut romeo = house.online("romeo", "balcony").await;
    roster(&mut romeo).await;
    romeo.send("<presence type='subscribe' to='juliet@localhost'><status>it is me</status></presence>").await;
    let push = romeo.until(|element| element.attr("type") == Some("set")).await;
    assert!(push.to_xml().contains("subscribe"));
    let house = {
        romeo.settle().await;
        house.restart().await
    };
    for resource in ["one", "two"] {
        let mut juliet = house.login("juliet", resource).await;
        assert!(roster(&mut juliet).await.is_empty(), "who only asked is not listed");
        juliet.send("<presence/>").await;
        let request = juliet.until(|element| element.attr("type") == Some("subscribe")).await;
        assert_eq!((request.attr("from"), request.child_text("status").as_deref()), (Some("romeo@localhost"), Some("it is me")));
        juliet.log_out().await;
    }
    let mut juliet = house.online("juliet", "three").await;
    juliet.send("<presence type='unsubscribed' to='romeo@localhost'/>").await;
    juliet.settle().await;
    let mut romeo = house.online("romeo", "balcony").await;
    assert_eq!(roster(&mut romeo).await, ["juliet@localhost none -"]);
}

/// Proves: C6121-4-1.
#[tokio::test]
async fn who_comes_sees_who_is_there_and_who_goes_is_seen_going_however_it_goes() {
    let house = house_with(|settings| settings.resume_for = std::time::Duration::ZERO).await;
    let (romeo, mut juliet) = lovers(&house).await;
    romeo.cut();
    let gone = juliet.until(|element| element.attr("from") == Some("romeo@localhost/balcony")).await;
    assert_eq!(gone.attr("type"), Some("unavailable"));
    let mut romeo = house.login("romeo", "garden").await;
    romeo.send("<presence/>").await;
    let here = romeo.until(|element| element.attr("from") == Some("juliet@localhost/chamber")).await;
    assert_eq!(here.attr("type"), None);
    juliet.until(|element| element.attr("from") == Some("romeo@localhost/garden")).await;
    romeo.send("<presence type='unavailable'><status>bye</status></presence>").await;
    let gone = juliet.until(|element| element.attr("from") == Some("romeo@localhost/garden")).await;
    assert_eq!((gone.attr("type"), gone.child_text("status").as_deref()), (Some("unavailable"), Some("bye")));
}

#[tokio::test]
async fn directed_presence_is_taken_back_when_the_session_ends() {
    let house = house_with(|settings| settings.limits.directed_presences = 1).await;
    let mut romeo = house.login("romeo", "balcony").await;
    let mut nurse = house.online("nurse", "kitchen").await;
    romeo.send("<presence to='nurse@localhost/kitchen'/>").await;
    nurse.until(|element| element.attr("from") == Some("romeo@localhost/balcony")).await;
    romeo.send("<presence to='juliet@localhost'/>").await;
    assert_eq!(condition(&romeo.until(|element| element.name() == "presence").await), "resource-constraint");
    romeo.send("<presence to='friend@elsewhere.example'/>").await;
    assert_eq!(condition(&romeo.until(|element| element.name() == "presence").await), "remote-server-not-found");
    romeo.log_out().await;
    let gone = nurse.until(|element| element.attr("from") == Some("romeo@localhost/balcony")).await;
    assert_eq!(gone.attr("type"), Some("unavailable"));
}

#[tokio::test]
async fn presence_is_not_shown_to_strangers() {
    let house = house().await;
    let mut romeo = house.online("romeo", "balcony").await;
    let mut nurse = house.online("nurse", "kitchen").await;
    romeo.send("<presence><show>dnd</show></presence>").await;
    romeo.settle().await;
    nurse.send("<presence type='probe' to='romeo@localhost'/>").await;
    let seen = nurse.settle().await;
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert_eq!(seen[0].attr("type"), Some("unsubscribed"));
}

/// RFC 6121 §3.4.
#[tokio::test]
async fn a_subscription_that_was_granted_beforehand_needs_no_answer() {
    let house = house().await;
    let mut juliet = house.online("juliet", "chamber").await;
    roster(&mut juliet).await;
    juliet.send("<presence type='subscribed' to='romeo@localhost'/>").await;
    let push = juliet.until(|element| element.attr("type") == Some("set")).await;
    assert!(push.to_xml().contains("approved"));
    let mut romeo = house.online("romeo", "balcony").await;
    roster(&mut romeo).await;
    romeo.send("<presence type='subscribe' to='juliet@localhost'/>").await;
    romeo.until(|element| element.attr("type") == Some("subscribed")).await;
    romeo.until(|element| element.attr("from") == Some("juliet@localhost/chamber")).await;
    assert_eq!(roster(&mut romeo).await, ["juliet@localhost to -"]);
}
