//! Fetches one file by a plan: resumes by range, goes on from another source where one fails, stops at more bytes than announced,
//! and is done only when the digests were judged. RFC 9110 §14; XEP-0447 §3.2 and §6.
//!
//! The driver owns the staging file, the [`crate::Hasher`] (for what [`crate::Claim::algos`] names, and whatever else it
//! wants to know) and the connection. It feeds what happens and performs every [`Action`], in order, until there is none; of each
//! chunk it writes and hashes the [`Portion`] it is told to. A job that is dropped leaves the staging file as it is; the last
//! [`Action::Note`] holds what a later job needs to know about it.
//!
//! A session with somebody's device is a source like any other: what came by HTTP is gone on with there, and the other way round. It stays
//! open until the bytes were judged, and hears how it ended. One that was offered to us can be had once: it stands behind bytes of the same
//! person alone, and what others give behind those is cut off again, without them, if the whole is wrong.
//!
//! Encrypted files (XEP-0448 §3.2) are opened on the way: the machine counts encrypted bytes, which lie where the plain ones do, the
//! staging file holds plain ones. Nothing of them is done before tag or padding, the digests of the encrypted bytes and those of the
//! offer were judged.
//!
//! XEP-0447 Stateless file sharing, v0.3.1 <https://xmpp.org/extensions/xep-0447.html>
//! XEP-0448 Encryption for stateless file sharing, v0.2.0 <https://xmpp.org/extensions/xep-0448.html>

mod candidate;
mod job;
mod judging;
mod response;
mod session;
mod stage;

pub use job::FetchJob;

use std::ops::Range;
use std::time::Duration;

use candidate::Candidate;

use crate::cipher::{Envelope, Fault, Opened};
use crate::plan::Outcome;
use crate::transfer::{OpenSession, OpenUrl, SessionEnd};
use crate::{ByteLen, Hashed, Plan, SourceKey, Unproven, Verified};

/// What the driver is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Make this request; answer with `handle_opened` or `handle_failed`.
    Open(OpenUrl),
    /// Drop the request or the body that is under way; nothing about it is fed any more.
    Close,
    /// Open this session; answer with `handle_session` or `handle_session_failed`.
    OpenSession(Box<OpenSession>),
    /// End the session that is under way, or whose bytes have ended, and tell it so; nothing about it is fed any more.
    EndSession(SessionEnd),
    /// Cut the staging file to so many bytes and begin a fresh hasher, which has seen these; what comes is plain.
    Cut(u64),
    /// What comes into the empty staging file is encrypted: send each [`Portion`] through a fresh [`crate::cipher::Decipher`], write and
    /// hash what it gives out, and hash the encrypted bytes for what [`Envelope::ciphertext`] names.
    Through(Envelope),
    /// Write the resume point beside the staging file.
    Note(ResumePoint),
    /// Put this into the history.
    Record(SourceKey, Outcome),
    /// All bytes are there: sync the staging file, finish the hasher, answer with `handle_hashed`, or with `handle_unwrapped` if
    /// they came through an envelope.
    Finish,
    /// The end: commit the staging file as what it is.
    Done(Fetched),
    /// The end: no source gave the file. The staging file may serve another try.
    Failed(FetchFailed),
}

/// The part of a chunk to write and to hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Portion(pub Range<usize>);

impl Portion {
    /// Nothing of it.
    pub const NONE: Self = Self(0..0);

    /// The bytes to write and to hash.
    pub fn of<'a>(&self, chunk: &'a [u8]) -> &'a [u8] {
        chunk.get(self.0.clone()).unwrap_or_default()
    }
}

/// What was fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// It is what the offer says.
    Verified(Verified),
    /// Nothing in the offer could prove it.
    Unproven(Unproven),
}

/// Bytes at the front that the person who offers the file gave: what others give stands behind them for a trial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    /// The last of their sessions.
    pub source: SourceKey,
    /// How many.
    pub len: u64,
}

