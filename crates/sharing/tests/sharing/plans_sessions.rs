//! People's devices in plans: who is asked, in which order, what that shows and to whom, and why the others are not asked.

use std::sync::Arc;

use balcony_sharing::plan::{
    Abilities, Answer, Circumstances, Concern, Contacts, Decision, Devices, History, How, Outcome, Policy, Reason, Record, Wait, decide,
    lay_out,
};
use balcony_sharing::transfer::{Reach, SessionRequest, SessionWay};
use balcony_sharing::{Disposition, Exposure, NamedBy, Offer, Proof, Received, Source, Way, dialect};
use balcony_wire::hashes::HashAlgo;
use balcony_wire::jingle_file::Version;
use balcony_wire::roster::{RosterItem, Subscription};
use balcony_wire::{Element, Jid, Message};

use crate::plans::{OWN, SENDERS, THIRD, jid, juliet, noon, offer_with, rules};

const ORCHARD: &str = "romeo@montague.lit/orchard";
const PHONE: &str = "romeo@montague.lit/phone";
const BALCONY: &str = "juliet@capulet.lit/balcony";
const NURSE: &str = "nurse@capulet.lit/kitchen";

pub(crate) const ABLE: Abilities = Abilities {
    file_transfer: Some(Version::V5),
    s5b: true,
    ibb: true,
    published_sessions: true,
    message_initiation: false,
    stream_initiation: false,
};

/// Romeo and the nurse are contacts, and these devices are there.
fn with(devices: &[(&str, Abilities)]) -> Circumstances {
    with_contacts(Subscription::Both, devices)
}

/// The same with another subscription.
fn with_contacts(subscription: Subscription, devices: &[(&str, Abilities)]) -> Circumstances {
    let devices = Devices::new(devices.iter().map(|(device, abilities)| (jid(device), *abilities)));
    let contacts = ["romeo@montague.lit", "nurse@capulet.lit"].map(|contact| RosterItem { subscription, ..RosterItem::new(jid(contact)) });
    Circumstances { devices: Some(Arc::new(devices)), contacts: Arc::new(Contacts::from_items(contacts)), ..Circumstances::at(noon()) }
}

fn hashed(sources: Vec<Source>) -> Offer {
    offering(&[HashAlgo::Sha256], sources)
}

/// What Romeo offers; sources that the share cannot name he attaches afterwards.
fn offering(algos: &[HashAlgo], sources: Vec<Source>) -> Offer {
    let is_said = |source: &Source| {
        !matches!(source, Source::ByHash { .. }) && !matches!(source, Source::Published { applications, .. } if !applications.is_empty())
    };
    let (written, attached): (Vec<_>, Vec<_>) = sources.into_iter().partition(is_said);
    let mut offer = offer_with(algos, None, written);
    let romeo = offer.provenance().clone();
    attached.into_iter().for_each(|source| offer.add_source(source, &romeo));
    offer
}

fn published(from: &str) -> Source {
    Source::Published { from: jid(from), id: "x".into(), applications: Vec::new() }
}

fn by_hash(device: &str) -> Source {
    Source::ByHash { jid: jid(device), uri: format!("xmpp:{device}?jingle-ft") }
}

fn decision(offer: &Offer, policy: &Policy, around: &Circumstances) -> Decision {
    decide(offer, policy, &History::default(), around)
}

/// Everything that could be tried, as if the person asked.
fn told(offer: &Offer, around: &Circumstances) -> Vec<String> {
    let around = Circumstances { asked: true, ..around.clone() };
    let plan = lay_out(offer, &rules("fetch everybody even unproven even attached"), &History::default(), &around);
    plan.attempts.iter().map(|attempt| attempt.how.to_string()).collect()
}

fn reasons(offer: &Offer, around: &Circumstances) -> Vec<&'static str> {
    let plan = lay_out(offer, &rules("fetch everybody even unproven even attached"), &History::default(), around);
    plan.left_out.iter().map(|left_out| left_out.reason.code()).collect()
}

