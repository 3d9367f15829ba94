//! After binding: stanzas with a checked sender, acknowledgements, and whether the client is still there.
//!
//! XEP-0352 Client state indication, v1.0.0 <https://xmpp.org/extensions/xep-0352.html>
//! Status: partial: said and heard; the client has no states yet, the server holds nothing back.

use std::time::{Duration, Instant};

use balcony_wire::stanza::{DefinedCondition, StanzaReadError};
use balcony_wire::stream::bind::LegacySession;
use balcony_wire::stream::error::{StreamError, StreamErrorCondition};
use balcony_wire::stream::{csi, sm};
use balcony_wire::{Element, Iq, IqKind, Jid, Payload as _, Stanza, ns};

use super::stream::{Phase, ServerStream};
use super::{Action, Activity};
use crate::refusal::refuse_malformed;

/// Stanzas after which the client is asked to acknowledge.
const ASK_AFTER: usize = 16;
/// How long fewer than that may wait.
const ASK_WITHIN: Duration = Duration::from_secs(3);

/// Signs of life, and what is asked of the client.
#[derive(Debug)]
pub(super) struct Pulse {
    /// The time of the last input.
    pub(super) now: Instant,
    /// When bytes came last.
    pub(super) heard: Instant,
    /// Since when an answer is owed.
    asked: Option<Instant>,
    /// Stanzas sent since acknowledgement was last asked for, and when the first of them was.
    unasked: usize,
    unasked_since: Instant,
    /// Id of the ping under way, where there is no stream management.
    ping: Option<String>,
    /// The client was told less than what came, for want of confirmation.
    owes: bool,
}

impl Pulse {
    pub(super) fn new(now: Instant) -> Self {
        Self { now, heard: now, asked: None, unasked: 0, unasked_since: now, ping: None, owes: false }
    }

    pub(super) fn begin(&mut self, now: Instant) {
        *self = Self::new(now);
    }
}

impl ServerStream {
    pub(super) fn handle_online(&mut self, _now: Instant, element: Element) {
        match (element.ns(), element.name()) {
            (ns::CLIENT, "message" | "presence" | "iq") => self.handle_stanza(element),
            (ns::SM, "r") => self.acknowledge(),
            (ns::SM, "a") => self.handle_ack(&element),
            (ns::SM, "enable") => self.handle_enable(&element),
            (ns::SM, "resume") => self.sm_failed(DefinedCondition::UnexpectedRequest, None),
            (ns::CSI, "active") if csi::Active::matches(&element) => self.actions.push_back(Action::Activity(Activity::Active)),
            (ns::CSI, "inactive") => self.actions.push_back(Action::Activity(Activity::Inactive)),
            (ns::STREAM, "error") => self.handle_stream_error(&element),
            _ => self.refuse(StreamErrorCondition::UnsupportedStanzaType, &format!("{} is no stanza", element.qualified_name())),
        }
    }

    fn handle_stream_error(&mut self, element: &Element) {
        let condition = StreamError::read(element).map_or(StreamErrorCondition::UndefinedCondition, |error| error.condition);
        self.line.close();
        self.finish(&format!("the client ended the stream: {}", condition.as_str()), None, false);
    }

    fn handle_stanza(&mut self, element: Element) {
        let Some(session) = self.session.as_mut() else { return };
        match session.managed {
            true if self.config.confirms => session.queue.count_pending(),
            true => session.queue.count_handled(),
            false => {}
        }
        match Stanza::read(element) {
            Ok(stanza) => self.handle_readable(stanza),
            Err(StanzaReadError::Address { attribute: "from", .. }) => {
                self.refuse(StreamErrorCondition::InvalidFrom, "the sender's address is malformed");
            }
            Err(error) => {
                let sender = session.jid.clone();
                if let Some(answer) = refuse_malformed(&error, Some(sender.as_str())).filter(|_| self.may_send()) {
                    self.put(answer);
                }
            }
        }
    }

    /// The sender is who is logged in here, whatever the stanza says or leaves out (RFC 6120 §8.1.2.1).
    fn handle_readable(&mut self, mut stanza: Stanza) {
        let Some(session) = self.session.as_ref() else { return };
        let jid: &Jid = &session.jid;
        if stanza.from().is_some_and(|from| from != jid && from.as_str() != jid.bare().as_str()) {
            return self.refuse(StreamErrorCondition::InvalidFrom, "the stanza says it is from somebody else");
        }
        stanza.set_from(Some(jid.clone()));
        if let Stanza::Iq(iq) = &stanza {
            if self.is_pong(iq) {
                self.pulse.asked = None;
                self.pulse.ping = None;
                return;
            }
            if matches!(&iq.kind, IqKind::Set(payload) if LegacySession::matches(payload)) {
                let answer = Iq::new(iq.id.clone(), None, IqKind::Result(None));
                self.put(answer.into_element());
                return;
            }
        }
        self.actions.push_back(Action::Stanza(stanza));
    }

    fn is_pong(&self, iq: &Iq) -> bool {
        iq.request().is_none() && self.pulse.ping.as_deref() == Some(iq.id.as_str())
    }

