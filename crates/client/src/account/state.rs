//! What goes between the connection's task and the handles of an account.

use std::sync::Arc;
use std::time::Duration;

use balcony_session::Security;
use balcony_session::client::{Ask, End, Learned, PeerLimits, SendError};
use balcony_wire::{FullJid, Iq, Jid, Stanza};
use tokio::sync::oneshot;

use super::reply::ReplyTo;

/// What the handles ask of the task.
pub(crate) enum Command {
    Send {
        stanza: Box<Stanza>,
        done: oneshot::Sender<Result<oneshot::Receiver<Delivery>, SendError>>,
    },
    Request {
        to: Option<Jid>,
        ask: Ask,
        timeout: Duration,
        reply: ReplyTo,
    },
    /// Say when every message that came so far is kept; say nothing when the connection ends before.
    Settle {
        done: oneshot::Sender<()>,
    },
    /// Send the answer to a request of somebody else.
    Answer(Box<Iq>),
    /// Look at once whether the connection is alive, or connect at once if waiting.
    Probe,
    Close,
}

/// What became of a stanza.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// The server has it.
    Acknowledged,
    /// The server acknowledges nothing.
    Unknowable,
    /// The session is gone; it may or may not have arrived.
    Lost,
}

/// How the account's connection is.
#[derive(Clone, Debug)]
pub enum Connection {
    /// On the way.
    Connecting,
    /// Logged in.
    Online(Arc<Online>),
    /// The connection was lost; the next attempt comes by itself.
    Waiting {
        /// why
        why: End,
        /// for how long
        pause: Duration,
    },
    /// It will not come back by itself.
    Ended(End),
}

/// A login.
#[derive(Clone, Debug)]
pub struct Online {
    /// Who we are.
    pub jid: FullJid,
    /// What the login taught us.
    pub learned: Learned,
    /// What the server says it takes.
    pub limits: PeerLimits,
    /// The version of TLS, in words.
    pub tls: &'static str,
    /// Where we are connected to.
    pub host: String,
    /// How the connection was encrypted.
    pub security: Security,
    /// From TCP to logged in.
    pub took: Duration,
    /// Which connection of this account it is, counted from 1.
    pub connection: u64,
    /// Which session it is, counted from 1: the same number after a resumption.
    pub session: u64,
}
