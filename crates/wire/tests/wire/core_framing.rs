//! The framing: frames do not depend on how bytes arrive, limits hold, whatever comes in nothing panics.

use balcony_wire::element::{Attribute, Element, Node};
use balcony_wire::framing::writer::{write_close, write_element, write_element_in, write_open};
use balcony_wire::framing::{Frame, Framing, FramingError, Limits, StreamHead};
use balcony_wire::ns;
use balcony_wire::stream::error::StreamErrorCondition;
use proptest::prelude::*;

const HEADER: &str = "<?xml version='1.0'?><stream:stream from='example.org' to='juliet@example.org' id='s1' version='1.0' xml:lang='en' \
                      xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>";

fn small() -> Limits {
    Limits { depth: 4, attributes: 7, token: 100, stanza: 400 }
}

/// All frames, and the error that ended them.
fn frames(limits: Limits, pieces: &[&[u8]]) -> (Vec<Frame>, Option<FramingError>) {
    let mut framing = Framing::new(limits);
    let mut frames = Vec::new();
    for piece in pieces {
        framing.push(piece);
        loop {
            match framing.next_frame() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(framing.next_frame(), Err(error.clone()), "errors stick");
                    framing.push(b"<presence/>");
                    assert_eq!(framing.next_frame(), Err(error.clone()), "errors stick");
                    return (frames, Some(error));
                }
            }
        }
    }
    (frames, None)
}

fn in_stream(xml: &str) -> (Vec<Frame>, Option<FramingError>) {
    frames(small(), &[HEADER.as_bytes(), xml.as_bytes()])
}

fn error_of(xml: &str) -> FramingError {
    let (frames, error) = in_stream(xml);
    error.unwrap_or_else(|| panic!("{xml} was read as {frames:?}"))
}

fn element_of(xml: &str) -> Element {
    match in_stream(xml) {
        (mut frames, None) if frames.len() == 2 => match frames.remove(1) {
            Frame::Element(element) => element,
            other => panic!("{other:?}"),
        },
        other => panic!("{xml}: {other:?}"),
    }
}

/// Proves: C6120-4-1.
#[test]
fn reads_a_header_a_stanza_and_the_end() {
    let (frames, error) = in_stream("<message to='romeo@example.net'><body>hi &amp; bye</body></message></stream:stream>");
    assert_eq!(error, None);
    let head = StreamHead {
        from: Some("example.org".parse().unwrap()),
        to: Some("juliet@example.org".parse().unwrap()),
        id: Some("s1".to_owned()),
        version: Some("1.0".to_owned()),
        lang: Some("en".to_owned()),
        content: ns::CLIENT.to_owned(),
    };
    let message = Element::new("message", ns::CLIENT)
        .with_attr("to", "romeo@example.net")
        .with_child(Element::new("body", ns::CLIENT).with_text("hi & bye"));
    assert_eq!(frames, [Frame::Open(head), Frame::Element(message), Frame::Close]);
}

#[test]
fn hands_out_a_trailing_stanza_without_waiting_for_more_bytes() {
    assert_eq!(in_stream("<presence/>").0.len(), 2);
    assert_eq!(in_stream("<presence></presence>").0.len(), 2);
}

#[test]
fn ignores_what_follows_the_end_of_the_stream() {
    let (frames, error) = in_stream("</stream:stream><presence/><!--");
    assert_eq!((frames.len(), error), (2, None));
}

/// Proves: C6120-4.6-1.
#[test]
fn white_space_keeps_a_connection_alive_for_ever() {
    let mut framing = Framing::new(small());
    framing.push(HEADER.as_bytes());
    assert!(matches!(framing.next_frame(), Ok(Some(Frame::Open(_)))));
    for _ in 0..10_000 {
        framing.push(b" \n");
        assert_eq!(framing.next_frame(), Ok(None));
        assert_eq!(framing.unread(), 0);
    }
    framing.push(b"<presence/>");
    assert!(matches!(framing.next_frame(), Ok(Some(Frame::Element(_)))));
    assert_eq!(error_of(" x"), FramingError::TextBetweenStanzas);
    assert_eq!(FramingError::TextBetweenStanzas.condition(), StreamErrorCondition::BadFormat);
}

