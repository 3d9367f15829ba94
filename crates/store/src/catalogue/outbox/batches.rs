//! Which messages of the outbox belong to one sending, so that the same sending again goes on and repeats nothing.

use balcony_wire::BareJid;
use rusqlite::{OptionalExtension, Transaction, params};

use super::{Outgoing, RawOutgoing};
use crate::catalogue::bounded;
use crate::{Store, StoreError};

/// The table.
pub(in crate::catalogue) const TABLE: &str = "
CREATE TABLE batches (
    account   TEXT NOT NULL,
    origin_id TEXT NOT NULL,
    batch     TEXT NOT NULL,
    PRIMARY KEY (account, origin_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX batches_by_name ON batches (account, batch, origin_id);
";

const UNFINISHED: &str = "SELECT batch FROM batches INDEXED BY batches_by_name
    WHERE account = ?1 AND batch >= ?2 AND batch < ?2 || '~' AND EXISTS (SELECT 1 FROM outbox
        WHERE outbox.account = batches.account AND outbox.origin_id = batches.origin_id AND outbox.state <> 'sent')
    ORDER BY batch LIMIT 1";
const OF_BATCH: &str = "SELECT outbox.origin_id, addressee, stanza, state, why, created_at
    FROM batches INDEXED BY batches_by_name CROSS JOIN outbox USING (account, origin_id)
    WHERE account = ?1 AND batch = ?2 AND batches.origin_id > ?3 ORDER BY batches.origin_id LIMIT ?4";

#[cfg(test)]
pub(in crate::catalogue) const QUERIES: &[&str] = &[UNFINISHED, OF_BATCH];

impl Store {
    /// A batch whose name begins like this and of which not all is sent.
    ///
    /// # Errors
    /// When the catalogue fails.
    pub fn unfinished_batch(&self, account: &BareJid, beginning: &str) -> Result<Option<String>, StoreError> {
        self.catalogue()
            .with(|connection| connection.prepare_cached(UNFINISHED)?.query_row([account.as_str(), beginning], |row| row.get(0)).optional())
    }

    /// Messages of a batch, by origin-id, those behind `after`; `""` is before all. What cannot be read is left out.
    ///
    /// # Errors
    /// When the catalogue fails.
    pub fn of_batch(&self, account: &BareJid, batch: &str, after: &str, limit: usize) -> Result<Vec<Outgoing>, StoreError> {
        let rows: Vec<RawOutgoing> = self.catalogue().with(|connection| {
            let mut statement = connection.prepare_cached(OF_BATCH)?;
            statement.query_map(params![account.as_str(), batch, after, bounded(limit)], RawOutgoing::read)?.collect()
        })?;
        let mut found = Vec::with_capacity(rows.len());
        for row in rows {
            match self.outgoing_of(account, row) {
                Err(StoreError::Record { .. }) => {}
                row => found.push(row?),
            }
        }
        Ok(found)
    }
}

/// Puts a message into a batch.
pub(super) fn put(transaction: &Transaction<'_>, account: &BareJid, id: &str, batch: &str) -> rusqlite::Result<()> {
    const SQL: &str = "INSERT OR REPLACE INTO batches (account, origin_id, batch) VALUES (?1, ?2, ?3)";
    transaction.prepare_cached(SQL)?.execute(params![account.as_str(), id, batch]).map(drop)
}

/// Puts a message into the batch that another one is in, if it is in any.
pub(super) fn follow(transaction: &Transaction<'_>, account: &BareJid, id: &str, leader: &str) -> rusqlite::Result<()> {
    const SQL: &str = "INSERT OR REPLACE INTO batches (account, origin_id, batch)
        SELECT account, ?2, batch FROM batches WHERE account = ?1 AND origin_id = ?3";
    transaction.prepare_cached(SQL)?.execute(params![account.as_str(), id, leader]).map(drop)
}

/// Takes a message out of its batch.
pub(super) fn leave(transaction: &Transaction<'_>, account: &BareJid, id: &str) -> rusqlite::Result<()> {
    const SQL: &str = "DELETE FROM batches WHERE account = ?1 AND origin_id = ?2";
    transaction.prepare_cached(SQL)?.execute(params![account.as_str(), id]).map(drop)
}
