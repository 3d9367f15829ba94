//! Messages inside messages: carbons of the own account and results of an archive. Whoever else wraps a message made it up.
//!
//! XEP-0280 Message carbons, v1.0.1 <https://xmpp.org/extensions/xep-0280.html>
//! Status: partial: copies are judged by their sender; the server makes none.
//! XEP-0297 Stanza forwarding, v1.0 <https://xmpp.org/extensions/xep-0297.html>
//! XEP-0313 Message archive management, v1.1.3 <https://xmpp.org/extensions/xep-0313.html>
//! Status: partial: results are judged by their sender; archives of rooms are not queried, the server keeps none.

use balcony_wire::archive::ArchiveResult;
use balcony_wire::stanza::MessageKind;
use balcony_wire::{BareJid, Jid, Message, carbons};

use super::{ProvenanceError, Received, RoomFacts, Way};

impl Received<Message> {
    /// The message inside a carbon copy (XEP-0280). Only the own account may hand us one.
    ///
    /// # Errors
    /// [`ProvenanceError::NoCopy`] when there is none inside, [`ProvenanceError::Forged`] when it is not from the own account,
    /// [`ProvenanceError::NotOurs`] when it copies as ours what somebody else said, [`ProvenanceError::Room`] when what it copies was
    /// said in a room.
    pub fn carbon(message: &Message, account: &BareJid) -> Result<Self, ProvenanceError> {
        let (way, inner) = inside_carbon(message).ok_or(ProvenanceError::NoCopy)?;
        if let Some(forger) = message.from.as_ref().filter(|from| from.as_str() != account.as_str()) {
            return Err(ProvenanceError::Forged(forger.clone()));
        }
        let inner = inner.ok_or(ProvenanceError::NoCopy)?;
        if inner.kind == MessageKind::Groupchat {
            return Err(ProvenanceError::Room);
        }
        let sender = inner.from.clone().unwrap_or_else(|| account.clone().into());
        if way == Way::CarbonSent && sender.bare() != *account {
            return Err(ProvenanceError::NotOurs(sender));
        }
        let way = if inner.kind == MessageKind::Error { Way::Bounce } else { way };
        Ok(Self::of(inner, account, sender, way))
    }

    /// The message inside the result of an archive query (XEP-0313 §8.2). The own archive speaks without `from` or with our bare
    /// JID and holds anything; every other one is a room's and speaks of what was said in that room. `query` is the id of the
    /// query that is open to that archive, `None` if it was asked without one: any other result was not asked for, so nobody
    /// knows who made it up. What rooms vouch for is not known here: [`Received::room_archive`] knows.
    ///
    /// # Errors
    /// [`ProvenanceError::NoCopy`] when there is no result inside, [`ProvenanceError::NotAsked`] for a result of no open query,
    /// [`ProvenanceError::ForeignArchive`] when it comes from anybody else.
    pub fn archive(message: &Message, account: &BareJid, query: Option<&str>) -> Result<Self, ProvenanceError> {
        let result = asked_for(message, query)?;
        let inner = result.forwarded.message().ok_or(ProvenanceError::NoCopy)?;
        let in_room = inner.kind == MessageKind::Groupchat;
        if let Some(archive) = foreign_archive(message, account) {
            let is_that_rooms = in_room && inner.from.as_ref().is_some_and(|from| from.bare().as_str() == archive.as_str());
            if !is_that_rooms {
                return Err(ProvenanceError::ForeignArchive(archive.clone()));
            }
        }
        let sender = inner.from.clone().unwrap_or_else(|| account.clone().into());
        let way = match inner.kind {
            MessageKind::Groupchat => Way::RoomArchive,
            MessageKind::Error => Way::Bounce,
            _ => Way::Archive,
        };
        Ok(Self::of(inner, account, sender, way))
    }

