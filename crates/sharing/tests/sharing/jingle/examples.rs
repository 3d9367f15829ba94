//! The examples of the documents, played through the machine.

use balcony_sharing::transfer::jingle::{Action, Between, Event, JingleRefusal, Means, Session};
use balcony_wire::jingle::{Action as Verb, Condition, Creator, Description, Jingle, Senders, Transport};
use balcony_wire::{Element, Jid, StanzaError};

use super::lone::{Lone, SID, full, in_band_only, terms};
use super::world::{bytes, described};
use crate::fetch::dawn;

fn stanza(name: &str) -> Element {
    Element::parse(&testing_corpus::example(name).in_stream()).unwrap()
}

fn listed(name: &str) -> Jingle {
    stanza(name).payload::<Jingle>().unwrap().unwrap()
}

/// The example of XEP-0166 that has this number.
fn numbered(at: u8) -> String {
    let start = format!("xep-0166/{at}-");
    testing_corpus::examples().into_iter().map(|example| example.file).find(|file| file.starts_with(&start)).unwrap()
}

/// A session that begins as an example does.
fn begun(name: &str) -> Result<Lone, JingleRefusal> {
    let (stanza, jingle) = (stanza(name), listed(name));
    let address = |attribute| full(stanza.attr(attribute).unwrap());
    let between = Between { own: address("to"), peer: address("from"), sid: jingle.sid.clone() };
    let session = Session::incoming(between, &jingle, terms(Means::ALL), dawn())?;
    let mut lone = Lone { now: dawn(), session, said: Vec::new(), events: Vec::new(), others: Vec::new() };
    lone.drain();
    Ok(lone)
}

/// The same said in the session of `lone`, about its first content.
fn said_to(lone: &mut Lone, name: &str) -> Result<(), JingleRefusal> {
    let mut jingle = listed(name);
    jingle.sid = lone.session.between().sid.clone();
    let id = lone.id(0);
    for content in &mut jingle.contents {
        (content.creator, content.name) = (Some(id.creator), Some(id.name.clone()));
    }
    for info in &mut jingle.infos {
        match info {
            balcony_wire::jingle::SessionInfo::Received(received) => received.name = Some(id.name.clone()),
            balcony_wire::jingle::SessionInfo::Checksum(checksum) => checksum.name = Some(id.name.clone()),
            balcony_wire::jingle::SessionInfo::Other(_) => {}
        }
    }
    lone.hear(&jingle)
}

