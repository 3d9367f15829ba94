//! Rows of whole files, their digests, and the moves that are under way.

use std::time::SystemTime;

use balcony_sharing::DigestSet;
use balcony_wire::hashes::{Digest, HashAlgo};
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::stamps::{put_stamp, stamped};
use super::uses::put_use;
use super::{from_text, known, to_int, to_millis, to_size, to_text};
use crate::commit::Move;
use crate::stamp::{Stamp, Stamped};
use crate::{BlobRef, JobId, OfferState, Store, StoreError};

const BY_DIGEST: &str = "SELECT sha256 FROM blob_digests WHERE algo = ?1 AND digest = ?2 ORDER BY sha256 LIMIT 16";
const BY_SHA256: &str = "SELECT size, is_proven FROM blobs WHERE sha256 = ?1";
const DIGESTS: &str = "SELECT algo, digest FROM blob_digests WHERE sha256 = ?1 LIMIT 32";

/// Bytes of a file that nobody wants to fetch twice because the power went in a bad moment.
const DEAR: u64 = 1 << 20;

#[cfg(test)]
pub(super) const QUERIES: &[&str] = &[BY_DIGEST, BY_SHA256, DIGESTS];

impl Store {
    pub(crate) fn blobs_with(&self, digest: &Digest) -> Result<Vec<BlobRef>, StoreError> {
        let names: Vec<Vec<u8>> = self.catalogue().with(|connection| {
            let mut statement = connection.prepare_cached(BY_DIGEST)?;
            statement.query_map(params![digest.algo().name(), digest.as_bytes()], |row| row.get(0))?.collect()
        })?;
        let mut blobs = Vec::new();
        for name in names {
            let sha256 = known(Digest::new(HashAlgo::Sha256, name).ok(), "digest")?;
            blobs.extend(self.blob_row(&sha256)?);
        }
        Ok(blobs)
    }

    pub(crate) fn blob_row(&self, sha256: &Digest) -> Result<Option<BlobRef>, StoreError> {
        let row = self.catalogue().with(|connection| {
            let mut statement = connection.prepare_cached(BY_SHA256)?;
            let row: Option<(i64, bool)> = statement.query_row([sha256.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
            let Some((size, is_proven)) = row else { return Ok(None) };
            let mut statement = connection.prepare_cached(DIGESTS)?;
            let digests = statement.query_map([sha256.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let digests: Vec<(String, Vec<u8>)> = digests.collect::<Result<_, _>>()?;
            Ok(Some((size, is_proven, digests)))
        })?;
        let Some((size, is_proven, digests)) = row else { return Ok(None) };
        let digests = digests.into_iter().map(|(algo, bytes)| Digest::new(HashAlgo::from_name(&algo)?, bytes).ok());
        let digests = known(digests.collect::<Option<DigestSet>>(), "digest")?;
        Ok(Some(BlobRef { sha256: sha256.clone(), size: to_size(size), digests, is_proven }))
    }

    /// Takes a file whose bytes are lost out of the catalogue; offers that had it are as they came. Nothing happens if somebody
    /// put it there anew since its stamp was seen.
    pub(crate) fn forget_blob(&self, sha256: &Digest, seen: Stamped) -> Result<(), StoreError> {
        self.catalogue().change(|transaction| {
            if stamped(transaction, sha256)? != seen {
                return Ok(());
            }
            take_out(transaction, sha256, OfferState::New)
        })
    }

    /// A process that dies forgets nothing of it; a loss of power may, and then a small file is fetched once more.
    pub(crate) fn note_move(&self, moving: &Move) -> Result<(), StoreError> {
        const SQL: &str = "INSERT OR REPLACE INTO moves (job, size, is_proven, digests) VALUES (?1, ?2, ?3, ?4)";
        let Move { job, blob } = moving;
        let note = |connection: &Connection| {
            let values = params![job.as_str(), to_int(blob.size), blob.is_proven, to_text(&blob.digests)];
            connection.prepare_cached(SQL)?.execute(values).map(drop)
        };
        if blob.size >= DEAR {
            self.catalogue().change(|transaction| note(transaction))
        } else {
            self.catalogue().with_lightly(|connection| note(connection))
        }
    }

    pub(crate) fn forget_move(&self, job: &JobId) -> Result<(), StoreError> {
        self.catalogue().with(|connection| connection.execute("DELETE FROM moves WHERE job = ?1", [job.as_str()]).map(drop))
    }

    /// Moves that were begun and not ended. There are as many as commits were running when a process died.
    pub(crate) fn moves(&self) -> Result<Vec<Move>, StoreError> {
        let rows: Vec<(String, i64, bool, String)> = self.catalogue().with(|connection| {
            let mut statement = connection.prepare("SELECT job, size, is_proven, digests FROM moves ORDER BY job")?;
            statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?.collect()
        })?;
        rows.into_iter()
            .map(|(job, size, is_proven, digests)| {
                let digests = known(from_text(&digests), "move")?;
                let sha256 = known(digests.get(HashAlgo::Sha256).cloned(), "move")?;
                Ok(Move {
                    job: known(JobId::from_record(&job), "move")?,
                    blob: BlobRef { sha256, size: to_size(size), digests, is_proven },
                })
            })
            .collect()
    }

    /// The file is where it belongs: from now on it is found. What was proven once stays proven.
    pub(crate) fn end_move(&self, moving: &Move, stamp: Option<&Stamp>) -> Result<BlobRef, StoreError> {
        let blob = &moving.blob;
        self.catalogue().change(|transaction| {
            add_blob(transaction, blob)?;
            match stamp {
                Some(stamp) => put_stamp(transaction, &blob.sha256, stamp)?,
                None => drop(transaction.execute("DELETE FROM blob_stamps WHERE sha256 = ?1", [blob.sha256.as_bytes()])?),
            }
            transaction.execute("DELETE FROM moves WHERE job = ?1", [moving.job.as_str()])?;
            Ok(())
        })?;
        Ok(self.blob_row(&blob.sha256)?.unwrap_or_else(|| blob.clone()))
    }
}

/// Takes a file out of the catalogue; its offers are in that state then.
pub(super) fn take_out(transaction: &Transaction<'_>, sha256: &Digest, offers: OfferState) -> rusqlite::Result<()> {
    const OFFERS: &str = "UPDATE offers SET state = ?2, blob = NULL WHERE blob = ?1";
    transaction.prepare_cached(OFFERS)?.execute(params![sha256.as_bytes(), offers.as_str()])?;
    transaction.prepare_cached("DELETE FROM blobs WHERE sha256 = ?1")?.execute([sha256.as_bytes()]).map(drop)
}

fn add_blob(transaction: &Transaction<'_>, blob: &BlobRef) -> rusqlite::Result<()> {
    const BLOB: &str = "INSERT INTO blobs (sha256, size, is_proven, added_at) VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT (sha256) DO UPDATE SET size = excluded.size, is_proven = max(is_proven, excluded.is_proven)";
    const DIGEST: &str = "INSERT OR IGNORE INTO blob_digests (algo, digest, sha256) VALUES (?1, ?2, ?3)";
    let sha256 = blob.sha256.as_bytes();
    transaction.execute(BLOB, params![sha256, to_int(blob.size), blob.is_proven, to_millis(SystemTime::now())])?;
    put_use(transaction, &blob.sha256, blob.size)?;
    for digest in &blob.digests {
        transaction.execute(DIGEST, params![digest.algo().name(), digest.as_bytes(), sha256])?;
    }
    Ok(())
}
