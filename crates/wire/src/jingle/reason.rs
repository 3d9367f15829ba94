//! XEP-0166 Jingle, v1.1.2 <https://xmpp.org/extensions/xep-0166.html>
//! XEP-0234 Jingle file transfer, v0.19.1 <https://xmpp.org/extensions/xep-0234.html>
//!
//! Why a session or a content ends (§7.4), with what file transfer has to add (XEP-0234 §9).

use crate::element::Element;
use crate::ns;
use crate::payload::{Payload, ReadError};
use crate::reading::text_of;

/// `<reason/>`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// What is the matter.
    pub condition: Condition,
    /// Words for people; the peer's own words, not to be trusted with a terminal.
    pub text: Option<String>,
    /// What an application has to add.
    pub detail: Option<Detail>,
}

macro_rules! conditions {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// The defined conditions of a reason.
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub enum Condition {
            /// Another session is used instead, perhaps the one with this id.
            AlternativeSession(Option<String>),
            $($(#[$doc])* $name,)*
            /// A condition nobody here knows, as written.
            Unknown(String),
        }

        impl Condition {
            /// The element name.
            pub fn as_str(&self) -> &str {
                match self {
                    Self::AlternativeSession(_) => "alternative-session",
                    $(Self::$name => $text,)*
                    Self::Unknown(text) => text,
                }
            }

            fn read(element: &Element) -> Self {
                match element.name() {
                    "alternative-session" => Self::AlternativeSession(element.child_text("sid").filter(|sid| !sid.is_empty())),
                    $($text => Self::$name,)*
                    text => Self::Unknown(text.to_owned()),
                }
            }
        }
    };
}

conditions! {
    /// Busy.
    Busy = "busy";
    /// Given up by who began it.
    Cancel = "cancel";
    /// No connection could be made.
    ConnectivityError = "connectivity-error";
    /// Refused.
    Decline = "decline";
    /// Too much time passed.
    Expired = "expired";
    /// The application cannot be set up.
    FailedApplication = "failed-application";
    /// The transport failed, or cannot be set up.
    FailedTransport = "failed-transport";
    /// Anything else.
    GeneralError = "general-error";
    /// One side goes away.
    Gone = "gone";
    /// The application is known, the parameters do not do.
    IncompatibleParameters = "incompatible-parameters";
    /// Something is wrong with what is sent.
    MediaError = "media-error";
    /// A rule of security forbids it.
    SecurityError = "security-error";
    /// All is well.
    Success = "success";
    /// Nothing came for too long.
    Timeout = "timeout";
    /// No application that is known.
    UnsupportedApplications = "unsupported-applications";
    /// No transport that is known.
    UnsupportedTransports = "unsupported-transports";
}

impl std::fmt::Display for Condition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What an application adds to a reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Detail {
    /// File transfer.
    File(FileError),
    /// Something else, as it came.
    Other(Element),
}

/// What file transfer adds to a reason (XEP-0234 §9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileError {
    /// No such file, or none for this peer: both look the same.
    FileNotAvailable,
    /// More than there is room for, or than was announced.
    FileTooLarge,
}

impl FileError {
    /// The element name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FileNotAvailable => "file-not-available",
            Self::FileTooLarge => "file-too-large",
        }
    }
}

impl Detail {
    fn read(element: &Element) -> Self {
        let known = [FileError::FileNotAvailable, FileError::FileTooLarge];
        let file = known.into_iter().find(|error| element.is(error.as_str(), ns::JINGLE_FILE_TRANSFER_ERRORS));
        file.map_or_else(|| Self::Other(element.clone()), Self::File)
    }

    fn write(&self) -> Element {
        match self {
            Self::File(error) => Element::new(error.as_str(), ns::JINGLE_FILE_TRANSFER_ERRORS),
            Self::Other(element) => element.clone(),
        }
    }
}

impl Reason {
    /// A condition alone.
    #[must_use]
    pub fn new(condition: Condition) -> Self {
        Self { condition, text: None, detail: None }
    }

    /// A condition and what file transfer has to add.
    #[must_use]
    pub fn of_file(condition: Condition, error: FileError) -> Self {
        Self { condition, text: None, detail: Some(Detail::File(error)) }
    }

    /// This reason with words.
    #[must_use]
    pub fn with_text(mut self, text: impl Into<String>) -> Self {
        self.text = Some(text.into());
        self
    }

    /// What file transfer added.
    #[must_use]
    pub fn file_error(&self) -> Option<FileError> {
        match self.detail {
            Some(Detail::File(error)) => Some(error),
            _ => None,
        }
    }
}

impl From<Condition> for Reason {
    fn from(condition: Condition) -> Self {
        Self::new(condition)
    }
}

impl Payload for Reason {
    const NAME: &'static str = "reason";
    const NS: &'static str = ns::JINGLE;

    fn read(element: &Element) -> Result<Self, ReadError> {
        Self::expect(element)?;
        let (mut condition, mut text, mut detail) = (None, None, None);
        for child in element.children() {
            match (child.ns(), child.name()) {
                (ns::JINGLE, "text") => text = text.or_else(|| text_of(child)),
                (ns::JINGLE, _) => condition = condition.or_else(|| Some(Condition::read(child))),
                _ => detail = detail.or_else(|| Some(Detail::read(child))),
            }
        }
        let condition = condition.ok_or_else(|| ReadError::new(element, "no condition"))?;
        Ok(Self { condition, text, detail })
    }

    fn write(&self) -> Element {
        let mut condition = Element::new(self.condition.as_str(), ns::JINGLE);
        if let Condition::AlternativeSession(Some(sid)) = &self.condition {
            condition = condition.with_text_child("sid", sid);
        }
        let text = self.text.as_ref().map(|text| Element::new("text", ns::JINGLE).with_text(text));
        Self::element().with_child(condition).with_child_opt(text).with_child_opt(self.detail.as_ref().map(Detail::write))
    }
}