/// What a later job needs to know about a staging file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResumePoint {
    /// Bytes in it.
    pub len: u64,
    /// The only source they came from; `None` if there were several, or none.
    pub source: Option<SourceKey>,
    /// What the server called the version of the file they are part of.
    pub validator: Option<String>,
    /// The mark of the secret that opened them ([`crate::cipher::Secret::mark`]); `None` if they came as they are. Plain and
    /// encrypted sources, and those of different secrets, never mix in one file.
    pub envelope: Option<String>,
    /// Of bytes by several sources, those that the person who offers the file gave.
    pub base: Option<Base>,
}

impl ResumePoint {
    /// What the staged bytes came through, if a plan still holds the secret. Whoever resumes keeps what [`Envelope::keeps`] says and sends
    /// it through [`crate::cipher::Decipher::relearn`]. `size` is that of the offer.
    #[must_use]
    pub fn envelope_in(&self, plan: &Plan, size: Option<u64>) -> Option<Envelope> {
        let mark = self.envelope.as_deref()?;
        let mut candidates = plan.attempts.iter().filter_map(|attempt| Candidate::new(attempt, size));
        candidates.find(|candidate| candidate.mark() == Some(mark))?.envelope.map(|(envelope, _)| envelope)
    }
}

/// What became of encrypted bytes, beside the digests of what was in them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unwrapped {
    /// Whether their end was right.
    pub end: Result<Opened, Fault>,
    /// Digests of the encrypted bytes, where any were asked for.
    pub ciphertext: Option<Hashed>,
}

/// No source gave the file: every one that was tried, and how it ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.words())]
pub struct FetchFailed {
    /// In the order they happened.
    pub outcomes: Vec<(SourceKey, Outcome)>,
    /// Bytes that are kept for another try.
    pub kept: u64,
}

impl FetchFailed {
    /// The last word of each source, in the order they were tried first.
    fn words(&self) -> String {
        let mut last: Vec<(&SourceKey, &Outcome)> = Vec::new();
        for (source, outcome) in &self.outcomes {
            match last.iter_mut().find(|(known, _)| *known == source) {
                Some((_, known)) => *known = outcome,
                None => last.push((source, outcome)),
            }
        }
        let told: Vec<String> = last.iter().map(|(source, outcome)| format!("{}: {outcome}", source.whom().unwrap_or_default())).collect();
        let told = if told.is_empty() { "there is no source left to try".to_owned() } else { told.join("; ") };
        match self.kept {
            0 => format!("the file could not be fetched: {told}"),
            kept => format!("the file could not be fetched: {told}; {} are kept for another try", ByteLen(kept)),
        }
    }

    /// Whether trying again can help by itself.
    pub fn is_passing(&self) -> bool {
        self.outcomes.iter().any(|(_, outcome)| !outcome.is_final())
    }
}

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes in staging.
    pub have: u64,
    /// Bytes announced by the offer, else by the server.
    pub total: Option<u64>,
}

/// Patience and bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchSettings {
    /// From the request to the head of the answer.
    pub open_timeout: Duration,
    /// From asking a device for a session until its bytes begin: it may have to try several ways.
    pub session_timeout: Duration,
    /// Between two chunks; a few bytes now and then are no chunk.
    pub stall_timeout: Duration,
    /// Failures of one source in a row, without a byte gained, before it is given up.
    pub tries: u32,
    /// Wait after the first failure; doubled with each further one.
    pub back_off: Duration,
    /// The longest wait, also where the server asks for more.
    pub longest_wait: Duration,
    /// Bytes taken where the offer announces no size.
    pub unannounced_limit: u64,
}

impl Default for FetchSettings {
    fn default() -> Self {
        Self {
            open_timeout: Duration::from_secs(30),
            session_timeout: Duration::from_secs(90),
            stall_timeout: Duration::from_secs(30),
            tries: 3,
            back_off: Duration::from_secs(1),
            longest_wait: Duration::from_secs(60),
            unannounced_limit: 4 << 30,
        }
    }
}
