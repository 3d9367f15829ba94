//! Where fetched bytes go: to staging on one thread and to a hasher for each digest, all from the same shared bytes.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use balcony_sharing::cipher::{Decipher, Envelope};
use balcony_sharing::transfer::fetch::Unwrapped;
use balcony_sharing::verify::{Hashed, Hasher};
use balcony_store::{Sidecar, Staging, StoreError};
use balcony_wire::hashes::HashAlgo;
use bytes::Bytes;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;

use super::beginning::Reading;
use super::opening::{Opening, ciphertext_lanes};
use crate::http::lanes::{Lanes, LanesError};
use crate::http::pool::Pool;

/// Pieces that may wait for the disk.
const WAITING: usize = 8;

/// Bytes after which the disk is set to work.
const FLUSH: u64 = 32 * 1024 * 1024;

/// Staging and hashers at work, and what opens encrypted bytes before. Dropping it keeps what was written.
pub(super) struct Sink {
    disk: JoinHandle<Result<Staging, StoreError>>,
    way: Way,
}

/// What bytes go through.
enum Way {
    Plain { lanes: Lanes, input: Sender<Piece> },
    Envelope(Opening),
}

/// What goes to the disk, in order.
pub(super) enum Piece {
    Bytes(Bytes),
    Note(Sidecar),
}

/// All that is known about bytes once all are there.
pub(super) struct Finished {
    pub(super) staging: Staging,
    pub(super) hashed: Hashed,
    /// For what came through an envelope.
    pub(super) unwrapped: Option<Unwrapped>,
}

/// What came of opening a sink.
pub(super) enum Opened {
    Sink(Sink),
    /// Nobody wanted it any more while what is in staging was read.
    Unwanted(Staging),
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
    /// Goes on behind what is in staging, which is read once for the digests, as long as anybody wants that. What came through an envelope
    /// is encrypted again on the way: its tag is about encrypted bytes.
    pub(super) async fn open(
        mut staging: Staging,
        algos: Vec<HashAlgo>,
        envelope: Option<Envelope>,
        reading: Arc<Reading>,
    ) -> Result<Opened, SinkError> {
        let lanes = Lanes::start(Hasher::new(algos));
        let through = envelope.map(|envelope| (Decipher::new(&envelope), ciphertext_lanes(&envelope), envelope));
        let known = tokio::task::spawn_blocking(move || {
            let mut through = through;
            if let Some((_, _, envelope)) = &through {
                staging.truncate(envelope.keeps(staging.len()))?;
            }
            let again = through.as_mut().map(|(decipher, ciphertext, _)| (decipher, ciphertext.as_ref()));
            let is_whole = hash_kept(&staging, &lanes, again, &reading)?;
            Ok::<_, SinkError>((staging, is_whole.then_some((lanes, through))))
        });
        let (staging, lanes, through) = match known.await.map_err(|_| LanesError::Broken)?? {
            (staging, Some((lanes, through))) => (staging, lanes, through),
            (staging, None) => return Ok(Opened::Unwanted(staging)),
        };
        let (input, pieces) = channel(WAITING);
        let disk = tokio::task::spawn_blocking(move || write(staging, pieces));
        let way = match through {
            Some((decipher, ciphertext, _)) => Way::Envelope(Opening::start(decipher, lanes, ciphertext, input)),
            None => Way::Plain { lanes, input },
        };
        Ok(Opened::Sink(Self { disk, way }))
    }

    /// The next bytes; waits while disk or hashers are behind.
    pub(super) async fn write(&self, bytes: Bytes) -> Result<(), Ended> {
        match &self.way {
            Way::Envelope(opening) => opening.write(bytes).await,
            Way::Plain { lanes, input } => {
                lanes.update(&bytes).await.map_err(|_| Ended)?;
                input.send(Piece::Bytes(bytes)).await.map_err(|_| Ended)
            }
        }
    }

    /// Replaces the note beside the bytes, once those before it are written.
    pub(super) async fn note(&self, sidecar: Sidecar) -> Result<(), Ended> {
        match &self.way {
            Way::Envelope(opening) => opening.pass(Piece::Note(sidecar)).await,
            Way::Plain { input, .. } => input.send(Piece::Note(sidecar)).await.map_err(|_| Ended),
        }
    }

    /// Waits until all is written; gives staging back, or says why the disk gave up.
    pub(super) async fn stop(self) -> Result<Staging, SinkError> {
        match self.way {
            Way::Plain { input, .. } => drop(input),
            Way::Envelope(opening) => drop(opening.finish().await?),
        }
        Ok(self.disk.await.map_err(|_| LanesError::Broken)??)
    }

    /// As [`Sink::stop`], with the digests.
    pub(super) async fn finish(self) -> Result<Finished, SinkError> {
        let (lanes, opened) = match self.way {
            Way::Plain { lanes, input } => {
                drop(input);
                (lanes, None)
            }
            Way::Envelope(opening) => {
                let (decipher, lanes, ciphertext) = opening.finish().await?;
                (lanes, Some((decipher, ciphertext)))
            }
        };
        let (hashed, staging) = tokio::join!(lanes.finish(), self.disk);
        let staging = staging.map_err(|_| LanesError::Broken)??;
        let unwrapped = match opened {
            None => None,
            Some((decipher, ciphertext)) => {
                let ciphertext = match ciphertext {
                    Some(lanes) => Some(lanes.finish().await?),
                    None => None,
                };
                Some(Unwrapped { end: decipher.finish(), ciphertext })
            }
        };
        Ok(Finished { staging, hashed: hashed?, unwrapped })
    }
}

/// The disk or a hasher gave up; [`Sink::stop`] or [`Sink::finish`] says why.
#[derive(Debug)]
pub(super) struct Ended;

/// Tells whether all of it was read, and not given up.
fn hash_kept(
    staging: &Staging,
    lanes: &Lanes,
    mut again: Option<(&mut Decipher, Option<&Lanes>)>,
    reading: &Reading,
) -> Result<bool, SinkError> {
    let pool = Pool::default();
    let mut reader = staging.reader();
    loop {
        let mut buffer = pool.take();
        let read = fill(&mut reader, &mut buffer).map_err(SinkError::Reread)?;
        if read == 0 {
            return Ok(true);
        }
        if reading.is_unwanted.load(Ordering::Relaxed) {
            return Ok(false);
        }
        reading.bytes.fetch_add(read as u64, Ordering::Relaxed);
        if let Some((decipher, ciphertext)) = &mut again {
            let mut wire = pool.take();
            wire[..read].copy_from_slice(&buffer[..read]);
            decipher.relearn(&mut wire[..read]);
            if let Some(ciphertext) = ciphertext {
                ciphertext.blocking_update(&pool.share(wire, read))?;
            }
        }
        lanes.blocking_update(&pool.share(buffer, read))?;
    }
}

/// As much as there is and fits: what is encrypted again comes in whole blocks.
fn fill(reader: &mut impl std::io::Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

fn write(mut staging: Staging, mut pieces: Receiver<Piece>) -> Result<Staging, StoreError> {
    let flusher = Flushing::start(&staging);
    let mut flushed = staging.cached();
    while let Some(piece) = pieces.blocking_recv() {
        match piece {
            Piece::Bytes(bytes) => {
                staging.append(&bytes)?;
                if staging.cached() - flushed >= FLUSH {
                    flusher.wake();
                    flushed = staging.cached();
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
