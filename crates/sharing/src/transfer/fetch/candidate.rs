//! A source of the plan and how it fares.

use std::time::Instant;

use balcony_wire::Jid;
use url::Url;

use crate::cipher::Envelope;
use crate::plan::{Attempt, How, HttpRequest};
use crate::transfer::{Patience, SessionRequest};
use crate::{Exposure, ExposureKind, NamedBy, SourceKey};

/// A source of the plan and how it fares.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) source: SourceKey,
    /// The sender of the offer names it, or it is a device of one's own.
    pub(super) is_named: bool,
    pub(super) asked: Asked,
    /// What its bytes come in, and the mark of that.
    pub(super) envelope: Option<(Envelope, String)>,
    /// In a row, without getting further than ever before.
    pub(super) failures: u32,
    /// Failures of the same device, asked in another way: it comes behind others, and is not given up for them.
    pub(super) doubts: u32,
    /// Bytes in staging when it failed, at most.
    pub(super) furthest: u64,
    pub(super) not_before: Option<Instant>,
    pub(super) is_out: bool,
    /// It is out because its bytes did not fit those of the person who offers the file.
    pub(super) is_misfit: bool,
    /// As a server: it took back what it had given before.
    pub(super) starts_over: bool,
    /// As a device: how long it was waited for when it was asked last.
    pub(super) silence: Patience,
}

/// How it is asked.
#[derive(Debug)]
pub(super) enum Asked {
    Url(Box<HttpRequest>),
    Session(Box<SessionRequest>),
}

impl Candidate {
    /// `None` for bits of binary: they are small and come whole, see [`crate::transfer::bits`]. `size` is that of the offer.
    pub(super) fn new(attempt: &Attempt, size: Option<u64>) -> Option<Self> {
        let url = |http: &HttpRequest| Asked::Url(Box::new(http.clone()));
        let (asked, envelope) = match &attempt.how {
            How::Http(request) => (url(request), None),
            How::Encrypted { cipher, http, ciphertext } => {
                (url(http), Some((Envelope { secret: cipher.clone(), size, ciphertext: ciphertext.clone() }, cipher.mark())))
            }
            How::Session(request) => (Asked::Session(request.clone()), None),
            How::Bits { .. } | How::Carried { .. } => return None,
        };
        Some(Self {
            source: attempt.source.clone(),
            is_named: attempt.named_by == NamedBy::Sender,
            asked,
            envelope,
            failures: 0,
            doubts: 0,
            furthest: 0,
            not_before: None,
            is_out: false,
            is_misfit: false,
            starts_over: false,
            silence: Patience::Full,
        })
    }

    /// Tells its envelope from others; `None` for plain bytes.
    pub(super) fn mark(&self) -> Option<&str> {
        self.envelope.as_ref().map(|(_, mark)| mark.as_str())
    }

    /// The device that is asked, if it is one.
    pub(super) fn device(&self) -> Option<&Jid> {
        match &self.asked {
            Asked::Session(request) => Some(&request.peer),
            Asked::Url(_) => None,
        }
    }

    /// Whether it is a session whose other side says a hash behind the bytes.
    pub(super) fn promises_hash(&self) -> bool {
        matches!(&self.asked, Asked::Session(request) if request.promises_hash())
    }

    /// Whether it is a session that cannot be asked a second time.
    pub(super) fn is_offered(&self) -> bool {
        matches!(&self.asked, Asked::Session(request) if request.is_offered())
    }

    /// Whether its bytes are taken although nothing proves them.
    pub(super) fn takes_unproven(&self) -> bool {
        !matches!(&self.asked, Asked::Session(request) if request.promises_hash() && !request.takes_unproven)
    }

    /// Whether a tag proves its bytes where no digest does.
    pub(super) fn has_tag(&self) -> bool {
        self.envelope.as_ref().is_some_and(|(envelope, _)| envelope.secret.cipher().has_tag())
    }
}

/// What following a redirect would reveal, if that is more than the person's rules allow. Its own host learns nothing new.
pub(super) fn reveals_more(asked: &HttpRequest, to: &Url, planned: &[ExposureKind]) -> Option<Exposure> {
    let is_own = to.host() == asked.url.host() && to.scheme() == asked.url.scheme();
    if is_own { None } else { asked.redirects.refusal(to, planned) }
}
