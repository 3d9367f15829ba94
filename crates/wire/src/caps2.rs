//! XEP-0390 Entity capabilities 2.0, v0.3.2 <https://xmpp.org/extensions/xep-0390.html>
//!
//! This crate has no digests: [`hash_input`] is what whoever calls must hash.

use crate::data_form::{DataForm, FORM_TYPE};
use crate::disco::DiscoInfo;
use crate::element::Element;
use crate::hashes::Hash;
use crate::ns;
use crate::payload::{Payload, ReadError};

/// What stands before algorithm and hash in a node.
const NODE_PREFIX: &str = "urn:xmpp:caps#";

/// A set of hashes over the answer to disco#info, as announced in presence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caps2 {
    /// The hashes, usable or not.
    pub hashes: Vec<Hash>,
}

impl Payload for Caps2 {
    const NAME: &'static str = "c";
    const NS: &'static str = ns::CAPS2;

    fn read(element: &Element) -> Result<Self, ReadError> {
        Self::expect(element)?;
        let hashes = element.children().filter(|child| Hash::matches(child)).map(Hash::read);
        Ok(Self { hashes: hashes.collect::<Result<_, _>>()? })
    }

    fn write(&self) -> Element {
        Self::element().with_children(self.hashes.iter().map(Payload::write))
    }
}

/// The node to ask disco#info for.
#[must_use]
pub fn node(algorithm: &str, base64: &str) -> String {
    format!("{NODE_PREFIX}{algorithm}.{base64}")
}

/// Algorithm and base64 of a node; split at the last full stop.
#[must_use]
pub fn parse_node(node: &str) -> Option<(&str, &str)> {
    node.strip_prefix(NODE_PREFIX)?.rsplit_once('.')
}

/// Why an answer has no hash by §4.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoHash {
    /// An element that is neither identity, feature nor form.
    #[error("the answer has an element that cannot be hashed")]
    UnknownElement,
    /// A form without FORM_TYPE.
    #[error("the answer has a form without type")]
    Untyped,
    /// A form with `<reported/>` or `<item/>`.
    #[error("the answer has a form with a table")]
    Table,
    /// A field without name, or something else in it than values.
    #[error("the answer has a form that cannot be hashed")]
    Field,
}

/// What is hashed, by §4.1.
///
/// # Errors
/// When the answer has something the algorithm does not know.
pub fn hash_input(info: &DiscoInfo) -> Result<Vec<u8>, NoHash> {
    if !info.others.is_empty() {
        return Err(NoHash::UnknownElement);
    }
    let features = info.features.iter().map(|feature| ended(&[feature], &[], 0x1f));
    let identities = info.identities.iter().map(|identity| {
        let text = |part: &Option<String>| part.clone().unwrap_or_default();
        let parts = [&identity.category, &identity.kind, &text(&identity.lang), &text(&identity.name)];
        ended(&parts.map(String::as_str), &[0x1e], 0x1f)
    });
    let forms = info.forms.iter().map(form_input).collect::<Result<Vec<_>, _>>()?;
    Ok([sorted(features, 0x1c), sorted(identities, 0x1c), sorted(forms.into_iter(), 0x1c)].concat())
}

fn form_input(form: &DataForm) -> Result<Vec<u8>, NoHash> {
    if form.reported.is_some() || !form.items.is_empty() {
        return Err(NoHash::Table);
    }
    if form.field(FORM_TYPE).is_none() {
        return Err(NoHash::Untyped);
    }
    let field = |field: &crate::data_form::Field| {
        let var = field.var.as_deref().ok_or(NoHash::Field)?;
        let values = sorted(field.values.iter().map(|value| ended(&[value], &[], 0x1f)), 0x1e);
        Ok([ended(&[var], &[], 0x1f), values].concat())
    };
    Ok(sorted(form.fields.iter().map(field).collect::<Result<Vec<_>, _>>()?.into_iter(), 0x1d))
}

/// Each part with `end` behind it, then `tail`.
fn ended(parts: &[&str], tail: &[u8], end: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in parts {
        bytes.extend_from_slice(part.as_bytes());
        bytes.push(end);
    }
    bytes.extend_from_slice(tail);
    bytes
}

/// The parts sorted by bytes, then `end`.
fn sorted(parts: impl Iterator<Item = Vec<u8>>, end: u8) -> Vec<u8> {
    let mut parts: Vec<_> = parts.collect();
    parts.sort_unstable();
    let mut bytes = parts.concat();
    bytes.push(end);
    bytes
}
