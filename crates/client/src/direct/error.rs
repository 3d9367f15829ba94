//! Why bytes did not come, or did not get there, between two devices.

use balcony_sharing::transfer::SessionFailure;
use balcony_wire::Jid;

use crate::error::Class;

/// How far a session had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stage {
    /// The other side was told what there is, or asked for it.
    Asking,
    /// They had agreed, and looked for a way for the bytes.
    FindingAWay,
    /// Bytes were on their way.
    Moving,
    /// All bytes were sent; the other side was to say that they arrived.
    Confirming,
}

/// Why a file did not go from device to device.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DirectError {
    /// Nobody is logged in.
    #[error("the account is not connected")]
    Offline,
    /// The session is over, or was never there.
    #[error("{peer} does not offer it any more")]
    Over {
        /// who
        peer: Jid,
    },
    /// None of their devices is there, or takes files.
    #[error("no device of {jid} that takes files directly is online")]
    NoDevice {
        /// whose
        jid: Jid,
    },
    /// A person, or their rules, said no.
    #[error("{peer} does not want it{}", words(.text))]
    Declined {
        /// who
        peer: Jid,
        /// their words
        text: Option<String>,
    },
    /// They stopped it.
    #[error("{peer} stopped it{}", words(.text))]
    Stopped {
        /// who
        peer: Jid,
        /// their words
        text: Option<String>,
    },
    /// They ended it for a reason of the protocol.
    #[error("{peer} gave up {}: {condition}{}", .stage.words(), words(.text))]
    GaveUp {
        /// who
        peer: Jid,
        /// how far it had come
        stage: Stage,
        /// what they say
        condition: String,
        /// their words
        text: Option<String>,
    },
    /// They do not have it, or do not give it: nobody can tell which.
    #[error("{peer} does not have the file, or does not give it")]
    NotAvailable {
        /// who
        peer: Jid,
    },
    /// No bytestream could be agreed on.
    #[error("no way for the bytes to or from {peer} could be found: {why}")]
    NoWay {
        /// who
        peer: Jid,
        /// what was tried
        why: String,
    },
    /// Nothing came for too long.
    #[error("{peer} said nothing any more {}", .stage.words())]
    Silent {
        /// who
        peer: Jid,
        /// how far it had come
        stage: Stage,
    },
    /// Their device went offline.
    #[error("{peer} went offline {}", .stage.words())]
    Vanished {
        /// who
        peer: Jid,
        /// how far it had come
        stage: Stage,
    },
    /// The stream of bytes broke off.
    #[error("the way to {peer} broke off after {got} bytes")]
    Broken {
        /// who
        peer: Jid,
        /// bytes that had come or gone
        got: u64,
    },
    /// They broke the rules.
    #[error("{peer} broke the rules: {what}")]
    Rules {
        /// who
        peer: Jid,
        /// which
        what: String,
    },
    /// Too much is under way at once.
    #[error("too many transfers are under way")]
    TooMany,
    /// Our file cannot be read, or is another one by now.
    #[error("{0}")]
    File(String),
    /// A part of this program ended without a word.
    #[error("the transfer broke off inside this program")]
    Inside,
}

impl Stage {
    /// Fits behind a verb.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Asking => "before it agreed",
            Self::FindingAWay => "while a way for the bytes was looked for",
            Self::Moving => "while the bytes were on their way",
            Self::Confirming => "before it said that the file arrived",
        }
    }
}

impl DirectError {
    /// Who can mend it.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Declined { .. } => Class::Policy,
            Self::Over { .. } | Self::Stopped { .. } | Self::GaveUp { .. } | Self::NotAvailable { .. } | Self::Rules { .. } => {
                Class::Source
            }
            Self::Offline | Self::NoDevice { .. } | Self::NoWay { .. } | Self::Vanished { .. } | Self::Broken { .. } => Class::Network,
            Self::Silent { .. } => Class::Timeout,
            Self::TooMany | Self::File(_) | Self::Inside => Class::Local,
        }
    }

    /// What to try next.
    #[must_use]
    pub fn advice(&self) -> Option<&'static str> {
        Some(match self {
            Self::NoDevice { .. } => "ask them to come online, or send it without --direct: a link waits for them",
            Self::Declined { .. } => return None,
            Self::Over { .. } | Self::NotAvailable { .. } => "ask them to send it again",
            Self::Stopped { .. } => "ask them, then try again",
            Self::GaveUp { .. } | Self::Rules { .. } => "try again, or send it without --direct",
            Self::NoWay { .. } => "try again without --relay-only, or send it without --direct",
            Self::Vanished { .. } | Self::Broken { .. } | Self::Silent { .. } => {
                "try again when they are online: it goes on where it stopped"
            }
            Self::Offline => "check the network",
            Self::TooMany => "wait until one of them has ended",
            Self::File(_) => "check the file, then send it again",
            Self::Inside => "try again",
        })
    }
}

fn words(text: &Option<String>) -> String {
    text.as_ref().map(|text| format!(": {text}")).unwrap_or_default()
}

impl DirectError {
    /// As the fetch wants to hear it.
    pub(crate) fn to_failure(&self) -> SessionFailure {
        let words = || self.to_string();
        match self {
            Self::Offline => SessionFailure::Offline,
            Self::Over { .. } => SessionFailure::Over,
            Self::Declined { .. } | Self::NotAvailable { .. } | Self::Stopped { .. } => SessionFailure::NotGiven(words()),
            Self::NoWay { .. } => SessionFailure::NoWay(words()),
            Self::NoDevice { .. } | Self::TooMany => SessionFailure::NoAnswer(words()),
            Self::GaveUp { stage, .. } | Self::Silent { stage, .. } | Self::Vanished { stage, .. } => match stage {
                Stage::Asking => SessionFailure::NoAnswer(words()),
                Stage::FindingAWay => SessionFailure::NoWay(words()),
                Stage::Moving | Stage::Confirming => SessionFailure::Broken(words()),
            },
            Self::Broken { .. } | Self::Rules { .. } | Self::File(_) | Self::Inside => SessionFailure::Broken(words()),
        }
    }
}
