//! Bytes without a file of their own, as from a pipe: they go into the store before they are sent, so that they survive what an
//! upload does not, and can be sent again.

use std::io::{self, Read};

use balcony_sharing::ByteLen;
use balcony_sharing::verify::{Hasher, SHARED_ALGOS};
use balcony_store::{BlobRef, JobId, Sidecar, Store, StoreError};

use crate::account::Account;
use crate::blocking::blocking;

/// How names of such transfers in staging begin: those of a program that was killed are of no use to anybody.
const PREFIX: &str = "pipe-";
/// Bytes read at once.
const BUFFER: usize = 256 * 1024;

/// Why bytes were not taken in. Nothing of them is kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeepError {
    /// More than may be.
    #[error("there is more than {}", ByteLen(*.0))]
    TooLarge(u64),
    /// They do not come.
    #[error("reading it failed: {0}")]
    Unreadable(#[source] io::Error),
    /// The store or its disk.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Account {
    /// Takes bytes that have no file of their own into the store, to be shared: `account.share(blob).name("…")`. At most so many.
    /// Blocks a thread while they come. Dropping the future lets it read on to their end; what a program leaves that is killed before
    /// is of no use and goes with the next call.
    ///
    /// # Errors
    /// See [`KeepError`].
    pub async fn keep(&self, bytes: impl Read + Send + 'static, most: u64) -> Result<BlobRef, KeepError> {
        let store = self.store().clone();
        blocking(move || keep(&store, bytes, most)).await
    }
}

/// Reads to the end, hashing, into the store; blocks.
fn keep(store: &Store, mut bytes: impl Read, most: u64) -> Result<BlobRef, KeepError> {
    drop_strays(store)?;
    let job = JobId::from_record(&format!("{PREFIX}{}", JobId::random())).unwrap_or_else(JobId::random);
    let mut staging = store.stage(job, Sidecar::default())?;
    let mut hasher = Hasher::new(SHARED_ALGOS);
    let mut buffer = vec![0; BUFFER];
    let done = loop {
        match bytes.read(&mut buffer) {
            Ok(0) => break Ok(()),
            Ok(read) if hasher.len() + read as u64 > most => break Err(KeepError::TooLarge(most.min(hasher.len() + read as u64))),
            Ok(read) => {
                hasher.update(&buffer[..read]);
                if let Err(error) = staging.append(&buffer[..read]) {
                    break Err(error.into());
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => break Err(KeepError::Unreadable(error)),
        }
    };
    match done {
        Ok(()) => Ok(store.commit(staging, &hasher.finish())?),
        Err(error) => {
            let _ = staging.discard(); // the first error is the one to tell; what stays goes with the next call
            Err(error)
        }
    }
}

/// What a killed program had read is not all there was.
fn drop_strays(store: &Store) -> Result<(), StoreError> {
    for staged in store.staged()?.into_iter().filter(|staged| staged.job.as_str().starts_with(PREFIX)) {
        match store.resume(&staged.job) {
            Ok(Some(staging)) => staging.discard()?,
            // Another process is just reading it.
            Ok(None) | Err(StoreError::Busy(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_from_a_pipe_is_a_file_of_the_store() {
        let store = Store::in_memory().unwrap();
        let blob = keep(&store, &b"hello\n"[..], 6).unwrap();
        assert_eq!((blob.size(), blob.is_proven(), store.staged().unwrap().len()), (6, true, 0));
        let mut read = Vec::new();
        store.open_blob(&blob).unwrap().read_to_end(&mut read).unwrap();
        assert_eq!(read, b"hello\n");
    }

    #[test]
    fn of_too_much_nothing_is_kept_nor_of_a_program_that_was_killed() {
        let store = Store::in_memory().unwrap();
        assert!(matches!(keep(&store, &b"hello\n"[..], 5), Err(KeepError::TooLarge(5))));
        assert!(store.staged().unwrap().is_empty());
        for (job, stays) in [("pipe-1", false), ("fetch-1", true)] {
            drop(store.stage(JobId::from_record(job).unwrap(), Sidecar::default()).unwrap());
            keep(&store, &b""[..], 5).unwrap();
            assert_eq!(store.staged().unwrap().len(), usize::from(stays), "{job}");
        }
    }
}
