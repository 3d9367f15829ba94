//! How contents and sessions end: every end has a name, and words for people.
//!
//! XEP-0166 Jingle, v1.1.2 <https://xmpp.org/extensions/xep-0166.html> §7.4
//! XEP-0234 Jingle file transfer, v0.19.1 <https://xmpp.org/extensions/xep-0234.html> §6.5, §9

use std::fmt;

use balcony_wire::jingle::{Condition, FileError, JingleError, Reason};
use balcony_wire::stanza::{DefinedCondition, StanzaError};
use balcony_wire::{FullJid, Jid};

use super::redirected;
use crate::ByteLen;

/// How a content, or a whole session, ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndReason {
    /// All bytes arrived, and whoever took them said so.
    #[error("it arrived")]
    Done,
    /// Somebody here stopped it.
    #[error("it was stopped here")]
    Stopped,
    /// Somebody here did not want the file.
    #[error("it was declined here")]
    Declined,
    /// They asked for a file that is not given to them. Whether it exists makes no difference.
    #[error("this file is not given to them")]
    NotGiven,
    /// Larger than what is taken here.
    #[error("the file is too large to be taken here")]
    TooLarge,
    /// Our own disk or file failed.
    #[error("the file could not be read or kept here")]
    Unusable,
    /// The other side does not want the file.
    #[error("the other side declined{0}")]
    PeerDeclined(Words),
    /// The other side stopped it.
    #[error("the other side stopped it{0}")]
    PeerStopped(Words),
    /// The other side does not have the file, or does not give it to us.
    #[error("the other side does not have the file, or does not give it")]
    PeerHasNot,
    /// Too large for the other side.
    #[error("the file is too large for the other side")]
    PeerTooLarge,
    /// The other side has too much to do.
    #[error("the other side is busy{0}")]
    PeerBusy(Words),
    /// The other side ended it for a reason of its own.
    #[error("the other side ended it: {condition}{words}")]
    PeerEnded {
        /// the reason's name
        condition: String,
        /// its words
        words: Words,
    },
    /// The other side answered a request of ours with an error.
    #[error("the other side refused the {step}: {condition}{words}")]
    Refused {
        /// what we asked for
        step: &'static str,
        /// the error's name
        condition: &'static str,
        /// its words
        words: Words,
    },
    /// There is nobody who could do this: no such device, or it knows no file transfer.
    #[error("the other side is not there, or knows no file transfer")]
    NotServed,
    /// Another device of the same person takes it.
    #[error("another device takes it: {}", .0.as_str())]
    Redirected(FullJid),
    /// We were to be sent to somebody else, and do not go there.
    #[error("we were sent to somebody else, {0:?}, and do not go there")]
    RedirectedElsewhere(String),
    /// Both sides began the same session at once; the other one goes on.
    #[error("both sides began at once; the other session goes on")]
    TieBroken,
    /// A request of ours was never answered.
    #[error("the other side does not answer the {0}")]
    NoAnswer(&'static str),
    /// Nobody decided in time.
    #[error("nobody decided in time")]
    Undecided,
    /// No way for the bytes was found.
    #[error("no way for the bytes was found: {0}")]
    NoWay(String),
    /// The stream broke and could not be replaced. A new session can go on from there.
    #[error("the stream broke after {}: {why}", ByteLen(*.at))]
    Broke {
        /// bytes that moved in this session
        at: u64,
        /// what happened
        why: String,
    },
    /// Nothing moved for too long.
    #[error("nothing came for too long, after {}", ByteLen(*.at))]
    Stalled {
        /// bytes that moved in this session
        at: u64,
    },
    /// Fewer bytes than announced.
    #[error("{} came instead of {}", ByteLen(*.got), ByteLen(*.expected))]
    TooShort {
        /// bytes that came
        got: u64,
        /// bytes announced
        expected: u64,
    },
    /// More bytes than announced.
    #[error("more than the {} announced came", ByteLen(*.0))]
    TooLong(u64),
    /// The bytes are not those that were offered.
    #[error("the bytes are not those that were offered")]
    WrongBytes,
    /// They do not go with what was here before; offered again, they are taken from the beginning.
    #[error("the bytes do not fit those that were here before, and all were thrown away")]
    Misfit,
    /// All bytes went out, and nobody said that they arrived.
    #[error("all of it went out, but the other side never said that it arrived")]
    Unconfirmed,
    /// The other side went away.
    #[error("the other side went away")]
    PeerGone,
    /// Our own connection was lost, and with it the address the session was made with.
    #[error("the own connection was lost")]
    Disconnected,
    /// The other side does not know the session any more.
    #[error("the other side does not know of it any more")]
    Forgotten,
    /// It was to be protected in a way we do not know.
    #[error("it was to be protected in a way that is not known here")]
    Security,
    /// It is about something else than files, or a way nobody here knows.
    #[error("it is about something that is not known here")]
    Unsupported(Unsupported),
    /// The other side broke the rules.
    #[error("the other side broke the rules: {0}")]
    BrokeRules(&'static str),
}

/// What is not known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsupported {
    /// What is to be done.
    Application,
    /// How the bytes are to go.
    Transport,
    /// Who is to send.
    Senders,
}

/// Words of a peer, cut and without controls, shown behind a colon; often there are none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words(String);

