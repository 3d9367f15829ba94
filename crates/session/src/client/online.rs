//! After login: stanzas, acknowledgements, answers, and whether the server is still there.
//!
//! XEP-0352 Client state indication, v1.0.0 <https://xmpp.org/extensions/xep-0352.html>

use std::time::{Duration, Instant};

use balcony_wire::stream::error::{StreamError, StreamErrorCondition};
use balcony_wire::stream::{csi, sm};
use balcony_wire::{Element, Iq, Jid, Payload as _, Stanza, ns};

use super::end::{Cause, End};
use super::stream::{ClientStream, Phase};
use super::{Action, Activity, Ask, SendError};
use crate::iq_table::{Match, RequestError, RequestId};
use crate::refusal::refuse_malformed;
use crate::sm::{Sent, SentId};

/// Signs of life, and what is asked of the server.
#[derive(Debug)]
pub(super) struct Pulse {
    /// The time of the last input.
    pub(super) now: Instant,
    /// When bytes came last.
    pub(super) heard: Instant,
    /// When we said something last.
    pub(super) spoke: Instant,
    /// Since when an answer is owed (`<a/>`, or to a ping).
    asked: Option<Instant>,
    /// Stanzas sent since acknowledgement was last asked for.
    unasked: usize,
    /// The ping under way, where there is no stream management.
    ping: Option<RequestId>,
    /// The session was resumed and has not acknowledged anything since.
    unproven: bool,
    /// The server was told less than what came, for want of confirmation.
    owes: bool,
}

impl Pulse {
    pub(super) fn new(now: Instant) -> Self {
        Self { now, heard: now, spoke: now, asked: None, unasked: 0, ping: None, unproven: false, owes: false }
    }

    pub(super) fn begin(&mut self, now: Instant, resumed: bool) {
        // A resumed session is asked at once: Prosody has some that swallow all we say (COMPAT Prosody 0.12, 13.0).
        *self = Self { unproven: resumed, unasked: usize::from(resumed), ..Self::new(now) };
    }

    fn answered(&mut self) {
        self.asked = None;
        self.ping = None;
    }
}

impl ClientStream {
    /// An element while online.
    pub(super) fn handle_online(&mut self, element: Element) {
        if element.ns() != ns::SM {
            return self.handle_stanza(element);
        }
        match element.name() {
            "r" => self.acknowledge(),
            "a" => match sm::Ack::read(&element) {
                Ok(ack) => self.handle_ack(ack.h),
                Err(_) => self.break_off(End::new(Cause::Protocol, "the server's acknowledgement cannot be read")),
            },
            _ => {}
        }
    }

    /// After our closing tag only acknowledgements still matter.
    pub(super) fn handle_closing(&mut self, element: Element) {
        if let (Ok(ack), Some(session)) = (sm::Ack::read(&element), self.session.as_mut())
            && let Ok(acknowledged) = session.queue.acknowledge(ack.h)
        {
            self.acknowledged(acknowledged);
        }
    }

    fn acknowledge(&mut self) {
        let Some(session) = self.session.as_ref().filter(|session| session.managed.is_some()) else { return };
        let ack = sm::Ack { h: session.queue.handled() };
        self.pulse.owes = session.queue.has_pending();
        self.say(&ack.write());
    }

    /// The oldest messages that were not confirmed are kept now; a server that asked before hears of it.
    pub(super) fn confirmed(&mut self, count: usize) {
        let Some(session) = self.session.as_mut() else { return };
        session.queue.confirm(count);
        if self.pulse.owes && matches!(self.phase, Phase::Online) {
            self.acknowledge();
        }
    }

    fn handle_ack(&mut self, h: u32) {
        let Some(session) = self.session.as_mut().filter(|session| session.managed.is_some()) else { return };
        match session.queue.acknowledge(h) {
            Ok(acknowledged) => {
                self.pulse.answered();
                self.pulse.unproven = false;
                self.acknowledged(acknowledged);
            }
            Err(too_high) => self.refuse_count(too_high),
        }
    }

    pub(super) fn acknowledged(&mut self, stanzas: Vec<Sent>) {
        if !stanzas.is_empty() {
            self.actions.push_back(Action::Acknowledged(stanzas));
        }
    }

