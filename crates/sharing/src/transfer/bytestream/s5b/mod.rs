//! One SOCKS5 stream, negotiated by both sides: each tells where it can be reached, each tries the places of the other, and both come
//! to the same conclusion without another word.
//!
//! Driven alike: `handle_*(now, …)`, then `poll_action()` until it is empty, then sleep until `deadline()`. In this order:
//! [`S5b::handle_own_candidates`], [`S5b::transport`] into the offer or the answer, [`S5b::handle_transport`] with that of the other side,
//! [`S5b::begin`] once the session is accepted, since only then addresses are shown. It ends with `Stands` or `Failed`.
//!
//! XEP-0260 Jingle SOCKS5 Bytestreams Transport Method, v1.0.3 <https://xmpp.org/extensions/xep-0260.html>
//! Status: partial: TCP only; mapped ports and addresses outside of a NAT are not asked for.

mod negotiation;
mod nomination;
mod own;
mod theirs;

use std::time::Duration;

use balcony_wire::Jid;
use balcony_wire::jingle::S5bTransport;
use balcony_wire::stanza::DefinedCondition;

pub use super::dialler::Pace;
pub use super::dstaddr::dstaddr;
use super::{Side, SocketAction, Way};
use crate::transfer::Reach;
pub use negotiation::S5b;

/// What one stream is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Which end of the session we are.
    pub side: Side,
    /// Id of the stream, which is not that of the session.
    pub sid: String,
    /// Our address as the peer knows it.
    pub own: Jid,
    /// The peer's address as in its stanzas.
    pub peer: Jid,
    /// What may be shown.
    pub reach: Reach,
}

/// How long things may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Of our own attempts.
    pub pace: Pace,
    /// How long the other side may try, once we are through.
    pub verdict: Duration,
    /// How long who reached us may be on the way, when the other side says so.
    pub arrival: Duration,
    /// How long a proxy may take to be reached by us, or by them, and to join the connections.
    pub activation: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            pace: Pace::default(),
            verdict: Duration::from_secs(30),
            arrival: Duration::from_secs(5),
            activation: Duration::from_secs(15),
        }
    }
}

/// What whoever embeds the machine is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Give this to the driver.
    Socket(SocketAction),
    /// Say this by transport-info.
    Say(S5bTransport),
    /// The end: bytes may flow. The listeners may be closed, and all other connections were given up.
    Stands(Way),
    /// The end: fall back to another transport.
    Failed(S5bFailed),
}

/// Why there is no stream. Another transport may do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum S5bFailed {
    /// Neither side reached the other.
    #[error("no direct connection could be made, and no proxy reached{}", because(.0))]
    NoWay(String),
    /// The other side says nothing more.
    #[error("the other side did not say whether it could connect")]
    Silent,
    /// They say that they came, and nobody did.
    #[error("the other side says that it connected, and nobody came")]
    NobodyCame,
    /// Our proxy does not do it.
    #[error("the proxy {proxy} did not do it: {why}")]
    OwnProxy {
        /// whose
        proxy: Jid,
        /// what it said
        why: String,
    },
    /// Theirs does not.
    #[error("the other side could not use its proxy {0}")]
    TheirProxy(Jid),
    /// They did not say that their proxy is ready.
    #[error("the other side did not make its proxy {0} ready in time")]
    ProxySilent(Jid),
}

fn because(why: &str) -> String {
    if why.is_empty() { String::new() } else { format!(" ({why})") }
}

/// Why something the peer said about the stream is refused. Nothing changes by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum S5bRefusal {
    /// About another stream.
    #[error("there is no stream of that id in this content")]
    OtherStream,
    /// About a candidate that we never named.
    #[error("there is no candidate of that id")]
    NoCandidate,
    /// Something else was said before.
    #[error("the opposite was said before")]
    SaidOtherwise,
    /// Datagrams.
    #[error("streams of datagrams are not supported")]
    Datagrams,
}

impl S5bRefusal {
    /// What the request is answered with.
    pub fn condition(self) -> DefinedCondition {
        match self {
            Self::OtherStream | Self::NoCandidate => DefinedCondition::ItemNotFound,
            Self::SaidOtherwise => DefinedCondition::UnexpectedRequest,
            Self::Datagrams => DefinedCondition::FeatureNotImplemented,
        }
    }
}
