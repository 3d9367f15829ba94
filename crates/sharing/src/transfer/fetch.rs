//! Fetches one file from the URLs of a plan, one after another, and goes on where the last one stopped.
//!
//! RFC 9110 §13.1.5, §14 (ranges); XEP-0447 §6, XEP-0385 §4.2. A broken connection is taken up at the same byte, at the same
//! source or, where a digest will prove the whole, at another one. Bytes of a wrong file are dropped; if they came from
//! several sources, each is asked once more alone, to know whom to blame. Pausing is dropping the job: the staged bytes and
//! the last [`ResumePoint`] are all it takes to go on.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use url::Url;

use super::failure::SourceFailure;
use super::{backoff, headers};
use super::response::{ContentRange, Response, Validator};
use crate::net_rules::{self, AddressRule, NetRules};
use crate::source::{SourceKey, UrlSource};
use crate::verify::{Claim, Hashed, Unproven, Verdict, Verified};

/// From asking to the head of the answer.
const ANSWER: Duration = Duration::from_secs(30);
/// Between two pieces of a body.
const STALL: Duration = Duration::from_secs(30);

/// What is to be fetched, and where it may be had.
#[derive(Clone, Debug)]
pub struct FetchTask {
    /// What the bytes must be.
    pub claim: Claim,
    /// Places in the order of the plan; everything in here was allowed by the policy.
    pub sources: Vec<UrlSource>,
    /// Where foreign URLs may lead.
    pub rules: NetRules,
    /// The most that may come when the offer announces no size.
    pub most: u64,
    /// What an earlier run left in staging.
    pub resume: Option<ResumePoint>,
}

/// What is in staging and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResumePoint {
    /// Bytes in staging.
    pub have: u64,
    /// The source that gave the last of them.
    pub source: SourceKey,
    /// Which state of it.
    pub validator: Option<Validator>,
    /// Whether all bytes came from that one source.
    pub is_pure: bool,
}

/// What a driver is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Ask for this; answer with [`FetchJob::handle_response`] or [`FetchJob::handle_failure`].
    Open(Request),
    /// Give up the request that runs; nothing of it is to be handed over any more.
    Abandon,
    /// Cut staging to nothing and forget the digests: what is there is of no use.
    StartOver,
    /// Write this down beside the staged bytes, so that a later run can go on.
    Note(ResumePoint),
    /// All bytes are there: finish the digests of staging and call [`FetchJob::handle_hashed`].
    Finish,
    /// A source gave all or the last of the bytes of a file that is right.
    Delivered(SourceKey),
    /// A source failed; the job goes on.
    Failed(SourceKey, SourceFailure),
    /// The job is over.
    Ended(Result<Fetched, FetchError>),
}

/// A GET to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Which.
    pub url: Url,
    /// Which addresses its host may have.
    pub rule: AddressRule,
    /// Headers asked for by the offer, judged already; beside them only `Host`, `Accept` and `Accept-Encoding: identity`.
    pub headers: Vec<(String, String)>,
    /// `Range: bytes=FROM-` unless it is 0.
    pub from: u64,
    /// `If-Range`
    pub if_range: Option<Validator>,
}

/// What to do with a piece of the body: drop the first bytes, keep the next, drop the rest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Piece {
    /// Bytes to drop: they are in staging already.
    pub skip: usize,
    /// Bytes to append to staging and to the digests.
    pub keep: usize,
}

/// A file that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// It is what the offer says.
    Verified(Verified),
    /// Nothing could prove it.
    Unproven(Unproven),
}

/// No source gave the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FetchError {
    /// The last failure of each source.
    pub failures: Vec<FailedSource>,
}

/// A source that did not give the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedSource {
    /// Which.
    pub source: SourceKey,
    /// Its host, for people.
    pub host: String,
    /// Why.
    pub failure: SourceFailure,
}

