//! Messages: to whom, in what order, and what happens when nobody is there.

use balcony_wire::Element;

use crate::house::{House, house, house_with};
use crate::peer::{Peer, body, condition};

async fn say(peer: &mut Peer, kind: &str, to: &str, text: &str) {
    peer.send(&format!("<message type='{kind}' to='{to}' id='{text}'><body>{text}</body></message>")).await;
}

/// The bodies of the messages among these.
fn bodies(elements: &[Element]) -> Vec<String> {
    elements.iter().filter(|element| element.name() == "message").filter_map(body).collect()
}

/// Juliet lets Romeo see when she is there, and leaves.
async fn lets_see(house: &House, romeo: &mut Peer) {
    let mut juliet = house.login("juliet", "first").await;
    juliet.send("<presence to='romeo@localhost' type='subscribed'/>").await;
    juliet.settle().await;
    romeo.send("<presence to='juliet@localhost' type='subscribe'/>").await;
    romeo.settle().await;
    juliet.log_out().await;
}

/// Proves: C6121-8-1, C6121-5-1.
#[tokio::test]
async fn the_bare_address_reaches_all_who_take_messages_and_the_full_one_exactly_one() {
    let house = house().await;
    let mut romeo = house.online("romeo", "balcony").await;
    let mut one = house.online("juliet", "one").await;
    let mut two = house.online("juliet", "two").await;
    let mut shy = house.online("juliet", "shy").await;
    let mut silent = house.login("juliet", "silent").await;
    shy.send("<presence><priority>-1</priority></presence>").await;
    shy.settle().await;
    say(&mut romeo, "chat", "juliet@localhost", "to all").await;
    say(&mut romeo, "chat", "juliet@localhost/one", "to one").await;
    say(&mut romeo, "normal", "juliet@localhost/shy", "to shy").await;
    say(&mut romeo, "headline", "juliet@localhost", "news").await;
    say(&mut romeo, "chat", "juliet@localhost/gone", "to who is gone").await;
    say(&mut romeo, "normal", "juliet@localhost/gone", "nowhere").await;
    say(&mut romeo, "groupchat", "juliet@localhost", "no room").await;
    say(&mut romeo, "chat", "nobody@localhost", "no account").await;
    say(&mut romeo, "chat", "friend@elsewhere.example", "no server").await;
    say(&mut romeo, "chat", "upload.localhost", "no person").await;
    say(&mut romeo, "error", "nobody@localhost", "an error").await;
    let errors: Vec<_> = romeo
        .settle()
        .await
        .iter()
        .filter(|element| element.name() == "message")
        .map(|e| (e.attr("id").unwrap().to_owned(), condition(e).to_owned()))
        .collect();
    // Of "nowhere" he hears nothing: they do not know each other, and it would tell him that she is not there.
    let expected = [
        ("no room", "service-unavailable"),
        ("no account", "service-unavailable"),
        ("no server", "remote-server-not-found"),
        ("no person", "service-unavailable"),
    ];
    assert_eq!(errors, expected.map(|(id, condition)| (id.to_owned(), condition.to_owned())));
    assert_eq!(bodies(&one.settle().await), ["to all", "to one", "news", "to who is gone"]);
    assert_eq!(bodies(&two.settle().await), ["to all", "news", "to who is gone"]);
    assert_eq!(bodies(&shy.settle().await), ["to shy"]);
    assert!(bodies(&silent.settle().await).is_empty());
}

/// Proves: C6120-10-1.
#[tokio::test]
async fn a_thousand_messages_to_each_other_arrive_in_order() {
    let house = house().await;
    let mut romeo = house.online("romeo", "balcony").await;
    let mut juliet = house.online("juliet", "chamber").await;
    for n in 0..1000 {
        // Both kinds of address: they take different ways through the server.
        say(&mut romeo, "chat", ["juliet@localhost", "juliet@localhost/chamber"][n % 2], &n.to_string()).await;
        say(&mut juliet, "chat", "romeo@localhost", &n.to_string()).await;
    }
    let expected: Vec<String> = (0..1000).map(|n: usize| n.to_string()).collect();
    romeo.settle().await;
    assert_eq!(bodies(&juliet.settle().await), expected);
    // What juliet said was read by romeo's settle or waits still.
}

/// Proves: C6120-8.1-1.
#[tokio::test]
async fn unknown_children_and_attributes_survive_and_the_sender_is_true() {
    let house = house().await;
    let mut romeo = house.online("romeo", "balcony").await;
    let mut juliet = house.online("juliet", "chamber").await;
    romeo
        .send(
            "<message from='romeo@localhost' to='juliet@localhost' type='chat' xml:lang='it' x:extra='1' xmlns:x='urn:example:a'>\
                <x:odd x:deep='2'><very xmlns='urn:example:b'>text &amp; more</very></x:odd><body>ciao</body></message>",
        )
        .await;
    let came = juliet.until(|element| element.name() == "message").await;
    assert_eq!((came.attr("from"), came.lang()), (Some("romeo@localhost/balcony"), Some("it")));
    assert_eq!(came.attr_ns("urn:example:a", "extra"), Some("1"));
    let odd = came.child("odd", "urn:example:a").unwrap();
    assert_eq!(odd.attr_ns("urn:example:a", "deep"), Some("2"));
    assert_eq!(odd.child("very", "urn:example:b").unwrap().text(), "text & more");
}

