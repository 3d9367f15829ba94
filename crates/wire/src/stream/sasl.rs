//! RFC 6120 §6 SASL negotiation: `<auth/>`, `<challenge/>`, `<response/>`, `<success/>`, `<failure/>`, `<abort/>`.
//!
//! No data and empty data are two things: `=` stands for empty data where leaving the text out means none.

use crate::base64;
use crate::element::Element;
use crate::ns;
use crate::payload::{Payload, ReadError, empty};

/// The data of an element: `None` without text, empty for `=`.
pub(super) fn read_data(element: &Element) -> Result<Option<Vec<u8>>, ReadError> {
    match element.text().trim() {
        "" => Ok(None),
        "=" => Ok(Some(Vec::new())),
        text => base64::decode(text).map(Some).map_err(|error| ReadError::new(element, error.to_string())),
    }
}

fn write_data(data: Option<&[u8]>) -> String {
    match data {
        None => String::new(),
        Some([]) => "=".to_owned(),
        Some(data) => base64::encode(data),
    }
}

/// Chooses a mechanism, perhaps with its first message.
#[derive(Clone, PartialEq, Eq)]
pub struct Auth {
    /// Name of the mechanism.
    pub mechanism: String,
    /// Initial response; `Some` of nothing is an empty one.
    pub initial: Option<Vec<u8>>,
}

impl std::fmt::Debug for Auth {
    /// Without the data: with PLAIN it holds the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Auth").field("mechanism", &self.mechanism).finish_non_exhaustive()
    }
}

impl Payload for Auth {
    const NAME: &'static str = "auth";
    const NS: &'static str = ns::SASL;

    fn read(element: &Element) -> Result<Self, ReadError> {
        Self::expect(element)?;
        Ok(Self { mechanism: element.required("mechanism")?.to_owned(), initial: read_data(element)? })
    }

    fn write(&self) -> Element {
        Self::element().with_attr("mechanism", &self.mechanism).with_text(write_data(self.initial.as_deref()))
    }
}

/// Elements with data of the mechanism and nothing else; both profiles have them.
macro_rules! data_element {
    ($(#[$doc:meta])* $type:ident, $name:literal, $ns:path) => {
        $(#[$doc])*
        #[derive(Clone, Default, PartialEq, Eq)]
        pub struct $type {
            /// Data of the mechanism; empty and absent are the same here.
            pub data: Vec<u8>,
        }

        impl std::fmt::Debug for $type {
            /// Without the data, which may be secret.
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($type)).finish_non_exhaustive()
            }
        }

        impl Payload for $type {
            const NAME: &'static str = $name;
            const NS: &'static str = $ns;

            fn read(element: &Element) -> Result<Self, ReadError> {
                Self::expect(element)?;
                Ok(Self { data: $crate::stream::sasl::read_data(element)?.unwrap_or_default() })
            }

            fn write(&self) -> Element {
                Self::element().with_text(if self.data.is_empty() { String::new() } else { base64::encode(&self.data) })
            }
        }
    };
}

pub(super) use data_element;

data_element!(
    /// The server's message within a mechanism.
    Challenge, "challenge", ns::SASL
);
data_element!(
    /// The client's message within a mechanism.
    Response, "response", ns::SASL
);

/// Logged in; may carry the mechanism's last data (SCRAM: the server's proof).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Success {
    /// Additional data; `Some` of nothing for an explicit `=`.
    pub data: Option<Vec<u8>>,
}

impl Payload for Success {
    const NAME: &'static str = "success";
    const NS: &'static str = ns::SASL;

    fn read(element: &Element) -> Result<Self, ReadError> {
        Self::expect(element)?;
        Ok(Self { data: read_data(element)? })
    }

    fn write(&self) -> Element {
        Self::element().with_text(write_data(self.data.as_deref()))
    }
}

/// The client gives up on the mechanism.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Abort;

empty!(Abort, "abort", ns::SASL);

macro_rules! conditions {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// The defined conditions of RFC 6120 §6.5.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum SaslCondition {
            $($(#[$doc])* $name,)*
        }

        impl SaslCondition {
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
    /// The client gave up.
    Aborted = "aborted";
    /// The account is disabled for now.
    AccountDisabled = "account-disabled";
    /// The credentials have expired.
    CredentialsExpired = "credentials-expired";
    /// The mechanism needs TLS.
    EncryptionRequired = "encryption-required";
    /// The data is no base64.
    IncorrectEncoding = "incorrect-encoding";
    /// That identity is not allowed to this one.
    InvalidAuthzid = "invalid-authzid";
    /// The mechanism is not offered.
    InvalidMechanism = "invalid-mechanism";
    /// The request is malformed.
    MalformedRequest = "malformed-request";
    /// The mechanism is weaker than the account demands.
    MechanismTooWeak = "mechanism-too-weak";
    /// Wrong name or password.
    NotAuthorized = "not-authorized";
    /// The server cannot check now; try later.
    TemporaryAuthFailure = "temporary-auth-failure";
}

impl SaslCondition {
    pub(super) fn read(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|condition| condition.as_str() == text)
    }
}

/// Not logged in. An unknown or missing condition is read as `not-authorized`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Why.
    pub condition: SaslCondition,
    /// Words for people; the server's own, not to be trusted with a terminal.
    pub text: Option<String>,
    /// Language of the text.
    pub lang: Option<String>,
    /// An application's own condition.
    pub application: Option<Element>,
}

impl Failure {
    /// A failure without words.
    #[must_use]
    pub fn new(condition: SaslCondition) -> Self {
        Self { condition, text: None, lang: None, application: None }
    }

    /// This failure with words.
    #[must_use]
    pub fn with_text(mut self, text: impl Into<String>) -> Self {
        self.text = Some(text.into());
        self
    }

    pub(super) fn read_children(element: &Element) -> Self {
        let mut failure = Self::new(SaslCondition::NotAuthorized);
        let mut known = false;
        let own = |child: &Element| child.ns() == element.ns() || child.ns() == ns::SASL;
        for child in element.children() {
            match child.name() {
                "text" if failure.text.is_none() && own(child) => {
                    failure.text = Some(child.text());
                    failure.lang = child.lang().map(str::to_owned);
                }
                "text" if own(child) => {}
                name if child.ns() == ns::SASL => {
                    if let (false, Some(condition)) = (known, SaslCondition::read(name)) {
                        failure.condition = condition;
                        known = true;
                    }
                }
                _ if failure.application.is_none() => failure.application = Some(child.clone()),
                _ => {}
            }
        }
        failure
    }
}

impl Payload for Failure {
    const NAME: &'static str = "failure";
    const NS: &'static str = ns::SASL;

    fn read(element: &Element) -> Result<Self, ReadError> {
        Self::expect(element)?;
        Ok(Self::read_children(element))
    }

    fn write(&self) -> Element {
        let text = self.text.as_ref().map(|text| Element::new("text", ns::SASL).with_lang(self.lang.as_deref()).with_text(text));
        Self::element()
            .with_child(Element::new(self.condition.as_str(), ns::SASL))
            .with_child_opt(text)
            .with_child_opt(self.application.clone())
    }
}
