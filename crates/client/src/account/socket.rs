//! The connection below a stream: TCP, later TLS, one at a time. Reading and writing go on side by side in one task.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use balcony_session::ChannelBindings;
use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead as _, AsyncWrite as _, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use crate::net::NetError;
use crate::net::network::Network;
use crate::net::tls::{channel_bindings, version_words};

/// How long the last words may take.
const FAREWELL: Duration = Duration::from_secs(3);

pub(super) struct Socket {
    stream: Stream,
    /// What is still to be written.
    out: BytesMut,
    /// Written, but perhaps not handed to the system.
    unflushed: bool,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    /// The handshake failed.
    Gone,
}

/// What happened on the connection.
#[derive(Debug)]
pub(super) enum Event {
    /// That many bytes were read; 0 is the end.
    Read(usize),
    /// Something was written.
    Wrote,
}

impl Socket {
    /// Connects; reveals our address to the host, or to the proxy.
    pub(super) async fn connect(host: &str, port: u16, network: &Network) -> Result<Self, NetError> {
        let stream = network.connect(host, port).await?;
        Ok(Self { stream: Stream::Plain(stream), out: BytesMut::new(), unflushed: false })
    }

    /// Does the handshake. What waited to be written was written before, what was read before is gone.
    pub(super) async fn encrypt(&mut self, network: &Network, domain: &str) -> Result<ChannelBindings, NetError> {
        match std::mem::replace(&mut self.stream, Stream::Gone) {
            Stream::Plain(stream) => {
                let stream = network.xmpp(domain, stream).await?;
                let bindings = channel_bindings(stream.get_ref().1);
                self.stream = Stream::Tls(Box::new(stream));
                Ok(bindings)
            }
            Stream::Tls(_) | Stream::Gone => {
                Err(NetError::Tls { host: domain.to_owned(), why: "the connection is encrypted already".to_owned() })
            }
        }
    }

    /// The version of TLS in words.
    pub(super) fn tls_version(&self) -> Option<&'static str> {
        match &self.stream {
            Stream::Tls(stream) => Some(version_words(stream.get_ref().1)),
            Stream::Plain(_) | Stream::Gone => None,
        }
    }

    /// Puts bytes behind those that wait.
    pub(super) fn queue(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// How many bytes wait.
    pub(super) fn waiting(&self) -> usize {
        self.out.len()
    }

    /// Writes what waits, or reads (when `buffer` is not empty), whatever comes first. Safe to drop.
    pub(super) async fn event(&mut self, buffer: &mut [u8]) -> io::Result<Event> {
        poll_fn(|cx| self.poll_event(cx, buffer)).await
    }

    fn poll_event(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<Event>> {
        if let Poll::Ready(wrote) = self.poll_out(cx)
            && wrote?
        {
            return Poll::Ready(Ok(Event::Wrote));
        }
        if buffer.is_empty() {
            return Poll::Pending;
        }
        let mut read = ReadBuf::new(buffer);
        ready!(self.stream.poll_read(cx, &mut read))?;
        Poll::Ready(Ok(Event::Read(read.filled().len())))
    }

    /// `Ready(true)` when something was written, `Ready(false)` when there was nothing to write.
    fn poll_out(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        if !self.out.is_empty() {
            let written = ready!(self.stream.poll_write(cx, &self.out))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.out.advance(written);
            self.unflushed = true;
            return Poll::Ready(Ok(true));
        }
        if self.unflushed {
            ready!(self.stream.poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(false))
    }

    /// Writes all that waits.
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        poll_fn(|cx| {
            loop {
                if !ready!(self.poll_out(cx))? {
                    return Poll::Ready(Ok(()));
                }
            }
        })
        .await
    }

    /// Writes what waits and closes, as well as the connection still lets us.
    pub(super) async fn close(mut self) {
        let farewell = async {
            self.flush().await?;
            match &mut self.stream {
                Stream::Plain(stream) => stream.shutdown().await,
                Stream::Tls(stream) => stream.shutdown().await,
                Stream::Gone => Ok(()),
            }
        };
        // It is over either way.
        let _ = timeout(FAREWELL, farewell).await;
    }
}

impl Stream {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_read(cx, buffer),
            Self::Gone => Poll::Ready(Ok(())),
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_write(cx, bytes),
            Self::Gone => Poll::Ready(Ok(0)),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_flush(cx),
            Self::Gone => Poll::Ready(Ok(())),
        }
    }
}
