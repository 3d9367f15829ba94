//! Ways for bytes between two devices: SOCKS5 by candidates (XEP-0260), SOCKS5 by a list of hosts (XEP-0065), in band (XEP-0047,
//! XEP-0261). Machines alone: who is dialled when, which of two connections counts, in which order chunks come. Whose addresses may
//! be shown or dialled is in [`addresses`].
//!
//! Bytes of a SOCKS5 stream never pass here; those in band do, a chunk at a time.

pub mod addresses;
mod dialler;
pub mod dstaddr;
pub mod ibb;
pub mod s5b;
pub mod socks5;

use balcony_wire::Jid;

/// Which end of a Jingle session we are, whoever sends the file and whoever proposed the transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// We began the session.
    Initiator,
    /// They did.
    Responder,
}

/// A connection that we open. A peer may give its candidates the ids of ours, so an id alone says nothing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Line {
    /// To the candidate of theirs that has this id.
    Theirs(String),
    /// To the proxy that we offered as this candidate.
    OwnProxy(String),
}

/// What a driver is to do with sockets. It does not look inside otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SocketAction {
    /// Whoever comes to our listeners with this address is expected; say `Connected` when somebody came.
    Expect {
        /// 40 hex digits
        dstaddr: String,
    },
    /// Connect and ask for this address by SOCKS5; answer with `Dialled`.
    Dial {
        /// which connection
        line: Line,
        /// address or name
        host: String,
        /// port
        port: u16,
        /// 40 hex digits
        dstaddr: String,
    },
    /// Give that connection up, whether it stands or is on its way.
    HangUp {
        /// which
        line: Line,
    },
    /// Ask this proxy by iq to join the two connections; answer with `Activated`.
    Activate {
        /// whom
        proxy: Jid,
        /// the stream
        sid: String,
        /// with whom
        target: Jid,
    },
}

/// What became of a [`SocketAction`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SocketEvent {
    /// Of `Dial`: somebody is there, and was asked. What comes of it is told by `Dialled`.
    Answered {
        /// which connection
        line: Line,
    },
    /// Of `Dial`: the other side agreed to the address, or why not, fit to be read by people.
    Dialled {
        /// which connection
        line: Line,
        /// whether it stands
        result: Result<(), String>,
    },
    /// Somebody came to our listeners with the expected address.
    Connected,
    /// Of `Activate`.
    Activated(Result<(), String>),
}

/// Which connection the bytes take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// The one that came to a listener of ours.
    Listener {
        /// to which, as it was offered; `None` where the peer cannot say
        at: Option<(String, u16)>,
    },
    /// One that we opened to a device of theirs.
    Dialled(Line),
    /// One that we opened to a proxy, which joins it with theirs.
    Proxy {
        /// which connection
        line: Line,
        /// whose proxy
        proxy: Jid,
    },
}

/// What carries the bytes of a content, once that is agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// A TCP connection.
    Socket(Way),
    /// Chunks in stanzas.
    InBand {
        /// what was agreed on
        terms: ibb::Terms,
        /// whether it is us who sends `<open/>`
        opens: bool,
    },
}

/// A place of ours where others can connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnCandidate {
    /// Address or name.
    pub host: String,
    /// Port.
    pub port: u16,
    /// What is there.
    pub place: OwnPlace,
    /// Which of the same kind is better; the higher the better.
    pub preference: u16,
}

impl OwnCandidate {
    /// Whether that is the same place, however its address is written.
    pub fn is_at(&self, host: &str, port: u16) -> bool {
        self.port == port && addresses::is_same_host(&self.host, host)
    }
}

/// What is at a place of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnPlace {
    /// A listener of ours.
    Listener,
    /// A proxy of our server.
    Proxy(Jid),
}
