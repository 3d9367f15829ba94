//! Uploads one file to a service of the own server: asks for a slot, PUTs, and asks once more when that fails.
//!
//! XEP-0363 §4, §6, §7. Limits are looked at before a byte is read; the URL is handed out after the service took the file
//! (decision 38). Reveals to the service: name, size, media type and, by the PUT, the IP address.
//!
//! XEP-0363 HTTP file upload, v1.2.0 <https://xmpp.org/extensions/xep-0363.html>

use std::collections::VecDeque;
use std::time::{Duration, Instant, SystemTime};

use balcony_wire::datetime::DateTime;
use balcony_wire::http_upload::{FileTooLarge, Retry, Slot, SlotHeader, SlotRequest};
use balcony_wire::stanza::DefinedCondition;
use balcony_wire::{Element, Jid, Payload as _, StanzaError};
use url::Url;

use crate::ByteLen;

/// How long a PUT may stand still while bytes are left.
const STALL: Duration = Duration::from_secs(60);
/// How long the service may take to answer once it has everything.
const ANSWER: Duration = Duration::from_secs(180);
/// Slots asked for at one service.
const TRIES: u8 = 2;
/// Nobody is kept waiting longer for a slot.
const LONGEST_PAUSE: Duration = Duration::from_secs(120);

/// A service that takes uploads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its address.
    pub jid: Jid,
    /// The largest file it takes; `None`: it does not say, which is neither zero nor without limit.
    pub max_file_size: Option<u64>,
}

/// What is to be uploaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadTask {
    /// Where, the preferred first.
    pub services: Vec<Service>,
    /// What is asked for.
    pub request: SlotRequest,
    /// Whether plain http to loopback is allowed, for tests.
    pub loopback_http: bool,
}

/// What a driver is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send this iq get; answer with [`UploadJob::handle_slot`].
    AskForSlot {
        /// whom
        service: Jid,
        /// `<request/>`
        payload: Element,
    },
    /// Send the file from its first byte; answer with [`UploadJob::handle_answer`] or [`UploadJob::handle_failure`].
    Put(Put),
    /// Give up the PUT that runs.
    Abandon,
    /// A service told its limit: keep it for the next file (HUP-6-5).
    Learned {
        /// which
        service: Jid,
        /// bytes
        max_file_size: u64,
    },
    /// The job is over: the URL the file can be had at.
    Ended(Result<Uploaded, UploadError>),
}

/// A PUT to make. `Content-Length` is `size`; redirects are not followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Put {
    /// Where to.
    pub url: Url,
    /// The allowed headers of the slot, in order.
    pub headers: Vec<SlotHeader>,
    /// `Content-Type`
    pub content_type: Option<String>,
    /// Bytes to send, exactly.
    pub size: u64,
}

/// A file that a service took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uploaded {
    /// Who took it.
    pub service: Jid,
    /// Where it can be had, as the service wrote it.
    pub get_url: String,
}

/// Why a service did not give a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoSlot {
    /// It said no.
    Refused(StanzaError),
    /// It did not answer in time, or cannot be reached.
    Silent(String),
}

/// Why the bytes did not get there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PutFailure {
    /// No connection, or it broke.
    Network(String),
    /// The certificate does not fit.
    Certificate(String),
    /// The file on our disk is not what it was when the upload began.
    FileChanged(String),
    /// The file cannot be read.
    Unreadable(String),
}

