//! `<error/>` of stanzas, RFC 6120 §8.3: type, one defined condition, perhaps words and an application condition.

use crate::element::Element;
use crate::ns;
use crate::payload::{Payload, ReadError};

/// What the sender may do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// Give credentials and try again.
    Auth,
    /// Do not try again.
    Cancel,
    /// Go on, it was a warning.
    Continue,
    /// Change the data and try again.
    Modify,
    /// Wait and try again.
    Wait,
}

impl ErrorKind {
    /// The attribute value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Cancel => "cancel",
            Self::Continue => "continue",
            Self::Modify => "modify",
            Self::Wait => "wait",
        }
    }

    fn read(text: &str) -> Option<Self> {
        [Self::Auth, Self::Cancel, Self::Continue, Self::Modify, Self::Wait].into_iter().find(|kind| kind.as_str() == text)
    }
}

macro_rules! conditions {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $kind:ident;)*) => {
        /// The defined conditions of RFC 6120 §8.3.3.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum DefinedCondition {
            $($(#[$doc])* $name,)*
        }

        impl DefinedCondition {
            /// The element name.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The error type RFC 6120 recommends for it.
            pub fn usual_kind(self) -> ErrorKind {
                match self { $(Self::$name => ErrorKind::$kind,)* }
            }

            pub(crate) fn read(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$name),)* _ => None }
            }
        }
    };
}

conditions! {
    /// The stanza breaks the rules.
    BadRequest = "bad-request", Modify;
    /// Something of that name is there already.
    Conflict = "conflict", Cancel;
    /// Not implemented.
    FeatureNotImplemented = "feature-not-implemented", Cancel;
    /// Not allowed to this sender.
    Forbidden = "forbidden", Auth;
    /// Not here any more.
    Gone = "gone", Cancel;
    /// The server made a mistake.
    InternalServerError = "internal-server-error", Cancel;
    /// No such thing.
    ItemNotFound = "item-not-found", Cancel;
    /// The address is malformed.
    JidMalformed = "jid-malformed", Modify;
    /// Not acceptable as it is.
    NotAcceptable = "not-acceptable", Modify;
    /// Allowed to nobody.
    NotAllowed = "not-allowed", Cancel;
    /// Log in first.
    NotAuthorized = "not-authorized", Auth;
    /// A rule of this server forbids it.
    PolicyViolation = "policy-violation", Modify;
    /// The addressee is not there now.
    RecipientUnavailable = "recipient-unavailable", Wait;
    /// Ask elsewhere.
    Redirect = "redirect", Modify;
    /// Register first.
    RegistrationRequired = "registration-required", Auth;
    /// No such server.
    RemoteServerNotFound = "remote-server-not-found", Cancel;
    /// The other server does not answer.
    RemoteServerTimeout = "remote-server-timeout", Wait;
    /// Not enough room or power for it now.
    ResourceConstraint = "resource-constraint", Wait;
    /// Nobody here to serve it.
    ServiceUnavailable = "service-unavailable", Cancel;
    /// A subscription is needed.
    SubscriptionRequired = "subscription-required", Auth;
    /// None of the others.
    UndefinedCondition = "undefined-condition", Cancel;
    /// Not expected now.
    UnexpectedRequest = "unexpected-request", Wait;
}

/// A stanza error. Conditions nobody knows are read as `undefined-condition`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StanzaError {
    /// What the sender may do.
    pub kind: ErrorKind,
    /// What went wrong.
    pub condition: DefinedCondition,
    /// Words for people and their language; the sender's own words, not to be trusted with a terminal.
    pub text: Option<String>,
    /// Language of the text.
    pub lang: Option<String>,
    /// Text of `gone` and `redirect`: the new address.
    pub new_address: Option<String>,
    /// An application's own condition.
    pub application: Option<Element>,
    /// Who refused it, if it was not the addressee (`by`).
    pub by: Option<String>,
}

impl StanzaError {
    /// An error of the usual type for `condition`, without words.
    #[must_use]
    pub fn new(condition: DefinedCondition) -> Self {
        Self { kind: condition.usual_kind(), condition, text: None, lang: None, new_address: None, application: None, by: None }
    }

    /// For an error that says nothing.
    pub(crate) fn undefined() -> Self {
        Self::new(DefinedCondition::UndefinedCondition)
    }

    /// This error with another type than the usual one.
    #[must_use]
    pub fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.kind = kind;
        self
    }

    /// This error with words.
    #[must_use]
    pub fn with_text(mut self, text: impl Into<String>) -> Self {
        self.text = Some(text.into());
        self
    }

    /// This error with an application condition.
    #[must_use]
    pub fn with_application(mut self, element: Element) -> Self {
        self.application = Some(element);
        self
    }
}

impl std::fmt::Display for StanzaError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.condition.as_str())?;
        match &self.text {
            Some(text) => write!(f, ": {text}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for StanzaError {}

impl Payload for StanzaError {
    const NAME: &'static str = "error";
    const NS: &'static str = ns::CLIENT;

    fn read(element: &Element) -> Result<Self, ReadError> {
        Self::expect(element)?;
        let mut error = Self::undefined();
        let mut condition = None;
        for child in element.children() {
            match (child.ns(), child.name()) {
                (ns::STANZA_ERRORS, "text") if error.text.is_none() => {
                    error.text = Some(child.text());
                    error.lang = child.lang().map(str::to_owned);
                }
                (ns::STANZA_ERRORS, name) => {
                    condition = condition.or_else(|| DefinedCondition::read(name));
                    if matches!(name, "gone" | "redirect") {
                        error.new_address = Some(child.text()).filter(|text| !text.is_empty());
                    }
                }
                _ if error.application.is_none() => error.application = Some(child.clone()),
                _ => {}
            }
        }
        error.condition = condition.unwrap_or(DefinedCondition::UndefinedCondition);
        error.kind = element.attr("type").and_then(ErrorKind::read).unwrap_or(error.condition.usual_kind());
        error.by = element.attr("by").map(str::to_owned);
        Ok(error)
    }

    fn write(&self) -> Element {
        let condition = Element::new(self.condition.as_str(), ns::STANZA_ERRORS).with_text(self.new_address.clone().unwrap_or_default());
        let text = self.text.as_ref().map(|text| Element::new("text", ns::STANZA_ERRORS).with_lang(self.lang.as_deref()).with_text(text));
        Self::element()
            .with_attr("type", self.kind.as_str())
            .with_attr_opt("by", self.by.as_deref())
            .with_child(condition)
            .with_child_opt(text)
            .with_child_opt(self.application.clone())
    }
}
