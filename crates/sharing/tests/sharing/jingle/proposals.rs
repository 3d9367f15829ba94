//! Sessions proposed by message: several devices, several answers, none.

use std::time::{Duration, Instant};

use balcony_sharing::transfer::jingle::EndReason;
use balcony_sharing::transfer::jingle::proposal::{ProposalAction, ProposalEnd, ProposalEvent, ProposalSettings, Proposing};
use balcony_wire::jingle_message::JingleMessage;
use balcony_wire::{Element, FullJid, Stanza};

use super::lone::full;
use crate::fetch::dawn;

const ID: &str = "ca3cf894-5325-482f-a412-a6e9f832298d";

fn orchard() -> FullJid {
    full("romeo@montague.example/orchard")
}

fn device(name: &str) -> FullJid {
    full(&format!("juliet@capulet.example/{name}"))
}

/// A message of the listing: what it says.
fn listed(name: &str) -> JingleMessage {
    let element = Element::parse(&testing_corpus::example(&format!("xep-0353/{name}.xml")).in_stream()).unwrap();
    match Stanza::read(element) {
        Ok(Stanza::Message(message)) => JingleMessage::of(&message).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn proposing(now: Instant) -> Proposing {
    let JingleMessage::Propose(propose) = listed("01-initiator-sends-intent-message") else { panic!() };
    Proposing::new(ID.into(), device("phone").bare(), propose.descriptions, ProposalSettings::default(), now)
}

fn drained(mut poll: impl FnMut() -> Option<ProposalAction>) -> (Vec<(String, JingleMessage)>, Vec<ProposalEvent>) {
    let (mut said, mut events) = (Vec::new(), Vec::new());
    while let Some(action) = poll() {
        match action {
            ProposalAction::Say { to, message } => said.push((to.as_str().to_owned(), message)),
            ProposalAction::Event(event) => events.push(event),
        }
    }
    (said, events)
}

#[test]
fn all_devices_are_asked_and_the_one_that_proceeds_gets_the_session() {
    let now = dawn();
    let mut romeo = proposing(now);
    let (said, _) = drained(|| romeo.poll_action());
    assert_eq!(said, [("juliet@capulet.example".to_owned(), listed("01-initiator-sends-intent-message"))]);
    romeo.handle_message(now, &device("phone"), &listed("03-one-of-responder-s-resources-reports-it-is-ringing"));
    romeo.handle_message(now, &device("phone"), &listed("05-one-of-responder-s-resources-accepts-the-call"));
    let (_, events) = drained(|| romeo.poll_action());
    assert_eq!(events, [ProposalEvent::Ringing(device("phone")), ProposalEvent::Begin(device("phone"))]);
    assert_eq!((romeo.id(), romeo.deadline()), (ID, None));
    romeo.finish(&EndReason::Done);
    let (said, _) = drained(|| romeo.poll_action());
    assert!(matches!(&said[..], [(to, JingleMessage::Finish(finish))] if to == "juliet@capulet.example/phone" && finish.reason.is_some()));
}

#[test]
fn of_two_devices_that_proceed_the_first_gets_it_and_the_other_hears_that() {
    let now = dawn();
    let mut romeo = proposing(now);
    let proceed = listed("05-one-of-responder-s-resources-accepts-the-call");
    romeo.handle_message(now, &device("phone"), &proceed);
    drained(|| romeo.poll_action());
    romeo.handle_message(now, &device("phone"), &proceed); // twice the same is nothing new
    romeo.handle_message(now, &device("tablet"), &proceed);
    let (said, events) = drained(|| romeo.poll_action());
    let [(to, JingleMessage::Finish(_))] = &said[..] else { panic!("{said:?}") };
    assert_eq!((to.as_str(), &events[..]), ("juliet@capulet.example/tablet", &[][..]));
}

#[test]
fn it_is_rejected_or_taken_back() {
    let now = dawn();
    let mut romeo = proposing(now);
    romeo.handle_message(now, &device("phone"), &listed("07-one-of-responder-s-resources-rejects-the-call"));
    let (_, events) = drained(|| romeo.poll_action());
    assert_eq!(events.len(), 1);
    let ProposalEvent::Ended(end) = &events[0] else { panic!("{events:?}") };
    assert_eq!(end.to_string(), "the other side declined (\"Busy\")");

    let mut romeo = proposing(now);
    drained(|| romeo.poll_action());
    romeo.retract();
    let (said, events) = drained(|| romeo.poll_action());
    assert!(matches!(&said[..], [(_, JingleMessage::Retract(_))]) && events == [ProposalEvent::Ended(ProposalEnd::Declined)]);
}

#[test]
fn nobody_is_waited_for_without_end() {
    let now = dawn();
    let late = |seconds| now + Duration::from_secs(seconds);
    let mut romeo = proposing(now);
    drained(|| romeo.poll_action());
    assert_eq!(romeo.deadline(), Some(late(60)));
    romeo.handle_timeout(late(60));
    let (said, events) = drained(|| romeo.poll_action());
    assert!(matches!(&said[..], [(_, JingleMessage::Retract(_))]) && events == [ProposalEvent::Ended(ProposalEnd::NoAnswer)]);
    romeo.handle_message(late(61), &device("phone"), &listed("05-one-of-responder-s-resources-accepts-the-call"));
    assert_eq!((romeo.poll_action(), romeo.is_over()), (None, true));

    let mut rings = proposing(now);
    rings.handle_message(now, &device("phone"), &listed("03-one-of-responder-s-resources-reports-it-is-ringing"));
    assert_eq!(rings.deadline(), Some(late(600)));
}

#[test]
fn of_two_proposals_of_the_same_at_once_the_lower_id_goes_on() {
    let now = dawn();
    let theirs = listed("11-2-tie-break-in-propose-state");
    let mut romeo = proposing(now);
    drained(|| romeo.poll_action());
    romeo.handle_message(now, &device("phone"), &theirs);
    let (said, events) = drained(|| romeo.poll_action());
    let JingleMessage::Reject(listed_reject) = listed("11-3-tie-break-in-propose-state") else { panic!() };
    assert!(matches!(&said[..], [(_, JingleMessage::Reject(reject))] if reject.tie_break && reject.id == listed_reject.id));
    assert!(events.is_empty() && !romeo.is_over());
    romeo.handle_message(now, &device("phone"), &listed("11-4-tie-break-in-propose-state"));
    assert_eq!(drained(|| romeo.poll_action()).1, [ProposalEvent::Begin(device("phone"))]);

    // the other side of it
    let JingleMessage::Propose(propose) = theirs else { panic!() };
    for by_proposal in [true, false] {
        let mut juliet =
            Proposing::new(propose.id.clone(), orchard().bare(), propose.descriptions.clone(), ProposalSettings::default(), now);
        drained(|| juliet.poll_action());
        let heard = if by_proposal { "11-1-tie-break-in-propose-state" } else { "11-3-tie-break-in-propose-state" };
        juliet.handle_message(now, &orchard(), &listed(heard));
        assert_eq!(drained(|| juliet.poll_action()).1, [ProposalEvent::Ended(ProposalEnd::TieBroken)]);
    }
}

#[test]
fn what_strangers_say_of_a_proposal_means_nothing() {
    let now = dawn();
    let mut romeo = proposing(now);
    drained(|| romeo.poll_action());
    for name in [
        "03-one-of-responder-s-resources-reports-it-is-ringing",
        "04-initiator-sends-retract-message",
        "05-one-of-responder-s-resources-accepts-the-call",
        "07-one-of-responder-s-resources-rejects-the-call",
        "09-initiator-sends-finish-message",
    ] {
        for stranger in ["mallory@evil.example/phone", "romeo@montague.example/home", "juliet@evil.example/phone"] {
            romeo.handle_message(now, &full(stranger), &listed(name));
        }
    }
    assert_eq!(romeo.poll_action(), None);
    let other = listed("12-5-tie-break-in-accept-state"); // about another one
    romeo.handle_message(now, &device("phone"), &other);
    assert_eq!((romeo.poll_action(), romeo.is_over()), (None, false));
    romeo.handle_message(now, &device("phone"), &listed("05-one-of-responder-s-resources-accepts-the-call"));
    drained(|| romeo.poll_action());
    romeo.handle_message(now, &device("tablet"), &listed("10-responder-sends-finish-message"));
    assert!(!romeo.is_over());
    romeo.handle_message(now, &device("phone"), &listed("10-responder-sends-finish-message"));
    assert_eq!(drained(|| romeo.poll_action()).1, [ProposalEvent::Ended(ProposalEnd::Finished)]);
}
