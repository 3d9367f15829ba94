//! Why one source did not give the file. Every attempt's failure is kept: together they are the answer to "why not?".

use std::time::Duration;

use crate::net_rules::Refused;
use crate::verify::Mismatch;

/// Why a source failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceFailure {
    /// The network rules forbid the URL, its address or a redirect of it.
    #[error("not asked: {0}")]
    Refused(#[from] Refused),
    /// No connection.
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    /// The certificate does not fit.
    #[error("its certificate is not to be trusted: {0}")]
    Certificate(String),
    /// The connection broke.
    #[error("the connection broke after {have} bytes: {why}")]
    Broken {
        /// bytes there by then, from whatever source
        have: u64,
        /// what the system says
        why: String,
    },
    /// Nothing came for too long.
    #[error("nothing came for {} seconds", .0.as_secs())]
    Stalled(Duration),
    /// 404
    #[error("the server does not have the file (404)")]
    NotFound,
    /// 410
    #[error("the file has expired (410)")]
    Gone,
    /// 401, 403
    #[error("the server does not let us fetch it ({0})")]
    Forbidden(u16),
    /// 429, 503 and other 5xx
    #[error("the server cannot now ({status})")]
    Busy {
        /// the status
        status: u16,
        /// when to come back, if told
        retry_after: Option<Duration>,
    },
    /// Any other answer.
    #[error("the server answered {0}, which is no answer to the request")]
    Status(u16),
    /// An answer that contradicts itself or the request.
    #[error("the server's answer makes no sense: {0}")]
    Nonsense(&'static str),
    /// More bytes than the offer announced, or than may be fetched.
    #[error("more bytes than the {limit} that were announced")]
    TooLong {
        /// bytes allowed
        limit: u64,
    },
    /// The body ended early.
    #[error("the body ended after {have} bytes of {expected}")]
    Short {
        /// bytes there
        have: u64,
        /// bytes expected
        expected: u64,
    },
    /// The bytes are not the file.
    #[error("{0}")]
    WrongBytes(#[from] Mismatch),
}

impl SourceFailure {
    /// Whether the same request may do better later in the same job.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Broken { .. } | Self::Stalled(_) | Self::Busy { .. } | Self::Short { .. })
    }

    /// Whether it is never to be asked for this file again.
    pub fn is_guilty(&self) -> bool {
        matches!(self, Self::WrongBytes(_) | Self::TooLong { .. })
    }

    pub(super) fn wish(&self) -> Option<Duration> {
        match self {
            Self::Busy { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}
