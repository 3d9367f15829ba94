//! The vectors of priorities and nomination.

use balcony_sharing::transfer::Reach;
use balcony_sharing::transfer::bytestream::s5b::{Action, S5b, Settings, Terms};
use balcony_sharing::transfer::bytestream::{Line, Side, SocketAction, SocketEvent, Way};
use balcony_wire::jingle::{Candidate, CandidateKind, S5bPayload, S5bTransport};
use serde_json::Value;

use super::world::SID;
use super::{dawn, jid, listener};

/// Proves: S5J-2.2-6.
#[test]
fn priorities_are_those_of_the_document() {
    for case in testing_corpus::vector("s5b")["priorities"].as_array().unwrap() {
        let number = |name: &str| u32::try_from(case[name].as_u64().unwrap()).unwrap();
        let kinds = [CandidateKind::Direct, CandidateKind::Assisted, CandidateKind::Tunnel, CandidateKind::Proxy];
        let kind = kinds.into_iter().find(|kind| kind.preference() == number("type_preference")).unwrap();
        assert_eq!(kind.priority(u16::try_from(number("local_preference")).unwrap()), number("priority"), "{case}");
    }
    let mut machine = machine(Side::Initiator);
    machine.handle_own_candidates(vec![listener("192.0.2.1", 1100)]);
    assert_eq!(machine.transport().candidates()[0].priority, 8_258_636);
}

fn machine(side: Side) -> S5b {
    let terms = Terms {
        side,
        sid: SID.to_owned(),
        own: jid("romeo@montague.lit/orchard"),
        peer: jid("juliet@capulet.lit/balcony"),
        reach: Reach::Direct,
    };
    S5b::new(terms, Settings::default(), [7; 32])
}

/// Direct candidates alone, so that whoever is nominated stands at once.
///
/// Proves: S5J-2.4-1, S5J-2.3-1.
#[test]
fn both_sides_come_to_the_conclusion_of_the_document() {
    for case in testing_corpus::vector("s5b")["nomination"].as_array().unwrap() {
        let side = if case["i_am_initiator"].as_bool().unwrap() { Side::Initiator } else { Side::Responder };
        assert_eq!(concluded(side, &case["mine"], &case["peer"]), case["nominated"].as_str().unwrap(), "{case}");
    }
}

fn concluded(side: Side, mine: &Value, peers: &Value) -> &'static str {
    let now = dawn();
    let priority = |value: &Value| value.get("priority").and_then(Value::as_u64).map(|number| u32::try_from(number).unwrap());
    let mut machine = machine(side);
    // Priorities of others follow no rule, and what we made of ours is not what the vectors have: say the difference by preference.
    let peers = priority(peers);
    let preference = peers.map(|peers| u16::try_from(peers & 0xffff).unwrap());
    machine.handle_own_candidates(vec![listener("192.0.2.1", preference.unwrap_or(0))]);
    let ours = machine.transport().candidates()[0].clone();
    // A proxy of theirs in the vector is a direct one of ours here: only which of the two is higher matters.
    let theirs = priority(mine).map(|mine| match peers {
        Some(peers) => ours.priority - peers + mine,
        None => mine,
    });
    let host = jid("juliet@capulet.lit/balcony");
    let candidate = |priority: u32| Candidate {
        cid: "hft54dqy".to_owned(),
        host: "192.0.2.2".to_owned(),
        jid: host.clone(),
        port: None,
        priority,
        kind: CandidateKind::Direct,
    };
    let offer = S5bPayload::candidates(vec![candidate(theirs.unwrap_or(1))]);
    machine.handle_transport(now, &S5bTransport::new(SID, offer)).unwrap();
    machine.begin(now);
    machine.handle_socket(now, SocketEvent::Connected);
    let line = Line::Theirs("hft54dqy".to_owned());
    let result = if theirs.is_some() { Ok(()) } else { Err("connection refused".to_owned()) };
    machine.handle_socket(now, SocketEvent::Dialled { line: line.clone(), result });
    let verdict = if peers.is_some() { S5bPayload::CandidateUsed(ours.cid) } else { S5bPayload::CandidateError };
    machine.handle_transport(now, &S5bTransport::new(SID, verdict)).unwrap();
    let mut concluded = None;
    let mut hung_up = false;
    while let Some(action) = machine.poll_action() {
        match action {
            Action::Stands(Way::Listener { .. }) => concluded = Some("peer"),
            Action::Stands(Way::Dialled(_)) => concluded = Some("mine"),
            Action::Failed(_) => concluded = Some("none: fall back"),
            Action::Socket(SocketAction::HangUp { line: lost }) => hung_up |= lost == line,
            _ => {}
        }
    }
    assert_eq!(hung_up, theirs.is_some() && concluded == Some("peer"), "what is not used is hung up");
    concluded.unwrap()
}
