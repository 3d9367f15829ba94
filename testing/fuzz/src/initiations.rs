//! Stream initiation, whatever is offered and answered: no more of a file is sent or taken than there is, and every side ends.

use std::time::{Duration, Instant};

use balcony_sharing::Received;
use balcony_sharing::transfer::Reach;
use balcony_sharing::transfer::si::{Incoming, IncomingAction, Method, Offering, OfferingAction, Settings};
use balcony_wire::stream_initiation::{FeatureNeg, Si, SiFile};
use balcony_wire::{Element, Jid, Payload as _};

use crate::choices::Choices;
use crate::offered::{holds, juliet};

/// Four bytes of choices, then XML as a listing.
pub(crate) fn run(data: &[u8]) {
    let Some((head, xml)) = data.split_first_chunk::<4>() else { return };
    let Ok(Ok(listed)) = std::str::from_utf8(xml).map(Element::parse_listing) else { return };
    let element = listed.children().find(|child| Si::matches(child)).unwrap_or(&listed);
    let mut choices = Choices::new(head);
    answered(element, &mut choices);
    let Ok(si) = Si::read(element) else { return };
    let romeo = Jid::parse("romeo@montague.lit/phone").unwrap();
    if let Ok(received) = Received::initiation(&romeo, &juliet(), element) {
        holds(&received);
    }
    let now = Instant::now();
    if let Ok(incoming) = Incoming::read(now, &si, Settings::default()) {
        taken(now, incoming, &mut choices);
    }
}

/// What comes as answer to an offer of ours.
fn answered(element: &Element, choices: &mut Choices<'_>) {
    let size = u64::from(choices.byte()) * 5;
    let file = SiFile { name: Some("a".to_owned()), size: Some(size), ..SiFile::default() };
    let methods = if choices.yes() { &Method::ALL[..] } else { &Method::ALL[1..] };
    let mut offering = Offering::new(Instant::now(), "s", file, None, methods, Settings::default());
    assert!(matches!(offering.poll_action(), Some(OfferingAction::Ask(_))));
    offering.handle_answer(Ok(Some(element)));
    match offering.poll_action() {
        Some(OfferingAction::Begin { method, from, length }) => {
            assert!(methods.contains(&method) && from.checked_add(length).is_some_and(|end| end <= size));
        }
        Some(OfferingAction::Failed(why)) => assert!(!why.to_string().is_empty()),
        other => panic!("neither yes nor no: {other:?}"),
    }
    assert_eq!(offering.poll_action(), None);
}

fn taken(now: Instant, mut incoming: Incoming, choices: &mut Choices<'_>) {
    let reach = if choices.yes() { Reach::Relay } else { Reach::Direct };
    let size = incoming.size();
    incoming.accept(now, size / 2, reach);
    let Some(IncomingAction::Answer(Ok(answer))) = incoming.poll_action() else { panic!("no answer") };
    let chosen = Si::read(&answer).unwrap().feature.as_ref().and_then(FeatureNeg::chosen).and_then(Method::of);
    let Some(IncomingAction::Expect { method, from, length }) = incoming.poll_action() else { panic!("nothing is expected") };
    assert!(chosen == Some(method) && from + length == size, "{from} and {length} of {size}");
    if choices.yes() {
        incoming.handle_stream();
        incoming.handle_arrived(length.saturating_sub(u64::from(choices.byte() & 1)));
        incoming.handle_end(Ok(()));
    } else {
        incoming.handle_timeout(now + Duration::from_secs(3600));
    }
    assert!(matches!(incoming.poll_action(), Some(IncomingAction::Complete | IncomingAction::Failed(_))));
    assert_eq!((incoming.poll_action(), incoming.deadline()), (None, None));
}

/// The listings that offer or answer.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let listings = testing_corpus::examples().into_iter().filter(|example| example.xml.contains("protocol/si'"));
    listings.map(|example| [&[0xff, 0, 0, 0x31], example.in_stream_without_comments().as_bytes()].concat()).collect()
}
