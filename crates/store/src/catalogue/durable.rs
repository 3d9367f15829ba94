//! One sync for all who wait: a transaction is written first, then synced together with those of other threads.
//!
//! SQLite would sync each transaction while nobody else can write (`synchronous = FULL`). Here it is told not to, and the log is
//! synced behind it, outside the lock: as many syncs as the disk can do, however many transactions there are. Whoever waited knows
//! that their rows survive a loss of power. The log is not removed while our connection is open, so the file held is always the one.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// The log of the catalogue.
#[derive(Debug)]
pub(super) struct Log {
    /// `None` in memory, where nothing survives anyway.
    file: Option<File>,
    state: Mutex<State>,
    turn: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Transactions written.
    written: u64,
    /// Of these, how many are known to be synced.
    synced: u64,
    /// Of these, how many were in a sync that failed: trying again might say yes without it being so.
    failed: u64,
    is_syncing: bool,
}

impl Log {
    pub(super) fn in_memory() -> Self {
        Self { file: None, state: Mutex::default(), turn: Condvar::new() }
    }

    /// The log of an open catalogue.
    pub(super) fn of(catalogue: &Path) -> io::Result<Self> {
        let mut path = catalogue.as_os_str().to_owned();
        path.push("-wal");
        Ok(Self { file: Some(File::options().read(true).write(true).open(path)?), ..Self::in_memory() })
    }

    /// A transaction was written; its number is for [`Self::sync`].
    pub(super) fn note(&self) -> u64 {
        let mut state = self.state();
        state.written += 1;
        state.written
    }

    /// Returns once that transaction survives a loss of power.
    pub(super) fn sync(&self, number: u64) -> io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let mut state = self.state();
        loop {
            if state.synced >= number {
                return Ok(());
            }
            if state.failed >= number {
                return Err(io::Error::other("the disk did not take what was written"));
            }
            if state.is_syncing {
                state = self.turn.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            state.is_syncing = true;
            let all = state.written;
            drop(state);
            let done = file.sync_data();
            state = self.state();
            state.is_syncing = false;
            match &done {
                Ok(()) => state.synced = state.synced.max(all),
                Err(_) => state.failed = state.failed.max(all),
            }
            self.turn.notify_all();
            done?;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner) // numbers only
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn whoever_waits_returns_and_later_ones_are_not_taken_for_synced() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("c-wal"), "").unwrap();
        let log = Log::of(&dir.path().join("c")).unwrap();
        let done = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..20 {
                        let number = log.note();
                        log.sync(number).unwrap();
                        assert!(log.state().synced >= number);
                        done.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(done.into_inner(), 160);
        assert_eq!(log.state().written, 160);
        assert_eq!(log.state().synced, 160);
        let number = log.note();
        assert!(log.state().synced < number);
    }

    #[test]
    fn a_sync_that_failed_is_told_to_all_it_was_for() {
        let (_reader, writer) = io::pipe().unwrap();
        // nothing of a pipe can be synced
        let log = Log { file: Some(File::from(std::os::fd::OwnedFd::from(writer))), ..Log::in_memory() };
        let (first, second) = (log.note(), log.note());
        assert!(log.sync(first).is_err() && log.sync(second).is_err());
        assert_eq!(log.state().synced, 0);
        assert_eq!(log.state().failed, 2);
    }
}
