//! The side of the sender.

use std::collections::VecDeque;
use std::time::Instant;

use balcony_wire::stanza::DefinedCondition;
use balcony_wire::stream_initiation::{FeatureNeg, Si, SiError, SiFile, SiRange};
use balcony_wire::{Element, Payload as _, StanzaError, ns};

use super::{Method, Settings};

/// A file that we offer.
#[derive(Debug)]
pub struct Offering {
    file: SiFile,
    media_type: Option<String>,
    size: u64,
    settings: Settings,
    offered: Vec<Method>,
    stage: Stage,
    actions: VecDeque<OfferingAction>,
}

#[derive(Debug)]
enum Stage {
    Asked {
        until: Instant,
    },
    /// Its answer was taken.
    Agreed {
        method: Method,
    },
    Over,
}

/// What whoever drives an [`Offering`] is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OfferingAction {
    /// Send this to the peer by iq set; its answer goes to [`Offering::handle_answer`].
    Ask(Element),
    /// Open a byte stream under the id of the offer, and send this part of the file.
    Begin {
        /// By which way.
        method: Method,
        /// First byte.
        from: u64,
        /// How many.
        length: u64,
    },
    /// The end, without the file.
    Failed(OfferingFailed),
}

/// Why a file was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OfferingFailed {
    /// A person, or their rules.
    #[error("it was declined{}", words(.0))]
    Declined(Option<String>),
    /// They know no way to stream that we know.
    #[error("they know no way for the bytes that we know")]
    NoWay,
    /// They do not know files.
    #[error("they do not take files this way")]
    NoFiles,
    /// Any other error.
    #[error("they refused it: {0}")]
    Refused(String),
    /// Nobody said anything.
    #[error("nobody answered in time")]
    Silent,
    /// What they answer makes no sense.
    #[error("their answer makes no sense: {0}")]
    BadAnswer(&'static str),
    /// The stream could not be opened, and there is no other way to try.
    #[error("the stream for the bytes could not be opened: {0}")]
    NoStream(String),
}

fn words(text: &Option<String>) -> String {
    text.as_ref().map(|text| format!(": {text}")).unwrap_or_default()
}

impl Offering {
    /// Offers the file at once, under an id that nobody can guess. `methods` are those to choose from.
    ///
    /// The file needs name and size (XEP-0096 §3); what else is said about it is the caller's choice.
    #[must_use]
    pub fn new(now: Instant, sid: &str, file: SiFile, media_type: Option<String>, methods: &[Method], settings: Settings) -> Self {
        let file = SiFile { range: Some(SiRange::default()), ..file };
        let size = file.size.unwrap_or_default();
        let stage = Stage::Over;
        let mut offering = Self { file, media_type, size, settings, offered: Vec::new(), stage, actions: VecDeque::new() };
        offering.ask(now, sid, methods);
        offering
    }

    fn ask(&mut self, now: Instant, sid: &str, methods: &[Method]) {
        self.offered = Method::ALL.into_iter().filter(|method| methods.contains(method)).collect();
        self.stage = Stage::Asked { until: now + self.settings.decision };
        let si = Si {
            id: Some(sid.to_owned()),
            mime_type: self.media_type.clone(),
            profile: Some(ns::SI_FILE_TRANSFER.to_owned()),
            file: Some(self.file.clone()),
            feature: Some(FeatureNeg::offer(self.offered.iter().map(|method| method.ns()))),
            others: Vec::new(),
        };
        self.actions.push_back(OfferingAction::Ask(si.write()));
    }

    /// What to do; `None` until something happens.
    pub fn poll_action(&mut self) -> Option<OfferingAction> {
        self.actions.pop_front()
    }

    /// When [`Offering::handle_timeout`] is due.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        match self.stage {
            Stage::Asked { until } => Some(until),
            Stage::Agreed { .. } | Stage::Over => None,
        }
    }

    /// Time passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.deadline().is_some_and(|deadline| deadline <= now) {
            self.fail(OfferingFailed::Silent);
        }
    }

    /// The answer to the offer.
    pub fn handle_answer(&mut self, answer: Result<Option<&Element>, &StanzaError>) {
        if !matches!(self.stage, Stage::Asked { .. }) {
            return;
        }
        match answer.map(|element| self.agreed(element)) {
            Ok(Ok((method, from, length))) => {
                self.stage = Stage::Agreed { method };
                self.actions.push_back(OfferingAction::Begin { method, from, length });
            }
            Ok(Err(why)) => self.fail(OfferingFailed::BadAnswer(why)),
            Err(error) => self.fail(refused(error)),
        }
    }

    /// Way, first byte and length of what an answer asks for.
    fn agreed(&self, answer: Option<&Element>) -> Result<(Method, u64, u64), &'static str> {
        let si = answer.and_then(|element| Si::read(element).ok()).ok_or("it cannot be read")?;
        let chosen = si.feature.as_ref().and_then(FeatureNeg::chosen).ok_or("it chooses no way for the bytes")?;
        let method = Method::of(chosen).filter(|method| self.offered.contains(method)).ok_or("it chooses a way that was not offered")?;
        let range = si.file.and_then(|file| file.range).unwrap_or_default();
        let from = range.offset.unwrap_or(0);
        let rest = self.size.checked_sub(from).ok_or("it begins behind the end of the file")?;
        Ok((method, from, range.length.unwrap_or(rest).min(rest)))
    }

    /// The stream could not be opened. Where in band was offered too, the file is offered once more by that way alone, under a new id.
    pub fn handle_no_stream(&mut self, now: Instant, new_sid: &str, why: String) {
        match self.stage {
            Stage::Agreed { method: Method::Socks5 } if self.offered.contains(&Method::InBand) => {
                self.ask(now, new_sid, &[Method::InBand]);
            }
            Stage::Agreed { .. } => self.fail(OfferingFailed::NoStream(why)),
            Stage::Asked { .. } | Stage::Over => {}
        }
    }

    fn fail(&mut self, why: OfferingFailed) {
        self.stage = Stage::Over;
        self.actions.push_back(OfferingAction::Failed(why));
    }
}

fn refused(error: &StanzaError) -> OfferingFailed {
    match SiError::of(error) {
        Some(SiError::Declined) => OfferingFailed::Declined(error.text.clone()),
        Some(SiError::NoValidStreams) => OfferingFailed::NoWay,
        Some(SiError::BadProfile) => OfferingFailed::NoFiles,
        // COMPAT(Psi, Gajim): both say so instead of forbidden when the person declines
        None if error.condition == DefinedCondition::NotAcceptable => OfferingFailed::Declined(error.text.clone()),
        None => OfferingFailed::Refused(error.to_string()),
    }
}
