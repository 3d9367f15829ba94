//! XEP-0388 Extensible SASL profile, v1.0.4 <https://xmpp.org/extensions/xep-0388.html>
//! Status: partial: tasks are read and named, the data of a task is kept as elements.

use super::bind2::{BindRequest, Bound};
use super::sasl::{Failure, SaslCondition, data_element, read_data};
use super::sm;
use crate::base64;
use crate::element::Element;
use crate::ns;
use crate::payload::{Payload, ReadError};

/// What kind of client asks; lets a server tell devices apart without knowing them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserAgent {
    /// A UUID v4 made once for this installation and account.
    pub id: Option<String>,
    /// Name of the software.
    pub software: Option<String>,
    /// Name of the device.
    pub device: Option<String>,
}

impl Payload for UserAgent {
    const NAME: &'static str = "user-agent";
    const NS: &'static str = ns::SASL2;

    fn read(element: &Element) -> Result<Self, ReadError> {
        Self::expect(element)?;
        Ok(Self {
            id: element.attr("id").map(str::to_owned),
            software: element.child_text("software"),
            device: element.child_text("device"),
        })
    }

    fn write(&self) -> Element {
        let mut element = Self::element().with_attr_opt("id", self.id.as_deref());
        for (name, text) in [("software", &self.software), ("device", &self.device)] {
            if let Some(text) = text {
                element = element.with_text_child(name, text);
            }
        }
        element
    }
}

/// Chooses a mechanism, and says at once what shall happen after it.
#[derive(Clone, PartialEq, Eq)]
pub struct Authenticate {
    /// Name of the mechanism.
    pub mechanism: String,
    /// Initial response; `Some` of nothing is an empty one.
    pub initial: Option<Vec<u8>>,
    /// Who asks.
    pub user_agent: Option<UserAgent>,
    /// Binds a resource in the same step.
    pub bind: Option<BindRequest>,
    /// Resumes a session in the same step.
    pub resume: Option<sm::Resume>,
    /// Other inline requests, as they are.
    pub others: Vec<Element>,
}

impl std::fmt::Debug for Authenticate {
    /// Without the data: with PLAIN it holds the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authenticate")
            .field("mechanism", &self.mechanism)
            .field("user_agent", &self.user_agent)
            .field("bind", &self.bind)
            .field("resume", &self.resume)
            .finish_non_exhaustive()
    }
}

impl Authenticate {
    /// Chooses a mechanism and nothing more.
    #[must_use]
    pub fn new(mechanism: impl Into<String>, initial: Option<Vec<u8>>) -> Self {
        Self { mechanism: mechanism.into(), initial, user_agent: None, bind: None, resume: None, others: Vec::new() }
    }
}

impl Payload for Authenticate {
    const NAME: &'static str = "authenticate";
    const NS: &'static str = ns::SASL2;

    fn read(element: &Element) -> Result<Self, ReadError> {
        Self::expect(element)?;
        let mut request = Self::new(element.required("mechanism")?, None);
        for child in element.children() {
            if child.is("initial-response", ns::SASL2) {
                request.initial = Some(read_data(child)?.unwrap_or_default());
            } else if UserAgent::matches(child) {
                request.user_agent = Some(UserAgent::read(child)?);
            } else if BindRequest::matches(child) {
                request.bind = Some(BindRequest::read(child)?);
            } else if sm::Resume::matches(child) {
                request.resume = Some(sm::Resume::read(child)?);
            } else {
                request.others.push(child.clone());
            }
        }
        Ok(request)
    }

    fn write(&self) -> Element {
        let initial = self.initial.as_ref().map(|data| Element::new("initial-response", ns::SASL2).with_text(encode(data)));
        Self::element()
            .with_attr("mechanism", &self.mechanism)
            .with_child_opt(initial)
            .with_child_opt(self.user_agent.as_ref().map(Payload::write))
            .with_child_opt(self.resume.as_ref().map(Payload::write))
            .with_child_opt(self.bind.as_ref().map(Payload::write))
            .with_children(self.others.iter().cloned())
    }
}

/// Empty data is written as `=`, as in the older profile: both ways are understood by servers.
fn encode(data: &[u8]) -> String {
    if data.is_empty() { "=".to_owned() } else { base64::encode(data) }
}

data_element!(
    /// The server's message within a mechanism.
    Challenge, "challenge", ns::SASL2
);
data_element!(
    /// The client's message within a mechanism.
    Response, "response", ns::SASL2
);

/// Logged in, and what came of the inline requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Success {
    /// The mechanism's last data (SCRAM: the server's proof).
    pub data: Option<Vec<u8>>,
    /// The identity: a bare address, a full one when a resource was bound. Unparsed.
    pub authorization_identifier: String,
    /// A resource was bound.
    pub bound: Option<Bound>,
    /// A session goes on.
    pub resumed: Option<sm::Resumed>,
    /// A session was not resumed.
    pub resume_failed: Option<sm::Failed>,
    /// Other inline answers, as they are.
    pub others: Vec<Element>,
}

