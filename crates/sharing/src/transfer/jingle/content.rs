//! One file of a session: what is known of it, where it stands, what carries its bytes.

use std::time::Instant;

use balcony_wire::hashes::Hash;
use balcony_wire::jingle::{Senders, Transport};
use balcony_wire::jingle_file::JingleFile;

use super::names::creator;
use super::{ContentId, Direction, EndReason, Span, StreamId};
use crate::DigestSet;
use crate::transfer::bytestream::s5b::S5b;
use crate::transfer::bytestream::{Side, ibb};

/// One file of a session.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) id: ContentId,
    pub(super) direction: Direction,
    /// Whether the session began with it; others were added.
    pub(super) is_initial: bool,
    /// What is known of the file.
    pub(super) file: JingleFile,
    /// Which bytes are to go.
    pub(super) span: Span,
    /// Whether the giving side understands ranges.
    pub(super) ranged: bool,
    pub(super) stage: Stage,
    /// When the stage is over at the latest.
    pub(super) until: Option<Instant>,
    pub(super) vehicle: Vehicle,
    pub(super) swap: Swap,
    /// Bytes of the span that moved.
    pub(super) moved: u64,
    /// Bytes that moved since the deadline was set.
    pub(super) fresh: u64,
    pub(super) is_held: bool,
    /// Digests told in a checksum.
    pub(super) told: DigestSet,
    /// Things the peer may do only so often: transports replaced, directions changed, checksums told.
    pub(super) swaps: u8,
    pub(super) turns: u8,
    pub(super) checksums: u8,
    /// Streams that were replaced; what still comes for them is no mistake.
    pub(super) old_sids: Vec<String>,
}

/// Where a content stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Ours; own candidates are being found, then it is said.
    Preparing,
    /// Ours; the peer decides.
    Proposed,
    /// Theirs; somebody here decides.
    Undecided,
    /// Theirs; wanted, and not yet said.
    Agreed,
    /// Both want it; a way for the bytes is sought.
    Connecting,
    /// Bytes move.
    Flowing,
    /// All of ours went out; the peer's word is waited for.
    Confirming,
    /// All of theirs is here; it is checked.
    Whole,
    /// Over.
    Ended(EndReason),
}

/// What is to carry the bytes, or does.
#[derive(Debug)]
pub(super) enum Vehicle {
    /// Nothing of ours yet; what the peer proposed, where it made the content.
    Proposed(Option<Transport>),
    /// SOCKS5, being agreed on.
    Socks { stream: StreamId, sid: String, s5b: Box<S5b>, is_gathered: bool },
    /// SOCKS5, and it stands.
    Stands { stream: StreamId, sid: String },
    /// In band.
    InBand { stream: StreamId, terms: ibb::Terms },
    /// What there was failed.
    Broken { why: String },
}

/// A transport being replaced.
#[derive(Debug)]
pub(super) enum Swap {
    None,
    /// It failed, and the initiator is to say what comes next.
    Awaited {
        until: Instant,
    },
    /// We proposed to go in band.
    Ours {
        stream: StreamId,
        terms: ibb::Terms,
        until: Instant,
    },
    /// They proposed, and our own candidates are being found; then we accept.
    Theirs {
        says_range: bool,
    },
    /// We accepted in-band, and open it when they know.
    Opening,
}

impl Vehicle {
    pub(super) fn stream(&self) -> Option<StreamId> {
        match self {
            Self::Socks { stream, .. } | Self::Stands { stream, .. } | Self::InBand { stream, .. } => Some(*stream),
            Self::Proposed(_) | Self::Broken { .. } => None,
        }
    }

    pub(super) fn sid(&self) -> Option<&str> {
        match self {
            Self::Socks { sid, .. } | Self::Stands { sid, .. } => Some(sid),
            Self::InBand { terms, .. } => Some(&terms.sid),
            Self::Proposed(_) | Self::Broken { .. } => None,
        }
    }

    /// Whether it can be told to the peer.
    pub(super) fn is_ready(&self) -> bool {
        matches!(self, Self::Socks { is_gathered: true, .. } | Self::InBand { .. })
    }
}

impl Content {
    pub(super) fn new(id: ContentId, direction: Direction, file: JingleFile, stage: Stage) -> Self {
        Self {
            id,
            direction,
            is_initial: false,
            span: Span::of(file.range.as_ref()),
            ranged: file.range.is_some(),
            file,
            stage,
            until: None,
            vehicle: Vehicle::Proposed(None),
            swap: Swap::None,
            moved: 0,
            fresh: 0,
            is_held: false,
            told: DigestSet::new(),
            swaps: 0,
            turns: 0,
            checksums: 0,
            old_sids: Vec::new(),
        }
    }

    pub(super) fn is_open(&self) -> bool {
        !matches!(self.stage, Stage::Ended(_))
    }

    /// Whether both sides said yes to it at some time.
    pub(super) fn is_agreed(&self) -> bool {
        matches!(self.stage, Stage::Connecting | Stage::Flowing | Stage::Confirming | Stage::Whole)
    }

    pub(super) fn is_ours(&self, side: Side) -> bool {
        self.id.creator == creator(side)
    }

    /// Who sends, in the words of the wire.
    pub(super) fn senders(&self, side: Side) -> Senders {
        match (self.direction, side) {
            (Direction::Give, Side::Initiator) | (Direction::Take, Side::Responder) => Senders::Initiator,
            (Direction::Give, Side::Responder) | (Direction::Take, Side::Initiator) => Senders::Responder,
        }
    }

    /// How many bytes are to move in all, if that is known.
    pub(super) fn expected(&self) -> Option<u64> {
        self.span.expected(self.file.metadata.size)
    }

    /// What is left of the span.
    pub(super) fn rest(&self) -> Span {
        Span {
            offset: self.span.offset.saturating_add(self.moved),
            length: self.span.length.map(|length| length.saturating_sub(self.moved)),
        }
    }

    /// Puts the next byte where the peer says it is; `None` if it cannot be there.
    pub(super) fn rewind(&mut self, offset: u64) -> Option<()> {
        let moved = offset.checked_sub(self.span.offset)?;
        if self.expected().is_some_and(|expected| moved > expected) {
            return None;
        }
        self.moved = moved;
        Some(())
    }

    /// Whether a hash was promised and has not come.
    pub(super) fn awaits_hash(&self) -> bool {
        let hashes = &self.file.metadata.hashes;
        let promised = !self.file.metadata.hash_used.is_empty() || hashes.iter().any(Hash::is_announcement);
        promised && self.told.is_empty() && !hashes.iter().any(Hash::is_usable)
    }

    /// What it ends with when its bytes cannot go on.
    pub(super) fn lost(&self, why: String) -> EndReason {
        if self.moved > 0 { EndReason::Broke { at: self.moved, why } } else { EndReason::NoWay(why) }
    }
}
