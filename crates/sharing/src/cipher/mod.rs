//! Files that lie encrypted with a stranger: which ciphers there are, the secret that opens one, and how it is opened as it streams by.
//!
//! Without I/O. A [`Secret`] never shows in `Debug` or `Display` and is wiped when dropped; nothing here hands out its bytes as text.
//! What a [`Decipher`] gives out is not yet to be believed: only its [`Opened`] says that the tag or the padding was right, and
//! [`crate::Claim`] whether the plain bytes are those of the offer. Both are asked before anything is published.
//!
//! XEP-0448 Encryption for stateless file sharing, v0.2.0 <https://xmpp.org/extensions/xep-0448.html>
//! Status: partial: encrypted files of others are opened, with all three ciphers of §4; none is written.
//! XEP-0454 OMEMO media sharing, v0.1.0 <https://xmpp.org/extensions/xep-0454.html>

mod cbc;
mod decipher;
mod gcm;
mod secret;

pub use decipher::{Decipher, Fault, Opened};
pub(crate) use secret::mark_of;
pub use secret::{Envelope, Secret, SecretError};

/// A cipher of XEP-0448 §4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cipher {
    /// `urn:xmpp:ciphers:aes-128-gcm-nopadding:0`
    Aes128Gcm,
    /// `urn:xmpp:ciphers:aes-256-gcm-nopadding:0`
    Aes256Gcm,
    /// `urn:xmpp:ciphers:aes-256-cbc-pkcs7:0`
    Aes256Cbc,
}

impl Cipher {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Aes128Gcm, Self::Aes256Gcm, Self::Aes256Cbc];

    /// By namespace, with or without the `:0` at its end (decision 25).
    #[must_use]
    pub fn from_namespace(name: &str) -> Option<Self> {
        let short = |full: &'static str| full.strip_suffix(":0").unwrap_or(full);
        Self::ALL.into_iter().find(|cipher| name == cipher.namespace() || name == short(cipher.namespace()))
    }

    /// The namespace, as it is written.
    pub fn namespace(self) -> &'static str {
        match self {
            Self::Aes128Gcm => "urn:xmpp:ciphers:aes-128-gcm-nopadding:0",
            Self::Aes256Gcm => "urn:xmpp:ciphers:aes-256-gcm-nopadding:0",
            Self::Aes256Cbc => "urn:xmpp:ciphers:aes-256-cbc-pkcs7:0",
        }
    }

    /// Bytes of a key.
    pub fn key_len(self) -> usize {
        match self {
            Self::Aes128Gcm => 16,
            Self::Aes256Gcm | Self::Aes256Cbc => 32,
        }
    }

    /// Whether a tag behind the bytes proves that nobody changed them who does not have the key.
    pub fn has_tag(self) -> bool {
        match self {
            Self::Aes128Gcm | Self::Aes256Gcm => true,
            Self::Aes256Cbc => false,
        }
    }
}

/// For people.
impl std::fmt::Display for Cipher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Aes128Gcm => "AES-128-GCM",
            Self::Aes256Gcm => "AES-256-GCM",
            Self::Aes256Cbc => "AES-256-CBC",
        })
    }
}
