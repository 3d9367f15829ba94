//! Why a stream cannot go on: one variant for each reason, each with its stream error condition (RFC 6120 §4.9.3).

use rxml::error::Error as XmlError;

use crate::jid::JidError;
use crate::stream::error::StreamErrorCondition;

/// Why a stream (or a document) cannot be read any further.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FramingError {
    /// Not XML, or names and namespaces used against the rules.
    #[error("the XML is not well-formed: {0}")]
    NotWellFormed(String),
    /// A prefix that nobody declared.
    #[error("the XML uses a namespace prefix that is not declared")]
    UndeclaredPrefix,
    /// XML that XMPP forbids: comments, processing instructions, document types, entities.
    #[error("the XML has {0}, which XMPP forbids")]
    Restricted(&'static str),
    /// Bytes that are no UTF-8.
    #[error("the text is not UTF-8")]
    NotUtf8,
    /// A declared encoding other than UTF-8.
    #[error("the XML declares an encoding other than UTF-8")]
    Encoding,
    /// Elements too deep inside each other.
    #[error("elements are nested deeper than {limit}")]
    TooDeep {
        /// the limit that was passed
        limit: usize,
    },
    /// An element with too many attributes.
    #[error("an element has more than {limit} attributes")]
    TooManyAttributes {
        /// the limit that was passed
        limit: usize,
    },
    /// Too many namespace declarations at once.
    #[error("more than {limit} namespaces are declared")]
    TooManyNamespaces {
        /// the limit that was passed
        limit: usize,
    },
    /// A name, an attribute value or a run of text that is too long.
    #[error("a name or text is longer than {limit} bytes")]
    TokenTooLong {
        /// the limit that was passed
        limit: usize,
    },
    /// A stanza that is too long.
    #[error("a stanza is longer than {limit} bytes")]
    StanzaTooLong {
        /// the limit that was passed
        limit: usize,
    },
    /// The root element is no stream.
    #[error("this is no XMPP stream: the root element is not <stream/> in its namespace")]
    NotAStream,
    /// A content namespace that is none of the three.
    #[error("the content namespace of the stream is not one of XMPP")]
    ContentNamespace,
    /// Character data between stanzas.
    #[error("there is text between the stanzas")]
    TextBetweenStanzas,
    /// `to` or `from` of the stream header is no address.
    #[error("the {attribute} address of the stream header is malformed: {source}")]
    Address {
        /// `to` or `from`
        attribute: &'static str,
        /// what is wrong with it
        source: JidError,
    },
    /// A document (not a stream) that ends too early.
    #[error("the document is not complete")]
    Incomplete,
}

impl FramingError {
    /// What to tell the other side before closing the stream.
    #[must_use]
    pub fn condition(&self) -> StreamErrorCondition {
        match self {
            Self::NotWellFormed(_) | Self::Incomplete => StreamErrorCondition::NotWellFormed,
            Self::UndeclaredPrefix => StreamErrorCondition::BadNamespacePrefix,
            Self::Restricted(_) => StreamErrorCondition::RestrictedXml,
            Self::NotUtf8 | Self::Encoding => StreamErrorCondition::UnsupportedEncoding,
            Self::TooDeep { .. }
            | Self::TooManyAttributes { .. }
            | Self::TooManyNamespaces { .. }
            | Self::TokenTooLong { .. }
            | Self::StanzaTooLong { .. } => StreamErrorCondition::PolicyViolation,
            Self::NotAStream | Self::ContentNamespace => StreamErrorCondition::InvalidNamespace,
            Self::TextBetweenStanzas => StreamErrorCondition::BadFormat,
            Self::Address { .. } => StreamErrorCondition::ImproperAddressing,
        }
    }

    /// What the parser says, sorted into our reasons. `limit` is the length at which it gives up on a token.
    pub(super) fn from_xml(error: XmlError, limit: usize) -> Self {
        match error {
            XmlError::InvalidUtf8Byte(_) => Self::NotUtf8,
            XmlError::UndeclaredEntity => Self::Restricted("a reference to an entity"),
            XmlError::RestrictedXml("long name or reference" | "event too long") => Self::TokenTooLong { limit },
            XmlError::RestrictedXml("only utf-8 encoding is allowed") => Self::Encoding,
            XmlError::RestrictedXml("only XML version 1.0 is allowed") => Self::Restricted("a version other than 1.0"),
            XmlError::RestrictedXml(what) => Self::Restricted(what),
            // What the lexer says of `<!DOCTYPE` and other markup declarations.
            XmlError::InvalidSyntax("malformed cdata or comment section start") => {
                Self::Restricted("a document type or markup declaration")
            }
            XmlError::UndeclaredNamespacePrefix(_) => Self::UndeclaredPrefix,
            XmlError::InvalidEof(_) => Self::Incomplete,
            other => Self::NotWellFormed(other.to_string()),
        }
    }
}
