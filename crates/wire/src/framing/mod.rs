//! RFC 6120 §4, §11 Streams: bytes to elements and back, with limits.
//!
//! [`Framing`] is fed bytes as they come and hands out [`Frame`]s; [`writer`] makes bytes. Whatever a peer sends costs
//! memory and time in proportion to the limits, and never a panic. Comments, processing instructions, document types and
//! entities end the stream (`restricted-xml`); so does text between stanzas, white space excepted (it keeps connections
//! alive). `jabber:server` and `jabber:component:accept` are read as `jabber:client`.

mod builder;
mod document;
mod error;
mod scope;
pub mod writer;

use rxml::error::EndOrError;
use rxml::{Parse, RawParser, WithOptions};

use self::builder::{Builder, Built};
pub use self::error::FramingError;
use crate::element::Element;
use crate::jid::Jid;
use crate::ns;

/// The parser is quadratic on big slices.
const SLICE: usize = 16 * 1024;

/// What a peer may send before it is cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Elements inside each other, the stanza itself counted as 1; never more than [`Limits::MAX_DEPTH`].
    pub depth: usize,
    /// Attributes of one element, namespace declarations counted.
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
    /// What is within [`Limits::AFTER_LOGIN`] may be longer when it is written anew, by us or by a server that relays it: markup
    /// is escaped that came as CDATA, namespaces are declared where they are used, senders and stamps are added. Whoever
    /// reads with the limits of the sender could be thrown out by a message, again and again.
    pub const AS_WRITTEN: Self = Self { depth: 64, attributes: 300, token: 256 * 1024, stanza: 4 * 1024 * 1024 };
    /// No limit may allow deeper trees: walking and dropping them recurses.
    pub const MAX_DEPTH: usize = 256;
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
    /// Content namespace: `jabber:client` (also written when this is empty), `jabber:server` or `jabber:component:accept`.
    pub content: String,
}

impl StreamHead {
    fn read(element: &Element, content: &'static str) -> Result<Self, FramingError> {
        if !element.is("stream", ns::STREAM) {
            return Err(FramingError::NotAStream);
        }
        let address = |attribute: &'static str| {
            let read = |text| Jid::from_server(text).map_err(|source| FramingError::Address { attribute, source });
            element.attr(attribute).map(read).transpose()
        };
        let owned = |attribute: &str| element.attr(attribute).map(str::to_owned);
        Ok(Self {
            from: address("from")?,
            to: address("to")?,
            id: owned("id"),
            version: owned("version"),
            lang: element.lang().map(str::to_owned),
            content: content.to_owned(),
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nothing of the document was seen yet: white space in front of it is forgiven.
    Fresh,
    /// The header is awaited.
    Opening,
    /// Between or inside stanzas.
    Open,
    /// The stream was closed: what follows is ignored.
    Closed,
}

/// Turns bytes into frames. Push bytes, then take frames until there are none.
#[derive(Debug)]
pub struct Framing {
    parser: RawParser,
    builder: Builder,
    stage: Stage,
    buffer: Vec<u8>,
    /// How much of the buffer is consumed.
    consumed: usize,
    /// Bytes of the stanza that is being read.
    stanza: usize,
    /// The length at which the parser itself gives up on a token.
    ceiling: usize,
    next_limits: Option<Limits>,
    failed: Option<FramingError>,
}

impl Framing {
    /// A fresh stream.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let ceiling = limits.token.max(Limits::AFTER_LOGIN.token);
        Self {
            parser: parser(ceiling),
            builder: Builder::new(limits),
            stage: Stage::Fresh,
            buffer: Vec::new(),
            consumed: 0,
            stanza: 0,
            ceiling,
            next_limits: None,
            failed: None,
        }
    }

    /// Loosens or tightens the limits; takes effect with the next stanza. A token limit above that of
    /// [`Limits::AFTER_LOGIN`] and the first limits needs a restart, or is not reached.
    pub fn set_limits(&mut self, limits: Limits) {
        self.next_limits = Some(limits);
        self.apply_limits();
    }

    /// Starts anew on the same connection, after TLS or SASL. Bytes not yet consumed are dropped, and the call says how
    /// many, blanks apart: after `<proceed/>` any number but 0 is an attack.
    pub fn restart(&mut self) -> usize {
        // COMPAT(go-sendxmpp 0.5): a line break behind <starttls/>; blanks cannot say anything.
        let dropped = self.buffer[self.consumed..].iter().filter(|byte| !is_space(**byte)).count();
        *self = Self::new(self.next_limits.take().unwrap_or(self.builder.limits));
        dropped
    }

    /// Starts anew and keeps bytes not yet consumed: for a peer that sends its next header without waiting, on a
    /// connection whose protection did not change.
    pub fn restart_keeping(&mut self) {
        let rest = self.buffer.split_off(self.consumed);
        self.restart();
        self.buffer = rest;
    }

    /// Bytes pushed and not yet consumed.
    #[must_use]
    pub fn unread(&self) -> usize {
        self.buffer.len() - self.consumed
    }

    /// Adds bytes from the network.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.consumed == self.buffer.len() {
            self.buffer.clear();
            self.buffer.shrink_to(4 * SLICE);
            self.consumed = 0;
        } else if self.consumed >= SLICE {
            self.buffer.drain(..self.consumed);
            self.consumed = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next frame, `None` when more bytes are needed (or the stream is closed).
    ///
    /// # Errors
    /// When the stream cannot go on; every later call fails alike.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FramingError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let result = self.read_frame();
        if let Err(error) = &result {
            self.failed = Some(error.clone());
            self.buffer = Vec::new();
            self.consumed = 0;
        }
        result
    }

