//! Files that a sweep is just taking. What is noted here and not there any more when a store is opened was taken by a process that
//! died in the middle.

use std::fs::File;
use std::sync::Arc;
use std::time::SystemTime;

use balcony_wire::hashes::{Digest, HashAlgo};
use rusqlite::{Connection, OptionalExtension, params};

use super::blobs::take_out;
use super::{from_text, known, to_millis};
use crate::commit::Step;
use crate::{OfferState, Store, StoreError};

const IS_PINNED: &str = "SELECT 1 FROM pins WHERE sha256 = ?1";
const IS_WANTED: &str = "SELECT 1 FROM outbox_files JOIN outbox USING (account, origin_id)
    WHERE kind = 'blob' AND value = ?1 AND state <> 'sent' LIMIT 1";
const IS_SHARED: &str = "SELECT 1 FROM live_shares WHERE kind = 'blob' AND value = ?1 AND lives_until > ?2 LIMIT 1";
const USED_AT: &str = "SELECT used_at FROM blob_uses WHERE sha256 = ?1";

#[cfg(test)]
pub(super) const QUERIES: &[&str] = &[IS_PINNED, IS_WANTED, IS_SHARED, USED_AT];

#[cfg(test)]
pub(super) const PLANS: &[(&str, &str)] =
    &[(IS_WANTED, "INDEX blobs_of_outbox (value=?)"), (IS_SHARED, "INDEX live_shares_of_blob (value=?)")];

/// Why a file is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// A person said so.
    Pinned,
    /// A message that is not out speaks of it, or it is shared live.
    Wanted,
    /// Somebody reads, exports or commits it.
    InUse,
    /// It was used a moment ago.
    Recent,
}

/// What may be taken, and what is held of it.
#[derive(Debug)]
pub(crate) struct Victim {
    pub(crate) sha256: Digest,
    pub(crate) held: Option<Arc<File>>,
}

impl Store {
    /// Why a file is to be kept, if it is.
    pub(crate) fn reason_to_keep(&self, sha256: &Digest, used_before: SystemTime) -> Result<Option<Kept>, StoreError> {
        self.catalogue().with(|connection| keeps(connection, sha256, used_before))
    }

    /// Takes files, all that nothing speaks for; says of each what kept it. They are held by the caller.
    pub(crate) fn take_blobs(&self, victims: &[Victim], used_before: SystemTime) -> Result<Vec<Option<Kept>>, StoreError> {
        const NOTE: &str = "INSERT OR IGNORE INTO removals (sha256) VALUES (?1)";
        self.catalogue().change(|transaction| {
            let mut note = transaction.prepare_cached(NOTE)?;
            victims.iter().try_for_each(|victim| note.execute([victim.sha256.as_bytes()]).map(drop))
        })?;
        self.stop_at(Step::RemovalNoted)?;
        // the bytes go while nobody can write: nobody can begin to put the same file there meanwhile
        self.catalogue().change_with(|transaction| {
            let fail = |error| self.catalogue().error(error);
            let mut kept = Vec::with_capacity(victims.len());
            for Victim { sha256, held } in victims {
                let mut keep = keeps(transaction, sha256, used_before).map_err(fail)?;
                if keep.is_none() && !self.is_rid_of(sha256, held.as_deref())? {
                    keep = Some(Kept::InUse); // somebody put it there anew since it was held
                }
                if keep.is_none() {
                    self.stop_at(Step::FileRemoved)?;
                    take_out(transaction, sha256, OfferState::Swept).map_err(fail)?;
                }
                transaction.execute("DELETE FROM removals WHERE sha256 = ?1", [sha256.as_bytes()]).map_err(fail)?;
                kept.push(keep);
            }
            Ok(kept)
        })
    }

    /// Removes the file held; says whether there is none of that name now.
    fn is_rid_of(&self, sha256: &Digest, held: Option<&File>) -> Result<bool, StoreError> {
        let is_removed = match held {
            Some(held) => self.place().remove_blob(sha256, held)?,
            None => false,
        };
        Ok(is_removed || self.place().blob(sha256)?.is_none())
    }

