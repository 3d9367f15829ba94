//! When each whole file was last used, and which may go. For listing and for sweeping: the longest unused first.

use std::time::{Duration, SystemTime};

use balcony_wire::hashes::{Digest, HashAlgo};
use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::{bounded, known, to_int, to_millis, to_size, to_time};
use crate::{MAX_ROWS, Store, StoreError};

/// Uses within this time are one.
const NOTED_EVERY: Duration = Duration::from_secs(10);

/// A whole file and its use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileUse {
    /// Which.
    pub sha256: Digest,
    /// Bytes.
    pub size: u64,
    /// When it was last read, exported or committed.
    pub used_at: SystemTime,
}

const OLDEST: &str = "SELECT sha256, size, used_at FROM blob_uses WHERE (used_at, sha256) > (?1, ?2) ORDER BY used_at, sha256 LIMIT ?3";
const NEWEST: &str = "SELECT sha256, size, used_at FROM blob_uses WHERE (used_at, sha256) < (?1, ?2)
    ORDER BY used_at DESC, sha256 DESC LIMIT ?3";
const USED_AT: &str = "SELECT used_at FROM blob_uses WHERE sha256 = ?1";

#[cfg(test)]
pub(super) const QUERIES: &[&str] = &[OLDEST, NEWEST, USED_AT];

#[cfg(test)]
pub(super) const PLANS: &[(&str, &str)] = &[
    (OLDEST, "COVERING INDEX blob_uses_by_time ((used_at,sha256)>(?,?))"),
    (NEWEST, "COVERING INDEX blob_uses_by_time ((used_at,sha256)<(?,?))"),
];

impl Store {
    /// Whole files, the last used first; `before` goes on where an earlier list ended. Says nothing about whether their bytes are
    /// still right: [`Store::check`] does.
    ///
    /// # Errors
    /// When the catalogue fails.
    pub fn files(&self, before: Option<&FileUse>, limit: usize) -> Result<Vec<FileUse>, StoreError> {
        let at = before.map_or(i64::MAX, |file| to_millis(file.used_at));
        self.uses(NEWEST, at, before.map_or(&[0xff; 33][..], |file| file.sha256.as_bytes()), limit)
    }

    /// As [`Store::files`], the longest unused first.
    pub(crate) fn longest_unused(&self, after: Option<&FileUse>) -> Result<Vec<FileUse>, StoreError> {
        let at = after.map_or(i64::MIN, |file| to_millis(file.used_at));
        self.uses(OLDEST, at, after.map_or(&[], |file| file.sha256.as_bytes()), MAX_ROWS)
    }

    fn uses(&self, sql: &str, at: i64, sha256: &[u8], limit: usize) -> Result<Vec<FileUse>, StoreError> {
        let rows: Vec<(Vec<u8>, i64, i64)> = self.catalogue().with(|connection| {
            let mut statement = connection.prepare_cached(sql)?;
            let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
            statement.query_map(params![at, sha256, bounded(limit)], read)?.collect()
        })?;
        let file = |(sha256, size, used_at)| {
            let sha256 = known(Digest::new(HashAlgo::Sha256, sha256).ok(), "file")?;
            Ok(FileUse { sha256, size: to_size(size), used_at: to_time(used_at) })
        };
        rows.into_iter().map(file).collect()
    }

    /// Bytes of all whole files.
    ///
    /// # Errors
    /// When the catalogue fails.
    pub fn total_bytes(&self) -> Result<u64, StoreError> {
        const SQL: &str = "SELECT ifnull(sum(size), 0) FROM blob_uses";
        Ok(to_size(self.catalogue().with(|connection| connection.query_row(SQL, [], |row| row.get(0)))?))
    }

    /// Somebody uses it now. If this cannot be noted, that is no reason not to use it: a sweep may only take it sooner.
    pub(crate) fn note_use(&self, sha256: &Digest) {
        let now = SystemTime::now();
        let is_noted = |at: Option<i64>| at.is_none_or(|at| at > to_millis(now - NOTED_EVERY));
        let last = self
            .catalogue()
            .with(|connection| connection.prepare_cached(USED_AT)?.query_row([sha256.as_bytes()], |row| row.get(0)).optional());
        if matches!(last, Ok(last) if !is_noted(last)) {
            const SQL: &str = "UPDATE blob_uses SET used_at = max(used_at, ?2) WHERE sha256 = ?1";
            let _ = self
                .catalogue()
                .with_lightly(|connection| connection.prepare_cached(SQL)?.execute(params![sha256.as_bytes(), to_millis(now)]));
        }
    }
}

pub(super) fn put_use(transaction: &Transaction<'_>, sha256: &Digest, size: u64) -> rusqlite::Result<()> {
    const SQL: &str = "INSERT OR REPLACE INTO blob_uses (sha256, size, used_at) VALUES (?1, ?2, ?3)";
    transaction.prepare_cached(SQL)?.execute(params![sha256.as_bytes(), to_int(size), to_millis(SystemTime::now())]).map(drop)
}
