//! XEP-0280 Message carbons, v1.0.1 <https://xmpp.org/extensions/xep-0280.html>
//!
//! A carbon counts only when the message around it comes from one's own bare address; who checks that is not in this crate.

use crate::element::Element;
use crate::forwarding::Forwarded;
use crate::ns;
use crate::payload::{Payload, ReadError, empty};

macro_rules! copy {
    ($(#[$doc:meta])* $type:ident, $name:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $type(pub Forwarded);

        impl Payload for $type {
            const NAME: &'static str = $name;
            const NS: &'static str = ns::CARBONS;

            fn read(element: &Element) -> Result<Self, ReadError> {
                Self::expect(element)?;
                let forwarded = element.payload().ok_or_else(|| ReadError::new(element, "nothing is forwarded inside"))?;
                forwarded.map(Self)
            }

            fn write(&self) -> Element {
                Self::element().with_child(self.0.write())
            }
        }
    };
}

copy!(
    /// Copy of a message that another device of one's own sent.
    Sent, "sent"
);
copy!(
    /// Copy of a message that another device of one's own received.
    Received, "received"
);

/// Asks for copies, in an iq of type set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Enable;

/// Asks for no more copies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Disable;

/// In a message: no copies of this one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Private;

empty!(Enable, "enable", ns::CARBONS);
empty!(Disable, "disable", ns::CARBONS);
empty!(Private, "private", ns::CARBONS);
