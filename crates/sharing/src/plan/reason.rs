//! Why a source is left out of a plan, in words fit for people.

use std::time::SystemTime;

use balcony_wire::Jid;

use crate::Exposure;
use crate::cipher::SecretError;
use crate::net_rules::Refused;
use crate::plan::question::joined;
use crate::plan::{Concern, Outcome};

/// Why a source is left out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// A kind of source that this version does not fetch from.
    #[error("this version does not fetch from {0}")]
    Unsupported(&'static str),
    /// Only a device can be asked, and the offer names none.
    #[error("nobody can be asked: the offer names no device of the sender")]
    NoDevice,
    /// Only devices can be asked, and the account is not connected.
    #[error("people's devices can only be asked while your account is connected")]
    Offline,
    /// None of the devices meant is there.
    #[error("{0} is not there just now, or does not show it to you")]
    NobodyThere(Jid),
    /// Those that are there do not do it.
    #[error("{0} is there, and its program does not give files that way")]
    NotAble(Jid),
    /// The session in which it was offered.
    #[error("the session ended")]
    SessionOver,
    /// A file is asked for by its hash.
    #[error("without a usable hash nobody can be asked for it")]
    HashMissing,
    /// Somebody names the device of somebody else.
    #[error("only its owner can say that a device gives the file")]
    NotTheirs,
    /// A kind that nobody here knows.
    #[error("unknown kind of source")]
    UnknownKind,
    /// No URL, a scheme that is not fetched, a host that must not be reached.
    #[error("{0}")]
    Address(#[from] Refused),
    /// No digest proves the bytes, and somebody else than the sender names the source (XEP-0447 §6).
    #[error("without a usable hash only the sender's own sources count")]
    NotTheSenders,
    /// No digest proves the bytes, and the way is not secure (XEP-0447 §6).
    #[error("without a usable hash only secure sources count")]
    InsecureUnproven,
    /// The sender asks for headers, cookies or credentials in the request, and no digest proves the answer (decision 17).
    #[error("it needs request data from the sender, which is only sent where a usable hash proves the answer")]
    RequestDataUnproven,
    /// The sender asks for request data that is never sent.
    #[error("it needs request data that is never sent: {0}")]
    RequestData(String),
    /// Key, IV or cipher cannot be used.
    #[error("it is encrypted, and {0}")]
    Secret(SecretError),
    /// What is in an encrypted file is only known once it is there: size and digest must be known before (decision 11).
    #[error("it is encrypted, and its size or a usable hash is missing")]
    EncryptedUnproven,
    /// An encrypted source that names no place.
    #[error("it does not say where its bytes are")]
    NoPlace,
    /// A rule forbids it, or it is never done whatever the rules say.
    #[error("{}", forbidden(exposure, rule.as_ref()))]
    Forbidden {
        /// what it would reveal
        exposure: Exposure,
        /// which rule, counted from 1, and its text
        rule: Option<(usize, String)>,
    },
    /// It needs a yes, and something else does not or needs less.
    #[error("it is asked only after the others, and after asking you: {}", joined(.0))]
    NeedsAnswer(Vec<Concern>),
    /// The person said no to the file.
    #[error("you said no to it")]
    Declined,
    /// Somebody else than the sender names it: it needs a yes (XEP-0447 §6).
    #[error("{0}, who does not offer the file, says that it is there: it is asked only after the sender's own, and after asking you")]
    NamedByOther(Jid),
    /// It failed for good.
    #[error("tried before: {0}")]
    Failed(Outcome),
    /// It failed lately.
    #[error("tried a short while ago: {outcome}")]
    Later {
        /// what happened
        outcome: Outcome,
        /// when it may be tried again
        until: SystemTime,
    },
}

impl Reason {
    /// When the reason is over by itself.
    pub fn until(&self) -> Option<SystemTime> {
        match self {
            Self::Later { until, .. } => Some(*until),
            _ => None,
        }
    }

    /// The word that `explain` and programs use.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unsupported(_) => "unsupported",
            Self::NoDevice => "no-device",
            Self::Offline => "offline",
            Self::NobodyThere(_) => "nobody-there",
            Self::NotAble(_) => "not-able",
            Self::SessionOver => "session-over",
            Self::HashMissing => "hash-missing",
            Self::NotTheirs => "not-theirs",
            Self::UnknownKind => "unknown-kind",
            Self::Address(_) => "address-refused",
            Self::NotTheSenders => "not-the-senders",
            Self::InsecureUnproven => "insecure-unproven",
            Self::RequestDataUnproven => "request-data-unproven",
            Self::RequestData(_) => "request-data-refused",
            Self::Secret(_) => "secret-unusable",
            Self::EncryptedUnproven => "encrypted-unproven",
            Self::NoPlace => "no-place",
            Self::Forbidden { .. } => "forbidden",
            Self::NeedsAnswer(_) => "needs-answer",
            Self::NamedByOther(_) => "named-by-other",
            Self::Declined => "declined",
            Self::Failed(_) => "failed",
            Self::Later { .. } => "later",
        }
    }
}

fn forbidden(exposure: &Exposure, rule: Option<&(usize, String)>) -> String {
    match rule {
        Some((number, rule)) => format!("your rule {number} forbids it ({rule}): {exposure}"),
        None => format!("that is never done: {exposure}"),
    }
}