/// Proves: HINT-4.2-1, HINT-4.4-1, HINT-4.1-1.
#[tokio::test]
async fn messages_wait_for_who_is_not_there_over_a_restart_and_come_once() {
    let house = house().await;
    let mut romeo = house.online("romeo", "balcony").await;
    lets_see(&house, &mut romeo).await;
    for n in 0..3 {
        say(&mut romeo, ["chat", "normal"][n % 2], "juliet@localhost", &format!("letter {n}")).await;
    }
    say(&mut romeo, "headline", "juliet@localhost", "old news").await;
    romeo.send("<message type='chat' to='juliet@localhost'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>").await;
    romeo
        .send("<message type='chat' to='juliet@localhost' id='secret'><body>burn this</body><no-store xmlns='urn:xmpp:hints'/></message>")
        .await;
    romeo
        .send("<message type='chat' to='juliet@localhost'><file-sharing xmlns='urn:xmpp:sfs:0'/><store xmlns='urn:xmpp:hints'/></message>")
        .await;
    romeo.send("<message type='error' to='juliet@localhost'><body>echo</body><store xmlns='urn:xmpp:hints'/></message>").await;
    let refused = romeo.until(|element| element.attr("id") == Some("secret")).await;
    assert_eq!(condition(&refused), "recipient-unavailable");
    let house = house.restart().await;
    let mut shy = house.login("juliet", "shy").await;
    shy.send("<presence><priority>-5</priority></presence>").await;
    assert!(bodies(&shy.settle().await).is_empty(), "a negative priority takes nothing");
    let mut juliet = house.login("juliet", "chamber").await;
    juliet.send("<presence/>").await;
    let came: Vec<_> = juliet.settle().await.into_iter().filter(|element| element.name() == "message").collect();
    assert_eq!(bodies(&came), ["letter 0", "letter 1", "letter 2"]);
    assert!(came[3].child("file-sharing", "urn:xmpp:sfs:0").is_some());
    assert_eq!(came.len(), 4);
    let delay = came[0].child("delay", "urn:xmpp:delay").unwrap();
    assert_eq!(delay.attr("from"), Some("localhost"));
    assert!(delay.attr("stamp").unwrap().ends_with('Z'));
    juliet.log_out().await;
    let mut again = house.login("juliet", "chamber").await;
    again.send("<presence/>").await;
    assert!(bodies(&again.settle().await).is_empty());
}

/// Whoever may see her hears what became of a message; whoever may not hears the same whether she is there or not.
///
/// Proves: C6121-8-1.
#[tokio::test]
async fn an_error_tells_nobody_that_a_stranger_is_not_there() {
    let house = house().await;
    let (mut romeo, mut nurse) = (house.online("romeo", "balcony").await, house.online("nurse", "kitchen").await);
    lets_see(&house, &mut romeo).await;
    let juliet = house.online("juliet", "chamber").await;
    let mut heard = Vec::new();
    for who in [&mut romeo, &mut nurse] {
        for device in ["chamber", "gone"] {
            for kind in ["normal", "headline", "groupchat", "chat"] {
                say(who, kind, &format!("juliet@localhost/{device}"), "hello").await;
            }
        }
        heard.push(who.settle().await.iter().filter(|element| element.name() == "message").count());
    }
    juliet.log_out().await;
    let secret = "<body>burn this</body><no-store xmlns='urn:xmpp:hints'/>";
    for who in [&mut romeo, &mut nurse] {
        who.send(&format!("<message type='chat' to='juliet@localhost'>{secret}</message>")).await;
        heard.push(who.settle().await.iter().filter(|element| element.name() == "message").count());
    }
    assert_eq!(heard, [3, 0, 1, 0]);
}

#[tokio::test]
async fn a_full_store_returns_messages() {
    let house = house_with(|settings| settings.limits.offline_messages = 2).await;
    let mut romeo = house.online("romeo", "balcony").await;
    for n in 0..3 {
        say(&mut romeo, "chat", "juliet@localhost", &n.to_string()).await;
    }
    let errors: Vec<_> = romeo.settle().await.into_iter().filter(|element| element.name() == "message").collect();
    assert_eq!(errors.len(), 1);
    assert_eq!((errors[0].attr("id"), condition(&errors[0])), (Some("2"), "service-unavailable"));
    assert_eq!(errors[0].children().next().unwrap().attr("type"), Some("wait"));
}

#[tokio::test]
async fn a_message_without_addressee_goes_to_the_own_account() {
    let house = house().await;
    let mut one = house.online("romeo", "one").await;
    let mut two = house.online("romeo", "two").await;
    one.send("<message type='chat'><body>note to self</body></message>").await;
    one.settle().await;
    assert_eq!(bodies(&two.settle().await), ["note to self"]);
}