/// Proves: C6120-11-1.
#[test]
fn refuses_what_xmpp_forbids() {
    for xml in ["<!-- x -->", "<a><!-- x --></a>", "<?php x?>", "<a><?x?></a>", "<!DOCTYPE a>", "<a>&nbsp;</a>", "<a b='&x;'/>"] {
        assert_eq!(error_of(xml).condition(), StreamErrorCondition::RestrictedXml, "{xml}");
    }
    for start in ["<!DOCTYPE a [<!ENTITY x 'y'>]>", "<!-- x -->", "<?php ?>"] {
        let (_, error) = frames(small(), &[start.as_bytes(), HEADER.as_bytes()]);
        assert_eq!(error.unwrap().condition(), StreamErrorCondition::RestrictedXml, "{start}");
    }
    let (_, error) = frames(small(), &[b"<?xml version='1.1'?>", HEADER.as_bytes()]);
    assert_eq!(error.unwrap().to_string(), "the XML has a version other than 1.0, which XMPP forbids");
}

#[test]
fn refuses_what_is_not_well_formed() {
    for xml in ["<a></b>", "<a", "<a b='1' b='2'/>", "<a b=1/>", "<1/>", "<a>]]></a>", "<a b='<'/>", "<a:b:c/>", "<a>\u{1}</a>", "</a>"] {
        match in_stream(&format!("{xml}<b/>")).1 {
            Some(error) => assert_eq!(error.condition(), StreamErrorCondition::NotWellFormed, "{xml}"),
            None => panic!("{xml}"),
        }
    }
    assert_eq!(error_of("<a xmlns:x='u' xmlns:y='u' x:b='1' y:b='2'/>").condition(), StreamErrorCondition::NotWellFormed);
    for xml in ["<x:a/>", "<a x:b='1'/>", "<a><b xmlns:x='u'/><x:c/></a>"] {
        assert_eq!(error_of(xml), FramingError::UndeclaredPrefix, "{xml}");
    }
    for xml in ["<a xmlns:x=''/>", "<a xmlns:xml='u'/>", "<a xmlns:xmlns='u'/>", "<xmlns:a/>", "<a xmlns='http://www.w3.org/2000/xmlns/'/>"]
    {
        assert_eq!(error_of(xml).condition(), StreamErrorCondition::NotWellFormed, "{xml}");
    }
}

#[test]
fn refuses_other_encodings() {
    let (_, error) = frames(small(), &[b"<?xml version='1.0' encoding='ISO-8859-1'?>", HEADER.as_bytes()]);
    assert_eq!(error, Some(FramingError::Encoding));
    let (_, error) = frames(small(), &[HEADER.as_bytes(), b"<a>\xff\xfe</a>"]);
    assert_eq!(error, Some(FramingError::NotUtf8));
    assert_eq!(FramingError::NotUtf8.condition(), StreamErrorCondition::UnsupportedEncoding);
}

#[test]
fn refuses_other_roots_and_namespaces() {
    let streams = "http://etherx.jabber.org/streams";
    for (root, expected) in [
        (format!("<stream xmlns='jabber:client' version='1.0' to='{streams}'>"), FramingError::NotAStream),
        ("<stream:stream xmlns='jabber:client' xmlns:stream='urn:other'>".to_owned(), FramingError::NotAStream),
        (format!("<stream:features xmlns='jabber:client' xmlns:stream='{streams}'>"), FramingError::NotAStream),
        (format!("<stream:stream xmlns='jabber:other' xmlns:stream='{streams}'>"), FramingError::ContentNamespace),
        (format!("<stream:stream xmlns:stream='{streams}'>"), FramingError::ContentNamespace),
    ] {
        let (_, error) = frames(small(), &[root.as_bytes()]);
        assert_eq!(error.as_ref(), Some(&expected), "{root}");
        assert_eq!(expected.condition(), StreamErrorCondition::InvalidNamespace);
    }
    let header = HEADER.replace("juliet@example.org", "juliet@");
    let (_, error) = frames(small(), &[header.as_bytes()]);
    assert_eq!(error.unwrap().condition(), StreamErrorCondition::ImproperAddressing);
}

