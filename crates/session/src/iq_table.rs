//! Requests under way, and who may answer them.
//!
//! RFC 6120 §8.1.2.1 and §8.2.3: an answer counts only with the id of a request *and* from the address that was asked.
//! For requests to the own account that is nobody named, the bare address, the full one, or the domain.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use balcony_wire::{BareJid, Element, FullJid, Iq, IqKind, Jid, StanzaError};

/// A request under way. Unique within a session, also when it is resumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub(crate) u64);

/// Why a request has no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The other side refused.
    #[error("{}refused: {error}", .from.as_ref().map(|jid| format!("{jid} ")).unwrap_or_default())]
    Refused {
        /// who; `None` is the own account
        from: Option<Jid>,
        /// its error
        error: StanzaError,
    },
    /// No answer in time.
    #[error("no answer in time")]
    TimedOut,
    /// The session ended before the answer came; whether the request was carried out is unknown.
    #[error("the connection was lost before the answer came")]
    Disconnected,
    /// Not logged in, so nothing was sent.
    #[error("not logged in")]
    NotOnline,
    /// The server would refuse its size.
    #[error("the request has {size} bytes, the server takes {limit}")]
    TooLarge {
        /// bytes of the request
        size: usize,
        /// what the server takes
        limit: usize,
    },
    /// Too much is under way.
    #[error("too many requests are under way")]
    TooMany,
}

#[derive(Clone, Debug)]
struct Pending {
    to: Option<Jid>,
    until: Instant,
}

/// The requests of one session.
#[derive(Clone, Debug)]
pub struct IqTable {
    account: BareJid,
    prefix: String,
    next: u64,
    pending: BTreeMap<u64, Pending>,
    deadlines: BTreeSet<(Instant, u64)>,
}

/// What became of an incoming iq.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Match {
    /// It answers this request.
    Answer(RequestId, Result<Option<Element>, RequestError>),
    /// It is a request of somebody else.
    Request(Iq),
    /// An answer to nothing we asked, or from somebody we did not ask: to be ignored (never answered, RFC 6120 §8.2.3).
    Stray,
}

impl IqTable {
    /// No requests yet. `prefix` makes ids unguessable.
    #[must_use]
    pub fn new(account: BareJid, prefix: String) -> Self {
        Self { account, prefix, next: 0, pending: BTreeMap::new(), deadlines: BTreeSet::new() }
    }

    /// Remembers a request and gives the id to send it with.
    pub fn begin(&mut self, to: Option<Jid>, until: Instant) -> (RequestId, String) {
        self.next += 1;
        self.pending.insert(self.next, Pending { to, until });
        self.deadlines.insert((until, self.next));
        (RequestId(self.next), format!("{}-{}", self.prefix, self.next))
    }

    /// Sorts an incoming iq.
    pub fn take(&mut self, iq: Iq, own: Option<&FullJid>) -> Match {
        let answer = match iq.kind {
            IqKind::Get(_) | IqKind::Set(_) => return Match::Request(iq),
            IqKind::Result(payload) => Ok(payload),
            IqKind::Error(error) => Err(RequestError::Refused { from: iq.from.clone(), error }),
        };
        let number = iq.id.strip_prefix(&self.prefix).and_then(|rest| rest.strip_prefix('-')).and_then(|rest| rest.parse().ok());
        let Some(number) = number else { return Match::Stray };
        let Some(pending) = self.pending.get(&number) else { return Match::Stray };
        if !self.may_answer(pending.to.as_ref(), iq.from.as_ref(), own) {
            return Match::Stray;
        }
        self.forget(number);
        Match::Answer(RequestId(number), answer)
    }

    /// Whether `from` may answer what was sent to `to`.
    fn may_answer(&self, to: Option<&Jid>, from: Option<&Jid>, own: Option<&FullJid>) -> bool {
        let account: &Jid = &self.account;
        let is_account = |jid: &Jid| jid == account;
        match (to, from) {
            (None, None) => true,
            (None, Some(from)) => is_account(from) || from.as_str() == self.account.domain() || own.is_some_and(|own| from == &**own),
            // The server answers for the account and for itself without naming itself.
            (Some(to), None) => is_account(to) || to.as_str() == self.account.domain(),
            (Some(to), Some(from)) => to == from,
        }
    }

    fn forget(&mut self, number: u64) {
        if let Some(pending) = self.pending.remove(&number) {
            self.deadlines.remove(&(pending.until, number));
        }
    }

    /// Forgets a request whose answer nobody waits for any more.
    pub fn cancel(&mut self, request: RequestId) {
        self.forget(request.0);
    }

    /// When the next request runs out of time.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(until, _)| *until)
    }

    /// A request that ran out of time, if there is one.
    pub fn expire(&mut self, now: Instant) -> Option<RequestId> {
        let (until, number) = *self.deadlines.first()?;
        if until > now {
            return None;
        }
        self.forget(number);
        Some(RequestId(number))
    }

    /// Forgets all requests and names them, oldest first.
    pub fn drain(&mut self) -> Vec<RequestId> {
        self.deadlines.clear();
        std::mem::take(&mut self.pending).into_keys().map(RequestId).collect()
    }

    /// Whether the answer to a request may still come.
    pub(crate) fn awaits(&self, request: RequestId) -> bool {
        self.pending.contains_key(&request.0)
    }

    /// All of them, oldest first.
    pub fn under_way(&self) -> Vec<RequestId> {
        self.pending.keys().copied().map(RequestId).collect()
    }

    /// How many are under way.
    pub fn len(&self) -> usize {
        self.pending.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }
}
