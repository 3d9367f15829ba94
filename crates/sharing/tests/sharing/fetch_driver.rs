//! Drives a fetch as a client does, against servers and devices that behave as told: a virtual clock, no sockets.

use std::time::{Duration, Instant};

use balcony_sharing::cipher::Decipher;
use balcony_sharing::plan::{Attempt, How, HttpRequest, Outcome, Redirects};
use balcony_sharing::transfer::fetch::{Action, FetchFailed, FetchJob, FetchSettings, Fetched, ResumePoint, Unwrapped};
use balcony_sharing::transfer::{NetFailure, OpenSession, OpenUrl, Patience, ResponseHead, SessionEnd, SessionFailure};
use balcony_sharing::verify::{Claim, Hasher};
use balcony_sharing::{Exposure, NamedBy, NetRules, Plan, Source, SourceKey, net_rules};
use balcony_wire::hashes::HashAlgo;
use url::Url;

pub(crate) const FILE: &[u8] = b"Photo from the summit, all of it, byte by byte.";

#[allow(clippy::disallowed_methods, reason = "a first instant, from which the virtual clock runs")]
pub(crate) fn dawn() -> Instant {
    Instant::now()
}

/// How one server behaves, or one person's device: then its name is an address.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub(crate) bytes: Vec<u8>,
    pub(crate) ranges: bool,
    pub(crate) etag: Option<&'static str>,
    pub(crate) status: u16,
    pub(crate) location: Option<&'static str>,
    /// Breaks the connection after so many bytes of a body, so many times.
    pub(crate) cut: Option<(usize, u32)>,
    pub(crate) lies_about_length: Option<u64>,
    /// What a device says of its bytes when they have ended.
    pub(crate) tells: Option<Vec<u8>>,
    /// A device says no, or cannot be reached.
    pub(crate) says: Option<SessionFailure>,
    /// A device that takes longer for its first word than is waited for where others can be asked.
    pub(crate) slow: bool,
    /// What it says, from the second time on.
    pub(crate) says_later: Option<SessionFailure>,
}

impl Server {
    pub(crate) fn good() -> Self {
        Self {
            bytes: FILE.to_vec(),
            ranges: true,
            etag: Some("\"1\""),
            status: 200,
            location: None,
            cut: None,
            lies_about_length: None,
            tells: None,
            says: None,
            slow: false,
            says_later: None,
        }
    }

    pub(crate) fn with(bytes: &[u8]) -> Self {
        Self { bytes: bytes.to_vec(), ..Self::good() }
    }

    pub(crate) fn cut(self, after: usize, times: u32) -> Self {
        Self { cut: Some((after, times)), ..self }
    }

    pub(crate) fn status(status: u16) -> Self {
        Self { status, ..Self::good() }
    }

    /// Whether it breaks off before the end of these bytes; then they are cut.
    fn cuts(&mut self, body: &mut Vec<u8>) -> bool {
        match &mut self.cut {
            Some((after, times)) if *times > 0 && *after < body.len() => {
                *times -= 1;
                body.truncate(*after);
                true
            }
            _ => false,
        }
    }

    fn answer(&self, request: &OpenUrl) -> (ResponseHead, Vec<u8>) {
        let total = self.bytes.len() as u64;
        let mut head = ResponseHead { status: self.status, headers: Vec::new() };
        let mut say = |name: &str, value: Option<String>| head.headers.extend(value.map(|value| (name.to_owned(), value)));
        say("ETag", self.etag.map(str::to_owned));
        say("Location", self.location.map(str::to_owned));
        if self.status != 200 {
            return (head, Vec::new());
        }
        let asked = |name: &str| request.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str());
        let from = asked("Range").map_or(0, |range| range.strip_prefix("bytes=").unwrap().strip_suffix('-').unwrap().parse().unwrap());
        assert_eq!(from, request.from_byte);
        let same = asked("If-Range").is_none_or(|tag| Some(tag) == self.etag);
        let mut body = self.bytes.clone();
        if self.ranges && from > 0 && same {
            if from >= total {
                say("Content-Range", Some(format!("bytes */{total}")));
                return (ResponseHead { status: 416, ..head }, Vec::new());
            }
            say("Content-Range", Some(format!("bytes {from}-{}/{total}", total - 1)));
            head.status = 206;
            body.drain(..usize::try_from(from).unwrap());
        }
        let length = self.lies_about_length.unwrap_or(body.len() as u64);
        head.headers.push(("Content-Length".into(), length.to_string()));
        (head, body)
    }
}

/// What came of a run.
pub(crate) struct Scene {
    pub(crate) result: Result<Fetched, FetchFailed>,
    pub(crate) staged: Vec<u8>,
    pub(crate) asked: Vec<(String, u64)>,
    pub(crate) headers: Vec<Vec<(String, String)>>,
    pub(crate) outcomes: Vec<(SourceKey, Outcome)>,
    pub(crate) noted: Vec<ResumePoint>,
    /// What the sessions were told at their end.
    pub(crate) ended: Vec<SessionEnd>,
    pub(crate) took: Duration,
}

