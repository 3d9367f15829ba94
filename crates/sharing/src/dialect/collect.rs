//! Collects what elements say about files, in one pass, each for itself.
//!
//! XEP-0103 URL address information, v0.4.1 <https://xmpp.org/extensions/xep-0103.html>

use balcony_wire::attaching::AttachTo;
use balcony_wire::bits_of_binary::BitsOfBinary;
use balcony_wire::fallback::Fallback;
use balcony_wire::file_metadata::FileMetadata;
use balcony_wire::file_sharing::{FileSharing, Sources};
use balcony_wire::hints::Hint;
use balcony_wire::jingle::Jingle;
use balcony_wire::jingle_message::Propose;
use balcony_wire::out_of_band::{Oob, OobQuery};
use balcony_wire::stream_initiation::Si;
use balcony_wire::url_data::UrlData;
use balcony_wire::{Element, Jid, Payload, ReadError, ns};

use super::gather::Found;
use super::{Dropped, Reading, Share, bits, file_sharing, initiation, media_sharing, session};
use crate::Via;

/// Reads elements that stand side by side, without folding. `roots` are the elements they were found in.
pub(super) fn collect(found: &[Found<'_>], roots: &[Element], sender: &Jid) -> Reading {
    let mut collector = Collector::default();
    for found in found {
        collector.take(*found, sender);
    }
    let mut reading = collector.finish(roots, sender);
    let shared = reading.shares.iter_mut().flat_map(|share| &mut share.sources);
    let attached = reading.attach.iter_mut().flat_map(|attach| &mut attach.sources);
    bits::resolve(shared.chain(attached), found, sender);
    reading
}

#[derive(Default)]
struct Collector<'a> {
    reading: Reading,
    attach_to: Option<&'a Element>,
    attached: Option<&'a Element>,
    bits: Vec<&'a Element>,
    surplus: usize,
}

impl<'a> Collector<'a> {
    fn take(&mut self, found: Found<'a>, sender: &Jid) {
        let element = found.element;
        let is_session = Jingle::matches(element) || Si::matches(element) || Propose::matches(element);
        if found.in_form || FileSharing::matches(element) || media_sharing::is_share(element) || is_session {
            if self.reading.shares.len() >= MAX_SHARES {
                self.surplus += 1;
            } else {
                let shares = shares(found, sender, &mut self.reading.ignored);
                self.push(shares);
            }
        } else if AttachTo::matches(element) {
            first(&mut self.attach_to, element, &mut self.reading.ignored);
        } else if Sources::matches(element) {
            first(&mut self.attached, element, &mut self.reading.ignored);
        } else if BitsOfBinary::matches(element) {
            self.bits.push(element);
        } else {
            take_plain(element, &mut self.reading);
        }
    }

    fn push(&mut self, shares: Vec<Share>) {
        let room = MAX_SHARES - self.reading.shares.len();
        self.surplus += shares.len().saturating_sub(room);
        self.reading.shares.extend(shares.into_iter().take(room));
    }

    fn finish(mut self, roots: &[Element], sender: &Jid) -> Reading {
        // beside a share bits are a part of it, whether or not it says so
        if self.reading.shares.is_empty() && self.reading.oob.is_empty() {
            let bits = self.bits.iter().take(MAX_SHARES);
            let shares = bits.filter_map(|element| bits::read(element, roots, &mut self.reading.ignored)).collect();
            self.push(shares);
        }
        let Self { mut reading, attach_to, attached, surplus, .. } = self;
        if surplus > 0 {
            reading.ignored.push(Dropped::new(format!("{surplus} shares"), format!("only the first {MAX_SHARES} of a message are read")));
        }
        match (attach_to, attached) {
            (Some(attach_to), list) => reading.attach = file_sharing::read_attach(attach_to, list, sender, &mut reading.ignored),
            (None, Some(_)) => reading.ignored.push(Dropped::new("sources", "nothing says which message they belong to")),
            (None, None) => {}
        }
        note_what_files_drop(&mut reading);
        reading
    }
}

