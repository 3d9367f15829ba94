//! TLS 1.2 and 1.3 with the system's authorities, those the person added, and none switched off.
//!
//! RFC 7590, RFC 9266 (`tls-exporter`).
//! XEP-0368 SRV records for XMPP over TLS, v1.1.0 <https://xmpp.org/extensions/xep-0368.html> (ALPN)

use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use balcony_session::ChannelBindings;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{self, ClientConfig, ClientConnection, ProtocolVersion, RootCertStore};

use super::NetError;
use super::end_point::server_end_point;

/// How long a handshake may take.
const DEADLINE: Duration = Duration::from_secs(20);
/// What may wait encrypted for the socket: big writes for big bodies.
const WRITE_BUFFER: usize = 512 * 1024;

/// Whom to trust, once for everything a program does: reading the system's authorities costs milliseconds.
#[derive(Clone)]
pub(crate) struct Trust {
    xmpp: Arc<ClientConfig>,
    https: Arc<ClientConfig>,
}

/// Why the authorities could not be used.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The given text holds no certificate.
    #[error("the given authority holds no certificate in PEM form")]
    Empty,
    /// A certificate in it cannot be read.
    #[error("the given authority cannot be read: {0}")]
    Unreadable(String),
    /// Neither the system nor the person named anybody to trust.
    #[error("this machine has no list of certificate authorities, and none was given")]
    Nobody,
    /// The TLS library refuses its own defaults.
    #[error("encryption cannot be set up: {0}")]
    Setup(String),
}

impl Trust {
    /// The system's authorities and those in `extra` (PEM, one or several certificates).
    pub(crate) fn new(extra: Option<&str>) -> Result<Self, TrustError> {
        let mut roots = system_roots().clone();
        if let Some(pem) = extra {
            add_pem(&mut roots, pem)?;
        }
        if roots.is_empty() {
            return Err(TrustError::Nobody);
        }
        let roots = Arc::new(roots);
        Ok(Self { xmpp: config(&roots, b"xmpp-client")?, https: config(&roots, b"http/1.1")? })
    }

    /// Encrypts a connection to an XMPP server. `domain` is the one of the account, whatever host was dialled.
    pub(crate) async fn xmpp<S: AsyncRead + AsyncWrite + Unpin>(&self, domain: &str, stream: S) -> Result<TlsStream<S>, NetError> {
        handshake(&self.xmpp, domain, stream).await
    }

    /// Encrypts a connection to a web server.
    pub(crate) async fn https<S: AsyncRead + AsyncWrite + Unpin>(&self, host: &str, stream: S) -> Result<TlsStream<S>, NetError> {
        handshake(&self.https, host, stream).await
    }
}

impl std::fmt::Debug for Trust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Trust")
    }
}

fn system_roots() -> &'static RootCertStore {
    static ROOTS: OnceLock<RootCertStore> = OnceLock::new();
    ROOTS.get_or_init(|| {
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::warn!(%error, "some of the system's certificate authorities cannot be read");
        }
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(found.certs);
        roots
    })
}

fn add_pem(roots: &mut RootCertStore, pem: &str) -> Result<(), TrustError> {
    let before = roots.len();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|error| TrustError::Unreadable(error.to_string()))?;
        roots.add(certificate).map_err(|error| TrustError::Unreadable(error.to_string()))?;
    }
    if roots.len() == before { Err(TrustError::Empty) } else { Ok(()) }
}

fn config(roots: &Arc<RootCertStore>, protocol: &[u8]) -> Result<Arc<ClientConfig>, TrustError> {
    // The provider is named, so that no other crate's choice of a process-wide default matters.
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| TrustError::Setup(error.to_string()))?
        .with_root_certificates(Arc::clone(roots))
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    Ok(Arc::new(config))
}

async fn handshake<S: AsyncRead + AsyncWrite + Unpin>(config: &Arc<ClientConfig>, host: &str, stream: S) -> Result<TlsStream<S>, NetError> {
    let name = server_name(host)?;
    let connecting = TlsConnector::from(Arc::clone(config)).connect_with(name, stream, |tls| tls.set_buffer_limit(Some(WRITE_BUFFER)));
    match timeout(DEADLINE, connecting).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(refusal(host, &error)),
        Err(_) => Err(NetError::TimedOut { host: host.to_owned() }),
    }
}

