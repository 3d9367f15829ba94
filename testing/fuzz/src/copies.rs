//! Carbons and results of archives: nobody but the own account, or the archive that was asked, may put words into a mouth.

use balcony_sharing::{Received, Way};
use balcony_wire::{Element, Jid, Message, Stanza};

use crate::choices::Choices;
use crate::offered::{holds, is_explained, juliet};

/// Who says the outer message, then the message as XML.
pub(crate) fn run(data: &[u8]) {
    let mut choices = Choices::new(data);
    let outer =
        choices.one_of(&["", "juliet@capulet.lit", "juliet@capulet.lit/phone", "mallory@evil.lit", "room@chat.lit", "capulet.lit", "?"]);
    let query = choices.one_of(&[None, Some("f27"), Some("q")]);
    let Ok(text) = std::str::from_utf8(choices.rest()) else { return };
    let Ok(element) = Element::parse_listing(text) else { return };
    is_explained(&element, Some(&juliet()));
    let Ok(Stanza::Message(mut message)) = Stanza::read(element) else { return };
    match outer {
        "?" => {}
        "" => message.from = None,
        from => message.from = Some(Jid::parse(from).unwrap()),
    }
    if let Ok(copy) = Received::carbon(&message, &juliet()) {
        assert!(is_ours(&message), "a carbon from {:?}", message.from);
        assert!(matches!(copy.provenance().way(), Way::CarbonReceived | Way::CarbonSent));
        holds(&copy);
    }
    if let Ok(result) = Received::archive(&message, &juliet(), query) {
        let room = result.provenance().sender().bare();
        let of_the_room = result.provenance().way() == Way::RoomArchive && message.from.as_ref().map(Jid::as_str) == Some(room.as_str());
        assert!(is_ours(&message) || of_the_room, "an archive of {:?}", message.from);
        holds(&result);
    }
}

/// Said by the own account itself, or by the own server in its place.
fn is_ours(message: &Message) -> bool {
    message.from.as_ref().is_none_or(|from| from.as_str() == juliet().as_str())
}
