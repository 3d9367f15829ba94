//! The frame of sessions, rule by rule: one side against hand-written stanzas.

use balcony_sharing::transfer::bytestream::{Line, SocketEvent};
use balcony_sharing::transfer::jingle::{EndReason, Event, JingleRefusal, Means, Rejection, redirected};
use balcony_wire::jingle::{Action as Verb, Condition, Creator, JingleError, Senders, Transport};
use balcony_wire::stanza::{DefinedCondition, ErrorKind, StanzaError};
use balcony_wire::{Element, Jid, Payload as _};

use super::lone::{FILE, IBB, Lone, S5B, SID, content, full, in_band_only, initiators, jingle, juliet, romeo, terms};
use super::world::{bytes, described};

fn offer() -> Lone {
    Lone::incoming(&content("f", "initiator", FILE, IBB)).unwrap()
}

fn summit() -> balcony_wire::jingle_file::JingleFile {
    described("summit.jpg", &bytes(6144))
}

/// Proves: JIN-6.2-1, JIN-7.1-1, JIN-7.3-1, JFT-4.1-1, JFT-4.1-2, JFT-5-1, JFT-5-2, JFT-5-3.
#[test]
fn a_session_begins_with_contents_of_one_description_and_one_transport_each() {
    let offer = Lone::offering(vec![summit(), described("second", b"second")], terms(Means::ALL));
    let said = offer.last();
    assert_eq!((said.action.clone(), said.initiator.clone()), (Verb::SessionInitiate, Some(romeo().into_jid())));
    assert_eq!((said.responder.clone(), said.contents.len()), (None, 2));
    for content in &said.contents {
        assert_eq!((content.creator, content.senders), (Some(Creator::Initiator), Some(Senders::Initiator)));
        assert!(matches!(content.transport, Some(Transport::S5b(_))));
        let file = content.file().unwrap();
        assert!(file.metadata.size.is_some() && !file.metadata.hashes.is_empty() && file.range.is_some());
    }
    assert_ne!(said.contents[0].name, said.contents[1].name);
    let request = Lone::asking(vec![summit()], terms(in_band_only()));
    let asked = &request.last().contents[0];
    assert_eq!((asked.creator, asked.senders), (Some(Creator::Initiator), Some(Senders::Responder)));
}

/// Proves: JIN-7.1-1.
#[test]
fn initiator_and_responder_are_said_once_and_ignored_elsewhere() {
    let mut juliet_side = offer();
    let id = juliet_side.id(0);
    juliet_side.act(|session, now| session.accept(now, &id, 0));
    assert_eq!((juliet_side.last().initiator.clone(), juliet_side.last().responder.clone()), (None, Some(juliet().into_jid())));
    let info =
        jingle(&format!("action='session-info' sid='{SID}' initiator='mallory@example.com/x' responder='mallory@example.com/x'"), "");
    juliet_side.hear(&info).unwrap();
    juliet_side.act(|session, now| session.terminate(now, EndReason::Stopped));
    assert_eq!((juliet_side.last().initiator.clone(), juliet_side.last().responder.clone()), (None, None));
}

/// Proves: JIN-6.3-1, JIN-6.5-1.
#[test]
fn an_offer_is_acknowledged_at_once_and_nothing_is_said_or_dialled_before_somebody_decides() {
    let mut juliet = Lone::incoming(&content("f", "initiator", FILE, S5B)).unwrap();
    assert!(matches!(&juliet.events[..], [Event::Offered { file, .. }] if file.metadata.name.as_deref() == Some("test.txt")));
    juliet.wait(60);
    assert_eq!((juliet.said.len(), juliet.dials(), juliet.others.len()), (0, 0, 0));
    let id = juliet.id(0);
    juliet.act(|session, now| session.accept(now, &id, 0));
    assert_eq!((juliet.verbs()[0], juliet.dials()), ("session-accept", 1));
    let mut refuses = offer();
    refuses.act(|session, now| session.reject(now, &id, Rejection::Declined));
    assert_eq!(
        (refuses.verbs(), refuses.last().reason.as_ref().unwrap().condition.clone()),
        (vec!["session-terminate"], Condition::Decline)
    );
}

