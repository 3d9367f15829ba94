//! Digests of a person's files, so that a file that did not change is not hashed twice.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime};

use balcony_sharing::{DigestSet, Hashed};
use rusqlite::{OptionalExtension, Row, params};

use super::{from_text, to_int, to_millis, to_text};
use crate::{Store, StoreError};

/// The memory keeps so many files, those used last.
const MAX_FILES: i64 = 100_000;

/// A file changed twice within this time may look unchanged, so a file so fresh is not remembered.
const TOO_FRESH: Duration = Duration::from_secs(2);

/// What tells a file and its state from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileStamp {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    pub(crate) size: u64,
    pub(crate) mtime_ns: i64,
}

const BY_FILE: &str = "SELECT size, mtime_ns, used_at, digests FROM digest_memory WHERE device = ?1 AND inode = ?2";
const PRUNE: &str =
    "DELETE FROM digest_memory WHERE (device, inode) IN (SELECT device, inode FROM digest_memory ORDER BY used_at LIMIT ?1)";

#[cfg(test)]
pub(super) const QUERIES: &[&str] = &[BY_FILE, PRUNE];

impl FileStamp {
    /// Take it from an open file before the first byte is read, and again after the last: if they differ, it changed meanwhile.
    #[must_use]
    pub fn of(metadata: &Metadata) -> Self {
        let mtime_ns = metadata.mtime().saturating_mul(1_000_000_000).saturating_add(metadata.mtime_nsec());
        Self { device: metadata.dev(), inode: metadata.ino(), size: metadata.size(), mtime_ns }
    }

    /// Bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    fn is_settled(&self, now: SystemTime) -> bool {
        let fresh = i64::try_from(TOO_FRESH.as_millis()).unwrap_or(i64::MAX);
        self.mtime_ns / 1_000_000 <= to_millis(now).saturating_sub(fresh)
    }
}

impl Store {
    /// Remembers the digests of a file. One that changed a moment ago is not remembered: the next change might not show.
    ///
    /// # Errors
    /// When the disk is full or the catalogue fails.
    pub fn remember_digests(&self, stamp: &FileStamp, hashed: &Hashed, now: SystemTime) -> Result<(), StoreError> {
        const SQL: &str =
            "INSERT OR REPLACE INTO digest_memory (device, inode, size, mtime_ns, digests, used_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        if hashed.size() != stamp.size || !stamp.is_settled(now) {
            return Ok(());
        }
        let (device, inode) = (stamp.device.cast_signed(), stamp.inode.cast_signed());
        // After a loss of power the file is read once more, at worst.
        self.catalogue().change_lightly(|transaction| {
            let values = params![device, inode, to_int(stamp.size), stamp.mtime_ns, to_text(hashed.digests()), to_millis(now)];
            transaction.execute(SQL, values)?;
            let count: i64 = transaction.query_row("SELECT count(*) FROM digest_memory", [], |row| row.get(0))?;
            if count > MAX_FILES {
                transaction.execute(PRUNE, [count - MAX_FILES])?;
            }
            Ok(())
        })
    }

    /// The digests of a file that did not change since: its time of writing can be set back, that of its last change cannot.
    ///
    /// # Errors
    /// When the catalogue fails.
    pub fn remembered_digests(&self, metadata: &Metadata) -> Result<Option<DigestSet>, StoreError> {
        let stamp = FileStamp::of(metadata);
        let changed_at = metadata.ctime().saturating_mul(1000).saturating_add(metadata.ctime_nsec() / 1_000_000);
        let file = params![stamp.device.cast_signed(), stamp.inode.cast_signed()];
        let row: Option<(i64, i64, i64, String)> = self.catalogue().with(|connection| {
            let values = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
            connection.prepare_cached(BY_FILE)?.query_row(file, values).optional()
        })?;
        let same = row.filter(|(size, mtime_ns, hashed_at, _)| {
            (*size, *mtime_ns) == (to_int(stamp.size), stamp.mtime_ns) && changed_at <= *hashed_at
        });
        Ok(same.and_then(|(_, _, _, digests)| from_text(&digests))) // a text that cannot be read is no memory
    }
}