#[test]
fn any_prefix_may_name_the_stream() {
    let header = "<s:stream xmlns='jabber:client' xmlns:s='http://etherx.jabber.org/streams'>";
    let (frames, error) = frames(small(), &[header.as_bytes(), b"<s:features/></s:stream>"]);
    assert_eq!(error, None);
    assert_eq!(frames[1..], [Frame::Element(Element::new("features", ns::STREAM)), Frame::Close]);
}

#[test]
fn limits_hold() {
    assert_eq!(error_of("<a><b><c><d><e/></d></c></b></a>"), FramingError::TooDeep { limit: 4 });
    assert_eq!(in_stream("<a><b><c><d/></c></b></a>").1, None);
    assert_eq!(error_of("<a b='' c='' d='' e='' f='' g='' h='' i=''/>"), FramingError::TooManyAttributes { limit: 7 });
    let long = "x".repeat(101);
    for xml in [format!("<a>{long}</a>"), format!("<a b='{long}'/>"), format!("<{long}/>"), format!("<a {long}=''/>")] {
        assert_eq!(error_of(&xml), FramingError::TokenTooLong { limit: 100 }, "{xml}");
    }
    // Text in pieces is one run of text.
    assert_eq!(error_of(&format!("<a>{}</a>", "x&amp;".repeat(60))), FramingError::TokenTooLong { limit: 100 });
    assert_eq!(error_of(&format!("<a>{}</a>", "<b>xxxxxxxxxx</b>".repeat(30))), FramingError::StanzaTooLong { limit: 400 });
    assert_eq!(FramingError::StanzaTooLong { limit: 400 }.condition(), StreamErrorCondition::PolicyViolation);
    // The limit is for one stanza, not for all of them.
    assert_eq!(in_stream(&"<a>xxxxxxxxxx</a>".repeat(1000)).0.len(), 1001);
}

/// Proves: C6120-13.12-1.
#[test]
fn even_strangers_may_send_stanzas_of_ten_thousand_bytes() {
    let stanza = format!("<message>{}</message>", "<a>x</a>".repeat((10_000 - 19) / 8));
    for limits in [Limits::BEFORE_LOGIN, Limits::AFTER_LOGIN] {
        assert_eq!(frames(limits, &[HEADER.as_bytes(), stanza.as_bytes()]).1, None);
    }
    let text = format!("<message><body>{}</body></message>", "x".repeat(10_000 - 32));
    assert_eq!(frames(Limits::BEFORE_LOGIN, &[HEADER.as_bytes(), text.as_bytes()]).1, None);
}

/// Proves: SEC-5-1.
#[test]
fn an_endless_token_is_cut_off_before_it_ends() {
    for start in ["<a b='", "<a>", "<", "<a ", " <a><![CDATA[", "</"] {
        let mut framing = Framing::new(small());
        framing.push(HEADER.as_bytes());
        framing.push(start.as_bytes());
        let endless = std::iter::repeat_with(|| {
            framing.push(&[b'x'; 50]);
            std::iter::from_fn(|| framing.next_frame().transpose()).find_map(Result::err)
        });
        let error = endless.take(20).flatten().next().unwrap();
        assert!(matches!(error, FramingError::StanzaTooLong { .. } | FramingError::TokenTooLong { .. } | FramingError::NotWellFormed(_)));
    }
}

#[test]
fn many_namespace_declarations_are_cut_off() {
    let limits = Limits { depth: 64, attributes: 128, ..Limits::AFTER_LOGIN };
    let open: String =
        (0..40).map(|depth| (0..100).map(|n| format!(" xmlns:p{depth}x{n}='u'")).collect::<String>()).map(|d| format!("<a{d}>")).collect();
    let (_, error) = frames(limits, &[HEADER.as_bytes(), open.as_bytes()]);
    assert_eq!(error, Some(FramingError::TooManyNamespaces { limit: 512 }));
}