fn requests(decision: &Decision) -> Vec<&SessionRequest> {
    let attempts = decision.plan().into_iter().flat_map(|plan| &plan.attempts);
    attempts.filter_map(|attempt| if let How::Session(request) = &attempt.how { Some(&**request) } else { None }).collect()
}

/// Proves: SFS-3.2-10, SFS-3.2-11.
#[test]
fn servers_are_asked_first_then_what_was_published_then_devices_by_hash() {
    let offer = hashed(vec![by_hash(PHONE), published(ORCHARD), Source::url(THIRD), Source::url(OWN)]);
    let around = with(&[(ORCHARD, ABLE), (PHONE, ABLE), (BALCONY, ABLE)]);
    let expected = [
        OWN.to_owned(),
        THIRD.to_owned(),
        format!("{ORCHARD}, who said that it gives it"),
        format!("{BALCONY}, asked by hash"),
        format!("{PHONE}, asked by hash"),
        format!("{ORCHARD}, asked by hash"),
    ];
    assert_eq!(told(&offer, &around), expected);
    let decision = decision(&offer, &Policy::default(), &around);
    let ways: Vec<_> = requests(&decision).iter().map(|request| (request.way.clone(), request.file.hashes.len())).collect();
    assert_eq!(ways[0], (SessionWay::Published { id: "x".into() }, 1));
    assert!(ways[1..].iter().all(|(way, hashes)| (way, *hashes) == (&SessionWay::ByHash, 1)), "{ways:?}");
}

/// Decision 33.
/// Proves: SFS-3.2-11.
#[test]
fn whoever_may_have_it_is_asked_by_hash_the_sender_ourselves_and_contacts_who_said_so() {
    let mut offer = hashed(vec![Source::url(SENDERS)]);
    let said = |from: &str| {
        let said = Message { from: Some(jid(from)), ..Message::default() };
        Received::direct(said, &juliet()).unwrap().provenance().clone()
    };
    offer.add_source(published("nurse@capulet.lit/gone"), &said(NURSE));
    offer.add_source(published("tybalt@capulet.lit/hall"), &said("tybalt@capulet.lit/hall"));
    let all = [(ORCHARD, ABLE), (BALCONY, ABLE), (NURSE, ABLE), ("tybalt@capulet.lit/street", ABLE)];
    let around = with(&all);
    let expected =
        [SENDERS.to_owned(), format!("{BALCONY}, asked by hash"), format!("{ORCHARD}, asked by hash"), format!("{NURSE}, asked by hash")];
    assert_eq!(told(&offer, &around), expected, "Tybalt is no contact");
    assert_eq!(reasons(&offer, &around), ["nobody-there", "nobody-there"], "the devices that were published are gone");
    let unable = Abilities { file_transfer: None, ..ABLE };
    assert_eq!(told(&offer, &with(&[(ORCHARD, unable), (BALCONY, Abilities { s5b: false, ibb: false, ..ABLE })])), [SENDERS]);
}

/// Decisions 33, 35, 44.
/// Proves: SFS-3.2-11.
#[test]
fn without_a_hash_that_proves_nobody_is_asked_by_hash() {
    for algos in [&[][..], &[HashAlgo::Sha1]] {
        let offer = offering(algos, vec![Source::url(SENDERS), by_hash(ORCHARD)]);
        let around = with(&[(ORCHARD, ABLE), (BALCONY, ABLE)]);
        assert_eq!((told(&offer, &around), reasons(&offer, &around)), (vec![SENDERS.to_owned()], vec!["hash-missing"]));
    }
}

/// Decision 19.
/// Proves: SFS-3.2-10.
#[test]
fn a_published_session_is_the_senders_own_unless_a_hash_proves_it() {
    let around = with(&[(ORCHARD, ABLE), (NURSE, ABLE)]);
    let offer = offer_with(&[], None, vec![published(ORCHARD), published(NURSE)]);
    assert_eq!(told(&offer, &around), [format!("{ORCHARD}, who said that it gives it")]);
    assert_eq!(reasons(&offer, &around), ["not-the-senders"]);
    let offer = hashed(vec![published(NURSE)]);
    assert_eq!(told(&offer, &around)[0], format!("{NURSE}, who said that it gives it"));
}

