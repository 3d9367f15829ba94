//! The side of the receiver.

use std::collections::VecDeque;
use std::time::Instant;

use balcony_wire::stanza::DefinedCondition;
use balcony_wire::stream_initiation::{FeatureNeg, Si, SiError, SiFile, SiRange};
use balcony_wire::{Element, Payload as _, StanzaError, ns};

use super::{Method, Settings};
use crate::transfer::Reach;

/// A file that is offered to us. Its iq is answered when somebody decided.
#[derive(Debug)]
pub struct Incoming {
    sid: String,
    size: u64,
    knows_ranges: bool,
    methods: Vec<Method>,
    settings: Settings,
    stage: Stage,
    actions: VecDeque<IncomingAction>,
}

#[derive(Debug)]
enum Stage {
    Waiting {
        until: Instant,
    },
    /// Taken: the sender is to open a stream.
    Opening {
        until: Instant,
        left: u64,
    },
    /// A stream stands.
    Moving {
        left: u64,
    },
    Over,
}

/// What whoever drives an [`Incoming`] is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IncomingAction {
    /// Answer the offer with this.
    Answer(Result<Element, StanzaError>),
    /// Expect a stream under the id of the offer, from its sender alone. The first byte of it is this one of the file.
    Expect {
        /// By which way.
        method: Method,
        /// First byte; 0 where the sender cannot begin in the middle.
        from: u64,
        /// How many come.
        length: u64,
    },
    /// The end: everything that was announced is there.
    Complete,
    /// The end, without the file. Close what is open.
    Failed(IncomingFailed),
}

/// Why a file did not come.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IncomingFailed {
    /// Nobody decided.
    #[error("nobody decided in time")]
    Undecided,
    /// We said no.
    #[error("it was declined")]
    Declined,
    /// They said nothing more.
    #[error("it was taken, and no stream was opened")]
    NoStream,
    /// The stream ended early.
    #[error("the stream ended with {left} bytes missing")]
    TooShort {
        /// bytes that did not come
        left: u64,
    },
    /// More came.
    #[error("more bytes came than were announced")]
    TooLong,
    /// The stream broke.
    #[error("the stream broke: {0}")]
    Broken(String),
}

/// Why an offer is refused as soon as it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No way to stream fits.
    #[error("it names no way for the bytes that is known")]
    NoValidStreams,
    /// No file.
    #[error("it offers something that is no file")]
    BadProfile,
    /// It lacks what it needs.
    #[error("it lacks {0}")]
    Malformed(&'static str),
}

impl From<Refusal> for StanzaError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NoValidStreams => SiError::NoValidStreams.into(),
            Refusal::BadProfile => SiError::BadProfile.into(),
            Refusal::Malformed(what) => Self::new(DefinedCondition::BadRequest).with_text(format!("the offer lacks {what}")),
        }
    }
}

impl Incoming {
    /// Reads an offer, which then waits for a decision.
    ///
    /// # Errors
    /// With what to answer at once.
    pub fn read(now: Instant, si: &Si, settings: Settings) -> Result<Self, Refusal> {
        let sid = si.id.clone().filter(|sid| crate::provenance::is_usable_id(sid)).ok_or(Refusal::Malformed("an id"))?;
        if si.profile.as_deref() != Some(ns::SI_FILE_TRANSFER) {
            return Err(Refusal::BadProfile);
        }
        let file = si.file.as_ref().ok_or(Refusal::Malformed("a file"))?;
        file.name.as_ref().ok_or(Refusal::Malformed("a name"))?;
        let size = file.size.ok_or(Refusal::Malformed("a size"))?;
        let methods: Vec<Method> = si.feature.iter().flat_map(FeatureNeg::methods).filter_map(Method::of).collect();
        if methods.is_empty() {
            return Err(Refusal::NoValidStreams);
        }
        let stage = Stage::Waiting { until: now + settings.decision };
        Ok(Self { sid, size, knows_ranges: file.range.is_some(), methods, settings, stage, actions: VecDeque::new() })
    }

    /// Id of the offer, and of the stream to come; only means something together with the sender.
    #[must_use]
    pub fn sid(&self) -> &str {
        &self.sid
    }

    /// Bytes of the whole file, as announced.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Whether in band was among the ways, so that a stream of that kind may come too when the better way failed.
    #[must_use]
    pub fn allows_in_band(&self) -> bool {
        self.methods.contains(&Method::InBand)
    }

    /// What to do; `None` until something happens.
    pub fn poll_action(&mut self) -> Option<IncomingAction> {
        self.actions.pop_front()
    }

    /// When [`Incoming::handle_timeout`] is due.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        match self.stage {
            Stage::Waiting { until } | Stage::Opening { until, .. } => Some(until),
            Stage::Moving { .. } | Stage::Over => None,
        }
    }

    /// Time passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return;
        }
        match self.stage {
            Stage::Waiting { .. } => {
                self.decline();
                self.fail(IncomingFailed::Undecided);
            }
            Stage::Opening { .. } => self.fail(IncomingFailed::NoStream),
            Stage::Moving { .. } | Stage::Over => {}
        }
    }

    /// Takes the file, from this byte on where the sender knows how. Who hides the address takes it in band where that is offered.
    pub fn accept(&mut self, now: Instant, from_byte: u64, reach: Reach) {
        if !matches!(self.stage, Stage::Waiting { .. }) {
            return;
        }
        let preferred = if reach == Reach::Relay { Method::InBand } else { Method::Socks5 };
        let method = if self.methods.contains(&preferred) { preferred } else { self.methods[0] };
        let from = if self.knows_ranges && from_byte <= self.size { from_byte } else { 0 };
        let range = (from > 0).then(|| SiFile { range: Some(SiRange { offset: Some(from), length: None }), ..SiFile::default() });
        let si = Si { file: range, feature: Some(FeatureNeg::choice(method.ns())), ..Si::default() };
        let length = self.size - from;
        self.stage = Stage::Opening { until: now + self.settings.opening, left: length };
        self.actions.push_back(IncomingAction::Answer(Ok(si.write())));
        self.actions.push_back(IncomingAction::Expect { method, from, length });
    }

    /// Says no.
    pub fn reject(&mut self) {
        if matches!(self.stage, Stage::Waiting { .. }) {
            self.decline();
            self.fail(IncomingFailed::Declined);
        }
    }

    fn decline(&mut self) {
        self.actions.push_back(IncomingAction::Answer(Err(SiError::Declined.into())));
    }

    /// A stream of the sender under the id of the offer stands.
    pub fn handle_stream(&mut self) {
        if let Stage::Opening { left, .. } = self.stage {
            self.stage = Stage::Moving { left };
        }
    }

    /// Bytes came.
    pub fn handle_arrived(&mut self, count: u64) {
        let Stage::Moving { left } = &mut self.stage else { return };
        match left.checked_sub(count) {
            Some(rest) => *left = rest,
            None => self.fail(IncomingFailed::TooLong),
        }
    }

    /// The stream ended, as its sender wished or not.
    pub fn handle_end(&mut self, end: Result<(), String>) {
        let Stage::Moving { left } = self.stage else { return };
        match end {
            // Whoever has everything need not mind how the line was cut.
            _ if left == 0 => {
                self.stage = Stage::Over;
                self.actions.push_back(IncomingAction::Complete);
            }
            Ok(()) => self.fail(IncomingFailed::TooShort { left }),
            Err(why) => self.fail(IncomingFailed::Broken(why)),
        }
    }

    fn fail(&mut self, why: IncomingFailed) {
        self.stage = Stage::Over;
        self.actions.push_back(IncomingAction::Failed(why));
    }
}
