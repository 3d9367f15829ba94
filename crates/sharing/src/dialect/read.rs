//! Reads what a stanza says about files, and what that means.
//!
//! XEP-0447 Stateless file sharing, v0.3.1 <https://xmpp.org/extensions/xep-0447.html>

use balcony_wire::out_of_band::OobQuery;
use balcony_wire::stanza::MessageKind;
use balcony_wire::{BareJid, Element, Jid, Message, Payload as _, ns};

use super::collect::collect;
use super::{Dropped, Reading, Share, bits, fold, gather, initiation, out_of_band, pictures, session, shown_body};
use crate::{Provenance, Received, Via, Way};

/// Reads what a message says about files. Payloads of error messages are echoes and say nothing (decision 50).
#[must_use]
pub fn read(received: &Received<Message>) -> Reading {
    let (message, provenance) = (received.inner(), received.provenance());
    if message.kind == MessageKind::Error {
        let ignored = vec![Dropped::new("message", "an error echoes what was sent")];
        return Reading { ignored, body: message.body(), ..Reading::default() };
    }
    let found = gather::in_message(&message.payloads);
    let mut reading = collect(&found, &message.payloads, provenance.sender());
    if provenance.way() != Way::Session {
        let is_of_session = |share: &&mut Share| matches!(share.via, Via::Jingle | Via::StreamInitiation);
        reading.shares.iter_mut().filter(is_of_session).for_each(|share| share.sources.clear()); // nobody opened it
    }
    reading.body = message.body();
    let id = provenance.name_of(message);
    let mut links = links(&mut reading);
    bits::resolve(links.iter_mut().flat_map(|link| &mut link.sources), &found, provenance.sender());
    fold::fold(&mut reading, links, id.as_deref(), provenance);
    reading.pictures = pictures::in_text(&message.payloads, &reading.offers);
    reading.form_media = pictures::in_forms(&message.payloads);
    reading.shown_body = shown_body::shown(&reading);
    bound_notes(&mut reading.ignored);
    reading
}

/// Reads an element that is no message. An iq that hands something over offers it: shares in forms and pubsub items, files of a
/// new Jingle session, out-of-band URLs. What only asks, confirms or refuses offers nothing, and neither does a bare element.
pub(crate) fn read_element(element: &Element, account: Option<&BareJid>) -> Reading {
    let address = |name| element.attr(name).and_then(|jid| Jid::from_server(jid).ok());
    let (from, to) = (address("from"), address("to"));
    let Some(sender) = from.clone().or_else(nobody) else { return Reading::default() };
    let mut reading = collect(&gather::anywhere(element), std::slice::from_ref(element), &sender);
    reading.form_media = pictures::in_forms_anywhere(element);
    let kind = element.attr("type").unwrap_or_default();
    if !element.is("iq", ns::CLIENT) || !matches!(kind, "set" | "result") {
        bound_notes(&mut reading.ignored);
        return reading;
    }
    let is_handed_over = |child: &Element| match child.ns() {
        ns::JINGLE => session::is_offer(child),
        ns::SI => initiation::is_offer(child),
        _ => true,
    };
    if let Some(account) = account.cloned().or_else(|| to.as_ref().map(|to| to.bare())).or_else(|| nobody().map(|jid| jid.bare()))
        && from.is_some()
        && element.children().all(is_handed_over)
    {
        let links =
            if element.children().any(|child| kind == "set" && OobQuery::matches(child)) { links(&mut reading) } else { Vec::new() };
        fold::fold(&mut reading, links, element.attr("id"), &Provenance::of_stanza(sender, to, account));
    }
    bound_notes(&mut reading.ignored);
    reading
}

/// As many notes as anybody reads, and how many more there were.
fn bound_notes(notes: &mut Vec<Dropped>) {
    let surplus = notes.len().saturating_sub(MAX_NOTES);
    if surplus > 0 {
        notes.truncate(MAX_NOTES);
        notes.push(Dropped::new(format!("{surplus} more"), format!("only the first {MAX_NOTES} notes are kept")));
    }
}

/// More than anybody reads.
const MAX_NOTES: usize = 512;

/// Stands in where nobody is named; no account can have this address (RFC 6761 §6.4).
pub(crate) fn nobody() -> Option<Jid> {
    Jid::parse("nobody.invalid").ok()
}

/// Links that could be files: out-of-band URLs, and a body that is one `aesgcm:` URL. That one first: it says how to decrypt. Where
/// nothing else speaks of files, a body that is nothing but the link of one; it is shown all the same, as nobody said what it is.
fn links(reading: &mut Reading) -> Vec<Share> {
    let body = reading.body.clone();
    let secret = body.as_deref().and_then(out_of_band::aes_gcm_body);
    let elements = reading.shares.len() + reading.oob.len() + reading.url_data.len() + reading.ignored.len();
    let says_nothing = elements == 0 && reading.attach.is_none();
    let bare = body.as_deref().filter(|_| says_nothing && secret.is_none()).and_then(out_of_band::bare_link);
    let mut seen: Vec<&str> = Vec::new();
    for url in secret.iter().map(|(url, _)| *url).chain(bare).chain(reading.oob.iter().map(String::as_str)) {
        if !out_of_band::can_be_a_file(url) {
            reading.ignored.push(Dropped::new(format!("oob {url}"), "such an address is not that of a file"));
        } else if !seen.contains(&url) {
            seen.push(url);
        }
    }
    let describes = seen.len() == 1;
    let metadata = reading.metadata.take_if(|_| describes);
    let mut links: Vec<Share> = seen.into_iter().map(|url| out_of_band::share(url, metadata.clone())).collect();
    if let (Some((_, Some(picture))), Some(link)) = (secret, links.first_mut()) {
        link.file.get_or_insert_default().thumbnails.extend(out_of_band::picture(picture).thumbnails);
    }
    if reading.metadata.is_some() {
        reading.ignored.push(Dropped::new("file", "it stands beside no link, or beside several"));
    }
    links
}