#[test]
fn an_offer_is_accepted_as_in_the_listing() {
    let mut juliet = begun("xep-0234/01-initiator-sends-session-initiate.xml").unwrap();
    let id = juliet.id(0);
    assert_eq!((id.name.as_str(), id.creator), ("a-file-offer", Creator::Initiator));
    juliet.act(|session, now| session.accept(now, &id, 0));
    let ours = juliet.said[0].1.clone();
    let theirs = listed("xep-0234/03-responder-sends-session-accept.xml");
    assert_eq!((&ours.action, &ours.responder, &ours.sid), (&theirs.action, &theirs.responder, &theirs.sid));
    let (ours, theirs) = (&ours.contents[0], &theirs.contents[0]);
    assert_eq!((ours.id(), ours.senders), (theirs.id(), theirs.senders));
    assert_eq!(ours.file().unwrap().metadata, theirs.file().unwrap().metadata);
    let sid = |content: &balcony_wire::jingle::Content| match &content.transport {
        Some(Transport::S5b(transport)) => transport.sid.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(sid(ours), sid(theirs));
    assert_eq!(juliet.dials(), 1); // the best of them first
}

#[test]
fn a_request_is_served_and_a_further_file_heard_of() {
    let mut romeo = begun("xep-0234/05-file-receiver-requests-hosted-file.xml").unwrap();
    assert!(matches!(&romeo.events[..], [Event::Asked { file, .. }] if file.metadata.hashes.len() == 1));
    let id = romeo.id(0);
    romeo.act(|session, now| session.serve(now, &id, described("test.txt", &bytes(6144))));
    assert_eq!(romeo.verbs()[0], "session-accept");
    // the listing has the responder add a content in the name of the initiator: it is read as what it says
    let added = listed("xep-0234/06-file-sender-offers-additional-file.xml");
    romeo.hear(&added).unwrap();
    assert!(matches!(romeo.events.last(), Some(Event::Offered { file, .. }) if file.metadata.name.as_deref() == Some("second-file.txt")));
}

#[test]
fn a_part_is_offered_as_in_the_listing() {
    let mut juliet = begun("xep-0234/08-file-sender-requests-session-to-send-file-with-range.xml").unwrap();
    let id = juliet.id(0);
    juliet.act(|session, now| session.accept(now, &id, 0));
    let range = juliet.said[0].1.contents[0].file().unwrap().range.clone().unwrap();
    assert_eq!(range.offset, Some(270_336));
}

#[test]
fn transfers_are_aborted_as_in_the_listings() {
    for name in ["xep-0234/09-file-receiver-aborts-all-active-file-transfers.xml", "xep-0234/10-file-receiver-aborts-the-transfer.xml"] {
        let mut romeo = Lone::giving_in_band();
        said_to(&mut romeo, name).unwrap();
        assert_eq!(romeo.end().as_deref(), Some("the other side stopped it"), "{name}");
    }
    let mut refused = Lone::offering(vec![described("a", &bytes(9))], terms(in_band_only()));
    said_to(&mut refused, "xep-0234/17-file-sender-rejects-file-request-because-the-file-could-not.xml").unwrap();
    assert_eq!(refused.end().as_deref(), Some("the other side does not have the file, or does not give it"));
    let mut large = Lone::giving_in_band();
    said_to(&mut large, "xep-0234/18-file-receiver-rejects-file-offer-because-the-file-is-too-lar.xml").unwrap();
    assert_eq!(large.end().as_deref(), Some("the file is too large for the other side"));
}

#[test]
fn what_arrived_is_confirmed_as_in_the_listings() {
    for (name, is_end) in [
        ("xep-0234/12-file-receiver-ends-the-session-after-successfully-receiving.xml", true),
        ("xep-0234/13-file-receiver-sends-ack-in-session-info.xml", false),
    ] {
        let mut romeo = Lone::giving_in_band();
        let id = romeo.id(0);
        romeo.act(|session, now| session.handle_sent(now, &id, 6144));
        said_to(&mut romeo, name).unwrap();
        assert_eq!((romeo.ended(0).as_deref(), romeo.session.is_over()), (Some("it arrived"), is_end), "{name}");
    }
}

#[test]
fn hashes_come_later_as_in_the_listings() {
    let mut juliet = begun("xep-0234/16-initiator-communicates-hashing-algorithm-in-session-initiate.xml").unwrap();
    let id = juliet.id(0);
    juliet.act(|session, now| session.accept(now, &id, 0));
    said_to(&mut juliet, "xep-0234/15-initiator-sends-checksum-in-session-info-for-a-specific-rang.xml").unwrap();
    said_to(&mut juliet, "xep-0234/14-initiator-sends-checksum-in-session-info.xml").unwrap();
    let told: Vec<_> = juliet
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Checksum { span, digests, .. } => Some((span.map(|span| (span.offset, span.length)), digests.len())),
            _ => None,
        })
        .collect();
    assert_eq!(told, [(Some((2048, Some(1024))), 1), (None, 1)]);
}

/// An example about another application, made into one about a file.
fn about_a_file(name: &str) -> Jingle {
    let mut jingle = listed(name);
    let file = listed("xep-0234/01-initiator-sends-session-initiate.xml").contents[0].clone();
    for content in &mut jingle.contents {
        assert!(matches!(content.description, Some(Description::Other(_))));
        (content.description, content.senders) = (file.description.clone(), Some(Senders::Initiator));
    }
    jingle
}

fn begun_about_a_file(name: &str) -> Lone {
    let (stanza, jingle) = (stanza(name), about_a_file(name));
    let address = |attribute| full(stanza.attr(attribute).unwrap());
    let between = Between { own: address("to"), peer: address("from"), sid: jingle.sid.clone() };
    let session = Session::incoming(between, &jingle, terms(Means::ALL), dawn()).unwrap();
    let mut lone = Lone { now: dawn(), session, said: Vec::new(), events: Vec::new(), others: Vec::new() };
    lone.drain();
    let id = lone.id(0);
    lone.act(|session, now| session.accept(now, &id, 0));
    lone
}

