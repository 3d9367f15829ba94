//! Messages that attach further sources to an offer. They are kept beside the offers and joined when one is read, so it does not
//! matter which came first. Whether one may join is the reader's question, not the catalogue's.
//!
//! XEP-0447 Stateless file sharing, v0.3.1 <https://xmpp.org/extensions/xep-0447.html>

use std::time::{Duration, SystemTime};

use balcony_wire::BareJid;
use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::offers::{OfferKey, jid, speaker};
use super::{bounded, known, to_int, to_millis, to_time};
use crate::{Store, StoreError};

/// Attaching messages that one offer may have from one sender, and that are read for one offer.
const OF_TARGET: i64 = 64;
/// Attaching messages that are read for one offer, whoever they are from.
const READ: i64 = 96;
/// Attaching messages of one sender whose offer did not come.
const WAITING_OF_SENDER: i64 = 64;
/// Attaching messages of an account whose offer did not come.
const WAITING_OF_ACCOUNT: i64 = 1_000;
/// Attaching messages of one sender, and their bytes.
const OF_SENDER: (i64, i64) = (4_000, 16 << 20);
/// How long one waits for its offer.
const LONGEST_WAIT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A message that attaches sources, to be written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAttachment {
    /// Our account.
    pub account: BareJid,
    /// With whom.
    pub conversation: BareJid,
    /// The id of the message that it attaches to.
    pub target: String,
    /// Which share of that message.
    pub share: Option<String>,
    /// Who said it.
    pub sender: BareJid,
    /// In a room: which occupant, by what the room says that nobody can take from them.
    pub occupant: Option<String>,
    /// The attaching message: its origin-id, else its id.
    pub message: Option<String>,
    /// `Provenance::to_record`
    pub provenance: String,
    /// The attaching message as XML.
    pub stanza: String,
    /// When.
    pub received_at: SystemTime,
}

/// Names the row of an attaching message; what was written later has a higher one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct AttachmentKey(i64);

/// What became of an attaching message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attached {
    /// It is written down.
    New,
    /// It was already.
    Known,
    /// There are too many of them: it is not kept.
    TooMany,
}

/// A message that attaches sources, as it was written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachmentRow {
    /// Which share of the message it attaches to.
    pub share: Option<String>,
    /// Who said it.
    pub sender: BareJid,
    /// The attaching message: its origin-id, else its id.
    pub message: Option<String>,
    /// For `Received::from_record`.
    pub provenance: String,
    /// The attaching message as XML.
    pub stanza: String,
    /// When.
    pub received_at: SystemTime,
}

const TO_TARGET: &str = "SELECT share, sender, message, provenance, stanza, received_at FROM attachments
    WHERE account = ?1 AND conversation = ?2 AND target = ?3 ORDER BY id LIMIT 64";
const SAME: &str = "SELECT 1 FROM attachments WHERE account = ?1 AND conversation = ?2 AND target = ?3
    AND speaker = ?4 AND message IS ?5 AND share IS ?6 AND stanza = ?7 LIMIT 1";
const COUNT_TO_TARGET: &str = "SELECT count(*) FROM attachments WHERE account = ?1 AND conversation = ?2 AND target = ?3 AND speaker = ?4";
const SUM_OF_SENDER: &str = "SELECT count(*), ifnull(sum(bytes), 0) FROM attachments WHERE account = ?1 AND speaker = ?2";
const COUNT_WAITING: &str = "SELECT count(*), ifnull(sum(speaker = ?2), 0) FROM attachments
    WHERE account = ?1 AND is_waiting = 1 AND speaker <> ?1";
const LARGEST_WAITING: &str = "SELECT speaker, count(*) FROM attachments WHERE account = ?1 AND is_waiting = 1
    GROUP BY speaker ORDER BY count(*) DESC, speaker LIMIT 1";
const OLDEST_WAITING: &str = "DELETE FROM attachments WHERE id = (SELECT id FROM attachments
    WHERE account = ?1 AND speaker = ?2 AND is_waiting = 1 ORDER BY added_at LIMIT 1)";
