//! The machine of a fetch.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use url::Url;

use super::candidate::{Asked, Candidate, reveals_more};
use super::response::{Body, Meaning, meaning};
use super::stage::Stage;
use super::{Action, FetchFailed, FetchSettings, Portion, Progress, ResumePoint};
use crate::cipher::Envelope;
use crate::net_rules::{AddressRule, follow, is_same_origin};
use crate::plan::{How, Outcome};
use crate::transfer::{NetFailure, OpenUrl, ResponseHead, SessionEnd};
use crate::{Claim, DigestSet, ExposureKind, NetRules, Plan, SourceKey};

/// Fetches one file by a plan. See the [module](super) for how it is driven.
#[derive(Debug)]
pub struct FetchJob {
    pub(super) claim: Claim,
    pub(super) rules: NetRules,
    pub(super) settings: FetchSettings,
    pub(super) candidates: Vec<Candidate>,
    /// What asking the sources of the plan reveals: the person's rules allowed it.
    planned: Vec<ExposureKind>,
    pub(super) stage: Stage,
    pub(super) purity: Purity,
    pub(super) state: State,
    told_total: Option<u64>,
    /// What the sender said of the bytes in the session that gave them.
    pub(super) told: DigestSet,
    /// Bytes stand behind others only because a hash was promised: without it they are worth nothing.
    pub(super) leans: bool,
    outcomes: Vec<(SourceKey, Outcome)>,
    pub(super) actions: VecDeque<Action>,
}

/// Whether bytes of several sources may stand in one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purity {
    /// They may: a digest will tell.
    Mixed,
    /// They may not: nothing could tell, or mixing went wrong before.
    Alone,
}

#[derive(Debug)]
pub(super) enum State {
    /// Nothing under way; the next step is chosen at once.
    Choosing,
    /// A source is asked again at that time.
    Waiting {
        until: Instant,
    },
    Opening {
        request: Request,
        deadline: Instant,
    },
    Receiving {
        request: Request,
        body: Receiving,
        deadline: Instant,
    },
    /// The driver finishes the digests; the source that gave the last of the bytes, if one did in this job. If that was a session, it
    /// still waits to hear how it ends.
    Hashing {
        by: Option<usize>,
    },
    Paused,
    Over,
}

#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) candidate: usize,
    pub(super) to: Target,
    pub(super) from: u64,
}

/// Where a request went.
#[derive(Clone, Debug)]
pub(super) enum Target {
    Url { url: Url, redirects: u8 },
    Session,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Receiving {
    /// Bytes of the body still to be passed over.
    skip: u64,
    ends_at: Option<u64>,
    total: Option<u64>,
    /// Bytes in staging when it began.
    began_at: u64,
    /// Bytes that came since the deadline was set.
    fresh: u64,
}

impl FetchJob {
    /// A job for the attempts of a plan. `resume` tells of bytes in staging; the driver has hashed them already.
    #[must_use]
    pub fn new(plan: &Plan, claim: Claim, rules: NetRules, settings: FetchSettings, resume: Option<ResumePoint>, now: Instant) -> Self {
        let purity = if claim.can_prove() { Purity::Mixed } else { Purity::Alone };
        let by_http = plan.attempts.iter().filter(|attempt| matches!(attempt.how, How::Http(_) | How::Encrypted { .. }));
        let mut job = Self {
            candidates: plan.attempts.iter().filter_map(|attempt| Candidate::new(attempt, claim.size)).collect(),
            planned: by_http.map(|attempt| attempt.exposure.kind()).collect(),
            stage: resume.map(Stage::resumed).unwrap_or_default(),
            claim,
            rules,
            settings,
            purity,
            state: State::Choosing,
            told_total: None,
            told: DigestSet::new(),
            leans: false,
            outcomes: Vec::new(),
            actions: VecDeque::new(),
        };
        match job.envelope().map(|envelope| envelope.keeps(job.stage.len())) {
            Some(kept) => job.stage.cut(kept),
            // its key is not in the plan any more
            None if job.stage.mark().is_some() => job.cut(0),
            None if job.stage.len() > job.limit(None) => job.cut(0),
            None => {}
        }
        job.choose(now);
        job
    }

    /// What the bytes in staging came through; `None` for plain ones.
    pub fn envelope(&self) -> Option<&Envelope> {
        let mark = self.stage.mark()?;
        self.candidates
            .iter()
            .find(|candidate| candidate.mark() == Some(mark))
            .and_then(|candidate| candidate.envelope.as_ref())
            .map(|(envelope, _)| envelope)
    }

