//! RFC 6120 §5 STARTTLS: `<starttls/>`, `<proceed/>`, `<failure/>`.

use crate::ns;
use crate::payload::empty;

/// Asks for TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StartTls;

/// The handshake may start. Bytes that follow it unprotected are an attack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Proceed;

/// No TLS; the stream ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TlsFailure;

empty!(StartTls, "starttls", ns::TLS);
empty!(Proceed, "proceed", ns::TLS);
empty!(TlsFailure, "failure", ns::TLS);
