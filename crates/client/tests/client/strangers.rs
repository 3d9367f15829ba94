//! Who may learn that a device is there: whoever may not hears, whatever they ask and however badly, what they hear of a device that is
//! not there, from the same server and to the letter.

use std::sync::Arc;
use std::time::Duration;

use balcony_client::{Account, Availability, ConnectOptions, Decision, Security, Store, Wish};
use balcony_session::client::{Ask, SendError};
use balcony_session::iq_table::RequestError;
use balcony_sharing::plan::Wait;
use balcony_wire::stanza::{MessageKind, Presence, PresenceKind};
use balcony_wire::{BareJid, Element, Jid, Message};

use crate::direct::{Couple, options};
use crate::hostile_peers::mallory::{Mallory, refusal};
use crate::hostile_peers::{Offer, digest, in_band};
use crate::live::published;
use crate::scene::{PASSWORD, Scene};
use crate::sharing::file;

const INFO: &str = "<query xmlns='http://jabber.org/protocol/disco#info'/>";
const JINGLE: &str = "urn:xmpp:jingle:1";

/// Juliet, whose files are at stake, Romeo, to whom she gives one, and somebody else.
struct Stage {
    couple: Couple,
    /// Of what Juliet shares with Romeo.
    published: String,
    _shares: balcony_client::LiveShares,
}

const SUMMIT: &[u8] = b"the summit";

impl Stage {
    async fn new() -> Self {
        let couple = Couple::new().await;
        let path = couple.file("summit.jpg", SUMMIT);
        let shares = couple.juliet.share_live(path).to(&"romeo@localhost".parse().unwrap()).await.unwrap();
        Self { published: published(&shares).id, couple, _shares: shares }
    }

    /// Somebody with a program of their own.
    async fn somebody(&self, name: &str) -> Mallory {
        self.couple.scene.server.add_account(name, PASSWORD).await.unwrap();
        let nobody_answers = Arc::new(|_: &Element| None);
        Mallory::at(&self.couple.scene.server, name, "evil", nobody_answers).await
    }

