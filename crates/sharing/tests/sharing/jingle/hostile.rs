//! Peers that mean no good: whatever they say, memory stays bounded, every session ends, and every end has a name.

use std::time::Duration;

use balcony_sharing::transfer::bytestream::{Line, SocketAction, SocketEvent};
use balcony_sharing::transfer::jingle::{Action, Event, JingleRefusal, Means, Rejection, StreamEnd};
use balcony_wire::jingle::{Action as Verb, Transport};

use super::lone::{FILE, IBB, Lone, S5B, content, initiators, terms};
use super::world::{Dice, bytes, described};

#[test]
fn infos_without_end_end_the_session() {
    let mut juliet = Lone::taking_in_band();
    let mut heard = 0;
    while juliet.hears("session-info", "").is_ok() {
        heard += 1;
        assert!(heard < 10_000);
    }
    assert_eq!(juliet.end().as_deref(), Some("the other side broke the rules: requests without end"));
    assert_eq!(juliet.hears("session-info", ""), Err(JingleRefusal::UnknownSession));
}

#[test]
fn contents_without_end_are_refused() {
    let mut juliet = Lone::taking_in_band();
    let mut taken = 0;
    for at in 0..1_000 {
        let added = content(&format!("f{at}"), "initiator", FILE, IBB);
        match juliet.hears("content-add", &added) {
            Ok(()) => {
                taken += 1;
                let id = initiators(&format!("f{at}"));
                juliet.act(|session, now| session.reject(now, &id, Rejection::Declined)); // room is not made by that
            }
            Err(refusal) => assert_eq!(refusal, JingleRefusal::Busy),
        }
    }
    assert_eq!((taken, juliet.end()), (31, None));
    let long = content(&"n".repeat(1_000), "initiator", FILE, IBB);
    assert!(matches!(Lone::incoming(&long).err(), Some(JingleRefusal::BadRequest(_))));
}

#[test]
fn candidates_without_end_are_not_all_dialled() {
    let candidate = |at: usize| {
        format!(
            "<candidate cid='c{at}' host='192.0.2.{}' jid='romeo@montague.lit/orchard' port='{}' priority='{}' type='direct'/>",
            at % 250,
            1_000 + at,
            9_000 - at
        )
    };
    let all: String = (0..1_000).map(candidate).collect();
    let transport = format!("<transport xmlns='urn:xmpp:jingle:transports:s5b:1' sid='vj3hs98y'>{all}</transport>");
    let mut juliet = Lone::incoming(&content("f", "initiator", FILE, &transport)).unwrap();
    let id = juliet.id(0);
    juliet.act(|session, now| session.accept(now, &id, 0));
    let more = format!("<content creator='initiator' name='f'>{transport}</content>");
    for _ in 0..10 {
        juliet.hears("transport-info", &more).unwrap();
        juliet.wait(1);
    }
    assert!((1..=16).contains(&juliet.dials()), "{}", juliet.dials());
}

#[test]
fn candidates_and_streams_of_others_change_nothing() {
    let mut juliet = Lone::incoming(&content("f", "initiator", FILE, S5B)).unwrap();
    let id = juliet.id(0);
    juliet.act(|session, now| session.accept(now, &id, 0));
    let said = juliet.said.len();
    let info = |sid: &str, what: &str| {
        format!(
            "<content creator='initiator' name='f'><transport xmlns='urn:xmpp:jingle:transports:s5b:1' sid='{sid}'>{what}</transport></content>"
        )
    };
    for (sid, what) in [
        ("vj3hs98y", "<candidate-used cid='hft54dqy'/>"), // one of his own
        ("vj3hs98y", "<candidate-used cid='nobodys'/>"),
        ("vj3hs98y", "<activated cid='hft54dqy'/>"),
        ("other", "<candidate-error/>"),
        ("other", "<proxy-error/>"),
    ] {
        assert_eq!(juliet.hears("transport-info", &info(sid, what)), Err(JingleRefusal::UnknownContent), "{sid} {what}");
    }
    assert_eq!((juliet.said.len(), juliet.has_begun(), juliet.end()), (said, false, None));
    let other = info("vj3hs98y", "<candidate-error/>").replace("'f'", "'g'");
    assert_eq!(juliet.hears("transport-info", &other), Err(JingleRefusal::UnknownContent));
}

