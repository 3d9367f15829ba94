//! Who speaks in a room, and by which id a message there can be named. Nicks prove nothing: anybody may take a nick that is free.
//!
//! XEP-0421 Occupant identifiers for semi-anonymous MUCs, v1.0.1 <https://xmpp.org/extensions/xep-0421.html>
//! Status: partial: ids are believed of rooms that announce them; the running client joins no rooms yet, the server has none.
//! XEP-0359 Unique and stable stanza IDs, v0.7.0 <https://xmpp.org/extensions/xep-0359.html>
//! Status: partial: ids of rooms are believed of rooms that announce them; the server gives none.

use std::collections::BTreeMap;

use balcony_wire::delay::Delay;
use balcony_wire::occupant_id::OccupantId;
use balcony_wire::stanza::MessageKind;
use balcony_wire::stanza_ids::StanzaId;
use balcony_wire::{BareJid, Message, ns};

use super::{ProvenanceError, Received, Speaker, Way, is_usable_id};

/// What a room is known to vouch for. A room that does not announce something lets its occupants make it up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomFacts {
    /// The room.
    pub room: BareJid,
    /// It announces `urn:xmpp:occupant-id:0`.
    pub announces_occupant_ids: bool,
    /// It announces `urn:xmpp:sid:0`.
    pub announces_stanza_ids: bool,
    /// Real addresses of those who are in, by nick, where the room shows them.
    pub real_addresses: BTreeMap<String, BareJid>,
}

impl RoomFacts {
    /// A room of which nothing is known.
    #[must_use]
    pub fn unknown(room: BareJid) -> Self {
        Self { room, announces_occupant_ids: false, announces_stanza_ids: false, real_addresses: BTreeMap::new() }
    }
}

impl Received<Message> {
    /// A message that the room of `facts` reflects to all.
    ///
    /// # Errors
    /// [`ProvenanceError::NoRoom`] for any type but groupchat, without a sender, and from any other room.
    pub fn room(message: Message, account: &BareJid, facts: &RoomFacts) -> Result<Self, ProvenanceError> {
        match message.from.clone() {
            Some(sender) if message.kind == MessageKind::Groupchat && sender.bare() == facts.room => {
                Ok(Self::of(message, account, sender, Way::Room).vouched(facts))
            }
            _ => Err(ProvenanceError::NoRoom),
        }
    }

    /// A message that an occupant of the room of `facts` sent to us alone (XEP-0045 §7.5), whether or not it says so itself.
    ///
    /// # Errors
    /// [`ProvenanceError::NoRoom`] for a message of type groupchat or error, of the room itself, and from any other room.
    pub fn private(message: Message, account: &BareJid, facts: &RoomFacts) -> Result<Self, ProvenanceError> {
        let is_said = !matches!(message.kind, MessageKind::Groupchat | MessageKind::Error);
        match message.from.clone() {
            Some(sender) if is_said && sender.bare() == facts.room && sender.resource().is_some() => {
                Ok(Self::of(message, account, sender, Way::RoomPrivate).vouched(facts))
            }
            _ => Err(ProvenanceError::NoRoom),
        }
    }

    /// With what the room vouches for: who speaks, and the id it gave.
    pub(super) fn vouched(mut self, facts: &RoomFacts) -> Self {
        if facts.room != self.provenance.conversation() {
            return self;
        }
        let message = &self.inner;
        if let Speaker::Occupant { id, real } = &mut self.provenance.speaker {
            if facts.announces_occupant_ids {
                *id = only(message.payloads_of::<OccupantId>().map(|read| read.ok().map(|occupant| occupant.id)));
            }
            // A nick of the past may be somebody else's by now.
            let is_now = self.provenance.way != Way::RoomArchive && message.payload::<Delay>().is_none();
            let nick = self.provenance.sender.resource().filter(|_| is_now);
            *real = nick.and_then(|nick| facts.real_addresses.get(nick)).cloned().or(real.take());
        }
        if facts.announces_stanza_ids && self.provenance.way.is_reflected() {
            let ids =
                message.payloads_of::<StanzaId>().filter_map(Result::ok).filter(|stanza_id| stanza_id.by.as_str() == facts.room.as_str());
            self.provenance.targets = only(ids.map(|stanza_id| Some(stanza_id.id))).into_iter().collect();
        }
        self
    }

