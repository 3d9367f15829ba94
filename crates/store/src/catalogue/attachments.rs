//! Messages that attach further sources to an offer. They are kept beside the offers and joined when one is read, so it does not
//! matter which came first. Whether one may join is the reader's question, not the catalogue's.
//!
//! XEP-0447 Stateless file sharing, v0.3.1 <https://xmpp.org/extensions/xep-0447.html>

use std::time::{Duration, SystemTime};

use balcony_wire::BareJid;
use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::offers::{jid, speaker};
use super::{known, to_int, to_millis, to_time};
use crate::{Store, StoreError};

/// Attaching messages that one offer may have from one sender, and that are read for one offer.
const OF_TARGET: i64 = 64;
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
const COUNT_WAITING: &str = "SELECT count(*), ifnull(sum(speaker = ?2), 0) FROM attachments WHERE account = ?1 AND is_waiting = 1";
const STALE: &str = "DELETE FROM attachments WHERE is_waiting = 1 AND added_at < ?1";
const IS_AWAITED: &str = "SELECT NOT EXISTS (SELECT 1 FROM targets WHERE account = ?1 AND conversation = ?2 AND target = ?3)";

#[cfg(test)]
pub(super) const QUERIES: &[&str] = &[TO_TARGET, SAME, COUNT_TO_TARGET, SUM_OF_SENDER, COUNT_WAITING, STALE];

#[cfg(test)]
pub(super) const PLANS: &[(&str, &str)] = &[
    (TO_TARGET, "INDEX attachments_by_target (account=? AND conversation=? AND target=?)"),
    (SUM_OF_SENDER, "COVERING INDEX attachments_by_speaker (account=? AND speaker=?)"),
    (COUNT_WAITING, "COVERING INDEX waiting_attachments (account=?)"),
    (STALE, "INDEX waiting_attachments_by_time (added_at<?)"),
    (IS_AWAITED, "(account=? AND conversation=? AND target=?)"),
];

impl Store {
    /// Writes down a message that attaches sources, whether its offer is known or not. Those whose offer did not come within seven
    /// days go. Bounds: 64 of a sender for one offer, 64 of a sender and 1,000 of an account that wait, 4,000 and 16 MiB of a sender;
    /// the account's own have none but the first.
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
    Ok(all < WAITING_OF_ACCOUNT && theirs < WAITING_OF_SENDER)
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
