#![allow(clippy::unwrap_used, clippy::panic)]

use std::time::{Duration, Instant};

use balcony_wire::stanza::{DefinedCondition, ErrorKind};
use balcony_wire::stream_initiation::{FeatureNeg, Si, SiFile, SiRange};
use balcony_wire::{Element, Payload as _, StanzaError, ns};

use super::*;
use crate::transfer::Reach;

#[allow(clippy::disallowed_methods, reason = "a first instant; only differences matter")]
fn start() -> Instant {
    Instant::now()
}

fn file() -> SiFile {
    SiFile { name: Some("test.txt".to_owned()), size: Some(1022), ..SiFile::default() }
}

fn offering(now: Instant, methods: &[Method]) -> (Offering, Si) {
    let mut offering = Offering::new(now, "a0", file(), Some("text/plain".to_owned()), methods, Settings::default());
    let Some(OfferingAction::Ask(element)) = offering.poll_action() else { panic!("nothing is asked") };
    assert_eq!(offering.poll_action(), None);
    (offering, Si::read(&element).unwrap())
}

fn example(file: &str) -> Element {
    let iq = Element::parse(&testing_corpus::example(file).in_stream()).unwrap();
    iq.into_children().next().unwrap()
}

fn error(file: &str) -> StanzaError {
    StanzaError::read(&example(file)).unwrap()
}

fn answer(method: &str, range: Option<SiRange>) -> Element {
    let file = range.map(|range| SiFile { range: Some(range), ..SiFile::default() });
    Si { file, feature: Some(FeatureNeg::choice(method)), ..Si::default() }.write()
}

fn incoming(now: Instant) -> Incoming {
    let si = Si::read(&example("xep-0096/03-complete-profile-usage-in-stream-initiation-offer.xml")).unwrap();
    Incoming::read(now, &si, Settings::default()).unwrap()
}

fn drain(incoming: &mut Incoming) -> Vec<IncomingAction> {
    std::iter::from_fn(|| incoming.poll_action()).collect()
}

/// Proves: SI-3.2-1, SIF-3-1, SIF-3.1-1.
#[test]
fn an_offer_is_that_of_the_listing_and_says_that_ranges_are_understood() {
    let (_, si) = offering(start(), &Method::ALL);
    let listed = Si::read(&example("xep-0096/01-simple-profile-usage-in-stream-initiation-offer.xml")).unwrap();
    let with_range = SiFile { range: Some(SiRange::default()), ..listed.file.clone().unwrap() };
    assert_eq!(si, Si { file: Some(with_range), ..listed });
    let (_, turned) = offering(start(), &[Method::InBand, Method::Socks5]);
    assert_eq!(turned.feature.unwrap().methods().collect::<Vec<_>>(), [ns::BYTESTREAMS, ns::IBB]);
}

/// Proves: SI-5.2-1.
#[test]
fn the_answer_of_the_listing_begins_a_stream_of_the_whole_file() {
    let (mut offering, _) = offering(start(), &Method::ALL);
    offering.handle_answer(Ok(Some(&example("xep-0096/02-simple-profile-usage-in-stream-initiation-result.xml"))));
    assert_eq!(offering.poll_action(), Some(OfferingAction::Begin { method: Method::Socks5, from: 0, length: 1022 }));
    assert_eq!((offering.poll_action(), offering.deadline()), (None, None));
}

#[test]
fn parts_of_the_file_are_what_their_ranges_say() {
    let part = |offset, length| {
        let (mut offering, _) = offering(start(), &Method::ALL);
        offering.handle_answer(Ok(Some(&answer(ns::IBB, Some(SiRange { offset, length })))));
        offering.poll_action().unwrap()
    };
    let begins = |from, length| OfferingAction::Begin { method: Method::InBand, from, length };
    assert_eq!(part(None, None), begins(0, 1022));
    assert_eq!(part(None, Some(256)), begins(0, 256));
    assert_eq!(part(Some(128), Some(256)), begins(128, 256));
    assert_eq!(part(Some(128), None), begins(128, 894));
    assert_eq!(part(Some(1022), Some(u64::MAX)), begins(1022, 0));
    assert!(matches!(part(Some(1023), None), OfferingAction::Failed(OfferingFailed::BadAnswer(_))));
    assert!(matches!(part(Some(u64::MAX), Some(u64::MAX)), OfferingAction::Failed(OfferingFailed::BadAnswer(_))));
}

#[test]
fn an_answer_that_chooses_what_was_not_offered_is_none() {
    let after = |methods: &[Method], element: Option<&Element>| {
        let (mut offering, _) = offering(start(), methods);
        offering.handle_answer(Ok(element));
        offering.handle_answer(Ok(Some(&answer(ns::IBB, None))));
        let first = offering.poll_action();
        assert_eq!(offering.poll_action(), None, "the first answer counts");
        first.unwrap()
    };
    let is_bad = |action| matches!(action, OfferingAction::Failed(OfferingFailed::BadAnswer(_)));
    assert!(is_bad(after(&[Method::InBand], Some(&answer(ns::BYTESTREAMS, None)))));
    assert!(is_bad(after(&Method::ALL, Some(&answer("jabber:iq:oob", None)))));
    assert!(is_bad(after(&Method::ALL, Some(&Si::default().write()))));
    assert!(is_bad(after(&Method::ALL, None)));
}

