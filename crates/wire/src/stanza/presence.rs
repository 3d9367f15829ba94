//! `<presence/>`, RFC 6121 §4.

use super::{Head, StanzaError, StanzaReadError, payload_in, write_head};
use crate::element::{Attribute, Element};
use crate::jid::Jid;
use crate::ns;
use crate::payload::{Payload, ReadError};

/// The type of a presence stanza.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PresenceKind {
    /// No type: "here I am".
    #[default]
    Available,
    /// Gone.
    Unavailable,
    /// Asks to see the other's presence.
    Subscribe,
    /// Grants that.
    Subscribed,
    /// Ends one's own subscription.
    Unsubscribe,
    /// Refuses or withdraws the other's.
    Unsubscribed,
    /// A server asks for the current presence.
    Probe,
    /// A bounced presence.
    Error,
}

impl PresenceKind {
    /// The attribute value; `None` for available.
    pub fn as_attribute(self) -> Option<&'static str> {
        match self {
            Self::Available => None,
            Self::Unavailable => Some("unavailable"),
            Self::Subscribe => Some("subscribe"),
            Self::Subscribed => Some("subscribed"),
            Self::Unsubscribe => Some("unsubscribe"),
            Self::Unsubscribed => Some("unsubscribed"),
            Self::Probe => Some("probe"),
            Self::Error => Some("error"),
        }
    }

    fn read(text: Option<&str>) -> Option<Self> {
        Some(match text {
            None => Self::Available,
            Some("unavailable") => Self::Unavailable,
            Some("subscribe") => Self::Subscribe,
            Some("subscribed") => Self::Subscribed,
            Some("unsubscribe") => Self::Unsubscribe,
            Some("unsubscribed") => Self::Unsubscribed,
            Some("probe") => Self::Probe,
            Some("error") => Self::Error,
            Some(_) => return None,
        })
    }
}

/// A presence stanza with its payloads as they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Presence {
    /// Sender, as stamped by the server.
    pub from: Option<Jid>,
    /// Addressee; `None` for a broadcast.
    pub to: Option<Jid>,
    /// Id chosen by the sender.
    pub id: Option<String>,
    /// Type.
    pub kind: PresenceKind,
    /// `xml:lang`
    pub lang: Option<String>,
    /// All child elements in order.
    pub payloads: Vec<Element>,
    /// Attributes nobody here knows, kept for relaying.
    pub other_attributes: Vec<Attribute>,
}

impl Presence {
    /// An empty presence of a type.
    #[must_use]
    pub fn new(kind: PresenceKind, to: Option<Jid>) -> Self {
        Self { kind, to, ..Self::default() }
    }

    pub(super) fn read(mut element: Element) -> Result<Self, StanzaReadError> {
        let head = Head::take(&mut element)?;
        let Some(kind) = PresenceKind::read(head.kind.as_deref()) else {
            return Err(StanzaReadError::Malformed { why: "unknown type of presence", element: Box::new(element) });
        };
        Ok(Self {
            from: head.from,
            to: head.to,
            id: head.id,
            kind,
            lang: head.lang,
            payloads: element.into_children().collect(),
            other_attributes: head.others,
        })
    }

    /// The element to send.
    #[must_use]
    pub fn into_element(self) -> Element {
        write_head(
            "presence",
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

    /// This presence with a payload appended.
    #[must_use]
    pub fn with(mut self, payload: &impl Payload) -> Self {
        self.payloads.push(payload.write());
        self
    }

    /// `<priority/>`, 0 when absent or not a number (RFC 6121 §4.7.2.3).
    pub fn priority(&self) -> i8 {
        self.payloads
            .iter()
            .find(|element| element.is("priority", ns::CLIENT))
            .and_then(|element| element.text().trim().parse().ok())
            .unwrap_or(0)
    }

    /// The error of a bounced presence.
    pub fn error(&self) -> Option<StanzaError> {
        if self.kind == PresenceKind::Error { self.payload::<StanzaError>().and_then(Result::ok) } else { None }
    }
}
