//! Helpers for tests that hold a stanza against what `explain` says of it.

use std::time::SystemTime;

use balcony_sharing::explain::{View, explain};
use balcony_sharing::plan::Policy;
use balcony_wire::{BareJid, Element};
use serde_json::Value;

use super::models::compare;

/// base64 of the SHA-256 digest of nothing.
pub(super) const SHA256: &str = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
/// The same in hex.
pub(super) const SHA256_HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// What is said of a stanza, seen by `account`, with an archive query open.
pub(super) fn seen_by(account: Option<&str>, query: Option<&str>, xml: &str) -> Value {
    let element = Element::parse_listing(xml).unwrap_or_else(|error| panic!("{error}: {xml}"));
    let account: Option<BareJid> = account.map(|account| account.parse().unwrap());
    let view = View { account: account.as_ref(), query };
    serde_json::from_str(&explain(&element, &view, &Policy::default(), SystemTime::UNIX_EPOCH).to_string()).unwrap()
}

/// The same for nobody in particular.
pub(super) fn seen(xml: &str) -> Value {
    seen_by(None, None, xml)
}

/// A chat message of Romeo's with these payloads.
pub(super) fn chat(payloads: &str) -> Value {
    seen(&format!(
        "<message xmlns='jabber:client' from='romeo@montague.lit/orchard' to='juliet@capulet.lit' id='m1' type='chat'>{payloads}</message>"
    ))
}

/// Every value of `expected` is in `found`; absent and null are the same.
pub(super) fn says(found: &Value, expected: &Value) {
    for (key, value) in expected.as_object().unwrap() {
        compare(&found[key], value, key);
    }
}

/// What was ignored.
pub(super) fn ignored(found: &Value) -> Vec<&str> {
    found["ignored"].as_array().unwrap().iter().map(|note| note["what"].as_str().unwrap()).collect()
}
