//! RFC 6120 §5 STARTTLS: `<starttls/>`, `<proceed/>`, `<failure/>`.

use crate::element::Element;
use crate::ns;
use crate::payload::{Payload, ReadError};

/// Asks for TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StartTls;

/// The handshake may start. Bytes that follow it unprotected are an attack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Proceed;

/// No TLS; the stream ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TlsFailure;

macro_rules! empty {
    ($type:ident, $name:literal) => {
        impl Payload for $type {
            const NAME: &'static str = $name;
            const NS: &'static str = ns::TLS;

            fn read(element: &Element) -> Result<Self, ReadError> {
                Self::expect(element).map(|()| Self)
            }

            fn write(&self) -> Element {
                Self::element()
            }
        }
    };
}

empty!(StartTls, "starttls");
empty!(Proceed, "proceed");
empty!(TlsFailure, "failure");