    fn read_frame(&mut self) -> Result<Option<Frame>, FramingError> {
        self.skip_leading_space();
        loop {
            if matches!(self.stage, Stage::Closed) {
                self.consumed = self.buffer.len();
                return Ok(None);
            }
            if matches!(self.stage, Stage::Fresh) {
                return Ok(None);
            }
            let end = self.buffer.len().min(self.consumed + SLICE);
            let mut slice = &self.buffer[self.consumed..end];
            let before = slice.len();
            let event = self.parser.parse(&mut slice, false);
            let used = before - slice.len();
            self.consumed += used;
            self.stanza += used;
            if self.stanza > self.builder.limits.stanza {
                return Err(FramingError::StanzaTooLong { limit: self.builder.limits.stanza });
            }
            let event = match event {
                Ok(Some(event)) => event,
                Ok(None) => return Ok(None),
                Err(EndOrError::NeedMoreData) if used > 0 && self.unread() > 0 => continue,
                Err(EndOrError::NeedMoreData) => return Ok(None),
                Err(EndOrError::Error(error)) => return Err(FramingError::from_xml(error, self.ceiling)),
            };
            let built = self.builder.event(event)?;
            if let Some(frame) = self.handle(built)? {
                return Ok(Some(frame));
            }
        }
    }

    fn handle(&mut self, built: Built) -> Result<Option<Frame>, FramingError> {
        match built {
            Built::Nothing => Ok(None),
            Built::Opened(header) if self.stage == Stage::Opening => {
                let head = self.open(&header)?;
                self.between_stanzas();
                Ok(Some(Frame::Open(head)))
            }
            Built::Opened(element) => {
                self.parser.set_text_buffering(true);
                self.builder.push(element)?;
                Ok(None)
            }
            Built::Complete(element) => {
                self.between_stanzas();
                Ok(Some(Frame::Element(element)))
            }
            Built::Text(text) if text.bytes().all(is_space) => {
                self.between_stanzas();
                Ok(None)
            }
            Built::Text(_) => Err(FramingError::TextBetweenStanzas),
            Built::Closed => {
                self.stage = Stage::Closed;
                Ok(Some(Frame::Close))
            }
        }
    }

    fn open(&mut self, header: &Element) -> Result<StreamHead, FramingError> {
        if !header.is("stream", ns::STREAM) {
            return Err(FramingError::NotAStream);
        }
        let content = match &*self.builder.scope.default_ns() {
            ns::CLIENT => ns::CLIENT,
            ns::SERVER => ns::SERVER,
            ns::COMPONENT_ACCEPT => ns::COMPONENT_ACCEPT,
            _ => return Err(FramingError::ContentNamespace),
        };
        self.builder.scope.map_content(content);
        self.stage = Stage::Open;
        StreamHead::read(header, content)
    }

    /// White space is to be seen at once, so that it does not pile up over hours; what a big stanza took is given back.
    fn between_stanzas(&mut self) {
        self.parser.set_text_buffering(false);
        if self.stanza > SLICE {
            self.parser.release_temporaries();
        }
        self.stanza = 0;
        self.apply_limits();
    }

    fn apply_limits(&mut self) {
        if self.builder.is_idle()
            && let Some(limits) = self.next_limits.take()
        {
            self.builder.limits = limits;
        }
    }

    fn skip_leading_space(&mut self) {
        if self.stage == Stage::Fresh {
            self.consumed += self.buffer[self.consumed..].iter().take_while(|byte| is_space(**byte)).count();
            if self.unread() > 0 {
                self.stage = Stage::Opening;
            }
        }
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

fn parser(ceiling: usize) -> RawParser {
    let options = rxml::Options { max_token_length: ceiling.saturating_add(1), ..rxml::Options::default() };
    RawParser::with_options(options)
}
