//! What a client stream needs to know before it begins.

use std::fmt;
use std::time::{Duration, Instant};

use balcony_wire::framing::Limits;
use balcony_wire::{BareJid, FullJid, Jid};

use crate::Security;
use crate::iq_table::{IqTable, RequestId};
use crate::scram::{Mechanism, ScramKeys};
use crate::sm::{Queue, Sent};

/// What proves that the account is ours.
#[derive(Clone)]
pub enum Credentials {
    /// The password.
    Password(String),
    /// What an earlier login learned ([`super::Learned::keys`]).
    Keys(ScramKeys),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Password(_) => f.write_str("Password"),
            Self::Keys(keys) => keys.fmt(f),
        }
    }
}

/// How long things may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Each step of negotiation: connecting and TLS included.
    pub step: Duration,
    /// Silence after which the server is asked whether it is there.
    pub idle: Duration,
    /// How long it may take to answer that, or to acknowledge.
    pub answer: Duration,
    /// How long to wait for the server's closing tag.
    pub close: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            step: Duration::from_secs(30),
            idle: Duration::from_secs(120),
            answer: Duration::from_secs(30),
            close: Duration::from_secs(3),
        }
    }
}

/// How this installation names itself to SASL2 (XEP-0388 §2.2): the server tells devices apart by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserAgent {
    /// A UUID v4 that stays the same for this installation.
    pub id: String,
    /// The program, `Balcony`.
    pub software: String,
    /// What the person calls the device; tells the server that and nothing else.
    pub device: Option<String>,
}

/// All a stream needs to know before it begins.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// The account.
    pub account: BareJid,
    /// A resource to ask for in old-style binding; the server chooses without. Not used with Bind 2.
    pub resource: Option<String>,
    /// Public part of the resource with Bind 2; must tell nothing private (XEP-0386 §4).
    pub tag: String,
    /// How the connection is encrypted.
    pub security: Security,
    /// What proves that the account is ours.
    pub credentials: Credentials,
    /// The mechanism of earlier logins: anything weaker is refused as a downgrade. With `None`, PLAIN is taken inside TLS.
    pub floor: Option<Mechanism>,
    /// The session to go on with.
    pub resume: Option<ResumeState>,
    /// For SASL2; without it SASL2 is used all the same.
    pub user_agent: Option<UserAgent>,
    /// Ask for carbons along with Bind 2.
    pub carbons: bool,
    /// `xml:lang` of the stream: the language of the server's words.
    pub lang: Option<String>,
    /// What the server may send after login.
    pub limits: Limits,
    /// Deadlines.
    pub timing: Timing,
    /// Stanzas that may wait for acknowledgement.
    pub queue: usize,
    /// Messages are acknowledged (XEP-0198) only when the driver says that it kept them: [`super::ClientStream::confirm`]. Else as
    /// soon as they are handed out, and a crash between the two loses them.
    pub confirms: bool,
}

impl ClientConfig {
    /// Usual values for everything else: STARTTLS, tag `Balcony`, carbons, 1,000 unacknowledged stanzas.
    #[must_use]
    pub fn new(account: BareJid, credentials: Credentials) -> Self {
        Self {
            account,
            resource: None,
            tag: "Balcony".to_owned(),
            security: Security::StartTls,
            credentials,
            floor: None,
            resume: None,
            user_agent: None,
            carbons: true,
            lang: None,
            limits: Limits::AS_WRITTEN,
            timing: Timing::default(),
            queue: 1000,
            confirms: false,
        }
    }
}

/// What is left of a session whose connection was lost: enough to go on with it on another connection.
#[derive(Clone, Debug)]
pub struct ResumeState {
    pub(crate) id: String,
    pub(crate) jid: FullJid,
    pub(crate) queue: Queue,
    pub(crate) requests: IqTable,
    pub(crate) next_sent: u64,
    pub(crate) location: Option<String>,
    pub(crate) within: Option<Duration>,
    pub(crate) lost_at: Option<Instant>,
    pub(crate) carbons: bool,
}

impl ResumeState {
    /// Who we were.
    pub fn jid(&self) -> &Jid {
        &self.jid
    }

    /// Where the server wants to be connected to for this session (`host` or `host:port`), if it said so.
    pub fn location(&self) -> Option<&str> {
        self.location.as_deref()
    }

    /// Until when the server keeps the session, if it said so: trying later does no harm, waiting longer is pointless.
    pub fn kept_until(&self) -> Option<Instant> {
        Some(self.lost_at? + self.within?)
    }

    /// How many stanzas wait for acknowledgement.
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Requests that were never answered; none of them will be once the session is given up.
    pub fn unanswered(&self) -> Vec<RequestId> {
        self.requests.under_way()
    }

    /// Gives the session up: what was not acknowledged, oldest first.
    pub fn give_up(mut self) -> Vec<Sent> {
        self.queue.drain()
    }
}
