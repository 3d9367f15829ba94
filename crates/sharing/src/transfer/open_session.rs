//! Sessions as the machines see them: whom to ask for which file, how much of ourselves to show, how it ended.
//!
//! XEP-0234 Jingle file transfer, v0.19.1 <https://xmpp.org/extensions/xep-0234.html>
//! XEP-0358 Publishing available Jingle sessions, v0.4 <https://xmpp.org/extensions/xep-0358.html>

use balcony_wire::Jid;
use balcony_wire::file_metadata::FileMetadata;
use balcony_wire::hashes::HashUsed;

use super::Reach;
use crate::plan::Abilities;

/// By which right a session gives us a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionWay {
    /// They opened it and offered the file in it; it waits for our answer.
    Offered {
        /// Which session of that device.
        sid: String,
        /// Which content of it.
        content: String,
    },
    /// They offered the file by stream initiation (XEP-0095), and wait for our answer.
    Initiated {
        /// Which stream of that device.
        sid: String,
    },
    /// They said that they start one for whoever asks (XEP-0358 §2.2).
    Published {
        /// What to ask for.
        id: String,
    },
    /// We open it and ask for the file by its hash (XEP-0234 §6.2).
    ByHash,
}

/// A session that is to give us a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRequest {
    /// Which device; its full JID.
    pub peer: Jid,
    /// What that device can do, as far as it is known.
    pub abilities: Abilities,
    /// By which right.
    pub way: SessionWay,
    /// Which file: name, type, size and the hashes that can be used. What was said about it, not what it is.
    pub file: FileMetadata,
    /// How much of ourselves it may show.
    pub reach: Reach,
    /// Whether the file is taken if it turns out that nothing proves it, as the person agreed.
    pub takes_unproven: bool,
}

/// How long a device may be silent before it is taken for one that is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// A few seconds: somebody else is left to be asked, and it is asked again behind them.
    Short,
    /// As long as a slow one may take.
    Full,
}

/// A session to be opened now. The driver answers with how it stands, and with where its bytes begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenSession {
    /// Which device; its full JID.
    pub peer: Jid,
    /// What that device can do, as far as it is known.
    pub abilities: Abilities,
    /// By which right.
    pub way: SessionWay,
    /// Which file.
    pub file: FileMetadata,
    /// First byte wanted.
    pub from_byte: u64,
    /// How much of ourselves it may show.
    pub reach: Reach,
    /// How long its first word may take. What it does from there on has patience of its own.
    pub patience: Patience,
}

/// What a session is told at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionEnd {
    /// The file is there, and it is the right one.
    Kept,
    /// It gave other bytes than those offered.
    Wrong,
    /// Its bytes, and those that were here before, are not of one file: none is kept.
    Misfit,
    /// It broke the rules or fell silent.
    Broken,
    /// Nothing more is wanted of it: somebody stopped, or it goes on elsewhere.
    Stopped,
}

/// Why a session gives nothing, or no more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionFailure {
    /// Nobody can be asked: the account is offline.
    #[error("your account is not connected")]
    Offline,
    /// The session in which the file was offered is over.
    #[error("the session is over")]
    Over,
    /// The device says no, or does not have it: it would say so again. Both look the same, and are meant to.
    #[error("it says no: {0}")]
    NotGiven(String),
    /// No way for the bytes was found between both.
    #[error("{0}")]
    NoWay(String),
    /// The device says nothing, as one that is gone and whose server does not know it yet.
    #[error("{0}")]
    Silent(String),
    /// Nobody answers, or the answer makes no sense.
    #[error("{0}")]
    NoAnswer(String),
    /// It broke while bytes were on their way.
    #[error("{0}")]
    Broken(String),
}

impl SessionFailure {
    /// What the other side says, without a sentence around it.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Offline | Self::Over => self.to_string(),
            Self::NotGiven(words) | Self::NoWay(words) | Self::Silent(words) | Self::NoAnswer(words) | Self::Broken(words) => words.clone(),
        }
    }
}

impl SessionRequest {
    /// Whether who offers the file in it says the hash when all bytes were sent (XEP-0234 §8.1): that proves what they gave.
    #[must_use]
    pub fn promises_hash(&self) -> bool {
        let is_proof = |used: &HashUsed| used.canonical().is_some_and(|algo| algo.is_usable() && algo.is_proof());
        matches!(self.way, SessionWay::Offered { .. }) && self.file.hash_used.iter().any(is_proof)
    }

    /// Whether it waits for one answer of ours only, and is over with it: to have the file again, somebody has to offer it again.
    #[must_use]
    pub fn is_offered(&self) -> bool {
        matches!(self.way, SessionWay::Offered { .. } | SessionWay::Initiated { .. })
    }

    /// To be opened for the bytes from `from_byte` on.
    #[must_use]
    pub fn from_byte(&self, from_byte: u64, patience: Patience) -> OpenSession {
        let Self { peer, abilities, way, file, reach, .. } = self.clone();
        OpenSession { peer, abilities, way, file, from_byte, reach, patience }
    }
}

/// Whom it asks and how, for people.
impl std::fmt::Display for SessionRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.way {
            SessionWay::Offered { .. } | SessionWay::Initiated { .. } => write!(f, "{}, who offers it", self.peer)?,
            SessionWay::Published { .. } => write!(f, "{}, who said that it gives it", self.peer)?,
            SessionWay::ByHash => write!(f, "{}, asked by hash", self.peer)?,
        }
        match self.reach {
            Reach::Direct => Ok(()),
            Reach::Relay => f.write_str(" (by way of servers)"),
        }
    }
}