/// What is fetched, from where, and what an earlier run left.
pub(crate) struct Task {
    pub(crate) claim: Claim,
    pub(crate) plan: Plan,
    pub(crate) resume: Option<ResumePoint>,
}

pub(crate) fn claim(bytes: &[u8]) -> Claim {
    let mut hasher = Hasher::new([HashAlgo::Sha256]);
    hasher.update(bytes);
    Claim { size: Some(bytes.len() as u64), digests: hasher.finish().digests().clone() }
}

pub(crate) fn key(host: &str) -> SourceKey {
    Source::url(format!("https://{host}/summit.jpg")).key()
}

pub(crate) fn attempt(host: &str) -> Attempt {
    let url = Url::parse(&format!("https://{host}/summit.jpg")).unwrap();
    let addresses = net_rules::check_url(&url, &NetRules::default()).unwrap();
    let headers = vec![("Authorization".to_owned(), "Basic c2VjcmV0".to_owned())];
    Attempt {
        source: key(host),
        named_by: NamedBy::Sender,
        how: How::Http(HttpRequest { url, headers, addresses, redirects: Redirects::within_the_plan() }),
        exposure: Exposure::ThirdHost(host.into()),
    }
}

pub(crate) fn task(claim: Claim, servers: &[(&str, Server)]) -> Task {
    Task { claim, plan: Plan { attempts: servers.iter().map(|(host, _)| attempt(host)).collect(), left_out: Vec::new() }, resume: None }
}

/// A body under way.
struct Body {
    host: String,
    chunks: std::vec::IntoIter<Vec<u8>>,
    breaks: bool,
    is_session: bool,
}

/// Drives a job as a client does: perform every action, then feed what comes next, then sleep.
struct Driver<'a> {
    job: FetchJob,
    now: Instant,
    servers: Vec<(&'a str, Server)>,
    piece: usize,
    body: Option<Body>,
    /// A session is open, with bytes to come or without.
    in_session: bool,
    algos: Vec<HashAlgo>,
    /// What opens encrypted bytes, and the digests of these.
    through: Option<(Decipher, Hasher)>,
    scene: Scene,
}

