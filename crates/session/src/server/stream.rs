//! The machine itself: what may be put in and taken out. How it goes on is in `negotiate`, `login` and `online`.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use balcony_wire::framing::Frame;
use balcony_wire::stream::error::{StreamError, StreamErrorCondition};
use balcony_wire::{BareJid, FullJid, Payload as _, Stanza, StanzaError};

use super::login::Attempt;
use super::negotiate::Await;
use super::online::Pulse;
use super::{Action, Bound, Detached, Leftover, ServerConfig, ServerEnd};
use crate::Security;
use crate::binding::ChannelBindings;
use crate::entropy::Entropy;
use crate::line::Line;
use crate::scram::StoredKeys;
use crate::sm::{Queue, Sent};

/// The server's side of one client connection, from its first byte to its end.
///
/// Order of driving: any `handle_*`, `send`, `close`; then [`ServerStream::poll_action`] until `None`; then sleep until
/// [`ServerStream::deadline`] or the next input. After [`Action::Ended`] every input is ignored.
#[derive(Debug)]
pub struct ServerStream {
    pub(super) config: Arc<ServerConfig>,
    pub(super) entropy: Entropy,
    pub(super) line: Line,
    pub(super) actions: VecDeque<Action>,
    pub(super) phase: Phase,
    /// What the TLS connection can be bound by; empty before TLS.
    pub(super) bindings: ChannelBindings,
    pub(super) encrypted: bool,
    /// Logins that failed on this connection.
    pub(super) failed_tries: u8,
    /// Who logged in.
    pub(super) account: Option<BareJid>,
    /// SASL2's id of the installation.
    pub(super) user_agent: Option<String>,
    pub(super) session: Option<Session>,
    /// Until when the login, or the closing, must be over.
    pub(super) until: Option<Instant>,
    pub(super) pulse: Pulse,
}

/// How far we are.
#[derive(Debug)]
pub(super) enum Phase {
    /// The driver does the TLS handshake.
    Handshake,
    /// The client's header is awaited.
    Header,
    /// Our features are out; the client chooses.
    Choosing,
    /// The client's next SASL message is awaited.
    Login(Box<Attempt>),
    /// The driver owes an answer.
    Waiting(Await),
    /// An address is bound.
    Online,
    /// Our closing tag is out, the client's is awaited.
    Closing,
    /// Over.
    Ended,
}

/// A bound login.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) jid: FullJid,
    pub(super) queue: Queue,
    /// Stream management is on.
    pub(super) managed: bool,
    /// The id to resume by.
    pub(super) id: Option<String>,
    /// The connection was lost, not closed: the client may come back.
    pub(super) detached: bool,
}

impl ServerStream {
    /// A connection was accepted (with direct TLS: call [`ServerStream::handle_tls`] after the handshake). `entropy` must
    /// be fresh for every stream.
    #[must_use]
    pub fn new(config: Arc<ServerConfig>, entropy: [u8; 32], now: Instant) -> Self {
        Self {
            entropy: Entropy::new(entropy),
            line: Line::new(config.limits_before),
            actions: VecDeque::new(),
            phase: if config.security == Security::DirectTls { Phase::Handshake } else { Phase::Header },
            bindings: ChannelBindings::NONE,
            encrypted: false,
            failed_tries: 0,
            account: None,
            user_agent: None,
            session: None,
            until: Some(now + config.timing.login),
            pulse: Pulse::new(now),
            config,
        }
    }

    /// The TLS handshake is done.
    pub fn handle_tls(&mut self, now: Instant, bindings: ChannelBindings) {
        self.pulse.now = now;
        if !matches!(self.phase, Phase::Handshake) {
            return;
        }
        self.encrypted = true;
        self.bindings = bindings;
        self.phase = Phase::Header;
        if self.line.restart_encrypted() {
            // Somebody in between put words in front of the encryption (CVE-2011-0411 and its kin).
            self.refuse(StreamErrorCondition::PolicyViolation, "unencrypted bytes in front of the TLS handshake");
        }
    }

    /// Bytes came.
    pub fn handle_bytes(&mut self, now: Instant, bytes: &[u8]) {
        self.pulse.now = now;
        self.pulse.heard = now;
        if matches!(self.phase, Phase::Ended | Phase::Handshake) {
            return self.line.hear_early(bytes);
        }
        self.line.hear(bytes);
        self.pump(now);
        let bound = if self.account.is_some() { self.config.limits_after.stanza } else { self.config.limits_before.stanza };
        if self.is_waiting() && self.line.unread() > bound {
            self.refuse(StreamErrorCondition::PolicyViolation, "the client does not wait for answers");
        }
    }