    /// The archive of the room of `facts` names the message by this id (XEP-0313 §5).
    pub(super) fn named_by_archive(mut self, id: Option<&str>, facts: &RoomFacts) -> Self {
        if let Some(id) = id.filter(|id| facts.announces_stanza_ids && is_usable_id(id)) {
            self.provenance.targets = vec![id.to_owned()];
        }
        self
    }
}

/// The one value there is. Of several nobody knows which one the room wrote; a room that announces them leaves one.
fn only(mut ids: impl Iterator<Item = Option<String>>) -> Option<String> {
    let id = ids.next()??;
    if ids.next().is_some() { None } else { Some(id).filter(|id| is_usable_id(id)) }
}

/// Whether a message says of itself that it goes through a room to one occupant alone. Who leaves the mark out is not told from a
/// person here; who knows the room calls [`Received::private`].
pub(super) fn is_private(message: &Message) -> bool {
    let is_marked = message.payloads.iter().any(|element| element.is("x", ns::MUC_USER));
    is_marked && message.kind != MessageKind::Groupchat && message.from.iter().chain(&message.to).any(|jid| jid.resource().is_some())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
pub(super) mod tests {
    use super::super::tests::{juliet, message};
    use super::*;
    use crate::Provenance;

    pub(crate) fn announcing() -> RoomFacts {
        let room = "coven@chat.lit".parse().unwrap();
        RoomFacts { announces_occupant_ids: true, announces_stanza_ids: true, ..RoomFacts::unknown(room) }
    }

    pub(crate) fn reflected(inside: &str) -> Message {
        reflected_from("coven@chat.lit/witch", inside)
    }

    fn reflected_from(from: &str, inside: &str) -> Message {
        message(&format!(
            "<message xmlns='jabber:client' type='groupchat' id='m1' from='{from}'><origin-id xmlns='urn:xmpp:sid:0' id='m1'/>{inside}</message>"
        ))
    }

    fn said(from: &str, inside: &str, facts: &RoomFacts) -> Provenance {
        Received::room(reflected_from(from, inside), &juliet(), facts).unwrap().provenance().clone()
    }

    fn occupant(id: &str) -> String {
        format!("<occupant-id xmlns='urn:xmpp:occupant-id:0' id='{id}'/>")
    }

    fn stanza_id(id: &str, by: &str) -> String {
        format!("<stanza-id xmlns='urn:xmpp:sid:0' id='{id}' by='{by}'/>")
    }

    #[test]
    fn only_the_room_itself_reflects_what_is_said_in_it() {
        for other in ["other@chat.lit/witch", "chat.lit/witch", "mallory@evil.example/witch"] {
            assert_eq!(Received::room(reflected_from(other, ""), &juliet(), &announcing()), Err(ProvenanceError::NoRoom), "{other}");
        }
        let chat = message("<message xmlns='jabber:client' type='chat' from='coven@chat.lit/witch'/>");
        assert_eq!(Received::room(chat, &juliet(), &announcing()), Err(ProvenanceError::NoRoom));
    }

    /// Decision 5.
    /// Proves: SFS-6-D1.
    #[test]
    fn an_occupant_is_known_by_the_id_that_the_room_announces_and_never_by_nick() {
        let facts = announcing();
        let (romeo, mallory) = (occupant("1"), occupant("2"));
        let first = said("coven@chat.lit/romeo", &romeo, &facts);
        assert!(first.is_same_sender(&said("coven@chat.lit/montague", &romeo, &facts)), "another nick, the same person");
        assert!(!first.is_same_sender(&said("coven@chat.lit/romeo", &mallory, &facts)), "the same nick, another person");
        assert!(!first.is_same_sender(&said("coven@chat.lit/romeo", "", &facts)));
        assert!(!first.is_same_sender(&said("coven@chat.lit/romeo", &(mallory + &romeo), &facts)), "two ids are none");
        let elsewhere = RoomFacts { room: "other@chat.lit".parse().unwrap(), ..facts.clone() };
        assert!(!first.is_same_sender(&said("other@chat.lit/romeo", &romeo, &elsewhere)), "ids hold in one room");

        let silent = RoomFacts { announces_occupant_ids: false, ..facts };
        let forged = said("coven@chat.lit/romeo", &romeo, &silent);
        assert!(!forged.is_same_sender(&forged), "a room that announces no ids lets everybody make them up");
        assert_eq!((forged.person(), forged.is_own(), forged.conversation().as_str()), (None, false, "coven@chat.lit"));
    }

    /// Proves: SFS-6-D1.
    #[test]
    fn without_ids_the_real_address_tells_and_of_the_past_nothing_does() {
        let mut facts = RoomFacts::unknown("coven@chat.lit".parse().unwrap());
        for (nick, real) in [("romeo", "romeo@montague.lit"), ("montague", "romeo@montague.lit"), ("me", "juliet@capulet.lit")] {
            facts.real_addresses.insert(nick.to_owned(), real.parse().unwrap());
        }
        let by = |nick: &str, inside: &str| said(&format!("coven@chat.lit/{nick}"), inside, &facts);
        assert!(by("romeo", "").is_same_sender(&by("montague", "")));
        assert!(!by("romeo", "").is_same_sender(&by("witch", "")));
        assert!(by("me", "").is_own());
        let sent = message("<message xmlns='jabber:client' type='groupchat' to='coven@chat.lit' id='1'/>");
        let sent = Received::own(sent, &juliet());
        assert!(sent.provenance().is_same_sender(&by("me", "")) && sent.provenance().is_same_conversation(&by("me", "")));
        let history = "<delay xmlns='urn:xmpp:delay' stamp='2026-01-02T03:04:05Z' from='coven@chat.lit'/>";
        assert_eq!(by("romeo", history).person(), None, "who had the nick then is not known");
    }

    /// Proves: ATT-4.1-1, ATT-4.1-2, C0359-6-1.
    #[test]
    fn a_message_in_a_room_is_named_by_the_id_of_the_room_alone() {
        let facts = announcing();
        let ids = |inside: &str, facts: &RoomFacts| said("coven@chat.lit/witch", inside, facts).target_ids().to_vec();
        let by_room = stanza_id("s1", "coven@chat.lit");
        assert_eq!(ids(&by_room, &facts), ["s1"]);
        assert_eq!(ids(&(stanza_id("s2", "juliet@capulet.lit") + &by_room), &facts), ["s1"]);
        assert_eq!(ids("", &facts), [""; 0], "neither its own id nor the origin-id count");
        for forger in ["coven@chat.lit/witch", "chat.lit", "mallory@evil.example", "juliet@capulet.lit"] {
            assert_eq!(ids(&stanza_id("s1", forger), &facts), [""; 0], "{forger}");
        }
        assert_eq!(ids(&(stanza_id("s2", "coven@chat.lit") + &by_room), &facts), [""; 0], "of two one is forged");
        let silent = RoomFacts { announces_stanza_ids: false, ..facts };
        assert_eq!(ids(&by_room, &silent), [""; 0]);
    }

    #[test]
    fn what_is_said_in_private_in_a_room_belongs_to_a_nick_and_proves_nobody() {
        let private = |from: &str, inside: &str| {
            let xml = format!(
                "<message xmlns='jabber:client' type='chat' id='m1' from='{from}' to='juliet@capulet.lit/1'>{inside}\
                 <stanza-id xmlns='urn:xmpp:sid:0' id='s1' by='coven@chat.lit'/></message>"
            );
            message(&xml)
        };
        let marked = "<x xmlns='http://jabber.org/protocol/muc#user'/>";
        let direct = |from: &str| Received::direct(private(from, marked), &juliet()).unwrap().provenance().clone();
        let (romeo, mallory) = (direct("coven@chat.lit/romeo"), direct("coven@chat.lit/mallory"));
        assert_eq!((romeo.way(), romeo.person(), romeo.target_ids()), (Way::RoomPrivate, None, &["m1".to_owned()][..]));
        assert!(!romeo.is_same_sender(&mallory) && !romeo.is_same_sender(&romeo), "one bare JID, two people");
        assert!(romeo.is_same_conversation(&romeo) && !romeo.is_same_conversation(&mallory));
        assert!(!romeo.is_same_conversation(&said("coven@chat.lit/romeo", "", &announcing())));

        let known =
            |from: &str, id: &str| Received::private(private(from, &occupant(id)), &juliet(), &announcing()).unwrap().provenance().clone();
        let first = known("coven@chat.lit/romeo", "1");
        assert!(first.is_same_sender(&known("coven@chat.lit/romeo", "1")) && !first.is_same_sender(&known("coven@chat.lit/romeo", "2")));
        assert_eq!(
            Received::from_record(private("coven@chat.lit/romeo", &occupant("1")), &first.to_record()).unwrap().provenance(),
            &first
        );
        for other in ["coven@chat.lit", "other@chat.lit/romeo"] {
            assert_eq!(Received::private(private(other, ""), &juliet(), &announcing()), Err(ProvenanceError::NoRoom), "{other}");
        }
    }
}
