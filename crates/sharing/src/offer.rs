//! One file that somebody offers, whatever the dialect it was said in.
//!
//! XEP-0446 File metadata element, v0.2.0 <https://xmpp.org/extensions/xep-0446.html>
//! Status: partial: thumbnails are read and not shown.

use std::collections::BTreeSet;

use balcony_wire::Jid;
use balcony_wire::file_metadata::FileMetadata;
pub use balcony_wire::file_sharing::Disposition;
use balcony_wire::file_sharing::MAX_SOURCES;
use balcony_wire::reading::LangText;

use crate::attach;
use crate::dialect::spelling;
use crate::verify::Claim;
use crate::{DigestSet, FileName, MediaType, Provenance, Source, Thumbnail};

/// One file that somebody offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    pub(crate) id: OfferId,
    pub(crate) provenance: Provenance,
    pub(crate) file: FileMetadata,
    pub(crate) digests: DigestSet,
    pub(crate) disposition: Option<Disposition>,
    pub(crate) places: Vec<Place>,
    pub(crate) said_in: Vec<Via>,
    pub(crate) shares: Vec<usize>,
    pub(crate) thumbnails: Vec<Thumbnail>,
}

/// A source and who named it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Where the file is said to be.
    pub source: Source,
    /// Who says so.
    pub named_by: NamedBy,
}

/// Who named a source of an offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NamedBy {
    /// Whoever offers the file.
    Sender,
    /// Somebody else in the conversation, or somebody who cannot be told to be the sender.
    Other(Jid),
}

/// Names an offer within its conversation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OfferId {
    /// The message: its origin-id, else its id; in rooms the one that the room gave.
    pub message: Option<String>,
    /// The id of the share within it.
    pub share: Option<String>,
    /// Which offer of the message it is, counted from 0.
    pub index: usize,
}

/// How a share was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Via {
    /// XEP-0447
    FileSharing,
    /// XEP-0385
    MediaSharing,
    /// XEP-0454: an `aesgcm:` URL as body.
    AesGcm,
    /// XEP-0446 `file` beside an out-of-band URL, which it describes (Fluux).
    BareFile,
    /// XEP-0066: a URL that nothing richer describes.
    OutOfBand,
    /// XEP-0505: a share in a form.
    FileInput,
    /// XEP-0505 as the first draft had it: metadata in a form, so that nobody can fetch the file (decision 20).
    BareFileInput,
    /// XEP-0234: a file in a session.
    Jingle,
    /// XEP-0096: a file in a stream that its sender wants to open.
    StreamInitiation,
    /// XEP-0353: a file that its sender would give in a session, if a device of ours said that it is there.
    Proposal,
    /// XEP-0231: the bytes themselves.
    Bits,
}

impl Via {
    /// The word that `explain` uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FileSharing => "sfs",
            Self::MediaSharing => "sims",
            Self::AesGcm => "aesgcm",
            Self::BareFile => "bare-file",
            Self::OutOfBand => "oob",
            Self::FileInput => "file-input",
            Self::BareFileInput => "file-input (0.0.1 form)",
            Self::Jingle => "jingle",
            Self::StreamInitiation => "si",
            Self::Proposal => "jingle-message",
            Self::Bits => "bob",
        }
    }
}

/// Whether the bytes can be proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// By a digest that proves.
    Digest,
    /// By nothing: no digest, none that can be used, or SHA-1 alone.
    None,
}

impl Proof {
    /// The word that `explain` uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Digest => "digest",
            Self::None => "none",
        }
    }
}

/// Whether a plain source leads to one of these places.
fn is_at(source: &Source, places: &BTreeSet<String>) -> bool {
    matches!(source, Source::Url(url) if !places.is_empty() && places.contains(&spelling(&url.target)))
}

impl Offer {
    /// Its name within the conversation.
    pub fn id(&self) -> &OfferId {
        &self.id
    }

    /// Who offers it.
    pub fn provenance(&self) -> &Provenance {
        &self.provenance
    }

    /// What is said about the file, as it was said.
    pub fn file(&self) -> &FileMetadata {
        &self.file
    }

    /// A name that is safe to save under: the one given, else that of the first URL, else an invented one.
    #[must_use]
    pub fn name(&self) -> FileName {
        match &self.file.name {
            Some(name) => FileName::from_peer(name),
            None => self.sources().find_map(FileName::from_source).unwrap_or_default(),
        }
    }

    /// Bytes announced.
    pub fn size(&self) -> Option<u64> {
        self.file.size
    }

    /// The media type; `application/octet-stream` if none is given (XEP-0446 §2).
    #[must_use]
    pub fn media_type(&self) -> MediaType {
        self.file.media_type.as_deref().map(MediaType::from_peer).unwrap_or_default()
    }

