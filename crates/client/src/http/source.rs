//! Reads a file once, on a thread of its own, ahead of the network; hashes on the way if asked to. Notices when the file is not
//! the one that was announced.

use std::io::{self, Read as _};
use std::ops::Range;

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
        let (size, lanes) = (input.size(), hasher.map(Lanes::start));
        let thread = tokio::task::spawn_blocking(move || read(input, 0..size, lanes, &output, &Pool::default()));
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

/// Reads a part of a file to its end; with lanes, what comes before it as well, for the digests alone.
pub(crate) fn read(
    mut input: Input,
    range: Range<u64>,
    lanes: Option<Lanes>,
    output: &Sender<Bytes>,
    pool: &Pool,
) -> Result<Option<Lanes>, ReadFailure> {
    let size = input.size();
    if range.end > size {
        return Err(ReadFailure::Changed);
    }
    match &lanes {
        Some(lanes) => skip(&mut input, range.start, lanes, pool)?,
        None if range.start == 0 => {}
        None => input.seek(range.start).map_err(ReadFailure::Io)?,
    }
    let mut left = range.end.saturating_sub(range.start);
    while left > 0 {
        let mut buffer = pool.take();
        let wanted = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let filled = fill(&mut input, &mut buffer[..wanted]).map_err(ReadFailure::Io)?;
        if filled < wanted {
            return Err(ReadFailure::Changed);
        }
        left -= filled as u64;
        // Before the last bytes go out: a file that is short of them is no file.
        if left == 0 && !is_unchanged(&mut input, range.end == size).map_err(ReadFailure::Io)? {
            return Err(ReadFailure::Changed);
        }
        let piece = pool.share(buffer, filled);
        if let Some(lanes) = &lanes {
            lanes.blocking_update(&piece)?;
        }
        output.blocking_send(piece).map_err(|_| ReadFailure::Dropped)?;
    }
    Ok(lanes)
}

/// What the other side has already is read for the digests alone.
fn skip(input: &mut Input, until: u64, lanes: &Lanes, pool: &Pool) -> Result<(), ReadFailure> {
    let mut left = until;
    while left > 0 {
        let mut buffer = pool.take();
        let wanted = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let filled = fill(input, &mut buffer[..wanted]).map_err(ReadFailure::Io)?;
        if filled < wanted {
            return Err(ReadFailure::Changed);
        }
        left -= filled as u64;
        lanes.blocking_update(&pool.share(buffer, filled))?;
    }
    Ok(())
}

fn is_unchanged(input: &mut Input, to_its_end: bool) -> io::Result<bool> {
    if to_its_end { input.is_unchanged() } else { input.has_same_stamp() }
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
