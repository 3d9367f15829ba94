//! Messages as text, in every dialect.

use balcony_sharing::Received;
use balcony_wire::{Element, Stanza};

use crate::offered::{holds, is_explained, juliet};

/// XML as a listing.
pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(element) = Element::parse_listing(text) else { return };
    is_explained(&element, None);
    is_explained(&element, Some(&juliet()));
    let Ok(Stanza::Message(message)) = Stanza::read(element) else { return };
    holds(&Received::own(message.clone(), &juliet()));
    if let Ok(received) = Received::direct(message, &juliet()) {
        holds(&received);
    }
}
