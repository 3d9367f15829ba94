//! Buffers that go round: filled by the reader of a file, shared by the hashers and the socket, and back when the last of them is done.
//!
//! A big upload touches a few megabytes of memory again and again instead of asking for it page by page.

use std::ops::{Deref, DerefMut, Range};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// One buffer: big enough that hand-overs cost nothing, small enough to stay in the processor's cache.
pub(crate) const BUFFER: usize = 256 * 1024;
/// Where buffers begin in memory: a disk takes whole pages from there without a copy.
const PAGE: usize = 4096;
/// Buffers kept for later; more are made when needed, and dropped after.
const KEPT: usize = 32;

/// Gives out buffers and takes them back.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    kept: Arc<Mutex<Vec<Buffer>>>,
    size: usize,
}

/// An initialised buffer with anything in it, which begins at a page.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    memory: Vec<u8>,
    place: Range<usize>,
}

struct Lent {
    bytes: Buffer,
    len: usize,
    pool: Pool,
}

impl Default for Pool {
    fn default() -> Self {
        Self::of(BUFFER)
    }
}

impl Pool {
    /// Buffers of another size, for many that are at work at once.
    pub(crate) fn of(size: usize) -> Self {
        Self { kept: Arc::default(), size }
    }

    /// One that came back, or a new one.
    pub(crate) fn take(&self) -> Buffer {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_else(|| Buffer::new(self.size))
    }

    /// The first `len` bytes of a buffer as shared bytes; the buffer comes back when nobody holds them any more.
    pub(crate) fn share(&self, bytes: Buffer, len: usize) -> Bytes {
        let len = len.min(bytes.len());
        Bytes::from_owner(Lent { bytes, len, pool: self.clone() })
    }
}

impl Buffer {
    fn new(size: usize) -> Self {
        let memory = vec![0; size + PAGE];
        let from = memory.as_ptr().align_offset(PAGE).min(PAGE);
        Self { memory, place: from..from + size }
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.memory[self.place.clone()]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.memory[self.place.clone()]
    }
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut kept = self.pool.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT {
            kept.push(std::mem::take(&mut self.bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_when_the_last_reader_is_done() {
        let pool = Pool::default();
        let mut buffer = pool.take();
        buffer[..3].copy_from_slice(b"abc");
        let shared = pool.share(buffer, 3);
        let other = shared.clone();
        drop(shared);
        assert_eq!(&other[..], b"abc");
        assert_eq!(pool.kept.lock().unwrap().len(), 0);
        drop(other);
        assert_eq!(pool.kept.lock().unwrap().len(), 1);
        let again = pool.take();
        assert_eq!((again.len(), again.as_ptr().align_offset(PAGE)), (BUFFER, 0));
    }
}
