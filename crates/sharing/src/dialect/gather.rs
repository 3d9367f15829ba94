//! Finds the elements that speak of files, wherever they may stand in a stanza.
//!
//! XEP-0505 Data forms file input element, v0.1.1 <https://xmpp.org/extensions/xep-0505.html>
//! Status: partial: files in forms that come are read as offers; forms are not filled in.

use balcony_wire::bits_of_binary::BitsOfBinary;
use balcony_wire::file_input::FileInput;
use balcony_wire::file_metadata::FileMetadata;
use balcony_wire::file_sharing::FileSharing;
use balcony_wire::jingle::Jingle;
use balcony_wire::out_of_band::{Oob, OobQuery};
use balcony_wire::stream_initiation::Si;
use balcony_wire::url_data::UrlData;
use balcony_wire::{Element, Payload, ns};

use super::media_sharing;

/// An element, and whether it stands in a form.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found<'a> {
    pub(crate) element: &'a Element,
    pub(crate) in_form: bool,
}

/// What a message holds: its payloads as they are, and what stands in forms and in the news of pubsub nodes. Nothing in messages
/// inside the message: those are somebody else's words.
pub(crate) fn in_message(payloads: &[Element]) -> Vec<Found<'_>> {
    let mut found = Vec::new();
    for element in payloads {
        if is_container(element) { gather(element, &mut found) } else { found.push(Found { element, in_form: false }) }
    }
    found
}

/// Everything in an element that is no message, wherever it stands.
pub(crate) fn anywhere(element: &Element) -> Vec<Found<'_>> {
    let mut found = Vec::new();
    gather(element, &mut found);
    found
}

fn gather<'a>(element: &'a Element, found: &mut Vec<Found<'a>>) {
    if FileInput::matches(element) {
        let files = element.children().filter(|child| FileSharing::matches(child) || FileMetadata::matches(child));
        found.extend(files.map(|element| Found { element, in_form: true }));
    } else if is_ours(element) {
        found.push(Found { element, in_form: false });
    } else if !matches!(element.ns(), ns::FORWARD | ns::CARBONS | ns::MAM) {
        element.children().for_each(|child| gather(child, found));
    }
}

fn is_container(element: &Element) -> bool {
    FileInput::matches(element) || matches!(element.ns(), ns::DATA_FORM | PUBSUB | PUBSUB_EVENT)
}

fn is_ours(element: &Element) -> bool {
    FileSharing::matches(element)
        || FileMetadata::matches(element)
        || media_sharing::is_share(element)
        || UrlData::matches(element)
        || Oob::matches(element)
        || OobQuery::matches(element)
        || Jingle::matches(element)
        || Si::matches(element)
        || BitsOfBinary::matches(element)
}

/// XEP-0060
const PUBSUB: &str = "http://jabber.org/protocol/pubsub";
/// XEP-0060, what services send to subscribers
const PUBSUB_EVENT: &str = "http://jabber.org/protocol/pubsub#event";