#[test]
fn refusals_of_the_listings_and_of_other_clients_have_names() {
    let after = |error: StanzaError| {
        let (mut offering, _) = offering(start(), &Method::ALL);
        offering.handle_answer(Err(&error));
        let Some(OfferingAction::Failed(why)) = offering.poll_action() else { panic!("it goes on") };
        why
    };
    assert_eq!(after(error("xep-0095/06-no-valid-streams.xml")), OfferingFailed::NoWay);
    assert_eq!(after(error("xep-0095/07-profile-not-understood.xml")), OfferingFailed::NoFiles);
    assert_eq!(after(error("xep-0095/08-rejecting-stream-initiation.xml")), OfferingFailed::Declined(Some("Offer Declined".to_owned())));
    assert_eq!(after(StanzaError::new(DefinedCondition::NotAcceptable)), OfferingFailed::Declined(None));
    let refused = after(StanzaError::new(DefinedCondition::ServiceUnavailable));
    assert_eq!(refused, OfferingFailed::Refused("service-unavailable".to_owned()));
}

#[test]
fn an_offer_that_nobody_answers_ends() {
    let now = start();
    let (mut offering, _) = offering(now, &Method::ALL);
    offering.handle_timeout(now + Duration::from_secs(599));
    assert_eq!(offering.poll_action(), None);
    offering.handle_timeout(offering.deadline().unwrap());
    assert_eq!(offering.poll_action(), Some(OfferingAction::Failed(OfferingFailed::Silent)));
}

#[test]
fn a_file_that_finds_no_connection_is_offered_in_band_once_more() {
    let now = start();
    let (mut offering, _) = offering(now, &Method::ALL);
    offering.handle_answer(Ok(Some(&answer(ns::BYTESTREAMS, Some(SiRange { offset: Some(9), length: None })))));
    offering.poll_action();
    offering.handle_no_stream(now, "a1", "no host was reached".to_owned());
    let Some(OfferingAction::Ask(again)) = offering.poll_action() else { panic!("nothing is asked") };
    let again = Si::read(&again).unwrap();
    assert_eq!((again.id.as_deref(), again.feature.as_ref().unwrap().methods().collect::<Vec<_>>()), (Some("a1"), vec![ns::IBB]));
    offering.handle_answer(Ok(Some(&answer(ns::IBB, None))));
    assert_eq!(offering.poll_action(), Some(OfferingAction::Begin { method: Method::InBand, from: 0, length: 1022 }));
    offering.handle_no_stream(now, "a2", "they have none".to_owned());
    assert_eq!(offering.poll_action(), Some(OfferingAction::Failed(OfferingFailed::NoStream("they have none".to_owned()))));
}

/// Proves: SI-3.2-2, SIF-3-2.
#[test]
fn the_answer_to_an_offer_chooses_one_way_and_describes_nothing() {
    let now = start();
    let mut whole = incoming(now);
    whole.accept(now, 0, Reach::Direct);
    let actions = drain(&mut whole);
    let [IncomingAction::Answer(Ok(si)), IncomingAction::Expect { method: Method::Socks5, from: 0, length: 1022 }] = &actions[..] else {
        panic!("{actions:?}")
    };
    assert_eq!(*si, Si::read(&example("xep-0096/02-simple-profile-usage-in-stream-initiation-result.xml")).unwrap().write());
    let mut hidden = incoming(now);
    hidden.accept(now, 0, Reach::Relay);
    assert!(matches!(drain(&mut hidden)[1], IncomingAction::Expect { method: Method::InBand, .. }));
}

#[test]
fn a_part_is_asked_for_only_of_who_knows_parts() {
    let now = start();
    let si = Si::read(&example("xep-0096/03-complete-profile-usage-in-stream-initiation-offer.xml")).unwrap();
    let knowing = Si { file: Some(SiFile { range: Some(SiRange::default()), ..si.file.clone().unwrap() }), ..si };
    let mut resumed = Incoming::read(now, &knowing, Settings::default()).unwrap();
    resumed.accept(now, 1000, Reach::Direct);
    let actions = drain(&mut resumed);
    let [IncomingAction::Answer(Ok(answered)), IncomingAction::Expect { from: 1000, length: 22, .. }] = &actions[..] else {
        panic!("{actions:?}")
    };
    let file = Si::read(answered).unwrap().file.unwrap();
    assert_eq!(file, SiFile { range: Some(SiRange { offset: Some(1000), length: None }), ..SiFile::default() });
    let mut unknowing = incoming(now);
    unknowing.accept(now, 1000, Reach::Direct);
    assert!(matches!(drain(&mut unknowing)[1], IncomingAction::Expect { from: 0, length: 1022, .. }));
    let mut behind_the_end = Incoming::read(now, &knowing, Settings::default()).unwrap();
    behind_the_end.accept(now, 1023, Reach::Direct);
    assert!(matches!(drain(&mut behind_the_end)[1], IncomingAction::Expect { from: 0, length: 1022, .. }));
}

