//! Connections between two devices that carry the bytes of a file: sockets and chunks in stanzas, behind one face.
//!
//! [`Sockets`] does what the machines of `balcony_sharing::transfer::bytestream` ask for: it listens where others may come, dials where
//! they may be, asks proxies. [`Reader`] and [`Writer`] move the bytes once a way stands. Everything from outside is bounded in number
//! and time; with a proxy of the account nothing listens, and everything goes through it.

mod filling;
mod in_band;
mod interfaces;
mod lifetimes;
mod listener;
mod moving;
mod proxies;
mod road;
mod sockets;
mod socks;

use std::time::Duration;

use balcony_sharing::transfer::bytestream::ibb::IbbFailed;

pub(crate) use moving::{Reader, Writer};
pub(crate) use proxies::Proxies;
pub(crate) use road::SharedRoad;
pub(crate) use sockets::{Sockets, Surroundings, settings};

/// Why bytes stopped before their end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StreamError {
    /// Nothing moved.
    #[error("nothing came through for {} seconds", .0.as_secs())]
    Stalled(Duration),
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(#[source] std::io::Error),
    /// It was closed too early.
    #[error("the other side closed the connection before the end, {missing} bytes are missing")]
    Short {
        /// bytes
        missing: u64,
    },
    /// More came than was announced.
    #[error("more bytes came than were announced")]
    TooMuch,
    /// The stream in band failed.
    #[error(transparent)]
    InBand(#[from] IbbFailed),
    /// The account went offline, or the session is over.
    #[error("the session is over")]
    Gone,
}
