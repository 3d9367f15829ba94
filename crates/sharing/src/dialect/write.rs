//! Writes one message that every client understands one part of.
//!
//! XEP-0447 §3.1 and §4 with the SIMS copy of §4.3, a body that is exactly the URL, the same URL out of band, and marked fallback.
//! Psi needs the outer `uri` and non-empty sources, Dino sha-256, Conversations and many others body equal to out-of-band URL.
//!
//! XEP-0447 Stateless file sharing, v0.3.1 <https://xmpp.org/extensions/xep-0447.html>
//! XEP-0385 Stateless inline media sharing (SIMS), v0.2.1 <https://xmpp.org/extensions/xep-0385.html>
//! XEP-0066 Out of band data, v1.5 <https://xmpp.org/extensions/xep-0066.html>
//! XEP-0367 Message attaching, v0.3 <https://xmpp.org/extensions/xep-0367.html>
//! XEP-0372 References, v0.5.0 <https://xmpp.org/extensions/xep-0372.html>
//! XEP-0428 Fallback indication, v0.2.1 <https://xmpp.org/extensions/xep-0428.html>
//! XEP-0334 Message processing hints, v1.0.0 <https://xmpp.org/extensions/xep-0334.html>
//! XEP-0358 Publishing available Jingle sessions, v0.4 <https://xmpp.org/extensions/xep-0358.html>
//! XEP-0359 Unique and stable stanza IDs, v0.7.0 <https://xmpp.org/extensions/xep-0359.html>

use balcony_wire::attaching::AttachTo;
use balcony_wire::fallback::{Fallback, Region, RegionOf};
use balcony_wire::file_metadata::FileMetadata;
use balcony_wire::file_sharing::{FileSharing, Sources};
use balcony_wire::hashes::Hash;
use balcony_wire::hints::Hint;
use balcony_wire::media_sharing::{MediaSharing, MediaSource};
use balcony_wire::out_of_band::Oob;
use balcony_wire::reading::LangText;
use balcony_wire::references::{Reference, ReferenceKind};
use balcony_wire::stanza::MessageKind;
use balcony_wire::stanza_ids::OriginId;
use balcony_wire::xmpp_uri::XmppUri;
use balcony_wire::{Jid, Message, ns, text};

use crate::transfer::bits::{Bits, MAX_WRITTEN};
use crate::{Disposition, Hashed, MediaType, Source};

/// Files to be offered in one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutgoingShare {
    /// Whom to.
    pub to: Jid,
    /// Whether that is a room: nobody can attach to a message there before the room has given it an id.
    pub to_room: bool,
    /// Id of the message, random. Those that follow it have it as a prefix.
    pub id: String,
    /// What the person says beside the files.
    pub text: Option<String>,
    /// The files, in order.
    pub files: Vec<OutgoingFile>,
}

/// One file to be offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutgoingFile {
    /// Names the share within its message.
    pub id: String,
    /// How it wants to be shown.
    pub disposition: Option<Disposition>,
    /// What is said about it.
    pub file: FileMetadata,
    /// Where it is, the best first; none yet if it is announced before it is uploaded.
    pub sources: Vec<Source>,
    /// A small picture of it, named in `file`, that goes along in the message as long as there is room.
    pub carried: Option<Bits>,
}

/// Further places for a file that was offered before, by us or by somebody else in the conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutgoingSources {
    /// Whom to: whoever the offer is shared with.
    pub to: Jid,
    /// Whether that is a room.
    pub to_room: bool,
    /// Id of the message, random.
    pub id: String,
    /// Id of the message that offers the file: in a room the one that the room gave, else its origin-id or its id (XEP-0367 §4.1).
    pub target: String,
    /// Id of the share in it, if it has one.
    pub share: Option<String>,
    /// The places, the best first.
    pub sources: Vec<Source>,
    /// Whether they are worth keeping.
    pub lives: Lives,
}

/// How long a place will be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lives {
    /// For days: whoever comes later shall know of it.
    Long,
    /// As long as somebody is online: archives need not keep it.
    Shortly,
}

/// The messages to send, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The one that offers the files.
    pub message: Message,
    /// Those that attach the sources once more, for clients that know only links.
    pub attaching: Vec<Message>,
}

