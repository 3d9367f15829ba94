//! The machine itself: what may be put in and taken out. How it goes on is in `negotiate`, `login` and `online`.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use balcony_wire::framing::{Frame, Limits};
use balcony_wire::stream::error::StreamError;
use balcony_wire::stream::features::StreamFeatures;
use balcony_wire::{Element, FullJid, Iq, Jid, Payload as _, Stanza};

use super::login::{InlineOutcome, Login, Proof};
use super::online::Pulse;
use super::session::Session;
use super::{Action, Activity, Ask, Cause, ClientConfig, End, Failure, PeerLimits, ResumeState, SendError};
use crate::Security;
use crate::binding::ChannelBindings;
use crate::entropy::Entropy;
use crate::iq_table::{IqTable, RequestId};
use crate::line::Line;
use crate::sm::SentId;

/// A client's stream: one connection from opening to end. For the next connection make a new one, with
/// [`ClientStream::into_resume`] of this one in its configuration.
///
/// Order of driving: any `handle_*`, `send`, `request`, `answer`, `close`; then [`ClientStream::poll_action`] until `None`;
/// then sleep until [`ClientStream::deadline`] or the next input. Nothing is lost when a driver stops between two polls.
/// After [`Action::Ended`] every input is ignored.
#[derive(Debug)]
pub struct ClientStream {
    pub(super) config: ClientConfig,
    pub(super) entropy: Entropy,
    pub(super) line: Line,
    pub(super) actions: VecDeque<Action>,
    pub(super) phase: Phase,
    /// What the TLS connection can be bound by; empty before TLS.
    pub(super) bindings: ChannelBindings,
    pub(super) encrypted: bool,
    /// How we logged in, once we did.
    pub(super) proof: Option<Proof>,
    /// The session: ours, or an older one that waits to be resumed.
    pub(super) session: Option<Session>,
    pub(super) requests: IqTable,
    pub(super) sent: u64,
    /// Until when the present step of negotiation, or the closing, must be over.
    pub(super) step_until: Option<Instant>,
    pub(super) pulse: Pulse,
    pub(super) limits: PeerLimits,
    /// The server knows XEP-0352.
    pub(super) client_state: bool,
}

/// How far we are.
#[derive(Debug)]
pub(super) enum Phase {
    /// The driver connects, with direct TLS also the handshake.
    Connecting,
    /// Our header is out, theirs is awaited.
    Header,
    /// Their features are awaited; after a SASL2 login, with what came of its inline requests.
    Features(Option<Box<InlineOutcome>>),
    /// `<proceed/>` is awaited.
    StartTls,
    /// The driver does the handshake.
    Handshake,
    /// Logging in.
    Login(Box<Login>),
    /// `<resumed/>` or `<failed/>` is awaited.
    Resuming(Box<StreamFeatures>),
    /// The answer to the bind request of this id is awaited.
    Binding(Box<StreamFeatures>, String),
    /// `<enabled/>` or `<failed/>` is awaited; stanzas that come early wait here.
    Enabling(Box<StreamFeatures>, Vec<Element>),
    /// Logged in.
    Online,
    /// Our closing tag is out, theirs is awaited.
    Closing,
    /// Over.
    Ended,
}

impl ClientStream {
    /// A stream that waits for its connection. `entropy` must be fresh for every stream.
    #[must_use]
    pub fn new(mut config: ClientConfig, entropy: [u8; 32], now: Instant) -> Self {
        let mut entropy = Entropy::new(entropy);
        let fresh = |entropy: &mut Entropy| IqTable::new(config.account.clone(), entropy.id(9));
        let (session, requests, sent) = match config.resume.take() {
            Some(state) => {
                let (session, requests, sent) = Session::revive(state);
                (Some(session), requests, sent)
            }
            None => (None, fresh(&mut entropy), 0),
        };
        Self {
            line: Line::new(Limits::BEFORE_LOGIN),
            step_until: Some(now + config.timing.step),
            config,
            entropy,
            actions: VecDeque::new(),
            phase: Phase::Connecting,
            bindings: ChannelBindings::NONE,
            encrypted: false,
            proof: None,
            session,
            requests,
            sent,
            pulse: Pulse::new(now),
            limits: PeerLimits::default(),
            client_state: false,
        }
    }

    /// TCP is open. With direct TLS the handshake comes first: do it and call [`ClientStream::handle_tls`]; this call is
    /// not needed then.
    pub fn handle_connected(&mut self, now: Instant) {
        self.pulse.now = now;
        if matches!(self.phase, Phase::Connecting) && self.config.security == Security::StartTls {
            self.open(now);
        }
    }