    /// Every kind of request that a program of ours knows, well and badly made, and some that it does not know.
    fn requests(&self, from: &str) -> Vec<(&'static str, String)> {
        let offer = Offer { sid: "s1", name: "x", size: 3, bytes: b"abc", transport: in_band("i1") }.initiate(from);
        let asks = |file: &str| {
            format!(
                "<jingle xmlns='{JINGLE}' action='session-initiate' sid='s2'><content creator='initiator' name='f' senders='responder'>\
                 <description xmlns='urn:xmpp:jingle:apps:file-transfer:5'><file>{file}</file></description>{}</content></jingle>",
                in_band("i2")
            )
        };
        let hash = |bytes: &[u8]| format!("<hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>{}</hash>", digest(bytes));
        let query = |ns: &str, inner: &str| format!("<query xmlns='{ns}'>{inner}</query>");
        let si = |inner: &str| format!("<si xmlns='http://jabber.org/protocol/si' id='s3' {inner}</si>");
        let start = |id: &str| format!("<start xmlns='urn:xmpp:jinglepub:1' id='{id}'/>");
        let mut requests = vec![
            ("get", INFO.to_owned()),
            ("get", "<query xmlns='http://jabber.org/protocol/disco#info' node='urn:balcony#x'/>".to_owned()),
            ("get", query("http://jabber.org/protocol/disco#items", "")),
            ("get", "<ping xmlns='urn:xmpp:ping'/>".to_owned()),
            ("get", query("jabber:iq:version", "")),
            ("get", query("jabber:iq:last", "")),
            ("get", query("jabber:iq:roster", "")),
            ("get", "<time xmlns='urn:xmpp:time'/>".to_owned()),
            ("get", "<vCard xmlns='vcard-temp'/>".to_owned()),
            ("get", "<data xmlns='urn:xmpp:bob' cid='sha1+4a5eb7171b58e08a6881721e3b43d5a44419a2be@bob.xmpp.org'/>".to_owned()),
            ("get", "<data xmlns='urn:xmpp:bob'/>".to_owned()),
            ("get", start(&self.published)),
            ("get", start("guess")),
            ("get", "<start xmlns='urn:xmpp:jinglepub:1'/>".to_owned()),
            ("get", query("urn:example:unknown", "")),
            ("set", query("urn:example:unknown", "")),
            ("set", query("jabber:iq:roster", "<item jid='mallory@localhost' subscription='both'/>")),
            ("set", offer),
            ("set", asks(&hash(SUMMIT))),
            ("set", asks(&hash(b"nobody has this"))),
            ("set", asks("<name>summit.jpg</name>")),
            ("set", asks("")),
            ("set", format!("<jingle xmlns='{JINGLE}'/>")),
            ("set", format!("<jingle xmlns='{JINGLE}' action='session-initiate'/>")),
            ("set", format!("<jingle xmlns='{JINGLE}' action='session-initiate' sid='s4'><content/></jingle>")),
            ("set", format!("<jingle xmlns='{JINGLE}' action='no-such-action' sid='s4'/>")),
            ("set", "<open xmlns='http://jabber.org/protocol/ibb' sid='i1' block-size='4096'/>".to_owned()),
            ("set", "<open xmlns='http://jabber.org/protocol/ibb'/>".to_owned()),
            ("set", "<data xmlns='http://jabber.org/protocol/ibb' sid='i1' seq='0'>AAAA</data>".to_owned()),
            ("set", "<close xmlns='http://jabber.org/protocol/ibb' sid='i1'/>".to_owned()),
            ("set", query("http://jabber.org/protocol/bytestreams", "")),
            ("set", query("http://jabber.org/protocol/bytestreams", "<streamhost jid='evil@localhost/x' host='127.0.0.1' port='5'/>")),
            ("set", si(">")),
            (
                "set",
                si("profile='http://jabber.org/protocol/si/profile/file-transfer'>\
                    <file xmlns='http://jabber.org/protocol/si/profile/file-transfer' name='x' size='3'/>\
                    <feature xmlns='http://jabber.org/protocol/feature-neg'><x xmlns='jabber:x:data' type='form'>\
                    <field var='stream-method' type='list-single'><option><value>http://jabber.org/protocol/ibb</value></option></field>\
                    </x></feature>"),
            ),
        ];
        let inside = ["session-accept", "session-info", "session-terminate", "transport-info", "transport-replace", "content-add"];
        requests.extend(inside.map(|action| ("set", format!("<jingle xmlns='{JINGLE}' action='{action}' sid='s1'/>"))));
        // Each with the wrong verb, too.
        let swapped: Vec<_> = requests.iter().map(|(verb, xml)| (if *verb == "get" { "set" } else { "get" }, xml.clone())).collect();
        requests.extend(swapped);
        requests
    }

    /// Nothing that they can ask or say tells them that Juliet's device is there.
    async fn is_nobody_to(&self, somebody: &Mallory) {
        let (there, gone) = (device(&self.couple.juliet).await, "juliet@localhost/gone".to_owned());
        for (verb, payload) in self.requests(&somebody.jid) {
            let mut answers = Vec::new();
            for whom in [&there, &gone] {
                let mut answer = somebody.ask(verb, whom, &payload).await;
                answer.set_attr("id", "");
                answers.push(answer.to_xml().replace(whom.as_str(), "WHOM"));
            }
            assert_eq!(answers[0], answers[1], "{verb} {payload}");
            assert!(answers[0].contains("service-unavailable"), "{}", answers[0]);
        }
        for kind in ["chat", "normal", "headline", "groupchat", "error"] {
            for to in [&there, &gone] {
                somebody.say(format!(
                    "<message type='{kind}' to='{to}' id='{kind}'><body>hello</body><request xmlns='urn:xmpp:receipts'/>\
                     <markable xmlns='urn:xmpp:chat-markers:0'/><data xmlns='http://jabber.org/protocol/ibb' sid='i' seq='0'>AA==</data></message>"
                ));
                somebody.say(format!(
                    "<message type='{kind}' to='{to}'><propose xmlns='urn:xmpp:jingle-message:0' id='p{kind}'>\
                     <description xmlns='urn:xmpp:jingle:apps:file-transfer:5'/></propose></message>"
                ));
            }
        }
        for kind in ["", "type='unavailable'", "type='probe'", "type='error'"] {
            somebody.say(format!("<presence {kind} to='{there}'/>"));
        }
        somebody.settle().await;
        // What we answer to all that would have come with what is asked behind it.
        assert!(refusal(&somebody.ask("get", &there, INFO).await).is_some());
        let of_juliet =
            |element: &Element| element.name() != "iq" && element.attr("from").is_some_and(|from| from == there || from == gone);
        assert_eq!(somebody.lingers(of_juliet).await, 0, "{}", somebody.all());
    }
}