impl Written {
    /// All of them, in order.
    pub fn into_messages(self) -> impl Iterator<Item = Message> {
        std::iter::once(self.message).chain(self.attaching)
    }
}

impl OutgoingFile {
    /// A file by name, type, size and digests: the bytes were hashed by us.
    #[must_use]
    pub fn new(id: impl Into<String>, name: &str, media_type: Option<&MediaType>, hashed: &Hashed) -> Self {
        let name = name.rsplit(['/', '\\']).next().filter(|name| !name.is_empty()).unwrap_or("file");
        let digests = hashed.digests().iter().cloned();
        let file = FileMetadata {
            name: Some(name.to_owned()),
            media_type: media_type.map(|media_type| media_type.to_string()),
            size: Some(hashed.size()),
            hashes: digests.map(Hash::from).collect(),
            ..FileMetadata::default()
        };
        let disposition = match media_type {
            Some(media_type) if media_type.can_be_inline() => Disposition::Inline,
            _ => Disposition::Attachment,
        };
        Self { id: id.into(), disposition: Some(disposition), file, sources: Vec::new(), carried: None }
    }

    /// The URL that stands for the file in body and out-of-band data: the first bare https one (decision 14).
    /// None where bytes are encrypted: a bare link would lead to what nobody can open (decision 12).
    pub fn plain_url(&self) -> Option<&str> {
        plain_url(&self.sources)
    }

    fn sharing(&self) -> FileSharing {
        FileSharing {
            id: Some(self.id.clone()),
            disposition: self.disposition,
            file: Some(self.file.clone()),
            // COMPAT(Moxxy 0.2): throws where there is no `sources`; an empty one means the same (decision 55)
            sources: Some(self.sources.iter().filter_map(Source::to_element).collect()),
            dropped: Vec::new(),
        }
    }

    /// The copy for SIMS clients; `covers` is the length of a body that is nothing but the URL.
    fn reference(&self, covers: Option<usize>) -> Option<Reference> {
        let url = self.plain_url()?;
        let sources = self.sources.iter().filter_map(|source| match source {
            Source::Url(_) => source.plain_url().map(|url| MediaSource::Uri(url.to_owned())),
            Source::Published { from, id, .. } => Some(MediaSource::Uri(published_uri(from, id))),
            _ => None,
        });
        let sharing = MediaSharing { file: Some(self.sims_file().into()), sources: Some(sources.collect()), dropped: Vec::new() };
        Some(Reference {
            kind: Some(ReferenceKind::Data),
            uri: Some(url.to_owned()), // COMPAT(Psi 1.5): not shown without
            begin: covers.map(|_| "0".to_owned()),
            end: covers.map(|end| end.to_string()),
            media_sharing: Some(sharing),
            ..Reference::default()
        })
    }

    /// SIMS asks for media type and description (XEP-0385 §4.1).
    fn sims_file(&self) -> FileMetadata {
        let mut file = self.file.clone();
        file.media_type.get_or_insert_with(|| MediaType::default().to_string());
        if file.descs.is_empty() {
            file.descs.extend(file.name.as_deref().map(LangText::plain));
        }
        file
    }
}

/// Writes the message that offers the files, and those that attach the links for older clients where the body is taken by words
/// or by several files (XEP-0447 §4.1, §4.2).
#[must_use]
pub fn write(share: &OutgoingShare) -> Written {
    let links: Vec<&str> = share.files.iter().filter_map(OutgoingFile::plain_url).collect();
    match (&share.text, &links[..]) {
        (None, [url]) if share.files.len() == 1 => Written { message: with_link(share, url), attaching: Vec::new() },
        _ if share.to_room => Written { message: with_marked_links(share, &links), attaching: Vec::new() },
        _ => Written { message: offering(share, share.text.as_deref()), attaching: attaching(share) },
    }
}

/// One file, nothing to say: the body is the link.
fn with_link(share: &OutgoingShare, url: &str) -> Message {
    shares(head(&share.to, share.to_room, &share.id), share, Some(text::count(url)))
        .with(&Fallback::whole_body(ns::SFS))
        .with_body(url)
        .with(&Oob::new(url))
}

