//! XEP-0166 Jingle, v1.1.2 <https://xmpp.org/extensions/xep-0166.html>
//!
//! The frame of a session: what happens to it, the contents it is about, why it ends. Files are typed (XEP-0234), and so are the two
//! transports that files go by (XEP-0260, XEP-0261); other applications, transports and infos are kept as they came.

mod content;
mod errors;
mod info;
mod reason;
mod transport;

pub use content::{Content, Creator, Description, FileDescription, Senders};
pub use errors::JingleError;
pub use info::{Checksum, Received, SessionInfo};
pub use reason::{Condition, Detail, FileError, Reason};
pub use transport::{Candidate, CandidateKind, IbbTransport, S5bPayload, S5bTransport, Transport};

use crate::element::Element;
use crate::jid::Jid;
use crate::jingle_file::JingleFile;
use crate::ns;
use crate::payload::{Payload, ReadError};
use crate::reading::filled;

/// `<jingle/>`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jingle {
    /// What happens to the session.
    pub action: Action,
    /// Id of the session, which only means something together with the peer.
    pub sid: String,
    /// Who began it; only counts in a `session-initiate`.
    pub initiator: Option<Jid>,
    /// Who answers; only counts in a `session-accept`.
    pub responder: Option<Jid>,
    /// What it is about.
    pub contents: Vec<Content>,
    /// Why, at the end of a session or content.
    pub reason: Option<Reason>,
    /// What else is said: the payload of a `session-info`, and whatever nobody here knows.
    pub infos: Vec<SessionInfo>,
}

impl Jingle {
    /// An action without contents.
    pub fn new(action: Action, sid: impl Into<String>) -> Self {
        Self { action, sid: sid.into(), initiator: None, responder: None, contents: Vec::new(), reason: None, infos: Vec::new() }
    }

    /// This action with one more content.
    #[must_use]
    pub fn with_content(mut self, content: Content) -> Self {
        self.contents.push(content);
        self
    }

    /// This action with a reason.
    #[must_use]
    pub fn with_reason(mut self, reason: impl Into<Reason>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    /// This action with one more info.
    #[must_use]
    pub fn with_info(mut self, info: SessionInfo) -> Self {
        self.infos.push(info);
        self
    }

    /// The files of the contents, with the content each stands in.
    pub fn files(&self) -> impl Iterator<Item = (&Content, &JingleFile)> {
        self.contents.iter().filter_map(|content| content.file().map(|file| (content, file)))
    }
}

macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// What happens to a session.
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub enum Action {
            $($(#[$doc])* $name,)*
            /// An action nobody here knows, as written.
            Unknown(String),
        }

        impl Action {
            /// The attribute value.
            pub fn as_str(&self) -> &str {
                match self { $(Self::$name => $text,)* Self::Unknown(text) => text }
            }

            fn read(text: &str) -> Self {
                match text { $($text => Self::$name,)* _ => Self::Unknown(text.to_owned()) }
            }
        }
    };
}

actions! {
    /// Takes a content that was added.
    ContentAccept = "content-accept";
    /// Adds a content.
    ContentAdd = "content-add";
    /// Changes who sends.
    ContentModify = "content-modify";
    /// Refuses a content that was added.
    ContentReject = "content-reject";
    /// Takes a content out.
    ContentRemove = "content-remove";
    /// Tells parameters of the application.
    DescriptionInfo = "description-info";
    /// Tells parameters of the security precondition.
    SecurityInfo = "security-info";
    /// Accepts the session.
    SessionAccept = "session-accept";
    /// Tells something about the session; without payload it is a ping.
    SessionInfo = "session-info";
    /// Begins a session.
    SessionInitiate = "session-initiate";
    /// Ends or refuses it.
    SessionTerminate = "session-terminate";
    /// Takes another transport.
    TransportAccept = "transport-accept";
    /// Tells candidates and the like.
    TransportInfo = "transport-info";
    /// Refuses another transport.
    TransportReject = "transport-reject";
    /// Offers another transport.
    TransportReplace = "transport-replace";
}

impl std::fmt::Display for Action {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Payload for Jingle {
    const NAME: &'static str = "jingle";
    const NS: &'static str = ns::JINGLE;

    fn read(element: &Element) -> Result<Self, ReadError> {
        Self::expect(element)?;
        let address = |attribute| {
            let jid = filled(element, attribute).map(Jid::from_server).transpose();
            jid.map_err(|error| ReadError::new(element, format!("{attribute}: {error}")))
        };
        let required = |attribute| filled(element, attribute).ok_or_else(|| ReadError::new(element, format!("no {attribute}")));
        let mut read = Self::new(Action::read(required("action")?), required("sid")?);
        (read.initiator, read.responder) = (address("initiator")?, address("responder")?);
        for child in element.children() {
            if child.is("content", ns::JINGLE) {
                read.contents.push(Content::read(child)?);
            } else if Reason::matches(child) && read.reason.is_none() {
                read.reason = Reason::read(child).ok(); // a reason without a condition gives none
            } else {
                read.infos.push(SessionInfo::read(child)?);
            }
            if read.contents.len() > MAX_CONTENTS || read.infos.len() > MAX_INFOS {
                return Err(ReadError::new(element, format!("more than {MAX_CONTENTS} contents or {MAX_INFOS} infos")));
            }
        }
        Ok(read)
    }

    fn write(&self) -> Element {
        Self::element()
            .with_attr("action", self.action.as_str())
            .with_attr("sid", &self.sid)
            .with_attr_opt("initiator", self.initiator.as_ref().map(Jid::as_str))
            .with_attr_opt("responder", self.responder.as_ref().map(Jid::as_str))
            .with_children(self.contents.iter().map(Content::write))
            .with_child_opt(self.reason.as_ref().map(Payload::write))
            .with_children(self.infos.iter().map(SessionInfo::write))
    }
}

/// More contents than any session has.
const MAX_CONTENTS: usize = 64;

/// More infos than anybody tells at once.
const MAX_INFOS: usize = 16;

#[cfg(test)]
mod tests;
