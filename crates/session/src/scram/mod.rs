//! SCRAM, both sides, with and without channel binding.
//!
//! RFC 5802, RFC 7677 (SHA-256), RFC 9266 (`tls-exporter`), RFC 5929 (`tls-server-end-point`).
//!
//! Every comparison of secrets takes the same time whatever differs. The server's signature is checked before a client
//! believes in success; iteration counts have a ceiling, as the count is chosen by the peer and costs us the work.

mod client;
mod keys;
mod message;
mod prep;
mod server;

pub use client::{ClientScram, ClientScramError, ClientSecret};
pub use keys::{KeysError, ScramHash, ScramKeys, StoredKeys};
pub use prep::{PasswordError, prepare_password};
pub use server::{FakeSalts, ServerScram, ServerScramError};

use std::fmt;

/// Fewest iterations a client answers to (RFC 7677 §4).
pub const MIN_ITERATIONS: u32 = 4096;
/// Most iterations a client computes: about a second of work, more is an attack on our processor.
pub const MAX_ITERATIONS: u32 = 5_000_000;

/// How to log in. Ordered by strength: what binds to the channel above what does not, longer hashes above shorter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mechanism {
    /// The password itself, RFC 4616; inside TLS only.
    Plain,
    /// RFC 5802
    ScramSha1,
    /// RFC 7677
    ScramSha256,
    /// SCRAM with SHA-512
    ScramSha512,
    /// RFC 5802 with channel binding
    ScramSha1Plus,
    /// RFC 7677 with channel binding
    ScramSha256Plus,
    /// SCRAM with SHA-512 and channel binding
    ScramSha512Plus,
}

impl Mechanism {
    /// All, strongest first.
    pub const ALL: [Self; 7] = [
        Self::ScramSha512Plus,
        Self::ScramSha256Plus,
        Self::ScramSha1Plus,
        Self::ScramSha512,
        Self::ScramSha256,
        Self::ScramSha1,
        Self::Plain,
    ];

    /// The SCRAM mechanism of a hash.
    pub fn scram(hash: ScramHash, plus: bool) -> Self {
        match (hash, plus) {
            (ScramHash::Sha1, false) => Self::ScramSha1,
            (ScramHash::Sha256, false) => Self::ScramSha256,
            (ScramHash::Sha512, false) => Self::ScramSha512,
            (ScramHash::Sha1, true) => Self::ScramSha1Plus,
            (ScramHash::Sha256, true) => Self::ScramSha256Plus,
            (ScramHash::Sha512, true) => Self::ScramSha512Plus,
        }
    }

    /// The registered name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha1 => "SCRAM-SHA-1",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
            Self::ScramSha1Plus => "SCRAM-SHA-1-PLUS",
            Self::ScramSha256Plus => "SCRAM-SHA-256-PLUS",
            Self::ScramSha512Plus => "SCRAM-SHA-512-PLUS",
        }
    }

    /// The mechanism of a name; `None` for those nobody here speaks.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mechanism| mechanism.name() == name)
    }

    /// The hash; `None` for PLAIN.
    pub fn hash(self) -> Option<ScramHash> {
        match self {
            Self::Plain => None,
            Self::ScramSha1 | Self::ScramSha1Plus => Some(ScramHash::Sha1),
            Self::ScramSha256 | Self::ScramSha256Plus => Some(ScramHash::Sha256),
            Self::ScramSha512 | Self::ScramSha512Plus => Some(ScramHash::Sha512),
        }
    }

    /// Whether the login is bound to the TLS connection.
    pub fn is_plus(self) -> bool {
        self >= Self::ScramSha1Plus
    }

    /// The same hash without channel binding.
    #[must_use]
    pub fn without_plus(self) -> Self {
        self.hash().map_or(self, |hash| Self::scram(hash, false))
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
