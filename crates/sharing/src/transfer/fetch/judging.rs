//! The end of a fetch: what came is judged, whoever gave wrong bytes is blamed, a session hears how it ended.

use std::time::Instant;

use super::job::{FetchJob, Purity, State};
use super::{Action, Fetched, Unwrapped};
use crate::cipher::Fault;
use crate::plan::Outcome;
use crate::transfer::SessionEnd;
use crate::{Claim, Hashed, SourceKey, Verdict};

impl FetchJob {
    /// The hasher is finished, and the bytes came as they are.
    pub fn handle_hashed(&mut self, now: Instant, hashed: Hashed) {
        let State::Hashing { by } = self.state else { return };
        if hashed.size() != self.stage.len() || self.stage.mark().is_some() {
            self.tell_session(by, SessionEnd::Stopped);
            return self.mistrust(now);
        }
        match self.claim_about(&hashed).judge(hashed) {
            Verdict::Verified(verified) => self.done(by, Fetched::Verified(verified)),
            Verdict::Unproven(_) if self.leans || self.wants_proof(by) => self.no_proof(now, by),
            Verdict::Unproven(unproven) => self.done(by, Fetched::Unproven(unproven)),
            Verdict::Mismatch(_) => self.wrong_bytes(now, by, Outcome::WrongBytes),
        }
    }

    /// Whether whoever gave the last bytes promised a hash that nobody agreed to do without; where an earlier try gave them all, whether
    /// anybody did.
    fn wants_proof(&self, by: Option<usize>) -> bool {
        match by {
            Some(at) => !self.candidates[at].takes_unproven(),
            None => self.candidates.iter().any(|candidate| !candidate.takes_unproven()),
        }
    }

    /// A hash was promised for these bytes and did not come.
    fn no_proof(&mut self, now: Instant, by: Option<usize>) {
        self.tell_session(by, SessionEnd::Broken);
        if let Some(at) = by {
            self.candidates[at].is_out = true;
            self.record(at, Outcome::NoProof);
        }
        self.mistrust(now);
    }

    /// The hashers are finished, and the bytes came through an envelope.
    pub fn handle_unwrapped(&mut self, now: Instant, hashed: Hashed, unwrapped: &Unwrapped) {
        let State::Hashing { by } = self.state else { return };
        let Some(ciphertext) = self.envelope().map(|envelope| envelope.ciphertext.clone()) else { return self.mistrust(now) };
        let opened = match unwrapped.end {
            Ok(opened) if opened.wire() == self.stage.len() => opened,
            Ok(_) => return self.mistrust(now),
            Err(fault) => return self.wrong_bytes(now, by, outcome(fault)),
        };
        if !ciphertext.fit(unwrapped.ciphertext.as_ref()) {
            return self.wrong_bytes(now, by, Outcome::WrongBytes);
        }
        match self.claim.judge_opened(hashed, &opened) {
            Verdict::Verified(verified) => self.done(by, Fetched::Verified(verified)),
            Verdict::Unproven(_) => self.wrong_bytes(now, by, Outcome::WrongTag), // there was none, and nothing else could tell
            Verdict::Mismatch(_) => self.wrong_bytes(now, by, Outcome::WrongBytes),
        }
    }

    /// The staging file is not what this machine was told: nothing in it can be trusted.
    fn mistrust(&mut self, now: Instant) {
        self.cut(0);
        self.state = State::Choosing;
        self.choose(now);
    }

    /// Wrong bytes: blames who gave them all; where several did, or an earlier job, each is asked once more alone. A session that cannot be
    /// asked again hears that it may be offered again.
    fn wrong_bytes(&mut self, now: Instant, by: Option<usize>, outcome: Outcome) {
        if self.base() > 0 && self.stage.has_others() {
            return self.does_not_fit(now, by);
        }
        let position = |culprit: &SourceKey| self.candidates.iter().position(|candidate| candidate.source == *culprit);
        let culprit = if self.stage.is_blank() { by } else { self.stage.culprit().and_then(position) };
        let misfit = by.filter(|at| culprit.is_none() && self.candidates[*at].is_offered());
        let end = match (culprit, misfit) {
            (Some(_), _) if culprit == by => SessionEnd::Wrong,
            (_, Some(_)) => SessionEnd::Misfit,
            _ => SessionEnd::Stopped,
        };
        self.tell_session(by, end);
        match culprit.map(|at| (at, outcome)).or(misfit.map(|at| (at, Outcome::Misfit))) {
            Some((at, outcome)) => {
                self.candidates[at].is_out = true;
                self.record(at, outcome);
            }
            None if self.stage.is_blank() => return self.give_up(), // nobody gave anything: asking again would change nothing
            None => {}
        }
        self.purity = Purity::Alone;
        self.cut(0);
        self.state = State::Choosing;
        self.choose(now);
    }

    /// Wrong bytes, of which those at the front are of the person who offers the file. They stay; whoever gave the others is left out,
    /// or, where that were several, asked once more alone.
    fn does_not_fit(&mut self, now: Instant, by: Option<usize>) {
        let intruder = self.stage.intruder().and_then(|giver| self.candidates.iter().position(|candidate| candidate.source == *giver));
        self.tell_session(by, if intruder.is_some() { SessionEnd::Misfit } else { SessionEnd::Stopped });
        match intruder {
            Some(at) => {
                self.candidates[at].is_out = true;
                match self.candidates[at].is_named {
                    true => self.candidates[at].is_misfit = true, // it may still be right, and those at the front wrong
                    false => self.record(at, Outcome::Misfit),
                }
            }
            None => self.purity = Purity::Alone,
        }
        self.cut(self.base());
        self.state = State::Choosing;
        self.choose(now);
    }

    /// Nobody fits behind the bytes at the front, not even who was named by the same person: perhaps they are wrong themselves. Who was
    /// named is asked once more alone, from the first byte. Nobody else can bring that about.
    pub(super) fn doubt_base(&mut self, now: Instant) {
        self.purity = Purity::Alone;
        self.cut(0);
        self.choose(now);
    }

    /// The claim, with what the sender said of the bytes while they came, as far as it was computed.
    fn claim_about(&self, hashed: &Hashed) -> Claim {
        let mut claim = self.claim.clone();
        for digest in self.told.iter().filter(|digest| hashed.digests().get(digest.algo()).is_some()) {
            let _ = claim.digests.insert(digest.clone()); // where the offer says another one, the offer counts
        }
        claim
    }

    fn done(&mut self, by: Option<usize>, fetched: Fetched) {
        self.tell_session(by, SessionEnd::Kept);
        for source in self.stage.givers().to_vec() {
            self.actions.push_back(Action::Record(source, Outcome::Fetched));
        }
        self.actions.push_back(Action::Done(fetched));
        self.state = State::Over;
    }
}

fn outcome(fault: Fault) -> Outcome {
    match fault {
        Fault::Tag => Outcome::WrongTag,
        Fault::Padding => Outcome::WrongPadding,
        Fault::Truncated { got, expected } => Outcome::TooShort { got, expected },
    }
}