    /// Removals that a process that died had begun: what is gone is gone.
    pub(crate) fn repair_removals(&self) -> Result<(), StoreError> {
        let noted: Vec<Vec<u8>> = self.catalogue().with(|connection| {
            let mut statement = connection.prepare("SELECT sha256 FROM removals ORDER BY sha256")?;
            statement.query_map([], |row| row.get(0))?.collect()
        })?;
        if noted.is_empty() {
            return Ok(());
        }
        self.catalogue().change_with(|transaction| {
            let fail = |error| self.catalogue().error(error);
            for sha256 in noted {
                let sha256 = known(Digest::new(HashAlgo::Sha256, sha256).ok(), "removal")?;
                if self.place().blob(&sha256)?.is_none() && !is_moving(transaction, &sha256).map_err(fail)? {
                    take_out(transaction, &sha256, OfferState::Swept).map_err(fail)?;
                }
                transaction.execute("DELETE FROM removals WHERE sha256 = ?1", [sha256.as_bytes()]).map_err(fail)?;
            }
            Ok(())
        })
    }

    /// Removes a file of which the catalogue knows nothing; says whether it did.
    pub(crate) fn take_stray(&self, sha256: &Digest, held: &File) -> Result<bool, StoreError> {
        self.catalogue().change_with(|transaction| {
            let fail = |error| self.catalogue().error(error);
            if is_catalogued(transaction, sha256).map_err(fail)? || is_moving(transaction, sha256).map_err(fail)? {
                return Ok(false);
            }
            self.place().remove_blob(sha256, held)
        })
    }

    pub(crate) fn is_catalogued(&self, sha256: &Digest) -> Result<bool, StoreError> {
        self.catalogue().with(|connection| is_catalogued(connection, sha256))
    }

    /// Moves a file that has not its bytes out of the way, and out of the catalogue: its offers are as they came. `None` if it is not
    /// there any more, or somebody is just putting it there anew.
    pub(crate) fn take_aside(&self, sha256: &Digest, held: &File) -> Result<Option<std::path::PathBuf>, StoreError> {
        self.catalogue().change_with(|transaction| {
            let fail = |error| self.catalogue().error(error);
            if is_moving(transaction, sha256).map_err(fail)? {
                return Ok(None);
            }
            let aside = self.place().set_aside(sha256, held)?;
            if aside.is_some() {
                take_out(transaction, sha256, OfferState::New).map_err(fail)?;
            }
            Ok(aside)
        })
    }
}

fn keeps(connection: &Connection, sha256: &Digest, used_before: SystemTime) -> rusqlite::Result<Option<Kept>> {
    let name = sha256.as_bytes();
    let used_at: Option<i64> = connection.prepare_cached(USED_AT)?.query_row([name], |row| row.get(0)).optional()?;
    Ok(if connection.prepare_cached(IS_PINNED)?.exists([name])? {
        Some(Kept::Pinned)
    } else if connection.prepare_cached(IS_WANTED)?.exists([name])? || is_shared(connection, sha256)? {
        Some(Kept::Wanted)
    } else if is_moving(connection, sha256)? {
        Some(Kept::InUse)
    } else if used_at.is_some_and(|at| at >= to_millis(used_before)) {
        Some(Kept::Recent)
    } else {
        None
    })
}

fn is_shared(connection: &Connection, sha256: &Digest) -> rusqlite::Result<bool> {
    connection.prepare_cached(IS_SHARED)?.exists(params![sha256.as_bytes(), to_millis(SystemTime::now())])
}

fn is_catalogued(connection: &Connection, sha256: &Digest) -> rusqlite::Result<bool> {
    connection.prepare_cached("SELECT 1 FROM blobs WHERE sha256 = ?1")?.exists(params![sha256.as_bytes()])
}

/// There are as many moves as commits are running, or were when processes died.
fn is_moving(connection: &Connection, sha256: &Digest) -> rusqlite::Result<bool> {
    let mut statement = connection.prepare_cached("SELECT digests FROM moves")?;
    let mut moves = statement.query([])?;
    while let Some(row) = moves.next()? {
        let digests: String = row.get(0)?;
        if from_text(&digests).is_none_or(|digests| digests.get(HashAlgo::Sha256) == Some(sha256)) {
            return Ok(true);
        }
    }
    Ok(false)
}
