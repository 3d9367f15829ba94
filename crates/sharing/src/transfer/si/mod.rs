//! Stream initiation: a file offered by one iq, taken by its answer, and then a byte stream of the way that the answer names. What was
//! spoken before Jingle, and still is by those who know nothing better.
//!
//! [`Offering`] is the side of the sender, [`Incoming`] that of the receiver. The byte stream itself is
//! [`bytestream::socks5`](super::bytestream::socks5) or [`bytestream::ibb`](super::bytestream::ibb), under the id of the offer.
//!
//! Driven alike: `handle_*(now, …)`, then `poll_action()` until it is empty, then sleep until `deadline()`.
//!
//! XEP-0095 Stream initiation, v1.2 <https://xmpp.org/extensions/xep-0095.html>
//! XEP-0096 SI file transfer, v1.3.1 <https://xmpp.org/extensions/xep-0096.html>

mod incoming;
mod offering;
#[cfg(test)]
mod tests;

use std::time::Duration;

use balcony_wire::ns;

pub use incoming::{Incoming, IncomingAction, IncomingFailed, Refusal};
pub use offering::{Offering, OfferingAction, OfferingFailed};

/// A way to stream. Ordered as they are offered (XEP-0096 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    /// XEP-0065
    Socks5,
    /// XEP-0047
    InBand,
}

impl Method {
    /// Both, the better first.
    pub const ALL: [Self; 2] = [Self::Socks5, Self::InBand];

    /// Its namespace, which names it in offers.
    #[must_use]
    pub fn ns(self) -> &'static str {
        match self {
            Self::Socks5 => ns::BYTESTREAMS,
            Self::InBand => ns::IBB,
        }
    }

    /// The way that a namespace names, if it is known.
    #[must_use]
    pub fn of(ns: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.ns() == ns)
    }
}

/// How long things may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long a person on either side may think.
    pub decision: Duration,
    /// How long the sender may take to open the stream, once the offer was taken.
    pub opening: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { decision: Duration::from_secs(600), opening: Duration::from_secs(60) }
    }
}
