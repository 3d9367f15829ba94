//! The side that proposes a session.

use std::collections::VecDeque;
use std::time::Instant;

use balcony_wire::jingle::{Condition, Reason};
use balcony_wire::jingle_message::{Finish, JingleMessage, Propose, Reject, Retract};
use balcony_wire::{BareJid, Element, FullJid, Jid};

use super::super::EndReason;
use super::{ProposalAction, ProposalEnd, ProposalEvent, ProposalSettings, State, words};

/// A proposal of ours.
#[derive(Debug)]
pub struct Proposing {
    id: String,
    peer: BareJid,
    descriptions: Vec<Element>,
    settings: ProposalSettings,
    state: State,
    actions: VecDeque<ProposalAction>,
}

impl Proposing {
    /// Proposes to all devices of somebody. `id` is random, and becomes the id of the session.
    #[must_use]
    pub fn new(id: String, peer: BareJid, descriptions: Vec<Element>, settings: ProposalSettings, now: Instant) -> Self {
        let state = State::Open { until: now + settings.answer };
        let mut proposing = Self { id, peer, descriptions, settings, state, actions: VecDeque::new() };
        let propose = Propose { id: proposing.id.clone(), descriptions: proposing.descriptions.clone() };
        proposing.say(proposing.peer.clone().into_jid(), JingleMessage::Propose(propose));
        proposing
    }

    /// Its id, which the session gets.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The next thing to do.
    pub fn poll_action(&mut self) -> Option<ProposalAction> {
        self.actions.pop_front()
    }

    /// When [`Proposing::handle_timeout`] is to be called.
    pub fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Open { until } => Some(until),
            State::Begun(_) | State::Over => None,
        }
    }

    /// Whether it has come to an end.
    pub fn is_over(&self) -> bool {
        self.state == State::Over
    }

    /// A device said something. The first that wants to proceed gets the session; others are told that it is taken.
    pub fn handle_message(&mut self, now: Instant, from: &FullJid, message: &JingleMessage) {
        if from.bare() != self.peer || (message.id() != self.id && !matches!(message, JingleMessage::Propose(_))) {
            return;
        }
        match (message, self.state.clone()) {
            (_, State::Over) => {}
            (JingleMessage::Ringing(_), State::Open { until }) => {
                self.state = State::Open { until: until.max(now + self.settings.decision) };
                self.tell(ProposalEvent::Ringing(from.clone()));
            }
            (JingleMessage::Proceed(_), State::Open { .. }) => {
                self.state = State::Begun(from.clone());
                self.tell(ProposalEvent::Begin(from.clone()));
            }
            (JingleMessage::Proceed(_), State::Begun(device)) if device != *from => {
                let reason = Some(Reason::new(Condition::Expired).with_text("another device took it"));
                let finish = Finish { id: self.id.clone(), reason, migrated: None };
                self.say(from.clone().into_jid(), JingleMessage::Finish(finish));
            }
            (JingleMessage::Reject(Reject { tie_break: true, .. }), State::Open { .. }) => self.end(ProposalEnd::TieBroken),
            (JingleMessage::Reject(Reject { reason, .. }), State::Open { .. }) => self.end(ProposalEnd::Rejected(words(reason.as_ref()))),
            (JingleMessage::Finish(_), State::Begun(device)) if device == *from => self.end(ProposalEnd::Finished),
            (JingleMessage::Propose(theirs), State::Open { .. }) => self.tie(from, theirs),
            _ => {}
        }
    }

    /// Both proposed the same before they heard of each other: the lower id wins.
    fn tie(&mut self, from: &FullJid, theirs: &Propose) {
        if theirs.descriptions != self.descriptions || theirs.id == self.id {
            return;
        }
        if theirs.id < self.id {
            return self.end(ProposalEnd::TieBroken);
        }
        let reason = Some(Reason::new(Condition::Expired).with_text("tie-break"));
        let reject = Reject { id: theirs.id.clone(), reason, tie_break: true };
        self.say(from.clone().into_jid(), JingleMessage::Reject(reject));
    }

    /// Takes it back, if no device has it yet.
    pub fn retract(&mut self) {
        if let State::Open { .. } = self.state {
            self.say_retracted(Condition::Cancel);
            self.end(ProposalEnd::Declined);
        }
    }

    /// The session is over: the device that had it is told.
    pub fn finish(&mut self, reason: &EndReason) {
        if let State::Begun(device) = self.state.clone() {
            let finish = Finish { id: self.id.clone(), reason: Some(reason.to_reason(true)), migrated: None };
            self.say(device.into_jid(), JingleMessage::Finish(finish));
            self.state = State::Over;
        }
    }

    /// The deadline has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        if let State::Open { until } = self.state
            && until <= now
        {
            self.say_retracted(Condition::Timeout);
            self.end(ProposalEnd::NoAnswer);
        }
    }

    fn say_retracted(&mut self, condition: Condition) {
        let retract = Retract { id: self.id.clone(), reason: Some(condition.into()), tie_break: false };
        self.say(self.peer.clone().into_jid(), JingleMessage::Retract(retract));
    }

    fn say(&mut self, to: Jid, message: JingleMessage) {
        self.actions.push_back(ProposalAction::Say { to, message });
    }

    fn tell(&mut self, event: ProposalEvent) {
        self.actions.push_back(ProposalAction::Event(event));
    }

    fn end(&mut self, end: ProposalEnd) {
        self.state = State::Over;
        self.tell(ProposalEvent::Ended(end));
    }
}
