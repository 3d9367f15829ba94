//! Bodies of answers: nothing, words, or a part of a file that is read as it is sent.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::task::JoinHandle;

/// Read from the disk at a time: large enough to make the way to the blocking threads cheap.
const CHUNK: u64 = 256 * 1024;

/// A body.
pub(crate) enum Answer {
    Empty,
    Text(Bytes),
    File(FilePart),
}

/// A part of a file; one chunk is read while the one before is sent.
pub(crate) struct FilePart {
    file: Arc<File>,
    at: u64,
    /// Bytes not yet asked of the disk.
    unread: u64,
    /// Bytes not yet handed to the connection.
    left: u64,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
}

impl FilePart {
    pub(crate) fn new(file: File, first: u64, length: u64) -> Self {
        Self { file: file.into(), at: first, unread: length, left: length, reading: None }
    }

    fn read_ahead(&mut self) {
        let length = self.unread.min(CHUNK);
        if length == 0 {
            return;
        }
        let (file, at) = (self.file.clone(), self.at);
        self.at += length;
        self.unread -= length;
        self.reading = Some(tokio::task::spawn_blocking(move || {
            let mut chunk = vec![0; usize::try_from(length).unwrap_or_default()];
            file.read_exact_at(&mut chunk, at)?;
            Ok(chunk.into())
        }));
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        if self.reading.is_none() {
            self.read_ahead();
        }
        let Some(reading) = &mut self.reading else { return Poll::Ready(None) };
        let chunk = ready!(Pin::new(reading).poll(cx)).map_err(io::Error::other).and_then(|chunk| chunk);
        self.reading = None;
        if let Ok(chunk) = &chunk {
            self.left -= chunk.len() as u64;
            self.read_ahead();
        }
        Poll::Ready(Some(chunk))
    }
}

use std::future::Future as _;

impl Body for Answer {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match &mut *self {
            Self::Empty => Poll::Ready(None),
            Self::Text(_) => match std::mem::replace(&mut *self, Self::Empty) {
                Self::Text(text) => Poll::Ready(Some(Ok(Frame::data(text)))),
                _ => Poll::Ready(None),
            },
            Self::File(part) => part.poll_chunk(cx).map(|chunk| chunk.map(|chunk| chunk.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Text(text) => text.is_empty(),
            Self::File(part) => part.left == 0,
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match self {
            Self::Empty => 0,
            Self::Text(text) => text.len() as u64,
            Self::File(part) => part.left,
        })
    }
}
