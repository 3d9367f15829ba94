//! RFC 6120 §7 Resource binding, request and result; RFC 3921 §3 the session that came after it.

use crate::element::Element;
use crate::jid::{FullJid, Jid};
use crate::ns;
use crate::payload::{Payload, ReadError, empty};

/// Asks for a resource, or says which one it became.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bind {
    /// The client's request; `None` leaves the choice to the server.
    Request(Option<String>),
    /// The server's answer: the address to use from now on.
    Bound(FullJid),
}

impl Payload for Bind {
    const NAME: &'static str = "bind";
    const NS: &'static str = ns::BIND;

    fn read(element: &Element) -> Result<Self, ReadError> {
        Self::expect(element)?;
        if let Some(text) = element.child_text("jid") {
            let jid = Jid::from_server(text.trim()).and_then(Jid::into_full);
            return jid.map(Self::Bound).map_err(|error| ReadError::new(element, format!("the bound address is wrong: {error}")));
        }
        Ok(Self::Request(element.child_text("resource").filter(|resource| !resource.is_empty())))
    }

    fn write(&self) -> Element {
        match self {
            Self::Request(None) => Self::element(),
            Self::Request(Some(resource)) => Self::element().with_text_child("resource", resource),
            Self::Bound(jid) => Self::element().with_text_child("jid", jid.as_str()),
        }
    }
}

/// Does nothing today; asked for by old clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LegacySession;

empty!(LegacySession, "session", ns::SESSION);