#[test]
fn socks5_falls_back_to_in_band_as_in_the_listing() {
    let mut juliet = begun_about_a_file("xep-0260/01-initiator-sends-session-initiate.xml");
    assert_eq!(juliet.verbs()[0], "session-accept");
    assert!(juliet.dials() > 0);
    juliet.hear(&listed("xep-0260/15-initiator-replaces-transport-with-ibb.xml")).unwrap();
    let ours = juliet.last().clone();
    let theirs = listed("xep-0260/17-responder-sends-transport-accept.xml");
    assert_eq!((&ours.action, ours.contents[0].id()), (&theirs.action, theirs.contents[0].id()));
    let (Some(Transport::Ibb(ours)), Some(Transport::Ibb(theirs))) = (&ours.contents[0].transport, &theirs.contents[0].transport) else {
        panic!()
    };
    assert_eq!((&ours.sid, ours.block_size >= theirs.block_size), (&theirs.sid, true)); // the listing makes blocks smaller
    assert!(juliet.has_begun());
    juliet.hear(&listed("xep-0260/13-initiator-terminates-the-session.xml")).unwrap();
}

#[test]
fn in_band_is_agreed_on_as_in_the_listing() {
    let juliet = begun_about_a_file("xep-0261/01-initiator-sends-session-initiate.xml");
    let ours = juliet.said[0].1.contents[0].clone();
    let theirs = listed("xep-0261/03-responder-definitively-accepts-the-session.xml").contents[0].clone();
    let (Some(Transport::Ibb(ours)), Some(Transport::Ibb(theirs))) = (ours.transport, theirs.transport) else { panic!() };
    assert_eq!((&ours.sid, ours.block_size >= theirs.block_size), (&theirs.sid, true));
    assert!(juliet.others.iter().any(|action| matches!(action, Action::Begin { .. })));
}

#[test]
fn every_reason_of_the_listings_ends_the_session_by_a_name() {
    let mut words = Vec::new();
    for at in 19..=27 {
        let name = numbered(at);
        let mut romeo = Lone::giving_in_band();
        said_to(&mut romeo, &name).unwrap();
        words.push(romeo.end().unwrap());
        assert!(romeo.session.is_over());
    }
    assert_eq!(words.len(), 9);
    assert!(words.contains(&"the other side is busy".to_owned()) && words.contains(&"the other side declined".to_owned()));
}

#[test]
fn every_error_of_the_listings_has_a_name() {
    let answered = |at: u8| {
        let name = numbered(at);
        let mut romeo = Lone::offering(vec![described("a", &bytes(9))], terms(in_band_only()));
        romeo.refuses_last(stanza(&name).payload::<StanzaError>().unwrap().unwrap());
        romeo.end().unwrap()
    };
    assert_eq!(answered(12), "the other side is not there, or knows no file transfer");
    assert_eq!(answered(13), answered(12));
    assert!(answered(14).starts_with("we were sent to somebody else"));
    assert_eq!(answered(15), "the other side is busy");
    assert!(answered(16).contains("bad-request"));
    assert_eq!(answered(29), "the other side does not know of it any more");
    assert_eq!(answered(34), "both sides began at once; the other session goes on");
    assert!(answered(37).contains("not-acceptable"));
}

#[test]
fn infos_of_the_listings_are_answered_as_there() {
    let mut romeo = Lone::giving_in_band();
    assert_eq!(said_to(&mut romeo, "xep-0166/30-responder-sends-ringing-message.xml"), Err(JingleRefusal::UnsupportedInfo));
    let listed = stanza("xep-0166/31-responder-returns-unsupported-info-error.xml").payload::<StanzaError>().unwrap().unwrap();
    let ours = JingleRefusal::UnsupportedInfo.error();
    assert_eq!((ours.condition, ours.application), (listed.condition, listed.application));
    assert_eq!(said_to(&mut romeo, "xep-0166/32-responder-sends-session-ping.xml"), Ok(()));
    let mut juliet = Lone::taking_in_band();
    assert_eq!(said_to(&mut juliet, "xep-0166/36-initiator-sends-security-info-message.xml"), Err(JingleRefusal::UnsupportedInfo));
    let stub = begun("xep-0166/01-initiator-sends-session-initiate-stub.xml").unwrap();
    assert_eq!(stub.last().reason.as_ref().unwrap().condition, Condition::UnsupportedApplications);
    let secured = begun("xep-0166/35-initiator-sends-session-initiate-with-security-precondition.xml").unwrap();
    assert_eq!(
        (secured.last().action.clone(), secured.last().reason.as_ref().unwrap().condition.clone()),
        (Verb::SessionTerminate, Condition::SecurityError)
    );
    let peer = Jid::parse("romeo@montague.lit/orchard").unwrap();
    assert_eq!((secured.session.between().peer.as_str(), SID), (peer.as_str(), "a73sjjvkla37jfea"));
}