impl std::fmt::Display for FetchError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.failures.is_empty() {
            return f.write_str("there is no place to fetch the file from");
        }
        f.write_str("the file could not be fetched")?;
        self.failures.iter().enumerate().try_for_each(|(at, FailedSource { host, failure, .. })| {
            write!(f, "{} {host}: {failure}", if at == 0 { ":" } else { ";" })
        })
    }
}

impl std::error::Error for FetchError {}

/// One source of the task and how it did.
#[derive(Debug)]
struct Place {
    key: SourceKey,
    source: UrlSource,
    /// Failures in a row without a new byte.
    failures: u32,
    not_before: Option<Instant>,
    last: Option<SourceFailure>,
    is_out: bool,
}

/// The request that runs.
#[derive(Debug)]
struct Running {
    place: usize,
    url: Url,
    redirects: u8,
    since: Instant,
    /// Staged bytes before this request added any.
    began_with: u64,
}

#[derive(Debug)]
enum State {
    /// Waits until a source may be tried again.
    Pausing { until: Instant },
    /// Asked, no answer yet.
    Opening(Running),
    /// The body comes.
    Reading { running: Running, skip: u64, end: Option<u64> },
    /// The driver finishes the digests.
    Hashing { place: usize },
    /// Over.
    Ended,
}

/// Fetches one file. Poll [`FetchJob::poll_action`] until it is empty after each call of `handle_*`.
#[derive(Debug)]
pub struct FetchJob {
    claim: Claim,
    rules: NetRules,
    limit: u64,
    places: Vec<Place>,
    state: State,
    actions: VecDeque<Action>,
    have: u64,
    /// Places that gave bytes of what is staged.
    givers: BTreeSet<SourceKey>,
    /// The state of each place's resource that staged bytes came from.
    validators: BTreeMap<SourceKey, Validator>,
    /// Each place is now to give the whole file alone.
    is_alone: bool,
}

impl FetchJob {
    /// Begins. What is staged must be exactly what `task.resume` says, and hashed by the driver before more is added.
    #[must_use]
    pub fn new(now: Instant, task: FetchTask) -> Self {
        let places = task.sources.into_iter().map(Place::new).collect();
        let mut job = Self {
            limit: task.claim.size.unwrap_or(task.most),
            claim: task.claim,
            rules: task.rules,
            places,
            state: State::Pausing { until: now },
            actions: VecDeque::new(),
            have: 0,
            givers: BTreeSet::new(),
            validators: BTreeMap::new(),
            is_alone: false,
        };
        job.take_up(task.resume);
        job.next(now);
        job
    }

    fn take_up(&mut self, resume: Option<ResumePoint>) {
        let Some(resume) = resume.filter(|resume| resume.have > 0) else { return };
        let is_usable = resume.have <= self.limit && (self.claim.can_prove() || (resume.is_pure && resume.validator.is_some()));
        if !is_usable {
            self.actions.push_back(Action::StartOver);
            return;
        }
        self.have = resume.have;
        if let Some(validator) = resume.validator {
            self.validators.insert(resume.source.clone(), validator);
        }
        if !resume.is_pure {
            self.givers.insert(SourceKey::from_record("others"));
        }
        // The source that has the rest of it goes first.
        if let Some(at) = self.places.iter().position(|place| place.key == resume.source) {
            self.places[..=at].rotate_right(1);
        }
        self.givers.insert(resume.source);
    }

    /// Bytes in staging.
    pub fn have(&self) -> u64 {
        self.have
    }