async fn device(account: &Account) -> String {
    account.online().await.unwrap().jid.to_string()
}

/// What never went out, or came back, was seen by nobody: neither a word nor a question that the server would not have taken.
#[tokio::test]
async fn what_was_not_sent_or_came_back_shows_nothing() {
    let stage = Stage::new().await;
    let mallory = stage.somebody("mallory").await;
    let (juliet, to) = (&stage.couple.juliet, Jid::parse(&mallory.jid).unwrap());
    let limit = juliet.online().await.unwrap().limits.stanza.unwrap();
    let too_long = || Element::new("x", "urn:example").with_text("x".repeat(limit));
    let word = Message { payloads: vec![too_long()], ..Message::new(MessageKind::Chat, Some(to.clone())) };
    assert!(matches!(juliet.send(word).await.unwrap_err(), SendError::TooLarge { .. }));
    stage.is_nobody_to(&mallory).await;
    let question = juliet.request(Some(to.clone()), Ask::Get(too_long()), Duration::from_secs(10)).await;
    assert!(matches!(question.unwrap_err(), RequestError::TooLarge { .. }));
    stage.is_nobody_to(&mallory).await;
    let there = device(juliet).await;
    juliet.send(Message { id: Some("word".to_owned()), ..Message::new(MessageKind::Chat, Some(to)) }).await.unwrap();
    mallory.until("the word", |element| element.attr("id") == Some("word")).await;
    assert!(refusal(&mallory.ask("get", &there, INFO).await).is_none(), "she spoke to them");
    mallory.say(format!("<message type='error' id='word' to='{there}'><error type='cancel'>{REFUSED}</error></message>"));
    assert_eq!(refusal(&mallory.ask("get", &there, INFO).await).unwrap().0, "service-unavailable");
}

/// What servers say where a message reaches nobody.
const REFUSED: &str = "<service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>";

/// What a device says that knows files and announces what it can do, as nobody else does.
const CAPS: &str = "<presence><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='urn:example:mallory' ver='q07IKJEyjvHSyhy//CH0CxmKi8w='/></presence>";

/// Proves: C6120-8.4-1, JFT-9.1-1, JIN-6.3-2, JIN-13-1.
#[tokio::test]
async fn a_stranger_hears_of_a_device_that_is_there_what_they_hear_of_one_that_is_not() {
    let stage = Stage::new().await;
    let mallory = stage.somebody("mallory").await;
    mallory.say(CAPS);
    stage.is_nobody_to(&mallory).await;
}

/// In the roster, with every subscription that does not show them our presence.
#[tokio::test]
async fn a_contact_who_does_not_see_us_learns_no_more_than_a_stranger() {
    let stage = Stage::new().await;
    let juliet = &stage.couple.juliet;
    let (neither, seen) = (stage.somebody("neither").await, stage.somebody("seen").await);
    for name in ["neither", "seen"] {
        juliet.add_contact(&format!("{name}@localhost").parse().unwrap(), None, Vec::new(), false).await.unwrap();
    }
    let to = |text: &str| Some(Jid::parse(text).unwrap());
    juliet.send(Presence::new(PresenceKind::Subscribe, to("seen@localhost"))).await.unwrap();
    seen.until("her request", |element| element.attr("type") == Some("subscribe")).await;
    seen.say("<presence type='subscribed' to='juliet@localhost'/>");
    seen.say(CAPS);
    let (theirs, mut devices) = (Jid::parse(&seen.jid).unwrap(), juliet.devices());
    devices.wait_for(|devices| devices.get(&theirs).is_some()).await.unwrap();
    for somebody in [&neither, &seen] {
        stage.is_nobody_to(somebody).await;
        let asked = |element: &Element| element.name() == "iq" && element.attr("type") == Some("get");
        assert_eq!(somebody.heard(asked), 0, "asking them what they can do shows them that she is there");
    }
}

