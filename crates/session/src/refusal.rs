//! What to answer to stanzas that cannot be read, RFC 6120 §8.3: an error to the sender, and the stream goes on.

use balcony_wire::element::Element;
use balcony_wire::stanza::{DefinedCondition, StanzaReadError};
use balcony_wire::{Payload as _, StanzaError, ns};

/// The answer to a malformed stanza of `sender` (or of whom it says); `None` for what is never answered: errors, results.
pub(crate) fn refuse_malformed(error: &StanzaReadError, sender: Option<&str>) -> Option<Element> {
    let (condition, element) = match error {
        StanzaReadError::NoStanza(_) => return None,
        StanzaReadError::Address { element, .. } => (DefinedCondition::JidMalformed, element),
        StanzaReadError::Malformed { element, .. } => (DefinedCondition::BadRequest, element),
    };
    let kind = element.attr("type");
    if matches!(kind, Some("error")) || (element.name() == "iq" && kind == Some("result")) {
        return None;
    }
    let answer = Element::new(element.name(), ns::CLIENT)
        .with_attr_opt("to", sender.or(element.attr("from")))
        .with_attr_opt("id", element.attr("id"))
        .with_attr("type", "error")
        .with_child(StanzaError::new(condition).with_text(error.to_string()).write());
    Some(answer)
}
