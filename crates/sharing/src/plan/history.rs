//! What happened when sources were tried: data that goes back into the next plan.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use crate::SourceKey;

/// What happened before, for one offer or for many: records are found by source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    records: Vec<Record>,
}

/// One attempt and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Which source.
    pub source: SourceKey,
    /// How it ended.
    pub outcome: Outcome,
    /// When.
    pub at: SystemTime,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Outcome {
    /// With the right bytes, or with all bytes where nothing can prove them.
    #[error("it gave the file")]
    Fetched,
    /// It alone gave all bytes, and they are not those of the offer.
    #[error("it gave other bytes than those offered")]
    WrongBytes,
    /// Its encrypted bytes do not bear the tag of their key: somebody changed them.
    #[error("it gave encrypted bytes without the right tag")]
    WrongTag,
    /// Its encrypted bytes do not end as the cipher wants.
    #[error("it gave encrypted bytes that do not end in a proper padding")]
    WrongPadding,
    /// The file is not there any more (404, 410).
    #[error("the file is no longer there (status {0})")]
    Gone(u16),
    /// The server will not give it (401, 403 and other refusals).
    #[error("the server does not give it out (status {0})")]
    Refused(u16),
    /// The server has a problem of its own (5xx, 408, 429).
    #[error("the server is not able to give it now (status {0})")]
    ServerFailed(u16),
    /// An answer that makes no sense here.
    #[error("the server answered in a way that cannot be used (status {0})")]
    Unusable(u16),
    /// A range other than the one asked for.
    #[error("the server sent another part of the file than the one asked for")]
    WrongRange,
    /// More bytes than announced: stopped.
    #[error("it has more than the {0} bytes announced")]
    TooLong(u64),
    /// The body ended before its time.
    #[error("it ended after {got} of {expected} bytes")]
    TooShort {
        /// bytes there
        got: u64,
        /// bytes that should have been
        expected: u64,
    },
    /// A redirect or an address that is not followed.
    #[error("{0}")]
    Blocked(String),
    /// No connection, no TLS, or one that broke.
    #[error("{0}")]
    Unreachable(String),
    /// A device that was asked does not give it, or something else.
    #[error("the sender's device does not give it: {0}")]
    NotGiven(String),
    /// A device says in a session that it does not give it, or that it is over.
    #[error("{0}")]
    Withheld(String),
    /// A device that may have it cannot be reached in a session.
    #[error("{0}")]
    NoWay(String),
    /// All bytes came, and the hash that was promised did not.
    #[error("it promised a hash and gave none, so nothing proves what came")]
    NoProof,
    /// All bytes are there, and together they are not the file: those of this session, or those that were there before it, are of another
    /// one. Nothing of them is kept; offered once more, it comes from the beginning.
    #[error("what it gave does not fit what was there before, and all of it was thrown away")]
    Misfit,
    /// Silence for too long.
    #[error("it stopped sending for {0} seconds")]
    Stalled(u64),
}

