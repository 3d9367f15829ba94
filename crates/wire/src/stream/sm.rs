//! XEP-0198 Stream management, v1.6.3 <https://xmpp.org/extensions/xep-0198.html>

use crate::element::Element;
use crate::ns;
use crate::payload::{Payload, ReadError, empty};
use crate::stanza::DefinedCondition;

fn counter(element: &Element) -> Result<u32, ReadError> {
    optional_counter(element).ok_or_else(|| ReadError::new(element, "h is no number from 0 to 4294967295"))
}

fn optional_counter(element: &Element) -> Option<u32> {
    element.attr("h").and_then(|h| h.trim().parse().ok())
}

fn flag(element: &Element, name: &str) -> bool {
    matches!(element.attr(name), Some("true" | "1"))
}

fn seconds(element: &Element) -> Option<u32> {
    element.attr("max").and_then(|max| max.trim().parse().ok())
}

/// Turns stream management on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Enable {
    /// Whether the session shall be resumable.
    pub resume: bool,
    /// How long the client would like it kept, in seconds.
    pub max: Option<u32>,
}

impl Payload for Enable {
    const NAME: &'static str = "enable";
    const NS: &'static str = ns::SM;

    fn read(element: &Element) -> Result<Self, ReadError> {
        Self::expect(element)?;
        Ok(Self { resume: flag(element, "resume"), max: seconds(element) })
    }

    fn write(&self) -> Element {
        Self::element().with_attr_opt("resume", self.resume.then_some("true")).with_attr_opt("max", self.max.map(|max| max.to_string()))
    }
}

/// Stream management is on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Enabled {
    /// Name of the session, needed to resume it.
    pub id: Option<String>,
    /// Whether it can be resumed.
    pub resume: bool,
    /// How long it is kept after the connection is lost, in seconds.
    pub max: Option<u32>,
    /// Where to reconnect best: host and port as the server wrote it.
    pub location: Option<String>,
}

impl Payload for Enabled {
    const NAME: &'static str = "enabled";
    const NS: &'static str = ns::SM;

    fn read(element: &Element) -> Result<Self, ReadError> {
        Self::expect(element)?;
        let owned = |name: &str| element.attr(name).map(str::to_owned);
        Ok(Self { id: owned("id"), resume: flag(element, "resume"), max: seconds(element), location: owned("location") })
    }

    fn write(&self) -> Element {
        Self::element()
            .with_attr_opt("id", self.id.as_deref())
            .with_attr_opt("resume", self.resume.then_some("true"))
            .with_attr_opt("max", self.max.map(|max| max.to_string()))
            .with_attr_opt("location", self.location.as_deref())
    }
}

macro_rules! resumption {
    ($(#[$doc:meta])* $type:ident, $name:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $type {
            /// The last stanza its sender has handled.
            pub h: u32,
            /// The session.
            pub previd: String,
        }

        impl Payload for $type {
            const NAME: &'static str = $name;
            const NS: &'static str = ns::SM;

            fn read(element: &Element) -> Result<Self, ReadError> {
                Self::expect(element)?;
                Ok(Self { h: counter(element)?, previd: element.required("previd")?.to_owned() })
            }

            fn write(&self) -> Element {
                Self::element().with_attr("h", self.h.to_string()).with_attr("previd", &self.previd)
            }
        }
    };
}

resumption!(
    /// Asks to go on with a session.
    Resume, "resume"
);
resumption!(
    /// The session goes on.
    Resumed, "resumed"
);

/// Neither enabled nor resumed. Servers send it with and without `h`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failed {
    /// What the server had handled in the session that is lost.
    pub h: Option<u32>,
    /// Why, if it says a condition that is defined.
    pub condition: Option<DefinedCondition>,
    /// Words, not to be trusted with a terminal.
    pub text: Option<String>,
}

impl Payload for Failed {
    const NAME: &'static str = "failed";
    const NS: &'static str = ns::SM;

    fn read(element: &Element) -> Result<Self, ReadError> {
        Self::expect(element)?;
        let condition =
            element.children().filter(|child| child.ns() == ns::STANZA_ERRORS).find_map(|child| DefinedCondition::read(child.name()));
        let text = element.child("text", ns::STANZA_ERRORS).map(Element::text);
        Ok(Self { h: optional_counter(element), condition, text })
    }

    fn write(&self) -> Element {
        Self::element()
            .with_attr_opt("h", self.h.map(|h| h.to_string()))
            .with_child_opt(self.condition.map(|condition| Element::new(condition.as_str(), ns::STANZA_ERRORS)))
            .with_child_opt(self.text.as_ref().map(|text| Element::new("text", ns::STANZA_ERRORS).with_text(text)))
    }
}

/// How many stanzas were handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ack {
    /// Count of handled stanzas, modulo 2^32.
    pub h: u32,
}

impl Payload for Ack {
    const NAME: &'static str = "a";
    const NS: &'static str = ns::SM;

    fn read(element: &Element) -> Result<Self, ReadError> {
        Self::expect(element)?;
        Ok(Self { h: counter(element)? })
    }

    fn write(&self) -> Element {
        Self::element().with_attr("h", self.h.to_string())
    }
}

/// Asks for an [`Ack`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Request;

empty!(Request, "r", ns::SM);

/// Application condition of a stream error: more stanzas were acknowledged than sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandledCountTooHigh {
    /// What was acknowledged.
    pub h: u32,
    /// What was sent.
    pub send_count: u32,
}

impl Payload for HandledCountTooHigh {
    const NAME: &'static str = "handled-count-too-high";
    const NS: &'static str = ns::SM;

    fn read(element: &Element) -> Result<Self, ReadError> {
        Self::expect(element)?;
        let send_count = element.required("send-count")?.trim().parse();
        let send_count = send_count.map_err(|_| ReadError::new(element, "send-count is no number"))?;
        Ok(Self { h: counter(element)?, send_count })
    }

    fn write(&self) -> Element {
        Self::element().with_attr("h", self.h.to_string()).with_attr("send-count", self.send_count.to_string())
    }
}
