//! Carries bytes from one socket to another: through a pipe of the kernel, so that they never come into this process, or, where there
//! is none, through a buffer. Either holds a bounded number of bytes.

use std::io;
use std::os::fd::AsFd;

use tokio::io::Interest;
use tokio::net::TcpStream;

/// Of the buffer.
const BUFFER: usize = 64 * 1024;
/// The most that is taken at a time.
pub(super) const MOST: usize = 1 << 20;

/// Something to carry bytes in.
#[derive(Debug)]
pub(super) enum Carrier {
    #[cfg(target_os = "linux")]
    Pipe(kernel::Pipe),
    Buffer {
        bytes: Box<[u8]>,
        held: std::ops::Range<usize>,
    },
}

impl Carrier {
    /// The best there is now.
    pub(super) fn new() -> Self {
        #[cfg(target_os = "linux")]
        if let Ok(pipe) = kernel::Pipe::new() {
            return Self::Pipe(pipe);
        }
        Self::buffer()
    }

    pub(super) fn buffer() -> Self {
        Self::Buffer { bytes: vec![0; BUFFER].into(), held: 0..0 }
    }

    /// Takes up to `most` bytes, waiting for the first of them; 0 at the end. Only while nothing is held.
    pub(super) async fn fill(&mut self, from: &TcpStream, most: usize) -> io::Result<usize> {
        match self {
            #[cfg(target_os = "linux")]
            Self::Pipe(pipe) => from.async_io(Interest::READABLE, || pipe.fill(from.as_fd(), most)).await,
            Self::Buffer { bytes, held } => {
                let room = most.min(bytes.len());
                let count = from.async_io(Interest::READABLE, || Ok(rustix::io::read(from, &mut bytes[..room])?)).await?;
                *held = 0..count;
                Ok(count)
            }
        }
    }

    /// Gives some of what is held; so many.
    pub(super) async fn empty(&mut self, to: &TcpStream) -> io::Result<usize> {
        let count = match self {
            #[cfg(target_os = "linux")]
            Self::Pipe(pipe) => to.async_io(Interest::WRITABLE, || pipe.empty(to.as_fd())).await?,
            Self::Buffer { bytes, held } => {
                let count = to.async_io(Interest::WRITABLE, || Ok(rustix::io::write(to, &bytes[held.clone()])?)).await?;
                held.start += count;
                count
            }
        };
        if count == 0 { Err(io::ErrorKind::WriteZero.into()) } else { Ok(count) }
    }
}

#[cfg(target_os = "linux")]
mod kernel {
    use std::io;
    use std::os::fd::{BorrowedFd, OwnedFd};

    use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_getpipe_size, fcntl_setpipe_size, pipe_with, splice};

    use super::MOST;

    /// Asked of the kernel, the first that it gives: the larger a pipe, the fewer times anybody is woken. All pipes of a user have a bound
    /// together, behind which new ones are tiny.
    const SIZES: [usize; 2] = [1 << 20, 256 * 1024];
    const LEAST: usize = 64 * 1024;

    #[derive(Debug)]
    pub(in super::super) struct Pipe {
        read: OwnedFd,
        write: OwnedFd,
        held: usize,
    }

    impl Pipe {
        pub(super) fn new() -> io::Result<Self> {
            let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
            let given = SIZES.iter().find_map(|size| fcntl_setpipe_size(&write, *size).ok());
            match given.map_or_else(|| fcntl_getpipe_size(&write), Ok)? {
                size if size >= LEAST => Ok(Self { read, write, held: 0 }),
                _ => Err(io::ErrorKind::QuotaExceeded.into()),
            }
        }

        /// The pipe is empty: only the socket can have nothing to give.
        pub(super) fn fill(&mut self, from: BorrowedFd<'_>, most: usize) -> io::Result<usize> {
            let count = splice(from, None, &self.write, None, most.min(MOST), SpliceFlags::MOVE | SpliceFlags::NONBLOCK)?;
            self.held += count;
            Ok(count)
        }

        pub(super) fn empty(&mut self, to: BorrowedFd<'_>) -> io::Result<usize> {
            let count = splice(&self.read, None, to, None, self.held, SpliceFlags::MOVE | SpliceFlags::NONBLOCK)?;
            self.held -= count;
            Ok(count)
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (near, far) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
        (near.unwrap(), far.unwrap().0)
    }

    /// Either kind, in pieces of any size, against a reader that is slower than the writer.
    #[tokio::test]
    async fn what_is_taken_is_given_in_order_and_whole() {
        for (mut carrier, piece) in [(Carrier::new(), MOST), (Carrier::new(), 1_000), (Carrier::buffer(), MOST), (Carrier::buffer(), 1_000)]
        {
            let ((mut giver, from), (to, mut taker)) = (pair().await, pair().await);
            let bytes: Vec<u8> = (0..3_000_001_u32).map(|n| (n % 253) as u8).collect();
            let expected = bytes.clone();
            let giving = tokio::spawn(async move { giver.write_all(&bytes).await });
            let taking = tokio::spawn(async move {
                let mut all = Vec::new();
                taker.read_to_end(&mut all).await.map(|_| all)
            });
            loop {
                let mut held = carrier.fill(&from, piece).await.unwrap();
                if held == 0 {
                    break;
                }
                assert!(held <= piece);
                while held > 0 {
                    held -= carrier.empty(&to).await.unwrap();
                }
            }
            drop(to);
            giving.await.unwrap().unwrap();
            assert!(taking.await.unwrap().unwrap() == expected);
        }
    }

    #[tokio::test]
    async fn who_has_closed_is_an_error_and_no_end_of_the_program() {
        for mut carrier in [Carrier::new(), Carrier::buffer()] {
            let ((mut giver, from), (to, taker)) = (pair().await, pair().await);
            drop(taker);
            let failed = loop {
                giver.write_all(&[1; 1_000]).await.unwrap();
                carrier.fill(&from, MOST).await.unwrap();
                if let Err(error) = carrier.empty(&to).await {
                    break error;
                }
            };
            assert!(matches!(failed.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset), "{failed}");
        }
    }
}
