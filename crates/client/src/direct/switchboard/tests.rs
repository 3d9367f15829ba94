use balcony_wire::Jid;
use balcony_wire::roster::Subscription::{Both, From, None as Neither, To};

use super::*;

fn jingle(from: &str, action: &str, sid: &str) -> Iq {
    let payload = Element::new("jingle", ns::JINGLE).with_attr("action", action).with_attr("sid", sid);
    Iq { from: Some(Jid::parse(from).unwrap()), ..Iq::set("1", None, payload) }
}

fn switchboard() -> (Switchboard, mpsc::Receiver<(Arrival, Place)>) {
    let contacts = [
        ("romeo@montague.example", Both),
        ("mercutio@montague.example", From),
        ("tybalt@capulet.example", To),
        ("paris@verona.example", Neither),
    ];
    Switchboard::new(Sight::with_contacts("juliet@capulet.example", &contacts), Expected::new().0)
}

fn key(peer: &str, sid: &str) -> Key {
    Key { peer: Jid::parse(peer).unwrap().into_full().unwrap(), sid: sid.to_owned() }
}

fn refused(answer: Option<Iq>) -> StanzaError {
    match answer.map(|answer| answer.kind) {
        Some(IqKind::Error(error)) => error,
        other => panic!("no error: {other:?}"),
    }
}

/// Proves: JIN-D-1.
#[tokio::test]
async fn a_session_is_found_by_who_speaks_and_the_id_together() {
    let (switchboard, mut arrivals) = switchboard();
    let mut mine = switchboard.session(key("romeo@montague.example/balcony", "s1")).unwrap();
    assert_eq!(switchboard.take(jingle("romeo@montague.example/balcony", "session-info", "s1")), None);
    assert!(matches!(mine.next().await, Some(Mail::Request(_))));
    for (from, sid) in [("romeo@montague.example/other", "s1"), ("mallory@evil.example/x", "s1"), ("romeo@montague.example/balcony", "s2")]
    {
        let error = refused(switchboard.take(jingle(from, "session-terminate", sid)));
        assert_eq!(error.condition, DefinedCondition::ItemNotFound, "{from} {sid}");
        assert_eq!(error.application.unwrap().name(), "unknown-session");
    }
    // Who begins one is somebody else's business, also under an id that is taken with another.
    assert_eq!(switchboard.take(jingle("mercutio@montague.example/x", "session-initiate", "s1")), None);
    assert!(matches!(arrivals.recv().await, Some((Arrival::Session(_), _))));
    drop(mine);
    refused(switchboard.take(jingle("romeo@montague.example/balcony", "session-info", "s1")));
}

#[tokio::test]
async fn who_sends_too_much_is_told_so_at_once() {
    let (switchboard, _arrivals) = switchboard();
    let full = key("romeo@montague.example/balcony", "s1");
    let _session = switchboard.session(full.clone()).unwrap();
    for _ in 0..MAILBOX {
        assert_eq!(switchboard.take(jingle(full.peer.as_str(), "session-info", "s1")), None);
    }
    let error = refused(switchboard.take(jingle(full.peer.as_str(), "session-info", "s1")));
    assert_eq!(error.condition, DefinedCondition::ResourceConstraint);
}

/// Proves: JIN-6.3-2, JIN-13-1.
#[tokio::test]
async fn whoever_does_not_see_us_takes_no_room_and_one_contact_never_all_of_it() {
    let (switchboard, mut arrivals) = switchboard();
    for _ in 0..ARRIVALS * 2 {
        // Being in the roster is not enough: they would learn that we are there.
        for who in ["mallory@evil.example/x", "tybalt@capulet.example/x", "paris@verona.example/x"] {
            let error = refused(switchboard.take(jingle(who, "session-initiate", "s")));
            assert_eq!(error.condition, DefinedCondition::ServiceUnavailable, "as if we had never heard of sessions");
        }
    }
    for _ in 0..OF_ONE {
        assert_eq!(switchboard.take(jingle("mercutio@montague.example/x", "session-initiate", "s")), None);
    }
    let error = refused(switchboard.take(jingle("mercutio@montague.example/phone", "session-initiate", "more")));
    assert_eq!(error.condition, DefinedCondition::ResourceConstraint);
    assert_eq!(switchboard.take(jingle("romeo@montague.example/x", "session-initiate", "s")), None);
    // Whatever was looked at makes room.
    drop(arrivals.recv().await);
    assert_eq!(switchboard.take(jingle("mercutio@montague.example/x", "session-initiate", "s")), None);
}

