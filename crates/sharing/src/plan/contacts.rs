//! Whom a person knows, and who of them sees when the person is there: the roster as far as rules look at it. Pure data; remembered
//! between connections as text.
//!
//! RFC 6121 §2

use std::collections::BTreeMap;

use balcony_wire::roster::{RosterItem, Subscription};
use balcony_wire::{BareJid, Jid};

/// A person's contacts and the groups they put them in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contacts(BTreeMap<BareJid, Contact>);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Contact {
    groups: Vec<String>,
    sees_us: bool,
}

/// Before the address of those who see our presence, in a record: no address begins so.
const SEES_US: char = '>';

impl Contacts {
    /// From a whole roster.
    pub fn from_items(items: impl IntoIterator<Item = RosterItem>) -> Self {
        let mut contacts = Self::default();
        for item in items {
            contacts.apply(item);
        }
        contacts
    }

    /// What one push says: somebody came, went, or moved between groups.
    pub fn apply(&mut self, item: RosterItem) {
        match item.subscription {
            Subscription::Remove => drop(self.0.remove(&item.jid.bare())),
            _ => {
                let sees_us = item.subscription.contact_sees_user();
                self.0.insert(item.jid.bare(), Contact { groups: item.groups, sees_us });
            }
        }
    }

    /// Whether they are a contact who sees when we are there: a subscription `from` or `both` (RFC 6121 §2.1.2.5).
    pub fn sees_us(&self, jid: &BareJid) -> bool {
        self.0.get(jid).is_some_and(|contact| contact.sees_us)
    }

    /// The groups of a contact; `None` for a stranger.
    pub fn groups(&self, jid: &BareJid) -> Option<&[String]> {
        self.0.get(jid).map(|contact| contact.groups.as_slice())
    }

    /// All of them, by address.
    pub fn iter(&self) -> impl Iterator<Item = (&BareJid, &[String])> {
        self.0.iter().map(|(jid, contact)| (jid, contact.groups.as_slice()))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As text for the store: a line for each, with its groups behind tabs.
    pub fn to_record(&self) -> String {
        let mut text = String::new();
        for (jid, contact) in &self.0 {
            text.extend(contact.sees_us.then_some(SEES_US));
            text.push_str(jid.as_str());
            for group in &contact.groups {
                text.push('\t');
                // Names are free text: what would end a field is written another way.
                text.extend(group.chars().flat_map(escaped));
            }
            text.push('\n');
        }
        text
    }

    /// What [`Contacts::to_record`] wrote; a line that cannot be read is somebody we do not know.
    pub fn from_record(text: &str) -> Self {
        let read = |line: &str| {
            let mut fields = line.split('\t');
            let first = fields.next()?;
            let seer = first.strip_prefix(SEES_US);
            let jid = Jid::from_server(seer.unwrap_or(first)).ok()?.into_bare().ok()?;
            Some((jid, Contact { groups: fields.map(unescaped).collect(), sees_us: seer.is_some() }))
        };
        Self(text.split('\n').filter_map(read).collect())
    }
}

fn escaped(c: char) -> impl Iterator<Item = char> {
    let (first, second) = match c {
        '\\' => ('\\', Some('\\')),
        '\t' => ('\\', Some('t')),
        '\n' => ('\\', Some('n')),
        other => (other, None),
    };
    std::iter::once(first).chain(second)
}

fn unescaped(field: &str) -> String {
    let mut name = String::with_capacity(field.len());
    let mut chars = field.chars();
    while let Some(c) = chars.next() {
        name.push(match c {
            '\\' => match chars.next() {
                Some('t') => '\t',
                Some('n') => '\n',
                Some(other) => other,
                None => '\\',
            },
            other => other,
        });
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(jid: &str, groups: &[&str]) -> RosterItem {
        let groups = groups.iter().map(|group| (*group).to_owned()).collect();
        RosterItem { groups, ..RosterItem::new(Jid::parse(jid).unwrap()) }
    }

    #[test]
    fn contacts_come_back_from_the_store_as_they_were_whatever_their_groups_are_called() {
        let items = [item("romeo@montague.lit", &["Friends", "a\tb\\n\nc", "\\"]), item("nurse@capulet.lit", &[])];
        let seer = RosterItem { subscription: Subscription::Both, ..item("tybalt@capulet.lit", &["Family"]) };
        let contacts = Contacts::from_items(items.into_iter().chain([seer]));
        assert_eq!(Contacts::from_record(&contacts.to_record()), contacts);
        assert_eq!(Contacts::from_record("no address at all @\n\n\tx"), Contacts::default());
    }

    #[test]
    fn those_see_us_whose_subscription_says_so() {
        let romeo = Jid::parse("romeo@montague.lit").unwrap().bare();
        let subscriptions = [Subscription::None, Subscription::To, Subscription::From, Subscription::Both, Subscription::Remove];
        for (subscription, sees_us) in subscriptions.into_iter().zip([false, false, true, true, false]) {
            let contacts = Contacts::from_items([RosterItem { subscription, ..item("romeo@montague.lit", &[]) }]);
            assert_eq!(contacts.sees_us(&romeo), sees_us, "{subscription:?}");
        }
        let of_an_earlier_version = Contacts::from_record("romeo@montague.lit\tFriends\n");
        assert!(of_an_earlier_version.groups(&romeo).is_some() && !of_an_earlier_version.sees_us(&romeo), "until the roster comes");
    }

    #[test]
    fn a_push_adds_moves_and_removes() {
        let mut contacts = Contacts::from_items([item("romeo@montague.lit", &["Friends"])]);
        let romeo = Jid::parse("romeo@montague.lit").unwrap().bare();
        contacts.apply(item("romeo@montague.lit/orchard", &["Family"]));
        assert_eq!(contacts.groups(&romeo), Some(&["Family".to_owned()][..]));
        contacts.apply(RosterItem { subscription: Subscription::Remove, ..item("romeo@montague.lit", &[]) });
        assert_eq!((contacts.groups(&romeo), contacts.len()), (None, 0));
    }
}