/// Why a file was not uploaded. Where several services failed, the last one speaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UploadError {
    /// The server has no such service.
    #[error("your server has no upload service")]
    NoService,
    /// XEP-0363 knows no files without bytes (decision 18).
    #[error("the file is empty, and upload services take no empty files")]
    Empty,
    /// Too large.
    #[error("the file has {}, {service} takes at most {}", ByteLen(*.size), ByteLen(*.limit))]
    TooLarge {
        /// who says so
        service: Jid,
        /// bytes of the file
        size: u64,
        /// bytes allowed
        limit: u64,
    },
    /// Too large, and the service keeps its limit to itself.
    #[error("the file is too large for {0}, which does not say how large one may be")]
    TooLargeForUnknownLimit(Jid),
    /// Nothing now, perhaps later.
    #[error("{service} takes no more for now{}{}", until(.retry.as_ref()), words(.text))]
    Quota {
        /// who
        service: Jid,
        /// when to come back
        retry: Option<DateTime>,
        /// its own words
        text: Option<String>,
    },
    /// Refused.
    #[error("{service} refused the upload: {error}")]
    Refused {
        /// who
        service: Jid,
        /// what it said
        #[source]
        error: Box<StanzaError>,
    },
    /// No answer.
    #[error("{service} did not answer: {why}")]
    Silent {
        /// who
        service: Jid,
        /// what happened
        why: String,
    },
    /// A slot that cannot be used.
    #[error("{service} answered with a slot that cannot be used: {why}")]
    BadSlot {
        /// who
        service: Jid,
        /// what is wrong with it
        why: String,
    },
    /// The PUT was refused.
    #[error("{host} answered {status} to the upload{}", put_words(*.status))]
    Status {
        /// which host
        host: String,
        /// what it said
        status: u16,
    },
    /// The connection for the PUT could not be made, or broke.
    #[error("the upload to {host} broke: {why}")]
    Broken {
        /// which host
        host: String,
        /// what happened
        why: String,
    },
    /// The certificate of the upload host does not fit.
    #[error("the certificate of {host} is not to be trusted: {why}")]
    Certificate {
        /// which host
        host: String,
        /// what is wrong
        why: String,
    },
    /// Nothing moved for too long.
    #[error("{host} took nothing for {} seconds", .after.as_secs())]
    Stalled {
        /// which host
        host: String,
        /// for how long
        after: Duration,
    },
    /// The file changed meanwhile.
    #[error("the file changed while it was being sent: {0}")]
    FileChanged(String),
    /// The file cannot be read.
    #[error("the file cannot be read: {0}")]
    Unreadable(String),
}

impl UploadError {
    /// What a person may do about it.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::NoService => "ask whoever runs your server for HTTP upload (XEP-0363), or use another account",
            Self::Empty => "put something into the file, or send its name in words",
            Self::TooLarge { .. } | Self::TooLargeForUnknownLimit(_) => {
                "send a smaller file, or send it from an account whose server takes more"
            }
            Self::Quota { .. } => "wait, or delete old uploads where the server lets you",
            Self::Refused { .. } => "ask whoever runs your server",
            Self::Silent { .. } | Self::Broken { .. } | Self::Stalled { .. } => "try again: nothing was sent to anybody yet",
            Self::BadSlot { .. } | Self::Status { .. } => "try again, and if it stays tell whoever runs your server",
            Self::Certificate { .. } => "if the server is your own, trust its authority with --ca; otherwise do not send anything there",
            Self::FileChanged(_) => "send it again once nothing writes to it any more",
            Self::Unreadable(_) => "look at the permissions and the disk",
        }
    }

    /// Whether another slot, or another service, may do better.
    fn may_try_again(&self) -> bool {
        matches!(self, Self::Status { .. } | Self::Broken { .. } | Self::Stalled { .. })
    }

    /// Whether it is about our own file: then nobody else can help.
    fn is_ours(&self) -> bool {
        matches!(self, Self::FileChanged(_) | Self::Unreadable(_) | Self::Empty)
    }
}

/// How long to wait before a service that refused a slot is asked once more: it named a time that is not far off (XEP-0363 §6).
/// `None` if waiting is not worth it, or nothing was said of it.
#[must_use]
pub fn pause(refusal: &NoSlot, now: SystemTime) -> Option<Duration> {
    let NoSlot::Refused(error) = refusal else { return None };
    let retry = error.application.as_ref().filter(|element| Retry::matches(element)).and_then(|element| Retry::read(element).ok())?;
    // Stamps are of whole seconds, and clocks differ a little.
    let pause = retry.stamp.to_system_time().duration_since(now).unwrap_or_default() + Duration::from_secs(1);
    (pause <= LONGEST_PAUSE).then_some(pause)
}