/// Proves: C0030-3-1.
#[tokio::test]
async fn contacts_who_see_us_own_devices_and_the_server_are_answered() {
    let couple = Couple::new().await;
    let phone = Account::connect(options(&couple.scene, "juliet"), Store::in_memory().unwrap()).await.unwrap();
    for account in [&couple.romeo, &phone] {
        answers(account, &couple.juliet).await;
    }
    // A program that hides is there for its own devices alone.
    let hidden = ConnectOptions { availability: Availability::Hidden, ..options(&couple.scene, "juliet") };
    let hidden = Account::connect(hidden, Store::in_memory().unwrap()).await.unwrap();
    answers(&phone, &hidden).await;
    let asked = couple.romeo.abilities(&hidden.online().await.unwrap().jid).await;
    assert_eq!(asked, None, "it is shown to nobody");
}

async fn answers(asker: &Account, asked: &Account) {
    let abilities = asker.abilities(&asked.online().await.unwrap().jid).await;
    assert!(abilities.is_some_and(|abilities| abilities.gives_files()), "{} is not answered", asker.jid());
}

/// What was offered to somebody they may come back for, also after a new login and whether or not they are a contact; until a rule keeps it
/// from them.
#[tokio::test]
async fn to_whom_something_was_offered_the_device_is_there_until_a_rule_says_no() {
    let scene = Scene::new().await;
    scene.server.add_account("mallory", PASSWORD).await.unwrap();
    let (folder, store) = (tempfile::tempdir().unwrap(), Store::in_memory().unwrap());
    let connect = async || Account::connect(options(&scene, "juliet"), store.clone()).await.unwrap();
    let juliet = connect().await;
    let mallory = Mallory::at(&scene.server, "mallory", "x", Arc::new(|_: &Element| None)).await;
    assert!(refusal(&mallory.ask("get", &device(&juliet).await, INFO).await).is_some());
    juliet.share(file(&folder, "summit.jpg", SUMMIT)).to(&"mallory@localhost".parse().unwrap()).await.unwrap();
    assert!(refusal(&mallory.ask("get", &device(&juliet).await, INFO).await).is_none());
    juliet.close().await;
    let juliet = connect().await;
    let there = device(&juliet).await;
    assert!(refusal(&mallory.ask("get", &there, INFO).await).is_none(), "she offered it, and is there again");
    let asks = format!(
        "<jingle xmlns='{JINGLE}' action='session-initiate' sid='s2'><content creator='initiator' name='f' senders='responder'>\
         <description xmlns='urn:xmpp:jingle:apps:file-transfer:5'><file><hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>{}</hash></file>\
         </description>{}</content></jingle>",
        digest(SUMMIT),
        in_band("i2")
    );
    assert!(refusal(&mallory.ask("set", &there, &asks).await).is_none(), "that file they may have");
    mallory.action("s2", "session-accept").await;
    juliet.close().await;
    let juliet = connect().await;
    juliet.fetcher().set_giving(juliet.jid(), "never mallory@localhost\ngive everybody".parse().unwrap()).await.unwrap();
    let there = device(&juliet).await;
    for (verb, payload) in [("get", INFO), ("set", &asks)] {
        assert_eq!(refusal(&mallory.ask(verb, &there, payload).await).unwrap().0, "service-unavailable");
    }
}

