//! A server of its own for each test, on free ports and in a folder that goes away.

use std::sync::Arc;

use balcony_server::{Running, Server, Settings};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

use crate::peer::Peer;

pub(crate) const ACCOUNTS: [&str; 3] = ["romeo", "juliet", "nurse"];

/// A running server with three accounts, whose passwords are their names.
pub(crate) struct House {
    pub(crate) server: Running,
    pub(crate) folder: tempfile::TempDir,
}

/// With the usual settings.
pub(crate) async fn house() -> House {
    house_with(|_| {}).await
}

/// With other settings.
pub(crate) async fn house_with(change: impl FnOnce(&mut Settings)) -> House {
    let folder = tempfile::tempdir().unwrap();
    let server = start_in(&folder, change).await;
    for name in ACCOUNTS {
        server.add_account(name, name).await.unwrap();
    }
    House { server, folder }
}

pub(crate) async fn start_in(folder: &tempfile::TempDir, change: impl FnOnce(&mut Settings)) -> Running {
    let mut settings = Settings::new("localhost", folder.path().join("data"));
    settings.scram_iterations = 4096;
    change(&mut settings);
    Server::start(settings).await.unwrap()
}

impl House {
    /// Ends the server and starts it again on the same folder.
    pub(crate) async fn restart(self) -> Self {
        self.server.shutdown().await;
        let server = start_in(&self.folder, |_| {}).await;
        Self { server, folder: self.folder }
    }

    /// TLS that trusts the authority of this server and nothing else.
    pub(crate) fn tls(&self, alpn: &str) -> TlsConnector {
        tls(self.server.ca_pem().unwrap(), alpn)
    }

    /// A client with its header out and features read, not logged in.
    pub(crate) async fn stranger(&self) -> Peer {
        let mut peer = Peer::connect(self).await;
        peer.open().await;
        peer
    }

    /// A client that is logged in and bound, without presence.
    pub(crate) async fn login(&self, name: &str, resource: &str) -> Peer {
        let mut peer = self.stranger().await;
        peer.log_in(name, name).await;
        peer.bind(resource).await;
        peer
    }

    /// A client that has sent initial presence and seen it come back.
    pub(crate) async fn online(&self, name: &str, resource: &str) -> Peer {
        let mut peer = self.login(name, resource).await;
        peer.send("<presence/>").await;
        let jid = peer.jid.clone();
        peer.until(|element| element.is("presence", "jabber:client") && element.attr("from") == Some(&jid)).await;
        peer
    }
}

/// TLS that trusts one authority and nothing else.
pub(crate) fn tls(ca_pem: &str, alpn: &str) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca_pem.as_bytes()).unwrap()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
    TlsConnector::from(Arc::new(config))
}