    /// `<a/>`, where stream management is on.
    pub(super) fn acknowledge(&mut self) {
        if let Some(session) = self.session.as_ref().filter(|session| session.managed) {
            self.pulse.owes = session.queue.has_pending();
            self.line.say(&sm::Ack { h: session.queue.handled() }.write());
        }
    }

    /// The oldest of what the client said is where it belongs; a client that asked before hears of it.
    pub(super) fn confirmed(&mut self, count: usize) {
        let Some(session) = self.session.as_mut() else { return };
        session.queue.confirm(count);
        if self.pulse.owes && matches!(self.phase, Phase::Online) {
            self.acknowledge();
        }
    }

    fn handle_ack(&mut self, element: &Element) {
        let Some(session) = self.session.as_mut().filter(|session| session.managed) else { return };
        let Ok(ack) = sm::Ack::read(element) else {
            return self.refuse(StreamErrorCondition::InvalidXml, "the acknowledgement has no count");
        };
        match session.queue.acknowledge(ack.h) {
            Ok(_arrived) => self.pulse.asked = None,
            Err(too_high) => self.refuse_count(too_high),
        }
    }

    fn handle_enable(&mut self, element: &Element) {
        let managed = self.session.as_ref().is_some_and(|session| session.managed);
        match sm::Enable::read(element) {
            Ok(enable) if !managed => {
                let enabled = self.enable(&enable);
                self.line.say(&enabled.write());
            }
            _ => self.sm_failed(DefinedCondition::UnexpectedRequest, None),
        }
    }

    /// After our closing tag only acknowledgements still matter.
    pub(super) fn handle_closing(&mut self, element: &Element) {
        if let (Ok(ack), Some(session)) = (sm::Ack::read(element), self.session.as_mut()) {
            let _may_be_wrong_by_now = session.queue.acknowledge(ack.h);
        }
    }

    pub(super) fn handle_close_tag(&mut self) {
        if matches!(self.phase, Phase::Online) {
            self.acknowledge();
        }
        self.line.close();
        self.finish("the client closed the stream", None, false);
    }

    pub(super) fn may_send(&self) -> bool {
        let room = self.session.as_ref().is_some_and(|session| !session.managed || !session.queue.is_full());
        matches!(self.phase, Phase::Online) && room
    }

    /// Sends a stanza and remembers it until it is acknowledged. [`ServerStream::may_send`] was asked.
    pub(super) fn put(&mut self, element: Element) {
        self.line.say(&element);
        let Some(session) = self.session.as_mut().filter(|session| session.managed) else { return };
        if self.pulse.unasked == 0 {
            self.pulse.unasked_since = self.pulse.now;
        }
        self.pulse.unasked += 1;
        let _room_was_checked = session.queue.push(self.pulse.now, None, element);
    }

    /// Sends again what the client did not get.
    pub(super) fn resend(&mut self) {
        let Some(session) = self.session.as_ref() else { return };
        for element in session.queue.elements() {
            self.line.say(element);
        }
        self.pulse.unasked = session.queue.len();
    }

    /// `<r/>` after some stanzas or some time, and only one at a time.
    pub(super) fn ask_for_acknowledgement(&mut self) {
        if matches!(self.phase, Phase::Online) && self.pulse.asked.is_none() && self.pulse.unasked >= ASK_AFTER {
            self.ask();
        }
    }

    /// As soon as there is something to ask for.
    pub(super) fn ask_at_once(&mut self) {
        let managed = self.session.as_ref().is_some_and(|session| session.managed);
        if matches!(self.phase, Phase::Online) && managed && self.pulse.asked.is_none() && self.pulse.unasked > 0 {
            self.ask();
        }
    }

    fn ask(&mut self) {
        self.pulse.unasked = 0;
        self.pulse.asked = Some(self.pulse.now);
        self.line.say(&sm::Request.write());
    }

    pub(super) fn pulse_deadline(&self) -> Instant {
        let Pulse { heard, asked, unasked, unasked_since, .. } = self.pulse;
        match asked {
            Some(asked) => asked.max(heard) + self.config.timing.answer,
            None if unasked > 0 => unasked_since + ASK_WITHIN,
            None => heard + self.config.timing.idle,
        }
    }

    pub(super) fn check_pulse(&mut self, now: Instant) {
        if self.pulse_deadline() > now {
            return;
        }
        if self.pulse.asked.is_some() {
            return self.give_up_silent();
        }
        if self.session.as_ref().is_some_and(|session| session.managed) {
            return self.ask();
        }
        let id = self.entropy.id(9);
        let mut ping = Iq::get(id.clone(), None, Element::new("ping", ns::PING));
        ping.from = Some(self.config.domain.clone().into());
        self.put(ping.into_element());
        self.pulse.ping = Some(id);
        self.pulse.asked = Some(now);
    }

    /// The client is gone without a word: it may come back for its session.
    fn give_up_silent(&mut self) {
        let condition = StreamErrorCondition::ConnectionTimeout;
        self.line.say(&StreamError::new(condition).with_text("no answer").write());
        self.line.close();
        self.finish("the client answers no more", Some(condition), true);
    }
}