impl Payload for Success {
    const NAME: &'static str = "success";
    const NS: &'static str = ns::SASL2;

    fn read(element: &Element) -> Result<Self, ReadError> {
        Self::expect(element)?;
        let mut success = Self::default();
        let mut identifier = None;
        for child in element.children() {
            if child.is("additional-data", ns::SASL2) {
                success.data = Some(read_data(child)?.unwrap_or_default());
            } else if child.is("authorization-identifier", ns::SASL2) {
                identifier = Some(child.text().trim().to_owned());
            } else if Bound::matches(child) {
                success.bound = Some(Bound::read(child)?);
            } else if sm::Resumed::matches(child) {
                success.resumed = Some(sm::Resumed::read(child)?);
            } else if sm::Failed::matches(child) {
                success.resume_failed = Some(sm::Failed::read(child)?);
            } else {
                success.others.push(child.clone());
            }
        }
        success.authorization_identifier = identifier.ok_or_else(|| ReadError::new(element, "the authorization identifier is missing"))?;
        Ok(success)
    }

    fn write(&self) -> Element {
        let data = self.data.as_ref().map(|data| Element::new("additional-data", ns::SASL2).with_text(encode(data)));
        Self::element()
            .with_child_opt(data)
            .with_text_child("authorization-identifier", &self.authorization_identifier)
            .with_child_opt(self.resumed.as_ref().map(Payload::write))
            .with_child_opt(self.resume_failed.as_ref().map(Payload::write))
            .with_child_opt(self.bound.as_ref().map(Payload::write))
            .with_children(self.others.iter().cloned())
    }
}

/// Not logged in: conditions as in the older profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sasl2Failure(pub Failure);

impl Sasl2Failure {
    /// A failure without words.
    #[must_use]
    pub fn new(condition: SaslCondition) -> Self {
        Self(Failure::new(condition))
    }
}

impl Payload for Sasl2Failure {
    const NAME: &'static str = "failure";
    const NS: &'static str = ns::SASL2;

    fn read(element: &Element) -> Result<Self, ReadError> {
        Self::expect(element)?;
        Ok(Self(Failure::read_children(element)))
    }

    fn write(&self) -> Element {
        let Failure { condition, text, lang, application } = &self.0;
        Self::element()
            .with_child(Element::new(condition.as_str(), ns::SASL))
            .with_child_opt(text.as_ref().map(|text| Element::new("text", ns::SASL2).with_lang(lang.as_deref()).with_text(text)))
            .with_child_opt(application.clone())
    }
}

/// The password was right, and more is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Continue {
    /// The mechanism's last data.
    pub data: Option<Vec<u8>>,
    /// Names of the tasks of which one is to be done.
    pub tasks: Vec<String>,
    /// Words, not to be trusted with a terminal.
    pub text: Option<String>,
}

impl Payload for Continue {
    const NAME: &'static str = "continue";
    const NS: &'static str = ns::SASL2;

    fn read(element: &Element) -> Result<Self, ReadError> {
        Self::expect(element)?;
        let data = element.child("additional-data", ns::SASL2).map(read_data).transpose()?.map(Option::unwrap_or_default);
        let tasks = element.child("tasks", ns::SASL2).into_iter().flat_map(|tasks| tasks.children_named("task", ns::SASL2));
        Ok(Self { data, tasks: tasks.map(|task| task.text().trim().to_owned()).collect(), text: element.child_text("text") })
    }

    fn write(&self) -> Element {
        let tasks = self.tasks.iter().map(|task| Element::new("task", ns::SASL2).with_text(task));
        let data = self.data.as_ref().map(|data| Element::new("additional-data", ns::SASL2).with_text(encode(data)));
        Self::element()
            .with_child_opt(data)
            .with_child(Element::new("tasks", ns::SASL2).with_children(tasks))
            .with_child_opt(self.text.as_ref().map(|text| Element::new("text", ns::SASL2).with_text(text)))
    }
}

/// Chooses one of the tasks of [`Continue`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Next {
    /// Name of the task.
    pub task: String,
    /// Its first data, as elements.
    pub data: Vec<Element>,
}

impl Payload for Next {
    const NAME: &'static str = "next";
    const NS: &'static str = ns::SASL2;

    fn read(element: &Element) -> Result<Self, ReadError> {
        Self::expect(element)?;
        Ok(Self { task: element.required("task")?.to_owned(), data: element.children().cloned().collect() })
    }

    fn write(&self) -> Element {
        Self::element().with_attr("task", &self.task).with_children(self.data.iter().cloned())
    }
}

/// Gives up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Abort {
    /// Words.
    pub text: Option<String>,
}

impl Payload for Abort {
    const NAME: &'static str = "abort";
    const NS: &'static str = ns::SASL2;

    fn read(element: &Element) -> Result<Self, ReadError> {
        Self::expect(element)?;
        Ok(Self { text: element.child_text("text") })
    }

    fn write(&self) -> Element {
        match &self.text {
            None => Self::element(),
            Some(text) => Self::element().with_text_child("text", text),
        }
    }
}
