//! How a program reaches others: whom it trusts, and by which way it goes. One value, so that nothing is opened around a proxy.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::proxy::Proxy;
use super::tls::{Trust, TrustError};
use super::{NetError, dial, dns};

/// See the module. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    trust: Trust,
    proxy: Option<Arc<Proxy>>,
}

impl Network {
    /// The system's authorities and those in `ca_pem`; everything by way of the proxy, if there is one. Blocks for a moment.
    pub(crate) fn new(ca_pem: Option<&str>, proxy: Option<Proxy>) -> Result<Self, TrustError> {
        Ok(Self { trust: Trust::new(ca_pem)?, proxy: proxy.map(Arc::new) })
    }

    /// The proxy that everything goes through.
    pub(crate) fn proxy(&self) -> Option<&Proxy> {
        self.proxy.as_deref()
    }

    /// Whether .onion addresses can be reached.
    pub(crate) fn reaches_onion(&self) -> bool {
        self.proxy().is_some_and(Proxy::reaches_onion)
    }

    /// Connects to a host: to one of its addresses, or to whatever the proxy makes of its name.
    pub(crate) async fn connect(&self, host: &str, port: u16) -> Result<TcpStream, NetError> {
        match self.proxy() {
            Some(proxy) => proxy.open(host, port).await,
            None => dial::dial(host, dns::addresses(host, port).await?).await,
        }
    }

    /// Encrypts a connection to an XMPP server. `domain` is the one of the account, whatever host was dialled.
    pub(crate) async fn xmpp<S: AsyncRead + AsyncWrite + Unpin>(&self, domain: &str, stream: S) -> Result<TlsStream<S>, NetError> {
        self.trust.xmpp(domain, stream).await
    }

    /// Encrypts a connection to a web server.
    pub(crate) async fn https<S: AsyncRead + AsyncWrite + Unpin>(&self, host: &str, stream: S) -> Result<TlsStream<S>, NetError> {
        self.trust.https(host, stream).await
    }
}
