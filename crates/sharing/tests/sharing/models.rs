//! The readings that other programs' authors and the XEPs expect, value by value.

use std::time::SystemTime;

use balcony_sharing::explain::{View, explain};
use balcony_sharing::plan::Policy;
use balcony_wire::Element;
use serde_json::Value;

/// Every value of `expected` must be in `found`: absent and null are the same, lists have the same length.
pub(super) fn compare(found: &Value, expected: &Value, at: &str) {
    match expected {
        Value::Object(fields) => fields.iter().for_each(|(key, value)| compare(&found[key], value, &format!("{at}.{key}"))),
        Value::Array(values) => {
            let list = found.as_array().map(Vec::as_slice).unwrap_or_default();
            assert_eq!(list.len(), values.len(), "{at}: {found}");
            values.iter().enumerate().for_each(|(index, value)| compare(&list[index], value, &format!("{at}[{index}]")));
        }
        other => assert_eq!(found, other, "{at}"),
    }
}

pub(super) fn explained(xml: &str) -> Value {
    let element = Element::parse(xml).unwrap_or_else(|error| panic!("{error}: {xml}"));
    serde_json::from_str(&explain(&element, &View::default(), &Policy::default(), SystemTime::UNIX_EPOCH).to_string()).unwrap()
}

/// Proves: SIMS-D-1, SIMS-D-4, FMD-D-1.
#[test]
fn every_model_is_read_as_it_says() {
    let models = testing_corpus::models();
    assert!(models.len() > 25, "{}", models.len());
    for (file, expected) in models {
        let example = testing_corpus::example(file.strip_prefix("examples/").unwrap());
        let found = explained(&example.in_stream_without_comments());
        for (key, value) in expected.as_object().unwrap().iter().filter(|(key, _)| *key != "file") {
            compare(&found[key], value, &format!("{file}: {key}"));
        }
    }
}

#[test]
fn what_is_explained_is_json_whatever_the_text_holds() {
    let xml = "<message xmlns='jabber:client'><body>\"\\ \u{202e}\u{2028}\u{7f}\u{1f600}&#x9;</body></message>";
    assert_eq!(explained(xml)["body"], "\"\\ \u{202e}\u{2028}\u{7f}\u{1f600}\t");
}

#[test]
fn every_example_of_every_document_can_be_explained() {
    let mut explained_examples = 0;
    for example in testing_corpus::examples() {
        let Ok(element) = Element::parse(&example.in_stream_without_comments()) else { continue };
        let found = explain(&element, &View::default(), &Policy::default(), SystemTime::UNIX_EPOCH).to_string();
        serde_json::from_str::<Value>(&found).unwrap_or_else(|error| panic!("{}: {error}: {found}", example.file));
        explained_examples += 1;
    }
    assert!(explained_examples > 1400, "{explained_examples}");
}