    /// As [`Received::archive`], of what was said in the room of `facts`, whether its own archive hands it out or ours. The room's
    /// archive names the message by the id of the result.
    ///
    /// # Errors
    /// As [`Received::archive`], and [`ProvenanceError::NoRoom`] for what was not said in that room.
    pub fn room_archive(message: &Message, account: &BareJid, query: Option<&str>, facts: &RoomFacts) -> Result<Self, ProvenanceError> {
        let received = Self::archive(message, account, query)?;
        if received.provenance.way != Way::RoomArchive || received.provenance.conversation() != facts.room {
            return Err(ProvenanceError::NoRoom);
        }
        let id = foreign_archive(message, account).and_then(|_| asked_for(message, query).ok()?.id);
        Ok(received.vouched(facts).named_by_archive(id.as_deref(), facts))
    }
}

/// The result of the query that is open.
fn asked_for(message: &Message, query: Option<&str>) -> Result<ArchiveResult, ProvenanceError> {
    let result = inside_archive(message).ok_or(ProvenanceError::NoCopy)?;
    if result.query_id.as_deref() == query { Ok(result) } else { Err(ProvenanceError::NotAsked) }
}

/// Whoever hands out a result, unless it is our own account.
fn foreign_archive<'a>(message: &'a Message, account: &BareJid) -> Option<&'a Jid> {
    message.from.as_ref().filter(|from| from.as_str() != account.as_str())
}

/// The message inside a carbon, whoever sent the carbon, and which kind it is; the message is `None` if it cannot be read.
pub(crate) fn inside_carbon(message: &Message) -> Option<(Way, Option<Message>)> {
    let received = message.payload::<carbons::Received>().map(|copy| (Way::CarbonReceived, copy.ok().map(|copy| copy.0)));
    let sent = || message.payload::<carbons::Sent>().map(|copy| (Way::CarbonSent, copy.ok().map(|copy| copy.0)));
    let (way, forwarded) = received.or_else(sent)?;
    Some((way, forwarded.and_then(|forwarded| forwarded.message())))
}