    /// The next thing to do.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When [`FetchJob::handle_timeout`] is to be called, if nothing else happens.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Waiting { until } => Some(*until),
            State::Opening { deadline, .. } | State::Receiving { deadline, .. } => Some(*deadline),
            State::Choosing | State::Hashing { .. } | State::Paused | State::Over => None,
        }
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        // Behind the end of an encrypted file comes what is no part of it.
        let have = self.claim.size.map_or(self.stage.len(), |size| self.stage.len().min(size));
        Progress { have, total: self.claim.size.or(self.told_total) }
    }

    /// Whether it has come to an end.
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// The head of an answer came.
    pub fn handle_opened(&mut self, now: Instant, head: &ResponseHead) {
        let State::Opening { request, .. } = &self.state else { return };
        let request = request.clone();
        let Target::Url { url, redirects } = &request.to else { return };
        match meaning(head, request.from) {
            Meaning::Body(body) => self.begin(now, request, body, head.strong_validator()),
            Meaning::Redirect(location) => self.redirect(now, &request, (url, *redirects), &location),
            Meaning::Complete => {
                self.actions.push_back(Action::Close);
                self.finish(Some(request.candidate));
            }
            Meaning::StartOver => {
                self.actions.push_back(Action::Close);
                let had_all_anew = std::mem::replace(&mut self.candidates[request.candidate].starts_over, true);
                // They are another one's, and stay; or it takes back what it gives, and would do so for ever.
                if self.stage.len() == self.base() || had_all_anew {
                    return self.fail(now, request.candidate, Outcome::WrongRange, None);
                }
                self.cut(self.base());
                self.choose(now);
            }
            Meaning::Failed(outcome) => {
                self.actions.push_back(Action::Close);
                self.fail(now, request.candidate, outcome, head.retry_after());
            }
        }
    }

    /// A chunk of the body came; tells which part of it to write and to hash.
    pub fn handle_bytes(&mut self, now: Instant, len: usize) -> Portion {
        let patience = self.settings.stall_timeout;
        let State::Receiving { request, body, deadline } = &mut self.state else { return Portion::NONE };
        body.fresh += len as u64;
        if body.fresh >= LEAST_PROGRESS {
            body.fresh = 0;
            *deadline = now + patience;
        }
        let skipped = usize::try_from(body.skip).unwrap_or(usize::MAX).min(len);
        body.skip -= skipped as u64;
        let taken = (len - skipped) as u64;
        let candidate = request.candidate;
        if self.stage.len().saturating_add(taken) > self.limit(Some(candidate)) {
            self.too_long(now, candidate);
            return Portion::NONE;
        }
        if taken > 0 {
            self.stage.grow(&self.candidates[candidate].source, taken);
            self.finish_session(candidate);
        }
        Portion(skipped..len)
    }

    /// The driver itself was slow: nobody who is asked pays for that.
    pub fn handle_delay(&mut self, now: Instant) {
        let patience = match &self.state {
            State::Opening { request, .. } => self.patience(&request.to),
            _ => self.settings.stall_timeout,
        };
        if let State::Opening { deadline, .. } | State::Receiving { deadline, .. } = &mut self.state {
            *deadline = now + patience;
        }
    }

    /// The body ended as the server meant it to.
    pub fn handle_end(&mut self, now: Instant) {
        let State::Receiving { request, body, .. } = &self.state else { return };
        let (candidate, body) = (request.candidate, *body);
        let have = self.stage.len();
        if body.skip > 0 {
            self.hang_up_session(SessionEnd::Broken);
            return self.fail(now, candidate, Outcome::TooShort { got: have - body.skip.min(have), expected: have }, None);
        }
        let expected = body.ends_at.or(self.claim.size).unwrap_or(have);
        if have < expected {
            self.hang_up_session(SessionEnd::Broken);
            return self.fail(now, candidate, Outcome::TooShort { got: have, expected }, None);
        }
        match body.total {
            // a part smaller than asked for: on to the next, but not byte by byte
            Some(total) if have < total && have - body.began_at >= LEAST_PART => {
                self.hang_up_session(SessionEnd::Stopped);
                self.choose(now);
            }
            Some(total) if have < total => {
                self.hang_up_session(SessionEnd::Broken);
                self.fail(now, candidate, Outcome::TooShort { got: have, expected: total }, None);
            }
            _ => self.finish(Some(candidate)),
        }
    }

    /// There is no answer, or the body broke off.
    pub fn handle_failed(&mut self, now: Instant, failure: &NetFailure) {
        let outcome = match failure {
            NetFailure::Refused(refused) => Outcome::Blocked(refused.to_string()),
            other => Outcome::Unreachable(other.to_string()),
        };
        if let State::Opening { request, .. } | State::Receiving { request, .. } = &self.state {
            self.fail(now, request.candidate, outcome, None);
        }
    }

    /// The deadline has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        match &self.state {
            State::Waiting { until } if *until <= now => self.choose(now),
            State::Opening { request, deadline } if *deadline <= now => {
                let (candidate, patience) = (request.candidate, self.patience(&request.to));
                self.stalled(now, candidate, patience);
            }
            State::Receiving { request, deadline, .. } if *deadline <= now => {
                let (candidate, patience) = (request.candidate, self.settings.stall_timeout);
                self.stalled(now, candidate, patience);
            }
            _ => {}
        }
    }

    /// Stops for now; what is in staging stays.
    pub fn pause(&mut self) {
        if matches!(self.state, State::Over | State::Hashing { .. }) {
            return;
        }
        self.close();
        self.actions.push_back(Action::Note(self.stage.resume_point()));
        self.state = State::Paused;
    }

    /// Goes on after a pause.
    pub fn go_on(&mut self, now: Instant) {
        if matches!(self.state, State::Paused) {
            self.choose(now);
        }
    }

    /// Ends the job without a result; what becomes of the staging file is the person's choice.
    pub fn cancel(&mut self) {
        self.close();
        self.actions.retain(|action| matches!(action, Action::Close | Action::EndSession(_) | Action::Cut(_) | Action::Record(..)));
        self.state = State::Over;
    }

    /// The most bytes that are taken: those of the file, and of a source what its envelope adds.
    pub(super) fn limit(&self, of: Option<usize>) -> u64 {
        match of.and_then(|at| self.candidates[at].envelope.as_ref()) {
            Some((envelope, _)) => envelope.limit(self.settings.unannounced_limit),
            None => self.claim.size.unwrap_or(self.settings.unannounced_limit),
        }
    }

    /// Whether something tells wrong bytes of this source from right ones.
    pub(super) fn can_prove(&self, at: usize) -> bool {
        self.claim.can_prove() || self.candidates[at].has_tag() || self.candidates[at].promises_hash()
    }

    /// Whether bytes of this source may stand behind those in staging.
    fn is_akin(&self, candidate: &Candidate) -> bool {
        self.stage.len() == 0 || candidate.mark() == self.stage.mark()
    }

    /// Picks the next step: the end, a source to ask now, or a wait.
    pub(super) fn choose(&mut self, now: Instant) {
        // Behind an encrypted file a tag may follow.
        let is_whole = self.claim.size == Some(self.stage.len()) && self.stage.mark().is_none();
        if is_whole && (self.stage.len() > 0 || self.claim.can_prove()) {
            return self.finish(None);
        }
        let stays = self.base() > 0;
        let can_follow = |candidate: &Candidate| !candidate.is_out && (!stays || candidate.mark().is_none());
        let best = self.candidates.iter().enumerate().filter(|(_, candidate)| can_follow(candidate));
        let best = match self.purity {
            // What is there is thrown away only when nothing can go on behind it.
            Purity::Mixed => best.min_by_key(|(at, candidate)| (!self.is_akin(candidate), candidate.failures + candidate.doubts, *at)),
            Purity::Alone => best.min_by_key(|(at, candidate)| (!self.stage.givers().contains(&candidate.source), *at)),
        };
        match best.map(|(at, candidate)| (at, candidate.not_before)) {
            None if stays && self.candidates.iter().any(|candidate| candidate.is_misfit) => self.doubt_base(now),
            None => self.give_up(),
            Some((_, Some(until))) if until > now => self.state = State::Waiting { until },
            Some((at, _)) => self.ask(now, at),
        }
    }

    /// Asks a source for what is missing, or for everything where its bytes cannot follow those in staging.
    fn ask(&mut self, now: Instant, at: usize) {
        let source = self.candidates[at].source.clone();
        let may_follow = match self.purity {
            Purity::Mixed => true,
            Purity::Alone if self.base() > 0 => self.stage.is_alone_behind_base(&source),
            Purity::Alone => self.stage.is_only(&source) && (self.can_prove(at) || self.stage.validator_of(&source).is_some()),
        };
        if self.stage.len() > self.base() && !(may_follow && self.is_akin(&self.candidates[at])) {
            self.cut(self.base());
        }
        self.leans |= self.stage.len() > 0 && !self.claim.can_prove() && self.candidates[at].promises_hash();
        self.enter(at);
        match &self.candidates[at].asked {
            Asked::Url(asked) => {
                let (url, addresses) = (asked.url.clone(), asked.addresses.clone());
                self.open(now, at, (url, 0), addresses);
            }
            Asked::Session(_) => self.open_session(now, at),
        }
    }

    fn open(&mut self, now: Instant, candidate: usize, (url, redirects): (Url, u8), addresses: AddressRule) {
        let Candidate { source, asked: Asked::Url(asked), .. } = &self.candidates[candidate] else { return };
        let from = self.stage.len();
        let mut headers = vec![("Accept-Encoding".to_owned(), "identity".to_owned())];
        if is_same_origin(&asked.url, &url) {
            headers.extend(asked.headers.iter().cloned());
        }
        if from > 0 {
            headers.push(("Range".to_owned(), format!("bytes={from}-")));
            if let Some(validator) = self.stage.validator_of(source) {
                headers.push(("If-Range".to_owned(), validator.to_owned()));
            }
        }
        self.actions.push_back(Action::Open(OpenUrl { url: url.clone(), headers, from_byte: from, addresses }));
        let request = Request { candidate, to: Target::Url { url, redirects }, from };
        self.state = State::Opening { request, deadline: now + self.settings.open_timeout };
    }

    fn redirect(&mut self, now: Instant, request: &Request, (url, redirects): (&Url, u8), location: &str) {
        self.actions.push_back(Action::Close);
        let Asked::Url(asked) = &self.candidates[request.candidate].asked else { return };
        let followed = follow(url, location, redirects, &self.rules).map_err(|refused| refused.to_string());
        let allowed = followed.and_then(|(url, addresses)| match reveals_more(asked, &url, &self.planned) {
            Some(exposure) => Err(format!("it sends us on to another host, and your rules do not allow that unasked: {exposure}")),
            None => Ok((url, addresses)),
        });
        match allowed {
            Ok((url, addresses)) => self.open(now, request.candidate, (url, redirects + 1), addresses),
            Err(words) => self.fail(now, request.candidate, Outcome::Blocked(words), None),
        }
    }

    /// A body begins: checks what it announces before any byte is taken.
    pub(super) fn begin(&mut self, now: Instant, request: Request, body: Body, validator: Option<&str>) {
        let source = self.candidates[request.candidate].source.clone();
        if body.total.or(body.ends_at).is_some_and(|bytes| bytes > self.limit(Some(request.candidate))) {
            return self.too_long(now, request.candidate);
        }
        let is_known = self.stage.validator_of(&source).is_some();
        let changed = is_known && self.stage.validator_of(&source) != validator;
        if request.from > 0 && changed {
            self.cut(0);
            if body.starts_at > 0 {
                self.hang_up(SessionEnd::Stopped);
                return self.choose(now);
            }
        }
        let may_skip = self.purity == Purity::Mixed || is_known || self.can_prove(request.candidate);
        // Whoever gives all of a file that they offer stands behind nobody.
        let is_all = body.starts_at == 0 && self.candidates[request.candidate].is_offered();
        let keep = if may_skip && !is_all { self.stake(request.candidate) } else { 0 };
        if body.starts_at < self.stage.len() && keep < self.stage.len() {
            self.cut(keep);
        }
        self.enter(request.candidate);
        self.told_total = body.total.or(self.told_total);
        self.stage.set_validator(&source, validator);
        self.actions.push_back(Action::Note(self.stage.resume_point_with(&source, validator)));
        let began_at = self.stage.len();
        let body =
            Receiving { skip: began_at.saturating_sub(body.starts_at), ends_at: body.ends_at, total: body.total, began_at, fresh: 0 };
        self.state = State::Receiving { request, body, deadline: now + self.settings.stall_timeout };
    }

    /// More bytes than announced: nothing of this source is kept.
    fn too_long(&mut self, now: Instant, candidate: usize) {
        self.hang_up(SessionEnd::Broken);
        let source = &self.candidates[candidate].source;
        if self.stage.givers().contains(source) {
            let is_offerer = source.person().is_some_and(|person| self.stage.offerer() == Some(person));
            self.cut(if is_offerer { 0 } else { self.base() });
        }
        self.fail(now, candidate, Outcome::TooLong(self.limit(Some(candidate))), None);
    }

    fn stalled(&mut self, now: Instant, candidate: usize, patience: Duration) {
        self.hang_up(SessionEnd::Broken);
        self.fail(now, candidate, Outcome::Stalled(patience.as_secs()), None);
    }

    /// An attempt failed: remembers it and goes on.
    pub(super) fn fail(&mut self, now: Instant, at: usize, outcome: Outcome, retry_after: Option<Duration>) {
        let settings = self.settings;
        let have = self.stage.len();
        let was_receiving = matches!(self.state, State::Receiving { .. });
        let candidate = &mut self.candidates[at];
        let gained = was_receiving && have >= candidate.furthest.saturating_add(LEAST_PROGRESS);
        candidate.furthest = candidate.furthest.max(have);
        candidate.failures = if gained { 1 } else { candidate.failures + 1 };
        let wait = settings.back_off.saturating_mul(1 << (candidate.failures - 1).min(16));
        candidate.not_before = Some(now + retry_after.unwrap_or_default().max(wait).min(settings.longest_wait));
        candidate.is_out = !is_passing(&outcome) || candidate.failures >= settings.tries || self.outcomes.len() >= MAX_OUTCOMES;
        self.doubt(at, &outcome);
        self.record(at, outcome);
        self.state = State::Choosing;
        self.choose(now);
    }

    /// A device that is not there any more is not there for what else it could be asked either.
    fn doubt(&mut self, at: usize, outcome: &Outcome) {
        if matches!(outcome, Outcome::Unreachable(_) | Outcome::Stalled(_) | Outcome::NoWay(_)) {
            let device = self.candidates[at].device().cloned();
            let others = self.candidates.iter_mut().enumerate().filter(|(other, _)| *other != at);
            others.filter(|(_, other)| device.is_some() && other.device() == device.as_ref()).for_each(|(_, other)| other.doubts += 1);
        }
    }

    pub(super) fn record(&mut self, at: usize, outcome: Outcome) {
        let source = self.candidates[at].source.clone();
        self.actions.push_back(Action::Record(source.clone(), outcome.clone()));
        self.outcomes.push((source, outcome));
    }

    /// How many bytes at the front are kept whatever others do: those that the person who offers the file gave, where a digest will tell
    /// whose bytes were wrong.
    pub(super) fn base(&self) -> u64 {
        if self.claim.can_prove() { self.stage.base() } else { 0 }
    }

    /// Throws away what is in staging: all of it, or what stands behind the base. Who did not fit behind a base that is gone may be asked
    /// again.
    pub(super) fn cut(&mut self, keep: u64) {
        if keep > 0 {
            self.stage.cut_to_base();
        } else {
            self.stage.clear();
            self.leans = false;
            for candidate in self.candidates.iter_mut().filter(|candidate| candidate.is_misfit) {
                (candidate.is_misfit, candidate.is_out) = (false, false);
            }
        }
        self.actions.push_back(Action::Cut(keep));
    }

    /// What comes into empty staging is of this source's kind.
    fn enter(&mut self, at: usize) {
        let candidate = &self.candidates[at];
        if candidate.mark() == self.stage.mark() {
            return;
        }
        if self.stage.mark().is_some() {
            self.cut(0);
        }
        let candidate = &self.candidates[at];
        self.stage.enter(candidate.mark());
        if let Some((envelope, _)) = &candidate.envelope {
            self.actions.push_back(Action::Through(envelope.clone()));
        }
    }

    pub(super) fn finish(&mut self, by: Option<usize>) {
        self.actions.push_back(Action::Finish);
        self.state = State::Hashing { by };
    }

    pub(super) fn give_up(&mut self) {
        self.actions.push_back(Action::Note(self.stage.resume_point()));
        let outcomes = std::mem::take(&mut self.outcomes);
        self.actions.push_back(Action::Failed(FetchFailed { outcomes, kept: self.stage.len() }));
        self.state = State::Over;
    }

    /// Ends what is under way, a session that waits for the verdict too.
    fn close(&mut self) {
        self.hang_up(SessionEnd::Stopped);
        if let State::Hashing { by } = self.state {
            self.tell_session(by, SessionEnd::Stopped);
        }
    }

    /// Drops the request that is under way; a session hears why.
    pub(super) fn hang_up(&mut self, end: SessionEnd) {
        match &self.state {
            State::Opening { request, .. } | State::Receiving { request, .. } => match request.to {
                Target::Url { .. } => self.actions.push_back(Action::Close),
                Target::Session => self.actions.push_back(Action::EndSession(end)),
            },
            _ => {}
        }
    }
}

/// Fewer bytes than that within the time to stall are as good as none: a source that drips would hold a fetch for ever.
const LEAST_PROGRESS: u64 = 4 * 1024;

/// A server that answers with smaller parts than that makes us ask without end.
const LEAST_PART: u64 = 64 * 1024;

/// More failures than any fetch needs, however often a byte was gained in between.
const MAX_OUTCOMES: usize = 200;

/// Whether the same source may do better a moment later.
fn is_passing(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::ServerFailed(_) | Outcome::TooShort { .. } | Outcome::Unreachable(_) | Outcome::Stalled(_))
}
