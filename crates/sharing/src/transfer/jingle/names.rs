//! Names of what a session holds, and what of a file goes through it.

use balcony_wire::jingle::Creator;
use balcony_wire::jingle_file::FileRange;

use crate::transfer::bytestream::Side;

/// A file in a session: who made the content, and its name. Both together identify it (XEP-0166 §7.3).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentId {
    /// Who made it.
    pub creator: Creator,
    /// Its name.
    pub name: String,
}

/// A bytestream of a session. A content gets a new one when its transport is replaced; what comes for an old one means nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u32);

/// A request to the peer that is not answered yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// Which way the bytes of a content go, seen from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// We send the file.
    Give,
    /// We receive it.
    Take,
}

/// What contents made by this side carry.
pub(super) fn creator(side: Side) -> Creator {
    match side {
        Side::Initiator => Creator::Initiator,
        Side::Responder => Creator::Responder,
    }
}

/// Which bytes of a file are meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// The first of them, counted from 0.
    pub offset: u64,
    /// How many; `None`: up to the end.
    pub length: Option<u64>,
}

impl Span {
    /// From this byte to the end.
    #[must_use]
    pub fn from_byte(offset: u64) -> Self {
        Self { offset, length: None }
    }

    /// Whether it is the whole file.
    pub fn is_whole(&self) -> bool {
        *self == Self::default()
    }

    /// What a `range` asks for: from 0 and to the end where it does not say (XEP-0234 §5).
    pub(super) fn of(range: Option<&FileRange>) -> Self {
        range.map_or_else(Self::default, |range| Self {
            offset: range.offset.unwrap_or(0).min(LARGEST),
            length: range.length.map(|length| length.min(LARGEST)),
        })
    }

    /// As a `range`, with nothing said where nothing has to be.
    pub(super) fn write(&self) -> FileRange {
        FileRange { offset: (self.offset > 0).then_some(self.offset), length: self.length, hashes: Vec::new() }
    }

    /// How many bytes that are, of a file of `size`.
    pub(super) fn expected(&self, size: Option<u64>) -> Option<u64> {
        let rest = size.map(|size| size.saturating_sub(self.offset));
        match (self.length, rest) {
            (Some(length), Some(rest)) => Some(length.min(rest)),
            (length, rest) => length.or(rest),
        }
    }

    /// Whether a file of `size` has a byte there, or ends there.
    pub(super) fn fits(&self, size: Option<u64>) -> bool {
        size.is_none_or(|size| self.offset <= size)
    }
}

/// No file is larger; so no end of a part is too large to be counted.
pub(super) const LARGEST: u64 = 1 << 62;
