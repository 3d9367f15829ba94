//! XEP-0166 Jingle, v1.1.2 <https://xmpp.org/extensions/xep-0166.html>
//!
//! Errors that a Jingle request is answered by at once (§10): one table from what is wrong to the stanza error.

use crate::element::Element;
use crate::ns;
use crate::stanza::{DefinedCondition, ErrorKind, StanzaError};

/// What is wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JingleError {
    /// Not at this point of the session.
    OutOfOrder,
    /// Security was asked for, and data came without.
    SecurityRequired,
    /// The same was asked for by the other side, which wins.
    TieBreak,
    /// No session of that id with this peer.
    UnknownSession,
    /// A `session-info` that is not understood.
    UnsupportedInfo,
}

impl JingleError {
    const ALL: [Self; 5] = [Self::OutOfOrder, Self::SecurityRequired, Self::TieBreak, Self::UnknownSession, Self::UnsupportedInfo];

    /// The name of the application condition.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.row().0
    }

    fn row(self) -> (&'static str, DefinedCondition, ErrorKind) {
        match self {
            Self::OutOfOrder => ("out-of-order", DefinedCondition::UnexpectedRequest, ErrorKind::Wait),
            Self::SecurityRequired => ("security-required", DefinedCondition::NotAcceptable, ErrorKind::Cancel),
            Self::TieBreak => ("tie-break", DefinedCondition::Conflict, ErrorKind::Cancel),
            Self::UnknownSession => ("unknown-session", DefinedCondition::ItemNotFound, ErrorKind::Cancel),
            Self::UnsupportedInfo => ("unsupported-info", DefinedCondition::FeatureNotImplemented, ErrorKind::Modify),
        }
    }

    /// What a stanza error says about a session, if it says something.
    #[must_use]
    pub fn of(error: &StanzaError) -> Option<Self> {
        let application = error.application.as_ref()?;
        Self::ALL.into_iter().find(|known| application.is(known.as_str(), ns::JINGLE_ERRORS))
    }
}

impl From<JingleError> for StanzaError {
    fn from(error: JingleError) -> Self {
        let (name, condition, kind) = error.row();
        Self::new(condition).with_kind(kind).with_application(Element::new(name, ns::JINGLE_ERRORS))
    }
}
