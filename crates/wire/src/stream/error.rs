//! RFC 6120 §4.9 Stream errors: what ends a stream, said to the other side before it is closed.

use crate::element::Element;
use crate::ns;
use crate::payload::{Payload, ReadError};

macro_rules! conditions {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// The defined conditions of RFC 6120 §4.9.3.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum StreamErrorCondition {
            $($(#[$doc])* $name,)*
        }

        impl StreamErrorCondition {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The element name.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

conditions! {
    /// XML that cannot be processed.
    BadFormat = "bad-format";
    /// A namespace prefix that is not supported or not declared.
    BadNamespacePrefix = "bad-namespace-prefix";
    /// Another stream of the same resource took over.
    Conflict = "conflict";
    /// The other side was silent for too long.
    ConnectionTimeout = "connection-timeout";
    /// The domain is no longer served here.
    HostGone = "host-gone";
    /// The domain is not served here.
    HostUnknown = "host-unknown";
    /// `to` or `from` is missing or is no address.
    ImproperAddressing = "improper-addressing";
    /// The server made a mistake.
    InternalServerError = "internal-server-error";
    /// `from` does not fit the identity of the sender.
    InvalidFrom = "invalid-from";
    /// The stream or content namespace is wrong.
    InvalidNamespace = "invalid-namespace";
    /// XML that a schema refuses.
    InvalidXml = "invalid-xml";
    /// Log in first.
    NotAuthorized = "not-authorized";
    /// The XML is not well-formed.
    NotWellFormed = "not-well-formed";
    /// A rule of this server was broken, a limit reached.
    PolicyViolation = "policy-violation";
    /// A connection needed for this one could not be made.
    RemoteConnectionFailed = "remote-connection-failed";
    /// The stream must be negotiated anew.
    Reset = "reset";
    /// Not enough room or power.
    ResourceConstraint = "resource-constraint";
    /// A comment, processing instruction, document type or unknown entity.
    RestrictedXml = "restricted-xml";
    /// Go to another host.
    SeeOtherHost = "see-other-host";
    /// The server goes down.
    SystemShutdown = "system-shutdown";
    /// None of the others.
    UndefinedCondition = "undefined-condition";
    /// Not UTF-8.
    UnsupportedEncoding = "unsupported-encoding";
    /// A feature that the other side requires is missing.
    UnsupportedFeature = "unsupported-feature";
    /// A child of the stream that is no known stanza.
    UnsupportedStanzaType = "unsupported-stanza-type";
    /// The version of the stream is not supported.
    UnsupportedVersion = "unsupported-version";
}

impl StreamErrorCondition {
    fn read(text: &str) -> Option<Self> {
        match text {
            // RFC 3920's name, still sent by old servers.
            "xml-not-well-formed" => Some(Self::NotWellFormed),
            text => Self::ALL.iter().copied().find(|condition| condition.as_str() == text),
        }
    }
}

/// A stream error. Conditions nobody knows are read as `undefined-condition`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamError {
    /// What went wrong.
    pub condition: StreamErrorCondition,
    /// Words for people; the other side's own, not to be trusted with a terminal.
    pub text: Option<String>,
    /// Language of the text.
    pub lang: Option<String>,
    /// The host named by `see-other-host`.
    pub other_host: Option<String>,
    /// An application's own condition.
    pub application: Option<Element>,
}

impl StreamError {
    /// An error without words.
    #[must_use]
    pub fn new(condition: StreamErrorCondition) -> Self {
        Self { condition, text: None, lang: None, other_host: None, application: None }
    }

    /// This error with words.
    #[must_use]
    pub fn with_text(mut self, text: impl Into<String>) -> Self {
        self.text = Some(text.into());
        self
    }
}

impl From<StreamErrorCondition> for StreamError {
    fn from(condition: StreamErrorCondition) -> Self {
        Self::new(condition)
    }
}

impl std::fmt::Display for StreamError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.condition.as_str())?;
        match &self.text {
            Some(text) => write!(f, ": {text}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for StreamError {}

impl Payload for StreamError {
    const NAME: &'static str = "error";
    const NS: &'static str = ns::STREAM;

    fn read(element: &Element) -> Result<Self, ReadError> {
        Self::expect(element)?;
        let mut error = Self::new(StreamErrorCondition::UndefinedCondition);
        let mut condition = None;
        for child in element.children() {
            match (child.ns(), child.name()) {
                (ns::STREAM_ERRORS, "text") if error.text.is_none() => {
                    error.text = Some(child.text());
                    error.lang = child.lang().map(str::to_owned);
                }
                (ns::STREAM_ERRORS, name) if condition.is_none() => {
                    condition = StreamErrorCondition::read(name);
                    if name == "see-other-host" {
                        error.other_host = Some(child.text().trim().to_owned()).filter(|host| !host.is_empty());
                    }
                }
                (ns::STREAM_ERRORS, _) => {}
                _ if error.application.is_none() => error.application = Some(child.clone()),
                _ => {}
            }
        }
        error.condition = condition.unwrap_or(error.condition);
        Ok(error)
    }

    fn write(&self) -> Element {
        let condition = Element::new(self.condition.as_str(), ns::STREAM_ERRORS).with_text(self.other_host.clone().unwrap_or_default());
        let text = self.text.as_ref().map(|text| Element::new("text", ns::STREAM_ERRORS).with_lang(self.lang.as_deref()).with_text(text));
        Self::element().with_child(condition).with_child_opt(text).with_child_opt(self.application.clone())
    }
}
