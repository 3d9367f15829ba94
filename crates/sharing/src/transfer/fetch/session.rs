//! Sessions as sources of a fetch: opened from a byte, gone on with elsewhere where they break, told how they ended.
//!
//! XEP-0234 Jingle file transfer, v0.19.1 <https://xmpp.org/extensions/xep-0234.html>

use std::time::{Duration, Instant};

use super::Action;
use super::candidate::{Asked, Candidate};
use super::job::{FetchJob, Purity, Request, State, Target};
use super::response::Body;
use crate::DigestSet;
use crate::plan::Outcome;
use crate::transfer::{Patience, SessionEnd, SessionFailure};

impl FetchJob {
    /// The session stands; its first byte will be byte `from` of the file, which has `total` of them if the peer tells.
    pub fn handle_session(&mut self, now: Instant, from: u64, total: Option<u64>) {
        let State::Opening { request, .. } = &self.state else { return };
        let request = request.clone();
        if !matches!(request.to, Target::Session) {
            return;
        }
        if from > request.from {
            self.hang_up(SessionEnd::Broken);
            return self.fail(now, request.candidate, Outcome::WrongRange, None);
        }
        self.begin(now, request, Body { starts_at: from, ends_at: total, total }, None);
    }

    /// What the peer says in the session about all of the bytes (XEP-0234 §8.1), before their end is told. It proves what whoever offers
    /// the file gave; of others the offer asks for more than their word.
    pub fn handle_told(&mut self, told: &DigestSet) {
        if !self.claim.can_prove() {
            told.iter().for_each(|digest| {
                let _ = self.told.insert(digest.clone()); // the first word counts
            });
        }
    }

    /// There is no session, or it broke off.
    pub fn handle_session_failed(&mut self, now: Instant, failure: &SessionFailure) {
        let (State::Opening { request, .. } | State::Receiving { request, .. }) = &self.state else { return };
        let at = request.candidate;
        let outcome = match failure {
            // It broke, and that it is over since is no news: why it broke is what counts.
            SessionFailure::Over if self.candidates[at].failures > 0 => {
                self.candidates[at].is_out = true;
                return self.choose(now);
            }
            SessionFailure::Over | SessionFailure::NotGiven(_) => Outcome::Withheld(failure.words()),
            SessionFailure::Silent(_) if self.candidates[at].silence == Patience::Short => Outcome::Unreachable(failure.words()),
            SessionFailure::Offline | SessionFailure::NoWay(_) | SessionFailure::Silent(_) | SessionFailure::NoAnswer(_) => {
                Outcome::NoWay(failure.words())
            }
            SessionFailure::Broken(_) => Outcome::Unreachable(failure.words()),
        };
        self.fail(now, at, outcome, None);
    }

    pub(super) fn open_session(&mut self, now: Instant, at: usize) {
        let from = self.stake(at);
        let patience = self.silence(at);
        let Asked::Session(request) = &self.candidates[at].asked else { return };
        self.actions.push_back(Action::OpenSession(Box::new(request.from_byte(from, patience))));
        self.candidates[at].silence = patience;
        let request = Request { candidate: at, to: Target::Session, from };
        self.state = State::Opening { request, deadline: now + self.settings.session_timeout };
    }

    /// How long a device may be silent. One that was killed is shown as present for minutes: as long as somebody else was not asked at
    /// all, the first word has to come soon. It costs a slow one nothing but its turn, and nobody is asked while another may still answer.
    fn silence(&self, at: usize) -> Patience {
        let this = &self.candidates[at];
        let is_untried = |other: &Candidate| !other.is_out && other.failures + other.doubts == 0;
        let is_else = |other: &Candidate| is_untried(other) && other.device() != this.device();
        // One that waits for our answer was there a moment ago, and cannot be asked twice.
        let is_risky = this.is_offered() || self.purity == Purity::Alone || !is_untried(this);
        if !is_risky && self.candidates.iter().any(is_else) { Patience::Short } else { Patience::Full }
    }

    /// Behind how many of the staged bytes a source may go on, as far as that can cost it its only try. A session that was offered is one
    /// answer: taken from the middle, it is spent if the bytes before turn out to be wrong. So it stands behind those of the same person's
    /// devices alone; what anybody else gave, a web server too, is thrown away when its own first byte comes.
    pub(super) fn stake(&self, at: usize) -> u64 {
        match &self.candidates[at].asked {
            Asked::Session(request) if request.is_offered() => {
                let person = request.peer.bare();
                let is_theirs = self.stage.offerer().is_some_and(|offerer| offerer == person);
                match self.stage.is_of(&person) {
                    true => self.stage.len(),
                    false => Some(self.base()).filter(|_| is_theirs).unwrap_or_default(),
                }
            }
            Asked::Session(_) | Asked::Url(_) => self.stage.len(),
        }
    }

    /// How long an answer may take.
    pub(super) fn patience(&self, to: &Target) -> Duration {
        match to {
            Target::Url { .. } => self.settings.open_timeout,
            Target::Session => self.settings.session_timeout,
        }
    }

    /// All bytes are there: a session may stay open for more words, and nobody waits for them where a digest proves the bytes.
    pub(super) fn finish_session(&mut self, at: usize) {
        let is_session = matches!(self.candidates[at].asked, Asked::Session(_));
        if is_session && self.claim.can_prove() && self.claim.size == Some(self.stage.len()) {
            self.finish(Some(at));
        }
    }

    /// A session of which the bytes have ended hears what came of them.
    pub(super) fn tell_session(&mut self, by: Option<usize>, end: SessionEnd) {
        if by.is_some_and(|at| matches!(self.candidates[at].asked, Asked::Session(_))) {
            self.actions.push_back(Action::EndSession(end));
        }
    }

    /// Ends a session whose bytes ended too early; a request by HTTP is over by itself then.
    pub(super) fn hang_up_session(&mut self, end: SessionEnd) {
        if let State::Receiving { request: Request { to: Target::Session, .. }, .. } = &self.state {
            self.actions.push_back(Action::EndSession(end));
        }
    }
}
