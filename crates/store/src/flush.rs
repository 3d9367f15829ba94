//! Gets staged bytes onto the disk while more of them come, so that the sync at the end has little left to do.

use std::fs::File;
use std::io;
use std::sync::Arc;

use crate::Staging;

/// Flushes the bytes of one transfer from another thread than the one that appends. Says nothing about what survives a loss of
/// power: [`Staging::sync`] and [`crate::Store::commit`] do.
#[derive(Clone, Debug)]
pub struct Flusher(Arc<File>);

impl Staging {
    /// A handle that flushes what is there, whoever appends meanwhile.
    #[must_use]
    pub fn flusher(&self) -> Flusher {
        Flusher(self.held.file.clone())
    }
}

impl Flusher {
    /// Waits until what was appended before is written out.
    ///
    /// # Errors
    /// When the disk is full or fails; the transfer's own sync will say so as well.
    pub fn flush(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use crate::{JobId, Sidecar, Store};

    #[test]
    fn bytes_can_be_flushed_while_more_are_appended() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let mut staging = store.stage(JobId::random(), Sidecar::default()).unwrap();
        staging.append(b"one").unwrap();
        let flusher = staging.flusher();
        let flushing = std::thread::spawn(move || flusher.flush());
        staging.append(b"two").unwrap();
        flushing.join().unwrap().unwrap();
        assert_eq!(staging.len(), 6);
    }
}
