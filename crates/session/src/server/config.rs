//! What the server side of a stream needs to know; shared by all streams of a domain.

use std::time::Duration;

use balcony_wire::framing::Limits;
use balcony_wire::{BareJid, Element};

use crate::Security;
use crate::scram::{FakeSalts, Mechanism};

/// How long things may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerTiming {
    /// From the first byte to a bound address, everything included.
    pub login: Duration,
    /// Silence after which the client is asked whether it is there.
    pub idle: Duration,
    /// How long it may take to answer that.
    pub answer: Duration,
    /// How long to wait for the client's closing tag.
    pub close: Duration,
}

impl Default for ServerTiming {
    fn default() -> Self {
        Self {
            login: Duration::from_secs(60),
            idle: Duration::from_secs(300),
            answer: Duration::from_secs(60),
            close: Duration::from_secs(3),
        }
    }
}

/// What all streams of one domain have in common.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// The domain served.
    pub domain: BareJid,
    /// How connections to this port are encrypted.
    pub security: Security,
    /// Mechanisms offered. `-PLUS` is offered only where there is something to bind to, PLAIN only inside TLS. Every account must
    /// have keys for each hash named here, or its absence tells that the account exists.
    pub mechanisms: Vec<Mechanism>,
    /// Salts for names without account.
    pub fake_salts: FakeSalts,
    /// Wrong logins on one connection before it is closed.
    pub tries: u8,
    /// Offer SASL2 and Bind 2 beside the old way.
    pub sasl2: bool,
    /// Namespaces of features that can be enabled along with Bind 2 (stream management and client state come by themselves).
    pub bind2_features: Vec<String>,
    /// More stream features offered after login (roster versioning, the server's caps, …).
    pub features: Vec<Element>,
    /// What a client may send before login.
    pub limits_before: Limits,
    /// What a client may send after login; announced by XEP-0478.
    pub limits_after: Limits,
    /// How long a lost session waits for its client; zero: no resumption.
    pub resume_for: Duration,
    /// Stanzas that may wait for acknowledgement.
    pub queue: usize,
    /// What a client says is acknowledged (XEP-0198) only when the driver says that it is where it belongs:
    /// [`super::ServerStream::confirm`]. Else as soon as it is handed out, and a crash between the two loses it.
    pub confirms: bool,
    /// Deadlines.
    pub timing: ServerTiming,
}

impl ServerConfig {
    /// Usual values for everything else.
    #[must_use]
    pub fn new(domain: BareJid, fake_salts: FakeSalts) -> Self {
        Self {
            domain,
            security: Security::StartTls,
            mechanisms: Mechanism::ALL.to_vec(),
            fake_salts,
            tries: 3,
            sasl2: true,
            bind2_features: Vec::new(),
            features: Vec::new(),
            limits_before: Limits::BEFORE_LOGIN,
            limits_after: Limits::AFTER_LOGIN,
            resume_for: Duration::from_secs(600),
            queue: 2000,
            confirms: false,
            timing: ServerTiming::default(),
        }
    }
}