/// The result of an archive in a message, whoever sent it.
pub(crate) fn inside_archive(message: &Message) -> Option<ArchiveResult> {
    message.payload::<ArchiveResult>()?.ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::super::tests::{juliet, message};
    use super::*;

    fn copy(outer_from: &str) -> Message {
        message(&format!(
            "<message xmlns='jabber:client' from='{outer_from}' to='juliet@capulet.lit/balcony'><received xmlns='urn:xmpp:carbons:2'>\
             <forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='romeo@montague.lit/orchard' \
             to='juliet@capulet.lit/tomb' type='chat'><body>hi</body></message></forwarded></received></message>"
        ))
    }

    fn result(outer: &str, inner: &str) -> Message {
        message(&format!(
            "<message xmlns='jabber:client' {outer} to='juliet@capulet.lit/balcony'><result xmlns='urn:xmpp:mam:2' queryid='f27' id='1'>\
             <forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' {inner}><body>hi</body></message></forwarded></result></message>"
        ))
    }

    /// Proves: C0280-7-1, SEC-1-1.
    #[test]
    fn only_the_own_account_may_hand_us_a_copy() {
        let carbon = Received::carbon(&copy("juliet@capulet.lit"), &juliet()).unwrap();
        assert_eq!((carbon.provenance().way(), carbon.provenance().sender().as_str()), (Way::CarbonReceived, "romeo@montague.lit/orchard"));
        for forger in ["mallory@evil.example", "juliet@capulet.lit/phone", "capulet.lit"] {
            assert!(matches!(Received::carbon(&copy(forger), &juliet()), Err(ProvenanceError::Forged(_))), "{forger}");
        }
        let direct = Received::direct(copy("mallory@evil.example"), &juliet()).unwrap();
        assert_eq!(direct.provenance().sender().as_str(), "mallory@evil.example");
    }

    /// Proves: C0313-8-1, SEC-1-2.
    #[test]
    fn only_the_own_archive_and_the_archive_of_the_room_may_answer_a_query() {
        let romeo = "from='romeo@montague.lit/orchard' type='chat'";
        for own in ["", "from='juliet@capulet.lit'"] {
            let read = Received::archive(&result(own, romeo), &juliet(), Some("f27")).unwrap();
            assert_eq!((read.provenance().way(), read.provenance().sender().as_str()), (Way::Archive, "romeo@montague.lit/orchard"));
        }
        for forger in ["mallory@evil.example", "juliet@capulet.lit/phone", "capulet.lit", "romeo@montague.lit"] {
            let forged = Received::archive(&result(&format!("from='{forger}'"), romeo), &juliet(), Some("f27"));
            assert!(matches!(forged, Err(ProvenanceError::ForeignArchive(_))), "{forger}");
        }
        let in_room = "from='coven@chat.lit/witch' type='groupchat'";
        let room = Received::archive(&result("from='coven@chat.lit'", in_room), &juliet(), Some("f27")).unwrap();
        assert_eq!(room.provenance().way(), Way::RoomArchive);
        assert!(!room.provenance().is_same_sender(room.provenance()), "a nick alone is no proof");
        for other in ["other@chat.lit", "coven@chat.lit/witch", "chat.lit"] {
            assert!(Received::archive(&result(&format!("from='{other}'"), in_room), &juliet(), Some("f27")).is_err(), "{other}");
        }
    }

    #[test]
    fn our_other_devices_speak_in_no_name_but_ours() {
        let sent = |from: &str| {
            message(&format!(
                "<message xmlns='jabber:client' from='juliet@capulet.lit' to='juliet@capulet.lit/balcony'><sent xmlns='urn:xmpp:carbons:2'>\
                 <forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='{from}' to='romeo@montague.lit' type='chat' id='m'/>\
                 </forwarded></sent></message>"
            ))
        };
        let own = Received::carbon(&sent("juliet@capulet.lit/phone"), &juliet()).unwrap();
        assert!(own.provenance().is_own());
        assert_eq!(own.provenance().conversation().as_str(), "romeo@montague.lit");
        let other = Received::carbon(&sent("mallory@evil.example/1"), &juliet());
        assert!(matches!(other, Err(ProvenanceError::NotOurs(_))));
    }

    /// Proves: ATT-4.1-1.
    #[test]
    fn the_archive_of_a_room_names_its_messages_by_its_own_ids() {
        let facts = super::super::room::tests::announcing();
        let in_room = "from='coven@chat.lit/witch' type='groupchat' id='m'";
        let ids = |outer: &str, facts: &RoomFacts| {
            let read = Received::room_archive(&result(outer, in_room), &juliet(), Some("f27"), facts);
            read.map(|read| read.provenance().target_ids().to_vec())
        };
        assert_eq!(ids("from='coven@chat.lit'", &facts), Ok(vec!["1".to_owned()]));
        assert_eq!(ids("from='juliet@capulet.lit'", &facts), Ok(Vec::new()), "the id in our own archive is not the room's");
        assert_eq!(ids("from='coven@chat.lit'", &RoomFacts { announces_stanza_ids: false, ..facts.clone() }), Ok(Vec::new()));
        let elsewhere = RoomFacts { room: "other@chat.lit".parse().unwrap(), ..facts };
        assert_eq!(ids("from='coven@chat.lit'", &elsewhere), Err(ProvenanceError::NoRoom));
        assert!(ids("from='other@chat.lit'", &elsewhere).is_err());
    }

    /// Proves: C0313-8-1, SEC-1-2.
    #[test]
    fn a_result_that_nobody_asked_for_is_not_believed() {
        let unasked = Received::archive(&result("", "from='romeo@montague.lit/orchard'"), &juliet(), Some("f28"));
        assert_eq!(unasked, Err(ProvenanceError::NotAsked));
        assert_eq!(Received::archive(&copy("juliet@capulet.lit"), &juliet(), Some("f27")), Err(ProvenanceError::NoCopy));
    }
}
