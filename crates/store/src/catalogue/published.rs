//! To whom something of ours was offered, and to whom small data was told of: whoever was, may ask for it; nobody else learns that we
//! have it.
//!
//! XEP-0231 Bits of binary, v1.1 <https://xmpp.org/extensions/xep-0231.html>
//! XEP-0264 Jingle content thumbnails, v0.4.2 <https://xmpp.org/extensions/xep-0264.html>

use std::time::SystemTime;

use balcony_wire::BareJid;
use rusqlite::{OptionalExtension, params};

use super::to_millis;
use crate::{Store, StoreError};

/// The cid stands in an offer of ours. It is looked for as text: cids of ours have nothing that XML would write otherwise.
const IN_OFFERS: &str = "SELECT 1 FROM offers JOIN stanzas ON stanzas.id = offers.stanza
    WHERE account = ?1 AND conversation = ?2 AND state = 'own' AND instr(stanzas.stanza, ?3) > 0 LIMIT 1";

/// The cid stands in a message that is on its way, or went a moment ago and is not among the offers yet.
const IN_OUTBOX: &str = "SELECT 1 FROM
    (SELECT addressee, stanza FROM outbox WHERE account = ?1 AND state = ?4 ORDER BY created_at DESC, origin_id DESC LIMIT 200)
    WHERE (addressee = ?2 OR substr(addressee, 1, length(?2) + 1) = ?2 || '/') AND instr(stanza, ?3) > 0 LIMIT 1";

/// An offer of ours in a conversation with somebody.
const OFFERED: &str = "SELECT 1 FROM offers WHERE account = ?1 AND conversation = ?2 AND state = 'own' LIMIT 1";

/// A live share that they were told of.
const SHARED: &str = "SELECT 1 FROM told JOIN live_shares ON live_shares.id = told.share
    WHERE told.person = ?2 AND live_shares.account = ?1 AND live_shares.lives_until > ?3 LIMIT 1";

#[cfg(test)]
pub(super) const PLANS: &[(&str, &str)] = &[
    (IN_OFFERS, "INDEX offers_by_conversation (account=? AND conversation=?)"),
    (IN_OUTBOX, "INDEX outbox_by_state (account=? AND state=?)"),
    (OFFERED, "INDEX offers_by_conversation (account=? AND conversation=?)"),
    (SHARED, "INDEX told_by_person (person=?)"),
];

impl Store {
    /// Whether something of ours was offered to somebody, a person or a room: by a message that the catalogue has, or as a
    /// share that is live.
    ///
    /// # Errors
    /// When the catalogue fails.
    pub fn has_offered(&self, account: &BareJid, with: &BareJid) -> Result<bool, StoreError> {
        let (account, with, now) = (account.as_str(), with.as_str(), to_millis(SystemTime::now()));
        self.catalogue().with(|connection| {
            Ok(connection.prepare_cached(OFFERED)?.exists(params![account, with])?
                || connection.prepare_cached(SHARED)?.exists(params![account, with, now])?)
        })
    }

