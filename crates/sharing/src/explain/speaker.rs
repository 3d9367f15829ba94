//! Which message speaks: the one that came, or the one inside a carbon or the result of an archive.

use balcony_wire::reading::Dropped;
use balcony_wire::stanza::MessageKind;
use balcony_wire::{BareJid, Element, Jid, Message, ns};

use super::View;
use crate::dialect::read::nobody;
use crate::provenance::copies::{inside_archive, inside_carbon};
use crate::{ProvenanceError, Received, RoomFacts, Way};

/// The message that speaks.
pub(super) struct Speaker {
    pub(super) received: Received<Message>,
    /// What it was wrapped in.
    pub(super) wrapper: Option<&'static str>,
    /// Whether the wrapper was looked at with the eyes of an account.
    pub(super) judged: bool,
}

/// What a message inside a message turned out to be: the one that speaks, or made up, or not asked for.
type Inside = Result<Speaker, Dropped>;

impl Speaker {
    /// Unwraps a message. A wrapper that is not believed leaves the outer message, which says nothing, and a note.
    pub(super) fn of(message: Message, view: &View<'_>, notes: &mut Vec<Dropped>) -> Option<Self> {
        let addressee = message.to.as_ref().map(|to| to.bare());
        let account = view.account.cloned().or(addressee).or_else(|| nobody().map(|jid| jid.bare()))?;
        match in_carbon(&message, view, &account).or_else(|| in_archive(&message, view, &account)) {
            Some(Ok(speaker)) => {
                let copies = speaker.received.inner().payloads.iter().filter(|payload| matches!(payload.ns(), ns::CARBONS | ns::MAM));
                let copies = copies.filter(|copy| copy.children().next().is_some());
                notes.extend(copies.map(|copy| Dropped::new(copy.name(), "a copy inside a copy is nobody's word")));
                return Some(speaker);
            }
            Some(Err(note)) => notes.push(note),
            None => {}
        }
        Some(Self { received: straight(message, &account), wrapper: None, judged: true })
    }
}

fn in_carbon(message: &Message, view: &View<'_>, account: &BareJid) -> Option<Inside> {
    let (way, inner) = inside_carbon(message)?;
    if view.account.is_some() {
        return Some(judge(Received::carbon(message, account), way.as_str(), "carbon"));
    }
    Some(unjudged(inner, account, way.as_str(), "carbon"))
}

fn in_archive(message: &Message, view: &View<'_>, account: &BareJid) -> Option<Inside> {
    let result = inside_archive(message)?;
    let archive = Way::Archive.as_str();
    let query = view.query.or(result.query_id.as_deref());
    if view.account.is_some() {
        return Some(judge(Received::archive(message, account, query), archive, archive));
    }
    if result.query_id.as_deref() != query {
        return Some(Err(Dropped::new(archive, ProvenanceError::NotAsked.to_string())));
    }
    Some(unjudged(result.forwarded.message(), account, archive, archive))
}

fn judge(read: Result<Received<Message>, ProvenanceError>, wrapper: &'static str, what: &str) -> Inside {
    match read {
        Ok(received) => Ok(Speaker { received, wrapper: Some(wrapper), judged: true }),
        Err(error) => Err(Dropped::new(what, error.to_string())),
    }
}

fn unjudged(inner: Option<Message>, account: &BareJid, wrapper: &'static str, what: &str) -> Inside {
    match inner {
        Some(inner) => Ok(Speaker { received: straight(inner, account), wrapper: Some(wrapper), judged: false }),
        None => Err(Dropped::new(what, ProvenanceError::NoCopy.to_string())),
    }
}

/// The message as it says itself who sent it. One to a room that names no sender is about to be sent by us.
fn straight(message: Message, account: &BareJid) -> Received<Message> {
    let read = match (message.kind, &message.from) {
        (MessageKind::Groupchat, Some(from)) => Received::room(message.clone(), account, &RoomFacts::unknown(from.bare())),
        _ => Received::direct(message.clone(), account),
    };
    read.unwrap_or_else(|_| Received::own(message, account))
}

/// A stanza with a malformed address is bounced on a stream; here the rest of it is still of interest. Its sender becomes nobody (RFC 6761 §6.4):
/// one without any would be our own account.
pub(super) fn without_bad_addresses(mut element: Element, notes: &mut Vec<Dropped>) -> Element {
    for name in ["from", "to"] {
        let error = element.attr(name).and_then(|jid| Jid::from_server(jid).err()).filter(|_| element.ns() == ns::CLIENT);
        if let Some(error) = error {
            element.remove_attr(name);
            notes.push(Dropped::new(name, error.to_string()));
            if name == "from" {
                element.set_attr(name, "malformed.invalid");
            }
        }
    }
    element
}
