//! Files in Jingle sessions (XEP-0234) as shares. The session itself is not ours to judge here.
//!
//! XEP-0234 Jingle file transfer, v0.19.1 <https://xmpp.org/extensions/xep-0234.html>
//! Status: partial: files of a session are read and explained; none is transferred.
//! XEP-0166 Jingle, v1.1.2 <https://xmpp.org/extensions/xep-0166.html>
//! Status: partial: a session is read and explained; none is started or answered.

use balcony_wire::jingle_file::JingleFile;
use balcony_wire::{Element, Payload as _, ns};

use super::{Dropped, Share};
use crate::Via;

/// Whether a session, or a part of one, is only now being offered.
pub(crate) fn is_offer(jingle: &Element) -> bool {
    matches!(jingle.attr("action"), Some("session-initiate" | "content-add"))
}

/// The files of a `jingle` element, those of which only a checksum is told too. One that cannot be read costs no other.
pub(super) fn read(jingle: &Element, ignored: &mut Vec<Dropped>) -> Vec<Share> {
    let mut files = Vec::new();
    for child in jingle.children() {
        match child.name() {
            "content" if is_request(jingle, child) => ignored.push(Dropped::new("content", "it asks for a file and offers none")),
            "content" => files.extend(child.children().filter(|child| child.name() == "description" && is_file_transfer(child))),
            "checksum" if is_file_transfer(child) => files.push(child),
            _ => {} // transports and reasons say nothing about files
        }
    }
    let files = files.into_iter().flat_map(Element::children).filter(|child| JingleFile::matches(child));
    files.filter_map(|file| read_file(file, ignored)).collect()
}

fn read_file(element: &Element, ignored: &mut Vec<Dropped>) -> Option<Share> {
    match JingleFile::read(element) {
        Ok(file) => Some(Share { file: Some(file.metadata), ..Share::blank(Via::Jingle) }),
        Err(error) => {
            ignored.push(Dropped::new("jingle", error.why()));
            None
        }
    }
}

/// Who begins a session in which only the other side sends wants a file (XEP-0234 §6.4).
fn is_request(jingle: &Element, content: &Element) -> bool {
    is_offer(jingle) && content.attr("senders") == Some("responder")
}

fn is_file_transfer(element: &Element) -> bool {
    matches!(element.ns(), ns::JINGLE_FILE_TRANSFER_5 | ns::JINGLE_FILE_TRANSFER_4)
}