#[test]
fn sockets_of_a_stream_that_is_gone_mean_nothing() {
    let mut juliet = Lone::incoming(&content("f", "initiator", FILE, S5B)).unwrap();
    let id = juliet.id(0);
    juliet.act(|session, now| session.accept(now, &id, 0));
    let stream = juliet.stream();
    let lost = SocketEvent::Dialled { line: Line::Theirs("hft54dqy".into()), result: Err("refused".into()) };
    juliet.act(|session, now| session.handle_socket(now, stream, lost));
    juliet.hears("transport-replace", &format!("<content creator='initiator' name='f'>{IBB}</content>")).unwrap();
    assert!(juliet.has_begun());
    let late = SocketEvent::Dialled { line: Line::Theirs("hft54dqy".into()), result: Ok(()) };
    juliet.act(|session, now| {
        session.handle_socket(now, stream, late);
        session.handle_socket(now, stream, SocketEvent::Connected);
        session.handle_own_candidates(now, stream, Vec::new());
    });
    let begun = juliet.others.iter().filter(|action| matches!(action, Action::Begin { .. })).count();
    assert_eq!(begun, 1);
}

#[test]
fn transports_are_not_replaced_without_end() {
    let mut juliet = Lone::taking_in_band();
    for at in 0..100 {
        let other = IBB.replace("ch3d9s71", &format!("s{at}"));
        juliet.hears("transport-replace", &format!("<content creator='initiator' name='f'>{other}</content>")).unwrap();
    }
    let accepted = juliet.verbs().iter().filter(|verb| **verb == "transport-accept").count();
    let rejected = juliet.verbs().iter().filter(|verb| **verb == "transport-reject").count();
    assert_eq!((accepted, rejected, juliet.end()), (4, 96, None));
}

/// Nothing that arrived is lost, and nothing is put where it does not belong: who replaces a transport in the middle of a file says
/// that the byte will be looked at, or it is not done.
#[test]
fn a_transport_is_replaced_in_the_middle_only_where_both_say_the_byte() {
    let replace = |description: &str| {
        let other = IBB.replace("ch3d9s71", "next");
        format!("<content creator='initiator' name='f'>{description}{other}</content>")
    };
    let ranged = "<description xmlns='urn:xmpp:jingle:apps:file-transfer:5'><file><range/></file></description>";
    for (description, verb) in [("", Verb::TransportReject), (ranged, Verb::TransportAccept)] {
        let mut juliet = Lone::taking_in_band();
        let id = juliet.id(0);
        juliet.act(|session, now| assert_eq!(session.handle_arrived(now, &id, 1_000), 1_000));
        juliet.hears("transport-replace", &replace(description)).unwrap();
        assert_eq!(juliet.last().action, verb);
        let offset = juliet.last().contents[0].file().and_then(|file| file.range.as_ref()?.offset);
        let spans: Vec<u64> = juliet
            .others
            .iter()
            .filter_map(|action| match action {
                Action::Begin { span, .. } => Some(span.offset),
                _ => None,
            })
            .collect();
        match verb {
            Verb::TransportAccept => assert_eq!((offset, &spans[..]), (Some(1_000), &[0, 1_000][..])),
            _ => assert_eq!((offset, &spans[..], juliet.end()), (None, &[0][..], None)), // what there was goes on
        }
    }
    // the giving side: a byte before what was agreed on, or behind the file, is none
    for (range, verb) in [("offset='6145'", Verb::TransportReject), ("offset='6144'", Verb::TransportAccept), ("", Verb::TransportAccept)] {
        let mut romeo = Lone::taking_in_band();
        let given = content("g", "responder", FILE, &IBB.replace("ch3", "x"));
        romeo.hears("content-add", &given).unwrap();
        let id = initiators("g");
        romeo.act(|session, now| session.serve(now, &id, described("test.txt", &bytes(6144))));
        romeo.act(|session, now| session.handle_sent(now, &id, 500));
        romeo
            .hears("transport-replace", &replace(&ranged.replace("range", &format!("range {range}"))).replace("name='f'", "name='g'"))
            .unwrap();
        assert_eq!(romeo.last().action, verb, "{range}");
    }
}