/// Domains of addresses may be in any script, certificates name them in ASCII.
fn server_name(host: &str) -> Result<ServerName<'static>, NetError> {
    let bad = |why: String| NetError::Tls { host: host.to_owned(), why };
    let ascii = match url::Host::parse(host).map_err(|error| bad(error.to_string()))? {
        url::Host::Domain(domain) => domain,
        url::Host::Ipv4(address) => address.to_string(),
        url::Host::Ipv6(address) => address.to_string(),
    };
    ServerName::try_from(ascii).map_err(|error| bad(error.to_string()))
}

fn refusal(host: &str, error: &io::Error) -> NetError {
    let host = host.to_owned();
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(why)) => NetError::Certificate { host, why: certificate_words(why) },
        Some(other) => NetError::Tls { host, why: other.to_string() },
        None => NetError::Tls { host, why: error.to_string() },
    }
}

fn certificate_words(error: &rustls::CertificateError) -> String {
    use rustls::CertificateError as E;
    match error {
        E::Expired | E::ExpiredContext { .. } => "it has expired".to_owned(),
        E::NotValidYet | E::NotValidYetContext { .. } => "it is not valid yet; is the clock of this machine right?".to_owned(),
        E::UnknownIssuer => "nobody this machine trusts has signed it".to_owned(),
        E::NotValidForName | E::NotValidForNameContext { .. } => "it is for another name".to_owned(),
        E::Revoked => "it was revoked".to_owned(),
        other => other.to_string(),
    }
}

/// What a login can be bound to on this connection.
pub(crate) fn channel_bindings(tls: &ClientConnection) -> ChannelBindings {
    // In TLS 1.2 the exporter is safe only with extended master secret (RFC 9266 §4.2), and rustls does not say whether
    // it was used.
    let exporter = (tls.protocol_version() == Some(ProtocolVersion::TLSv1_3))
        .then(|| tls.export_keying_material(vec![0; 32], b"EXPORTER-Channel-Binding", Some(b"")).ok())
        .flatten();
    let certificate = tls.peer_certificates().and_then(<[_]>::first);
    ChannelBindings { exporter, server_end_point: certificate.and_then(|certificate| server_end_point(certificate)) }
}

/// The version in words, for showing.
pub(crate) fn version_words(tls: &ClientConnection) -> &'static str {
    match tls.protocol_version() {
        Some(ProtocolVersion::TLSv1_3) => "TLS 1.3",
        Some(ProtocolVersion::TLSv1_2) => "TLS 1.2",
        _ => "TLS",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_other_scripts_and_addresses_can_be_checked() {
        assert_eq!(server_name("bücher.example").expect("name").to_str(), "xn--bcher-kva.example");
        assert_eq!(server_name("[::1]").expect("name").to_str(), "::1");
        assert!(server_name("not a host").is_err());
    }

    /// The first record of a handshake, read as RFC 8446 §4.1.2 lays it out: versions and compression methods that are offered.
    ///
    /// Proves: C7590-2.
    #[tokio::test]
    async fn tls_1_2_and_newer_is_offered_and_no_compression() {
        use tokio::io::AsyncReadExt as _;

        let config = config(&Arc::new(RootCertStore::empty()), b"xmpp-client").unwrap();
        let (ours, mut theirs) = tokio::io::duplex(1 << 16);
        let shaking = tokio::spawn(async move { handshake(&config, "localhost", ours).await.map(drop) });
        let mut head = [0; 5];
        theirs.read_exact(&mut head).await.unwrap();
        let mut hello = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
        theirs.read_exact(&mut hello).await.unwrap();
        shaking.abort();

        let mut rest = &hello[4 + 2 + 32..];
        let mut next = |length: usize| {
            let (size, behind) = rest.split_at(length);
            let (value, behind) = behind.split_at(size.iter().fold(0, |size, byte| size << 8 | usize::from(*byte)));
            rest = behind;
            value
        };
        let (_session, _ciphers, compression, mut extensions) = (next(1), next(2), next(1), next(2));
        assert_eq!(compression, [0], "none but no compression");
        let mut versions = None;
        while let [kind @ .., size_high, size_low] = &extensions[..extensions.len().min(4)] {
            let (size, kind) = (usize::from(u16::from_be_bytes([*size_high, *size_low])), kind.to_vec());
            if kind == [0, 43] {
                versions = Some(extensions[5..4 + size].to_vec());
            }
            extensions = &extensions[4 + size..];
        }
        let mut versions: Vec<_> = versions.unwrap().chunks(2).map(<[u8]>::to_vec).collect();
        versions.sort();
        assert_eq!(versions, [[3, 3], [3, 4]], "TLS 1.2 and 1.3");
    }

    #[test]
    fn an_authority_without_certificate_is_refused() {
        assert!(matches!(Trust::new(Some("nothing here")), Err(TrustError::Empty)));
    }
}
