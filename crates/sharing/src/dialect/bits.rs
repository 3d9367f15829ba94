//! Bits of binary (XEP-0231) as shares: small pictures that stand in the stanza itself, and places of the form `cid:` that name
//! them.
//!
//! XEP-0231 Bits of binary, v1.1 <https://xmpp.org/extensions/xep-0231.html>

use std::collections::BTreeSet;

use balcony_wire::bits_of_binary::{BitsOfBinary, ContentId};
use balcony_wire::file_metadata::FileMetadata;
use balcony_wire::hashes::Hash;
use balcony_wire::{Element, Jid, Payload as _, ns};

use super::gather::{Found, in_message};
use super::{Dropped, Share};
use crate::transfer::bits::{Bits, BitsError};
use crate::{Source, UnknownSource, Via};

/// The data of that name that came in the same message: the first that has bytes, whatever they are.
#[must_use]
pub fn carried(payloads: &[Element], cid: &ContentId) -> Option<BitsOfBinary> {
    let found = in_message(payloads);
    let data = found.iter().filter(|found| BitsOfBinary::matches(found.element)).filter_map(|found| BitsOfBinary::read(found.element).ok());
    data.into_iter().find(|bits| bits.cid == *cid && bits.data.is_some())
}

/// Reads `data` that has bytes. Without bytes it is a request; bytes that something else in the stanza shows, such as the
/// thumbnail of a share, are a part of that and no file of their own; bytes that do not fit their name are nothing.
pub(super) fn read(element: &Element, roots: &[Element], ignored: &mut Vec<Dropped>) -> Option<Share> {
    let came = BitsOfBinary::read(element).map_err(|error| ignored.push(Dropped::new("data", error.why()))).ok()?;
    if came.data.is_none() {
        if !element.text().trim().is_empty() {
            ignored.push(Dropped::new("data", "not base64"));
        }
        return None;
    }
    if roots.iter().any(|root| shows(root, &came.cid)) {
        return None;
    }
    let (cid, media_type) = (came.cid.clone(), came.media_type.clone());
    let bits = match Bits::judge(&cid, came) {
        Ok(bits) => bits,
        Err(error) => {
            ignored.push(Dropped::new("data", why(&error)));
            return None;
        }
    };
    let file = FileMetadata {
        media_type,
        size: u64::try_from(bits.bytes().len()).ok(),
        hashes: cid.digest().map(Hash::from).into_iter().collect(),
        ..FileMetadata::default()
    };
    Some(Share { file: Some(file), sources: vec![Source::Carried { cid }], ..Share::blank(Via::Bits) })
}

fn why(error: &BitsError) -> String {
    match error {
        BitsError::WrongBytes => "its bytes do not have the hash that its cid says".to_owned(),
        other => other.to_string(),
    }
}

/// Says what a place of the form `cid:` is: bytes that came along, else something to ask the sender for.
pub(super) fn resolve<'a>(sources: impl Iterator<Item = &'a mut Source>, found: &[Found<'_>], sender: &Jid) {
    let mut came: Option<BTreeSet<ContentId>> = None; // looked for once, and only if somebody names such a place
    for source in sources {
        let Source::Unknown(UnknownSource::Uri(uri)) = &*source else { continue };
        if let Some(cid) = ContentId::from_uri(uri) {
            let has_come = came.get_or_insert_with(|| with_bytes(found)).contains(&cid);
            *source = if has_come { Source::Carried { cid } } else { Source::Bits { cid, from: sender.clone() } };
        }
    }
}

/// The names of data that has bytes.
fn with_bytes(found: &[Found<'_>]) -> BTreeSet<ContentId> {
    let data = found.iter().filter(|found| BitsOfBinary::matches(found.element));
    data.filter_map(|found| BitsOfBinary::read(found.element).ok()).filter(|bits| bits.data.is_some()).map(|bits| bits.cid).collect()
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
