//! The bytes of one client: plain at first with STARTTLS, then TLS. Reads and writes at the same time, in one task.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use balcony_session::ChannelBindings;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ProtocolVersion;
use tokio_rustls::server::TlsStream;

use crate::certificates::HANDSHAKE;
use crate::http::Steady;

/// Read at a time; the parser likes slices of that size.
const READ: usize = 16 * 1024;
/// How long a closing connection may take its last words.
const LAST_WORDS: Duration = Duration::from_secs(5);

enum Transport {
    Plain(Steady),
    Tls(Box<TlsStream<Steady>>),
    /// Closed, or in the middle of a handshake.
    Gone,
}

/// See the module.
pub(crate) struct Socket {
    transport: Transport,
    input: Box<[u8]>,
    output: Vec<u8>,
    written: usize,
    unflushed: bool,
}

/// What the socket has done.
#[derive(Debug)]
pub(crate) enum Event {
    /// So many bytes came, see [`Socket::read`].
    Read(usize),
    /// All output is with the kernel.
    Wrote,
    /// No more: the peer closed, the connection broke, or the peer takes nothing.
    Closed,
}

impl Socket {
    pub(crate) fn new(stream: TcpStream, stall: Duration) -> Self {
        let _ = stream.set_nodelay(true);
        Self {
            transport: Transport::Plain(Steady::new(stream, READ, stall)),
            input: vec![0; READ].into(),
            output: Vec::new(),
            written: 0,
            unflushed: false,
        }
    }

    /// The TLS handshake, with what it gives to bind a login to.
    pub(crate) async fn encrypt(&mut self, tls: &TlsAcceptor, end_point: Option<&[u8]>, patience: Duration) -> Option<ChannelBindings> {
        self.finish_writing().await;
        let Transport::Plain(stream) = std::mem::replace(&mut self.transport, Transport::Gone) else { return None };
        let stream = match tokio::time::timeout(patience.min(HANDSHAKE), tls.accept(stream)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                tracing::debug!(%error, "a TLS handshake failed");
                return None;
            }
            Err(_) => return None,
        };
        let (_, tls) = stream.get_ref();
        // RFC 9266: in TLS 1.2 the exporter is unique only with the extended master secret, which rustls does not tell.
        let unique = tls.protocol_version() == Some(ProtocolVersion::TLSv1_3);
        let export = || tls.export_keying_material(vec![0; 32], b"EXPORTER-Channel-Binding", Some(b"")).ok();
        let bindings = ChannelBindings { exporter: unique.then(export).flatten(), server_end_point: end_point.map(<[u8]>::to_vec) };
        self.transport = Transport::Tls(Box::new(stream));
        Some(bindings)
    }

    /// The bytes of the last [`Event::Read`].
    pub(crate) fn read(&self, count: usize) -> &[u8] {
        &self.input[..count]
    }

    /// Adds bytes to be sent.
    pub(crate) fn push(&mut self, bytes: Vec<u8>) {
        if self.output.is_empty() {
            self.output = bytes;
        } else {
            self.output.extend_from_slice(&bytes);
        }
    }

    /// Bytes that wait to be sent.
    pub(crate) fn unsent(&self) -> usize {
        self.output.len() - self.written
    }

    /// Whether everything was sent.
    pub(crate) fn is_flushed(&self) -> bool {
        self.unsent() == 0 && !self.unflushed
    }

    /// Writes what there is and, if `reading`, waits for bytes. Dropping the future loses nothing.
    pub(crate) async fn event(&mut self, reading: bool) -> Event {
        std::future::poll_fn(|cx| self.poll_event(cx, reading)).await
    }

    fn poll_event(&mut self, cx: &mut Context<'_>, reading: bool) -> Poll<Event> {
        if !self.is_flushed()
            && let Poll::Ready(outcome) = self.poll_write(cx)
        {
            return Poll::Ready(if outcome.is_ok() { Event::Wrote } else { Event::Closed });
        }
        if reading { self.poll_read(cx) } else { Poll::Pending }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.output.len() {
            self.unflushed = true;
            let written = match &mut self.transport {
                Transport::Plain(stream) => Pin::new(stream).poll_write(cx, &self.output[self.written..]),
                Transport::Tls(stream) => Pin::new(stream).poll_write(cx, &self.output[self.written..]),
                Transport::Gone => return Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
            };
            match ready!(written)? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.written += written,
            }
        }
        self.output.clear();
        self.written = 0;
        let flushed = match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Transport::Tls(stream) => Pin::new(stream).poll_flush(cx),
            Transport::Gone => return Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        };
        ready!(flushed)?;
        self.unflushed = false;
        Poll::Ready(Ok(()))
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        let mut buffer = ReadBuf::new(&mut self.input);
        let read = match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_read(cx, &mut buffer),
            Transport::Tls(stream) => Pin::new(stream).poll_read(cx, &mut buffer),
            Transport::Gone => return Poll::Ready(Event::Closed),
        };
        let count = buffer.filled().len();
        match ready!(read) {
            Ok(()) if count > 0 => Poll::Ready(Event::Read(count)),
            Ok(()) | Err(_) => Poll::Ready(Event::Closed),
        }
    }

    async fn finish_writing(&mut self) {
        while !self.is_flushed() {
            if matches!(self.event(false).await, Event::Closed) {
                break;
            }
        }
    }

    /// Sends the last words, waits up to `linger` for the client to close its side, and closes.
    pub(crate) async fn close(mut self, linger: Duration) {
        let farewell = async {
            self.finish_writing().await;
            match &mut self.transport {
                Transport::Plain(stream) => drop(stream.shutdown().await),
                Transport::Tls(stream) => drop(stream.shutdown().await),
                Transport::Gone => {}
            }
        };
        // Whoever does not listen to the last words misses them.
        let said = tokio::time::timeout(LAST_WORDS, farewell).await;
        if said.is_ok() && !matches!(self.transport, Transport::Gone) {
            // Closing with unread input would reset the connection, and the last words with it.
            let emptied = async { while matches!(self.event(true).await, Event::Read(_)) {} };
            let _ = tokio::time::timeout(linger, emptied).await;
        }
    }
}