impl Outcome {
    /// A word for the catalogue and for programs; [`Outcome::from_record`] reads it with [`Outcome::detail`].
    pub fn code(&self) -> &'static str {
        match self {
            Self::Fetched => "fetched",
            Self::WrongBytes => "wrong-bytes",
            Self::WrongTag => "wrong-tag",
            Self::WrongPadding => "wrong-padding",
            Self::Gone(_) => "gone",
            Self::Refused(_) => "refused",
            Self::ServerFailed(_) => "server-failed",
            Self::Unusable(_) => "unusable",
            Self::WrongRange => "wrong-range",
            Self::TooLong(_) => "too-long",
            Self::TooShort { .. } => "too-short",
            Self::Blocked(_) => "blocked",
            Self::Unreachable(_) => "unreachable",
            Self::NotGiven(_) => "not-given",
            Self::Withheld(_) => "withheld",
            Self::NoWay(_) => "no-way",
            Self::NoProof => "no-proof",
            Self::Misfit => "misfit",
            Self::Stalled(_) => "stalled",
        }
    }

    /// What else is known, as text; empty for nothing.
    pub fn detail(&self) -> String {
        match self {
            Self::Fetched | Self::WrongBytes | Self::WrongTag | Self::WrongPadding | Self::WrongRange | Self::NoProof | Self::Misfit => {
                String::new()
            }
            Self::Gone(status) | Self::Refused(status) | Self::ServerFailed(status) | Self::Unusable(status) => status.to_string(),
            Self::TooLong(number) | Self::Stalled(number) => number.to_string(),
            Self::TooShort { got, expected } => format!("{got}/{expected}"),
            Self::Blocked(words) | Self::Unreachable(words) | Self::NotGiven(words) | Self::Withheld(words) | Self::NoWay(words) => {
                words.clone()
            }
        }
    }

    /// From the catalogue; `None` for what nobody here wrote.
    pub fn from_record(code: &str, detail: &str) -> Option<Self> {
        let status = || detail.parse().ok();
        let number = || detail.parse().ok();
        Some(match code {
            "fetched" => Self::Fetched,
            "wrong-bytes" => Self::WrongBytes,
            "wrong-tag" => Self::WrongTag,
            "wrong-padding" => Self::WrongPadding,
            "gone" => Self::Gone(status()?),
            "refused" => Self::Refused(status()?),
            "server-failed" => Self::ServerFailed(status()?),
            "unusable" => Self::Unusable(status()?),
            "wrong-range" => Self::WrongRange,
            "too-long" => Self::TooLong(number()?),
            "too-short" => {
                let (got, expected) = detail.split_once('/')?;
                Self::TooShort { got: got.parse().ok()?, expected: expected.parse().ok()? }
            }
            "blocked" => Self::Blocked(detail.to_owned()),
            "unreachable" => Self::Unreachable(detail.to_owned()),
            "not-given" => Self::NotGiven(detail.to_owned()),
            "withheld" => Self::Withheld(detail.to_owned()),
            "no-proof" => Self::NoProof,
            "misfit" => Self::Misfit,
            "no-way" => Self::NoWay(detail.to_owned()),
            "stalled" => Self::Stalled(number()?),
            _ => return None,
        })
    }

    /// Whether it worked.
    pub fn is_success(&self) -> bool {
        *self == Self::Fetched
    }

    /// Whether the same source would do the same again: it is not asked any more for this offer.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::WrongBytes | Self::WrongTag | Self::WrongPadding | Self::TooLong(_) | Self::Gone(_))
    }
}

impl History {
    /// From records in the order they happened.
    #[must_use]
    pub fn new(records: Vec<Record>) -> Self {
        Self { records }
    }

    /// Adds what happened.
    pub fn push(&mut self, record: Record) {
        self.records.push(record);
    }

    /// The records, in the order they happened.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// What is known of each source.
    pub(super) fn pasts(&self) -> BTreeMap<&SourceKey, Past<'_>> {
        let mut pasts: BTreeMap<&SourceKey, Past<'_>> = BTreeMap::new();
        for record in &self.records {
            let past = pasts.entry(&record.source).or_insert(Past { last: record, failures: 0, fatal: None });
            past.last = record;
            past.failures = if record.outcome.is_success() { 0 } else { past.failures.saturating_add(1) };
            past.fatal = if record.outcome.is_final() { Some(record) } else { past.fatal };
        }
        pasts
    }
}

/// What is known of one source.
pub(super) struct Past<'a> {
    /// The last attempt.
    pub(super) last: &'a Record,
    /// How many failed in a row up to the last one.
    pub(super) failures: u32,
    /// It would do the same again, as it did here, whatever happened since.
    pub(super) fatal: Option<&'a Record>,
}

/// How long a source that failed so often in a row is left alone: 30 s, doubled each time, a day at most.
pub(super) fn back_off(failures: u32) -> Duration {
    Duration::from_secs(30 << failures.saturating_sub(1).min(12)).min(Duration::from_secs(24 * 60 * 60))
}
