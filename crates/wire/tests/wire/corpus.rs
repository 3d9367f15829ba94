//! The examples of the XEPs, as a whole: each is read or refused for the reason its manifest gives, and whatever has a type
//! is read wherever it stands and written back to an equal tree.

use std::collections::BTreeSet;

use balcony_wire::element::Node;
use balcony_wire::framing::{Frame, Framing, FramingError, Limits};
use balcony_wire::*;
use testing_corpus::{Example, Origin};

/// Reads an element by its type and writes it back, if it is one of that type.
pub(super) type RoundTrip = fn(&Element) -> Option<Result<Element, ReadError>>;

fn round_trip<P: Payload>(element: &Element) -> Option<Result<Element, ReadError>> {
    P::matches(element).then(|| P::read(element).map(|read| read.write()))
}

macro_rules! types {
    ($($path:path),* $(,)?) => { vec![$((stringify!($path).replace(" ", ""), round_trip::<$path> as RoundTrip)),*] };
}

/// Every payload type of the crate.
pub(super) fn types() -> Vec<(String, RoundTrip)> {
    testing_corpus::payload_types!(types)
}

/// The tree in a form that is equal for what XEPs call equal: children in an order of their own, without the white space of
/// the listings (between elements, and around and inside texts that break lines).
fn canonical(element: &Element) -> String {
    let mut attributes: Vec<_> = element.attributes().iter().map(|a| format!(" {{{}}}{}={:?}", a.ns(), a.name(), a.value())).collect();
    attributes.sort();
    let mixed = element.children().next().is_some();
    let mut nodes: Vec<_> = element
        .nodes()
        .iter()
        .filter_map(|node| match node {
            Node::Element(child) => Some(canonical(child)),
            Node::Text(text) if text.trim().is_empty() && (mixed || text.contains('\n')) => None,
            Node::Text(text) if text.contains('\n') => Some(format!("{:?}", text.replace(char::is_whitespace, ""))),
            Node::Text(text) => Some(format!("{text:?}")),
        })
        .collect();
    nodes.sort();
    format!("<{}{}>{}</>", element.qualified_name(), attributes.concat(), nodes.concat())
}

pub(super) fn each_element(element: &Element, see: &mut impl FnMut(&Element)) {
    see(element);
    element.children().for_each(|child| each_element(child, see));
}

pub(super) fn parsed() -> Vec<(Example, Element)> {
    let parse = |example: Example| {
        let element = Element::parse(&example.in_stream_without_comments()).unwrap_or_else(|error| panic!("{}: {error}", example.file));
        (example, element)
    };
    testing_corpus::examples().into_iter().map(parse).collect()
}

/// Parts of the corpus that a type does not read: the type, files by the start of their path, why.
const UNREAD: &[(&str, &str, &str)] = &[
    ("caps::Caps", "xep-0060/21", "the first form of XEP-0115 had no hash"),
    ("data_form::DataForm", "xep-0004/c01", "the type is a placeholder"),
    ("stream::sasl2::Authenticate", "xep-0198/28", "the initial response is a placeholder"),
    ("stream::sasl2::Authenticate", "xep-0386/0", "the initial response is a placeholder"),
    ("stream::sasl2::Success", "xep-0198/", "the additional data is a placeholder"),
    ("stream::sm::Resume", "xep-0198/", "the sequence number is a placeholder"),
    ("stream::sm::Resumed", "xep-0198/13", "the sequence number is a placeholder"),
];