    /// The next thing to do.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When to call [`FetchJob::handle_timeout`] at the latest.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Pausing { until } => Some(*until),
            State::Opening(running) => Some(running.since + ANSWER),
            State::Reading { running, .. } => Some(running.since + STALL),
            State::Hashing { .. } | State::Ended => None,
        }
    }

    /// The deadline passed, or may have.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return;
        }
        match &self.state {
            State::Pausing { .. } => self.next(now),
            State::Opening(_) => self.drop_running(now, SourceFailure::Stalled(ANSWER)),
            State::Reading { .. } => self.drop_running(now, SourceFailure::Stalled(STALL)),
            State::Hashing { .. } | State::Ended => {}
        }
    }

    /// The request failed: no connection, or it broke.
    pub fn handle_failure(&mut self, now: Instant, failure: SourceFailure) {
        if let State::Opening(running) | State::Reading { running, .. } = &self.state {
            let place = running.place;
            self.failed(now, place, failure);
        }
    }

    /// The head of the answer came.
    pub fn handle_response(&mut self, now: Instant, response: &Response) {
        let state = std::mem::replace(&mut self.state, State::Ended);
        let State::Opening(mut running) = state else {
            self.state = state;
            return;
        };
        running.since = now;
        let place = running.place;
        match self.judge(running, response) {
            Ok(Heard::Body { running, skip, end }) => self.state = State::Reading { running, skip, end },
            Ok(Heard::Again(running)) => self.open(running),
            Ok(Heard::Complete(running)) => {
                self.actions.push_back(Action::Abandon);
                self.finish(running.place);
            }
            Err(failure) => {
                self.actions.push_back(Action::Abandon);
                self.failed(now, place, failure);
            }
        }
    }

    /// A piece of the body of `len` bytes came; the answer says what to do with it.
    #[must_use]
    pub fn handle_piece(&mut self, now: Instant, len: usize) -> Piece {
        let State::Reading { running, skip, .. } = &mut self.state else { return Piece::default() };
        running.since = now;
        let skipped = usize::try_from(*skip).unwrap_or(usize::MAX).min(len);
        *skip -= skipped as u64;
        let new = len - skipped;
        let room = self.limit - self.have;
        if new as u64 > room {
            let limit = self.limit;
            // What came so far would be the announced file and then some: nothing of it is kept.
            self.drop_running(now, SourceFailure::TooLong { limit });
            return Piece::default();
        }
        let place = &mut self.places[running.place];
        if new > 0 {
            place.failures = 0;
            self.givers.insert(place.key.clone());
        }
        self.have += new as u64;
        Piece { skip: skipped, keep: new }
    }

    /// The body ended as HTTP says it should.
    pub fn handle_end(&mut self, now: Instant) {
        let State::Reading { running, skip, end } = &self.state else { return };
        let (place, skip, end) = (running.place, *skip, *end);
        let expected = end.or(self.claim.size).unwrap_or(self.have);
        if skip > 0 || self.have < expected {
            self.failed(now, place, SourceFailure::Short { have: self.have, expected });
        } else {
            self.finish(place);
        }
    }

    /// The digests of all staged bytes.
    pub fn handle_hashed(&mut self, now: Instant, hashed: Hashed) {
        let State::Hashing { place } = self.state else { return };
        match self.claim.judge(hashed) {
            Verdict::Verified(verified) => self.succeed(place, Fetched::Verified(verified)),
            Verdict::Unproven(unproven) => self.succeed(place, Fetched::Unproven(unproven)),
            Verdict::Mismatch(mismatch) => {
                let is_mixed = self.givers.len() > 1;
                self.start_over();
                if is_mixed && !self.is_alone {
                    self.ask_each_alone(now);
                } else {
                    self.failed(now, place, SourceFailure::WrongBytes(mismatch));
                }
            }
        }
    }

    fn succeed(&mut self, place: usize, fetched: Fetched) {
        self.actions.push_back(Action::Delivered(self.places[place].key.clone()));
        self.end(Ok(fetched));
    }

    fn end(&mut self, result: Result<Fetched, FetchError>) {
        self.state = State::Ended;
        self.actions.push_back(Action::Ended(result));
    }

    fn start_over(&mut self) {
        self.have = 0;
        self.givers.clear();
        self.validators.clear();
        self.actions.push_back(Action::StartOver);
    }

    /// Somebody of several gave wrong bytes; who did is found by taking the whole from each.
    fn ask_each_alone(&mut self, now: Instant) {
        self.is_alone = true;
        for place in self.places.iter_mut().filter(|place| !place.last.as_ref().is_some_and(SourceFailure::is_guilty)) {
            place.failures = 0;
            place.not_before = None;
            place.is_out = place.last.as_ref().is_some_and(|failure| !failure.is_passing());
        }
        self.next(now);
    }

    fn finish(&mut self, place: usize) {
        self.state = State::Hashing { place };
        self.actions.push_back(Action::Finish);
    }

    fn drop_running(&mut self, now: Instant, failure: SourceFailure) {
        let (State::Opening(running) | State::Reading { running, .. }) = &self.state else { return };
        let place = running.place;
        self.actions.push_back(Action::Abandon);
        self.failed(now, place, failure);
    }

    /// Books a failure and goes on with whoever is next.
    fn failed(&mut self, now: Instant, place: usize, failure: SourceFailure) {
        let gave = match &self.state {
            State::Reading { running, .. } => self.have > running.began_with,
            _ => false,
        };
        self.actions.push_back(Action::Failed(self.places[place].key.clone(), failure.clone()));
        if failure.is_guilty() && self.givers.contains(&self.places[place].key) {
            self.start_over();
        }
        if gave && self.have > 0 {
            self.note(place);
        }
        let entry = &mut self.places[place];
        entry.failures += u32::from(!gave);
        entry.is_out = !failure.is_passing() || entry.failures >= backoff::TRIES;
        entry.not_before = Some(now + backoff::pause(entry.failures, failure.wish()));
        entry.last = Some(failure);
        self.next(now);
    }

    fn note(&mut self, place: usize) {
        let key = self.places[place].key.clone();
        let validator = self.validators.get(&key).cloned();
        self.actions.push_back(Action::Note(ResumePoint { have: self.have, source: key, validator, is_pure: self.givers.len() <= 1 }));
    }

    /// Asks the first source that may be asked now, else waits for the one that may be asked soonest, else ends.
    fn next(&mut self, now: Instant) {
        let waiting = |place: &Place| place.not_before.filter(|at| *at > now);
        if let Some(place) = self.places.iter().position(|place| !place.is_out && waiting(place).is_none()) {
            return self.ask(now, place);
        }
        let soonest = self.places.iter().filter(|place| !place.is_out).filter_map(waiting).min();
        match soonest {
            Some(until) => self.state = State::Pausing { until },
            None => {
                let failures = self.places.iter().filter_map(Place::report).collect();
                self.end(Err(FetchError { failures }));
            }
        }
    }

    fn ask(&mut self, now: Instant, at: usize) {
        let key = self.places[at].key.clone();
        let is_sole_giver = self.givers.iter().all(|giver| *giver == key);
        let goes_on = if self.claim.can_prove() { is_sole_giver || !self.is_alone } else { is_sole_giver && self.validators.contains_key(&key) };
        if self.have > 0 && !goes_on {
            self.start_over();
        }
        match self.places[at].source.url() {
            Some(mut url) => {
                url.set_fragment(None);
                let running = Running { place: at, url, redirects: 0, since: now, began_with: self.have };
                self.open(running);
            }
            None => self.failed(now, at, SourceFailure::Refused(net_rules::Refused::NoUrl)),
        }
    }

    fn open(&mut self, running: Running) {
        let rule = match net_rules::check_url(&running.url, &self.rules) {
            Ok(rule) => rule,
            Err(refused) => return self.failed(running.since, running.place, refused.into()),
        };
        let place = &self.places[running.place];
        // What the offer wants said is for the origin it names, not for where that one redirects to.
        let is_origin = place.source.url().is_some_and(|origin| net_rules::is_same_origin(&origin, &running.url));
        // And only where a digest shows that what it gave is the file (decision 17).
        let headers = if is_origin && self.claim.can_prove() { headers::of(&place.source) } else { Vec::new() };
        let if_range = if self.have > 0 { self.validators.get(&place.key).cloned() } else { None };
        self.actions.push_back(Action::Open(Request { url: running.url.clone(), rule, headers, from: self.have, if_range }));
        self.state = State::Opening(running);
    }

    /// What the head of an answer means.
    fn judge(&mut self, mut running: Running, response: &Response) -> Result<Heard, SourceFailure> {
        match response.status {
            200 if response.encoded => Err(SourceFailure::Nonsense("the body is compressed, which nobody asked for")),
            200 => self.whole_body(running, response),
            206 if self.have > 0 => self.part_body(running, response),
            206 => Err(SourceFailure::Nonsense("a part was sent, the whole was asked for")),
            301 | 302 | 303 | 307 | 308 => {
                let location = response.location.as_deref().ok_or(SourceFailure::Nonsense("a redirect to nowhere"))?;
                let (url, _) = net_rules::follow(&running.url, location, running.redirects, &self.rules)?;
                self.actions.push_back(Action::Abandon);
                running.url = url;
                running.redirects += 1;
                Ok(Heard::Again(running))
            }
            401 | 403 | 407 => Err(SourceFailure::Forbidden(response.status)),
            404 => Err(SourceFailure::NotFound),
            410 => Err(SourceFailure::Gone),
            416 if self.have > 0 => match response.range() {
                Some(ContentRange::Unsatisfied { total }) if total == self.have => Ok(Heard::Complete(running)),
                _ => {
                    self.actions.push_back(Action::Abandon);
                    self.start_over();
                    running.began_with = 0;
                    Ok(Heard::Again(running))
                }
            },
            429 | 500..=599 => Err(SourceFailure::Busy { status: response.status, retry_after: response.retry_after() }),
            status => Err(SourceFailure::Status(status)),
        }
    }

    /// 200: the whole file, though perhaps a part was asked for.
    fn whole_body(&mut self, mut running: Running, response: &Response) -> Result<Heard, SourceFailure> {
        self.check_total(response.content_length)?;
        let key = self.places[running.place].key.clone();
        let before = self.validators.get(&key).cloned();
        let now = response.validator();
        // A server without ranges (ejabberd) sends the same bytes again; one whose file changed sends others.
        let is_same = before.is_none() && self.claim.can_prove() || before.is_some() && before == now;
        if self.have > 0 && !is_same {
            self.start_over();
            running.began_with = 0;
        }
        self.remember(key, now);
        Ok(Heard::Body { skip: self.have, end: response.content_length, running })
    }

    /// 206: the file from some byte on.
    fn part_body(&mut self, running: Running, response: &Response) -> Result<Heard, SourceFailure> {
        let Some(ContentRange::Part { first, last, total }) = response.range() else {
            return Err(SourceFailure::Nonsense("a part was sent without saying which"));
        };
        if first > self.have {
            return Err(SourceFailure::Nonsense("a later part was sent than the one asked for"));
        }
        self.check_total(total.or(Some(last + 1)))?;
        let key = self.places[running.place].key.clone();
        self.remember(key, response.validator());
        Ok(Heard::Body { running, skip: self.have - first, end: total.or(Some(last + 1)) })
    }

    fn check_total(&self, total: Option<u64>) -> Result<(), SourceFailure> {
        if total.is_some_and(|total| total > self.limit) { Err(SourceFailure::TooLong { limit: self.limit }) } else { Ok(()) }
    }

    fn remember(&mut self, key: SourceKey, validator: Option<Validator>) {
        match validator {
            Some(validator) => self.validators.insert(key, validator),
            None => self.validators.remove(&key),
        };
    }
}

/// What the head of an answer comes to.
#[derive(Debug)]
enum Heard {
    Body { running: Running, skip: u64, end: Option<u64> },
    Again(Running),
    Complete(Running),
}

impl Place {
    fn new(source: UrlSource) -> Self {
        let key = crate::Source::Url(source.clone()).key();
        Self { key, source, failures: 0, not_before: None, last: None, is_out: false }
    }

    fn report(&self) -> Option<FailedSource> {
        let host = self.source.url().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_else(|| "a link".to_owned());
        Some(FailedSource { source: self.key.clone(), host, failure: self.last.clone()? })
    }
}
