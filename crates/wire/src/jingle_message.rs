//! XEP-0353 Jingle message initiation, v0.8.0 <https://xmpp.org/extensions/xep-0353.html>
//!
//! A session proposed by message, to all devices of somebody, before it is begun with the one that answers.

use crate::element::Element;
use crate::jingle::Reason;
use crate::ns;
use crate::payload::{Payload, ReadError, only_id};
use crate::reading::{filled, id};
use crate::stanza::Message;

/// `<propose/>`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Propose {
    /// Id of the session to be.
    pub id: String,
    /// `description` elements of the applications, as they came.
    pub descriptions: Vec<Element>,
}

/// `<ringing/>`: a device asks its person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ringing {
    /// Id of the session to be.
    pub id: String,
}

/// `<proceed/>`: begin it with this device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proceed {
    /// Id of the session to be.
    pub id: String,
}

/// `<finish/>`: it was, and is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finish {
    /// Id of the session that was.
    pub id: String,
    /// Why.
    pub reason: Option<Reason>,
    /// The session that goes on instead.
    pub migrated: Option<String>,
}

/// Any of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JingleMessage {
    /// `<propose/>`
    Propose(Propose),
    /// `<ringing/>`
    Ringing(Ringing),
    /// `<proceed/>`
    Proceed(Proceed),
    /// `<reject/>`
    Reject(Reject),
    /// `<retract/>`
    Retract(Retract),
    /// `<finish/>`
    Finish(Finish),
}

impl JingleMessage {
    /// What a message says about a session to be; `None` if it says nothing that can be understood.
    #[must_use]
    pub fn of(message: &Message) -> Option<Self> {
        let element = message.payloads.iter().find(|payload| payload.ns() == ns::JINGLE_MESSAGE)?;
        let read = match element.name() {
            Propose::NAME => Propose::read(element).map(Self::Propose),
            Ringing::NAME => Ringing::read(element).map(Self::Ringing),
            Proceed::NAME => Proceed::read(element).map(Self::Proceed),
            Reject::NAME => Reject::read(element).map(Self::Reject),
            Retract::NAME => Retract::read(element).map(Self::Retract),
            Finish::NAME => Finish::read(element).map(Self::Finish),
            _ => return None,
        };
        read.ok() // without an id there is nothing to speak about
    }

    /// Id of the session it is about.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::Propose(Propose { id, .. })
            | Self::Ringing(Ringing { id })
            | Self::Proceed(Proceed { id })
            | Self::Reject(Reject { id, .. })
            | Self::Retract(Retract { id, .. })
            | Self::Finish(Finish { id, .. }) => id,
        }
    }

    /// The element.
    #[must_use]
    pub fn write(&self) -> Element {
        match self {
            Self::Propose(propose) => propose.write(),
            Self::Ringing(ringing) => ringing.write(),
            Self::Proceed(proceed) => proceed.write(),
            Self::Reject(reject) => reject.write(),
            Self::Retract(retract) => retract.write(),
            Self::Finish(finish) => finish.write(),
        }
    }
}

impl Payload for Propose {
    const NAME: &'static str = "propose";
    const NS: &'static str = ns::JINGLE_MESSAGE;

    fn read(element: &Element) -> Result<Self, ReadError> {
        Self::expect(element)?;
        let descriptions = element.children().filter(|child| child.name() == "description");
        Ok(Self { id: id(element)?, descriptions: descriptions.take(MAX_DESCRIPTIONS).cloned().collect() })
    }

    fn write(&self) -> Element {
        Self::element().with_attr("id", &self.id).with_children(self.descriptions.iter().cloned())
    }
}

only_id!(Ringing, "ringing", ns::JINGLE_MESSAGE);
only_id!(Proceed, "proceed", ns::JINGLE_MESSAGE);

macro_rules! refusal {
    ($(#[$doc:meta])* $type:ident, $name:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $type {
            /// Id of the session that will not be.
            pub id: String,
            /// Why.
            pub reason: Option<Reason>,
            /// Whether another proposal goes on instead.
            pub tie_break: bool,
        }

        impl Payload for $type {
            const NAME: &'static str = $name;
            const NS: &'static str = ns::JINGLE_MESSAGE;

            fn read(element: &Element) -> Result<Self, ReadError> {
                Self::expect(element)?;
                let tie_break = element.child("tie-break", Self::NS).is_some();
                Ok(Self { id: id(element)?, reason: read_reason(element), tie_break })
            }

            fn write(&self) -> Element {
                let tie_break = self.tie_break.then(|| Element::new("tie-break", Self::NS));
                ended(Self::element(), &self.id, self.reason.as_ref()).with_child_opt(tie_break)
            }
        }
    };
}

