//! XMPP streams as machines, client and server side mirrored, without I/O.
//!
//! A machine is fed (`handle_*`, with the time), then drained (`poll_action` until `None`), then left alone until
//! [`client::ClientStream::deadline`]. It opens no socket, reads no clock, rolls no dice: bytes, time and entropy are arguments.
//!
//! | module | holds |
//! |---|---|
//! | [`client`] | a stream to a server: TLS, SASL, binding, resumption, requests and their answers, keepalive |
//! | [`server`] | the other side of the same |
//! | [`scram`] | SCRAM with and without channel binding, both sides, keys that can be stored |
//! | [`sm`] | what was sent and not yet acknowledged (XEP-0198) |
//! | [`iq_table`] | requests and who may answer them |
//! | [`reconnect`], [`connect_plan`] | when to try again, and where |
//! | [`disco_cache`] | what the devices of contacts can do, by verified caps |

pub mod binding;
pub mod client;
pub mod connect_plan;
pub mod disco_cache;
mod entropy;
pub mod iq_table;
mod line;
pub mod reconnect;
mod refusal;
pub mod scram;
pub mod server;
pub mod sm;

pub use binding::ChannelBindings;
pub use scram::{Mechanism, ScramHash, ScramKeys, StoredKeys};

/// How a connection is encrypted. There is no third way: RFC 7590.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Security {
    /// The stream begins in the clear and nothing but `<starttls/>` is said there.
    #[default]
    StartTls,
    /// TLS from the first byte (XEP-0368).
    DirectTls,
}
