//! Files offered by stream initiation, read like any other offer.

use std::sync::Arc;

use balcony_sharing::dialect::read;
use balcony_sharing::explain::{View, explain};
use balcony_sharing::plan::{Abilities, Circumstances, Decision, Devices, History, How, Policy, decide};
use balcony_sharing::transfer::{Reach, SessionWay};
use balcony_sharing::{Offer, Proof, ProvenanceError, Received, Source, Via, Way};
use balcony_wire::stanza::MessageKind;
use balcony_wire::{Element, Jid, Message};

use crate::plans::{jid, juliet, noon};

const PHONE: &str = "romeo@montague.lit/phone";

fn listing(file: &str) -> Element {
    let iq = Element::parse(&testing_corpus::example(file).in_stream()).unwrap();
    iq.into_children().next().unwrap()
}

fn offered(si: &Element) -> Vec<Offer> {
    read(&Received::initiation(&jid(PHONE), &juliet(), si).unwrap()).offers
}

fn complete() -> Offer {
    offered(&listing("xep-0096/03-complete-profile-usage-in-stream-initiation-offer.xml")).remove(0)
}

/// Proves: SIF-D-1.
#[test]
fn a_stream_that_somebody_wants_to_open_offers_a_file_whose_md5_proves_nothing() {
    let offer = complete();
    assert_eq!(
        (offer.file().name.as_deref(), offer.size(), offer.media_type().to_string()),
        (Some("test.txt"), Some(1022), "text/plain".to_owned())
    );
    assert_eq!((offer.proof(), offer.digests().is_empty(), offer.file().hashes.len()), (Proof::None, true, 1));
    assert_eq!(offer.file().hashes[0].why().unwrap().to_string(), "the algorithm must not be used");
    assert_eq!(offer.said_in(), [Via::StreamInitiation]);
    assert_eq!(offer.sources().cloned().collect::<Vec<_>>(), [Source::Stream { peer: jid(PHONE), sid: "a0".to_owned() }]);
    assert_eq!(offer.provenance().way(), Way::Session);
}

#[test]
fn it_is_fetched_from_its_sender_while_the_offer_waits_and_never_after() {
    let devices = |waiting: &[&str]| {
        let waiting: Vec<(Jid, String)> = waiting.iter().map(|sid| (jid(PHONE), (*sid).to_owned())).collect();
        Arc::new(Devices::new([(jid(PHONE), Abilities::default())]).with_waiting(waiting))
    };
    let decided = |waiting: &[&str]| {
        let around = Circumstances { devices: Some(devices(waiting)), asked: true, ..Circumstances::at(noon()) };
        decide(&complete(), &Policy::default(), &History::default(), &around)
    };
    let waiting = decided(&["a0"]);
    let plan = waiting.plan().unwrap_or_else(|| panic!("{waiting}"));
    let How::Session(request) = &plan.attempts[0].how else { panic!("{plan:?}") };
    assert_eq!((&request.way, request.peer.as_str()), (&SessionWay::Initiated { sid: "a0".to_owned() }, PHONE));
    assert!(plan.attempts.iter().any(|attempt| matches!(&attempt.how, How::Session(request) if request.reach == Reach::Direct)));
    assert!(matches!(decided(&["a1"]), Decision::Refuse(_)), "it is over");
}

#[test]
fn only_an_offer_of_a_file_by_a_device_is_one() {
    let answer = listing("xep-0096/04-complete-profile-usage-in-stream-initiation-result.xml");
    let offer = listing("xep-0096/01-simple-profile-usage-in-stream-initiation-offer.xml");
    let of = |peer: &str, si: &Element| Received::initiation(&jid(peer), &juliet(), si).map(drop);
    assert_eq!(of(PHONE, &answer), Err(ProvenanceError::NoSession));
    assert_eq!(of(PHONE, &offer.clone().with_attr("profile", "urn:example:chess")), Err(ProvenanceError::NoSession));
    assert_eq!(of(PHONE, &offer.clone().with_attr("id", "")), Err(ProvenanceError::NoSession));
    assert_eq!(of("romeo@montague.lit", &offer), Err(ProvenanceError::NoDevice(jid("romeo@montague.lit"))));
    let profile_alone = listing("xep-0095/05-accept-stream-initiation-with-profile.xml").with_attr("id", "1").with_attr("profile", "x");
    assert_eq!(of(PHONE, &profile_alone), Err(ProvenanceError::NoSession));
}

#[test]
fn a_stream_that_a_message_speaks_of_is_nobodys_to_open() {
    let payloads = vec![listing("xep-0096/01-simple-profile-usage-in-stream-initiation-offer.xml")];
    let message = Message { from: Some(jid(PHONE)), payloads, ..Message::new(MessageKind::Chat, None) };
    let reading = read(&Received::direct(message, &juliet()).unwrap());
    assert!(reading.offers.iter().all(|offer| offer.sources().count() == 0));
}

#[test]
fn it_is_explained_as_what_it_is() {
    let iq =
        Element::parse(&testing_corpus::example("xep-0096/03-complete-profile-usage-in-stream-initiation-offer.xml").in_stream()).unwrap();
    let iq = iq.with_attr("from", PHONE).with_attr("to", "juliet@capulet.lit/balcony");
    let explained = explain(&iq, &View { account: Some(&juliet()), ..View::default() }, &Policy::default(), noon()).to_string();
    let explained: serde_json::Value = serde_json::from_str(&explained).unwrap();
    let share = &explained["shares"][0];
    assert_eq!((&share["via"], &share["file"]["name"], &share["file"]["size"]), (&"si".into(), &"test.txt".into(), &1022.into()));
    assert_eq!(share["sources"][0], serde_json::json!({ "type": "stream", "peer": PHONE, "sid": "a0" }));
    assert_eq!(explained["offers"].as_array().map(Vec::len), Some(1), "{explained:#}");
    let answer = Element::parse(&testing_corpus::example("xep-0096/04-complete-profile-usage-in-stream-initiation-result.xml").in_stream());
    let answer = explain(&answer.unwrap().with_attr("from", PHONE), &View::default(), &Policy::default(), noon()).to_string();
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["offers"].as_array().map(Vec::len), Some(0), "an answer offers nothing: {answer:#}");
}
