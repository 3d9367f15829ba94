//! Writing offers down: once for each, the text of a message once for all offers in it, and within the bounds.

use std::collections::BTreeMap;

use balcony_wire::BareJid;
use rusqlite::{OptionalExtension, Transaction, params};

use super::bounds::{self, Standing};
use super::offers::{OfferKey, speaker};
use super::{known, to_int, to_millis};
use crate::{NewOffer, OfferState, Store, StoreError};

/// Ids by which one message may be attached to.
const MAX_TARGETS: usize = 8;

const BY_MESSAGE: &str =
    "SELECT id FROM offers WHERE account = ?1 AND conversation = ?2 AND speaker = ?3 AND message = ?4 AND position = ?5";
/// The stored text of a message, if it is the same.
const SAME_STANZA: &str = "SELECT stanzas.id FROM offers JOIN stanzas ON stanzas.id = offers.stanza
    WHERE account = ?1 AND conversation = ?2 AND speaker = ?3 AND message = ?4 AND stanzas.stanza = ?5 AND provenance = ?6 LIMIT 1";

#[cfg(test)]
pub(super) const QUERIES: &[&str] = &[BY_MESSAGE, SAME_STANZA];

#[cfg(test)]
pub(super) const PLANS: &[(&str, &str)] = &[
    (BY_MESSAGE, "(account=? AND conversation=? AND speaker=? AND message=? AND position=?)"),
    (SAME_STANZA, "(account=? AND conversation=? AND speaker=? AND message=?)"),
];

impl Store {
    /// Writes an offer down. One that is known already (same account, conversation, sender, message id and position) stays as it is.
    /// Says its key, and whether it is new.
    ///
    /// # Errors
    /// When the disk is full or the catalogue fails.
    pub fn add_offer(&self, offer: &NewOffer) -> Result<(OfferKey, bool), StoreError> {
        let mut added = self.add_offers(std::slice::from_ref(offer))?;
        known(added.pop(), "offer")
    }

    /// Writes offers down, all of them or none: those of one message, or of several. Says of each its key, and whether it is new. It
    /// keeps the bounds of [`crate::bounds`]: what goes for them is older.
    ///
    /// # Errors
    /// When the disk is full or the catalogue fails.
    pub fn add_offers(&self, offers: &[NewOffer]) -> Result<Vec<(OfferKey, bool)>, StoreError> {
        self.catalogue().change(|transaction| {
            let (mut last, mut speakers) = (None, BTreeMap::new());
            let mut added = Vec::with_capacity(offers.len());
            for offer in offers {
                let speaker = speaker(&offer.sender, offer.occupant.as_deref());
                added.push(add(transaction, offer, &speaker, &mut last)?);
                if offer.state != OfferState::Own {
                    speakers.insert((offer.account.as_str(), speaker), offer.standing);
                }
            }
            for ((account, speaker), standing) in speakers {
                bounds::keep(transaction, account, &speaker, standing)?;
            }
            Ok(added)
        })
    }
}

/// The text of a message that was just written down, for the other offers in it.
struct Written<'a> {
    id: i64,
    offer: &'a NewOffer,
}

fn add<'a>(
    transaction: &Transaction<'_>,
    offer: &'a NewOffer,
    speaker: &str,
    last: &mut Option<Written<'a>>,
) -> rusqlite::Result<(OfferKey, bool)> {
    const SQL: &str = "INSERT INTO offers
        (account, conversation, sender, speaker, is_contact, message, position, stanza, name, size, bytes, received_at, state)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
    const DIGEST: &str = "INSERT INTO offer_digests (algo, digest, offer) VALUES (?1, ?2, ?3)";
    let NewOffer { account, conversation, sender, message, position, .. } = offer;
    let (account, conversation, position) = (account.as_str(), conversation.as_str(), to_int(*position as u64));
    let known = params![account, conversation, speaker, message, position];
    if let Some(id) = transaction.prepare_cached(BY_MESSAGE)?.query_row(known, |row| row.get(0)).optional()? {
        return Ok((OfferKey(id), false));
    }
    let (stanza, bytes) = stanza_of(transaction, offer, speaker, last)?;
    let is_contact = offer.standing == Standing::Contact;
    let (size, at) = (offer.size.map(to_int), to_millis(offer.received_at));
    transaction.prepare_cached(SQL)?.execute(params![
        account,
        conversation,
        sender.as_str(),
        speaker,
        is_contact,
        message,
        position,
        stanza,
        offer.name,
        size,
        to_int(bytes),
        at,
        offer.state.as_str()
    ])?;
    let id = transaction.last_insert_rowid();
    for digest in &offer.digests {
        transaction.prepare_cached(DIGEST)?.execute(params![digest.algo().name(), digest.as_bytes(), id])?;
    }
    Ok((OfferKey(id), true))
}

/// The row of the message's text, written if it is not there yet, and what the offer costs.
fn stanza_of<'a>(
    transaction: &Transaction<'_>,
    offer: &'a NewOffer,
    speaker: &str,
    last: &mut Option<Written<'a>>,
) -> rusqlite::Result<(i64, u64)> {
    const SQL: &str = "INSERT INTO stanzas (provenance, stanza) VALUES (?1, ?2)";
    let NewOffer { account, conversation, message, stanza, provenance, .. } = offer;
    if let Some(Written { id, offer: written }) = last
        && (&written.account, &written.conversation, &written.sender) == (account, conversation, &offer.sender)
        && (&written.message, &written.provenance, &written.stanza) == (message, provenance, stanza)
    {
        return Ok((*id, bounds::ROW));
    }
    let same = params![account.as_str(), conversation.as_str(), speaker, message, stanza, provenance];
    if let Some(id) = transaction.prepare_cached(SAME_STANZA)?.query_row(same, |row| row.get(0)).optional()? {
        *last = Some(Written { id, offer });
        return Ok((id, bounds::ROW));
    }
    transaction.prepare_cached(SQL)?.execute([provenance, stanza])?;
    let id = transaction.last_insert_rowid();
    for target in offer.targets.iter().take(MAX_TARGETS) {
        add_target(transaction, account, conversation, target, id)?;
    }
    *last = Some(Written { id, offer });
    Ok((id, bounds::ROW + stanza.len() as u64))
}

/// Others may attach to it by that id; what came before it waits no longer.
fn add_target(transaction: &Transaction<'_>, account: &BareJid, conversation: &BareJid, target: &str, stanza: i64) -> rusqlite::Result<()> {
    const TARGET: &str = "INSERT OR IGNORE INTO targets (account, conversation, target, stanza) VALUES (?1, ?2, ?3, ?4)";
    const FOUND: &str = "UPDATE attachments SET is_waiting = 0 WHERE account = ?1 AND conversation = ?2 AND target = ?3 AND is_waiting = 1";
    let (account, conversation) = (account.as_str(), conversation.as_str());
    transaction.prepare_cached(TARGET)?.execute(params![account, conversation, target, stanza])?;
    transaction.prepare_cached(FOUND)?.execute([account, conversation, target])?;
    Ok(())
}
