//! Opens encrypted bytes on a thread of its own, between the network on one side and hashers and disk on the other.

use balcony_sharing::cipher::{Decipher, Envelope};
use balcony_sharing::verify::Hasher;
use bytes::Bytes;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;

use super::sink::{Ended, Piece};
use crate::http::lanes::{Lanes, LanesError};
use crate::http::pool::{BUFFER, Buffer, Pool};

/// Pieces that may wait to be opened.
const WAITING: usize = 8;

/// Encrypted bytes opened at once: they fit into what is left of a buffer often enough.
const STEP: usize = 32 * 1024;

/// What a decipher may give out beyond what it took in.
const EXCESS: usize = 16;

/// The thread, and the digests of the encrypted bytes, if the offer names any.
pub(super) struct Opening {
    input: Sender<Piece>,
    ciphertext: Option<Lanes>,
    thread: JoinHandle<(Decipher, Lanes)>,
}

/// Digests of the encrypted bytes that an offer names.
pub(super) fn ciphertext_lanes(envelope: &Envelope) -> Option<Lanes> {
    (!envelope.ciphertext.is_empty()).then(|| Lanes::start(Hasher::new(envelope.ciphertext.algos())))
}

impl Opening {
    /// What comes out goes to `lanes` and to `disk`.
    pub(super) fn start(decipher: Decipher, lanes: Lanes, ciphertext: Option<Lanes>, disk: Sender<Piece>) -> Self {
        let (input, pieces) = channel(WAITING);
        let thread = tokio::task::spawn_blocking(move || {
            let mut outlet = Outlet { pool: Pool::default(), buffer: None, filled: 0, lanes, disk };
            let decipher = open(decipher, pieces, &mut outlet);
            (decipher, outlet.lanes)
        });
        Self { input, ciphertext, thread }
    }

    /// The next encrypted bytes.
    pub(super) async fn write(&self, bytes: Bytes) -> Result<(), Ended> {
        if let Some(ciphertext) = &self.ciphertext {
            ciphertext.update(&bytes).await.map_err(|_| Ended)?;
        }
        self.input.send(Piece::Bytes(bytes)).await.map_err(|_| Ended)
    }

    /// A note for the disk, behind all bytes before it.
    pub(super) async fn pass(&self, piece: Piece) -> Result<(), Ended> {
        self.input.send(piece).await.map_err(|_| Ended)
    }

    /// Waits until all is opened.
    pub(super) async fn finish(self) -> Result<(Decipher, Lanes, Option<Lanes>), LanesError> {
        drop(self.input);
        let (decipher, lanes) = self.thread.await.map_err(|_| LanesError::Broken)?;
        Ok((decipher, lanes, self.ciphertext))
    }
}

/// The disk or a hasher is gone; they say why themselves.
struct Gone;

fn open(mut decipher: Decipher, mut pieces: Receiver<Piece>, outlet: &mut Outlet) -> Decipher {
    while let Some(piece) = pieces.blocking_recv() {
        let mut next = Some(piece);
        // Small pieces go on together, as long as nobody has to wait for more.
        while let Some(piece) = next {
            let done = match piece {
                Piece::Bytes(bytes) => bytes.chunks(STEP).try_for_each(|wire| outlet.take(&mut decipher, wire)),
                note @ Piece::Note(_) => outlet.flush().and_then(|()| outlet.disk.blocking_send(note).map_err(|_| Gone)),
            };
            if done.is_err() {
                return decipher;
            }
            next = pieces.try_recv().ok();
        }
        if outlet.flush().is_err() {
            return decipher;
        }
    }
    decipher
}

/// Where plain bytes gather and go on to.
struct Outlet {
    pool: Pool,
    buffer: Option<Buffer>,
    filled: usize,
    lanes: Lanes,
    disk: Sender<Piece>,
}

impl Outlet {
    fn take(&mut self, decipher: &mut Decipher, wire: &[u8]) -> Result<(), Gone> {
        if self.filled + wire.len() + EXCESS > BUFFER {
            self.flush()?;
        }
        let buffer = self.buffer.get_or_insert_with(|| self.pool.take());
        self.filled += decipher.update(wire, &mut buffer[self.filled..]);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Gone> {
        let Some(buffer) = self.buffer.take() else { return Ok(()) };
        let plain = self.pool.share(buffer, std::mem::take(&mut self.filled));
        if plain.is_empty() {
            return Ok(());
        }
        self.lanes.blocking_update(&plain).map_err(|_| Gone)?;
        self.disk.blocking_send(Piece::Bytes(plain)).map_err(|_| Gone)
    }
}
