//! Connections to web servers: the rules for foreign addresses are checked here, where the socket is opened.
//!
//! The name is resolved once, its addresses are checked, and those very addresses are dialled: neither another spelling of
//! an address nor a second answer of the resolver gets around the rules.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use balcony_sharing::net_rules::AddressRule;
use tokio::io::{AsyncRead, AsyncWrite, BufReader, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::network::Network;
use super::{NetError, dial, dns};

/// What one system call may read: the TLS library alone asks for 4 KiB at a time.
const READ_AHEAD: usize = 128 * 1024;

/// A connection to a web server.
pub(crate) enum WebStream {
    Plain(Counted),
    Tls(Box<TlsStream<BufReader<Counted>>>),
}

/// Where a web server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WebHost {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) encrypted: bool,
}

/// Opens a connection to an address that the rule allows; `moved` counts what goes over the wire. Dropping the future closes
/// what was begun.
pub(crate) async fn connect(to: &WebHost, network: &Network, rule: &AddressRule, moved: Moved) -> Result<WebStream, NetError> {
    let stream = match network.proxy() {
        Some(proxy) => {
            rule.check_unresolved(&to.host)?;
            proxy.open(&to.host, to.port).await?
        }
        None => dial::dial(&to.host, allowed(dns::addresses(&to.host, to.port).await?, rule)?).await?,
    };
    let stream = Counted { stream, moved };
    if !to.encrypted {
        return Ok(WebStream::Plain(stream));
    }
    let stream = network.https(&to.host, BufReader::with_capacity(READ_AHEAD, stream)).await?;
    Ok(WebStream::Tls(Box::new(stream)))
}

/// Those that the rule allows; the refusal when it allows none.
fn allowed(addresses: Vec<SocketAddr>, rule: &AddressRule) -> Result<Vec<SocketAddr>, NetError> {
    let mut refused = None;
    let mut kept = Vec::with_capacity(addresses.len());
    for address in addresses {
        match rule.check(address.ip()) {
            Ok(()) => kept.push(address),
            Err(refusal) => refused = Some(refusal),
        }
    }
    match refused {
        Some(refusal) if kept.is_empty() => Err(refusal.into()),
        _ => Ok(kept),
    }
}

/// Bytes that went over the wire in either direction: tells a slow connection from a dead one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Moved(Arc<AtomicU64>);

impl Moved {
    pub(crate) fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

/// A TCP connection that counts.
pub(crate) struct Counted {
    stream: TcpStream,
    moved: Moved,
}

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.moved.add(buf.filled().len() - before);
        polled
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.count(polled)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.count(polled)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl Counted {
    fn count(&self, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(written)) = polled {
            self.moved.add(written);
        }
        polled
    }
}

impl AsyncRead for WebStream {
    /// Fills the buffer as far as it can without waiting: the TLS library hands out one record of 16 KiB at a time, which
    /// would make every chunk of a big body that small.
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        loop {
            let had = buf.filled().len();
            let polled = match &mut *self {
                Self::Plain(stream) => return Pin::new(stream).poll_read(cx, buf),
                Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
            };
            if had == before {
                ready!(polled)?;
            } else if !matches!(polled, Poll::Ready(Ok(()))) {
                // What was read is handed out first; an error comes again at the next call.
                return Poll::Ready(Ok(()));
            }
            if buf.filled().len() == had || buf.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl AsyncWrite for WebStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use balcony_sharing::net_rules::{NetRules, check_url};
    use url::Url;

    use super::*;

    fn public_only() -> AddressRule {
        check_url(&Url::parse("https://files.example/").unwrap(), &NetRules::default()).unwrap()
    }

    #[test]
    fn only_the_addresses_that_the_rule_allows_are_dialled() {
        let mixed = ["1.1.1.1:443", "127.0.0.1:443"].map(|text| text.parse().unwrap()).to_vec();
        assert_eq!(allowed(mixed, &public_only()).unwrap(), ["1.1.1.1:443".parse().unwrap()]);
        let refused = allowed(vec!["127.0.0.1:443".parse().unwrap()], &public_only()).unwrap_err();
        assert!(matches!(refused, NetError::Forbidden(_)), "{refused}");
    }

    #[tokio::test]
    async fn addresses_are_checked_however_they_are_spelt() {
        let network = Network::new(None, None).unwrap();
        for host in ["127.0.0.1", "[::1]", "localhost", "2130706433", "0x7f.1"] {
            let to = WebHost { host: host.to_owned(), port: 443, encrypted: true };
            let refused = connect(&to, &network, &public_only(), Moved::default()).await.err().unwrap();
            assert!(matches!(refused, NetError::Forbidden(_)), "{host}: {refused}");
        }
    }
}