const STALE: &str = "DELETE FROM attachments WHERE is_waiting = 1 AND added_at < ?1";
const IS_AWAITED: &str = "SELECT NOT EXISTS (SELECT 1 FROM targets WHERE account = ?1 AND conversation = ?2 AND target = ?3)";

/// What attaches to the message of an offer, by whichever of its ids; what its own sender attaches first, and of that the newest.
const TO_OFFER: &str =
    "SELECT share, attachments.sender, attachments.message, attachments.provenance, attachments.stanza, attachments.received_at
    FROM offers JOIN targets ON targets.stanza = offers.stanza
    JOIN attachments ON attachments.account = targets.account AND attachments.conversation = targets.conversation
        AND attachments.target = targets.target
    WHERE offers.id = ?1 ORDER BY attachments.speaker = offers.speaker DESC, attachments.id DESC LIMIT ?2";
/// One offer of each message that bears an id, the newest message first.
const MESSAGES_OF_TARGET: &str = "SELECT (SELECT id FROM offers WHERE offers.stanza = targets.stanza LIMIT 1) FROM targets
    WHERE account = ?1 AND conversation = ?2 AND target = ?3 ORDER BY stanza DESC LIMIT ?4";
const BESIDE: &str =
    "SELECT other.id FROM offers JOIN offers AS other ON other.stanza = offers.stanza WHERE offers.id = ?1 AND other.position = ?2 LIMIT 1";
/// From the attachments on, in the order of their keys: any other would read all offers of the account.
const OPEN_BEHIND: &str = "SELECT DISTINCT offers.id FROM attachments NOT INDEXED
    CROSS JOIN targets ON targets.account = attachments.account AND targets.conversation = attachments.conversation
        AND targets.target = attachments.target
    CROSS JOIN offers ON offers.stanza = targets.stanza
    WHERE attachments.id > ?2 AND attachments.account = ?1 AND offers.state IN ('new', 'asking', 'fetching', 'failed') ORDER BY offers.id LIMIT ?3";
const NEWEST: &str = "SELECT ifnull(max(id), 0) FROM attachments";

#[cfg(test)]
pub(super) const QUERIES: &[&str] = &[TO_TARGET, SAME, COUNT_TO_TARGET, SUM_OF_SENDER, COUNT_WAITING, STALE];

#[cfg(test)]
pub(super) const PLANS: &[(&str, &str)] = &[
    (TO_TARGET, "INDEX attachments_by_target (account=? AND conversation=? AND target=?)"),
    (SUM_OF_SENDER, "COVERING INDEX attachments_by_speaker (account=? AND speaker=?)"),
    (COUNT_WAITING, "COVERING INDEX waiting_attachments (account=?)"),
    (LARGEST_WAITING, "COVERING INDEX waiting_attachments (account=?)"),
    (OLDEST_WAITING, "INDEX waiting_attachments (account=? AND speaker=?)"),
    (STALE, "INDEX waiting_attachments_by_time (added_at<?)"),
    (IS_AWAITED, "(account=? AND conversation=? AND target=?)"),
    (TO_OFFER, "INDEX attachments_by_target (account=? AND conversation=? AND target=?)"),
    (TO_OFFER, "INDEX targets_by_stanza (stanza=?)"),
    (MESSAGES_OF_TARGET, "PRIMARY KEY (account=? AND conversation=? AND target=?)"),
    (MESSAGES_OF_TARGET, "INDEX offers_by_stanza (stanza=?)"),
    (BESIDE, "INDEX offers_by_stanza (stanza=?)"),
    (OPEN_BEHIND, "attachments USING INTEGER PRIMARY KEY (rowid>?)"),
    (OPEN_BEHIND, "PRIMARY KEY (account=? AND conversation=? AND target=?)"),
];

