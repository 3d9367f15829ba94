//! `<message/>`, RFC 6121 §5.

use super::{Head, StanzaError, StanzaReadError, payload_in, write_head};
use crate::element::{Attribute, Element};
use crate::jid::Jid;
use crate::ns;
use crate::payload::{Payload, ReadError};

/// The type of a message; an unknown one counts as `normal` (RFC 6121 §5.2.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MessageKind {
    /// One-to-one conversation.
    Chat,
    /// A bounced message.
    Error,
    /// From or to a room.
    Groupchat,
    /// A broadcast nobody answers.
    Headline,
    /// Outside a conversation; also what a missing type means.
    #[default]
    Normal,
}

impl MessageKind {
    /// The attribute value; `None` for `normal`, which is written by leaving it out.
    pub fn as_attribute(self) -> Option<&'static str> {
        match self {
            Self::Chat => Some("chat"),
            Self::Error => Some("error"),
            Self::Groupchat => Some("groupchat"),
            Self::Headline => Some("headline"),
            Self::Normal => None,
        }
    }

    fn read(text: Option<&str>) -> Self {
        match text {
            Some("chat") => Self::Chat,
            Some("error") => Self::Error,
            Some("groupchat") => Self::Groupchat,
            Some("headline") => Self::Headline,
            _ => Self::Normal,
        }
    }
}

/// A message with its payloads as they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// Sender, as stamped by the server.
    pub from: Option<Jid>,
    /// Addressee.
    pub to: Option<Jid>,
    /// Id chosen by the sender.
    pub id: Option<String>,
    /// Type.
    pub kind: MessageKind,
    /// `xml:lang`
    pub lang: Option<String>,
    /// All child elements, `<body/>` included, in order.
    pub payloads: Vec<Element>,
    /// Attributes nobody here knows, kept for relaying.
    pub other_attributes: Vec<Attribute>,
}

impl Message {
    /// An empty message of a type.
    #[must_use]
    pub fn new(kind: MessageKind, to: Option<Jid>) -> Self {
        Self { kind, to, ..Self::default() }
    }

    pub(super) fn read(mut element: Element) -> Result<Self, StanzaReadError> {
        let head = Head::take(&mut element)?;
        Ok(Self {
            from: head.from,
            to: head.to,
            id: head.id,
            kind: MessageKind::read(head.kind.as_deref()),
            lang: head.lang,
            payloads: element.into_children().collect(),
            other_attributes: head.others,
        })
    }

    /// The element to send.
    #[must_use]
    pub fn into_element(self) -> Element {
        write_head(
            "message",
            self.from.as_ref(),
            self.to.as_ref(),
            self.id,
            self.kind.as_attribute(),
            self.lang.as_deref(),
            self.other_attributes,
        )
        .with_children(self.payloads)
    }

    /// The first payload of type `P`, read.
    pub fn payload<P: Payload>(&self) -> Option<Result<P, ReadError>> {
        payload_in(&self.payloads)
    }

    /// All payloads of type `P`, read.
    pub fn payloads_of<P: Payload>(&self) -> impl Iterator<Item = Result<P, ReadError>> {
        self.payloads.iter().filter(|element| P::matches(element)).map(P::read)
    }

    /// This message with a payload appended.
    #[must_use]
    pub fn with(mut self, payload: &impl Payload) -> Self {
        self.payloads.push(payload.write());
        self
    }

    /// This message with a body.
    #[must_use]
    pub fn with_body(mut self, text: impl Into<String>) -> Self {
        self.payloads.push(Element::new("body", ns::CLIENT).with_text(text));
        self
    }

    /// The text of the first `<body/>`; `None` without one, `Some("")` for an empty one.
    pub fn body(&self) -> Option<String> {
        self.payloads.iter().find(|element| element.is("body", ns::CLIENT)).map(Element::text)
    }

    /// The error of a bounced message.
    pub fn error(&self) -> Option<StanzaError> {
        if self.kind == MessageKind::Error { self.payload::<StanzaError>().and_then(Result::ok) } else { None }
    }
}
