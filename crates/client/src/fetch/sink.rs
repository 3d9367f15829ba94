//! Where fetched bytes go: to staging on one thread and to a hasher for each digest, all from the same shared bytes.

use std::io::Read as _;

use balcony_sharing::verify::{Hashed, Hasher};
use balcony_store::{Sidecar, Staging, StoreError};
use balcony_wire::hashes::HashAlgo;
use bytes::Bytes;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;

use crate::http::lanes::{Lanes, LanesError};
use crate::http::pool::Pool;

/// Pieces that may wait for the disk.
const WAITING: usize = 8;

/// Bytes after which the disk is set to work.
const FLUSH: usize = 32 * 1024 * 1024;

/// Staging and hashers at work. Dropping it keeps what was written.
pub(super) struct Sink {
    algos: Vec<HashAlgo>,
    input: Sender<Piece>,
    disk: JoinHandle<Result<Staging, StoreError>>,
    lanes: Lanes,
}

enum Piece {
    Bytes(Bytes),
    Note(Sidecar),
}

/// Why bytes could not be kept.
#[derive(Debug, thiserror::Error)]
pub(super) enum SinkError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Lanes(#[from] LanesError),
    #[error("the bytes kept from an earlier try cannot be read")]
    Reread(#[source] std::io::Error),
}

impl Sink {
    /// Goes on behind what is in staging, which is read once for the digests.
    pub(super) async fn open(staging: Staging, algos: Vec<HashAlgo>) -> Result<Self, SinkError> {
        let lanes = Lanes::start(Hasher::new(algos.iter().copied()));
        let (staging, lanes) = tokio::task::spawn_blocking(move || hash_kept(&staging, &lanes).map(|()| (staging, lanes)))
            .await
            .map_err(|_| LanesError::Broken)??;
        let (input, pieces) = channel(WAITING);
        let disk = tokio::task::spawn_blocking(move || write(staging, pieces));
        Ok(Self { algos, input, disk, lanes })
    }

    /// The next bytes; waits while disk or hashers are behind.
    pub(super) async fn write(&self, bytes: Bytes) -> Result<(), Ended> {
        self.lanes.update(&bytes).await.map_err(|_| Ended)?;
        self.input.send(Piece::Bytes(bytes)).await.map_err(|_| Ended)
    }

    /// Replaces the note beside the bytes, once those before it are written.
    pub(super) async fn note(&self, sidecar: Sidecar) -> Result<(), Ended> {
        self.input.send(Piece::Note(sidecar)).await.map_err(|_| Ended)
    }

    /// Waits until all is written; gives staging back, or says why the disk gave up.
    pub(super) async fn stop(self) -> Result<Staging, SinkError> {
        drop(self.input);
        Ok(self.disk.await.map_err(|_| LanesError::Broken)??)
    }

    /// As [`Sink::stop`], with the digests.
    pub(super) async fn finish(self) -> Result<(Staging, Hashed), SinkError> {
        drop(self.input);
        let (hashed, staging) = tokio::join!(self.lanes.finish(), self.disk);
        let staging = staging.map_err(|_| LanesError::Broken)??;
        Ok((staging, hashed?))
    }

    /// Throws away what is in staging and begins anew.
    pub(super) async fn restart(self) -> Result<Self, SinkError> {
        let algos = self.algos.clone();
        let staging = self.stop().await?;
        Self::emptied(staging, algos).await
    }

    /// Empties staging and begins anew.
    pub(super) async fn emptied(mut staging: Staging, algos: Vec<HashAlgo>) -> Result<Self, SinkError> {
        let emptied = tokio::task::spawn_blocking(move || staging.truncate(0).map(|()| staging));
        Self::open(emptied.await.map_err(|_| LanesError::Broken)??, algos).await
    }
}

/// The disk or a hasher gave up; [`Sink::stop`] or [`Sink::finish`] says why.
#[derive(Debug)]
pub(super) struct Ended;

fn hash_kept(staging: &Staging, lanes: &Lanes) -> Result<(), SinkError> {
    let pool = Pool::default();
    let mut reader = staging.reader();
    loop {
        let mut buffer = pool.take();
        let read = reader.read(&mut buffer).map_err(SinkError::Reread)?;
        if read == 0 {
            return Ok(());
        }
        lanes.blocking_update(&pool.share(buffer, read))?;
    }
}

fn write(mut staging: Staging, mut pieces: Receiver<Piece>) -> Result<Staging, StoreError> {
    let flusher = Flushing::start(&staging);
    let mut unflushed = 0;
    while let Some(piece) = pieces.blocking_recv() {
        match piece {
            Piece::Bytes(bytes) => {
                staging.append(&bytes)?;
                unflushed += bytes.len();
                if unflushed >= FLUSH {
                    flusher.wake();
                    unflushed = 0;
                }
            }
            Piece::Note(sidecar) => staging.note(sidecar)?,
        }
    }
    Ok(staging)
}

/// Writes out what is in staging while more comes: else the disk idles now and everybody waits for it at the end.
struct Flushing(std::sync::mpsc::SyncSender<()>);

impl Flushing {
    fn start(staging: &Staging) -> Self {
        let (wake, woken) = std::sync::mpsc::sync_channel::<()>(1);
        let flusher = staging.flusher();
        tokio::task::spawn_blocking(move || {
            while woken.recv().is_ok() {
                if let Err(error) = flusher.flush() {
                    // The sync at the end meets it again and says so.
                    return tracing::debug!(%error, "bytes could not be written out ahead of time");
                }
            }
        });
        Self(wake)
    }

    /// Asks for it, unless it was asked for already.
    fn wake(&self) {
        let _ = self.0.try_send(());
    }
}
