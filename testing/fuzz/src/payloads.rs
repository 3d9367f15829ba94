//! Every typed element: whatever can be read is written in a form that reads the same.

use balcony_wire::framing::Limits;
use balcony_wire::jingle_message::JingleMessage;
use balcony_wire::{Element, Payload, ReadError, Stanza, *};

type RoundTrip = fn(&Element) -> Option<Result<Element, ReadError>>;

fn round_trip<P: Payload>(element: &Element) -> Option<Result<Element, ReadError>> {
    P::matches(element).then(|| P::read(element).map(|read| read.write()))
}

macro_rules! types {
    ($($path:path),* $(,)?) => { &[$((stringify!($path), round_trip::<$path> as RoundTrip)),*] };
}

/// Every payload type of the crate.
const TYPES: &[(&str, RoundTrip)] = testing_corpus::payload_types!(types);

/// XML as a listing.
pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(strict) = Element::parse_within(text, Limits::AFTER_LOGIN) {
        let written = strict.to_xml();
        assert_eq!(Element::parse(&written).as_ref(), Ok(&strict), "{written}");
        assert_eq!(Element::parse_listing(&written).map(|listed| listed.name().to_owned()), Ok(strict.name().to_owned()));
    }
    let Ok(listed) = Element::parse_listing(text) else { return };
    each(&listed, &mut settles);
    if let Ok(stanza) = Stanza::read(listed) {
        if let Stanza::Message(message) = &stanza
            && let Some(said) = JingleMessage::of(message)
        {
            assert!(!said.id().is_empty() && message.payloads.iter().any(|payload| payload.name() == said.write().name()));
        }
        let element = stanza.clone().into_element();
        assert_eq!(Stanza::read(element.clone()).as_ref(), Ok(&stanza), "{}", element.to_xml());
    }
}

fn each(element: &Element, see: &mut impl FnMut(&Element)) {
    see(element);
    element.children().for_each(|child| each(child, see));
}

/// What a reader makes of it reads the same again, from the tree and from the wire.
pub(crate) fn settles(element: &Element) {
    for (name, round_trip) in TYPES {
        let Some(Ok(written)) = round_trip(element) else { continue };
        let on_the_wire = Element::parse(&written.to_xml());
        let on_the_wire = on_the_wire.unwrap_or_else(|error| panic!("{name}: {error}: {}", written.to_xml()));
        for tree in [&written, &on_the_wire] {
            let again = round_trip(tree);
            assert_eq!(again, Some(Ok(written.clone())), "{name} does not settle: {}", element.to_xml());
        }
    }
}
