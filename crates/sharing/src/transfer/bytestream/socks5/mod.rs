//! SOCKS5 byte streams by themselves, as stream initiation uses them: one side names hosts, the other connects to the first that it
//! reaches and says which.
//!
//! Driven like [`super::s5b::S5b`].
//!
//! XEP-0065 SOCKS5 Bytestreams, v1.8.2 <https://xmpp.org/extensions/xep-0065.html>
//! Status: partial: TCP only.

mod requester;
mod target;

use balcony_wire::stanza::DefinedCondition;
use balcony_wire::{Element, Jid};

use super::s5b::S5bFailed;
use super::{SocketAction, Way};
use crate::transfer::Reach;

pub use requester::Requester;
pub use target::Target;

/// Hosts that one offer names, and that are tried of one.
const MOST: usize = 12;

/// One stream, between these two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    /// Its id.
    pub sid: String,
    /// Our address as the peer knows it.
    pub own: Jid,
    /// The peer's address.
    pub peer: Jid,
    /// What may be shown.
    pub reach: Reach,
}

/// What whoever embeds a machine is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Give this to the driver.
    Socket(SocketAction),
    /// Send this to the peer by iq set; its answer goes to [`Requester::handle_answer`].
    Ask(Element),
    /// Answer the peer's iq with this.
    Answer(Result<Element, DefinedCondition>),
    /// The end: bytes may flow.
    Stands(Way),
    /// The end.
    Failed(S5bFailed),
}