#[test]
fn nobody_is_sent_to_ask_the_device_of_somebody_else() {
    let mut offer = hashed(vec![]);
    let tybalt = Message { from: Some(jid("tybalt@capulet.lit/hall")), ..Message::default() };
    offer.add_source(published(NURSE), Received::direct(tybalt, &juliet()).unwrap().provenance());
    assert_eq!(reasons(&offer, &with(&[(NURSE, ABLE)])), ["not-theirs"]);
}

#[test]
fn a_device_that_is_not_asked_has_a_reason() {
    let reason = |source: Source, around: &Circumstances| {
        let plan = lay_out(&hashed(vec![source]), &Policy::default(), &History::default(), around);
        plan.left_out.first().map(|left_out| (left_out.reason.code(), left_out.reason.to_string()))
    };
    let offline = Circumstances::at(noon());
    let (unable, silent) = (Abilities { published_sessions: false, ..ABLE }, Abilities::default());
    let other = Source::Published { from: jid(ORCHARD), id: "x".into(), applications: vec!["urn:xmpp:jingle:apps:rtp:1".into()] };
    for (source, around, code, words) in [
        (published(ORCHARD), &offline, "offline", "people's devices can only be asked while your account is connected"),
        (published(ORCHARD), &with(&[]), "nobody-there", "romeo@montague.lit/orchard is not there just now, or does not show it to you"),
        (
            published(ORCHARD),
            &with(&[(PHONE, ABLE)]),
            "nobody-there",
            "romeo@montague.lit/orchard is not there just now, or does not show it to you",
        ),
        (
            published(ORCHARD),
            &with(&[(ORCHARD, unable)]),
            "not-able",
            "romeo@montague.lit/orchard is there, and its program does not give files that way",
        ),
        (
            by_hash(ORCHARD),
            &with(&[(ORCHARD, silent)]),
            "not-able",
            "romeo@montague.lit/orchard is there, and its program does not give files that way",
        ),
        (other, &with(&[(ORCHARD, ABLE)]), "unsupported", "this version does not fetch from published sessions of other kinds"),
    ] {
        assert_eq!(reason(source, around), Some((code, words.to_owned())));
    }
    let bare = lay_out(
        &hashed(vec![published("romeo@montague.lit")]),
        &rules("fetch everybody"),
        &History::default(),
        &with(&[(PHONE, ABLE), (ORCHARD, unable)]),
    );
    assert_eq!(bare.attempts[0].how.to_string(), format!("{PHONE}, who said that it gives it"), "of a person those that can");
}

/// The address is shown only after an answer or by a standing rule.
#[test]
fn what_shows_the_address_needs_a_rule_or_an_answer_and_servers_in_between_do_not() {
    let (offer, around) = (hashed(vec![published(ORCHARD)]), with(&[(ORCHARD, ABLE)]));
    let reach = |policy: &Policy, around: &Circumstances| {
        let decision = decision(&offer, policy, around);
        (decision.as_str(), requests(&decision).first().map(|request| request.reach))
    };
    assert_eq!(reach(&Policy::default(), &around), ("fetch", Some(Reach::Relay)), "what the rules let go by way of servers goes there");
    assert_eq!(reach(&rules("fetch contacts from peers"), &around), ("fetch", Some(Reach::Direct)));
    assert_eq!(reach(&rules("never everybody from peers\nfetch contacts"), &around), ("fetch", Some(Reach::Relay)));
    assert_eq!(reach(&rules("never everybody from peers, relayed"), &around), ("refuse", None));
    assert_eq!(reach(&rules("ask everybody"), &around), ("ask", Some(Reach::Direct)));
    let shown = Circumstances { answers: vec![Answer::Reveal(Exposure::Peer(jid(ORCHARD)))], ..around.clone() };
    assert_eq!(reach(&Policy::default(), &shown), ("fetch", Some(Reach::Direct)));
    let other = Circumstances { answers: vec![Answer::Reveal(Exposure::Peer(jid(PHONE)))], ..around.clone() };
    assert_eq!(reach(&Policy::default(), &other), ("fetch", Some(Reach::Relay)), "another device was meant");
    let hidden = Circumstances { answers: vec![Answer::RelayOnly], ..around };
    assert_eq!(reach(&rules("fetch everybody"), &hidden), ("fetch", Some(Reach::Relay)));
}