/// Proves: SEC-5-1.
#[test]
fn deep_trees_end_at_the_highest_limit_that_can_be_set() {
    let limits = Limits { depth: usize::MAX, stanza: usize::MAX, ..Limits::AFTER_LOGIN };
    let (_, error) = frames(limits, &[HEADER.as_bytes(), "<a>".repeat(100_000).as_bytes()]);
    assert_eq!(error, Some(FramingError::TooDeep { limit: Limits::MAX_DEPTH }));
    let nested = format!("{}{}", "<a xmlns='u'>".repeat(256), "</a>".repeat(256));
    assert_eq!(frames(limits, &[HEADER.as_bytes(), nested.as_bytes()]).1, None);
}

#[test]
fn new_limits_hold_from_the_next_stanza_on() {
    let mut framing = Framing::new(small());
    framing.push(HEADER.as_bytes());
    framing.push(b"<a>");
    assert!(matches!(framing.next_frame(), Ok(Some(Frame::Open(_)))));
    assert_eq!(framing.next_frame(), Ok(None));
    framing.set_limits(Limits::AFTER_LOGIN);
    framing.push(b"</a><b>");
    framing.push("x".repeat(10_000).as_bytes());
    framing.push(b"</b>");
    assert!(matches!(framing.next_frame(), Ok(Some(Frame::Element(_)))));
    assert!(matches!(framing.next_frame(), Ok(Some(Frame::Element(_)))));
}

/// A stream in clear that goes on behind `<proceed/>` is an attack; the caller learns of it.
///
/// Proves: C6120-4.3-2.
#[test]
fn a_restart_drops_and_counts_what_was_not_read() {
    let mut framing = Framing::new(small());
    framing.push(HEADER.as_bytes());
    framing.push(b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/><injected/>");
    assert!(matches!(framing.next_frame(), Ok(Some(Frame::Open(_)))));
    assert!(matches!(framing.next_frame(), Ok(Some(Frame::Element(_)))));
    assert_eq!(framing.restart(), "<injected/>".len());
    framing.push(b" \n");
    assert_eq!(framing.next_frame(), Ok(None));
    framing.push(HEADER.as_bytes());
    assert!(matches!(framing.next_frame(), Ok(Some(Frame::Open(_)))));
    assert_eq!(framing.restart(), 0);
}

#[test]
fn a_restart_may_keep_a_header_that_was_sent_early() {
    let mut framing = Framing::new(small());
    framing.push(HEADER.as_bytes());
    framing.push(b"<auth/>\n");
    framing.push(HEADER.as_bytes());
    assert!(matches!(framing.next_frame(), Ok(Some(Frame::Open(_)))));
    assert!(matches!(framing.next_frame(), Ok(Some(Frame::Element(_)))));
    framing.restart_keeping();
    assert!(matches!(framing.next_frame(), Ok(Some(Frame::Open(_)))));
}

#[test]
fn streams_of_servers_and_components_look_like_those_of_clients() {
    for content in [ns::SERVER, ns::COMPONENT_ACCEPT] {
        let header = HEADER.replace("jabber:client", content);
        let xml =
            format!("<message><body>x</body><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='{content}'/></forwarded></message>");
        let (read, error) = frames(small(), &[header.as_bytes(), xml.as_bytes()]);
        assert_eq!(error, None);
        let Frame::Open(head) = &read[0] else { panic!("{read:?}") };
        assert_eq!(head.content, content);
        let forwarded = Element::new("forwarded", ns::FORWARD).with_child(Element::new("message", ns::CLIENT));
        let message = Element::new("message", ns::CLIENT).with_text_child("body", "x").with_child(forwarded);
        assert_eq!(read[1], Frame::Element(message.clone()));

        let mut out = Vec::new();
        write_element_in(content, &message, &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "<message><body>x</body><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'/></forwarded></message>"
        );
    }
}

#[test]
fn prefixes_and_defaults_mean_what_they_mean_at_their_place() {
    let element = element_of("<x:a xmlns:x='u' x:k='1' k='2'><b xmlns='v'><c xmlns=''/></b><x:d xmlns:x='w'/><stream:e/></x:a>");
    let expected = {
        let mut a = Element::new("a", "u");
        a.put_attribute(Attribute::new("u", "k", "1"));
        a.set_attr("k", "2");
        a.with_child(Element::new("b", "v").with_child(Element::new("c", "")))
            .with_child(Element::new("d", "w"))
            .with_child(Element::new("e", ns::STREAM))
    };
    assert_eq!(element, expected);
    assert_eq!(element.attributes()[0].ns(), "u", "attributes keep their order");
}

#[test]
fn the_writer_declares_what_is_needed_and_no_more() {
    let mut out = Vec::new();
    let features = Element::new("features", ns::STREAM).with_child(Element::new("bind", ns::BIND));
    write_element(&features, &mut out);
    let mut message = Element::new("message", ns::CLIENT)
        .with_lang(Some("en"))
        .with_child(Element::new("body", ns::CLIENT).with_text("1 < 2 & 'so' ]]> on\r\u{0}"))
        .with_child(Element::new("a", "u").with_child(Element::new("b", "u")).with_child(Element::new("c", "")));
    message.put_attribute(Attribute::new("urn:x", "k", "a\n'b'\t<"));
    message.put_attribute(Attribute::new("urn:x", "l", ""));
    write_element(&message, &mut out);
    write_close(&mut out);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></stream:features>\
         <message xml:lang='en' xmlns:a1='urn:x' a1:k='a&#10;&apos;b&apos;&#9;&lt;' a1:l=''>\
         <body>1 &lt; 2 &amp; 'so' ]]&gt; on&#13;\u{FFFD}</body><a xmlns='u'><b/><c xmlns=''/></a></message></stream:stream>"
    );
}