impl Driver<'_> {
    fn perform(&mut self, action: Action) {
        match action {
            Action::Open(request) => self.open(&request),
            Action::Close => {
                assert!(!self.in_session);
                self.body = None;
            }
            Action::OpenSession(open) => self.open_session(&open),
            Action::EndSession(end) => {
                assert!(std::mem::take(&mut self.in_session), "only what is open is ended");
                self.scene.ended.push(end);
                self.body = None;
            }
            Action::Cut(keep) => {
                self.scene.staged.truncate(usize::try_from(keep).unwrap());
                self.through = None;
            }
            Action::Through(envelope) => {
                assert!(self.scene.staged.is_empty(), "plain and encrypted bytes never mix");
                self.through = Some((Decipher::new(&envelope), Hasher::new(envelope.ciphertext.algos())));
            }
            Action::Note(point) => self.scene.noted.push(point),
            Action::Record(source, outcome) => self.scene.outcomes.push((source, outcome)),
            Action::Finish => {
                self.body = None;
                let mut hasher = Hasher::new(self.algos.iter().copied());
                hasher.update(&self.scene.staged);
                match self.through.take() {
                    None => self.job.handle_hashed(self.now, hasher.finish()),
                    Some((decipher, wire)) => {
                        let unwrapped = Unwrapped { end: decipher.finish(), ciphertext: Some(wire.finish()) };
                        self.job.handle_unwrapped(self.now, hasher.finish(), &unwrapped);
                    }
                }
            }
            Action::Done(fetched) => self.scene.result = Ok(fetched),
            Action::Failed(failed) => self.scene.result = Err(failed),
        }
    }

    fn open(&mut self, request: &OpenUrl) {
        self.now += Duration::from_millis(5);
        let host = request.url.host_str().unwrap().to_owned();
        self.scene.asked.push((host.clone(), request.from_byte));
        self.scene.headers.push(request.headers.clone());
        let Some((_, server)) = self.servers.iter_mut().find(|(name, _)| *name == host) else {
            return self.job.handle_failed(self.now, &NetFailure::NoSuchHost(host));
        };
        let (head, mut body) = server.answer(request);
        let breaks = server.cuts(&mut body);
        let chunks: Vec<Vec<u8>> = body.chunks(self.piece).map(<[u8]>::to_vec).collect();
        self.body = Some(Body { host, chunks: chunks.into_iter(), breaks, is_session: false });
        self.job.handle_opened(self.now, &head);
    }

    fn open_session(&mut self, open: &OpenSession) {
        assert!(!std::mem::replace(&mut self.in_session, true), "one session at a time");
        self.now += Duration::from_millis(5);
        let host = open.peer.to_string();
        self.scene.asked.push((host.clone(), open.from_byte));
        let (_, device) = self.servers.iter_mut().find(|(name, _)| *name == host).unwrap();
        if let Some(failure) = &device.says {
            self.in_session = false;
            return self.job.handle_session_failed(self.now, &failure.clone());
        }
        if device.slow && open.patience == Patience::Short {
            self.in_session = false;
            self.now += Duration::from_secs(3);
            return self.job.handle_session_failed(self.now, &SessionFailure::Silent("it does not answer".into()));
        }
        device.says.clone_from(&device.says_later);
        if device.status == 0 {
            return; // it does not answer at all
        }
        let from = if device.ranges { open.from_byte } else { 0 };
        let mut bytes = device.bytes.get(usize::try_from(from).unwrap()..).unwrap_or_default().to_vec();
        let breaks = device.cuts(&mut bytes);
        let chunks: Vec<Vec<u8>> = bytes.chunks(self.piece).map(<[u8]>::to_vec).collect();
        self.body = Some(Body { host, chunks: chunks.into_iter(), breaks, is_session: true });
        let (from, total) = (from + device.lies_about_length.unwrap_or(0), device.bytes.len() as u64);
        self.job.handle_session(self.now, from, Some(total));
    }

    fn feed(&mut self) {
        match &mut self.body {
            Some(body) => match body.chunks.next() {
                Some(chunk) => {
                    let portion = self.job.handle_bytes(self.now, chunk.len());
                    match &mut self.through {
                        None => self.scene.staged.extend_from_slice(portion.of(&chunk)),
                        Some((decipher, wire)) => {
                            wire.update(portion.of(&chunk));
                            let mut plain = vec![0; chunk.len() + 16];
                            let given = decipher.update(portion.of(&chunk), &mut plain);
                            self.scene.staged.extend_from_slice(&plain[..given]);
                        }
                    }
                }
                None => {
                    let Body { host, breaks, is_session, .. } = self.body.take().unwrap();
                    let told = self.servers.iter().find(|(name, _)| *name == host).and_then(|(_, device)| device.tells.clone());
                    if let Some(bytes) = told {
                        let mut hasher = Hasher::new([HashAlgo::Sha256]);
                        hasher.update(&bytes);
                        self.job.handle_told(hasher.finish().digests());
                    }
                    match breaks {
                        true if is_session => {
                            self.in_session = false;
                            self.job.handle_session_failed(self.now, &SessionFailure::Broken("it went away".into()));
                        }
                        true => self.job.handle_failed(self.now, &NetFailure::Broken { host, words: "reset".into() }),
                        false => self.job.handle_end(self.now),
                    }
                }
            },
            None => {
                self.now = self.job.deadline().expect("a job that does nothing waits for something");
                self.job.handle_timeout(self.now);
            }
        }
    }
}

pub(crate) fn run(task: Task, servers: Vec<(&str, Server)>, staged: &[u8], piece: usize) -> Scene {
    let start = dawn();
    let mut algos: Vec<_> = task.claim.algos().collect();
    if !algos.contains(&HashAlgo::Sha256) {
        algos.push(HashAlgo::Sha256);
    }
    let settings = FetchSettings { unannounced_limit: 1000, ..FetchSettings::default() };
    let job = FetchJob::new(&task.plan, task.claim, NetRules::default(), settings, task.resume, start);
    let result = Err(FetchFailed { outcomes: vec![], kept: 0 });
    let scene = Scene {
        result,
        staged: staged.to_vec(),
        asked: vec![],
        headers: vec![],
        outcomes: vec![],
        noted: vec![],
        ended: vec![],
        took: Duration::ZERO,
    };
    let mut driver = Driver { job, now: start, servers, piece, body: None, in_session: false, algos, through: None, scene };
    if let Some(envelope) = driver.job.envelope() {
        let kept = usize::try_from(envelope.keeps(staged.len() as u64)).unwrap();
        let (mut decipher, mut wire) = (Decipher::new(envelope), Hasher::new(envelope.ciphertext.algos()));
        driver.scene.staged.truncate(kept);
        let mut known = driver.scene.staged.clone();
        decipher.relearn(&mut known);
        wire.update(&known);
        driver.through = Some((decipher, wire));
    }
    for _ in 0..200_000 {
        match driver.job.poll_action() {
            Some(action) => driver.perform(action),
            None if driver.job.is_over() => break,
            None => {
                let is_known = driver.job.progress().have == driver.scene.staged.len() as u64;
                assert!(is_known || driver.through.is_some(), "the machine knows what is staged");
                driver.feed();
            }
        }
    }
    assert!(driver.job.is_over(), "the job never ends");
    assert!(driver.body.is_none(), "a job that is over closes what is open");
    assert!(!driver.in_session, "every session hears how it ended");
    assert_eq!(driver.job.deadline(), None);
    driver.scene.took = driver.now - start;
    driver.scene
}
