//! Messages that came back: who sent one is told, instead of believing that it arrived.

use balcony_wire::stanza::{DefinedCondition, StanzaError};
use balcony_wire::{BareJid, Jid, Message};

/// Bounces that may wait for whoever sends.
pub(crate) const BOUNCES: usize = 256;

/// A message of ours that came back.
#[derive(Clone, Debug)]
pub(crate) struct Bounce {
    id: String,
    from: Option<Jid>,
    error: StanzaError,
}

impl Bounce {
    /// What a message of type `error` says.
    pub(crate) fn of(message: &Message) -> Option<Self> {
        Some(Self { id: message.id.clone()?, from: message.from.clone(), error: message.error()? })
    }

    /// Whether it is about the message of this id to this addressee, said by them, their server or ours.
    pub(crate) fn is_about(&self, id: &str, to: &Jid, account: &BareJid) -> bool {
        let is_server = |from: &Jid| from.local().is_none() && [to.domain(), account.domain()].contains(&from.domain());
        self.id == id && self.from.as_ref().is_none_or(|from| from.bare() == to.bare() || is_server(from))
    }

    /// Why, in words.
    pub(crate) fn words(&self, to: &Jid) -> String {
        use DefinedCondition as Condition;
        let why = match self.error.condition {
            Condition::ServiceUnavailable | Condition::ItemNotFound | Condition::RecipientUnavailable => {
                "there is no such account, or it takes nothing from you".to_owned()
            }
            Condition::RemoteServerNotFound => format!("no server is found for {}", to.domain()),
            Condition::RemoteServerTimeout => format!("the server of {} does not answer", to.domain()),
            Condition::ResourceConstraint => "its server keeps no more messages for it".to_owned(),
            Condition::Forbidden | Condition::NotAllowed | Condition::NotAcceptable | Condition::PolicyViolation => {
                "it takes nothing from you".to_owned()
            }
            other => format!("the server says {}", other.as_str()),
        };
        match self.error.text.as_deref().map(str::trim).filter(|text| !text.is_empty()) {
            Some(text) => format!("{why} ({text})"),
            None => why,
        }
    }
}

#[cfg(test)]
mod tests {
    use balcony_wire::{Element, Stanza};

    use super::*;

    fn bounce(xml: &str) -> Option<Bounce> {
        let Ok(Stanza::Message(message)) = Stanza::read(Element::parse(xml).unwrap()) else { panic!("no message") };
        Bounce::of(&message)
    }

    /// A bounce as XEP-0045 §7.9 prints one, with another condition.
    const BOUNCED: &str = "<message xmlns='jabber:client' from='juliet@example.org' id='m1' to='romeo@example.net/x' type='error'>
        <body>https://example.net/1</body><error type='cancel'><remote-server-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>
        <text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>connection refused</text></error></message>";

    #[test]
    fn a_message_that_came_back_says_why() {
        let (to, account) = (Jid::parse("juliet@example.org").unwrap(), "romeo@example.net".parse().unwrap());
        let bounce = bounce(BOUNCED).unwrap();
        assert!(bounce.is_about("m1", &to, &account) && !bounce.is_about("m2", &to, &account));
        assert_eq!(bounce.words(&to), "no server is found for example.org (connection refused)");
    }

    #[test]
    fn nobody_else_can_say_that_a_message_came_back() {
        let (to, account) = (Jid::parse("juliet@example.org").unwrap(), "romeo@example.net".parse().unwrap());
        for (from, believed) in [
            ("juliet@example.org/phone", true),
            ("example.org", true),
            ("example.net", true),
            ("mallory@example.org", false),
            ("mallory.example", false),
        ] {
            let bounce = bounce(&BOUNCED.replace("juliet@example.org", from)).unwrap();
            assert_eq!(bounce.is_about("m1", &to, &account), believed, "{from}");
        }
        assert!(bounce(&BOUNCED.replace("type='error'", "type='chat'")).is_none());
    }
}