#[test]
fn bytes_after_the_end_are_not_taken() {
    let mut juliet = Lone::taking_in_band();
    let id = juliet.id(0);
    juliet.act(|session, now| assert_eq!(session.handle_arrived(now, &id, 6144), 6144));
    juliet.act(|session, now| assert_eq!(session.handle_arrived(now, &id, 10), 0));
    juliet.act(|session, now| session.handle_stream_end(now, &id, StreamEnd::Broken("late".into())));
    assert_eq!(juliet.end(), None); // it is all here
    juliet.act(|session, now| session.cancel(now, &id));
    juliet.act(|session, now| assert_eq!(session.handle_arrived(now, &id, 10), 0));
    let nobody = initiators("nobody");
    juliet.act(|session, now| assert_eq!(session.handle_arrived(now, &nobody, 10), 0));
}

#[test]
fn who_drips_does_not_hold_a_session() {
    let mut juliet = Lone::taking_in_band();
    let id = juliet.id(0);
    for _ in 0..60 {
        juliet.act(|session, now| assert!(session.handle_arrived(now, &id, 1) <= 1));
        juliet.wait(1);
    }
    assert!(juliet.end().unwrap().starts_with("nothing came for too long, after 30 bytes"), "{:?}", juliet.end());
}

#[test]
fn checksums_without_end_are_not_listened_to() {
    let mut juliet = Lone::taking_in_band();
    let checksum = "<checksum xmlns='urn:xmpp:jingle:apps:file-transfer:5' creator='initiator' name='f'><file>\
        <hash xmlns='urn:xmpp:hashes:2' algo='sha-1'>w0mcJylzCn+AfvuGdqkty2+KP48=</hash></file></checksum>";
    let heard = (0..100).filter(|_| juliet.hears("session-info", checksum).is_ok()).count();
    assert_eq!(heard, 16);
}

/// Anything that a peer can say, in any order: no panic, no loop, bounded words of ours, and an end.
#[test]
fn whatever_is_said_in_any_order_the_session_ends_and_says_why() {
    for seed in 0..400 {
        chaos(seed);
    }
}

fn chaos(seed: u64) {
    let mut dice = Dice(seed);
    let mut lone = match dice.below(5) {
        0 => Lone::taking_in_band(),
        1 => Lone::giving_in_band(),
        2 => Lone::offering(vec![described("a", &bytes(6144)); 2], terms(Means::ALL)),
        3 => Lone::asking(vec![described("a", &bytes(6144))], terms(Means::ALL)),
        _ => Lone::incoming(&(content("f", "initiator", FILE, S5B) + &content("g", "responder", FILE, IBB))).unwrap(),
    };
    for _ in 0..80 {
        step(&mut lone, &mut dice);
        assert!(lone.said.len() < 400, "seed {seed}");
    }
    lone.wait(100_000);
    if !lone.session.is_over() {
        // only what is checked here waits for us
        let waits: Vec<_> = lone.events.iter().filter(|event| matches!(event, Event::Whole { .. })).collect();
        assert!(!waits.is_empty() && lone.session.deadline().is_none(), "seed {seed}: {:?} {:?}", lone.events, lone.session);
        lone.act(|session, now| session.terminate(now, balcony_sharing::transfer::jingle::EndReason::Stopped));
    }
    assert!(matches!(lone.events.last(), Some(Event::Ended(_))), "seed {seed}");
    let ends = lone.events.iter().filter(|event| matches!(event, Event::Ended(_))).count();
    let contents = lone.events.iter().filter(|event| matches!(event, Event::ContentEnded { .. })).count();
    assert_eq!((ends, contents), (1, lone.session.contents().count()), "seed {seed}: {:?}", lone.events);
}

