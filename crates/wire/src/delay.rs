//! XEP-0203 Delayed delivery, v2.0 <https://xmpp.org/extensions/xep-0203.html>
//! XEP-0091 Legacy delayed delivery, v1.4 <https://xmpp.org/extensions/xep-0091.html>

use crate::datetime::DateTime;
use crate::element::Element;
use crate::jid::Jid;
use crate::ns;
use crate::payload::{Payload, ReadError};

/// When a stanza was sent, said by who kept it. Anybody can write it: believe it from one's own server or room only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delay {
    /// The moment of sending.
    pub stamp: DateTime,
    /// Who kept it; a malformed address is dropped.
    pub from: Option<Jid>,
    /// Why, in words.
    pub reason: Option<String>,
}

impl Payload for Delay {
    const NAME: &'static str = "delay";
    const NS: &'static str = ns::DELAY;

    fn matches(element: &Element) -> bool {
        element.is("delay", ns::DELAY) || element.is("x", ns::LEGACY_DELAY)
    }

    fn read(element: &Element) -> Result<Self, ReadError> {
        Self::expect(element)?;
        let text = element.required("stamp")?;
        let stamp = if element.ns() == ns::LEGACY_DELAY { DateTime::parse_legacy(text) } else { DateTime::parse_lenient(text) };
        Ok(Self {
            stamp: stamp.ok_or_else(|| ReadError::new(element, "the stamp is no date and time"))?,
            from: element.attr("from").and_then(|from| Jid::from_server(from).ok()),
            reason: Some(element.text()).filter(|text| !text.trim().is_empty()),
        })
    }

    fn write(&self) -> Element {
        Self::element()
            .with_attr_opt("from", self.from.as_ref().map(|from| from.as_str()))
            .with_attr("stamp", self.stamp.to_string())
            .with_text(self.reason.clone().unwrap_or_default())
    }
}