    /// Whether an offer of ours to somebody, a person or a room, names this cid. Lasts as long as the offer is in the catalogue.
    ///
    /// # Errors
    /// When the catalogue fails.
    pub fn is_told_of(&self, account: &BareJid, with: &BareJid, cid: &str) -> Result<bool, StoreError> {
        if cid.is_empty() {
            return Ok(false);
        }
        let (account, with) = (account.as_str(), with.as_str());
        self.catalogue().with(|connection| {
            let found: Option<i64> =
                connection.prepare_cached(IN_OFFERS)?.query_row(params![account, with, cid], |row| row.get(0)).optional()?;
            let mut is_told = found.is_some();
            for state in ["sending", "sent"] {
                if !is_told {
                    let values = params![account, with, cid, state];
                    let found: Option<i64> = connection.prepare_cached(IN_OUTBOX)?.query_row(values, |row| row.get(0)).optional()?;
                    is_told = found.is_some();
                }
            }
            Ok(is_told)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use balcony_sharing::DigestSet;
    use balcony_wire::Jid;

    use super::*;
    use crate::{FileRef, LiveShare, NewOffer, OfferState, OutboxState, Outgoing, Standing};

    const CID: &str = "sha1+4a5eb7171b58e08a6881721e3b43d5a44419a2be@bob.xmpp.org";

    fn jid(text: &str) -> BareJid {
        text.parse().unwrap()
    }

    fn offer(state: OfferState, stanza: &str) -> NewOffer {
        NewOffer {
            account: jid("romeo@montague.example"),
            conversation: jid("juliet@capulet.example"),
            sender: jid("romeo@montague.example"),
            occupant: None,
            standing: Standing::Contact,
            message: Some(stanza.to_owned()),
            targets: Vec::new(),
            position: 0,
            provenance: String::new(),
            stanza: stanza.to_owned(),
            name: "x".to_owned(),
            size: None,
            digests: balcony_sharing::DigestSet::default(),
            received_at: SystemTime::now(),
            state,
        }
    }

    #[test]
    fn whoever_was_told_of_small_data_may_ask_for_it_and_nobody_else() {
        let store = Store::in_memory().unwrap();
        let (romeo, juliet) = (jid("romeo@montague.example"), jid("juliet@capulet.example"));
        store.add_offer(&offer(OfferState::New, &format!("<a uri='cid:{CID}'/>"))).unwrap();
        assert!(!store.is_told_of(&romeo, &juliet, CID).unwrap(), "what others name is not ours");
        store.add_offer(&offer(OfferState::Own, &format!("<b uri='cid:{CID}'/>"))).unwrap();
        assert!(store.is_told_of(&romeo, &juliet, CID).unwrap());
        for (account, with, cid) in [
            (&romeo, &jid("mallory@evil.example"), CID),
            (&juliet, &juliet, CID),
            (&romeo, &juliet, "other@bob.xmpp.org"),
            (&romeo, &juliet, ""),
        ] {
            assert!(!store.is_told_of(account, with, cid).unwrap(), "{with} {cid}");
        }
    }

    #[test]
    fn a_message_on_its_way_tells_of_it_already() {
        let store = Store::in_memory().unwrap();
        let (romeo, juliet) = (jid("romeo@montague.example"), jid("juliet@capulet.example"));
        let to = |to: &str, state| {
            let row = Outgoing::preparing(romeo.clone(), format!("{to} {state:?}"), Jid::parse(to).unwrap(), Vec::new(), SystemTime::now());
            Outgoing { stanza: Some(format!("<c uri='cid:{CID}'/>")), state, ..row }
        };
        store.add_outgoing(&to("juliet@capulet.example", OutboxState::Preparing)).unwrap();
        assert!(!store.is_told_of(&romeo, &juliet, CID).unwrap(), "nothing was sent");
        store.add_outgoing(&to("juliet@capulet.example/balcony", OutboxState::Sending)).unwrap();
        assert!(store.is_told_of(&romeo, &juliet, CID).unwrap());
        assert!(!store.is_told_of(&romeo, &jid("juliet@capulet.exampl"), CID).unwrap());
    }

    #[test]
    fn whoever_got_an_offer_of_ours_by_whatever_way_is_somebody_to_whom_something_was_offered() {
        let (romeo, juliet, now) = (jid("romeo@montague.example"), jid("juliet@capulet.example"), SystemTime::now());
        let others = [(&romeo, &jid("mallory@evil.example")), (&romeo, &jid("juliet@capulet.exampl")), (&juliet, &juliet)];
        let share = |lives_until| LiveShare {
            account: romeo.clone(),
            published: "unguessable".to_owned(),
            file: FileRef::Path("/x".into()),
            stamp: None,
            size: 1,
            description: "<file/>".to_owned(),
            digests: DigestSet::default(),
            reach: None,
            told: vec![juliet.clone()],
            made_at: now,
            lives_until,
        };
        let offered = |fill: &dyn Fn(&Store) -> Result<(), StoreError>| {
            let store = Store::in_memory().unwrap();
            fill(&store).unwrap();
            for (account, with) in others {
                assert!(!store.has_offered(account, with).unwrap(), "{with}");
            }
            store.has_offered(&romeo, &juliet).unwrap()
        };
        assert!(!offered(&|_| Ok(())));
        assert!(!offered(&|store| store.add_offer(&offer(OfferState::New, "<theirs/>")).map(drop)));
        assert!(offered(&|store| store.add_offer(&offer(OfferState::Own, "<ours/>")).map(drop)));
        assert!(offered(&|store| store.share_live(&share(now + Duration::from_secs(60)))));
        assert!(!offered(&|store| store.share_live(&share(now - Duration::from_secs(60)))), "it is over");
    }
}