#[test]
fn the_question_says_who_sees_the_address_and_has_another_answer() {
    let (offer, around) = (hashed(vec![published(ORCHARD)]), with(&[(ORCHARD, ABLE)]));
    let policy = rules("fetch contacts up to 5 bytes from relayed");
    let Decision::Ask(question) = decision(&offer, &policy, &around) else { panic!() };
    assert_eq!(
        question.to_string(),
        "fetch it? it has 6 bytes, and your rules fetch up to 5 bytes unasked; romeo@montague.lit/orchard sees your IP address; it can \
         go by way of servers as well, which is slower and shows nobody's device your IP address"
    );
    assert!(question.concerns().contains(&Concern::Reveals(Exposure::Peer(jid(ORCHARD)))) && question.shows_address());
    let relayed = question.relayed().unwrap();
    assert_eq!(relayed.answers(), [Answer::Fetch, Answer::RelayOnly]);
    assert!(relayed.plan().attempts.iter().all(|attempt| attempt.exposure == Exposure::ViaProxy(jid(ORCHARD))));
    let kept = relayed.answers().iter().map(|answer| Answer::from_record(&answer.to_record()).unwrap()).collect();
    let agreed = Circumstances { answers: kept, ..around.clone() };
    assert_eq!(decision(&offer, &policy, &agreed), Decision::Fetch(relayed.plan().clone()));
    let agreed = Circumstances { answers: question.answers(), ..around };
    assert_eq!(decision(&offer, &policy, &agreed), Decision::Fetch(question.yes()));
}

#[test]
fn a_stranger_learns_that_we_are_there_only_after_a_yes() {
    let offer = hashed(vec![published(ORCHARD)]);
    let around = Circumstances { contacts: Arc::default(), ..with(&[(ORCHARD, ABLE)]) };
    let Decision::Ask(question) = decision(&offer, &rules("fetch contacts"), &around) else { panic!() };
    let hidden = question.relayed().unwrap();
    assert!(hidden.answers().contains(&Answer::Reveal(Exposure::ViaProxy(jid(ORCHARD)))), "{:?}", hidden.answers());
}

/// Whom we see, or only wrote down, does not see us by that; a rule for contacts does not show them that we are there.
#[test]
fn a_contact_who_does_not_see_us_learns_that_we_are_there_by_no_rule_for_contacts() {
    let offer = hashed(vec![published(ORCHARD)]);
    let table = [
        ("fetch contacts from relayed, peers", [true, true, false, false]),
        ("fetch romeo@montague.lit from relayed", [true; 4]),
        ("fetch everybody from relayed", [true; 4]),
        ("never contacts\nfetch everybody", [false; 4]),
    ];
    for (text, expected) in table {
        let is_fetched = |subscription| {
            let around = with_contacts(subscription, &[(ORCHARD, ABLE)]);
            matches!(decision(&offer, &rules(text), &around), Decision::Fetch(_))
        };
        let fetched = [Subscription::Both, Subscription::From, Subscription::To, Subscription::None].map(is_fetched);
        assert_eq!(fetched, expected, "{text}");
    }
    let around = with_contacts(Subscription::To, &[(ORCHARD, ABLE)]);
    let Decision::Ask(question) = decision(&offer, &rules("fetch contacts from relayed"), &around) else { panic!("not asked") };
    let told = [Concern::Person(jid("romeo@montague.lit")), Concern::Reveals(Exposure::Peer(jid(ORCHARD)))];
    assert!(told.iter().all(|concern| question.concerns().contains(concern)), "{:?}", question.concerns());
}

