//! Namespaces are resolved by our own few lines; the resolver that comes with the XML parser says whether they are right.

use balcony_wire::element::{Attribute, Element};
use proptest::prelude::*;
use rxml::{Event, Parse as _};

/// The tree that rxml's own resolver makes of a document.
fn by_rxml(xml: &str) -> Option<Element> {
    let mut parser = rxml::Parser::new();
    let mut bytes = xml.as_bytes();
    let mut open: Vec<Element> = Vec::new();
    let mut root = None;
    while let Some(event) = parser.parse(&mut bytes, true).ok()? {
        match event {
            Event::XmlDeclaration(..) => {}
            Event::StartElement(_, (ns, name), attributes) => {
                let mut element = Element::new(name.as_str(), ns);
                for ((ns, name), value) in attributes {
                    element.put_attribute(Attribute::new(ns, name.as_str(), value));
                }
                open.push(element);
            }
            Event::Text(_, text) => open.last_mut()?.push_text(text),
            Event::EndElement(_) => {
                let element = open.pop()?;
                match open.last_mut() {
                    Some(parent) => parent.push(element),
                    None => root = Some(element),
                }
            }
        }
    }
    root
}

fn name() -> impl Strategy<Value = String> {
    (prop_oneof![Just(""), Just("p:"), Just("q:"), Just("xml:")], "[ab]").prop_map(|(prefix, name)| format!("{prefix}{name}"))
}

fn attribute() -> impl Strategy<Value = String> {
    let value = prop_oneof![Just("u"), Just("v"), Just("jabber:client"), Just("urn:xmpp:sfs:0"), Just("")];
    prop_oneof![
        2 => name(),
        1 => Just("xmlns".to_owned()),
        2 => Just("xmlns:p".to_owned()),
        2 => Just("xmlns:q".to_owned()),
    ]
    .prop_flat_map(move |name| value.clone().prop_map(move |value| format!(" {name}='{value}'")))
}

fn document() -> impl Strategy<Value = String> {
    let tag = || (name(), proptest::collection::vec(attribute(), 0..4));
    let leaf = tag().prop_map(|(name, attributes)| format!("<{name}{}/>", attributes.concat()));
    leaf.prop_recursive(5, 24, 4, move |inner| {
        (tag(), proptest::collection::vec(inner, 0..4))
            .prop_map(|((name, attributes), children)| format!("<{name}{}>{}</{name}>", attributes.concat(), children.concat()))
    })
    .prop_map(|xml| format!("<root xmlns:p='u' xmlns:q='w'>{xml}</root>"))
}

/// Whether a document declares a default namespace twice in one tag, which rxml does not notice, or a prefix for
/// nothing, which it lets pass.
fn is_refused_by_us_alone(xml: &str) -> bool {
    xml.split('<').any(|tag| tag.matches(" xmlns=").count() > 1 || tag.contains("xmlns:p=''") || tag.contains("xmlns:q=''"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn names_mean_what_the_reference_resolver_says(xml in document()) {
        let ours = Element::parse(&xml).ok();
        if is_refused_by_us_alone(&xml) {
            prop_assert_eq!(ours, None);
        } else {
            prop_assert_eq!(ours, by_rxml(&xml));
        }
    }
}
