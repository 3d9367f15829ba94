//! A file on its way out: read on a thread of its own, a little ahead of the stream, from any byte on; hashed on the way if its digests
//! are not known. Notices when the file is not the one that was announced: then its last bytes never go out.

use std::ops::Range;

use balcony_sharing::verify::{Hashed, Hasher};
use bytes::Bytes;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::task::JoinHandle;

use crate::http::lanes::{Lanes, LanesError};
use crate::http::pool::Pool;
use crate::http::source::{ReadFailure, read};
use crate::share::Input;

/// Pieces read ahead of the stream: many transfers at once share little memory.
const AHEAD: usize = 2;

/// A part of a file being read. Dropping it stops the reading.
pub(super) struct Pieces {
    pieces: Receiver<Bytes>,
    thread: JoinHandle<Result<Option<Lanes>, ReadFailure>>,
}

impl Pieces {
    /// Begins to read, in pieces of so many bytes. With a hasher the digests of all up to the end of the part are taken, of what comes
    /// before it as well.
    pub(super) fn start(input: Input, range: Range<u64>, hasher: Option<Hasher>, piece: usize) -> Self {
        let (output, pieces) = channel(AHEAD);
        let lanes = hasher.map(Lanes::start);
        let thread = tokio::task::spawn_blocking(move || read(input, range, lanes, &output, &Pool::of(piece)));
        Self { pieces, thread }
    }

    /// The next bytes; `None` at the end, and where something is wrong: [`Pieces::finish`] tells which. Safe to drop and call again.
    pub(super) async fn next(&mut self) -> Option<Bytes> {
        self.pieces.recv().await
    }

    /// Waits for the end: the digests, if they were asked for.
    pub(super) async fn finish(mut self) -> Result<Option<Hashed>, ReadFailure> {
        self.pieces.close();
        match self.thread.await.map_err(|_| ReadFailure::Lanes(LanesError::Broken))?? {
            Some(lanes) => Ok(Some(lanes.finish().await?)),
            None => Ok(None),
        }
    }
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

    async fn all(pieces: &mut Pieces) -> Vec<u8> {
        let mut seen = Vec::new();
        while let Some(piece) = pieces.next().await {
            seen.extend_from_slice(&piece);
        }
        seen
    }

    #[tokio::test]
    async fn a_part_is_read_by_itself_and_hashed_with_all_before_it() {
        let bytes: Vec<u8> = (0..200_000_u32).map(|number| (number % 251) as u8).collect();
        let (file, stamp) = file_of(&bytes);
        for range in [0..200_000, 70_001..200_000, 5..6, 0..0, 200_000..200_000] {
            let input = Input::File(file.reopen().unwrap(), stamp);
            let mut pieces = Pieces::start(input, range.clone(), Some(Hasher::new(SHARED_ALGOS)), 16 * 1024);
            let (start, end) = (usize::try_from(range.start).unwrap(), usize::try_from(range.end).unwrap());
            assert_eq!(all(&mut pieces).await, &bytes[start..end], "{range:?}");
            let mut whole = Hasher::new(SHARED_ALGOS);
            whole.update(&bytes[..end]);
            assert_eq!(pieces.finish().await.unwrap(), Some(whole.finish()));
        }
    }

    #[tokio::test]
    async fn a_file_that_changed_never_gets_to_its_end() {
        for length in [10, 30] {
            for range in [0..20, 5..20] {
                let (file, stamp) = file_of(&[1; 20]);
                file.as_file().set_len(length).unwrap();
                let mut pieces = Pieces::start(Input::File(file.reopen().unwrap(), stamp), range, None, 1024);
                assert!(all(&mut pieces).await.is_empty());
                assert!(matches!(pieces.finish().await, Err(ReadFailure::Changed)));
            }
        }
        let (file, stamp) = file_of(&[1; 20]);
        let mut beyond = Pieces::start(Input::File(file.reopen().unwrap(), stamp), 5..21, None, 1024);
        assert!(all(&mut beyond).await.is_empty());
        assert!(matches!(beyond.finish().await, Err(ReadFailure::Changed)));
    }
}
