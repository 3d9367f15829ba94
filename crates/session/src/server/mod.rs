//! The server's side of a client's stream.
//!
//! RFC 6120, RFC 7590.
//! XEP-0198 Stream Management, v1.6.3 <https://xmpp.org/extensions/xep-0198.html>
//! XEP-0386 Bind 2, v1.1.0 <https://xmpp.org/extensions/xep-0386.html>
//! XEP-0388 Extensible SASL Profile, v1.0.4 <https://xmpp.org/extensions/xep-0388.html>
//! XEP-0440 SASL channel-binding type capability, v1.0.0 <https://xmpp.org/extensions/xep-0440.html>
//! XEP-0478 Stream limits advertisement, v0.1.0 <https://xmpp.org/extensions/xep-0478.html>
//!
//! The machine knows one domain and no accounts: it asks its driver for keys, addresses and old sessions, one question at
//! a time, and reads no further until the answer is there.

mod config;
mod login;
mod negotiate;
mod online;
mod stream;

pub use config::{ServerConfig, ServerTiming};
pub use stream::ServerStream;

use balcony_wire::stream::error::StreamErrorCondition;
use balcony_wire::{BareJid, Element, FullJid, Stanza};

pub use crate::client::Activity;
use crate::scram::Mechanism;
use crate::sm::{Queue, Sent};

/// What the driver is to do, or to answer.
#[derive(Clone)]
#[allow(clippy::large_enum_variant, reason = "stanzas are most of what comes, a box for each would cost more than the room")]
pub enum Action {
    /// Send these bytes: all that was said since the last poll, in one piece.
    Write(Vec<u8>),
    /// Flush, do the TLS handshake, then call [`ServerStream::handle_tls`]. Bytes read before the handshake and not yet
    /// handed over must be thrown away.
    StartTls,
    /// Whose keys are these? Answer with [`ServerStream::handle_credentials`]: for SCRAM the keys of the mechanism's hash,
    /// for PLAIN those of any hash, `None` if there is no such account. It must take the same time either way.
    LookUp {
        /// Local part of the account, prepared as an address is.
        username: String,
        /// The mechanism under way.
        mechanism: Mechanism,
    },
    /// Give this login an address: [`ServerStream::handle_bound`].
    Bind(BindRequest),
    /// Go on with an old session of this account: [`ServerStream::handle_resume`]. A session that is still attached to
    /// another connection is taken from there ([`ServerStream::take_over`]).
    Resume {
        /// the account that logged in
        account: BareJid,
        /// the id from [`Action::Resumable`]
        id: String,
    },
    /// This session can be resumed under this id.
    Resumable {
        /// unguessable
        id: String,
    },
    /// The client said this; `from` is its full address.
    Stanza(Stanza),
    /// Somebody looks at the client, or nobody (XEP-0352). Also said when a session is resumed: that starts active.
    Activity(Activity),
    /// The stream is over; flush and close the connection. Always the last action. Then [`ServerStream::into_leftover`].
    Ended(ServerEnd),
}

impl std::fmt::Debug for Action {
    /// Names the action; tells neither bytes nor names nor what people say to each other.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Write(bytes) => write!(f, "Write({} bytes)", bytes.len()),
            Self::StartTls => f.write_str("StartTls"),
            Self::LookUp { mechanism, .. } => write!(f, "LookUp({mechanism})"),
            Self::Bind(_) => f.write_str("Bind"),
            Self::Resume { .. } => f.write_str("Resume"),
            Self::Resumable { .. } => f.write_str("Resumable"),
            Self::Stanza(_) => f.write_str("Stanza"),
            Self::Activity(activity) => write!(f, "Activity({activity:?})"),
            Self::Ended(end) => write!(f, "Ended({:?})", end.condition),
        }
    }
}

/// A login wants an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindRequest {
    /// The account that logged in.
    pub account: BareJid,
    /// What the client wants.
    pub wanted: WantedResource,
    /// SASL2's id of the installation: an older session of the same one is replaced (XEP-0386 §3.2).
    pub user_agent: Option<String>,
    /// Features to enable along with binding (Bind 2), among those of [`ServerConfig::bind2_features`].
    pub enable: Vec<Element>,
}

/// Which resource a client wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WantedResource {
    /// The server chooses.
    Any,
    /// This one, if the server likes.
    Named(String),
    /// One that begins with this tag and a slash (Bind 2).
    Tagged(String),
}

/// The answer to a [`BindRequest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// The address of this session.
    pub jid: FullJid,
    /// Children for `<bound/>`: answers of enabled features, archive metadata.
    pub answers: Vec<Element>,
}

/// How a stream ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerEnd {
    /// Words for the log; no names in it.
    pub words: String,
    /// The stream error we sent, if it was ours.
    pub condition: Option<StreamErrorCondition>,
}

/// What a stream leaves behind.
#[derive(Debug)]
pub enum Leftover {
    /// Nobody was logged in.
    Nothing,
    /// The session is over; these were not acknowledged: store or bounce them.
    Undelivered {
        /// who it was
        jid: FullJid,
        /// unacknowledged, oldest first
        stanzas: Vec<Sent>,
    },
    /// The connection was lost and the client may come back within [`ServerConfig::resume_for`]: keep it and put
    /// what comes meanwhile into it.
    Detached(Detached),
}

/// A session without connection.
#[derive(Clone, Debug)]
pub struct Detached {
    pub(crate) id: String,
    pub(crate) jid: FullJid,
    pub(crate) queue: Queue,
}

impl Detached {
    /// The id under which the client will ask for it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whose it is.
    pub fn jid(&self) -> &FullJid {
        &self.jid
    }

    /// Keeps a stanza for the client's return.
    ///
    /// # Errors
    /// Hands the stanza back when there is no room: to be stored or bounced.
    pub fn push(&mut self, now: std::time::Instant, stanza: Stanza) -> Result<(), Box<Stanza>> {
        if self.queue.is_full() {
            return Err(Box::new(stanza));
        }
        let _fits = self.queue.push(now, None, stanza.into_element());
        Ok(())
    }

    /// What the client did not acknowledge so far, oldest first.
    pub fn unacknowledged(&self) -> impl Iterator<Item = Sent> {
        self.queue.waiting()
    }

    /// What neither the client acknowledged nor `h` would cover, oldest first, each with the `h` that would.
    pub fn unacknowledged_after(&self, h: u32) -> impl Iterator<Item = (u32, Sent)> {
        self.queue.waiting_after(h)
    }

    /// The `h` that would cover all that was put in so far.
    pub fn sent(&self) -> u32 {
        self.queue.sent()
    }

    /// As [`ServerStream::pending`], for what was said before the connection was lost.
    pub fn pending(&self) -> usize {
        self.queue.pending()
    }

    /// As [`ServerStream::confirm`], for what was said before the connection was lost.
    pub fn confirm(&mut self, count: usize) {
        self.queue.confirm(count);
    }

    /// How many stanzas of the client's were handled: for a later `<failed h=…/>`.
    pub fn handled(&self) -> u32 {
        self.queue.handled()
    }

    /// The client did not come back: what it did not acknowledge, oldest first.
    #[must_use]
    pub fn give_up(mut self) -> Vec<Sent> {
        self.queue.drain()
    }
}