#[test]
fn a_written_header_is_read_back() {
    let head = StreamHead {
        from: Some("juliet@example.org".parse().unwrap()),
        to: Some("example.org".parse().unwrap()),
        id: Some("<'\">".to_owned()),
        version: Some("1.0".to_owned()),
        lang: Some("en".to_owned()),
        content: ns::SERVER.to_owned(),
    };
    let mut out = Vec::new();
    write_open(&head, &mut out);
    assert_eq!(frames(small(), &[&out]), (vec![Frame::Open(head)], None));
}

#[test]
fn a_document_is_one_root_and_nothing_else() {
    assert_eq!(Element::parse(" <?xml version='1.0'?><a/>").map_err(|e| e.to_string()).ok(), Some(Element::new("a", "")));
    assert_eq!(Element::parse("<a/> \n").ok(), Some(Element::new("a", "")));
    for text in ["", " ", "<a>", "<a", "a", "<?xml version='1.0'?>"] {
        assert!(Element::parse(text).is_err(), "{text}");
    }
    assert_eq!(Element::parse("<a>").unwrap_err(), FramingError::Incomplete);
    assert!(Element::parse("<a/><b/>").is_err());
    assert!(Element::parse("<a/>b").is_err());
    let limits = Limits { stanza: 10, ..small() };
    assert_eq!(Element::parse_within("<abcdefghij/>", limits), Err(FramingError::StanzaTooLong { limit: 10 }));
    let big = format!("<a>{}</a>", "<b>text &amp; more</b>".repeat(10_000));
    assert_eq!(Element::parse(&big).unwrap().children().count(), 10_000);
}

/// Texts with what needs care in them.
fn text() -> impl Strategy<Value = String> {
    proptest::collection::vec(
        prop_oneof![
            Just("<".to_owned()),
            Just("&amp;".to_owned()),
            Just("]]>".to_owned()),
            Just("\r\n\t".to_owned()),
            Just("'\"".to_owned()),
            Just("\u{FFFD}\u{FB01}é👍🏽".to_owned()),
            "[a-z ]{0,8}",
            any::<char>().prop_filter("XML has no such character", |c| is_xml_char(*c)).prop_map(String::from),
        ],
        0..6,
    )
    .prop_map(|parts| parts.concat())
}

