//! Fetching what was offered: opened if it is encrypted, to staging, hashed on the way, checked, then into the store. Nothing has a final name before.

mod beginning;
mod error;
mod fetcher;
mod file;
mod kin;
mod link;
mod opening;
mod orders;
mod sink;
pub(crate) mod standing;
mod why;
mod work;

pub use error::{FetchError, SetupError};
pub use fetcher::{Fetch, FetchProgress, Fetcher, Wish};
pub use file::{SaveError, SharedFile};
pub use why::{Way, Why};

use balcony_sharing::plan::Outcome;
use balcony_sharing::transfer::Reach;
use balcony_sharing::transfer::fetch::Progress;
use balcony_wire::Jid;

use crate::direct::WayTaken;

/// What happens during a fetch, for showing.
#[derive(Debug)]
#[non_exhaustive]
pub enum FetchEvent {
    /// A host is asked.
    Asking {
        /// which
        host: String,
        /// The first byte asked for; more than 0 when something is there already.
        from_byte: u64,
    },
    /// Somebody's device is asked for a session.
    Calling {
        /// which
        peer: Jid,
        /// The first byte asked for; more than 0 when something is there already.
        from_byte: u64,
        /// Whether it may see our address.
        reach: Reach,
    },
    /// What an earlier try left is read again, for its digests: so much of it by now.
    Rereading(Progress),
    /// Bytes begin to come this way.
    Way(Taken),
    /// Bytes came in. Not every chunk is told.
    Received(Progress),
    /// A source did not give the file; others may follow.
    SourceEnded(Outcome),
    /// All bytes are there and are being checked.
    Checking,
    /// As many files are fetched as may be at once: it waits for its turn.
    Waiting,
    /// It waits until it is told to go on ([`FetchProgress::pause`]).
    Paused,
    /// The end, because the person wanted it ([`FetchProgress::cancel`], [`FetchProgress::discard`]); the last one.
    Stopped {
        /// bytes kept for a later fetch
        kept: u64,
    },
    /// The end by itself; the last one.
    Ended(Result<SharedFile, FetchError>),
}

/// Which way the bytes of a file came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// From a web server.
    Link,
    /// In a session with somebody's device.
    Session(WayTaken),
}

impl Taken {
    /// One word, for programs.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Link => "link",
            Self::Session(way) => way.word(),
        }
    }
}