    /// The TLS handshake is done and the certificate is good for the domain of the account.
    pub fn handle_tls(&mut self, now: Instant, bindings: ChannelBindings) {
        self.pulse.now = now;
        let expected = match self.phase {
            Phase::Connecting => self.config.security == Security::DirectTls,
            Phase::Handshake => true,
            _ => false,
        };
        if !expected {
            return;
        }
        self.encrypted = true;
        self.bindings = bindings;
        if self.line.restart_encrypted() {
            return self.break_off(End::new(Cause::Protocol, "somebody put unencrypted words in front of the encryption"));
        }
        self.open(now);
    }

    /// Bytes came.
    pub fn handle_bytes(&mut self, now: Instant, bytes: &[u8]) {
        self.pulse.now = now;
        self.pulse.heard = now;
        if !self.is_listening() {
            return self.line.hear_early(bytes);
        }
        self.line.hear(bytes);
        while self.is_listening() {
            match self.line.next_frame() {
                Ok(Some(frame)) => self.handle_frame(now, frame),
                Ok(None) => break,
                Err(error) => {
                    self.line.say(&StreamError::new(error.condition()).write());
                    self.break_off(End::new(Cause::Protocol, format!("the server broke the protocol: {error}")));
                }
            }
        }
    }

    fn is_listening(&self) -> bool {
        !matches!(self.phase, Phase::Connecting | Phase::Handshake | Phase::Ended)
    }

    fn handle_frame(&mut self, now: Instant, frame: Frame) {
        match frame {
            Frame::Open(head) => self.handle_header(now, &head),
            Frame::Element(element) if StreamError::matches(&element) => self.handle_stream_error(&element),
            Frame::Element(element) => self.handle_element(now, element),
            Frame::Close => self.handle_close_tag(),
        }
    }

    /// The connection is closed.
    pub fn handle_closed(&mut self, now: Instant) {
        self.pulse.now = now;
        self.line.cut();
        let end = match self.phase {
            Phase::Ended => return,
            Phase::Closing => End::new(Cause::Closed, "closed"),
            Phase::Online => End::new(Cause::ConnectionLost, "the connection was lost"),
            Phase::Connecting => End::new(Cause::Unreachable, "the server closed the connection at once"),
            _ => End::new(Cause::ConnectionLost, "the server closed the connection during the login"),
        };
        self.finish(end);
    }

    /// Something below the stream went wrong.
    pub fn handle_failure(&mut self, now: Instant, failure: Failure) {
        self.pulse.now = now;
        self.line.cut();
        let (cause, words) = match failure {
            Failure::Connect(words) => (Cause::Unreachable, words),
            Failure::Certificate(words) => (Cause::Certificate, words),
            Failure::Tls(words) => (Cause::Tls, words),
            Failure::Io(words) => (Cause::ConnectionLost, words),
        };
        let closing = matches!(self.phase, Phase::Closing);
        self.finish(if closing { End::new(Cause::Closed, "closed") } else { End::new(cause, words) });
    }

