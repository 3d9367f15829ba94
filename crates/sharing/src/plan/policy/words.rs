//! Rules in whole sentences, for people who do not know the words of the text form yet.

use super::text::{PLACES, Size};
use super::{Miss, Rule, Verdict, Who};
use crate::ExposureKind;

impl Rule {
    /// What it means, as a sentence without a full stop.
    #[must_use]
    pub fn words(&self) -> String {
        let what = match self.verdict {
            Verdict::Fetch => "fetch unasked",
            Verdict::Ask => "ask before fetching",
            Verdict::Never => "never fetch",
        };
        let mut words = format!("{what} {} {}", self.files(), and(self.who.iter().map(Who::words), "and"));
        if let Some(sizes) = self.sizes() {
            words += &format!(" {sizes}");
        }
        if !self.places.is_empty() && self.places.len() < PLACES.len() {
            words += &format!(", from {}", and(self.places.iter().map(|place| place_words(*place).to_owned()), "or"));
        }
        words + &self.conditions()
    }

    fn files(&self) -> String {
        if self.types.is_empty() {
            return "files".to_owned();
        }
        let name = |range: &super::TypeRange| match range.0.as_str() {
            "image/*" => "pictures".to_owned(),
            "video/*" => "films".to_owned(),
            "audio/*" => "sound".to_owned(),
            "text/*" => "texts".to_owned(),
            "*/*" => "files".to_owned(),
            other => format!("files of type {other}"),
        };
        and(self.types.iter().map(name), "and")
    }

    fn sizes(&self) -> Option<String> {
        match (self.over, self.up_to) {
            (None, None) => None,
            (None, Some(up_to)) => Some(format!("up to {}", Size(up_to))),
            (Some(over), None) => Some(format!("larger than {}, or of a size nobody says", Size(over))),
            (Some(over), Some(up_to)) => Some(format!("larger than {} and up to {}", Size(over), Size(up_to))),
        }
    }

    fn conditions(&self) -> String {
        let said = [
            (self.unproven, "what no hash proves"),
            (self.metered, "where bytes cost money"),
            (self.attached, "from where somebody else than the sender says it is"),
        ];
        let said: Vec<_> = said.into_iter().filter(|(is_said, _)| *is_said).map(|(_, words)| words.to_owned()).collect();
        let word = if self.verdict == Verdict::Fetch { "even" } else { "only" };
        if said.is_empty() { String::new() } else { format!("; {word} {}", and(said.into_iter(), "and")) }
    }
}

impl Who {
    fn words(&self) -> String {
        match self {
            Self::Everybody => "of everybody".to_owned(),
            Self::Contacts => "of contacts".to_owned(),
            Self::Group(name) => format!("of contacts in the group \"{name}\""),
            Self::Person(jid) => format!("of {jid}"),
            Self::Strangers => "of people who are no contacts".to_owned(),
            Self::OwnDevices => "of your own devices".to_owned(),
            Self::Rooms => "shared in rooms".to_owned(),
            Self::PrivateRooms => "shared in rooms for members only".to_owned(),
            Self::PublicRooms => "shared in rooms that anybody may enter".to_owned(),
            Self::Room(jid) => format!("shared in the room {jid}"),
        }
    }
}

impl Miss {
    /// Why a rule is not about a case, in words.
    pub fn words(self, rule: &Rule) -> &'static str {
        let fetches = rule.verdict == Verdict::Fetch;
        match self {
            Self::Who => "it is about somebody else's files",
            Self::Size => "it is about other sizes",
            Self::Type => "it is about other types of files",
            Self::Place => "it is about other places",
            Self::Proof if fetches => "it fetches only what a hash proves",
            Self::Proof => "it is only about files that no hash proves",
            Self::Network if fetches => "it does not fetch where bytes cost money",
            Self::Network => "it is only about networks where bytes cost money",
            Self::NamedBy if fetches => "it does not fetch from where somebody else than the sender says",
            Self::NamedBy => "it is only about places that somebody else than the sender names",
        }
    }
}

fn place_words(place: ExposureKind) -> &'static str {
    match place {
        ExposureKind::Nothing => "the message itself",
        ExposureKind::OwnServer => "your own server",
        ExposureKind::Presence => "the sender's device (over XMPP)",
        ExposureKind::ViaProxy => "a person's device by way of servers",
        ExposureKind::SendersServer => "the sender's server",
        ExposureKind::ThirdHost => "other hosts",
        ExposureKind::Peer => "a person's device",
        ExposureKind::Everybody => "where everybody can read it",
    }
}

fn and(items: impl Iterator<Item = String>, word: &str) -> String {
    let mut items: Vec<_> = items.collect();
    match items.pop() {
        Some(last) if items.is_empty() => last,
        Some(last) => format!("{} {word} {last}", items.join(", ")),
        None => String::new(),
    }
}
