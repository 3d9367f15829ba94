//! XEP-0297 Stanza forwarding, v1.0 <https://xmpp.org/extensions/xep-0297.html>

use crate::delay::Delay;
use crate::element::Element;
use crate::ns;
use crate::payload::{Payload, ReadError};
use crate::stanza::{Message, Stanza};

/// A stanza inside another one. Who wraps it can write anything into it: it counts only where the outer sender does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forwarded {
    /// When it was sent first.
    pub delay: Option<Delay>,
    /// The stanza as it came, in `jabber:client`.
    pub stanza: Element,
}

impl Forwarded {
    /// The stanza, if it is a message that can be read.
    #[must_use]
    pub fn message(&self) -> Option<Message> {
        match Stanza::read(self.stanza.clone()) {
            Ok(Stanza::Message(message)) => Some(message),
            Ok(_) | Err(_) => None, // whatever else was wrapped is not what the caller asked for
        }
    }
}

impl Payload for Forwarded {
    const NAME: &'static str = "forwarded";
    const NS: &'static str = ns::FORWARD;

    fn read(element: &Element) -> Result<Self, ReadError> {
        Self::expect(element)?;
        let stanza = element.children().find(|child| child.ns() == ns::CLIENT && matches!(child.name(), "message" | "presence" | "iq"));
        Ok(Self {
            delay: element.payload::<Delay>().and_then(Result::ok),
            stanza: stanza.cloned().ok_or_else(|| ReadError::new(element, "no stanza is inside"))?,
        })
    }

    fn write(&self) -> Element {
        Self::element().with_child_opt(self.delay.as_ref().map(Payload::write)).with_child(self.stanza.clone())
    }
}
