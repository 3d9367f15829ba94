//! Bits of binary (XEP-0231) as shares: small pictures that stand in the stanza itself.
//!
//! XEP-0231 Bits of binary, v1.1 <https://xmpp.org/extensions/xep-0231.html>
//! Status: partial: bits that stand in a message are read and explained; none is asked for, kept or saved.

use balcony_wire::bits_of_binary::{BitsOfBinary, ContentId};
use balcony_wire::file_metadata::FileMetadata;
use balcony_wire::hashes::Hash;
use balcony_wire::{Element, Payload as _, ns};

use super::{Dropped, Share};
use crate::{Source, UnknownSource, Via};

/// Reads `data` that has bytes. Without bytes it is a request; bytes that something else in the stanza shows, such as the
/// thumbnail of a share, are a part of that and no file of their own.
pub(super) fn read(element: &Element, roots: &[Element], ignored: &mut Vec<Dropped>) -> Option<Share> {
    let bits = match BitsOfBinary::read(element) {
        Ok(bits) => bits,
        Err(error) => {
            ignored.push(Dropped::new("data", error.why()));
            return None;
        }
    };
    let data = bits.data?;
    if roots.iter().any(|root| shows(root, &bits.cid)) {
        return None;
    }
    let file = FileMetadata {
        media_type: bits.media_type,
        size: u64::try_from(data.len()).ok(),
        hashes: bits.cid.digest().map(Hash::from).into_iter().collect(),
        ..FileMetadata::default()
    };
    let source = Source::Unknown(UnknownSource::Uri(bits.cid.to_uri()));
    Some(Share { file: Some(file), sources: vec![source], ..Share::blank(Via::Bits) })
}

/// Whether a thumbnail or a medium of a form anywhere below is these bits.
fn shows(element: &Element, cid: &ContentId) -> bool {
    let is_it = |uri: &str| ContentId::from_uri(uri.trim()).as_ref() == Some(cid);
    let here = match element.ns() {
        ns::THUMBS_1 | ns::THUMBS_0 => element.attr("uri").is_some_and(is_it) || element.attr("cid") == Some(cid.as_str()),
        ns::MEDIA_ELEMENT => is_it(&element.text()),
        _ => false,
    };
    here || element.children().any(|child| shows(child, cid))
}