/// Proves: SI-3.2-3.
#[test]
fn offers_that_cannot_be_taken_are_refused_as_the_document_says() {
    let si = Si::read(&example("xep-0096/01-simple-profile-usage-in-stream-initiation-offer.xml")).unwrap();
    let refused = |si: Si| StanzaError::from(Incoming::read(start(), &si, Settings::default()).unwrap_err());
    let unknown_ways = FeatureNeg::offer(["jabber:iq:oob", "urn:example:pigeon"]);
    assert_eq!(refused(Si { feature: Some(unknown_ways), ..si.clone() }), error("xep-0095/06-no-valid-streams.xml"));
    assert_eq!(refused(Si { feature: None, ..si.clone() }), error("xep-0095/06-no-valid-streams.xml"));
    let other_profile = refused(Si { profile: Some("urn:example:pigeon".to_owned()), ..si.clone() });
    assert_eq!(other_profile, error("xep-0095/07-profile-not-understood.xml").with_kind(ErrorKind::Modify));
    let nameless = SiFile { name: None, ..si.file.clone().unwrap() };
    let unmeasured = SiFile { size: None, ..si.file.clone().unwrap() };
    for malformed in [
        Si { id: None, ..si.clone() },
        Si { id: Some("a\u{7}b".to_owned()), ..si.clone() },
        Si { file: None, ..si.clone() },
        Si { file: Some(nameless), ..si.clone() },
        Si { file: Some(unmeasured), ..si.clone() },
    ] {
        let error = refused(malformed);
        assert_eq!((error.condition, error.application), (DefinedCondition::BadRequest, None));
    }
    let mut unwanted = incoming(start());
    unwanted.reject();
    let said_no = error("xep-0095/08-rejecting-stream-initiation.xml").with_text("Offer declined");
    assert_eq!(drain(&mut unwanted), [IncomingAction::Answer(Err(said_no)), IncomingAction::Failed(IncomingFailed::Declined)]);
    unwanted.accept(start(), 0, Reach::Direct);
    assert_eq!(drain(&mut unwanted), []);
}

#[test]
fn an_offer_that_nobody_decides_on_is_declined_in_the_end() {
    let now = start();
    let mut forgotten = incoming(now);
    forgotten.handle_timeout(now + Duration::from_secs(599));
    assert_eq!(drain(&mut forgotten), []);
    forgotten.handle_timeout(forgotten.deadline().unwrap());
    assert!(matches!(&drain(&mut forgotten)[..], [IncomingAction::Answer(Err(_)), IncomingAction::Failed(IncomingFailed::Undecided)]));
}

#[test]
fn a_stream_ends_with_all_bytes_or_with_a_name_for_what_is_missing() {
    let end = |arrived: &[u64], ending: Result<(), String>| {
        let now = start();
        let mut incoming = incoming(now);
        incoming.accept(now, 0, Reach::Direct);
        incoming.handle_stream();
        assert_eq!(incoming.deadline(), None);
        arrived.iter().for_each(|count| incoming.handle_arrived(*count));
        incoming.handle_end(ending);
        drain(&mut incoming).into_iter().skip(2).collect::<Vec<_>>()
    };
    let broken = || Err("the line was cut".to_owned());
    assert_eq!(end(&[1000, 22], Ok(())), [IncomingAction::Complete]);
    assert_eq!(end(&[1022], broken()), [IncomingAction::Complete]);
    assert_eq!(end(&[1000], Ok(())), [IncomingAction::Failed(IncomingFailed::TooShort { left: 22 })]);
    assert_eq!(end(&[1000], broken()), [IncomingAction::Failed(IncomingFailed::Broken("the line was cut".to_owned()))]);
    assert_eq!(end(&[1000, 23, 5], Ok(())), [IncomingAction::Failed(IncomingFailed::TooLong)]);
    assert_eq!(end(&[u64::MAX], Ok(())), [IncomingAction::Failed(IncomingFailed::TooLong)]);
}

#[test]
fn a_sender_that_opens_no_stream_is_not_waited_for_without_end() {
    let now = start();
    let mut incoming = incoming(now);
    incoming.accept(now, 0, Reach::Direct);
    drain(&mut incoming);
    incoming.handle_arrived(5);
    incoming.handle_end(Ok(()));
    assert_eq!(drain(&mut incoming), [], "nothing came yet");
    incoming.handle_timeout(incoming.deadline().unwrap());
    assert_eq!(drain(&mut incoming), [IncomingAction::Failed(IncomingFailed::NoStream)]);
}