    pub(super) fn handle_stanza(&mut self, element: Element) {
        if !matches!(element.name(), "message" | "presence" | "iq") || element.ns() != ns::CLIENT {
            return; // a feature nobody here enabled: not ours to judge
        }
        let read = Stanza::read(element);
        if let Some(session) = self.session.as_mut().filter(|session| session.managed.is_some()) {
            match &read {
                Ok(Stanza::Message(_)) if self.config.confirms => session.queue.count_pending(),
                _ => session.queue.count_handled(),
            }
        }
        match read {
            Ok(Stanza::Iq(iq)) => self.handle_iq(iq),
            Ok(stanza) => self.actions.push_back(Action::Stanza(stanza)),
            Err(error) => {
                if let Some(answer) = refuse_malformed(&error, None) {
                    let _not_owed = self.put(None, answer);
                }
            }
        }
    }

    fn handle_iq(&mut self, iq: Iq) {
        let own = self.session.as_ref().map(|session| &session.jid);
        match self.requests.take(iq, own) {
            Match::Request(iq) => self.actions.push_back(Action::Stanza(Stanza::Iq(iq))),
            Match::Answer(request, _) if self.pulse.ping == Some(request) => self.pulse.answered(),
            Match::Answer(request, result) => self.actions.push_back(Action::Answer { request, result }),
            Match::Stray => {}
        }
    }

    /// Sends a stanza and remembers it until it is acknowledged.
    pub(super) fn put(&mut self, id: Option<SentId>, element: Element) -> Result<(), SendError> {
        let (true, Some(session)) = (matches!(self.phase, Phase::Online), self.session.as_mut()) else {
            return Err(SendError::NotOnline);
        };
        if session.managed.is_some() && session.queue.is_full() {
            return Err(SendError::QueueFull);
        }
        let size = self.line.say(&element);
        if let Some(limit) = self.limits.stanza.filter(|limit| size > *limit) {
            self.line.unsay(size);
            return Err(SendError::TooLarge { size, limit });
        }
        self.pulse.spoke = self.pulse.now;
        if session.managed.is_some() {
            self.pulse.unasked += 1;
            let _room_was_checked = session.queue.push(self.pulse.now, id, element);
        }
        Ok(())
    }

    pub(super) fn ask(&mut self, now: Instant, to: Option<Jid>, ask: Ask, timeout: Duration) -> RequestId {
        let (request, id) = self.requests.begin(to.clone(), now + timeout);
        let iq = match ask {
            Ask::Get(payload) => Iq::get(id, to, payload),
            Ask::Set(payload) => Iq::set(id, to, payload),
        };
        if let Err(error) = self.put(None, iq.into_element()) {
            self.requests.cancel(request);
            let error = match error {
                SendError::NotOnline => RequestError::NotOnline,
                SendError::QueueFull => RequestError::TooMany,
                SendError::TooLarge { size, limit } => RequestError::TooLarge { size, limit },
            };
            self.actions.push_back(Action::Answer { request, result: Err(error) });
        }
        request
    }

    pub(super) fn expire_requests(&mut self, now: Instant) {
        if matches!(self.phase, Phase::Ended) {
            return;
        }
        while let Some(request) = self.requests.expire(now) {
            if self.pulse.ping != Some(request) {
                self.actions.push_back(Action::Answer { request, result: Err(RequestError::TimedOut) });
            }
        }
    }

    /// Sends again what the resumed session did not handle.
    pub(super) fn resend(&mut self) {
        let Some(session) = self.session.as_ref() else { return };
        for element in session.queue.elements() {
            self.line.say(element);
        }
    }

    /// One `<r/>` for all that was sent since the last, and only one at a time.
    pub(super) fn ask_for_acknowledgement(&mut self) {
        let managed = self.session.as_ref().is_some_and(|session| session.managed.is_some());
        if matches!(self.phase, Phase::Online) && managed && self.pulse.unasked > 0 && self.pulse.asked.is_none() {
            self.pulse.unasked = 0;
            self.pulse.asked = Some(self.pulse.now);
            self.say(&sm::Request.write());
        }
    }

    /// When the server must have answered, or is to be asked.
    pub(super) fn pulse_deadline(&self) -> Instant {
        let Pulse { heard, spoke, asked, .. } = self.pulse;
        let answer = self.config.timing.answer;
        match asked {
            // While bytes keep coming the answer may sit behind them, but not for ever.
            Some(asked) => (asked.max(heard) + answer).min(asked + answer * 4),
            None => {
                let quiet = heard + self.config.timing.idle;
                // The server throws out who is silent for that long: speak up well before.
                self.limits.idle.map_or(quiet, |idle| quiet.min(spoke + idle / 4 * 3))
            }
        }
    }

