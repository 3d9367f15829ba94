//! Sessions proposed by message to all devices of somebody, before one is begun with the device that answers.
//!
//! [`Proposing`] is the side that has a file. A device of the side that is asked has nothing to remember: it goes on, or says nothing.
//!
//! XEP-0353 Jingle message initiation, v0.8.0 <https://xmpp.org/extensions/xep-0353.html>

mod proposing;

use std::time::{Duration, Instant};

use balcony_wire::jingle::Reason;
use balcony_wire::jingle_message::JingleMessage;
use balcony_wire::{FullJid, Jid};

use super::Words;
pub use proposing::Proposing;

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
    /// Begin the session with that device now. Its id is that of the proposal.
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
    /// No device answered.
    #[error("no device answered")]
    NoAnswer,
    /// Both proposed the same at once; the other proposal goes on.
    #[error("both sides proposed it at once; the other proposal goes on")]
    TieBroken,
    /// It was said to be over.
    #[error("the other side says that it is over")]
    Finished,
    /// Taken back here.
    #[error("it was taken back here")]
    Declined,
}

/// How long devices and people may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProposalSettings {
    /// Until some device shows that it heard.
    pub answer: Duration,
    /// Until somebody decides.
    pub decision: Duration,
}

impl Default for ProposalSettings {
    fn default() -> Self {
        Self { answer: Duration::from_secs(60), decision: Duration::from_secs(600) }
    }
}

/// Where a proposal stands.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// Said; nobody has answered yet, or somebody is being asked.
    Open {
        until: Instant,
    },
    /// One device is to have the session.
    Begun(FullJid),
    Over,
}

fn words(reason: Option<&Reason>) -> Words {
    Words::new(reason.and_then(|reason| reason.text.as_deref()))
}
