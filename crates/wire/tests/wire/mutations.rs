//! Every typed element of the corpus, damaged in every way that damages one place: nothing panics, and whatever is still
//! readable is written in a form that reads the same.

use balcony_wire::Element;
use balcony_wire::element::Node;

use super::corpus::{RoundTrip, each_element, parsed, types};

/// Values that readers of numbers, dates, addresses and base64 meet in bad company.
const HOSTILE: &[&str] = &[
    "",
    " ",
    "-1",
    "18446744073709551616",
    "1e9",
    "0",
    "true",
    "\u{202e}gpj.exe",
    "e\u{301}\u{200d}\u{fe0f}",
    "\r\nHost: evil.example",
    "@/",
    "%",
    "%ff",
    "xmpp:@?;=",
    "cid:%zz",
    "data:,",
    "9999-99-99T99:99:99Z",
    "=AAA",
    "../../etc/passwd",
];

/// `element` rebuilt with one node list.
fn with_nodes(element: &Element, nodes: impl IntoIterator<Item = Node>) -> Element {
    let mut copy = Element::new(element.name(), element.ns().to_owned());
    element.attributes().iter().for_each(|attribute| copy.put_attribute(attribute.clone()));
    for node in nodes {
        match node {
            Node::Element(child) => copy.push(child),
            Node::Text(text) => copy.push_text(text),
        }
    }
    copy
}

/// The element with one thing wrong with it, for each thing that can be wrong.
fn damaged(element: &Element, see: &mut dyn FnMut(Element)) {
    for attribute in element.attributes().iter().filter(|attribute| attribute.ns().is_empty()) {
        let mut without = element.clone();
        without.remove_attr(attribute.name());
        see(without);
        HOSTILE.iter().for_each(|value| see(element.clone().with_attr(attribute.name(), *value)));
    }
    HOSTILE.iter().for_each(|text| see(with_nodes(element, [Node::Text((*text).to_owned())])));
    see(element.clone().with_child(Element::new("surprise", "urn:example:surprise").with_text("?")));
    see(element.clone().with_child(Element::new("surprise", element.ns().to_owned())));
    let nodes = element.nodes();
    for at in 0..nodes.len() {
        let (before, behind) = (&nodes[..at], &nodes[at + 1..]);
        see(with_nodes(element, [before, behind].concat()));
        see(with_nodes(element, [before, &nodes[at..=at], &nodes[at..=at], behind].concat()));
        if let Node::Element(child) = &nodes[at] {
            damaged(child, &mut |child| see(with_nodes(element, [before, &[Node::Element(child)], behind].concat())));
        }
    }
}

/// Whether what a reader makes of `element` reads the same again.
fn settles(round_trip: RoundTrip, element: &Element) -> bool {
    match round_trip(element) {
        None | Some(Err(_)) => true,
        Some(Ok(written)) => {
            let on_the_wire = Element::parse(&written.to_xml()).unwrap_or_else(|error| panic!("{error}: {}", written.to_xml()));
            let reads_the_same = |element: &Element| matches!(round_trip(element), Some(Ok(again)) if again == written);
            reads_the_same(&written) && reads_the_same(&on_the_wire)
        }
    }
}

#[test]
fn whatever_is_still_readable_is_written_in_a_form_that_reads_the_same() {
    let corpus = parsed();
    let mut tried = 0_u32;
    for (name, round_trip) in types() {
        let mut examples = Vec::new();
        for (_, root) in &corpus {
            each_element(root, &mut |element| {
                if examples.len() < 3 && round_trip(element).is_some() && !examples.contains(element) {
                    examples.push(element.clone());
                }
            });
        }
        for element in &examples {
            damaged(element, &mut |damaged| {
                tried += 1;
                assert!(settles(round_trip, &damaged), "{name} does not settle: {}", damaged.to_xml());
            });
        }
    }
    assert!(tried > 10_000, "{tried}");
}
