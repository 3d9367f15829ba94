//! Rules of giving in whole sentences.

use super::{GivingRule, GivingVerdict, Showing};
use crate::plan::{Size, Who};

impl GivingRule {
    /// What it means, as a sentence without a full stop.
    #[must_use]
    pub fn words(&self) -> String {
        let (files, who) = (self.files(), list(self.who.iter().map(person)));
        match self.verdict {
            GivingVerdict::Never => format!("never give {files} to {who}"),
            GivingVerdict::Announce => {
                format!("after {files} of {who} were fetched and proved, say in that conversation that they are here, too")
            }
            GivingVerdict::Give => {
                let what = if self.unoffered {
                    format!("{files} of which they know a digest")
                } else {
                    format!("{files} that were offered to them")
                };
                let way = match self.showing {
                    Showing::AsShared => "as was said when they were shared, else without showing the address of this device",
                    Showing::Address => "also directly, so that they see the address of this device",
                    Showing::NoAddress => "without ever showing the address of this device",
                };
                let rate = self.rate.map(|rate| format!(", at most {} a second each", Size(rate))).unwrap_or_default();
                format!("give {who} {what}, {way}{rate}")
            }
        }
    }

    fn files(&self) -> String {
        let mut files = "files".to_owned();
        if !self.types.is_empty() {
            files += &format!(" of type {}", list(self.types.iter().map(|range| range.as_str().to_owned())));
        }
        if let Some(over) = self.over {
            files += &format!(" larger than {}", Size(over));
        }
        if let Some(up_to) = self.up_to {
            let and = if self.over.is_some() { " and" } else { "" };
            files += &format!("{and} up to {}", Size(up_to));
        }
        files
    }
}

fn person(who: &Who) -> String {
    match who {
        Who::Everybody => "everybody".to_owned(),
        Who::Contacts => "your contacts".to_owned(),
        Who::Group(name) => format!("contacts in the group {name}"),
        Who::Person(jid) => jid.to_string(),
        Who::Strangers => "strangers".to_owned(),
        Who::OwnDevices => "your own devices".to_owned(),
        // no rule of giving has one
        Who::Rooms | Who::PrivateRooms | Who::PublicRooms | Who::Room(_) => "nobody in rooms".to_owned(),
    }
}

fn list(mut items: impl Iterator<Item = String>) -> String {
    let first = items.next().unwrap_or_default();
    let mut rest: Vec<String> = items.collect();
    match rest.pop() {
        None => first,
        Some(last) => format!("{} and {last}", std::iter::once(first).chain(rest).collect::<Vec<_>>().join(", ")),
    }
}