/// Proves: JIN-6.3-2, JIN-13-1.
#[test]
fn what_cannot_be_a_session_is_refused_at_once() {
    let refused = |children: &str| Lone::incoming(children).err();
    assert!(matches!(refused(""), Some(JingleRefusal::BadRequest(_))));
    assert!(matches!(refused("<content creator='initiator' name='f' senders='initiator'/>"), Some(JingleRefusal::BadRequest(_))));
    let nameless = content("f", "initiator", FILE, IBB).replace(" name='f'", "");
    assert!(matches!(refused(&nameless), Some(JingleRefusal::BadRequest(_))));
    assert!(matches!(refused(&content("f", "initiator", FILE, "")), Some(JingleRefusal::BadRequest(_))));
    let twice = content("f", "initiator", FILE, IBB).repeat(2);
    assert!(matches!(refused(&twice), Some(JingleRefusal::BadRequest(_))));
    let many: String = (0..33).map(|at| content(&format!("f{at}"), "initiator", FILE, IBB)).collect();
    assert_eq!(refused(&many), Some(JingleRefusal::Busy));

    let condition = |refusal: JingleRefusal| refusal.error().condition;
    assert_eq!(condition(JingleRefusal::NotServed), DefinedCondition::ServiceUnavailable);
    assert_eq!(condition(JingleRefusal::Busy), DefinedCondition::ResourceConstraint);
    assert_eq!(condition(JingleRefusal::BadRequest("")), DefinedCondition::BadRequest);
    let redirect = JingleRefusal::Redirect(full("juliet@capulet.lit/phone")).error();
    assert_eq!((redirect.condition, redirect.new_address.as_deref()), (DefinedCondition::Redirect, Some("xmpp:juliet@capulet.lit/phone")));
}

/// Proves: JIN-7.2-4.
#[test]
fn at_least_one_content_is_about_the_session() {
    let early = content("f", "initiator", FILE, IBB).replace("<content ", "<content disposition='early-session' ");
    assert!(matches!(Lone::incoming(&early).err(), Some(JingleRefusal::BadRequest(_))));
    let also = early + &content("g", "initiator", FILE, IBB).replace("<content ", "<content disposition='session' ");
    assert!(Lone::incoming(&also).is_ok());
}

/// Proves: JIN-7.1-2.
#[test]
fn who_speaks_for_somebody_else_is_not_talked_to() {
    let from = |initiator: &str| {
        let attributes = format!("initiator='{initiator}'");
        Lone::incoming_as(&attributes, &content("f", "initiator", FILE, IBB), terms(Means::ALL)).err()
    };
    assert_eq!(from("juliet@capulet.lit/balcony"), Some(JingleRefusal::NotServed));
    assert_eq!(from("romeo@montague.lit/home"), Some(JingleRefusal::NotServed));
    assert_eq!(from("romeo@montague.lit/orchard"), None);
    assert!(Lone::incoming_as("", &content("f", "initiator", FILE, IBB), terms(Means::ALL)).is_ok()); // from is who began it
}