impl Store {
    /// Writes down a message that attaches sources, whether its offer is known or not. Those whose offer did not come within seven
    /// days go. Bounds: 64 of a sender for one offer, 64 of a sender and 1,000 of an account that wait, 4,000 and 16 MiB of a sender;
    /// the account's own have none but the first. Where 1,000 wait, whoever has the most of them makes room.
    ///
    /// # Errors
    /// When the disk is full or the catalogue fails.
    pub fn add_attachment(&self, attachment: &NewAttachment) -> Result<Attached, StoreError> {
        const SQL: &str = "INSERT INTO attachments
            (account, conversation, target, share, sender, speaker, message, provenance, stanza, bytes, received_at, added_at, is_waiting)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
        let NewAttachment { account, conversation, target, share, sender, message, provenance, stanza, .. } = attachment;
        let speaker = speaker(sender, attachment.occupant.as_deref());
        let (account, conversation, sender) = (account.as_str(), conversation.as_str(), sender.as_str());
        let now = SystemTime::now();
        self.catalogue().change(|transaction| {
            let same = params![account, conversation, target, speaker, message, share, stanza];
            if transaction.prepare_cached(SAME)?.query_row(same, |_| Ok(())).optional()?.is_some() {
                return Ok(Attached::Known);
            }
            transaction.prepare_cached(STALE)?.execute([to_millis(now.checked_sub(LONGEST_WAIT).unwrap_or(now))])?;
            let bytes = to_int(stanza.len() as u64) + 512;
            let is_waiting: bool = transaction.prepare_cached(IS_AWAITED)?.query_row([account, conversation, target], |row| row.get(0))?;
            if !has_room(transaction, attachment, &speaker, bytes, is_waiting)? {
                return Ok(Attached::TooMany);
            }
            let (received_at, added_at) = (to_millis(attachment.received_at), to_millis(now));
            transaction.prepare_cached(SQL)?.execute(params![
                account,
                conversation,
                target,
                share,
                sender,
                speaker,
                message,
                provenance,
                stanza,
                bytes,
                received_at,
                added_at,
                is_waiting
            ])?;
            Ok(Attached::New)
        })
    }

    /// What attaches to a message, in the order it came; at most 64.
    ///
    /// # Errors
    /// When the catalogue fails.
    pub fn attachments(&self, account: &BareJid, conversation: &BareJid, target: &str) -> Result<Vec<AttachmentRow>, StoreError> {
        let rows: Vec<RawAttachment> = self.catalogue().with(|connection| {
            let mut statement = connection.prepare_cached(TO_TARGET)?;
            statement.query_map([account.as_str(), conversation.as_str(), target], RawAttachment::read)?.collect()
        })?;
        rows.into_iter().map(|row| known(row.into_row(), "attachment")).collect()
    }
}

impl Store {
    /// What attaches to the message of an offer: at most 96, what its own sender attaches before what others do.
    ///
    /// # Errors
    /// When the catalogue fails.
    pub fn attachments_of(&self, offer: OfferKey) -> Result<Vec<AttachmentRow>, StoreError> {
        let rows: Vec<RawAttachment> = self.catalogue().with(|connection| {
            let mut statement = connection.prepare_cached(TO_OFFER)?;
            statement.query_map([offer.0, READ], RawAttachment::read)?.collect()
        })?;
        rows.into_iter().map(|row| known(row.into_row(), "attachment")).collect()
    }

    /// One offer of each message that bears this id, the newest message first.
    ///
    /// # Errors
    /// When the catalogue fails.
    pub fn messages_of_target(
        &self,
        account: &BareJid,
        conversation: &BareJid,
        target: &str,
        limit: usize,
    ) -> Result<Vec<OfferKey>, StoreError> {
        let keys: Vec<Option<i64>> = self.catalogue().with(|connection| {
            let mut statement = connection.prepare_cached(MESSAGES_OF_TARGET)?;
            let values = params![account.as_str(), conversation.as_str(), target, bounded(limit)];
            statement.query_map(values, |row| row.get(0))?.collect()
        })?;
        Ok(keys.into_iter().flatten().map(OfferKey).collect())
    }

