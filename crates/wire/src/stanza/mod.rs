//! Message, presence and iq: addresses and type are read, everything else is kept as it came.
//!
//! RFC 6120 §8. Inside the house all stanzas are in `jabber:client`; the framing maps `jabber:server` and
//! `jabber:component:accept` to it and back at the border. Unknown children and attributes survive a relay.

mod error;
mod iq;
mod message;
mod presence;

pub use error::{DefinedCondition, ErrorKind, StanzaError};
pub use iq::{Iq, IqKind};
pub use message::{Message, MessageKind};
pub use presence::{Presence, PresenceKind};

use crate::element::{Attribute, Element};
use crate::jid::{Jid, JidError};
use crate::ns;
use crate::payload::{Payload, ReadError};

/// One stanza.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stanza {
    /// `<message/>`
    Message(Message),
    /// `<presence/>`
    Presence(Presence),
    /// `<iq/>`
    Iq(Iq),
}

/// Why an element is no usable stanza, with what is needed to answer the sender.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StanzaReadError {
    /// Neither message, presence nor iq of `jabber:client`: a stream error (`unsupported-stanza-type`).
    #[error("{0} is no stanza")]
    NoStanza(String),
    /// An address that RFC 7622 refuses: `jid-malformed`.
    #[error("the {attribute} address of the stanza is malformed")]
    Address {
        /// `to` or `from`
        attribute: &'static str,
        /// what is wrong with it
        #[source]
        source: JidError,
        /// the stanza as it came
        element: Box<Element>,
    },
    /// An iq without id, with an unknown type, or with none or several children: `bad-request`.
    #[error("the stanza breaks the rules: {why}")]
    Malformed {
        /// which rule
        why: &'static str,
        /// the stanza as it came
        element: Box<Element>,
    },
}

impl Stanza {
    /// Reads a stanza from an element in `jabber:client`.
    ///
    /// # Errors
    /// See [`StanzaReadError`]; the element is handed back so that an error can be returned to its sender.
    pub fn read(element: Element) -> Result<Self, StanzaReadError> {
        if element.ns() != ns::CLIENT {
            return Err(StanzaReadError::NoStanza(element.qualified_name()));
        }
        match element.name() {
            "message" => Message::read(element).map(Self::Message),
            "presence" => Presence::read(element).map(Self::Presence),
            "iq" => Iq::read(element).map(Self::Iq),
            _ => Err(StanzaReadError::NoStanza(element.qualified_name())),
        }
    }

    /// The element to send.
    #[must_use]
    pub fn into_element(self) -> Element {
        match self {
            Self::Message(message) => message.into_element(),
            Self::Presence(presence) => presence.into_element(),
            Self::Iq(iq) => iq.into_element(),
        }
    }

    /// Who it says it is from.
    pub fn from(&self) -> Option<&Jid> {
        match self {
            Self::Message(stanza) => stanza.from.as_ref(),
            Self::Presence(stanza) => stanza.from.as_ref(),
            Self::Iq(stanza) => stanza.from.as_ref(),
        }
    }

    /// Whom it is for.
    pub fn to(&self) -> Option<&Jid> {
        match self {
            Self::Message(stanza) => stanza.to.as_ref(),
            Self::Presence(stanza) => stanza.to.as_ref(),
            Self::Iq(stanza) => stanza.to.as_ref(),
        }
    }

    /// Sets who it is from.
    pub fn set_from(&mut self, from: Option<Jid>) {
        match self {
            Self::Message(stanza) => stanza.from = from,
            Self::Presence(stanza) => stanza.from = from,
            Self::Iq(stanza) => stanza.from = from,
        }
    }

    /// The id attribute.
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::Message(stanza) => stanza.id.as_deref(),
            Self::Presence(stanza) => stanza.id.as_deref(),
            Self::Iq(stanza) => Some(&stanza.id),
        }
    }
}

impl From<Message> for Stanza {
    fn from(stanza: Message) -> Self {
        Self::Message(stanza)
    }
}

impl From<Presence> for Stanza {
    fn from(stanza: Presence) -> Self {
        Self::Presence(stanza)
    }
}

impl From<Iq> for Stanza {
    fn from(stanza: Iq) -> Self {
        Self::Iq(stanza)
    }
}

/// What the three kinds share while they are read: addresses, id, and the attributes nobody here knows.
struct Head {
    from: Option<Jid>,
    to: Option<Jid>,
    id: Option<String>,
    kind: Option<String>,
    lang: Option<String>,
    others: Vec<Attribute>,
}

impl Head {
    /// Takes the attributes out of `element`, whose children stay.
    fn take(element: &mut Element) -> Result<Self, StanzaReadError> {
        let mut head = Self {
            from: address(element, "from")?,
            to: address(element, "to")?,
            id: None,
            kind: None,
            lang: element.lang().map(str::to_owned),
            others: Vec::new(),
        };
        for attribute in element.take_attributes() {
            match (attribute.ns(), attribute.name()) {
                ("", "from" | "to") | (crate::element::XML_NS, "lang") => {}
                ("", "id") => head.id = Some(attribute.value().to_owned()),
                ("", "type") => head.kind = Some(attribute.value().to_owned()),
                _ => head.others.push(attribute),
            }
        }
        Ok(head)
    }
}

fn address(element: &Element, attribute: &'static str) -> Result<Option<Jid>, StanzaReadError> {
    // Lenient in the resource (decision 64): what a server hands us is kept.
    let Some(text) = element.attr(attribute) else { return Ok(None) };
    Jid::from_server(text).map(Some).map_err(|source| StanzaReadError::Address { attribute, source, element: Box::new(element.clone()) })
}

/// An element with the shared attributes of a stanza written.
fn write_head(
    name: &str,
    from: Option<&Jid>,
    to: Option<&Jid>,
    id: Option<String>,
    kind: Option<&str>,
    lang: Option<&str>,
    others: Vec<Attribute>,
) -> Element {
    let mut element = Element::new(name, ns::CLIENT)
        .with_attr_opt("from", from.map(|jid| jid.as_str()))
        .with_attr_opt("to", to.map(|jid| jid.as_str()))
        .with_attr_opt("id", id)
        .with_attr_opt("type", kind)
        .with_lang(lang);
    for attribute in others {
        element.put_attribute(attribute);
    }
    element
}

/// The first payload of type `P` in a list of payloads.
fn payload_in<P: Payload>(payloads: &[Element]) -> Option<Result<P, ReadError>> {
    payloads.iter().find(|element| P::matches(element)).map(P::read)
}