/// Proves: JIN-6.7-1, JIN-6.7-2, JIN-7.4-1.
#[test]
fn a_session_that_was_ended_is_unknown_from_then_on() {
    let mut juliet = Lone::taking_in_band();
    juliet.act(|session, now| session.terminate(now, EndReason::Stopped));
    let reason = juliet.last().reason.clone().unwrap();
    assert_eq!((reason.condition, juliet.end().as_deref()), (Condition::Cancel, Some("it was stopped here")));
    for action in ["session-info", "session-terminate", "content-add", "transport-info", "nonsense"] {
        assert_eq!(juliet.hears(action, &content("f", "initiator", FILE, IBB)), Err(JingleRefusal::UnknownSession), "{action}");
    }
    let count = juliet.events.len();
    juliet.wait(10_000);
    assert_eq!((juliet.events.len(), juliet.session.deadline()), (count, None));

    let mut romeo = Lone::giving_in_band();
    romeo.hears("session-terminate", "<reason><gone/><text>so long\t</text><x xmlns='urn:example'/></reason>").unwrap();
    assert_eq!(romeo.end().as_deref(), Some("the other side stopped it (\"so long\")"));
    assert_eq!(romeo.hears("session-info", ""), Err(JingleRefusal::UnknownSession));
    // without a reason, or with one nobody knows, it is over all the same
    for (reason, words) in [("", "the other side stopped it"), ("<reason><fnord/></reason>", "the other side ended it: fnord")] {
        let mut romeo = Lone::giving_in_band();
        romeo.hears("session-terminate", reason).unwrap();
        assert_eq!(romeo.end().as_deref(), Some(words));
    }
}

/// Proves: JIN-6.7-3.
#[test]
fn a_peer_that_went_away_is_waited_for_some_seconds() {
    let mut gone = Lone::taking_in_band();
    gone.session.handle_unavailable(gone.now);
    gone.wait(5);
    assert_eq!(gone.end(), None);
    gone.wait(5);
    assert_eq!(gone.end().as_deref(), Some("the other side went away"));
    assert_eq!(gone.verbs(), ["session-accept"]); // there is nobody to tell

    let mut back = Lone::taking_in_band();
    back.session.handle_unavailable(back.now);
    back.wait(4);
    back.hears("session-info", "").unwrap();
    back.wait(6);
    assert_eq!(back.end(), None);
    let mut flows = Lone::taking_in_band();
    flows.session.handle_unavailable(flows.now);
    let id = flows.id(0);
    flows.wait(4);
    flows.act(|session, now| assert_eq!(session.handle_arrived(now, &id, 10), 10));
    flows.wait(6);
    assert_eq!(flows.end(), None);
}

/// Proves: JIN-6.8-1.
#[test]
fn an_empty_info_is_a_ping_and_an_unknown_one_is_refused() {
    let mut juliet = offer();
    assert_eq!(juliet.hears("session-info", ""), Ok(()));
    let ringing = "<ringing xmlns='urn:xmpp:jingle:apps:rtp:info:1'/>";
    assert_eq!(juliet.hears("session-info", ringing), Err(JingleRefusal::UnsupportedInfo));
    assert_eq!(juliet.hears("security-info", &content("f", "initiator", FILE, IBB)), Err(JingleRefusal::UnsupportedInfo));
    juliet.act(|session, now| session.ping(now));
    assert_eq!((juliet.last().action.clone(), juliet.last().infos.len(), juliet.last().contents.len()), (Verb::SessionInfo, 0, 0));
}

/// Proves: JIN-7.1-3.
#[test]
fn ids_that_we_make_are_random_nmtokens() {
    let sids = |random: u8| {
        let mut terms = terms(in_band_only());
        terms.random = [random; 32];
        let offer = Lone::offering(vec![summit(), summit()], terms);
        let sid = |transport: &Transport| match transport {
            Transport::Ibb(transport) => transport.sid.clone(),
            _ => String::new(),
        };
        let contents = &offer.last().contents;
        contents.iter().flat_map(|content| [content.name.clone().unwrap(), sid(content.transport.as_ref().unwrap())]).collect::<Vec<_>>()
    };
    let all: Vec<String> = (0..20).flat_map(sids).collect();
    let mut distinct = all.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!((distinct.len(), sids(3)), (80, sids(3)));
    assert!(all.iter().all(|sid| sid.len() == 25 && sid.chars().all(|c| c.is_ascii_alphanumeric())));
}

/// Proves: JIN-7.2-1.
#[test]
fn an_unknown_action_is_a_bad_request_and_changes_nothing() {
    let mut juliet = Lone::taking_in_band();
    assert!(matches!(juliet.hears("content-replace", ""), Err(JingleRefusal::BadRequest(_))));
    assert_eq!(juliet.hears("session-info", ""), Ok(()));
}

