//! Collects what a message says about files, one pass over its payloads.

use balcony_wire::attaching::AttachTo;
use balcony_wire::fallback::Fallback;
use balcony_wire::file_metadata::FileMetadata;
use balcony_wire::file_sharing::{FileSharing, Sources};
use balcony_wire::hints::Hint;
use balcony_wire::out_of_band::Oob;
use balcony_wire::stanza::MessageKind;
use balcony_wire::stanza_ids::OriginId;
use balcony_wire::url_data::UrlData;
use balcony_wire::{Element, Jid, Message, Payload, ReadError};

use super::{Dropped, Reading, Share, file_sharing, fold, media_sharing, out_of_band, shown_body};
use crate::Received;

/// Reads what a message says about files. Payloads of error messages are echoes and say nothing (decision 50).
#[must_use]
pub fn read(received: &Received<Message>) -> Reading {
    let (message, provenance) = (received.inner(), received.provenance());
    if message.kind == MessageKind::Error {
        return Reading { ignored: vec![Dropped::new("message", "an error echoes what was sent")], ..Reading::default() };
    }
    let mut reading = collect(&message.payloads, provenance.sender());
    reading.body = message.body();
    let id = message.payload::<OriginId>().and_then(Result::ok).map(|origin| origin.id).or_else(|| message.id.clone());
    let links = links(&mut reading);
    fold::fold(&mut reading, links, id.as_deref(), provenance);
    reading.shown_body = shown_body::shown(&reading);
    reading
}

/// Reads elements that stand side by side, without folding.
pub(crate) fn collect<'a>(payloads: impl IntoIterator<Item = &'a Element>, sender: &Jid) -> Reading {
    let mut reading = Reading::default();
    let (mut attach_to, mut attached) = (None, None);
    let mut surplus = 0_usize;
    for element in payloads {
        if FileSharing::matches(element) || media_sharing::is_share(element) {
            if reading.shares.len() == MAX_SHARES {
                surplus += 1;
                continue;
            }
            let share = if FileSharing::matches(element) {
                file_sharing::read(element, sender, &mut reading.ignored)
            } else {
                media_sharing::read(element, &mut reading.ignored)
            };
            reading.shares.extend(share);
        } else if AttachTo::matches(element) {
            first(&mut attach_to, element, &mut reading.ignored);
        } else if Sources::matches(element) {
            first(&mut attached, element, &mut reading.ignored);
        } else {
            collect_plain(element, &mut reading);
        }
    }
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

/// What is no share of its own.
fn collect_plain(element: &Element, reading: &mut Reading) {
    if Oob::matches(element) {
        let url = keep(Oob::read(element), &mut reading.ignored, "oob").map(|oob| oob.url);
        reading.oob.extend(url.filter(|_| reading.oob.len() < MAX_SHARES));
    } else if Fallback::matches(element) {
        reading.fallback.extend(keep(Fallback::read(element), &mut reading.ignored, "fallback"));
    } else if Hint::matches(element) {
        reading.hints.extend(Hint::read(element).map(Hint::name));
    } else if UrlData::matches(element) {
        reading.url_data.extend(keep(UrlData::read(element), &mut reading.ignored, "url-data"));
    } else if FileMetadata::matches(element) && reading.metadata.is_none() {
        reading.metadata = keep(FileMetadata::read(element), &mut reading.ignored, "file");
    }
}

/// Links that could be files: out-of-band URLs, and a body that is one `aesgcm:` URL.
fn links(reading: &mut Reading) -> Vec<Share> {
    let body = reading.body.as_deref().map(str::trim).filter(|body| out_of_band::is_aes_gcm(body));
    let mut urls: Vec<&str> = reading.oob.iter().map(String::as_str).chain(body).collect();
    let mut seen = Vec::new();
    urls.retain(|url| {
        let is_new = !seen.contains(url);
        seen.push(*url);
        is_new
    });
    let describes = urls.len() == 1;
    let links = urls.into_iter().map(|url| out_of_band::share(url, reading.metadata.clone().filter(|_| describes))).collect();
    if reading.metadata.is_some() && !describes {
        reading.ignored.push(Dropped::new("file", "it stands beside no link, or beside several"));
    }
    links
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
