//! XEP-0199 XMPP ping, v2.0.1 <https://xmpp.org/extensions/xep-0199.html>

use crate::element::Element;
use crate::ns;
use crate::payload::{Payload, ReadError};

/// "Are you there?", in an iq of type get; answered by an empty result (an error answers it too).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ping;

impl Payload for Ping {
    const NAME: &'static str = "ping";
    const NS: &'static str = ns::PING;

    fn read(element: &Element) -> Result<Self, ReadError> {
        Self::expect(element).map(|()| Self)
    }

    fn write(&self) -> Element {
        Self::element()
    }
}
