//! Bits of binary: small data that others gave us, or that we give. A cache; what is in it proves nothing but what its cid says.
//!
//! XEP-0231 Bits of binary, v1.1 <https://xmpp.org/extensions/xep-0231.html>

use std::time::SystemTime;

use balcony_wire::BareJid;
use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::offers::jid;
use super::{known, to_millis, to_time};
use crate::{Store, StoreError};

/// Bytes of one (XEP-0231 §2: 8 KiB should be enough).
pub const MAX_BITS: usize = 8 * 1024;
/// Rows of one sender: 1 MiB at most.
const OF_SENDER: i64 = 128;
/// Rows of all others: 16 MiB at most. Ours are counted apart, and have as many.
const OF_ALL: i64 = 2_048;

/// Small data by its cid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bits {
    /// Names it.
    pub cid: String,
    /// Who gave it; `None`: we give it.
    pub from: Option<BareJid>,
    /// Of which type it is said to be.
    pub media_type: Option<String>,
    /// The bytes.
    pub data: Vec<u8>,
    /// When it must be asked for again; `None`: nobody said.
    pub expires_at: Option<SystemTime>,
}

const BY_CID: &str = "SELECT cid, sender, media_type, data, expires_at FROM bits WHERE cid = ?1 AND ifnull(sender, '') = ifnull(?2, '')";
const EXPIRED: &str = "DELETE FROM bits WHERE expires_at IS NOT NULL AND expires_at <= ?1";
const OF_ONE: &str = "SELECT count(*) FROM bits WHERE sender IS ?1";
const OF_OTHERS: &str = "SELECT count(*) FROM bits WHERE sender IS NOT NULL";
const OLDEST_OF_ONE: &str = "DELETE FROM bits WHERE id IN (SELECT id FROM bits WHERE sender IS ?1 ORDER BY id LIMIT ?2)";
const LARGEST: &str = "SELECT sender FROM bits WHERE sender IS NOT NULL GROUP BY sender ORDER BY count(*) DESC, sender LIMIT 1";

#[cfg(test)]
pub(super) const QUERIES: &[&str] = &[OF_ONE, OF_OTHERS];

#[cfg(test)]
pub(super) const PLANS: &[(&str, &str)] = &[
    (BY_CID, "INDEX bits_by_cid (cid=? AND <expr>=?)"),
    (EXPIRED, "INDEX bits_by_expiry"),
    (OLDEST_OF_ONE, "COVERING INDEX bits_by_sender (sender=?)"),
    (LARGEST, "COVERING INDEX bits_by_sender"),
];

impl Store {
    /// Keeps small data; the same cid of the same sender is replaced. Says whether it is kept: more than 8 KiB are not. When it gets
    /// too many, the oldest go: of this sender first, then of whoever has most. What others give never pushes out ours.
    ///
    /// # Errors
    /// When the disk is full or the catalogue fails.
    pub fn add_bits(&self, bits: &Bits) -> Result<bool, StoreError> {
        const SQL: &str = "INSERT OR REPLACE INTO bits (cid, sender, media_type, data, expires_at) VALUES (?1, ?2, ?3, ?4, ?5)";
        if bits.data.len() > MAX_BITS {
            return Ok(false);
        }
        let sender = bits.from.as_ref().map(|from| from.as_str());
        let write = |transaction: &Transaction<'_>| {
            transaction.prepare_cached(EXPIRED)?.execute([to_millis(SystemTime::now())])?;
            let values = params![bits.cid, sender, bits.media_type, bits.data, bits.expires_at.map(to_millis)];
            transaction.prepare_cached(SQL)?.execute(values)?;
            keep_bounds(transaction, sender)
        };
        // what others gave can be asked for again
        if sender.is_some() { self.catalogue().change_lightly(write) } else { self.catalogue().change(write) }?;
        Ok(true)
    }

    /// Small data by its cid, as that sender gave it; `None` for what we give ourselves. What has expired is not there.
    ///
    /// # Errors
    /// When the catalogue fails.
    pub fn bits(&self, cid: &str, from: Option<&BareJid>) -> Result<Option<Bits>, StoreError> {
        let row = self.catalogue().with(|connection| {
            let mut statement = connection.prepare_cached(BY_CID)?;
            statement.query_row(params![cid, from.map(|from| from.as_str())], RawBits::read).optional()
        })?;
        let bits = row.map(|row| known(row.into_bits(), "small data")).transpose()?;
        Ok(bits.filter(|bits| bits.expires_at.is_none_or(|expires_at| expires_at > SystemTime::now())))
    }
}

fn keep_bounds(transaction: &Transaction<'_>, sender: Option<&str>) -> rusqlite::Result<()> {
    let most = if sender.is_some() { OF_SENDER } else { OF_ALL };
    let count: i64 = transaction.prepare_cached(OF_ONE)?.query_row([sender], |row| row.get(0))?;
    if count > most {
        transaction.prepare_cached(OLDEST_OF_ONE)?.execute(params![sender, count - most])?;
    }
    let all: i64 = transaction.prepare_cached(OF_OTHERS)?.query_row([], |row| row.get(0))?;
    if all > OF_ALL {
        let largest: String = transaction.prepare_cached(LARGEST)?.query_row([], |row| row.get(0))?;
        transaction.prepare_cached(OLDEST_OF_ONE)?.execute(params![largest, all - OF_ALL])?;
    }
    Ok(())
}

/// A row before its words are understood.
struct RawBits {
    cid: String,
    sender: Option<String>,
    media_type: Option<String>,
    data: Vec<u8>,
    expires_at: Option<i64>,
}

impl RawBits {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self { cid: row.get(0)?, sender: row.get(1)?, media_type: row.get(2)?, data: row.get(3)?, expires_at: row.get(4)? })
    }

    fn into_bits(self) -> Option<Bits> {
        let Self { cid, sender, media_type, data, expires_at } = self;
        let from = match sender {
            Some(sender) => Some(jid(&sender)?),
            None => None,
        };
        Some(Bits { cid, from, media_type, data, expires_at: expires_at.map(to_time) })
    }
}