    /// Reads as far as it goes without an answer from the driver.
    pub(super) fn pump(&mut self, now: Instant) {
        while !matches!(self.phase, Phase::Handshake | Phase::Waiting(_) | Phase::Ended) {
            match self.line.next_frame() {
                Ok(Some(Frame::Open(head))) => self.handle_header(&head),
                Ok(Some(Frame::Element(element))) => self.handle_element(now, element),
                Ok(Some(Frame::Close)) => self.handle_close_tag(),
                Ok(None) => break,
                Err(error) => self.refuse(error.condition(), &error.to_string()),
            }
        }
    }

    /// The connection is closed or broken.
    pub fn handle_closed(&mut self, now: Instant) {
        self.pulse.now = now;
        self.line.cut();
        let closing = matches!(self.phase, Phase::Closing);
        self.finish("the connection was closed", None, !closing);
    }

    /// [`ServerStream::deadline`] has passed. Calling it early does no harm.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.pulse.now = now;
        if self.until.is_some_and(|until| until <= now) {
            match self.phase {
                Phase::Closing => self.finish("the client did not close its side in time", None, false),
                _ => self.refuse(StreamErrorCondition::ConnectionTimeout, "the login took too long"),
            }
        } else if matches!(self.phase, Phase::Online) {
            self.check_pulse(now);
        }
    }

    /// With [`ServerConfig::confirms`]: how much of what the client said waits to be confirmed.
    pub fn pending(&self) -> usize {
        self.managed().map_or(0, Queue::pending)
    }

    /// With [`ServerConfig::confirms`]: the oldest `count` of what is pending are safe: with whom they are for, on a disk, or answered. What
    /// never is, the client says again when it resumes the session.
    pub fn confirm(&mut self, now: Instant, count: usize) {
        self.pulse.now = now;
        self.confirmed(count);
    }

    /// The `h` that would cover all that was sent to the client so far; `None` without stream management.
    pub fn sent(&self) -> Option<u32> {
        self.managed().map(Queue::sent)
    }

    /// The client's last `h`.
    pub fn acknowledged(&self) -> Option<u32> {
        self.managed().map(Queue::acknowledged)
    }

    /// What neither the client acknowledged nor `h` would cover, oldest first, each with the `h` that would.
    pub fn unacknowledged_after(&self, h: u32) -> impl Iterator<Item = (u32, Sent)> {
        self.managed().into_iter().flat_map(move |queue| queue.waiting_after(h))
    }

    /// Asks the client to acknowledge what it was sent, unless it is asked already: somebody waits for it.
    pub fn hurry(&mut self, now: Instant) {
        self.pulse.now = now;
        self.ask_at_once();
    }

    fn managed(&self) -> Option<&Queue> {
        self.session.as_ref().filter(|session| session.managed).map(|session| &session.queue)
    }

    /// Answers [`Action::LookUp`].
    pub fn handle_credentials(&mut self, now: Instant, keys: Option<StoredKeys>) {
        self.pulse.now = now;
        if let Some(Await::Keys(attempt)) = self.take_await(|wait| matches!(wait, Await::Keys(_))) {
            self.go_on_with_keys(attempt, keys);
            self.pump(now);
        }
    }

    /// The store cannot be asked just now: answers [`Action::LookUp`] with `temporary-auth-failure`.
    pub fn handle_credentials_unavailable(&mut self, now: Instant) {
        self.pulse.now = now;
        if let Some(Await::Keys(attempt)) = self.take_await(|wait| matches!(wait, Await::Keys(_))) {
            self.keys_unavailable(&attempt);
            self.pump(now);
        }
    }

    /// Answers [`Action::Bind`].
    pub fn handle_bound(&mut self, now: Instant, bound: Result<Bound, StanzaError>) {
        self.pulse.now = now;
        if let Some(Await::Bound(wait)) = self.take_await(|wait| matches!(wait, Await::Bound(_))) {
            self.go_on_bound(now, *wait, bound);
            self.pump(now);
        }
    }

    /// Answers [`Action::Resume`]: the session, or how many stanzas of it had been handled if that is still known.
    pub fn handle_resume(&mut self, now: Instant, session: Result<Detached, Option<u32>>) {
        self.pulse.now = now;
        if let Some(Await::Session(wait)) = self.take_await(|wait| matches!(wait, Await::Session(_))) {
            self.go_on_resumed(now, *wait, session);
            self.pump(now);
        }
    }

    fn take_await(&mut self, wanted: impl Fn(&Await) -> bool) -> Option<Await> {
        match std::mem::replace(&mut self.phase, Phase::Choosing) {
            Phase::Waiting(wait) if wanted(&wait) => Some(wait),
            other => {
                self.phase = other;
                None
            }
        }
    }

    /// Sends a stanza to the client.
    ///
    /// # Errors
    /// Hands it back when nobody is logged in here any more or too much waits for acknowledgement: to be stored or bounced.
    pub fn send(&mut self, now: Instant, stanza: Stanza) -> Result<(), Box<Stanza>> {
        self.pulse.now = now;
        if self.may_send() {
            self.put(stanza.into_element());
            Ok(())
        } else {
            Err(Box::new(stanza))
        }
    }

    /// Another connection resumes this session: ends this stream with `conflict` and hands the session over. `None` when
    /// there is no session that could be resumed. Poll the rest of the actions after it.
    pub fn take_over(&mut self, now: Instant) -> Option<Detached> {
        self.pulse.now = now;
        let session = self.session.take_if(|session| session.id.is_some())?;
        let detached = session.into_detached();
        if detached.is_some() {
            self.refuse(StreamErrorCondition::Conflict, "the session goes on over another connection");
        }
        detached
    }

    /// Ends the stream, with a stream error if there is a reason. The session cannot be resumed then.
    pub fn close(&mut self, now: Instant, reason: Option<(StreamErrorCondition, String)>) {
        self.pulse.now = now;
        match (reason, &self.phase) {
            (_, Phase::Ended) => {}
            (Some((condition, words)), _) => self.refuse(condition, &words),
            (None, Phase::Online) => {
                self.acknowledge();
                self.line.close();
                self.phase = Phase::Closing;
                self.until = Some(now + self.config.timing.close);
            }
            (None, _) => {
                self.line.close();
                self.finish("closed by the server", None, false);
            }
        }
    }

    /// What to do next; `None` until the next input.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.ask_for_acknowledgement();
        match self.line.take() {
            Some(bytes) => Some(Action::Write(bytes)),
            None => self.actions.pop_front(),
        }
    }

    /// When to call [`ServerStream::handle_timeout`] at the latest.
    pub fn deadline(&self) -> Option<Instant> {
        let pulse = if matches!(self.phase, Phase::Online) { Some(self.pulse_deadline()) } else { None };
        [self.until, pulse].into_iter().flatten().min()
    }

    /// Whether a question ([`Action::LookUp`], [`Action::Bind`], [`Action::Resume`]) waits for its answer: a driver that
    /// wants to stop reading the socket meanwhile may. Nothing is lost if it does not.
    pub fn is_waiting(&self) -> bool {
        matches!(self.phase, Phase::Waiting(_))
    }

    /// The client's address, once bound.
    pub fn jid(&self) -> Option<&FullJid> {
        self.session.as_ref().map(|session| &session.jid)
    }

    /// What is left after [`Action::Ended`].
    #[must_use]
    pub fn into_leftover(self) -> Leftover {
        let Some(mut session) = self.session else { return Leftover::Nothing };
        if session.detached && session.id.is_some() {
            return session.into_detached().map_or(Leftover::Nothing, Leftover::Detached);
        }
        Leftover::Undelivered { stanzas: session.queue.drain(), jid: session.jid }
    }

    /// Ends the stream with a stream error; the header goes in front if it is not out yet (RFC 6120 §4.9.1.2).
    pub(super) fn refuse(&mut self, condition: StreamErrorCondition, words: &str) {
        self.refuse_with(StreamError::new(condition).with_text(words));
    }

    pub(super) fn refuse_with(&mut self, error: StreamError) {
        if !self.line.is_open() && !matches!(self.phase, Phase::Closing | Phase::Handshake | Phase::Ended) {
            self.open(None);
        }
        if self.line.is_open() {
            self.line.say(&error.write());
            self.line.close();
        }
        let words = error.text.clone().unwrap_or_default();
        self.finish(&words, Some(error.condition), false);
    }

    /// The one way out.
    pub(super) fn finish(&mut self, words: &str, condition: Option<StreamErrorCondition>, lost: bool) {
        if matches!(self.phase, Phase::Ended) {
            return;
        }
        if let Some(session) = self.session.as_mut() {
            session.detached = lost;
        }
        self.phase = Phase::Ended;
        self.until = None;
        self.actions.push_back(Action::Ended(ServerEnd { words: words.to_owned(), condition }));
    }
}

impl Session {
    pub(super) fn into_detached(self) -> Option<Detached> {
        Some(Detached { id: self.id?, jid: self.jid, queue: self.queue })
    }
}