    pub(super) fn check_pulse(&mut self, now: Instant) {
        if self.pulse_deadline() > now {
            return;
        }
        match self.pulse.asked {
            None => self.check_alive(now),
            Some(_) if self.pulse.unproven => {
                let words = "the server resumed our session but no longer listens in it; a new one is needed";
                self.break_off(End::new(Cause::ResumedDeaf, words));
            }
            Some(_) => self.break_off(End::new(Cause::Silent, "the server answers no more")),
        }
    }

    /// Asks whether the server is there.
    pub(super) fn check_alive(&mut self, now: Instant) {
        if self.pulse.asked.is_some() {
            return;
        }
        if self.session.as_ref().is_some_and(|session| session.managed.is_some()) {
            self.pulse.unasked = self.pulse.unasked.max(1);
            return self.ask_for_acknowledgement();
        }
        let ping = Ask::Get(Element::new("ping", ns::PING));
        let server = Jid::parse(self.config.account.domain()).ok();
        // Its own deadline is the pulse's; the table only has to know it for as long.
        let request = self.ask(now, server, ping, self.config.timing.answer * 5);
        self.pulse.ping = Some(request);
        self.pulse.asked = Some(now);
    }

    pub(super) fn tell_activity(&mut self, activity: Activity) {
        if matches!(self.phase, Phase::Online) && self.client_state {
            self.say(&match activity {
                Activity::Active => csi::Active.write(),
                Activity::Inactive => csi::Inactive.write(),
            });
        }
    }

    pub(super) fn begin_close(&mut self, now: Instant) {
        match self.phase {
            Phase::Online => {
                self.acknowledge();
                let waits = self.session.as_ref().is_some_and(|session| !session.queue.is_empty());
                if waits && self.pulse.asked.is_none() {
                    self.say(&sm::Request.write());
                }
                self.line.close();
                self.phase = Phase::Closing;
                self.step_until = Some(now + self.config.timing.close);
            }
            Phase::Closing | Phase::Ended => {}
            _ => self.break_off(End::new(Cause::Closed, "closed before the login was done")),
        }
    }

    pub(super) fn handle_close_tag(&mut self) {
        let end = match self.phase {
            Phase::Closing => End::new(Cause::Closed, "closed"),
            _ => End::new(Cause::Server, "the server closed the stream"),
        };
        self.break_off(end);
    }

    pub(super) fn handle_stream_error(&mut self, element: &Element) {
        let error = StreamError::read(element).unwrap_or_else(|_unreadable| StreamErrorCondition::UndefinedCondition.into());
        let (cause, words) = match error.condition {
            StreamErrorCondition::Conflict => (Cause::Conflict, "another session took our place".to_owned()),
            StreamErrorCondition::PolicyViolation => {
                (Cause::PolicyViolation, "the server ended the stream over one of its rules".to_owned())
            }
            StreamErrorCondition::HostUnknown | StreamErrorCondition::HostGone => {
                (Cause::HostUnknown, format!("the server does not serve {}", self.config.account.domain()))
            }
            StreamErrorCondition::SystemShutdown => (Cause::Server, "the server shuts down".to_owned()),
            condition => (Cause::Server, format!("the server ended the stream: {}", condition.as_str())),
        };
        let mut end = End::new(cause, words).with_server_words(error.text);
        end.loses_session = !may_be_resumed_after(error.condition);
        end.other_host = error.other_host;
        self.break_off(end);
    }

    /// The session is over: what was not acknowledged is handed back, requests fail.
    pub(super) fn lose_session(&mut self) {
        if let Some(mut session) = self.session.take() {
            let lost = session.queue.drain();
            if !lost.is_empty() {
                self.actions.push_back(Action::Lost(lost));
            }
            self.fail_requests();
        }
    }

    pub(super) fn fail_requests(&mut self) {
        for request in self.requests.drain() {
            if self.pulse.ping != Some(request) {
                self.actions.push_back(Action::Answer { request, result: Err(RequestError::Disconnected) });
            }
        }
    }
}

/// After other errors the same words would be said again in the resumed session, and end it again.
fn may_be_resumed_after(condition: StreamErrorCondition) -> bool {
    matches!(
        condition,
        StreamErrorCondition::ConnectionTimeout
            | StreamErrorCondition::InternalServerError
            | StreamErrorCondition::RemoteConnectionFailed
            | StreamErrorCondition::Reset
            | StreamErrorCondition::ResourceConstraint
            | StreamErrorCondition::SeeOtherHost
            | StreamErrorCondition::SystemShutdown
    )
}
