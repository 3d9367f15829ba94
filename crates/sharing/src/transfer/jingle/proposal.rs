//! Sessions proposed by message to all devices of somebody, before one is begun with the device that answers.
//!
//! [`Proposing`] is the side that has a file, [`Proposed`] one device of the side that is asked. Its other devices are told by copies
//! (XEP-0280): what they said counts for it too. What neither side nor their devices said is ignored.
//!
//! XEP-0353 Jingle message initiation, v0.8.0 <https://xmpp.org/extensions/xep-0353.html>

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use balcony_wire::jingle::{Condition, Reason};
use balcony_wire::jingle_message::{Finish, JingleMessage, Proceed, Propose, Reject, Retract, Ringing};
use balcony_wire::{BareJid, Element, FullJid, Jid};

use super::{EndReason, Words};

/// What a driver is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProposalAction {
    /// Send this in a message of type chat that servers keep (XEP-0334 `store`).
    Say {
        /// to whom
        to: Jid,
        /// what
        message: JingleMessage,
    },
    /// Something to know.
    Event(ProposalEvent),
}

/// What whoever waits for a proposal hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProposalEvent {
    /// A device of theirs asks its person.
    Ringing(FullJid),
    /// Begin the session now: we with that device, or it with us. Its id is that of the proposal.
    Begin(FullJid),
    /// It comes to nothing.
    Ended(ProposalEnd),
}

/// How a proposal ends without a session of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProposalEnd {
    /// Somebody there does not want it.
    #[error("the other side declined{0}")]
    Rejected(Words),
    /// Whoever proposed it does not want it any more.
    #[error("it was taken back{0}")]
    Retracted(Words),
    /// Another device of the same person took it.
    #[error("another device took it")]
    Elsewhere,
    /// No device answered.
    #[error("no device answered")]
    NoAnswer,
    /// Both proposed the same at once; the other proposal goes on.
    #[error("both sides proposed it at once; the other proposal goes on")]
    TieBroken,
    /// It was agreed on, and no session came.
    #[error("it was agreed on, and then nothing came")]
    NoSession,
    /// It was said to be over.
    #[error("the other side says that it is over")]
    Finished,
    /// Declined or taken back here.
    #[error("it was declined here")]
    Declined,
}

/// How long devices and people may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProposalSettings {
    /// Until some device shows that it heard.
    pub answer: Duration,
    /// Until somebody decides.
    pub decision: Duration,
    /// Until the session comes, once it was agreed on.
    pub session: Duration,
}

impl Default for ProposalSettings {
    fn default() -> Self {
        Self { answer: Duration::from_secs(60), decision: Duration::from_secs(600), session: Duration::from_secs(30) }
    }
}

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

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// Said; nobody has answered yet, or somebody is being asked.
    Open {
        until: Instant,
    },
    /// One device is to have the session.
    Begun(FullJid),
    /// This device said yes.
    Agreed {
        until: Instant,
    },
    Over,
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
            State::Open { until } | State::Agreed { until } => Some(until),
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

fn words(reason: Option<&Reason>) -> Words {
    Words::new(reason.and_then(|reason| reason.text.as_deref()))
}
