//! The state in which a whole file was known to have the right bytes.

use balcony_wire::hashes::Digest;
use rusqlite::{Connection, OptionalExtension, params};

use super::{to_int, to_size};
use crate::stamp::{Stamp, Stamped};
use crate::{FileStamp, Store, StoreError};

const STAMP: &str = "SELECT device, inode, blob_stamps.size, mtime_ns, ctime_ns
    FROM blobs LEFT JOIN blob_stamps USING (sha256) WHERE blobs.sha256 = ?1";
const PUT: &str = "INSERT OR REPLACE INTO blob_stamps (sha256, device, inode, size, mtime_ns, ctime_ns)
    SELECT sha256, ?2, ?3, ?4, ?5, ?6 FROM blobs WHERE sha256 = ?1";

#[cfg(test)]
pub(super) const QUERIES: &[&str] = &[STAMP];

impl Store {
    pub(crate) fn stamped(&self, sha256: &Digest) -> Result<Stamped, StoreError> {
        self.catalogue().with(|connection| stamped(connection, sha256))
    }

    /// Nothing happens if the file is not in the catalogue any more.
    pub(crate) fn stamp(&self, sha256: &Digest, stamp: &Stamp) -> Result<(), StoreError> {
        self.catalogue().with(|connection| put_stamp(connection, sha256, stamp))
    }
}

pub(super) fn stamped(connection: &Connection, sha256: &Digest) -> rusqlite::Result<Stamped> {
    let mut statement = connection.prepare_cached(STAMP)?;
    let row = statement.query_row([sha256.as_bytes()], |row| {
        let Some(device) = row.get::<_, Option<i64>>(0)? else { return Ok(Stamped::Never) };
        let (inode, size): (i64, i64) = (row.get(1)?, row.get(2)?);
        let file = FileStamp { device: device.cast_unsigned(), inode: inode.cast_unsigned(), size: to_size(size), mtime_ns: row.get(3)? };
        Ok(Stamped::As(Stamp { file, ctime_ns: row.get(4)? }))
    });
    Ok(row.optional()?.unwrap_or(Stamped::Unknown))
}

pub(super) fn put_stamp(connection: &Connection, sha256: &Digest, stamp: &Stamp) -> rusqlite::Result<()> {
    let Stamp { file, ctime_ns } = stamp;
    let (device, inode) = (file.device.cast_signed(), file.inode.cast_signed());
    let mut statement = connection.prepare_cached(PUT)?;
    statement.execute(params![sha256.as_bytes(), device, inode, to_int(file.size), file.mtime_ns, ctime_ns]).map(drop)
}