/// The shares that one element makes.
fn shares(found: Found<'_>, sender: &Jid, ignored: &mut Vec<Dropped>) -> Vec<Share> {
    let element = found.element;
    if Jingle::matches(element) {
        return session::read(element, sender, ignored);
    }
    if Si::matches(element) {
        return initiation::read(element, sender, ignored).into_iter().collect();
    }
    if Propose::matches(element) {
        return session::proposed(element, ignored);
    }
    let share = if FileMetadata::matches(element) {
        let file = keep(FileMetadata::read(element), ignored, "file");
        file.map(|file| Share { file: Some(file), ..Share::blank(Via::BareFileInput) })
    } else if FileSharing::matches(element) {
        file_sharing::read(element, if found.in_form { Via::FileInput } else { Via::FileSharing }, sender, ignored)
    } else {
        media_sharing::read(element, ignored)
    };
    share.into_iter().collect()
}

/// What is no share of its own.
fn take_plain(element: &Element, reading: &mut Reading) {
    if Oob::matches(element) || OobQuery::matches(element) {
        let url = match Oob::matches(element) {
            true => Oob::read(element).map(|oob| oob.url),
            false => OobQuery::read(element).map(|oob| oob.url),
        };
        let url = keep(url, &mut reading.ignored, "oob");
        push(&mut reading.oob, url, "link", &mut reading.ignored);
    } else if Fallback::matches(element) {
        let fallback = keep(Fallback::read(element), &mut reading.ignored, "fallback");
        reading.ignored.extend(fallback.iter().flat_map(|fallback| fallback.dropped.iter().cloned()));
        push(&mut reading.fallback, fallback, "fallback", &mut reading.ignored);
    } else if Hint::matches(element) {
        push(&mut reading.hints, Hint::read(element).ok().map(Hint::name), "hint", &mut reading.ignored);
    } else if UrlData::matches(element) {
        let data = keep(UrlData::read(element), &mut reading.ignored, "url-data");
        reading.ignored.extend(data.iter().flat_map(|data| data.dropped.iter().cloned()));
        push(&mut reading.url_data, data, "url-data", &mut reading.ignored);
    } else if FileMetadata::matches(element) {
        match reading.metadata {
            Some(_) => reading.ignored.push(Dropped::new("file", "given twice")),
            None => reading.metadata = keep(FileMetadata::read(element), &mut reading.ignored, "file"),
        }
    } else if element.ns() == ns::FORWARD {
        reading.ignored.push(Dropped::new("forwarded", "what somebody passes on is not an offer of theirs"));
    }
}

/// Adds what is there while there is room.
fn push<T>(list: &mut Vec<T>, new: Option<T>, what: &str, ignored: &mut Vec<Dropped>) {
    match new {
        Some(_) if list.len() >= MAX_SHARES => ignored.push(Dropped::new(what, format!("only the first {MAX_SHARES} are read"))),
        new => list.extend(new),
    }
}

fn first<'a>(slot: &mut Option<&'a Element>, element: &'a Element, ignored: &mut Vec<Dropped>) {
    match slot {
        Some(_) => ignored.push(Dropped::new(element.name(), "given twice")),
        None => *slot = Some(element),
    }
}

fn keep<T>(read: Result<T, ReadError>, ignored: &mut Vec<Dropped>, what: &str) -> Option<T> {
    read.map_err(|error| ignored.push(Dropped::new(what, error.why()))).ok()
}

/// Fields that were dropped inside `file`, and hashes that count as not given (decision 3).
fn note_what_files_drop(reading: &mut Reading) {
    let files = reading.shares.iter().filter_map(|share| share.file.as_ref()).chain(&reading.metadata);
    let mut notes = Vec::new();
    for file in files {
        notes.extend(file.dropped.iter().cloned());
        let unusable = file.hashes.iter().filter(|hash| !hash.is_announcement());
        notes.extend(
            unusable.filter_map(|hash| Some(Dropped::new(format!("hash {}", hash.algo().unwrap_or_default()), hash.why()?.to_string()))),
        );
    }
    reading.ignored.extend(notes);
}

/// More files than anybody sends in one message.
pub(crate) const MAX_SHARES: usize = 64;