/// Proves: JIN-7.2-2.
#[test]
fn what_is_added_is_accepted_or_rejected() {
    for wanted in [true, false] {
        let mut juliet = Lone::taking_in_band();
        juliet.hears("content-add", &content("second", "initiator", FILE, &IBB.replace("ch3d9s71", "other"))).unwrap();
        let id = initiators("second");
        assert!(matches!(juliet.events.last(), Some(Event::Offered { content, .. }) if *content == id));
        match wanted {
            true => juliet.act(|session, now| session.accept(now, &id, 0)),
            false => juliet.act(|session, now| session.reject(now, &id, Rejection::Declined)),
        }
        assert_eq!(juliet.last().action, if wanted { Verb::ContentAccept } else { Verb::ContentReject });
        assert_eq!(juliet.last().contents[0].id(), Some((Creator::Initiator, "second")));
        assert_eq!(juliet.end(), None);
    }
}

/// Proves: JIN-7.2-2.
#[test]
fn a_replaced_transport_is_accepted_or_rejected() {
    let replace = |transport: &str| format!("<content creator='initiator' name='f'>{transport}</content>");
    let mut juliet = Lone::taking_in_band();
    juliet.hears("transport-replace", &replace(&IBB.replace("ch3d9s71", "None").replace("4096", "1024"))).unwrap();
    let answer = juliet.last().clone();
    assert_eq!(answer.action, Verb::TransportAccept);
    assert!(matches!(&answer.contents[0].transport, Some(Transport::Ibb(ibb)) if ibb.sid == "None" && ibb.block_size == 1024)); // Gajim

    let ice = "<transport xmlns='urn:xmpp:jingle:transports:ice-udp:1'/>";
    juliet.hears("transport-replace", &replace(ice)).unwrap();
    assert_eq!((juliet.last().action.clone(), juliet.end()), (Verb::TransportReject, None));
}

/// Proves: JIN-7.2-3, JFT-6.5-2.
#[test]
fn who_hears_that_nothing_is_left_ends_the_session() {
    let removed = "<content creator='initiator' name='f'/><reason><cancel/></reason>";
    let mut juliet = Lone::taking_in_band();
    juliet.hears("content-remove", removed).unwrap();
    assert_eq!((juliet.last().action.clone(), juliet.end().as_deref()), (Verb::SessionTerminate, Some("the other side stopped it")));

    let mut romeo = Lone::offering(vec![summit(), summit()], terms(in_band_only()));
    romeo.acknowledge();
    for at in 0..2 {
        let name = romeo.id(at).name;
        romeo.hears("content-reject", &format!("<content creator='initiator' name='{name}'/><reason><decline/></reason>")).unwrap();
    }
    assert_eq!((romeo.verbs(), romeo.end().as_deref()), (vec!["session-initiate", "session-terminate"], Some("the other side declined")));
}