refusal!(
    /// `<reject/>`: not wanted, by the one or by the other device of who was asked.
    Reject, "reject"
);
refusal!(
    /// `<retract/>`: not wanted any more by who asked.
    Retract, "retract"
);

impl Payload for Finish {
    const NAME: &'static str = "finish";
    const NS: &'static str = ns::JINGLE_MESSAGE;

    fn read(element: &Element) -> Result<Self, ReadError> {
        Self::expect(element)?;
        let migrated = element.child("migrated", ns::JINGLE_MESSAGE).and_then(|migrated| filled(migrated, "to")).map(str::to_owned);
        Ok(Self { id: id(element)?, reason: read_reason(element), migrated })
    }

    fn write(&self) -> Element {
        let migrated = self.migrated.as_ref().map(|to| Element::new("migrated", Self::NS).with_attr("to", to));
        ended(Self::element(), &self.id, self.reason.as_ref()).with_child_opt(migrated)
    }
}

fn read_reason(element: &Element) -> Option<Reason> {
    element.payload::<Reason>()?.ok() // a reason without a condition gives none
}

fn ended(element: Element, id: &str, reason: Option<&Reason>) -> Element {
    element.with_attr("id", id).with_child_opt(reason.map(Payload::write))
}

/// More applications than anybody proposes.
const MAX_DESCRIPTIONS: usize = 16;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::jingle::Condition;
    use crate::stanza::Stanza;

    fn in_example(file: &str) -> Option<JingleMessage> {
        of(&testing_corpus::example(file).in_stream())
    }

    fn of(xml: &str) -> Option<JingleMessage> {
        let Stanza::Message(message) = Stanza::read(Element::parse(xml).unwrap()).unwrap() else { panic!("{xml}") };
        JingleMessage::of(&message)
    }

    #[test]
    fn a_session_is_proposed_rung_taken_and_finished() {
        let id = "ca3cf894-5325-482f-a412-a6e9f832298d";
        let propose = in_example("xep-0353/01-initiator-sends-intent-message.xml").unwrap();
        assert!(matches!(&propose, JingleMessage::Propose(propose) if propose.descriptions[0].ns() == "urn:xmpp:jingle:apps:rtp:1"));
        let ringing = in_example("xep-0353/03-one-of-responder-s-resources-reports-it-is-ringing.xml").unwrap();
        assert_eq!(ringing, JingleMessage::Ringing(Ringing { id: id.to_owned() }));
        let proceed = in_example("xep-0353/05-one-of-responder-s-resources-accepts-the-call.xml").unwrap();
        assert_eq!(proceed, JingleMessage::Proceed(Proceed { id: id.to_owned() }));
        let reason = Reason::new(Condition::Success).with_text("Success");
        let finish = in_example("xep-0353/09-initiator-sends-finish-message.xml").unwrap();
        assert_eq!(finish, JingleMessage::Finish(Finish { id: id.to_owned(), reason: Some(reason), migrated: None }));
        assert!([propose, ringing, proceed, finish].iter().all(|message| message.id() == id));
    }

    #[test]
    fn who_gives_up_says_why_and_what_goes_on_instead() {
        let retract = in_example("xep-0353/04-initiator-sends-retract-message.xml").unwrap();
        assert!(matches!(retract, JingleMessage::Retract(Retract { tie_break: false, reason: Some(_), .. })));
        let tie_break = in_example("xep-0353/11-3-tie-break-in-propose-state.xml").unwrap();
        assert!(matches!(tie_break, JingleMessage::Reject(Reject { tie_break: true, .. })));
        let migrated = in_example("xep-0353/12-4-tie-break-in-accept-state.xml").unwrap();
        assert!(
            matches!(&migrated, JingleMessage::Finish(finish) if finish.migrated.as_deref() == Some("989a46a6-f202-4910-a7c3-83c6ba3f3947"))
        );
    }

    #[test]
    fn what_has_no_id_or_is_unknown_says_nothing() {
        for inside in
            ["<propose xmlns='urn:xmpp:jingle-message:0'/>", "<hug xmlns='urn:xmpp:jingle-message:0' id='1'/>", "<body>propose</body>"]
        {
            assert_eq!(of(&format!("<message xmlns='jabber:client'>{inside}</message>")), None, "{inside}");
        }
        let many =
            format!("<propose xmlns='urn:xmpp:jingle-message:0' id='1'>{}</propose>", "<description xmlns='urn:example'/>".repeat(100));
        assert_eq!(Propose::read(&Element::parse(&many).unwrap()).unwrap().descriptions.len(), MAX_DESCRIPTIONS);
    }
}
