//! Bytes to elements: the same wherever the stream is cut, within the limits, and written so that they read the same.

use balcony_wire::Element;
use balcony_wire::element::Node;
use balcony_wire::framing::{Frame, Framing, FramingError, Limits};

use crate::choices::Choices;

const TIGHT: Limits = Limits { depth: 3, attributes: 4, token: 64, stanza: 400 };

/// The limits, the pieces, then the stream.
pub(crate) fn run(data: &[u8]) {
    let mut choices = Choices::new(data);
    let limits = choices.one_of(&[TIGHT, Limits::BEFORE_LOGIN, Limits::AFTER_LOGIN, Limits::AS_WRITTEN]);
    let pieces = [choices.byte(), choices.byte(), choices.byte()].map(|length| 1 + usize::from(length));
    let stream = choices.rest();
    let (whole, end) = frames(limits, [stream]);
    let mut lengths = pieces.into_iter().cycle();
    let mut rest = stream;
    let cut = std::iter::from_fn(|| {
        let (piece, behind) = rest.split_at(lengths.next()?.min(rest.len()));
        rest = behind;
        (!piece.is_empty()).then_some(piece)
    });
    let (in_pieces, end_in_pieces) = frames(limits, cut);
    assert_eq!(whole, in_pieces, "where it is cut changes what is said");
    // Of two things that are wrong, either may be noticed first: text is checked as it comes, in one piece or in several.
    assert_eq!(end.is_some(), end_in_pieces.is_some(), "where it is cut changes how it ends: {end:?}, {end_in_pieces:?}");
    for frame in &whole {
        if let Frame::Element(element) = frame {
            is_within(element, limits, 1);
            if limits != Limits::AS_WRITTEN {
                assert_eq!(Element::parse(&element.to_xml()).as_ref(), Ok(element), "it reads the same when it is written");
            }
        }
    }
}

fn frames<'a>(limits: Limits, pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Frame>, Option<FramingError>) {
    let mut framing = Framing::new(limits);
    let mut frames = Vec::new();
    for piece in pieces {
        framing.push(piece);
        loop {
            match framing.next_frame() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => {
                    framing.push(b"<more/>");
                    assert_eq!(framing.next_frame(), Err(error.clone()), "a stream that failed stays failed");
                    return (frames, Some(error));
                }
            }
        }
    }
    (frames, None)
}

fn is_within(element: &Element, limits: Limits, depth: usize) {
    assert!(depth <= limits.depth && element.attributes().len() <= limits.attributes);
    assert!(element.attributes().iter().all(|attribute| attribute.value().len() <= limits.token));
    let mut before_is_text = false;
    for node in element.nodes() {
        match node {
            Node::Element(child) => is_within(child, limits, depth + 1),
            Node::Text(text) => assert!(!text.is_empty() && !before_is_text, "text comes in one piece"),
        }
        before_is_text = matches!(node, Node::Text(_));
    }
}