/// Nobody has to be hidden from on one's own devices.
#[test]
fn ones_own_devices_are_asked_directly_and_nobody_else_learns_of_it() {
    let offer = hashed(vec![Source::url(THIRD)]);
    let decision = decision(&offer, &Policy::default(), &with(&[(BALCONY, ABLE)]));
    let [own] = requests(&decision)[..] else { panic!("{decision:?}") };
    assert_eq!((own.peer.as_str(), own.reach), (BALCONY, Reach::Direct));
    assert_eq!(decision.plan().unwrap().attempts[0].exposure, Exposure::OwnServer("capulet.lit".into()));
}

#[test]
fn an_announced_file_without_a_place_is_asked_for_by_hash_when_the_person_wants_it() {
    let (offer, around) = (hashed(vec![]), with(&[(ORCHARD, ABLE)]));
    assert_eq!(decision(&offer, &Policy::default(), &around), Decision::Wait(Wait::ForSource));
    let asked = Circumstances { asked: true, ..around };
    assert_eq!(requests(&decision(&offer, &Policy::default(), &asked)).len(), 1);
    assert_eq!(decision(&offer, &Policy::default(), &Circumstances { asked: true, ..with(&[]) }), Decision::Wait(Wait::ForSource));
}

fn session(xml: &str, peer: &str) -> Result<Vec<Offer>, balcony_sharing::ProvenanceError> {
    let received = Received::session(&jid(peer), &juliet(), &Element::parse(xml).unwrap())?;
    // As the catalogue gives it back.
    let again = Received::from_record(received.inner().clone(), &received.provenance().to_record()).unwrap();
    assert_eq!((&again, received.provenance().way()), (&received, Way::Session));
    Ok(dialect::read(&again).offers)
}

const TWO_FILES: &str = "<jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' sid='s1' initiator='tybalt@capulet.lit/x'>\
    <content creator='initiator' name='first' senders='initiator'><description xmlns='urn:xmpp:jingle:apps:file-transfer:5'><file>\
    <name>a b.txt</name><size>6</size><hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>2XarmwTlNxDAMkvymloX3S5+VbylNrJt/l5QyPa+YoU=</hash>\
    </file></description><transport xmlns='urn:xmpp:jingle:transports:ibb:1' sid='t' block-size='4096'/></content>\
    <content creator='initiator' name='second' senders='initiator'><description xmlns='urn:xmpp:jingle:apps:file-transfer:5'>\
    <file><name>b.txt</name><size>1</size></file></description></content>\
    <content creator='initiator' name='third' senders='responder'><description xmlns='urn:xmpp:jingle:apps:file-transfer:5'>\
    <file><name>c.txt</name></file></description></content></jingle>";

/// Who the element calls initiator is nobody's proof: the peer is who servers stamped.
#[test]
fn a_session_is_an_offer_for_each_of_its_files_from_the_device_that_opened_it() {
    let offers = session(TWO_FILES, ORCHARD).unwrap();
    assert_eq!(offers.len(), 2, "what it asks for is no offer");
    let first = &offers[0];
    assert_eq!((first.name().as_str(), first.size(), first.proof()), ("a b.txt", Some(6), Proof::Digest));
    assert_eq!(first.provenance().sender(), &jid(ORCHARD));
    let source = Source::Session { peer: jid(ORCHARD), sid: "s1".into(), content: "first".into() };
    assert_eq!((&first.places()[0].source, &first.places()[0].named_by), (&source, &NamedBy::Sender));
    assert_ne!(first.id().index, offers[1].id().index);
}

