//! Requests that are refused at once: one table, reason → stanza error.
//!
//! XEP-0166 Jingle, v1.1.2 <https://xmpp.org/extensions/xep-0166.html> §6.3.2, §10

use balcony_wire::jingle::JingleError;
use balcony_wire::stanza::{DefinedCondition, StanzaError};
use balcony_wire::{FullJid, Jid};

/// Why a Jingle request is answered by an error instead of being acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JingleRefusal {
    /// No such session with this peer, or not any more.
    #[error("there is no such session")]
    UnknownSession,
    /// No such content or stream in this session.
    #[error("there is no such content in this session")]
    UnknownContent,
    /// It does not fit where the session is.
    #[error("this is not the time for it")]
    OutOfOrder,
    /// Both did the same at once, and our word counts.
    #[error("both sides asked for it at once; ours counts")]
    TieBreak,
    /// An info that means nothing here.
    #[error("this info is not understood")]
    UnsupportedInfo,
    /// What was to be encrypted would come in the clear.
    #[error("this was to be encrypted")]
    SecurityRequired,
    /// It makes no sense.
    #[error("{0}")]
    BadRequest(&'static str),
    /// Not for this peer, or not for anybody. Both look the same.
    #[error("no file transfer is offered to you here")]
    NotServed,
    /// Too much of it.
    #[error("there is too much to do already")]
    Busy,
    /// What waits here of them is too large.
    #[error("what you said here and is not looked at yet takes too much room")]
    TooLarge,
    /// Another device of ours takes it.
    #[error("another device takes this")]
    Redirect(FullJid),
}

impl JingleRefusal {
    /// The stanza error that says so.
    #[must_use]
    pub fn error(&self) -> StanzaError {
        match self {
            Self::UnknownSession => JingleError::UnknownSession.into(),
            Self::UnknownContent => StanzaError::new(DefinedCondition::ItemNotFound),
            Self::OutOfOrder => JingleError::OutOfOrder.into(),
            Self::TieBreak => JingleError::TieBreak.into(),
            Self::UnsupportedInfo => JingleError::UnsupportedInfo.into(),
            Self::SecurityRequired => JingleError::SecurityRequired.into(),
            Self::BadRequest(why) => StanzaError::new(DefinedCondition::BadRequest).with_text(*why),
            Self::NotServed => StanzaError::new(DefinedCondition::ServiceUnavailable),
            Self::Busy => StanzaError::new(DefinedCondition::ResourceConstraint),
            Self::TooLarge => StanzaError::new(DefinedCondition::ResourceConstraint).with_text(self.to_string()),
            Self::Redirect(to) => {
                let mut error = StanzaError::new(DefinedCondition::Redirect);
                error.new_address = Some(format!("xmpp:{}", to.as_str()));
                error
            }
        }
    }
}

/// Where a refusal sends us, if it may: only to another device of the same person (XEP-0166 §13.5).
///
/// # Errors
/// The address, where it is somebody else's, or no device.
pub fn redirected(peer: &Jid, error: &StanzaError) -> Option<Result<FullJid, String>> {
    if error.condition != DefinedCondition::Redirect {
        return None;
    }
    let told = error.new_address.as_deref().unwrap_or_default().trim();
    let to = Jid::from_server(told.strip_prefix("xmpp:").unwrap_or(told)).ok();
    let to = to.filter(|to| to.bare() == peer.bare()).and_then(|to| to.into_full().ok());
    Some(to.ok_or_else(|| told.chars().filter(|c| !c.is_control()).take(100).collect()))
}
