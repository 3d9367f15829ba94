//! `<iq/>`, RFC 6120 §8.2.3: always an id, exactly one child in a request, at most one in a result.

use super::{Head, StanzaError, StanzaReadError, write_head};
use crate::element::{Attribute, Element};
use crate::jid::Jid;
use crate::payload::Payload;

/// What an iq says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IqKind {
    /// Asks for something.
    Get(Element),
    /// Asks to change something.
    Set(Element),
    /// The answer, with or without content.
    Result(Option<Element>),
    /// The refusal; the echoed request, if any, is dropped.
    Error(StanzaError),
}

/// An iq stanza.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Iq {
    /// Sender, as stamped by the server.
    pub from: Option<Jid>,
    /// Addressee; `None` means the own account.
    pub to: Option<Jid>,
    /// Ties an answer to its request, together with the sender.
    pub id: String,
    /// Type and content.
    pub kind: IqKind,
    /// `xml:lang`
    pub lang: Option<String>,
    /// Attributes nobody here knows, kept for relaying.
    pub other_attributes: Vec<Attribute>,
}

impl Iq {
    /// A get request.
    #[must_use]
    pub fn get(id: impl Into<String>, to: Option<Jid>, payload: Element) -> Self {
        Self::new(id, to, IqKind::Get(payload))
    }

    /// A set request.
    #[must_use]
    pub fn set(id: impl Into<String>, to: Option<Jid>, payload: Element) -> Self {
        Self::new(id, to, IqKind::Set(payload))
    }

    /// An iq of any kind.
    #[must_use]
    pub fn new(id: impl Into<String>, to: Option<Jid>, kind: IqKind) -> Self {
        Self { from: None, to, id: id.into(), kind, lang: None, other_attributes: Vec::new() }
    }

    /// The answer to this request: same id, addresses turned round.
    #[must_use]
    pub fn result(&self, payload: Option<Element>) -> Self {
        Self { from: self.to.clone(), ..Self::new(self.id.clone(), self.from.clone(), IqKind::Result(payload)) }
    }

    /// The refusal of this request: same id, addresses turned round.
    #[must_use]
    pub fn refuse(&self, error: StanzaError) -> Self {
        Self { from: self.to.clone(), ..Self::new(self.id.clone(), self.from.clone(), IqKind::Error(error)) }
    }

    /// The content of a get or set.
    pub fn request(&self) -> Option<&Element> {
        match &self.kind {
            IqKind::Get(payload) | IqKind::Set(payload) => Some(payload),
            IqKind::Result(_) | IqKind::Error(_) => None,
        }
    }

    pub(super) fn read(mut element: Element) -> Result<Self, StanzaReadError> {
        let malformed = |why, element| Err(StanzaReadError::Malformed { why, element: Box::new(element) });
        if element.attr("id").is_none_or(str::is_empty) {
            return malformed("an iq needs an id", element);
        }
        let children = element.children().count();
        let kind = match element.attr("type") {
            Some(kind @ ("get" | "set")) if children == 1 => kind.to_owned(),
            Some("get" | "set") => return malformed("a request holds exactly one element", element),
            Some("result") if children <= 1 => "result".to_owned(),
            Some("result") => return malformed("a result holds at most one element", element),
            Some("error") => "error".to_owned(),
            _ => return malformed("an iq is of type get, set, result or error", element),
        };
        let head = Head::take(&mut element)?;
        let kind = match kind.as_str() {
            "error" => {
                let error = element.payload::<StanzaError>().and_then(Result::ok);
                IqKind::Error(error.unwrap_or_else(StanzaError::undefined))
            }
            kind => {
                let child = element.into_children().next();
                match (kind, child) {
                    ("get", Some(payload)) => IqKind::Get(payload),
                    ("set", Some(payload)) => IqKind::Set(payload),
                    (_, child) => IqKind::Result(child),
                }
            }
        };
        Ok(Self { from: head.from, to: head.to, id: head.id.unwrap_or_default(), kind, lang: head.lang, other_attributes: head.others })
    }

    /// The element to send.
    #[must_use]
    pub fn into_element(self) -> Element {
        let (kind, child) = match self.kind {
            IqKind::Get(payload) => ("get", Some(payload)),
            IqKind::Set(payload) => ("set", Some(payload)),
            IqKind::Result(payload) => ("result", payload),
            IqKind::Error(error) => ("error", Some(error.write())),
        };
        write_head("iq", self.from.as_ref(), self.to.as_ref(), Some(self.id), Some(kind), self.lang.as_deref(), self.other_attributes)
            .with_child_opt(child)
    }
}