#[test]
fn so_many_sessions_with_one_device_and_so_many_in_all() {
    let (switchboard, _arrivals) = switchboard();
    let mut open = Vec::new();
    let mut fill = |person: &str, count: usize| {
        for sid in 0..count {
            open.push(switchboard.session(key(&format!("{person}@montague.example/balcony"), &format!("s{sid}"))).unwrap());
        }
    };
    fill("romeo", WITH_ONE);
    assert_eq!(switchboard.session(key("romeo@montague.example/balcony", "more")).unwrap_err(), NoRoom::TooMany);
    assert_eq!(switchboard.session(key("romeo@montague.example/balcony", "s0")).unwrap_err(), NoRoom::Taken);
    for person in 0..(IN_ALL - WITH_ONE) / 4 {
        fill(&format!("person{person}"), 4);
    }
    assert_eq!(switchboard.session(key("juliet@capulet.example/balcony", "s")).unwrap_err(), NoRoom::TooMany);
    open.clear();
    assert_eq!(switchboard.sessions(), 0);
}

/// Proves: IBB-D-1.
#[tokio::test]
async fn chunks_are_taken_only_from_the_peer_of_the_stream() {
    let (switchboard, _arrivals) = switchboard();
    let mut stream = switchboard.in_band(key("romeo@montague.example/balcony", "i1"));
    let data = Element::new("data", ns::IBB).with_attr("sid", "i1").with_attr("seq", "0");
    let chunk = |from: &str| Iq { from: Some(Jid::parse(from).unwrap()), ..Iq::set("1", None, data.clone()) };
    assert_eq!(refused(switchboard.take(chunk("mallory@evil.example/x"))).condition, DefinedCondition::ItemNotFound);
    assert_eq!(switchboard.take(chunk("romeo@montague.example/balcony")), None);
    let mut message = Message::new(MessageKind::Normal, None);
    message.payloads.push(data.clone());
    for from in ["mallory@evil.example/x", "romeo@montague.example/balcony"] {
        message.from = Some(Jid::parse(from).unwrap());
        switchboard.hear(&message);
    }
    assert!(matches!(stream.next().await, Some(InBand::Request(_))));
    assert!(matches!(stream.next().await, Some(InBand::Message(message)) if message.from.as_ref().unwrap().domain() == "montague.example"));
    // A hole cannot be mended: the stream ends instead.
    for _ in 0..=MAILBOX {
        switchboard.hear(&message);
    }
    for _ in 0..MAILBOX {
        assert!(stream.next().await.is_some());
    }
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn a_device_that_goes_offline_is_told_to_its_sessions_and_to_no_other() {
    let (switchboard, _arrivals) = switchboard();
    let mut romeos = switchboard.session(key("romeo@montague.example/balcony", "s1")).unwrap();
    let mut others = switchboard.session(key("romeo@montague.example/phone", "s1")).unwrap();
    let mut gone = Presence::new(PresenceKind::Unavailable, None);
    gone.from = Some(Jid::parse("romeo@montague.example/balcony").unwrap());
    switchboard.see(&gone);
    assert!(matches!(romeos.next().await, Some(Mail::Unavailable)));
    switchboard.renamed();
    assert!(matches!(others.next().await, Some(Mail::Renamed)), "nothing came before");
}

#[tokio::test]
async fn strangers_by_however_many_names_leave_room_for_contacts() {
    let (switchboard, _arrivals) = switchboard();
    let start = |from: &str| Iq { from: Some(Jid::parse(from).unwrap()), ..Iq::get("1", None, Element::new("start", ns::JINGLE_PUB)) };
    let taken = (0..ARRIVALS * 2).filter(|n| switchboard.take(start(&format!("mallory{n}@evil.example/x"))).is_none()).count();
    assert_eq!(taken, OF_STRANGERS);
    let mut proposal = Message::new(MessageKind::Chat, None);
    proposal.payloads.push(Element::new("propose", ns::JINGLE_MESSAGE).with_attr("id", "p"));
    for n in 0..ARRIVALS * 2 {
        proposal.from = Some(Jid::parse(&format!("mallory{n}@evil.example/x")).unwrap());
        switchboard.hear(&proposal);
    }
    for _ in 0..OF_ONE {
        assert_eq!(switchboard.take(jingle("romeo@montague.example/x", "session-initiate", "s")), None);
    }
}

#[tokio::test]
async fn one_person_has_no_more_transfers_for_having_many_devices() {
    let (switchboard, _arrivals) = switchboard();
    let begin = |device: usize| switchboard.session(key(&format!("romeo@montague.example/{device}"), "s"));
    let open: Vec<_> = (0..WITH_ONE).map(|device| begin(device).unwrap()).collect();
    assert_eq!(begin(WITH_ONE).unwrap_err(), NoRoom::TooMany);
    assert!(switchboard.session(key("mercutio@montague.example/x", "s")).is_ok());
    drop(open);
}

#[tokio::test]
async fn what_waits_for_a_slow_reader_is_blocks_and_nothing_that_came_along() {
    let (switchboard, _arrivals) = switchboard();
    let romeo = "romeo@montague.example/balcony";
    let mut stream = switchboard.in_band(key(romeo, "i1"));
    let data = |text: String| Element::new("data", ns::IBB).with_attr("sid", "i1").with_attr("seq", "0").with_text(text);
    let chunk = |text| Iq { from: Some(Jid::parse(romeo).unwrap()), ..Iq::set("1", None, data(text)) };
    assert_eq!(refused(switchboard.take(chunk("A".repeat(200_000)))).condition, DefinedCondition::BadRequest);
    // The longest that there can be (XEP-0047 §2.1).
    assert_eq!(switchboard.take(chunk("A".repeat(87_380))), None);
    assert!(matches!(stream.next().await, Some(InBand::Request(_))));
    let mut message = Message::new(MessageKind::Normal, None);
    message.from = Some(Jid::parse(romeo).unwrap());
    message.payloads = vec![Element::new("x", "urn:example:junk").with_text("x".repeat(200_000)), data("AAAA".to_owned())];
    switchboard.hear(&message);
    match stream.next().await {
        Some(InBand::Message(block)) => assert_eq!(block.payloads, [data("AAAA".to_owned())]),
        other => panic!("{other:?}"),
    }
    message.payloads.push(data("A".repeat(200_000)));
    switchboard.hear(&message);
    assert!(matches!(stream.next().await, Some(InBand::Message(_))));
    assert!(stream.next().await.is_none(), "a hole cannot be mended");
}

/// Proves: JIN-6.3-2.
#[tokio::test]
async fn what_is_proposed_by_those_who_do_not_see_us_is_heard_by_nobody() {
    let (switchboard, mut arrivals) = switchboard();
    let mut proposal = Message::new(MessageKind::Chat, None);
    proposal.payloads.push(Element::new("propose", ns::JINGLE_MESSAGE).with_attr("id", "p"));
    for from in ["mallory@evil.example/x", "tybalt@capulet.example/x", "paris@verona.example/x", "romeo@montague.example/x"] {
        proposal.from = Some(Jid::parse(from).unwrap());
        switchboard.hear(&proposal);
    }
    let Some((Arrival::Message(message), _)) = arrivals.recv().await else { panic!("nothing came") };
    assert_eq!(message.from.unwrap().as_str(), "romeo@montague.example/x");
    assert!(arrivals.try_recv().is_err());
}

#[tokio::test]
async fn whoever_has_a_session_with_us_sees_us_as_long_as_it_lasts() {
    let (switchboard, _arrivals) = switchboard();
    let mallory: BareJid = "mallory@evil.example".parse().unwrap();
    assert_eq!(switchboard.view(&mallory), View::Nothing);
    let session = switchboard.session(key("mallory@evil.example/x", "s")).unwrap();
    assert_eq!(switchboard.view(&mallory), View::Shown);
    drop(session);
    assert_eq!(switchboard.view(&mallory), View::Nothing);
}

/// Whoever may learn nothing learns nothing by asking more than is looked at, or more than fits.
#[tokio::test]
async fn beyond_every_bound_strangers_still_hear_that_nobody_is_there() {
    let (switchboard, _arrivals) = switchboard();
    let ask = |n: usize, words: usize| {
        let from = Some(Jid::parse(&format!("mallory{n}@evil.example/x")).unwrap());
        let payload = Element::new("query", "urn:example").with_text("x".repeat(words));
        switchboard.unseen(Iq { from, ..Iq::get("1", None, payload) })
    };
    let refusals: Vec<Iq> = (0..ARRIVALS * 2).filter_map(|n| ask(n / 2, 0)).chain(ask(999, 4 << 20)).collect();
    assert!(refusals.len() >= ARRIVALS, "{}", refusals.len());
    for refusal in refusals {
        assert_eq!(refused(Some(refusal)), StanzaError::new(DefinedCondition::ServiceUnavailable));
    }
}
