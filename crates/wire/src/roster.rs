//! RFC 6121 §2 The roster: contacts, their subscriptions and groups.

use crate::element::Element;
use crate::jid::Jid;
use crate::ns;
use crate::payload::{Payload, ReadError};

/// Who sees whose presence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Subscription {
    /// Nobody; also what a missing value means.
    #[default]
    None,
    /// The user sees the contact.
    To,
    /// The contact sees the user.
    From,
    /// Both.
    Both,
    /// In a push or a request: the contact is removed.
    Remove,
}

impl Subscription {
    /// The attribute value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::To => "to",
            Self::From => "from",
            Self::Both => "both",
            Self::Remove => "remove",
        }
    }

    fn read(text: &str) -> Self {
        [Self::To, Self::From, Self::Both, Self::Remove].into_iter().find(|kind| kind.as_str() == text).unwrap_or_default()
    }

    /// Whether the contact sees the user's presence.
    #[must_use]
    pub fn contact_sees_user(self) -> bool {
        matches!(self, Self::From | Self::Both)
    }

    /// Whether the user sees the contact's presence.
    #[must_use]
    pub fn user_sees_contact(self) -> bool {
        matches!(self, Self::To | Self::Both)
    }
}

/// One contact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RosterItem {
    /// Address, usually bare.
    pub jid: Jid,
    /// Name the user gave.
    pub name: Option<String>,
    /// Who sees whose presence.
    pub subscription: Subscription,
    /// Whether the user's request to see the contact is waiting for an answer.
    pub ask: bool,
    /// Whether a request of the contact is granted in advance.
    pub approved: bool,
    /// Groups, without duplicates and empty names.
    pub groups: Vec<String>,
}

impl RosterItem {
    /// A contact without subscription.
    #[must_use]
    pub fn new(jid: Jid) -> Self {
        Self { jid, name: None, subscription: Subscription::None, ask: false, approved: false, groups: Vec::new() }
    }

    fn read(element: &Element) -> Option<Self> {
        let mut item = Self::new(Jid::from_server(element.attr("jid")?).ok()?);
        item.name = element.attr("name").map(str::to_owned);
        item.subscription = element.attr("subscription").map(Subscription::read).unwrap_or_default();
        item.ask = element.attr("ask") == Some("subscribe");
        item.approved = matches!(element.attr("approved"), Some("true" | "1"));
        for group in element.children_named("group", ns::ROSTER).map(Element::text) {
            if !group.is_empty() && !item.groups.contains(&group) {
                item.groups.push(group);
            }
        }
        Some(item)
    }

    fn write(&self) -> Element {
        Element::new("item", ns::ROSTER)
            .with_attr("jid", self.jid.as_str())
            .with_attr_opt("name", self.name.as_deref())
            .with_attr("subscription", self.subscription.as_str())
            .with_attr_opt("ask", self.ask.then_some("subscribe"))
            .with_attr_opt("approved", self.approved.then_some("true"))
            .with_children(self.groups.iter().map(|group| Element::new("group", ns::ROSTER).with_text(group)))
    }
}

/// A roster, a request for it (empty), or a push of one contact.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roster {
    /// Version; `Some("")` asks for versions without having one.
    pub ver: Option<String>,
    /// Contacts; those with a malformed address are dropped.
    pub items: Vec<RosterItem>,
}

impl Payload for Roster {
    const NAME: &'static str = "query";
    const NS: &'static str = ns::ROSTER;

    fn read(element: &Element) -> Result<Self, ReadError> {
        Self::expect(element)?;
        Ok(Self {
            ver: element.attr("ver").map(str::to_owned),
            items: element.children_named("item", ns::ROSTER).filter_map(RosterItem::read).collect(),
        })
    }

    fn write(&self) -> Element {
        Self::element().with_attr_opt("ver", self.ver.as_deref()).with_children(self.items.iter().map(RosterItem::write))
    }
}