impl Words {
    /// What of the words can be shown.
    #[must_use]
    pub fn new(text: Option<&str>) -> Self {
        Self(text.unwrap_or_default().chars().filter(|c| !c.is_control()).take(200).collect())
    }
}

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, " ({:?})", self.0) }
    }
}

impl EndReason {
    /// Whether everything went well.
    pub fn is_done(&self) -> bool {
        *self == Self::Done
    }

    /// Whether the same file may be had from the same device by a new session, from the byte this one came to.
    pub fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::Broke { .. }
                | Self::Stalled { .. }
                | Self::TooShort { .. }
                | Self::NoAnswer(_)
                | Self::Disconnected
                | Self::Forgotten
                | Self::PeerBusy(_)
        )
    }

    /// Whether the other side says that the bytes it has are not those of the file.
    pub fn is_about_bytes(&self) -> bool {
        matches!(self, Self::PeerEnded { condition, .. } if condition == Condition::MediaError.as_str())
    }

    /// What the peer's reason means: what it says of the file counts more than the condition.
    pub(super) fn told(reason: Option<&Reason>) -> Self {
        let Some(reason) = reason else { return Self::PeerStopped(Words::default()) };
        let words = Words::new(reason.text.as_deref());
        match (reason.file_error(), &reason.condition) {
            (Some(FileError::FileNotAvailable), _) => Self::PeerHasNot,
            (Some(FileError::FileTooLarge), _) => Self::PeerTooLarge,
            (None, Condition::Success) => Self::Done,
            (None, Condition::Decline) => Self::PeerDeclined(words),
            (None, Condition::Cancel | Condition::Gone) => Self::PeerStopped(words),
            (None, Condition::Busy) => Self::PeerBusy(words),
            (None, condition) => Self::PeerEnded { condition: Words::new(Some(condition.as_str())).0, words },
        }
    }

    /// What the peer's error in answer to a request of ours means.
    pub(super) fn refused(peer: &Jid, step: &'static str, error: &StanzaError) -> Self {
        match redirected(peer, error) {
            Some(Ok(to)) => return Self::Redirected(to),
            Some(Err(elsewhere)) => return Self::RedirectedElsewhere(elsewhere),
            None => {}
        }
        let words = Words::new(error.text.as_deref());
        match (JingleError::of(error), error.condition) {
            (Some(JingleError::UnknownSession), _) => Self::Forgotten,
            (Some(JingleError::TieBreak), _) => Self::TieBroken,
            (_, DefinedCondition::ResourceConstraint) => Self::PeerBusy(words),
            (_, DefinedCondition::RemoteServerTimeout) => Self::NoAnswer(step),
            (_, DefinedCondition::RecipientUnavailable) => Self::PeerGone,
            (None, DefinedCondition::ServiceUnavailable | DefinedCondition::RemoteServerNotFound) => Self::NotServed,
            (_, condition) => Self::Refused { step, condition: condition.as_str(), words },
        }
    }

    /// What is said to the peer about it; `decided` where both had agreed on it before (decision 43).
    pub(super) fn to_reason(&self, agreed: bool) -> Reason {
        match self {
            Self::Done | Self::Unconfirmed => Condition::Success.into(),
            Self::Stopped => Condition::Cancel.into(),
            Self::Declined if agreed => Condition::Cancel.into(),
            Self::Declined => Condition::Decline.into(),
            Self::NotGiven => Reason::of_file(Condition::FailedApplication, FileError::FileNotAvailable),
            Self::TooLarge | Self::TooLong(_) => Reason::of_file(Condition::MediaError, FileError::FileTooLarge),
            Self::Unusable => Condition::FailedApplication.into(),
            Self::WrongBytes | Self::Misfit | Self::TooShort { .. } => Reason::new(Condition::MediaError).with_text(self.to_string()),
            Self::NoAnswer(_) | Self::Stalled { .. } | Self::Undecided => Condition::Timeout.into(),
            Self::NoWay(_) => Condition::FailedTransport.into(),
            Self::Broke { .. } => Condition::ConnectivityError.into(),
            Self::Security => Condition::SecurityError.into(),
            Self::Unsupported(Unsupported::Application) => Condition::UnsupportedApplications.into(),
            Self::Unsupported(Unsupported::Transport) => Condition::UnsupportedTransports.into(),
            Self::Unsupported(Unsupported::Senders) => Condition::IncompatibleParameters.into(),
            Self::TieBroken => Condition::AlternativeSession(None).into(),
            Self::PeerGone | Self::Disconnected => Condition::Gone.into(),
            _ => Condition::GeneralError.into(),
        }
    }
}

/// Why a file of the peer, or a wish of theirs, is not met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// Nobody here wants it.
    Declined,
    /// It is not there, or not given to them: both look the same.
    NotAvailable,
    /// More than is taken here.
    TooLarge,
}

impl From<Rejection> for EndReason {
    fn from(rejection: Rejection) -> Self {
        match rejection {
            Rejection::Declined => Self::Declined,
            Rejection::NotAvailable => Self::NotGiven,
            Rejection::TooLarge => Self::TooLarge,
        }
    }
}

/// What was found when all bytes of a file were there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It is the file, and it is kept.
    Kept,
    /// It is another one.
    Wrong,
    /// It is another one, and nobody knows whether it was this session that gave the wrong bytes.
    Misfit,
    /// It cannot be kept: our own disk failed.
    Unusable,
}