fn is_xml_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

fn namespace() -> impl Strategy<Value = String> {
    prop_oneof![Just(ns::CLIENT), Just(ns::SFS), Just(ns::STREAM), Just("urn:example:'&<"), Just("")].prop_map(str::to_owned)
}

fn element() -> impl Strategy<Value = Element> {
    let attributes = || {
        proptest::collection::vec(
            (
                prop_oneof![
                    Just("".to_owned()),
                    Just("urn:k".to_owned()),
                    Just("urn:l'".to_owned()),
                    Just(balcony_wire::element::XML_NS.to_owned())
                ],
                "[a-f]",
                text(),
            ),
            0..5,
        )
    };
    let leaf = ("[a-z_][a-z0-9._-]{0,6}", namespace(), attributes(), text())
        .prop_map(|(name, ns, attributes, text)| make(&name, ns, attributes, vec![Node::Text(text)]));
    leaf.prop_recursive(4, 20, 4, move |inner| {
        let node = prop_oneof![inner.prop_map(Node::Element), text().prop_map(Node::Text)];
        ("[a-z_é][a-z0-9._-]{0,6}", namespace(), attributes(), proptest::collection::vec(node, 0..4))
            .prop_map(|(name, ns, attributes, nodes)| make(&name, ns, attributes, nodes))
    })
}

fn make(name: &str, ns: String, attributes: Vec<(String, String, String)>, nodes: Vec<Node>) -> Element {
    let mut element = Element::new(name, ns);
    for (ns, name, value) in attributes {
        element.put_attribute(Attribute::new(ns, name, value));
    }
    for node in nodes {
        match node {
            Node::Element(child) => element.push(child),
            Node::Text(text) => element.push_text(text),
        }
    }
    element
}

proptest! {
    #[test]
    fn what_is_written_is_read_back_equal(element in element()) {
        prop_assert_eq!(Element::parse(&element.to_xml()), Ok(element.clone()));
        let mut out = HEADER.as_bytes().to_vec();
        write_element(&element, &mut out);
        let (read, error) = frames(Limits::AFTER_LOGIN, &[&out]);
        prop_assert_eq!(error, None);
        prop_assert_eq!(&read[1], &Frame::Element(element));
    }

    #[test]
    fn frames_do_not_depend_on_how_the_bytes_are_cut(elements in proptest::collection::vec(element(), 1..4), cuts in proptest::collection::vec(1usize..40, 1..60)) {
        let mut bytes = HEADER.as_bytes().to_vec();
        for element in &elements {
            write_element(element, &mut bytes);
            bytes.extend_from_slice(b"\r\n ");
        }
        write_close(&mut bytes);
        let whole = frames(Limits::AFTER_LOGIN, &[&bytes]);
        let mut pieces = Vec::new();
        let mut rest = &bytes[..];
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, behind) = rest.split_at((*cut).min(rest.len()));
            pieces.push(piece);
            rest = behind;
        }
        prop_assert_eq!(&whole.1, &None);
        prop_assert_eq!(&frames(Limits::AFTER_LOGIN, &pieces), &whole);
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        prop_assert_eq!(&frames(Limits::AFTER_LOGIN, &single), &whole);
    }

    /// Errors are of the same kind, too, and nothing panics.
    #[test]
    fn broken_streams_break_alike_however_they_are_cut(element in element(), at in any::<proptest::sample::Index>(), with in any::<u8>(), size in 1usize..9) {
        let mut bytes = HEADER.as_bytes().to_vec();
        write_element(&element, &mut bytes);
        bytes.extend_from_slice(b"<presence/> ");
        let at = at.index(bytes.len());
        bytes[at] = with;
        let limits = Limits { depth: 8, attributes: 16, token: 200, stanza: 4000 };
        let whole = frames(limits, &[&bytes]);
        let pieces: Vec<&[u8]> = bytes.chunks(size).collect();
        prop_assert_eq!(frames(limits, &pieces), whole);
    }

    #[test]
    fn random_bytes_do_no_harm(bytes in proptest::collection::vec(prop_oneof![Just(b'<'), Just(b'>'), Just(b'/'), Just(b'&'), Just(b'\''), Just(b'='), Just(b' '), Just(b'!'), Just(b'['), Just(b']'), Just(b'-'), Just(b'\r'), Just(b';'), Just(b'#'), Just(b':'), any::<u8>(), Just(b'x')], 0..200)) {
        let _ = frames(small(), &[&bytes]);
        let _ = frames(small(), &[HEADER.as_bytes(), &bytes]);
        let _ = Element::parse(&String::from_utf8_lossy(&bytes));
    }
}