fn until(retry: Option<&DateTime>) -> String {
    retry.map(|stamp| format!(", until {stamp}")).unwrap_or_default()
}

fn words(text: &Option<String>) -> String {
    text.as_ref().map(|text| format!(": {text}")).unwrap_or_default()
}

fn put_words(status: u16) -> &'static str {
    match status {
        401 | 403 => " (the slot ran out or is not for this file)",
        409 => " (something was uploaded to that slot already)",
        411 | 400 => " (the size or type is not that of the slot)",
        413 => " (too large)",
        507 => " (its disk is full)",
        300..=399 => " (redirects of uploads are not followed)",
        _ => "",
    }
}

#[derive(Debug)]
enum State {
    Asking,
    Putting { host: String, get_url: String, since: Instant, sent: u64 },
    Ended,
}

/// Uploads one file. Poll [`UploadJob::poll_action`] until it is empty after each call of `handle_*`.
#[derive(Debug)]
pub struct UploadJob {
    services: VecDeque<Service>,
    request: SlotRequest,
    loopback_http: bool,
    tries: u8,
    state: State,
    actions: VecDeque<Action>,
    failure: Option<UploadError>,
}

impl UploadJob {
    /// Looks at the limits and asks for the first slot.
    ///
    /// # Errors
    /// When it is plain already that nobody takes the file.
    pub fn new(task: UploadTask) -> Result<Self, UploadError> {
        let size = task.request.size;
        if size == 0 {
            return Err(UploadError::Empty);
        }
        let largest = task.services.iter().max_by_key(|service| service.max_file_size).cloned().ok_or(UploadError::NoService)?;
        let services: VecDeque<Service> =
            task.services.into_iter().filter(|service| service.max_file_size.is_none_or(|limit| size <= limit)).collect();
        if services.is_empty() {
            let limit = largest.max_file_size.unwrap_or_default();
            return Err(UploadError::TooLarge { service: largest.jid, size, limit });
        }
        let mut job = Self {
            services,
            request: task.request,
            loopback_http: task.loopback_http,
            tries: 0,
            state: State::Asking,
            actions: VecDeque::new(),
            failure: None,
        };
        job.ask();
        Ok(job)
    }

