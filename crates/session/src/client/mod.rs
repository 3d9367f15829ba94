//! The client's side of a stream.
//!
//! RFC 6120, RFC 7590.
//! XEP-0198 Stream Management, v1.6.3 <https://xmpp.org/extensions/xep-0198.html>
//! XEP-0386 Bind 2, v1.1.0 <https://xmpp.org/extensions/xep-0386.html>
//! XEP-0388 Extensible SASL Profile, v1.0.4 <https://xmpp.org/extensions/xep-0388.html>
//! Status: partial: tasks after login (`<continue/>`) are refused.
//!
//! ```text
//! handle_connected / handle_tls / handle_bytes / handle_closed / handle_failure / handle_timeout / send / request / …
//!        └─▶ poll_action until None ─▶ sleep until deadline() ─▶ …
//! ```

mod choose;
mod config;
mod end;
mod login;
mod negotiate;
mod online;
mod session;
mod stream;

pub use config::{ClientConfig, Credentials, ResumeState, Timing, UserAgent};
pub use end::{Advice, Cause, End, Failure};
pub use stream::ClientStream;

use std::time::Duration;

use balcony_wire::stream::features::StreamFeatures;
use balcony_wire::{Element, FullJid, Stanza};

use crate::binding::BindingKind;
use crate::iq_table::{RequestError, RequestId};
use crate::scram::{Mechanism, ScramKeys};
use crate::sm::Sent;

/// What the driver is to do, or to tell. Take them one after the other: a [`Action::Write`] before [`Action::StartTls`]
/// or [`Action::Ended`] must be flushed before those are carried out.
#[derive(Clone)]
pub enum Action {
    /// Send these bytes. All that was said since the last poll, in one piece.
    Write(Vec<u8>),
    /// Do the TLS handshake on this connection, then call [`ClientStream::handle_tls`]. Bytes read before the handshake
    /// and not yet handed over must be thrown away.
    StartTls,
    /// Logged in; stanzas flow from here on.
    Online {
        /// Who we are: from the server, not from the configuration.
        jid: FullJid,
        /// Whether the old session goes on: then presence, roster and rooms are as they were (XEP-0198 §5).
        resumed: bool,
        /// What the login taught us.
        learned: Box<Learned>,
        /// What the server says it takes.
        limits: PeerLimits,
    },
    /// A stanza came. Answers to requests are matched away, stray answers dropped; an iq get or set must be answered by
    /// [`ClientStream::answer`], with `service-unavailable` if nobody knows it.
    Stanza(Stanza),
    /// The answer to a request. Comes once for each.
    Answer {
        /// which
        request: RequestId,
        /// result or why there is none
        result: Result<Option<Element>, RequestError>,
    },
    /// The server has these (only where it does XEP-0198; without it nothing is ever acknowledged).
    Acknowledged(Vec<Sent>),
    /// These were sent in a session that is gone for good, and were not acknowledged: they may or may not have arrived.
    Lost(Vec<Sent>),
    /// The stream is over; close the connection. Always the last action.
    Ended(End),
}

impl std::fmt::Debug for Action {
    /// Names the action; tells neither bytes (with PLAIN they hold the password) nor what people say to each other.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Write(bytes) => write!(f, "Write({} bytes)", bytes.len()),
            Self::StartTls => f.write_str("StartTls"),
            Self::Online { resumed, .. } => write!(f, "Online(resumed: {resumed})"),
            Self::Stanza(_) => f.write_str("Stanza"),
            Self::Answer { request, result } => write!(f, "Answer({request:?}, {})", if result.is_ok() { "result" } else { "error" }),
            Self::Acknowledged(stanzas) => write!(f, "Acknowledged({})", stanzas.len()),
            Self::Lost(stanzas) => write!(f, "Lost({})", stanzas.len()),
            Self::Ended(end) => write!(f, "Ended({:?})", end.cause),
        }
    }
}

/// What a login taught us, for the next one and for showing.
#[derive(Clone, Debug)]
pub struct Learned {
    /// How we logged in. The floor of later logins ([`ClientConfig::floor`]).
    pub mechanism: Mechanism,
    /// What the login was bound to, for `-PLUS`.
    pub binding: Option<BindingKind>,
    /// Keys that can be kept instead of the password; `None` after PLAIN.
    pub keys: Option<ScramKeys>,
    /// Whether SASL2 and Bind 2 were used.
    pub sasl2: bool,
    /// Whether stanzas are acknowledged.
    pub acknowledged: bool,
    /// Whether a lost connection can be resumed, and for how long after the loss if the server says so.
    pub resumable: Option<ResumePromise>,
    /// Carbons are on already (Bind 2); otherwise the client must ask for them.
    pub carbons: bool,
    /// The server takes [`ClientStream::set_activity`].
    pub client_state: bool,
    /// All stream features the server offered after login.
    pub features: StreamFeatures,
    /// What the server put into `<bound/>` (XEP-0386): archive metadata and the like.
    pub bound: Vec<Element>,
}

/// The server lets us resume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResumePromise {
    /// For how long after the connection is lost, if it says so.
    pub within: Option<Duration>,
}

/// What a server says it takes (XEP-0478).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerLimits {
    /// Bytes of one stanza.
    pub stanza: Option<usize>,
    /// How long a silent client is kept.
    pub idle: Option<Duration>,
}

/// Whether somebody looks at the client (XEP-0352).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Activity {
    /// Somebody does; every stream starts so.
    #[default]
    Active,
    /// Nobody does: the server may hold back what is not urgent.
    Inactive,
}

/// A request to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// iq get
    Get(Element),
    /// iq set
    Set(Element),
}

/// Why a stanza was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Not logged in (yet, or any more).
    #[error("not logged in")]
    NotOnline,
    /// The server does not acknowledge and too much waits.
    #[error("too many stanzas wait for the server's acknowledgement")]
    QueueFull,
    /// The server would end the stream over it.
    #[error("the stanza has {size} bytes, the server takes {limit}")]
    TooLarge {
        /// bytes of the stanza
        size: usize,
        /// what the server takes
        limit: usize,
    },
}