/// Proves: JIN-7.2-5.
#[test]
fn inside_a_session_the_initiators_change_wins() {
    let mut lone = Lone::offering(vec![summit()], terms(Means::ALL));
    let name = lone.id(0).name;
    lone.accept_all();
    lone.wait(2); // nobody has candidates: it goes in band
    let failed = format!(
        "<content creator='initiator' name='{name}'><transport xmlns='urn:xmpp:jingle:transports:s5b:1' sid='{}'><candidate-error/></transport></content>",
        match &lone.said[0].1.contents[0].transport {
            Some(Transport::S5b(s5b)) => s5b.sid.clone(),
            _ => String::new(),
        }
    );
    lone.hears("transport-info", &failed).unwrap();
    assert_eq!(lone.last().action, Verb::TransportReplace);
    let theirs = format!("<content creator='initiator' name='{name}'>{IBB}</content>");
    assert_eq!(lone.hears("transport-replace", &theirs), Err(JingleRefusal::TieBreak));
    let error = JingleRefusal::TieBreak.error();
    assert_eq!((error.condition, JingleError::of(&error)), (DefinedCondition::Conflict, Some(JingleError::TieBreak)));

    // and the other way round: the responder takes the initiator's
    let mut juliet = Lone::incoming(&content("f", "initiator", FILE, S5B)).unwrap();
    let id = juliet.id(0);
    juliet.act(|session, now| session.accept(now, &id, 0));
    let failed = "<content creator='initiator' name='f'><transport xmlns='urn:xmpp:jingle:transports:s5b:1' sid='vj3hs98y'><candidate-error/></transport></content>";
    juliet.hears("transport-info", failed).unwrap();
    let refused = SocketEvent::Dialled { line: Line::Theirs("hft54dqy".into()), result: Err("refused".into()) };
    let stream = juliet.stream();
    juliet.act(|session, now| session.handle_socket(now, stream, refused));
    juliet.wait(5);
    assert!(juliet.verbs().contains(&"transport-replace"), "{:?} {:?}", juliet.verbs(), juliet.events);
    juliet.refuses_last(StanzaError::from(JingleError::TieBreak));
    juliet.hears("transport-replace", &format!("<content creator='initiator' name='f'>{IBB}</content>")).unwrap();
    assert_eq!((juliet.last().action.clone(), juliet.has_begun()), (Verb::TransportAccept, true));
}

/// Proves: JIN-7.2-6.
#[test]
fn a_direction_that_is_not_wanted_is_met_by_a_contrary_one_and_then_by_the_end() {
    let modify = |senders: &str| format!("<content creator='initiator' name='f' senders='{senders}'/>");
    let mut juliet = Lone::taking_in_band();
    juliet.hears("content-modify", &modify("initiator")).unwrap(); // as it is
    juliet.hears("content-modify", &modify("responder")).unwrap();
    assert_eq!((juliet.last().action.clone(), juliet.last().contents[0].senders), (Verb::ContentModify, Some(Senders::Initiator)));
    assert!(!juliet.verbs().contains(&"content-accept"));
    juliet.acknowledge();
    juliet.hears("content-modify", &modify("both")).unwrap();
    assert_eq!((juliet.last().action.clone(), juliet.end().is_some()), (Verb::SessionTerminate, true));

    let mut held = Lone::taking_in_band();
    held.hears("content-modify", &modify("none")).unwrap();
    held.wait(120);
    assert!(matches!(held.events.last(), Some(Event::Held { on: true, .. })) && held.end().is_none());
    held.hears("content-modify", &modify("initiator")).unwrap();
    assert!(matches!(held.events.last(), Some(Event::Held { on: false, .. })));
    held.hears("content-modify", &modify("none")).unwrap();
    held.wait(400);
    assert!(held.end().unwrap().contains("nothing came for too long"));

    // both at once: the initiator's word counts
    let mut romeo = Lone::giving_in_band();
    let id = romeo.id(0);
    romeo.act(|session, now| session.hold(now, &id));
    let theirs = format!("<content creator='initiator' name='{}' senders='none'/>", id.name);
    assert_eq!(romeo.hears("content-modify", &theirs), Err(JingleRefusal::TieBreak));
}

/// Proves: JIN-7.2-7.
#[test]
fn an_acceptance_names_what_was_offered_or_is_refused() {
    let mut lone = Lone::offering(vec![summit()], terms(in_band_only()));
    lone.acknowledge();
    let said = lone.last().contents[0].clone();
    let name = said.name.clone().unwrap();
    let Some(Transport::Ibb(ibb)) = said.transport else { panic!("{said:?}") };
    let ours = IBB.replace("ch3d9s71", &ibb.sid);
    let accepted = |name: &str, transport: &str| content(name, "initiator", "", transport);
    assert!(matches!(lone.hears("session-accept", ""), Err(JingleRefusal::BadRequest(_))));
    assert!(matches!(lone.hears("session-accept", &accepted(&name, "")), Err(JingleRefusal::BadRequest(_))));
    assert!(matches!(lone.hears("session-accept", &accepted(&name, IBB)), Err(JingleRefusal::BadRequest(_))));
    assert!(matches!(lone.hears("session-accept", &accepted(&name, S5B)), Err(JingleRefusal::BadRequest(_))));
    let bare = format!("<content creator='initiator' name='{name}'>{ours}</content>");
    assert!(matches!(lone.hears("session-accept", &bare), Err(JingleRefusal::BadRequest(_))));
    assert_eq!(lone.hears("session-accept", &accepted("other", &ours)), Err(JingleRefusal::UnknownContent));
    assert!(!lone.has_begun());
    // Gajim says senders='both' there
    lone.hears("session-accept", &accepted(&name, &ours).replace("senders='initiator'", "senders='both'")).unwrap();
    assert!(lone.has_begun());
}