    /// The next thing to do.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When to call [`UploadJob::handle_timeout`] at the latest. Requests for slots have the deadline of every iq.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Putting { since, sent, .. } if *sent < self.request.size => Some(*since + STALL),
            State::Putting { since, .. } => Some(*since + ANSWER),
            State::Asking | State::Ended => None,
        }
    }

    /// The answer to the request for a slot.
    pub fn handle_slot(&mut self, now: Instant, answer: Result<Option<Element>, NoSlot>) {
        if !matches!(self.state, State::Asking) {
            return;
        }
        let Some(service) = self.services.front().map(|service| service.jid.clone()) else { return };
        match answer.map_err(|no| self.no_slot(&service, no)).and_then(|answer| self.put(&service, answer)) {
            Ok((put, get_url)) => {
                let host = put.url.host_str().unwrap_or_default().to_owned();
                self.actions.push_back(Action::Put(put));
                self.state = State::Putting { host, get_url, since: now, sent: 0 };
            }
            Err(error) => self.failed(error),
        }
    }

    /// So many bytes of the PUT are on their way.
    pub fn handle_progress(&mut self, now: Instant, sent: u64) {
        if let State::Putting { since, sent: before, .. } = &mut self.state
            && sent > *before
        {
            (*since, *before) = (now, sent);
        }
    }

    /// The service answered the PUT with this status.
    pub fn handle_answer(&mut self, status: u16) {
        let State::Putting { host, get_url, .. } = &mut self.state else { return };
        let (host, get_url) = (std::mem::take(host), std::mem::take(get_url));
        match (status, self.services.front()) {
            (200 | 201 | 204, Some(service)) => {
                let uploaded = Uploaded { service: service.jid.clone(), get_url };
                self.end(Ok(uploaded));
            }
            _ => self.failed(UploadError::Status { host, status }),
        }
    }

    /// The PUT failed.
    pub fn handle_failure(&mut self, failure: PutFailure) {
        let State::Putting { host, .. } = &mut self.state else { return };
        let host = std::mem::take(host);
        self.failed(match failure {
            PutFailure::Network(why) => UploadError::Broken { host, why },
            PutFailure::Certificate(why) => UploadError::Certificate { host, why },
            PutFailure::FileChanged(why) => UploadError::FileChanged(why),
            PutFailure::Unreadable(why) => UploadError::Unreadable(why),
        });
    }

    /// The deadline passed, or may have.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return;
        }
        let State::Putting { host, sent, .. } = &mut self.state else { return };
        let after = if *sent < self.request.size { STALL } else { ANSWER };
        let error = UploadError::Stalled { host: std::mem::take(host), after };
        self.actions.push_back(Action::Abandon);
        self.failed(error);
    }

    fn ask(&mut self) {
        self.state = State::Asking;
        self.tries += 1;
        match self.services.front() {
            Some(service) => self.actions.push_back(Action::AskForSlot { service: service.jid.clone(), payload: self.request.write() }),
            None => {
                let failure = self.failure.take().unwrap_or(UploadError::NoService);
                self.end(Err(failure));
            }
        }
    }

    /// A fresh slot at the same service once (HUP-7-5), then the next service, then the end.
    fn failed(&mut self, error: UploadError) {
        if error.is_ours() {
            return self.end(Err(error));
        }
        if !error.may_try_again() || self.tries >= TRIES {
            self.services.pop_front();
            self.tries = 0;
        }
        self.failure = Some(error);
        self.ask();
    }

    fn end(&mut self, result: Result<Uploaded, UploadError>) {
        self.state = State::Ended;
        self.actions.push_back(Action::Ended(result));
    }

    fn no_slot(&mut self, service: &Jid, no: NoSlot) -> UploadError {
        let service = service.clone();
        let error = match no {
            NoSlot::Silent(why) => return UploadError::Silent { service, why },
            NoSlot::Refused(error) => error,
        };
        if let Some(Ok(too_large)) = error.application.as_ref().filter(|element| FileTooLarge::matches(element)).map(FileTooLarge::read) {
            let Some(limit) = too_large.max_file_size else { return UploadError::TooLargeForUnknownLimit(service) };
            self.actions.push_back(Action::Learned { service: service.clone(), max_file_size: limit });
            return UploadError::TooLarge { service, size: self.request.size, limit };
        }
        let retry = error.application.as_ref().filter(|element| Retry::matches(element)).and_then(|element| Retry::read(element).ok());
        if retry.is_some() || error.condition == DefinedCondition::ResourceConstraint {
            return UploadError::Quota { service, retry: retry.map(|retry| retry.stamp), text: error.text };
        }
        UploadError::Refused { service, error: Box::new(error) }
    }

    fn put(&self, service: &Jid, answer: Option<Element>) -> Result<(Put, String), UploadError> {
        let bad = |why: String| UploadError::BadSlot { service: service.clone(), why };
        let slot = answer.as_ref().map(Slot::read).ok_or_else(|| bad("it is empty".to_owned()))?.map_err(|error| bad(error.to_string()))?;
        let url = self.judge(&slot.put_url).map_err(|why| bad(format!("the PUT URL {why}")))?;
        self.judge(&slot.get_url).map_err(|why| bad(format!("the GET URL {why}")))?;
        let put = Put { url, headers: slot.headers, content_type: self.request.content_type.clone(), size: self.request.size };
        Ok((put, slot.get_url))
    }

    /// https, or plain http to loopback where that is allowed (HUP-D-1).
    fn judge(&self, url: &str) -> Result<Url, &'static str> {
        let url = Url::parse(url).map_err(|_| "is no URL")?;
        let is_loopback = match url.host() {
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            Some(url::Host::Domain(name)) => name == "localhost",
            None => return Err("names no host"),
        };
        match url.scheme() {
            "https" => Ok(url),
            "http" if self.loopback_http && is_loopback => Ok(url),
            _ => Err("is not an https one"),
        }
    }
}