/// Words, or several files: the body is the person's, or there is none.
fn offering(share: &OutgoingShare, text: Option<&str>) -> Message {
    let message = shares(head(&share.to, share.to_room, &share.id), share, None);
    match text {
        Some(text) => message.with_body(text),
        None => message.with(&Hint::Store),
    }
}

/// In a room: links behind the words, their range marked.
fn with_marked_links(share: &OutgoingShare, links: &[&str]) -> Message {
    if links.is_empty() {
        return offering(share, share.text.as_deref());
    }
    let words = share.text.as_deref().map(|text| format!("{text}\n")).unwrap_or_default();
    let body = format!("{words}{}", links.join("\n"));
    let start = if words.is_empty() { 0 } else { text::count(&words) - 1 };
    let region = Region { of: RegionOf::Body, start: Some(start), end: Some(text::count(&body)) };
    let fallback = Fallback { for_ns: Some(ns::SFS.to_owned()), regions: vec![region], dropped: Vec::new() };
    let message = shares(head(&share.to, share.to_room, &share.id), share, None).with(&fallback).with_body(body);
    match links {
        [only] => message.with(&Oob::new(*only)),
        _ => message,
    }
}

/// XEP-0358 §2.3; resources are free text, and a `?` in one would begin the query.
fn published_uri(from: &Jid, id: &str) -> String {
    XmppUri::new(from.clone()).with_query("jingle").with_param("id", id).to_string()
}

fn plain_url(sources: &[Source]) -> Option<&str> {
    if sources.iter().any(|source| matches!(source, Source::Encrypted(_))) {
        return None;
    }
    let urls = || sources.iter().filter_map(Source::plain_url);
    urls().find(|url| url.starts_with("https:")).or_else(|| urls().next())
}

/// Writes the message that attaches further sources (XEP-0447 §3.3). Its body says nothing but the link.
#[must_use]
pub fn write_sources(attached: &OutgoingSources) -> Message {
    let OutgoingSources { to, to_room, id, target, share, sources, lives } = attached;
    let link = plain_url(sources);
    let sources = sources.iter().filter_map(Source::to_element).collect();
    let message =
        head(to, *to_room, id).with(&AttachTo { id: target.clone() }).with(&Sources { id: share.clone(), sources, dropped: Vec::new() });
    match (link, lives) {
        (Some(url), _) => message.with(&Fallback::whole_body(ns::SFS)).with_body(url).with(&Oob::new(url)),
        (None, Lives::Long) => message.with(&Hint::Store),
        (None, Lives::Shortly) => message,
    }
}

/// One message per file that attaches its sources again, with the link as body.
fn attaching(share: &OutgoingShare) -> Vec<Message> {
    let linked = share.files.iter().filter(|file| file.plain_url().is_some());
    let attached = linked.enumerate().map(|(at, file)| OutgoingSources {
        to: share.to.clone(),
        to_room: share.to_room,
        id: format!("{}.{}", share.id, at + 1),
        target: share.id.clone(),
        share: Some(file.id.clone()),
        sources: file.sources.clone(),
        lives: Lives::Long,
    });
    attached.map(|attached| write_sources(&attached)).collect()
}

fn head(to: &Jid, to_room: bool, id: &str) -> Message {
    let kind = if to_room { MessageKind::Groupchat } else { MessageKind::Chat };
    Message { id: Some(id.to_owned()), ..Message::new(kind, Some(to.clone())) }.with(&OriginId { id: id.to_owned() })
}

fn shares(message: Message, share: &OutgoingShare, covers: Option<usize>) -> Message {
    let message = share.files.iter().fold(message, |message, file| message.with(&file.sharing()));
    let mut message =
        share.files.iter().filter_map(|file| file.reference(covers)).fold(message, |message, reference| message.with(&reference));
    // COMPAT(Kaidan): takes small pictures from the message itself and asks for none
    let mut room = CARRIED;
    for bits in share.files.iter().filter_map(|file| file.carried.as_ref()) {
        if let Some(left) = room.checked_sub(bits.bytes().len()) {
            room = left;
            message.payloads.push(bits.to_element());
        }
    }
    message
}

/// Bytes of small pictures in one message: servers bound its size, some at 64 KiB. The others are asked for.
const CARRIED: usize = 2 * MAX_WRITTEN;
