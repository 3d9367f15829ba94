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

    use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};

    use super::MOST;

    /// Asked of the kernel; it may give less.
    const SIZE: usize = 256 * 1024;

    #[derive(Debug)]
    pub(in super::super) struct Pipe {
        read: OwnedFd,
        write: OwnedFd,
        held: usize,
    }

    impl Pipe {
        pub(super) fn new() -> io::Result<Self> {
            let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
            // A user has so many large pipes; the next ones are of the usual size.
            let _ = fcntl_setpipe_size(&write, SIZE);
            Ok(Self { read, write, held: 0 })
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
