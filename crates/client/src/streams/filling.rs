//! Pieces filled from a connection, as large as may be: whoever takes one is woken for it.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use crate::http::pool::{Buffer, Pool};

/// How long a piece is filled, from its first bytes on.
const MOMENT: Duration = Duration::from_millis(100);

/// The piece that is being filled. Pieces begin at multiples of their size, counted from the first byte of the file: so do blocks of a disk.
#[derive(Debug)]
pub(super) struct Filling {
    pool: Pool,
    buffer: Buffer,
    filled: usize,
    /// When it goes on, full or not.
    until: Option<Instant>,
    /// What went wrong behind what was read: the system says it once.
    failed: Option<io::Error>,
    /// Which byte of the file comes next.
    at: u64,
}

impl Filling {
    /// Pieces of at most so many bytes; the first byte is that of the file.
    pub(super) fn new(size: usize, from: u64) -> Self {
        Self { pool: Pool::of(size), buffer: Buffer::default(), filled: 0, until: None, failed: None, at: from }
    }

    /// Waits for bytes and, a moment longer in all, for a full piece or `most` bytes; `None` at the end. Dropping the future loses nothing.
    pub(super) async fn next(&mut self, stream: &TcpStream, most: u64) -> io::Result<Option<Bytes>> {
        if self.buffer.is_empty() {
            self.buffer = self.pool.take();
        }
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let wanted = self.wanted(most);
        while self.filled < wanted {
            match stream.try_read(&mut self.buffer[self.filled..wanted]) {
                Ok(0) => break,
                Ok(read) => {
                    self.filled += read;
                    self.until.get_or_insert_with(|| Instant::now() + MOMENT);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => match self.until {
                    None => stream.readable().await?,
                    Some(until) => match timeout_at(until, stream.readable()).await {
                        Ok(ready) => ready?,
                        Err(_) => break,
                    },
                },
                Err(error) if self.filled > 0 => {
                    self.failed = Some(error);
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        self.until = None;
        let filled = std::mem::take(&mut self.filled);
        self.at += filled as u64;
        Ok((filled > 0).then(|| self.pool.share(std::mem::take(&mut self.buffer), filled)))
    }

    fn wanted(&self, most: u64) -> usize {
        let size = self.buffer.len();
        let begun = usize::try_from(self.at % size as u64).unwrap_or(0);
        usize::try_from(most).map_or(size - begun, |most| most.min(size - begun))
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn pieces_are_full_and_begin_where_those_of_the_file_do() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let mut out = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (into, _) = listener.accept().await.unwrap();
        let bytes: Vec<u8> = (0..100_000_u32).map(|at| at as u8).collect();
        let sent = bytes.clone();
        let sending = tokio::spawn(async move {
            out.write_all(&sent[..5]).await.unwrap();
            for part in sent[5..].chunks(1000) {
                out.write_all(part).await.unwrap();
            }
        });
        let mut filling = Filling::new(16 * 1024, 40_000);
        let (mut came, mut lengths) = (Vec::new(), Vec::new());
        while let Some(piece) = filling.next(&into, (bytes.len() - came.len()) as u64).await.unwrap() {
            lengths.push(piece.len());
            came.extend_from_slice(&piece);
        }
        sending.await.unwrap();
        assert_eq!(came, bytes);
        let mut at = 40_000;
        for length in lengths {
            at += length;
            // A slow moment may cut a piece, and the next one makes up for it.
            assert!(length <= 16 * 1024 && (at - length) / (16 * 1024) == (at - 1) / (16 * 1024), "{length} bytes to {at}");
        }
    }

    #[tokio::test]
    async fn what_is_there_does_not_wait_long_for_more() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let mut out = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (into, _) = listener.accept().await.unwrap();
        out.write_all(b"slow").await.unwrap();
        let mut filling = Filling::new(16 * 1024, 0);
        assert_eq!(filling.next(&into, u64::MAX).await.unwrap().unwrap(), &b"slow"[..]);
        // Nothing is lost by whoever gives up waiting.
        assert!(tokio::time::timeout(Duration::from_millis(30), filling.next(&into, u64::MAX)).await.is_err());
        out.write_all(b"er").await.unwrap();
        drop(out);
        assert_eq!(filling.next(&into, u64::MAX).await.unwrap().unwrap(), &b"er"[..]);
        assert!(filling.next(&into, u64::MAX).await.unwrap().is_none());
    }
}