/// Parts of the corpus that are written differently from how they were read: the type, files by the start of their path, why.
const CHANGED: &[(&str, &str, &str)] = &[
    ("data_form::DataForm", "xep-0004/c02", "the type of the field is a placeholder"),
    ("data_form::DataForm", "xep-0068/03", "an option has no value"),
    ("file_input::FileInput", "seeds/002", "bare files of the first draft are written as shares (decision 20)"),
    ("file_metadata::FileMetadata", "xep-0446/c01", "dates are written in UTC"),
    ("file_metadata::FileMetadata", "xep-0448/01", "dimension is written as width and height (decision 4)"),
    ("file_metadata::FileMetadata", "seeds/001", "dimension is written as width and height (decision 4)"),
    ("file_sharing::FileSharing", "xep-0448/01", "dimension is written as width and height (decision 4)"),
    ("file_sharing::FileSharing", "seeds/001", "dimension is written as width and height (decision 4)"),
    ("hashes::Hash", "xep-0329/05", "hashes:1 is written as hashes:2"),
    ("hashes::Hash", "repaired/xep-0264", "hashes:1 is written as hashes:2"),
    ("hashes::Hash", "seeds/000", "hashes:1 is written as hashes:2"),
    ("jingle::FileDescription", "xep-0234/c0", "dates are written in UTC"),
    ("jingle::FileDescription", "repaired/xep-0264", "senders of a description belong to the content"),
    ("jingle_file::JingleFile", "xep-0234/c0", "dates are written in UTC"),
    ("jingle_file::JingleFile", "xep-0329/0", "file-transfer:4 is written as :5"),
    ("jingle_file::JingleFile", "repaired/xep-0264", "file-transfer:4 is written as :5"),
    ("jingle_file::JingleFile", "seeds/000", "file-transfer:4 is written as :5"),
    ("jingle_pub::JinglePub", "xep-0358/01", "the children are placeholders in brackets"),
    ("jingle_pub::Start", "xep-0358/0", "an id as text is written as attribute (decision 19)"),
    ("media_sharing::MediaSharing", "seeds/000", "file-transfer:4 is written as :5"),
    ("references::Reference", "seeds/000", "file-transfer:4 is written as :5"),
    ("roster::Roster", "xep-0198/21", "no subscription is written as none, which means the same"),
    ("stanza::StanzaError", "xep-00", "the code of RFC 3920 is not written, nor its text beside the elements"),
    ("stanza::StanzaError", "xep-0103", "the code of RFC 3920 is not written, nor its text beside the elements"),
    ("stanza::StanzaError", "xep-0358", "the code of RFC 3920 is not written"),
    ("stream_initiation::SiFile", "xep-0096/10", "the date has no seconds"),
    ("stream::bind::Bind", "xep-0388/1", "required is not part of resource binding"),
    ("stream::features::StreamFeatures", "xep-0388/", "an empty inline is written, and required of bind is not"),
    ("stream::features::StreamFeatures", "xep-0440/02", "an empty inline is written"),
    ("stream::sm::Failed", "xep-0198/", "the sequence number is a placeholder"),
    ("url_data::UrlData", "xep-0103/0", "the value of a header is written as attribute (decision 17)"),
];

/// Types that no listing shows: elements of RFCs, and two of XEPs outside the snapshot.
const NOT_IN_THE_CORPUS: &[&str] = &[
    "stream::bind::LegacySession",
    "stream::features::StreamLimits",
    "stream::sasl2::Abort",
    "stream::sasl::Abort",
    "stream::sasl::Auth",
    "stream::sasl::Challenge",
    "stream::sasl::Failure",
    "stream::sasl::Response",
    "stream::sasl::Success",
    "stream::sm::Resume",
    "stream::starttls::Proceed",
    "stream::starttls::StartTls",
    "stream::starttls::TlsFailure",
];

/// A table of exceptions, each of which must be needed.
struct Exceptions {
    rows: &'static [(&'static str, &'static str, &'static str)],
    needed: BTreeSet<usize>,
}

impl Exceptions {
    fn new(rows: &'static [(&'static str, &'static str, &'static str)]) -> Self {
        Self { rows, needed: BTreeSet::new() }
    }

    fn cover(&mut self, of: &str, file: &str) -> bool {
        let row = self.rows.iter().position(|(row_type, start, _)| *row_type == of && file.starts_with(start));
        self.needed.extend(row);
        row.is_some()
    }

    fn assert_all_needed(&self) {
        let idle: Vec<_> = (0..self.rows.len()).filter(|row| !self.needed.contains(row)).map(|row| self.rows[row]).collect();
        assert!(idle.is_empty(), "exceptions that are none: {idle:?}");
    }
}

