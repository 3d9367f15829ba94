//! Shares and fetches files over XMPP: an async library.
//!
//! Drivers only: sockets, files and threads around the machines of `balcony_session` and `balcony_sharing`, which hold the
//! opinions.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic))]

mod account;
mod blocking;
mod error;
mod fetch;
mod http;
mod net;
mod offers;
mod redacted;
mod share;
mod words;

pub use account::{
    Account, Availability, ConnectOptions, Connection, NoServerAddress, OfflineError, Online, Report, ServerAddress, Services,
    UploadService,
};
pub use error::{Class, ConnectError};
pub use fetch::{Fetch, FetchError, FetchEvent, FetchProgress, Fetcher, SaveError, SharedFile, Wish};
pub use http::HttpError;
pub use net::NetError;
pub use net::tls::TrustError;
pub use offers::{Decision, IncomingOffer, Offers};
pub use redacted::Redacted;
pub use share::{Resumed, Sending, Sent, SentFile, Share, ShareError, ShareEvent, ShareProgress, preview};