    /// [`ClientStream::deadline`] has passed. Calling it early does no harm.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.pulse.now = now;
        self.expire_requests(now);
        if self.step_until.is_some_and(|until| until <= now) {
            return self.handle_step_timeout();
        }
        if matches!(self.phase, Phase::Online) {
            self.check_pulse(now);
        }
    }

    /// Sends a message, a presence or an iq whose answer does not matter. Costs one pass over the stanza.
    ///
    /// # Errors
    /// When not online, when the server would refuse its size, or when too much waits for acknowledgement.
    pub fn send(&mut self, now: Instant, stanza: Stanza) -> Result<SentId, SendError> {
        self.pulse.now = now;
        let id = SentId(self.sent + 1);
        self.put(Some(id), stanza.into_element())?;
        self.sent += 1;
        Ok(id)
    }

    /// Whether what can wait should be sent now. Where much waits for acknowledgement a quarter of the room is left for what cannot.
    pub fn has_room(&self) -> bool {
        let managed = self.session.as_ref().filter(|session| session.managed.is_some());
        managed.is_none_or(|session| session.queue.len() < self.config.queue.div_ceil(4) * 3)
    }

    /// Asks something; `None` asks the own account. The answer comes as [`Action::Answer`], exactly once, also when nothing
    /// could be sent, nobody answered within `timeout`, or the session was lost.
    pub fn request(&mut self, now: Instant, to: Option<Jid>, ask: Ask, timeout: Duration) -> RequestId {
        self.pulse.now = now;
        self.ask(now, to, ask, timeout)
    }

    /// Whether a request went out, and its answer may still come.
    pub fn awaits(&self, request: RequestId) -> bool {
        self.requests.awaits(request)
    }

    /// Forgets a request: its answer will not come out.
    pub fn cancel(&mut self, request: RequestId) {
        self.requests.cancel(request);
    }

    /// Sends the answer to an iq that came as [`Action::Stanza`]; make it with [`Iq::result`] or [`Iq::refuse`].
    ///
    /// # Errors
    /// As [`ClientStream::send`].
    pub fn answer(&mut self, now: Instant, answer: Iq) -> Result<SentId, SendError> {
        self.send(now, Stanza::Iq(answer))
    }

    /// With [`ClientConfig::confirms`]: the oldest `count` messages that came on this stream as [`Action::Stanza`], and were not
    /// confirmed before, are kept where a crash does not lose them. Those that never are come again when the session is resumed,
    /// or to the next session.
    pub fn confirm(&mut self, now: Instant, count: usize) {
        self.pulse.now = now;
        self.confirmed(count);
    }

    /// Tells the server whether somebody looks (XEP-0352); nothing is sent where it would not understand. Every stream,
    /// a resumed one too, starts active.
    pub fn set_activity(&mut self, now: Instant, activity: Activity) {
        self.pulse.now = now;
        self.tell_activity(activity);
    }

    /// Asks at once whether the server is there (after a change of networks, after sleep): the connection is dead if no
    /// answer comes within [`super::Timing::answer`].
    pub fn probe(&mut self, now: Instant) {
        self.pulse.now = now;
        if matches!(self.phase, Phase::Online) {
            self.check_alive(now);
        }
    }

    /// Closes the stream: what was sent before is flushed, acknowledgement is asked for, the session is over.
    pub fn close(&mut self, now: Instant) {
        self.pulse.now = now;
        self.begin_close(now);
    }

    /// What to do next; `None` until the next input.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.ask_for_acknowledgement();
        match self.line.take() {
            Some(bytes) => Some(Action::Write(bytes)),
            None => self.actions.pop_front(),
        }
    }

    /// When to call [`ClientStream::handle_timeout`] at the latest.
    pub fn deadline(&self) -> Option<Instant> {
        let pulse = if matches!(self.phase, Phase::Online) { Some(self.pulse_deadline()) } else { None };
        let requests = if matches!(self.phase, Phase::Ended) { None } else { self.requests.deadline() };
        [self.step_until, pulse, requests].into_iter().flatten().min()
    }

    /// Who we are, once online.
    pub fn jid(&self) -> Option<&FullJid> {
        if self.is_live() { self.session.as_ref().map(|session| &session.jid) } else { None }
    }

    /// What is left for another connection to go on with, after [`Action::Ended`] or when the driver drops the
    /// connection. `None` when there is nothing to resume: then [`Action::Lost`] has come already.
    #[must_use]
    pub fn into_resume(mut self) -> Option<ResumeState> {
        if self.is_live() {
            let now = self.pulse.now;
            self.session.as_mut()?.lost_at = Some(now);
        }
        self.session?.into_state(self.requests, self.sent)
    }

    /// Whether the session is that of this stream, not one that waits to be resumed.
    pub(super) fn is_live(&self) -> bool {
        matches!(self.phase, Phase::Enabling(..) | Phase::Online | Phase::Closing)
    }

    /// Says something that is no stanza.
    pub(super) fn say(&mut self, element: &Element) {
        self.line.say(element);
        self.pulse.spoke = self.pulse.now;
    }

    /// A step of negotiation begins: it has its own deadline.
    pub(super) fn step(&mut self, now: Instant) {
        self.step_until = Some(now + self.config.timing.step);
    }

    /// Ends the stream from our side, as well as the connection still lets us.
    pub(super) fn break_off(&mut self, end: End) {
        self.line.close();
        self.finish(end);
    }

    /// The one way out: sorts what is left of the session and says why.
    pub(super) fn finish(&mut self, end: End) {
        if matches!(self.phase, Phase::Ended) {
            return;
        }
        if self.is_live() {
            let now = self.pulse.now;
            match self.session.as_mut() {
                Some(session) if session.is_resumable() && end.keeps_session() => session.lost_at = Some(now),
                _ => self.lose_session(),
            }
        }
        if self.session.is_none() {
            self.fail_requests();
        }
        self.phase = Phase::Ended;
        self.step_until = None;
        self.actions.push_back(Action::Ended(end));
    }
}