/// A stream that reads one stanza under the limits after login, and what it becomes when it is written again.
fn relayed(stanza: &str) -> Result<String, FramingError> {
    let mut framing = Framing::new(Limits::AFTER_LOGIN);
    framing.push(b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>");
    framing.push(stanza.as_bytes());
    loop {
        match framing.next_frame()? {
            Some(Frame::Element(element)) => return Ok(element.to_xml()),
            Some(_) => {}
            None => panic!("no stanza"),
        }
    }
}

/// Half a megabyte that becomes gigabytes when it is written without prefixes.
#[test]
fn one_declaration_for_thousands_of_elements_is_no_bomb() {
    let long = "u".repeat(100_000);
    let elements = format!("<message xmlns:x='{long}'>{}</message>", "<x:a/>".repeat(60_000));
    let attributes = format!("<message xmlns:x='{long}'>{}</message>", "<a x:b=''/>".repeat(30_000));
    for bomb in [elements, attributes] {
        assert!(matches!(relayed(&bomb), Err(FramingError::StanzaTooLong { .. })));
    }
    let modest = format!("<message xmlns:x='urn:example:of:some:length'>{}</message>", "<x:a/>".repeat(2_000));
    assert!(relayed(&modest).unwrap().len() < 200_000);
    let mut framing = Framing::new(Limits::AFTER_LOGIN);
    framing.push(b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>");
    for _ in 0..100 {
        framing.push(modest.as_bytes()); // counted for each stanza anew
    }
    let count = std::iter::from_fn(|| framing.next_frame().unwrap()).count();
    assert_eq!(count, 101);
}

/// Whoever relays a message writes it in its own way: what passed one reader must pass the next, or one message throws its
/// addressee out again and again.
#[test]
fn what_was_read_once_can_be_read_again_after_it_was_written() {
    let body = |text: &str| format!("<body><![CDATA[{text}]]></body>");
    let declarations: String = (0..100).map(|n| format!(" xmlns:p{n}='u{n}'")).collect();
    let foreign = |count: usize| (0..count).map(|n| format!(" p{n}:a=''")).collect::<String>();
    let nested = |count: usize, depth: usize| format!("{}{}", format!("<b{}>", foreign(count)).repeat(depth), "</b>".repeat(depth));
    for stanza in [
        format!("<message>{0}{0}</message>", body(&"&".repeat(250_000))),
        format!("<message>{}</message>", format!("<a b=\"{}\"/>", "'".repeat(250_000)).repeat(2)),
        format!("<message>{0}{0}</message>", format!("<body>{}</body>", ">".repeat(250_000))),
        format!("<message><wrap{declarations}>{}</wrap></message>", nested(100, 2)),
        format!("<message><wrap{declarations}>{}</wrap></message>", nested(4, 60)),
        format!("<message {}/>", (0..127).map(|n| format!("a{n}='x' ")).collect::<String>()),
    ] {
        let once = relayed(&stanza).unwrap();
        let read = Element::parse(&once).unwrap_or_else(|error| panic!("{error}: {}", &stanza[..100]));
        assert_eq!(read.to_xml(), once);
    }
    // What would not pass is refused at the first reading, by whoever sent it.
    let deep = format!("<message><wrap{declarations}>{}</wrap></message>", nested(100, 60));
    assert!(matches!(relayed(&deep), Err(FramingError::TooManyNamespaces { .. })));
}