/// Proves: JIN-7.3-1.
#[test]
fn creator_and_name_together_name_a_content() {
    let mut juliet = Lone::taking_in_band();
    let ours = "<content creator='responder' name='f'/><reason><cancel/></reason>";
    assert_eq!(juliet.hears("content-remove", ours), Err(JingleRefusal::UnknownContent));
    let pretends = content("g", "initiator", FILE, IBB).replace("creator='initiator'", "creator='responder'");
    assert!(matches!(juliet.hears("content-add", &pretends), Err(JingleRefusal::BadRequest(_))));
    juliet.act(|session, now| {
        session.add(now, summit(), balcony_sharing::transfer::jingle::Direction::Give).unwrap();
    });
    assert_eq!((juliet.last().action.clone(), juliet.last().contents[0].creator), (Verb::ContentAdd, Some(Creator::Responder)));
    assert_eq!(juliet.last().contents[0].senders, Some(Senders::Responder));
}

/// Proves: JIN-8.2-1.
#[test]
fn nothing_depends_on_how_a_stream_is_cut() {
    for piece in [1, 7, 4096, 6144] {
        let mut juliet = Lone::taking_in_band();
        let id = juliet.id(0);
        let mut left = 6144_u64;
        while left > 0 {
            let count = left.min(piece);
            juliet.act(|session, now| assert_eq!(session.handle_arrived(now, &id, count), count));
            left -= count;
        }
        assert!(matches!(juliet.events.last(), Some(Event::Whole { .. })), "pieces of {piece}");
    }
}

/// Proves: JIN-9-1.
#[test]
fn a_precondition_that_is_not_known_is_never_passed_over() {
    let xtls =
        "<security xmlns='urn:xmpp:jingle:security:xtls:0'><fingerprint algo='sha-1'>RomeoX509CertificateHash</fingerprint></security>";
    let secured = content("f", "initiator", FILE, IBB).replace("</content>", &format!("{xtls}</content>"));
    let juliet = Lone::incoming(&secured).unwrap();
    assert_eq!(juliet.last().reason.as_ref().unwrap().condition, Condition::SecurityError);
    assert!(juliet.end().unwrap().contains("protected") && !juliet.events.iter().any(|event| matches!(event, Event::Offered { .. })));
    // among others it is only that file
    let both = Lone::incoming(&(secured + &content("g", "initiator", FILE, IBB))).unwrap();
    assert_eq!((both.verbs(), both.end()), (vec!["content-reject"], None));
    let error = JingleRefusal::SecurityRequired.error();
    assert_eq!((error.condition, JingleError::of(&error)), (DefinedCondition::NotAcceptable, Some(JingleError::SecurityRequired)));
}

