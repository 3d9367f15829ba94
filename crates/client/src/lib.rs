//! Shares and fetches files over XMPP: an async library.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic))]

mod http;
mod net;
mod redacted;

pub use http::HttpError;
pub use net::NetError;
pub use net::tls::TrustError;
pub use redacted::Redacted;
