//! XEP-0352 Client state indication, v1.0.0 <https://xmpp.org/extensions/xep-0352.html>

use crate::element::Element;
use crate::ns;
use crate::payload::{Payload, ReadError};

/// A person looks at the client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Active;

/// Nobody looks: the server may hold back what can wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Inactive;

macro_rules! empty {
    ($type:ident, $name:literal) => {
        impl Payload for $type {
            const NAME: &'static str = $name;
            const NS: &'static str = ns::CSI;

            fn read(element: &Element) -> Result<Self, ReadError> {
                Self::expect(element).map(|()| Self)
            }

            fn write(&self) -> Element {
                Self::element()
            }
        }
    };
}

empty!(Active, "active");
empty!(Inactive, "inactive");