/// Proves: JIN-10-1.
#[test]
fn refusals_are_the_errors_of_the_listing() {
    use DefinedCondition as D;
    let table = [
        (JingleRefusal::OutOfOrder, D::UnexpectedRequest, "out-of-order"),
        (JingleRefusal::TieBreak, D::Conflict, "tie-break"),
        (JingleRefusal::UnknownSession, D::ItemNotFound, "unknown-session"),
        (JingleRefusal::UnsupportedInfo, D::FeatureNotImplemented, "unsupported-info"),
        (JingleRefusal::SecurityRequired, D::NotAcceptable, "security-required"),
    ];
    for (refusal, condition, name) in table {
        let written = refusal.error().write();
        let error = StanzaError::read(&written).unwrap();
        assert_eq!(error.condition, condition);
        let is_there = written.child(name, "urn:xmpp:jingle:errors:1").is_some();
        assert!(is_there, "{}", written.to_xml());
    }
    let listed =
        Element::parse(&testing_corpus::example("xep-0166/34-initiator-returns-conflict-error-on-tie-break.xml").in_stream()).unwrap();
    let error = listed.payload::<StanzaError>().unwrap().unwrap();
    let ours = JingleRefusal::TieBreak.error();
    assert_eq!((ours.kind, ours.condition, ours.application), (ErrorKind::Cancel, error.condition, error.application));
}

/// Proves: JIN-10-1.
#[test]
fn what_does_not_fit_where_the_session_is_is_out_of_order() {
    let accept = content("f", "initiator", FILE, IBB);
    let mut pending = offer();
    assert_eq!(pending.hears("session-accept", &accept), Err(JingleRefusal::OutOfOrder)); // it is us who accept
    assert_eq!(pending.hears("session-initiate", &content("g", "initiator", FILE, IBB)), Err(JingleRefusal::OutOfOrder));
    assert_eq!(pending.hears("transport-replace", &accept), Err(JingleRefusal::OutOfOrder));
    let mut active = Lone::taking_in_band();
    for action in ["content-accept", "content-reject", "transport-accept", "transport-reject"] {
        assert_eq!(active.hears(action, &accept), Err(JingleRefusal::OutOfOrder), "{action}");
    }
    let received = "<received xmlns='urn:xmpp:jingle:apps:file-transfer:5' creator='initiator' name='f'/>";
    assert_eq!(active.hears("session-info", received), Err(JingleRefusal::OutOfOrder)); // they give
    let mut giving = Lone::giving_in_band();
    let name = giving.id(0).name;
    assert_eq!(giving.hears("session-info", &received.replace("'f'", &format!("'{name}'"))), Err(JingleRefusal::OutOfOrder)); // nothing went yet
    assert_eq!(active.end(), None);
}

#[test]
fn a_request_that_comes_twice_is_acknowledged_twice_and_done_once() {
    let mut juliet = offer();
    let begun = jingle(
        &format!("action='session-initiate' sid='{SID}' initiator='romeo@montague.lit/orchard'"),
        &content("f", "initiator", FILE, IBB),
    );
    assert_eq!((juliet.hear(&begun), juliet.events.len()), (Ok(()), 1));
    let mut lone = Lone::giving_in_band();
    let begun = lone.others.len();
    let (_, mut again) = lone.said[0].clone();
    again.action = Verb::SessionAccept;
    assert_eq!((lone.hear(&again), lone.others.len()), (Ok(()), begun));
}

/// Proves: JIN-13-2, JIN-6.3-2.
#[test]
fn a_redirection_leads_to_another_device_of_the_same_person_and_to_nobody_else() {
    let answered = |address: &str| {
        let mut lone = Lone::offering(vec![summit()], terms(in_band_only()));
        let mut error = StanzaError::new(DefinedCondition::Redirect);
        error.new_address = Some(address.to_owned());
        lone.refuses_last(error);
        assert_eq!(lone.verbs(), ["session-initiate"]);
        lone.end().unwrap()
    };
    assert_eq!(answered("xmpp:juliet@capulet.lit/phone"), "another device takes it: juliet@capulet.lit/phone");
    assert_eq!(answered("\n  juliet@capulet.lit/phone\n"), "another device takes it: juliet@capulet.lit/phone");
    for elsewhere in
        ["xmpp:voicemail@capulet.lit", "xmpp:juliet@capulet.lit", "xmpp:mallory@capulet.lit/phone", "xmpp:juliet@evil.lit/phone", ""]
    {
        assert!(answered(elsewhere).starts_with("we were sent to somebody else"), "{elsewhere}");
    }
    let listed = Element::parse(&testing_corpus::example("xep-0166/14-responder-redirection.xml").in_stream()).unwrap();
    let error = listed.payload::<StanzaError>().unwrap().unwrap();
    assert_eq!(redirected(&Jid::parse("juliet@capulet.lit/balcony").unwrap(), &error), Some(Err("xmpp:voicemail@capulet.lit".into())));
    assert_eq!(redirected(&Jid::parse("juliet@capulet.lit/balcony").unwrap(), &StanzaError::new(DefinedCondition::Gone)), None);
}

