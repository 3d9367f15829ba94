//! Whom a person knows: the roster as far as rules look at it. Pure data; remembered between connections as text.
//!
//! RFC 6121 §2

use std::collections::BTreeMap;

use balcony_wire::roster::{RosterItem, Subscription};
use balcony_wire::{BareJid, Jid};

/// A person's contacts and the groups they put them in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contacts(BTreeMap<BareJid, Vec<String>>);

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
            _ => drop(self.0.insert(item.jid.bare(), item.groups)),
        }
    }

    /// The groups of a contact; `None` for a stranger.
    pub fn groups(&self, jid: &BareJid) -> Option<&[String]> {
        self.0.get(jid).map(Vec::as_slice)
    }

    /// All of them, by address.
    pub fn iter(&self) -> impl Iterator<Item = (&BareJid, &[String])> {
        self.0.iter().map(|(jid, groups)| (jid, groups.as_slice()))
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
        for (jid, groups) in &self.0 {
            text.push_str(jid.as_str());
            for group in groups {
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
            let jid = Jid::from_server(fields.next()?).ok()?.into_bare().ok()?;
            Some((jid, fields.map(unescaped).collect()))
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
        let contacts = Contacts::from_items(items);
        assert_eq!(Contacts::from_record(&contacts.to_record()), contacts);
        assert_eq!(Contacts::from_record("no address at all @\n\n\tx"), Contacts::default());
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