#[test]
fn what_opens_no_session_and_what_no_device_says_is_none() {
    assert!(session(TWO_FILES, "romeo@montague.lit").is_err());
    for wrong in [
        "<jingle xmlns='urn:xmpp:jingle:1' action='session-accept' sid='s1'/>",
        "<jingle xmlns='urn:xmpp:jingle:1' action='session-initiate'/>",
        "<jingle xmlns='urn:example' action='session-initiate' sid='s1'/>",
    ] {
        assert!(session(wrong, ORCHARD).is_err(), "{wrong}");
    }
    let unnamed = TWO_FILES.replace("name='first'", "");
    assert!(session(&unnamed, ORCHARD).unwrap()[0].is_pending(), "a content without a name cannot be answered");
}

#[test]
fn a_file_offered_in_a_session_is_had_while_it_waits_and_by_hash_when_it_is_over() {
    let offer = session(TWO_FILES, ORCHARD).unwrap().remove(0);
    let there = with(&[(ORCHARD, ABLE)]);
    let waiting = |around: &Circumstances, sid: &str, peer: &str| {
        let devices = Devices::clone(around.devices.as_ref().unwrap()).with_waiting([(jid(peer), sid.to_owned())]);
        Circumstances { devices: Some(Arc::new(devices)), ..around.clone() }
    };
    let open = decision(&offer, &Policy::default(), &waiting(&there, "s1", ORCHARD));
    let ways: Vec<_> = requests(&open).iter().map(|request| &request.way).collect();
    assert_eq!(ways, [&SessionWay::Offered { sid: "s1".into(), content: "first".into() }, &SessionWay::ByHash]);
    for (sid, peer) in [("s2", ORCHARD), ("s1", PHONE)] {
        let over = decision(&offer, &Policy::default(), &waiting(&there, sid, peer));
        assert_eq!(requests(&over).iter().map(|request| &request.way).collect::<Vec<_>>(), [&SessionWay::ByHash], "{sid} of {peer}");
        assert_eq!(
            (&over.left_out()[0].reason, over.left_out()[0].reason.to_string().as_str()),
            (&Reason::SessionOver, "the session ended")
        );
    }
    let gone = decision(&offer, &Policy::default(), &with(&[]));
    assert_eq!(gone.to_string(), format!("a session with {ORCHARD} cannot be used: the session ended"));
}

/// A moment after it failed there, too: whoever offers it again waits, and would wait for ever.
#[test]
fn what_is_offered_again_in_a_session_that_failed_is_answered_at_once() {
    let offer = session(TWO_FILES, ORCHARD).unwrap().remove(0);
    let failed = |source: &Source, outcome: Outcome| Record { source: source.key(), at: noon(), outcome };
    let devices = Devices::new([(jid(ORCHARD), ABLE)]).with_waiting([(jid(ORCHARD), "s1".to_owned())]);
    let there = Circumstances { devices: Some(Arc::new(devices)), ..with(&[]) };
    let offered = offer.sources().next().unwrap();
    for outcome in [Outcome::Misfit, Outcome::Withheld("the other side stopped it".into()), Outcome::Unreachable("it broke".into())] {
        let history = History::new(vec![failed(offered, outcome), failed(&by_hash(ORCHARD), Outcome::NotGiven("no".into()))]);
        let again = decide(&offer, &rules("fetch everybody"), &history, &there);
        let ways: Vec<_> = requests(&again).iter().map(|request| &request.way).collect();
        assert_eq!(ways, [&SessionWay::Offered { sid: "s1".into(), content: "first".into() }], "by hash it is left alone for a while");
    }
    let wrong = History::new(vec![failed(offered, Outcome::WrongBytes)]);
    assert_eq!(decide(&offer, &rules("fetch everybody"), &wrong, &there).left_out()[0].reason, Reason::Failed(Outcome::WrongBytes));
}

