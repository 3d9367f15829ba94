//! Patience and bounds of a session, and what both sides can do.

use std::time::Duration;

use crate::transfer::bytestream::s5b;

/// Patience, bounds, and what we can do ourselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What we can do. All of it outside of tests.
    pub own: Means,
    /// Patience of the SOCKS5 streams.
    pub streams: s5b::Settings,
    /// How long own candidates may take to be found; then we go on without.
    pub gather_timeout: Duration,
    /// How long the peer may take to show that it heard of a session of ours at all.
    pub first_answer_timeout: Duration,
    /// How long the peer may take to answer a request.
    pub answer_timeout: Duration,
    /// How long a person, here or there, may take to decide.
    pub decision_timeout: Duration,
    /// How long the first yes to one file of an offer waits for the answers about the others.
    pub more_decisions: Duration,
    /// How long a way for the bytes may be sought, beyond what the streams wait themselves.
    pub connect_timeout: Duration,
    /// How long the responder waits for the initiator to replace a transport that failed, before it does so itself.
    pub fallback_wait: Duration,
    /// How long the peer may take to show that it heard of a replaced transport: a device that is there does so at once.
    pub replace_timeout: Duration,
    /// How long no byte may move.
    pub stall_timeout: Duration,
    /// How long a transfer may be held by whom it does not suit.
    pub longest_hold: Duration,
    /// How long a hash that was promised may take after the last byte.
    pub checksum_wait: Duration,
    /// How long the taking side may check what it got, before it says a word.
    pub confirm_timeout: Duration,
    /// How long whoever has nothing left to say waits for the other side to end the session.
    pub linger: Duration,
    /// How long an unavailable peer may still show itself (5 to 10 seconds, XEP-0166 §6.7).
    pub vanish_timeout: Duration,
    /// Contents in one session, over its whole life.
    pub max_contents: usize,
    /// Requests of the peer in one session; nobody needs as many.
    pub max_requests: u32,
    /// Bytes taken where the size is not announced.
    pub unannounced_limit: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            own: Means::ALL,
            streams: s5b::Settings::default(),
            gather_timeout: Duration::from_secs(3),
            first_answer_timeout: Duration::from_secs(30),
            answer_timeout: Duration::from_secs(30),
            decision_timeout: Duration::from_secs(600),
            more_decisions: Duration::from_secs(2),
            connect_timeout: Duration::from_secs(60),
            fallback_wait: Duration::from_secs(4),
            replace_timeout: Duration::from_secs(6),
            stall_timeout: Duration::from_secs(30),
            longest_hold: Duration::from_secs(300),
            checksum_wait: Duration::from_secs(10),
            confirm_timeout: Duration::from_secs(120),
            linger: Duration::from_secs(2),
            vanish_timeout: Duration::from_secs(7),
            max_contents: 32,
            max_requests: 2_000,
            unannounced_limit: 4 << 30,
        }
    }
}

/// By which ways a side can move bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Means {
    /// SOCKS5 bytestreams (XEP-0260).
    pub socks: bool,
    /// In-band bytestreams (XEP-0261).
    pub in_band: bool,
    /// Parts of files (XEP-0234 `range`); what the peer can is read from its offers.
    pub ranges: bool,
}

impl Means {
    /// Everything.
    pub const ALL: Self = Self { socks: true, in_band: true, ranges: true };
}
