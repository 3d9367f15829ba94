//! XEP-0447 elements as shares and attached sources.
//!
//! XEP-0447 Stateless file sharing, v0.3.1 <https://xmpp.org/extensions/xep-0447.html>
//! Status: partial: published Jingle sessions are named and not used.
//! XEP-0367 Message attaching, v0.3 <https://xmpp.org/extensions/xep-0367.html>
//! Status: partial: what else belongs to an earlier message is shown by itself; rooms are not joined yet.
//! XEP-0358 Publishing available Jingle sessions, v0.4 <https://xmpp.org/extensions/xep-0358.html>
//! Status: partial: the announcement is read and named in plans; no session is started.

use balcony_wire::attaching::AttachTo;
use balcony_wire::file_sharing::{FileSharing, SourceElement, Sources};
use balcony_wire::{Element, Jid, Payload as _};

use super::{Attach, Dropped, Share};
use crate::{Source, Via};

/// Reads a `file-sharing` element; one that cannot be read, or that says nothing, is noted (decision 60).
pub(super) fn read(element: &Element, via: Via, sender: &Jid, ignored: &mut Vec<Dropped>) -> Option<Share> {
    let sharing = match FileSharing::read(element) {
        Ok(sharing) => sharing,
        Err(error) => {
            ignored.push(Dropped::new("file-sharing", error.why()));
            return None;
        }
    };
    ignored.extend(sharing.dropped);
    let sources = sources(sharing.sources.as_deref().unwrap_or_default(), sender, ignored);
    Some(Share { via, id: sharing.id, disposition: sharing.disposition, begin: None, end: None, file: sharing.file, sources })
}

/// Reads `attach-to` and `sources`, which belong together.
pub(super) fn read_attach(attach_to: &Element, list: Option<&Element>, sender: &Jid, ignored: &mut Vec<Dropped>) -> Option<Attach> {
    let to = match AttachTo::read(attach_to) {
        Ok(attach_to) => attach_to.id,
        Err(error) => {
            ignored.push(Dropped::new("attach-to", error.why()));
            return None;
        }
    };
    let mut attach = Attach { to, share_id: None, sources: Vec::new() };
    match list.map(Sources::read) {
        Some(Ok(list)) => {
            if list.sources.is_empty() {
                ignored.push(Dropped::new("sources", "none in it: nothing is attached"));
            }
            ignored.extend(list.dropped);
            attach.share_id = list.id;
            attach.sources = sources(&list.sources, sender, ignored);
        }
        Some(Err(error)) => ignored.push(Dropped::new("sources", error.why())),
        None => ignored.push(Dropped::new("attach-to", "no sources: nothing is attached")),
    }
    Some(attach)
}

fn sources(elements: &[SourceElement], sender: &Jid, ignored: &mut Vec<Dropped>) -> Vec<Source> {
    for element in elements {
        match element {
            SourceElement::Url(data) => ignored.extend(data.dropped.iter().cloned()),
            SourceElement::Encrypted(encrypted) => ignored.extend(encrypted.dropped.iter().cloned()),
            SourceElement::JinglePub(published) => ignored.extend(published.dropped.iter().cloned()),
            SourceElement::Unknown(unknown) => ignored.push(Dropped::new(unknown.qualified_name(), "unknown kind")),
        }
    }
    elements.iter().map(|element| Source::from_element(element, sender)).collect()
}
