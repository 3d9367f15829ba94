//! Bytes to elements, with limits. (Skeleton.)

use crate::element::Element;
use crate::jid::Jid;

/// What a peer may send before it is cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Elements inside each other, the stanza itself counted as 1.
    pub depth: usize,
    /// Attributes of one element.
    pub attributes: usize,
    /// Bytes of one name, attribute value or run of text.
    pub token: usize,
    /// Bytes of one stanza as it came over the wire.
    pub stanza: usize,
}

impl Limits {
    /// Tight, for peers that have not logged in.
    pub const BEFORE_LOGIN: Self = Self { depth: 16, attributes: 32, token: 16 * 1024, stanza: 64 * 1024 };
    /// Generous, after login: 512 KiB a stanza, announced by XEP-0478.
    pub const AFTER_LOGIN: Self = Self { depth: 64, attributes: 128, token: 256 * 1024, stanza: 512 * 1024 };
}

/// One thing a stream says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// `<stream:stream …>`
    Open(StreamHead),
    /// A complete child of the stream, `jabber:server` and `jabber:component:accept` mapped to `jabber:client`.
    Element(Element),
    /// `</stream:stream>`
    Close,
}

/// The attributes of a stream header, RFC 6120 §4.7.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamHead {
    /// Who opens.
    pub from: Option<Jid>,
    /// Whom they want.
    pub to: Option<Jid>,
    /// Chosen by the server.
    pub id: Option<String>,
    /// `1.0`
    pub version: Option<String>,
    /// Default language.
    pub lang: Option<String>,
    /// Content namespace: `jabber:client`, `jabber:server` or `jabber:component:accept`.
    pub content: String,
}

/// Why a stream cannot go on; each has its stream error condition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FramingError {
    /// Not XML.
    #[error("not well-formed: {0}")]
    NotWellFormed(String),
}

/// Turns bytes into frames.
#[derive(Debug)]
pub struct Framing {}

impl Framing {
    /// A fresh stream.
    #[must_use]
    pub fn new(_limits: Limits) -> Self {
        todo!()
    }

    /// Loosens or tightens the limits; takes effect with the next stanza.
    pub fn set_limits(&mut self, _limits: Limits) {
        todo!()
    }

    /// Starts anew on the same connection, after TLS or SASL. Bytes not yet consumed are dropped, and the call says how many.
    pub fn restart(&mut self) -> usize {
        todo!()
    }

    /// Adds bytes from the network.
    pub fn push(&mut self, _bytes: &[u8]) {
        todo!()
    }

    /// The next frame, `None` when more bytes are needed.
    ///
    /// # Errors
    /// When the stream cannot go on; every later call fails alike.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FramingError> {
        todo!()
    }
}