/// While it is shared the device is shown to whoever is told, contact or not; afterwards it never was.
#[tokio::test]
async fn what_was_shared_live_shows_us_as_long_as_it_is_shared() {
    let scene = Scene::new().await;
    scene.server.add_account("mallory", PASSWORD).await.unwrap();
    let mallory = Mallory::at(&scene.server, "mallory", "x", Arc::new(|_: &Element| None)).await;
    let (folder, juliet) = (tempfile::tempdir().unwrap(), scene.connect("juliet").await);
    let them: BareJid = "mallory@localhost".parse().unwrap();
    juliet.add_contact(&them, None, Vec::new(), false).await.unwrap();
    let there = device(&juliet).await;
    let shares = juliet.share_live(file(&folder, "summit.jpg", SUMMIT)).to(&Jid::from(them)).await.unwrap();
    let shown = mallory.until("her presence", |element| element.name() == "presence" && element.attr("from") == Some(&there)).await;
    assert_eq!(shown.attr("type"), None);
    assert!(refusal(&mallory.ask("get", &there, INFO).await).is_none());
    shares.stop().await.unwrap();
    mallory.until("the end of it", |element| element.attr("type") == Some("unavailable")).await;
    assert_eq!(refusal(&mallory.ask("get", &there, INFO).await).unwrap().0, "service-unavailable");
}

/// A file sent straight to a stranger: they must be able to ask what we can do, and hear it.
#[tokio::test]
async fn whoever_is_offered_a_file_in_a_session_may_ask_what_we_can_do() {
    let scene = Scene::new().await;
    scene.server.add_account("mallory", PASSWORD).await.unwrap();
    let acknowledges = |iq: &Element| iq.children().next().is_some_and(|payload| payload.ns() == JINGLE).then(String::new);
    let mallory = Mallory::at(&scene.server, "mallory", "x", Arc::new(acknowledges)).await;
    let folder = tempfile::tempdir().unwrap();
    let juliet = Account::connect(scene.options("juliet", Security::StartTls), Store::in_memory().unwrap()).await.unwrap();
    let sending = juliet.send_direct(file(&folder, "summit.jpg", SUMMIT)).to(&mallory.jid.parse().unwrap()).progress();
    mallory.until("the question", |element| element.to_xml().contains("disco#info")).await;
    assert!(refusal(&mallory.ask("get", &device(&juliet).await, INFO).await).is_none());
    drop(sending);
}

/// What a device says that wants to give a file to one of somebody's devices (XEP-0353).
fn proposal(id: &str, name: &str) -> Element {
    let xml = format!(
        "<propose xmlns='urn:xmpp:jingle-message:0' id='{id}'><description xmlns='urn:xmpp:jingle:apps:file-transfer:5'>\
         <file><name>{name}</name><size>10</size></file></description></propose>"
    );
    Element::parse(&xml).unwrap()
}

/// They hear nothing, and the person hears of it: once, however often they try. What a contact proposes who sees us comes in its session.
///
/// Proves: JIN-6.3-2.
#[tokio::test]
async fn what_somebody_proposes_who_does_not_see_us_waits_for_the_person_without_an_answer() {
    let mut stage = Stage::new().await;
    let mallory = stage.somebody("mallory").await;
    let juliet = stage.couple.juliet.clone();
    juliet.add_contact(&"mallory@localhost".parse().unwrap(), None, Vec::new(), false).await.unwrap();
    let theirs =
        Message { payloads: vec![proposal("r", "valley.jpg")], ..Message::new(MessageKind::Chat, Some(juliet.jid().clone().into())) };
    stage.couple.romeo.send(theirs).await.unwrap();
    for (id, name) in [("a", "summit.jpg"), ("b", "summit.jpg"), ("c", "lake.jpg")] {
        mallory.say(format!("<message type='chat' to='juliet@localhost' id='{id}'>{}</message>", proposal(id, name).to_xml()));
    }
    for name in ["summit.jpg", "lake.jpg"] {
        let offer = stage.couple.next().await;
        assert_eq!((offer.name().as_str(), offer.is_pending()), (name, true));
        for asked in [false, true] {
            let decision = juliet.decide_for(&offer, Wish { asked, ..Wish::default() }).await.unwrap();
            assert!(matches!(decision, Decision::Wait(Wait::ToBeSeen)), "{decision:?}");
        }
    }
    let of_juliet = |element: &Element| element.attr("from").is_some_and(|from| from.starts_with("juliet@localhost"));
    assert_eq!(mallory.lingers(of_juliet).await, 0, "{}", mallory.all());
}