#[test]
fn a_file_without_a_hash_is_had_in_its_session_after_a_yes_and_never_otherwise() {
    let offer = session(TWO_FILES, ORCHARD).unwrap().remove(1);
    let devices = Devices::new([(jid(ORCHARD), ABLE)]).with_waiting([(jid(ORCHARD), "s1".to_owned())]);
    let around = Circumstances { devices: Some(Arc::new(devices)), ..with(&[]) };
    let Decision::Ask(question) = decision(&offer, &Policy::default(), &around) else { panic!() };
    assert!(question.concerns().contains(&Concern::Unproven));
    assert_eq!(question.plan().attempts.len(), 1);
}

/// What is promised is as good as what is given, as long as it comes; where it does not, nothing is kept.
#[test]
fn a_file_whose_hash_comes_behind_the_bytes_needs_no_yes_for_that() {
    let promising = TWO_FILES.replace("<size>1</size>", "<size>1</size><hash-used xmlns='urn:xmpp:hashes:2' algo='sha-256'/>");
    let md5 = promising.replace("algo='sha-256'/>", "algo='md5'/>");
    let devices = Devices::new([(jid(ORCHARD), ABLE)]).with_waiting([(jid(ORCHARD), "s1".to_owned())]);
    let around = Circumstances { devices: Some(Arc::new(devices)), ..with(&[]) };
    let decided = |xml: &str, policy: &str| decision(&session(xml, ORCHARD).unwrap()[1], &rules(policy), &around);
    let fetched = decided(&promising, "fetch contacts");
    assert_eq!((fetched.as_str(), requests(&fetched)[0].takes_unproven), ("fetch", false));
    assert!(requests(&decided(&promising, "fetch contacts even unproven"))[0].takes_unproven);
    assert_eq!(decided(&md5, "fetch contacts").as_str(), "ask");
}

/// A message that speaks of a session opens none.
#[test]
fn a_session_in_a_message_offers_nothing_that_could_be_had() {
    let message = Message {
        from: Some(jid(ORCHARD)),
        id: Some("jingle s1 orchard".into()),
        payloads: vec![Element::parse(TWO_FILES).unwrap()],
        ..Message::default()
    };
    let received = Received::direct(message, &juliet()).unwrap();
    let offers = dialect::read(&received).offers;
    assert!(offers.iter().all(Offer::is_pending));
    let devices = Devices::new([(jid(ORCHARD), ABLE)]).with_waiting([(jid(ORCHARD), "s1".to_owned())]);
    let around = Circumstances { devices: Some(Arc::new(devices)), asked: true, ..with(&[]) };
    assert_eq!(decision(&offers[0], &Policy::default(), &around).left_out()[0].reason, Reason::SessionOver);
}

/// The same session twice is one offer; one of the same name with another file is another.
#[test]
fn sessions_are_told_apart_by_device_id_and_what_they_offer() {
    let name = |xml: &str, peer: &str| {
        let received = Received::session(&jid(peer), &juliet(), &Element::parse(xml).unwrap()).unwrap();
        received.inner().id.clone().unwrap()
    };
    let other = |what: &str, instead: &str| name(&TWO_FILES.replace(what, instead), ORCHARD);
    let first = name(TWO_FILES, ORCHARD);
    assert_eq!(first, other("block-size='4096'", "block-size='1024'"), "how it is carried may change");
    assert_eq!(first, other("'second'", "'zweite'"), "and how its contents are called");
    for different in [name(TWO_FILES, PHONE), other("sid='s1'", "sid='s2'"), other("<size>1<", "<size>2<")] {
        assert_ne!(first, different);
    }
    let said = |jid: &Jid| Received::session(jid, &juliet(), &Element::parse(TWO_FILES).unwrap()).unwrap();
    assert!(said(&jid(BALCONY)).provenance().is_own() && !said(&jid(ORCHARD)).provenance().is_own());
}

#[test]
fn an_attachment_still_waits_for_the_person() {
    let offer = offer_with(&[HashAlgo::Sha256], Some(Disposition::Attachment), vec![published(ORCHARD)]);
    let Decision::Ask(question) = decision(&offer, &rules("fetch everybody"), &with(&[(ORCHARD, ABLE)])) else { panic!() };
    assert_eq!(question.concerns(), [Concern::Attachment]);
}