    /// The description nearest to a language: that language, else without one, else the first (decision 48).
    pub fn description(&self, lang: Option<&str>) -> Option<&str> {
        let descs = &self.file.descs;
        let in_lang = |wanted: &str| descs.iter().find(|desc| desc.lang.as_deref().is_some_and(|lang| lang.eq_ignore_ascii_case(wanted)));
        let same_root = |wanted: &str| {
            let root = |tag: &str| tag.split('-').next().unwrap_or_default().to_ascii_lowercase();
            descs.iter().find(|desc| desc.lang.as_deref().is_some_and(|lang| root(lang) == root(wanted)))
        };
        let chosen: Option<&LangText> = lang
            .and_then(|lang| in_lang(lang).or_else(|| same_root(lang)))
            .or_else(|| descs.iter().find(|desc| desc.lang.is_none()))
            .or_else(|| descs.first());
        chosen.map(|desc| desc.text.as_str())
    }

    /// Usable digests.
    pub fn digests(&self) -> &DigestSet {
        &self.digests
    }

    /// Whether the bytes can be proven.
    pub fn proof(&self) -> Proof {
        if self.digests.has_proof() { Proof::Digest } else { Proof::None }
    }

    /// What the bytes are to be compared with.
    #[must_use]
    pub fn claim(&self) -> Claim {
        Claim { size: self.file.size, digests: self.digests.clone() }
    }

    /// Small pictures of it, as typed data.
    pub fn thumbnails(&self) -> &[Thumbnail] {
        &self.thumbnails
    }

    /// How it wants to be shown.
    pub fn disposition(&self) -> Option<Disposition> {
        self.disposition
    }

    /// Where it can be had, in the order of the sender.
    pub fn sources(&self) -> impl Iterator<Item = &Source> {
        self.places.iter().map(|place| &place.source)
    }

    /// Where it can be had and who says so, in the order they were named.
    pub fn places(&self) -> &[Place] {
        &self.places
    }

    /// Adds a source that somebody in the conversation names later (XEP-0447 §3.3). Whether that is the sender is decided by
    /// provenance (decision 5): the sender's stand before those of others, and what the sender names is theirs, whoever named it
    /// before. One that is known already, and what is over the bounds of [`crate::attach`], changes nothing.
    /// A plain one where the sender says that ciphertext is changes nothing either: bytes of the two never mix.
    pub fn add_source(&mut self, source: Source, by: &Provenance) {
        if is_at(&source, &self.ciphertexts()) {
            return;
        }
        let (known, others) = (self.places.iter().position(|place| place.source.key() == source.key()), self.senders_places());
        if by.is_same_sender(&self.provenance) {
            if known.is_none_or(|at| at >= others) && others < MAX_SOURCES + attach::MAX_ATTACHED {
                known.map(|at| self.places.remove(at));
                self.places.insert(others, Place { source, named_by: NamedBy::Sender });
                let ciphertexts = self.ciphertexts();
                self.places.retain(|place| !is_at(&place.source, &ciphertexts));
            }
            return;
        }
        let named_by = NamedBy::Other(by.sender().clone());
        let is_theirs = |other: &Jid| if by.is_in_room() { other == by.sender() } else { other.bare() == by.sender().bare() };
        let theirs = self.places.iter().filter(|place| matches!(&place.named_by, NamedBy::Other(other) if is_theirs(other))).count();
        if known.is_none() && self.places.len() - others < attach::MAX_FROM_OTHERS && theirs < attach::MAX_FROM_ONE {
            self.places.push(Place { source, named_by });
        }
    }

    /// Where the sender says that ciphertext is. Others may say so and it means nothing: they could take away the sender's own
    /// places by that.
    fn ciphertexts(&self) -> BTreeSet<String> {
        let encrypted = |place: &&Place| place.named_by == NamedBy::Sender && matches!(place.source, Source::Encrypted(_));
        self.places.iter().filter(encrypted).flat_map(|place| place.source.addresses()).map(spelling).collect()
    }

    /// How many places the sender named: they stand first.
    fn senders_places(&self) -> usize {
        self.places.iter().take_while(|place| place.named_by == NamedBy::Sender).count()
    }

    /// Adds a place unless it is known, or there are too many (decision 56).
    pub(crate) fn push_place(&mut self, place: Place) {
        let known = self.places.iter().any(|old| old.source.key() == place.source.key());
        if !known && self.places.len() < MAX_SOURCES {
            self.places.push(place);
        }
    }

    /// Whether nothing says yet where to fetch it (XEP-0447 §3.2).
    pub fn is_pending(&self) -> bool {
        self.places.is_empty()
    }

    /// Whether nothing but a proposal of a session speaks of it (XEP-0353).
    pub fn is_proposal(&self) -> bool {
        self.said_in() == [Via::Proposal]
    }

    /// The dialects it was said in, the richest first.
    pub fn said_in(&self) -> &[Via] {
        &self.said_in
    }

    /// The shares of [`crate::dialect::Reading::shares`] that were folded into it.
    pub fn shares(&self) -> &[usize] {
        &self.shares
    }
}