    /// Another offer of the message of this one: the one at that position.
    ///
    /// # Errors
    /// When the catalogue fails.
    pub fn offer_beside(&self, offer: OfferKey, position: usize) -> Result<Option<OfferKey>, StoreError> {
        self.catalogue().with(|connection| {
            let mut statement = connection.prepare_cached(BESIDE)?;
            statement.query_row([offer.0, to_int(position as u64)], |row| row.get(0).map(OfferKey)).optional()
        })
    }

    /// Offers that something was attached to behind `last`, of those that are neither here nor declined; oldest first.
    ///
    /// # Errors
    /// When the catalogue fails.
    pub fn offers_attached_to(&self, account: &BareJid, last: AttachmentKey, limit: usize) -> Result<Vec<OfferKey>, StoreError> {
        self.catalogue().with(|connection| {
            let mut statement = connection.prepare_cached(OPEN_BEHIND)?;
            let values = params![account.as_str(), last.0, bounded(limit)];
            statement.query_map(values, |row| row.get(0).map(OfferKey))?.collect()
        })
    }

    /// The last attaching message that was written down, of any account.
    ///
    /// # Errors
    /// When the catalogue fails.
    pub fn newest_attachment(&self) -> Result<AttachmentKey, StoreError> {
        self.catalogue().with(|connection| connection.prepare_cached(NEWEST)?.query_row([], |row| row.get(0).map(AttachmentKey)))
    }
}

/// The account's own are its own doing: only the list of one offer has an end.
fn has_room(
    transaction: &Transaction<'_>,
    attachment: &NewAttachment,
    speaker: &str,
    bytes: i64,
    is_waiting: bool,
) -> rusqlite::Result<bool> {
    let NewAttachment { account, conversation, target, sender, .. } = attachment;
    let to_target = params![account.as_str(), conversation.as_str(), target, speaker];
    let count: i64 = transaction.prepare_cached(COUNT_TO_TARGET)?.query_row(to_target, |row| row.get(0))?;
    if count >= OF_TARGET {
        return Ok(false);
    }
    if sender == account {
        return Ok(true);
    }
    let of_speaker = [account.as_str(), speaker];
    let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
    let (rows, sum): (i64, i64) = transaction.prepare_cached(SUM_OF_SENDER)?.query_row(of_speaker, read)?;
    if rows >= OF_SENDER.0 || sum + bytes > OF_SENDER.1 {
        return Ok(false);
    }
    if !is_waiting {
        return Ok(true);
    }
    let (all, theirs): (i64, i64) = transaction.prepare_cached(COUNT_WAITING)?.query_row(of_speaker, read)?;
    if theirs >= WAITING_OF_SENDER || all < WAITING_OF_ACCOUNT {
        return Ok(theirs < WAITING_OF_SENDER);
    }
    // Whoever has the most of them makes room, so that a flood shuts nobody out.
    let largest: (String, i64) =
        transaction.prepare_cached(LARGEST_WAITING)?.query_row([account.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let has_room = largest.1 > theirs + 1;
    if has_room {
        transaction.prepare_cached(OLDEST_WAITING)?.execute([account.as_str(), &largest.0])?;
    }
    Ok(has_room)
}

/// A row before its words are understood.
struct RawAttachment {
    share: Option<String>,
    sender: String,
    message: Option<String>,
    provenance: String,
    stanza: String,
    received_at: i64,
}

impl RawAttachment {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            share: row.get(0)?,
            sender: row.get(1)?,
            message: row.get(2)?,
            provenance: row.get(3)?,
            stanza: row.get(4)?,
            received_at: row.get(5)?,
        })
    }

    fn into_row(self) -> Option<AttachmentRow> {
        let Self { share, sender, message, provenance, stanza, received_at } = self;
        Some(AttachmentRow { share, sender: jid(&sender)?, message, provenance, stanza, received_at: to_time(received_at) })
    }
}
