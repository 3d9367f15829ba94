//! Files of stream initiation as shares: the stream that the sender wants to open is the source. Its MD5 is kept with the reason why it
//! counts as not given: it might show damage, it proves nothing.
//!
//! XEP-0096 SI file transfer, v1.3.1 <https://xmpp.org/extensions/xep-0096.html>
//! XEP-0095 Stream initiation, v1.2 <https://xmpp.org/extensions/xep-0095.html>

use balcony_wire::file_metadata::FileMetadata;
use balcony_wire::hashes::{Hash, HashAlgo};
use balcony_wire::reading::LangText;
use balcony_wire::stream_initiation::{Si, SiFile};
use balcony_wire::{Element, Jid, Payload as _, ns};

use super::{Dropped, Share};
use crate::provenance::is_usable_id;
use crate::{Source, Via};

/// Whether a file is offered, and not only a range of one asked for in an answer.
pub(crate) fn is_offer(si: &Element) -> bool {
    si.attr("profile") == Some(ns::SI_FILE_TRANSFER) && si.attr("id").is_some_and(is_usable_id)
}

/// The file that is offered, if one is.
pub(super) fn read(element: &Element, sender: &Jid, ignored: &mut Vec<Dropped>) -> Option<Share> {
    let si = Si::read(element).map_err(|error| ignored.push(Dropped::new("si", error.why()))).ok()?;
    if !is_offer(element) {
        ignored.push(Dropped::new("si", "it offers no file"));
        return None;
    }
    let source = Source::Stream { peer: sender.clone(), sid: si.id.unwrap_or_default() };
    let file = metadata(si.file?, si.mime_type);
    Some(Share { file: Some(file), sources: vec![source], ..Share::blank(Via::StreamInitiation) })
}

fn metadata(file: SiFile, mime_type: Option<String>) -> FileMetadata {
    FileMetadata {
        name: file.name,
        media_type: mime_type,
        size: file.size,
        date: file.date,
        descs: file.desc.map(LangText::plain).into_iter().collect(),
        hashes: file.md5.and_then(|md5| no_proof(&md5)).into_iter().collect(),
        ..FileMetadata::default()
    }
}

/// An MD5 as a hash that must not be used.
fn no_proof(md5: &str) -> Option<Hash> {
    let element = Element::new(Hash::NAME, Hash::NS).with_attr("algo", HashAlgo::Md5.name()).with_text(md5);
    Hash::read(&element).ok()
}