#[test]
fn every_answer_to_an_offer_has_a_name() {
    use DefinedCondition as D;
    let answered = |error: StanzaError| {
        let mut lone = Lone::offering(vec![summit()], terms(in_band_only()));
        lone.refuses_last(error);
        assert!(lone.session.is_over());
        lone.end().unwrap()
    };
    assert_eq!(answered(StanzaError::new(D::ServiceUnavailable)), "the other side is not there, or knows no file transfer");
    assert_eq!(answered(StanzaError::new(D::ResourceConstraint)), "the other side is busy");
    assert_eq!(answered(StanzaError::new(D::RemoteServerTimeout)), "the other side does not answer the offer of the session");
    assert_eq!(
        answered(StanzaError::new(D::BadRequest).with_text("no\u{1b}[2J")),
        "the other side refused the offer of the session: bad-request (\"no[2J\")"
    );
    assert_eq!(answered(JingleError::TieBreak.into()), "both sides began at once; the other session goes on");
    let mut silent = Lone::offering(vec![summit()], terms(in_band_only()));
    silent.wait(31);
    assert_eq!(silent.end().as_deref(), Some("the other side does not answer the offer of the session"));
    assert_eq!(silent.verbs(), ["session-initiate", "session-terminate"]);
    let mut undecided = Lone::offering(vec![summit()], terms(in_band_only()));
    undecided.acknowledge();
    undecided.wait(601);
    assert_eq!(undecided.end().as_deref(), Some("nobody decided in time"));
}

#[test]
fn a_peer_that_forgot_the_session_ends_it() {
    let mut lone = Lone::giving_in_band();
    lone.act(|session, now| session.ping(now));
    lone.refuses_last(JingleError::UnknownSession.into());
    assert_eq!(lone.end().as_deref(), Some("the other side does not know of it any more"));
    let mut gone = Lone::giving_in_band();
    gone.act(|session, now| session.ping(now));
    gone.refuses_last(StanzaError::new(DefinedCondition::ServiceUnavailable)); // from its server
    assert_eq!(gone.end().as_deref(), Some("the other side went away"));
    let mut old = Lone::giving_in_band();
    old.act(|session, now| session.ping(now));
    old.refuses_last(StanzaError::new(DefinedCondition::FeatureNotImplemented));
    assert_eq!(old.end(), None);
}

#[test]
fn a_lost_connection_of_our_own_ends_it_without_a_word() {
    let mut lone = Lone::giving_in_band();
    lone.act(|session, now| session.handle_disconnected(now));
    assert_eq!((lone.end().as_deref(), lone.verbs()), (Some("the own connection was lost"), vec!["session-initiate"]));
}

/// Decision 43.
#[test]
fn an_offer_is_declined_before_and_cancelled_afterwards() {
    let told = |lone: &Lone| lone.last().reason.as_ref().unwrap().condition.clone();
    let mut before = offer();
    let id = before.id(0);
    before.act(|session, now| session.reject(now, &id, Rejection::Declined));
    let mut after = Lone::taking_in_band();
    after.act(|session, now| session.reject(now, &id, Rejection::Declined));
    let mut initiator = Lone::offering(vec![summit()], terms(in_band_only()));
    let own = initiator.id(0);
    initiator.act(|session, now| session.cancel(now, &own));
    assert_eq!((told(&before), told(&after), told(&initiator)), (Condition::Decline, Condition::Cancel, Condition::Cancel));
}
