//! Uploads that are done while their message is not out: a restart names the same place and does not upload again.
//!
//! A slot that was not used up is not in here: the right to write to it is never on the disk, and it runs out by itself.

use std::time::SystemTime;

use balcony_wire::BareJid;
use rusqlite::{Row, params};

use super::{known, to_int, to_millis, to_size, to_time};
use crate::{Store, StoreError};

/// An upload that is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// From which account.
    pub account: BareJid,
    /// For which message of the outbox.
    pub origin_id: String,
    /// For which file of it, counted from 0.
    pub position: usize,
    /// Bytes.
    pub size: u64,
    /// Where it is read.
    pub get_url: String,
    /// When it began: a file that changed after this is another one.
    pub began_at: SystemTime,
}

const OF_MESSAGE: &str = "SELECT position, size, get_url, began_at FROM uploads
    WHERE account = ?1 AND origin_id = ?2 ORDER BY position LIMIT 1000";

#[cfg(test)]
pub(super) const QUERIES: &[&str] = &[OF_MESSAGE];

impl Store {
    /// Writes an upload down; one of the same file of the same message is replaced.
    ///
    /// # Errors
    /// When the disk is full or the catalogue fails.
    pub fn save_upload(&self, upload: &Upload) -> Result<(), StoreError> {
        const SQL: &str =
            "INSERT OR REPLACE INTO uploads (account, origin_id, position, size, get_url, began_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let Upload { account, origin_id, position, size, get_url, began_at } = upload;
        self.catalogue().with(|connection| {
            let (position, size, began_at) = (to_int(*position as u64), to_int(*size), to_millis(*began_at));
            connection.execute(SQL, params![account.as_str(), origin_id, position, size, get_url, began_at]).map(drop)
        })
    }

    /// The uploads of a message, in the order of its files.
    ///
    /// # Errors
    /// When the catalogue fails.
    pub fn uploads(&self, account: &BareJid, origin_id: &str) -> Result<Vec<Upload>, StoreError> {
        let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
        let rows: Vec<(i64, i64, String, i64)> = self.catalogue().with(|connection| {
            let mut statement = connection.prepare_cached(OF_MESSAGE)?;
            statement.query_map([account.as_str(), origin_id], read)?.collect()
        })?;
        let upload = |(position, size, get_url, began_at)| {
            let position = known(usize::try_from(position).ok(), "upload")?;
            let (account, origin_id) = (account.clone(), origin_id.to_owned());
            Ok(Upload { account, origin_id, position, size: to_size(size), get_url, began_at: to_time(began_at) })
        };
        rows.into_iter().map(upload).collect()
    }

    /// Forgets the uploads of a message: it is out, or given up.
    ///
    /// # Errors
    /// When the catalogue fails.
    pub fn drop_uploads(&self, account: &BareJid, origin_id: &str) -> Result<(), StoreError> {
        const SQL: &str = "DELETE FROM uploads WHERE account = ?1 AND origin_id = ?2";
        self.catalogue().with(|connection| connection.execute(SQL, [account.as_str(), origin_id]).map(drop))
    }
}