fn step(lone: &mut Lone, dice: &mut Dice) {
    let contents: Vec<_> = lone.session.contents().cloned().collect();
    let pick = |dice: &mut Dice| contents[dice.below(contents.len() as u64) as usize].clone();
    let id = pick(dice);
    match dice.below(14) {
        0 => lone.act(|session, now| session.accept(now, &id, 100)),
        1 => lone.act(|session, now| session.serve(now, &id, described("b", &bytes(6144)))),
        2 if dice.happens(10) => lone.act(|session, now| session.reject(now, &id, Rejection::Declined)),
        3 => {
            let count = dice.below(4_000);
            lone.act(|session, now| assert!(session.handle_arrived(now, &id, count) <= count));
            lone.act(|session, now| session.handle_sent(now, &id, count));
        }
        4 => {
            let end = if dice.happens(50) { StreamEnd::Clean } else { StreamEnd::Broken("cut".into()) };
            lone.act(|session, now| session.handle_stream_end(now, &id, end));
        }
        5 => lone.wait(dice.below(8)),
        6 => lone.acknowledge(),
        7 => sockets(lone, dice),
        _ => {
            let (action, children) = word(lone, dice, &id.name);
            let _ = lone.hears(action, &children); // refused or not
        }
    }
}

/// The sockets of some stream succeed or fail.
fn sockets(lone: &mut Lone, dice: &mut Dice) {
    for action in lone.others.clone() {
        if let Action::Socket { stream, action: SocketAction::Dial { line, .. } } = action {
            let result = if dice.happens(50) { Ok(()) } else { Err("refused".to_owned()) };
            lone.act(|session, now| session.handle_socket(now, stream, SocketEvent::Dialled { line, result }));
        }
    }
}

/// Something to say: any action, about a content there is or is not, with a transport that was seen or was not.
fn word(lone: &Lone, dice: &mut Dice, name: &str) -> (&'static str, String) {
    const ACTIONS: [&str; 16] = [
        "content-accept",
        "content-add",
        "content-modify",
        "content-reject",
        "content-remove",
        "description-info",
        "security-info",
        "session-accept",
        "session-info",
        "session-initiate",
        "session-terminate",
        "transport-accept",
        "transport-info",
        "transport-reject",
        "transport-replace",
        "fnord",
    ];
    let mut action = ACTIONS[dice.below(16) as usize];
    if matches!(action, "session-terminate" | "content-remove" | "content-reject") && dice.happens(80) {
        action = "transport-info";
    }
    if action == "session-info" {
        let infos = ["", "<received xmlns='urn:xmpp:jingle:apps:file-transfer:5'/>", "<x xmlns='urn:example'/>"];
        return (action, infos[dice.below(3) as usize].to_owned());
    }
    // a transport that they saw from us
    let ours = lone.said.iter().rev().find_map(|(_, said)| match said.contents.first()?.transport.as_ref()? {
        Transport::S5b(s5b) => {
            Some(format!("<transport xmlns='urn:xmpp:jingle:transports:s5b:1' sid='{}'><candidate-error/></transport>", s5b.sid))
        }
        Transport::Ibb(ibb) => Some(IBB.replace("ch3d9s71", &ibb.sid)),
        Transport::Other(_) => None,
    });
    let transport = match dice.below(5) {
        0 => IBB.to_owned(),
        1 => S5B.to_owned(),
        2 => S5B.replace("<candidate ", "<candidate-error/><candidate "),
        _ => ours.unwrap_or_default(),
    };
    let creator = if dice.happens(50) { "initiator" } else { "responder" };
    let name = if dice.happens(10) { format!("new{}", dice.below(5)) } else { name.to_owned() };
    let senders = ["initiator", "responder", "none", "both"][dice.below(4) as usize];
    let range = if dice.happens(30) { "<range offset='200'/>" } else { "" };
    let content = content(&name, senders, &FILE.replace("<range/>", range), &transport)
        .replace("creator='initiator'", &format!("creator='{creator}'"));
    (action, content + if dice.happens(50) { "<reason><success/></reason>" } else { "" })
}

#[test]
fn nothing_is_waited_for_without_end() {
    let mut lone = Lone::giving_in_band();
    let mut last = lone.now;
    while let Some(due) = lone.session.deadline() {
        assert!(due > last && due < last + Duration::from_secs(3_600));
        last = due;
        lone.now = due;
        lone.act(|session, now| session.handle_timeout(now));
    }
    assert!(lone.end().is_some());
}
