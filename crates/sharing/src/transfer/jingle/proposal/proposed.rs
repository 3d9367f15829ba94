//! One device of the side that is asked.

use std::collections::VecDeque;
use std::time::Instant;

use balcony_wire::FullJid;
use balcony_wire::jingle::Condition;
use balcony_wire::jingle_message::{JingleMessage, Proceed, Propose, Reject, Retract, Ringing};

use super::{ProposalAction, ProposalEnd, ProposalEvent, ProposalSettings, State, words};

/// A proposal that came to this device.
#[derive(Debug)]
pub struct Proposed {
    id: String,
    from: FullJid,
    own: FullJid,
    settings: ProposalSettings,
    state: State,
    actions: VecDeque<ProposalAction>,
}

impl Proposed {
    /// A proposal of `from`. Nothing is said about it before [`Proposed::ring`] or an answer: that we are there is ours to tell.
    #[must_use]
    pub fn new(own: FullJid, from: FullJid, propose: &Propose, settings: ProposalSettings, now: Instant) -> Self {
        let state = State::Open { until: now + settings.decision };
        Self { id: propose.id.clone(), from, own, settings, state, actions: VecDeque::new() }
    }

    /// Its id, which the session will have.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Who proposed it.
    pub fn from(&self) -> &FullJid {
        &self.from
    }

    /// The next thing to do.
    pub fn poll_action(&mut self) -> Option<ProposalAction> {
        self.actions.pop_front()
    }

    /// When [`Proposed::handle_timeout`] is to be called.
    pub fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Open { until } | State::Agreed { until } => Some(until),
            State::Begun(_) | State::Over => None,
        }
    }

    /// Whether it has come to an end.
    pub fn is_over(&self) -> bool {
        self.state == State::Over
    }

    /// The person is being asked; tells the other side so, and with it that this device is there.
    pub fn ring(&mut self) {
        if let State::Open { .. } = self.state {
            self.say(JingleMessage::Ringing(Ringing { id: self.id.clone() }));
        }
    }

    /// This device takes it.
    pub fn proceed(&mut self, now: Instant) {
        if let State::Open { .. } = self.state {
            self.state = State::Agreed { until: now + self.settings.session };
            self.say(JingleMessage::Proceed(Proceed { id: self.id.clone() }));
        }
    }

    /// Nobody here wants it, on any device.
    pub fn reject(&mut self) {
        if let State::Open { .. } = self.state {
            let reject = Reject { id: self.id.clone(), reason: Some(Condition::Decline.into()), tie_break: false };
            self.say(JingleMessage::Reject(reject));
            self.end(ProposalEnd::Declined);
        }
    }

    /// Whoever proposed it said something, or another device of ours did.
    pub fn handle_message(&mut self, from: &FullJid, message: &JingleMessage) {
        if message.id() != self.id {
            return;
        }
        let is_theirs = *from == self.from;
        let is_ours = from.bare() == self.own.bare() && *from != self.own;
        match (message, &self.state) {
            (_, State::Over) => {}
            (JingleMessage::Retract(Retract { reason, .. }), _) if is_theirs => self.end(ProposalEnd::Retracted(words(reason.as_ref()))),
            (JingleMessage::Finish(_), State::Agreed { .. }) if is_theirs => self.end(ProposalEnd::Elsewhere),
            (JingleMessage::Finish(_), _) if is_theirs => self.end(ProposalEnd::Finished),
            (JingleMessage::Proceed(_), State::Open { .. }) if is_ours => self.end(ProposalEnd::Elsewhere),
            (JingleMessage::Reject(_), State::Open { .. }) if is_ours => self.end(ProposalEnd::Elsewhere),
            _ => {}
        }
    }

    /// A session-initiate came: whether it is the one that was agreed on here.
    pub fn handle_initiate(&mut self, peer: &FullJid, sid: &str) -> bool {
        let is_it = matches!(self.state, State::Agreed { .. }) && *peer == self.from && sid == self.id;
        if is_it {
            self.state = State::Begun(peer.clone());
            self.tell(ProposalEvent::Begin(peer.clone()));
        }
        is_it
    }

    /// The deadline has passed. An undecided proposal ends without a word: other devices may still take it.
    pub fn handle_timeout(&mut self, now: Instant) {
        match self.state {
            State::Open { until } if until <= now => self.end(ProposalEnd::NoAnswer),
            State::Agreed { until } if until <= now => self.end(ProposalEnd::NoSession),
            _ => {}
        }
    }

    fn say(&mut self, message: JingleMessage) {
        self.actions.push_back(ProposalAction::Say { to: self.from.clone().into_jid(), message });
    }

    fn tell(&mut self, event: ProposalEvent) {
        self.actions.push_back(ProposalAction::Event(event));
    }

    fn end(&mut self, end: ProposalEnd) {
        self.state = State::Over;
        self.tell(ProposalEvent::Ended(end));
    }
}
