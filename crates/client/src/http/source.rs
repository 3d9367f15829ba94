//! Reads a file once, on a thread of its own, ahead of the network; hashes on the way if asked to. Notices when the file is not
//! the one that was announced.

use std::io::{self, Read as _};

use balcony_sharing::verify::{Hashed, Hasher};
use bytes::Bytes;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;

use super::lanes::{Lanes, LanesError};
use super::pool::Pool;
use crate::share::Input;

/// Pieces read ahead of the network.
const AHEAD: usize = 6;

/// Why a file could not be read to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadFailure {
    #[error("reading it failed")]
    Io(#[source] io::Error),
    /// It grew, shrank or was written to.
    #[error("it was changed while it was read")]
    Changed,
    #[error(transparent)]
    Lanes(#[from] LanesError),
    /// Nobody wants the bytes any more.
    #[error("the reading was given up")]
    Dropped,
}

/// A file being read. The bytes come out of `pieces`, which end early when something is wrong; then [`Reading::finish`] says what.
/// Dropping `pieces` stops the reading.
pub(crate) struct Reading {
    thread: JoinHandle<Result<Option<Lanes>, ReadFailure>>,
}

impl Reading {
    /// Begins. With a hasher the digests are taken on the way.
    pub(crate) fn start(input: Input, hasher: Option<Hasher>) -> (Self, Receiver<Bytes>) {
        let (output, pieces) = channel(AHEAD);
        let lanes = hasher.map(Lanes::start);
        let thread = tokio::task::spawn_blocking(move || read(input, lanes, &output));
        (Self { thread }, pieces)
    }

    /// Waits for the end: the digests, if they were asked for.
    pub(crate) async fn finish(self) -> Result<Option<Hashed>, ReadFailure> {
        match self.thread.await.map_err(|_| ReadFailure::Lanes(LanesError::Broken))?? {
            Some(lanes) => Ok(Some(lanes.finish().await?)),
            None => Ok(None),
        }
    }
}

fn read(mut input: Input, lanes: Option<Lanes>, output: &Sender<Bytes>) -> Result<Option<Lanes>, ReadFailure> {
    let pool = Pool::default();
    let mut left = input.size();
    while left > 0 {
        let mut buffer = pool.take();
        let wanted = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let filled = fill(&mut input, &mut buffer[..wanted]).map_err(ReadFailure::Io)?;
        if filled < wanted {
            return Err(ReadFailure::Changed);
        }
        left -= filled as u64;
        if left == 0 {
            // Before the last bytes go out: an upload that is short of them is no upload.
            if !input.is_unchanged().map_err(ReadFailure::Io)? {
                return Err(ReadFailure::Changed);
            }
        }
        let piece = pool.share(buffer, filled);
        if let Some(lanes) = &lanes {
            lanes.blocking_update(&piece)?;
        }
        output.blocking_send(piece).map_err(|_| ReadFailure::Dropped)?;
    }
    Ok(lanes)
}

fn fill(input: &mut Input, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match input.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use balcony_sharing::verify::SHARED_ALGOS;
    use balcony_store::FileStamp;

    use super::*;

    fn file_of(bytes: &[u8]) -> (tempfile::NamedTempFile, FileStamp) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        let stamp = FileStamp::of(&file.as_file().metadata().unwrap());
        (file, stamp)
    }

    /// Proves: USER-2-4.
    #[tokio::test]
    async fn reads_every_byte_once_and_hashes_on_the_way() {
        let bytes: Vec<u8> = (0..700_000_u32).map(|number| (number % 251) as u8).collect();
        let (file, stamp) = file_of(&bytes);
        let (reading, mut pieces) = Reading::start(Input::File(file.reopen().unwrap(), stamp), Some(Hasher::new(SHARED_ALGOS)));
        let mut seen = Vec::new();
        while let Some(piece) = pieces.recv().await {
            seen.extend_from_slice(&piece);
        }
        assert_eq!(seen, bytes);
        let mut whole = Hasher::new(SHARED_ALGOS);
        whole.update(&bytes);
        assert_eq!(reading.finish().await.unwrap(), Some(whole.finish()));
    }

    #[tokio::test]
    async fn notices_a_file_that_shrank_or_grew() {
        for length in [10, 30] {
            let (file, stamp) = file_of(&[1; 20]);
            file.as_file().set_len(length).unwrap();
            let (reading, mut pieces) = Reading::start(Input::File(file.reopen().unwrap(), stamp), None);
            assert_eq!(pieces.recv().await, None, "the last bytes of a changed file never go out");
            assert!(matches!(reading.finish().await, Err(ReadFailure::Changed)));
        }
    }

    #[tokio::test]
    async fn stops_reading_when_nobody_wants_the_bytes() {
        let (file, stamp) = file_of(&vec![1; 4_000_000]);
        let (reading, pieces) = Reading::start(Input::File(file.reopen().unwrap(), stamp), None);
        drop(pieces);
        assert!(matches!(reading.finish().await, Err(ReadFailure::Dropped)));
    }
}
