//! Files that a person wants to keep whatever is swept.

use std::time::SystemTime;

use balcony_wire::hashes::{Digest, HashAlgo};
use rusqlite::params;

use super::{known, to_millis};
use crate::{MAX_ROWS, Store, StoreError};

const ALL: &str = "SELECT sha256 FROM pins WHERE sha256 > ?1 ORDER BY sha256 LIMIT 1000";
const IS_PINNED: &str = "SELECT 1 FROM pins WHERE sha256 = ?1";

#[cfg(test)]
pub(super) const QUERIES: &[&str] = &[ALL, IS_PINNED];

impl Store {
    /// Keeps a file until it is unpinned: no sweep takes it. If its bytes are lost and fetched again, it is pinned still.
    /// Says whether it was not pinned before.
    ///
    /// # Errors
    /// [`StoreError::Unknown`] if there is no such file in the store; when the disk is full or the catalogue fails.
    pub fn pin(&self, sha256: &Digest) -> Result<bool, StoreError> {
        const SQL: &str = "INSERT INTO pins (sha256, pinned_at) SELECT sha256, ?2 FROM blobs WHERE sha256 = ?1 ON CONFLICT DO NOTHING";
        let (is_new, is_there) = self.catalogue().change(|transaction| {
            let is_new = transaction.execute(SQL, params![sha256.as_bytes(), to_millis(SystemTime::now())])? == 1;
            Ok((is_new, is_new || transaction.prepare_cached(IS_PINNED)?.exists([sha256.as_bytes()])?))
        })?;
        if is_there { Ok(is_new) } else { Err(StoreError::Unknown("the file")) }
    }

    /// Lets sweeps take it again. Says whether it was pinned.
    ///
    /// # Errors
    /// When the catalogue fails.
    pub fn unpin(&self, sha256: &Digest) -> Result<bool, StoreError> {
        Ok(self.catalogue().with(|connection| connection.execute("DELETE FROM pins WHERE sha256 = ?1", [sha256.as_bytes()]))? == 1)
    }

    /// SHA-256 of all that is pinned, sorted.
    ///
    /// # Errors
    /// When the catalogue fails.
    pub fn pins(&self) -> Result<Vec<Digest>, StoreError> {
        let mut pins: Vec<Digest> = Vec::new();
        loop {
            let last = pins.last().map_or(&[][..], Digest::as_bytes);
            let page: Vec<Vec<u8>> = self.catalogue().with(|connection| {
                let mut statement = connection.prepare_cached(ALL)?;
                statement.query_map([last], |row| row.get(0))?.collect()
            })?;
            let is_end = page.len() < MAX_ROWS;
            for bytes in page {
                pins.push(known(Digest::new(HashAlgo::Sha256, bytes).ok(), "pin")?);
            }
            if is_end {
                return Ok(pins);
            }
        }
    }
}
