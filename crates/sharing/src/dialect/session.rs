//! Files in Jingle sessions (XEP-0234) as shares: each content that offers one names the session as its source. The session itself is
//! not ours to judge here. Proposals of sessions (XEP-0353) name no source.
//!
//! XEP-0234 Jingle file transfer, v0.19.1 <https://xmpp.org/extensions/xep-0234.html>
//! XEP-0166 Jingle, v1.1.2 <https://xmpp.org/extensions/xep-0166.html>

use balcony_wire::hashes::{Digest, HashAlgo};
use balcony_wire::jingle_file::JingleFile;
use balcony_wire::jingle_message::Propose;
use balcony_wire::{Element, Jid, Message, Payload as _, ns};

use super::{Dropped, Share};
use crate::provenance::is_usable_id;
use crate::{Hasher, Source, Via};

/// Whether a session, or a part of one, is only now being offered.
pub(crate) fn is_offer(jingle: &Element) -> bool {
    matches!(jingle.attr("action"), Some("session-initiate" | "content-add"))
}

/// The files of a `jingle` element, those of which only a checksum is told too. One that cannot be read costs no other.
pub(super) fn read(jingle: &Element, sender: &Jid, ignored: &mut Vec<Dropped>) -> Vec<Share> {
    let mut files = Vec::new();
    for child in jingle.children() {
        match child.name() {
            "content" if is_request(jingle, child) => ignored.push(Dropped::new("content", "it asks for a file and offers none")),
            "content" => {
                let descriptions = child.children().filter(|child| child.name() == "description" && is_file_transfer(child));
                let source = source(jingle, child, sender);
                files.extend(descriptions.map(|description| (description, source.clone())));
            }
            "checksum" if is_file_transfer(child) => files.push((child, None)),
            _ => {} // transports and reasons say nothing about files
        }
    }
    let files = files.into_iter().flat_map(|(holder, source)| holder.children().map(move |child| (child, source.clone())));
    files.filter(|(child, _)| JingleFile::matches(child)).filter_map(|(file, source)| read_file(file, source, ignored)).collect()
}

/// The files of a proposal (XEP-0353). Nobody opened a session yet, so there is no place to have them from.
pub(super) fn proposed(propose: &Element, ignored: &mut Vec<Dropped>) -> Vec<Share> {
    let files = descriptions(propose).flat_map(Element::children).filter(|child| JingleFile::matches(child));
    let shares: Vec<_> = files.filter_map(|file| read_file(file, None, ignored)).collect();
    shares.into_iter().map(|share| Share { via: Via::Proposal, ..share }).collect()
}

/// What a message that proposes files is known by: who proposes the same again, which nobody answered, says nothing new. None for
/// messages that propose none.
#[must_use]
pub fn proposal_id(message: &Message) -> Option<String> {
    let propose = message.payloads.iter().find(|payload| Propose::matches(payload))?;
    let descriptions: Vec<_> = descriptions(propose).collect();
    (!descriptions.is_empty()).then(|| format!("proposal {}", told_apart_by(descriptions.into_iter())))
}

fn descriptions(holder: &Element) -> impl Iterator<Item = &Element> {
    holder.children().filter(|child| child.name() == "description" && is_file_transfer(child))
}

/// The content as a place of its file, while the session is being offered and both have names to be asked by.
fn source(jingle: &Element, content: &Element, sender: &Jid) -> Option<Source> {
    let name = |element: &Element, attribute| element.attr(attribute).filter(|name| is_usable_id(name)).map(str::to_owned);
    let (sid, content) = (name(jingle, "sid")?, name(content, "name")?);
    is_offer(jingle).then(|| Source::Session { peer: sender.clone(), sid, content })
}

fn read_file(element: &Element, source: Option<Source>, ignored: &mut Vec<Dropped>) -> Option<Share> {
    match JingleFile::read(element) {
        Ok(file) => Some(Share { file: Some(file.metadata), sources: source.into_iter().collect(), ..Share::blank(Via::Jingle) }),
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

/// Tells what one session offers from what another of the same name does. How its contents are called is no part of that: whoever
/// offers the same again after a break may call them otherwise.
pub(crate) fn fingerprint(jingle: &Element) -> String {
    let contents = jingle.children().filter(|child| child.name() == "content");
    told_apart_by(contents.flat_map(|content| content.children().filter(|child| is_file_transfer(child))))
}

fn told_apart_by<'a>(descriptions: impl Iterator<Item = &'a Element>) -> String {
    let mut hasher = Hasher::new([HashAlgo::Sha256]);
    descriptions.for_each(|description| hasher.update(description.to_xml().as_bytes()));
    let digest = hasher.finish().digests().get(HashAlgo::Sha256).map(Digest::to_hex).unwrap_or_default();
    digest.chars().take(16).collect()
}

fn is_file_transfer(element: &Element) -> bool {
    matches!(element.ns(), ns::JINGLE_FILE_TRANSFER_5 | ns::JINGLE_FILE_TRANSFER_4)
}