#[test]
fn every_example_is_read_or_refused_for_the_reason_its_manifest_gives() {
    for example in testing_corpus::examples() {
        match Element::parse(&example.in_stream()) {
            Ok(element) => {
                assert!(!example.comment_placeholder && !example.xml.contains("<!--"), "{} has a comment", example.file);
                if !example.root.is_empty() {
                    assert_eq!(element.name(), example.root, "{}", example.file);
                }
                let ns = if example.root_ns.is_empty() { &example.implied_ns } else { &example.root_ns };
                assert!(element.ns() == ns || example.origin == Origin::Seed, "{}", example.file);
            }
            Err(error) => {
                assert!(matches!(error, FramingError::Restricted(_)), "{}: {error}", example.file);
                assert!(example.xml.contains("<!--"), "{}: {error}", example.file);
            }
        }
    }
    for (file, xml, reason) in testing_corpus::broken() {
        assert!(!reason.is_empty() && matches!(Element::parse(&xml), Err(FramingError::NotWellFormed(_))), "{file}");
    }
}

#[test]
fn whatever_has_a_type_is_read_and_written_back_to_an_equal_tree() {
    let types = types();
    let (mut unread, mut changed) = (Exceptions::new(UNREAD), Exceptions::new(CHANGED));
    let mut seen = BTreeSet::new();
    for (example, root) in parsed() {
        each_element(&root, &mut |element| {
            for (name, round_trip) in &types {
                match round_trip(element) {
                    None => {}
                    Some(Err(error)) => assert!(unread.cover(name, &example.file), "{name} in {}: {error}", example.file),
                    Some(Ok(written)) => {
                        seen.insert(name.as_str());
                        let (was, is) = (canonical(element), canonical(&written));
                        assert!(was == is || changed.cover(name, &example.file), "{name} in {}\n{was}\n{is}", example.file);
                        let again = round_trip(&written).unwrap_or_else(|| panic!("{name} writes something else")).unwrap();
                        assert_eq!(again, written, "{name} in {} does not settle", example.file);
                    }
                }
            }
        });
    }
    unread.assert_all_needed();
    changed.assert_all_needed();
    let missing: Vec<_> =
        types.iter().map(|(name, _)| name.as_str()).filter(|name| !seen.contains(name)).collect::<BTreeSet<_>>().into_iter().collect();
    assert_eq!(missing, NOT_IN_THE_CORPUS);
}

/// The stanza with its addresses as RFC 7622 prepares them: listings write `MaineBoy@jabber.org`.
fn prepared(mut stanza: Element) -> Element {
    for name in ["from", "to"] {
        if let Some(jid) = stanza.attr(name).map(|text| Jid::from_server(text).unwrap()) {
            stanza.set_attr(name, jid.as_str());
        }
    }
    stanza
}

#[test]
fn every_stanza_is_relayed_whole() {
    let mut relayed = 0;
    for (example, root) in parsed() {
        if root.ns() != ns::CLIENT || !matches!(root.name(), "message" | "presence" | "iq") {
            continue;
        }
        let is_suspected_of = |what: &str| example.suspect.iter().any(|suspicion| suspicion.starts_with(what));
        let Ok(stanza) = Stanza::read(root.clone()) else {
            assert!(is_suspected_of("iq without id"), "{}", example.file);
            continue;
        };
        relayed += 1;
        // an iq error is read as a whole: the echo of the request and the code of RFC 3920 are left out
        if root.name() == "iq" && root.attr("type") == Some("error") {
            continue;
        }
        let (was, is) = (canonical(&prepared(root)), canonical(&stanza.into_element()));
        assert!(was == is || is_suspected_of("character data directly inside"), "{}\n{was}\n{is}", example.file);
    }
    assert!(relayed > 1000, "{relayed}");
}

#[test]
fn stream_headers_and_ends_of_the_listings_are_frames() {
    for fragment in testing_corpus::fragments() {
        let mut framing = Framing::new(Limits::BEFORE_LOGIN);
        if fragment.what == "stream end" {
            framing.push(b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>");
        }
        framing.push(fragment.xml.as_bytes());
        let mut frames = Vec::new();
        while let Some(frame) = framing.next_frame().unwrap_or_else(|error| panic!("{}: {error}", fragment.file)) {
            frames.push(frame);
        }
        match fragment.what.as_str() {
            "stream end" => assert_eq!(frames.last(), Some(&Frame::Close), "{}", fragment.file),
            _ => assert!(matches!(frames.first(), Some(Frame::Open(_))), "{}", fragment.file),
        }
    }
}
