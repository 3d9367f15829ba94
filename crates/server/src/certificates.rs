//! Keys and certificates: from PEM files, or of our own making.
//!
//! The generated authority may sign for this one domain and what lies below it only (name constraints), so trusting it
//! gives nothing else away. Keys are readable by the owner only. All is used again at the next start; the server's
//! certificate is made anew when names change or its end is near.

use std::fs;
use std::io::Write as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, NameConstraints, SanType,
};
use time::OffsetDateTime;
use tokio_rustls::rustls;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use crate::error::StartError;
use crate::settings::TlsSource;

const AUTHORITY_DAYS: i64 = 3650;
const SERVER_DAYS: i64 = 365;
/// A certificate that ends sooner than that is made anew at start.
const RENEW_DAYS: i64 = 30;

/// What the listeners need.
pub(crate) struct Certificates {
    /// For STARTTLS: no ALPN.
    pub(crate) starttls: Arc<ServerConfig>,
    /// For TLS from the first byte: ALPN `xmpp-client`.
    pub(crate) direct: Arc<ServerConfig>,
    /// For HTTP/1.1.
    pub(crate) https: Arc<ServerConfig>,
    /// The generated authority.
    pub(crate) ca_pem: Option<String>,
    /// `tls-server-end-point` of the certificate (RFC 5929).
    pub(crate) end_point: Option<Vec<u8>>,
}

impl Certificates {
    /// Loads or makes them. Blocks on files.
    pub(crate) fn load(source: &TlsSource, domain: &str, folder: &Path) -> Result<Self, StartError> {
        let (chain_pem, key_pem, ca_pem) = match source {
            TlsSource::Generated => {
                let made = Generated::in_folder(folder, domain)?;
                (made.certificate, made.key, Some(made.authority))
            }
            TlsSource::Files { certificate, key } => (read(certificate)?, read(key)?, None),
        };
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(chain_pem.as_bytes())
            .collect::<Result<_, _>>()
            .map_err(|error| StartError::Tls(format!("the certificate is no PEM: {error}")))?;
        let first = chain.first().ok_or_else(|| StartError::Tls("the certificate file holds no certificate".into()))?;
        let end_point = end_point_hash(first);
        let config = |alpn: &[&[u8]]| -> Result<Arc<ServerConfig>, StartError> {
            let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes())
                .map_err(|error| StartError::Tls(format!("the key is no PEM: {error}")))?;
            let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain.clone(), key))
                .map_err(|error| StartError::Tls(error.to_string()))?;
            config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
            Ok(Arc::new(config))
        };
        Ok(Self { starttls: config(&[])?, direct: config(&[b"xmpp-client"])?, https: config(&[b"http/1.1"])?, ca_pem, end_point })
    }
}

/// `tls-server-end-point`: the certificate hashed with the hash of its signature, SHA-256 instead of MD5 and SHA-1.
/// `None` where the signature names no hash (Ed25519, RSA-PSS with parameters we do not read).
fn end_point_hash(certificate: &CertificateDer<'_>) -> Option<Vec<u8>> {
    use sha2::Digest as _;
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    match parsed.signature_algorithm.algorithm.to_id_string().as_str() {
        // md5, sha1 and sha256 with RSA; sha1 and sha256 with ECDSA
        "1.2.840.113549.1.1.4" | "1.2.840.113549.1.1.5" | "1.2.840.113549.1.1.11" | "1.2.840.10045.4.1" | "1.2.840.10045.4.3.2" => {
            Some(sha2::Sha256::digest(certificate).to_vec())
        }
        "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" => Some(sha2::Sha384::digest(certificate).to_vec()),
        "1.2.840.113549.1.1.13" | "1.2.840.10045.4.3.4" => Some(sha2::Sha512::digest(certificate).to_vec()),
        _ => None,
    }
}

/// PEM texts of our own making.
struct Generated {
    authority: String,
    certificate: String,
    key: String,
}

impl Generated {
    fn in_folder(folder: &Path, domain: &str) -> Result<Self, StartError> {
        let files = Files { folder };
        let (authority_key, authority) = files.authority(domain)?;
        let (key, certificate) = files.server(domain, &authority_key, &authority)?;
        Ok(Self { certificate: format!("{certificate}{authority}"), authority, key })
    }
}

struct Files<'a> {
    folder: &'a Path,
}

impl Files<'_> {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Key and certificate of the authority.
    fn authority(&self, domain: &str) -> Result<(KeyPair, String), StartError> {
        let (key_path, certificate_path) = (self.path("authority.key"), self.path("authority.crt"));
        if let (Some(key), Some(certificate)) = (read_if_there(&key_path)?, read_if_there(&certificate_path)?)
            && let Some(pem) = Some(&certificate).filter(|pem| usable_authority(pem, domain))
        {
            return Ok((KeyPair::from_pem(&key).map_err(made)?, pem.clone()));
        }
        let key = KeyPair::generate().map_err(made)?;
        let certificate = authority_params(domain).self_signed(&key).map_err(made)?.pem();
        write(&key_path, &key.serialize_pem(), 0o600)?;
        write(&certificate_path, &certificate, 0o644)?;
        Ok((key, certificate))
    }

    /// Key and certificate of the server.
    fn server(&self, domain: &str, authority_key: &KeyPair, authority: &str) -> Result<(String, String), StartError> {
        let (key_path, certificate_path) = (self.path("server.key"), self.path("server.crt"));
        if let (Some(key), Some(certificate)) = (read_if_there(&key_path)?, read_if_there(&certificate_path)?)
            && usable_server(&certificate, domain, authority)
        {
            return Ok((key, certificate));
        }
        let key = KeyPair::generate().map_err(made)?;
        let issuer = Issuer::new(authority_params(domain), authority_key);
        let certificate = server_params(domain)?.signed_by(&key, &issuer).map_err(made)?.pem();
        write(&key_path, &key.serialize_pem(), 0o600)?;
        write(&certificate_path, &certificate, 0o644)?;
        Ok((key.serialize_pem(), certificate))
    }
}

/// The same at every start but for the dates, so that its name stays that of the stored certificate.
fn authority_params(domain: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, format!("Balcony authority of {domain}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let mut permitted = vec![GeneralSubtree::DnsName(ascii(domain))];
    permitted.extend(
        addresses(domain)
            .into_iter()
            .map(|address| GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(address, if address.is_ipv4() { 32 } else { 128 }))),
    );
    params.name_constraints = Some(NameConstraints { permitted_subtrees: permitted, excluded_subtrees: Vec::new() });
    params.not_before = OffsetDateTime::now_utc() - time::Duration::days(1);
    params.not_after = OffsetDateTime::now_utc() + time::Duration::days(AUTHORITY_DAYS);
    params
}

fn server_params(domain: &str) -> Result<CertificateParams, StartError> {
    let mut params = CertificateParams::new(names(domain)).map_err(made)?;
    params.subject_alt_names.extend(addresses(domain).into_iter().map(SanType::IpAddress));
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, ascii(domain));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    params.not_before = OffsetDateTime::now_utc() - time::Duration::days(1);
    params.not_after = OffsetDateTime::now_utc() + time::Duration::days(SERVER_DAYS);
    Ok(params)
}

/// Host names in the certificate; a domain that is an IP address has none.
fn names(domain: &str) -> Vec<String> {
    if address(domain).is_some() {
        return Vec::new();
    }
    let ascii = ascii(domain);
    ["", "upload.", "conference.", "proxy.", "pubsub."].iter().map(|prefix| format!("{prefix}{ascii}")).collect()
}

/// A host name as DNS and certificates write it.
pub(crate) fn ascii(domain: &str) -> String {
    // What cannot be written so was refused as a domain; a name of ASCII letters stays as it is.
    idna::domain_to_ascii(domain).unwrap_or_else(|_| domain.to_owned())
}

/// IP addresses in the certificate: loopback for localhost, or the domain itself.
fn addresses(domain: &str) -> Vec<IpAddr> {
    match address(domain) {
        Some(address) => vec![address],
        None if domain == "localhost" => {
            vec![IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), IpAddr::V6(std::net::Ipv6Addr::LOCALHOST)]
        }
        None => Vec::new(),
    }
}

/// A domain that is an IP address, version 6 in brackets.
fn address(domain: &str) -> Option<IpAddr> {
    domain.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

fn usable_authority(pem: &str, domain: &str) -> bool {
    with_certificate(pem, |certificate| {
        let common_name = certificate.subject().iter_common_name().next().and_then(|name| name.as_str().ok());
        common_name == Some(&format!("Balcony authority of {domain}")) && lasts(certificate)
    })
}

fn usable_server(pem: &str, domain: &str, authority: &str) -> bool {
    let signer = CertificateDer::from_pem_slice(authority.as_bytes()).ok();
    with_certificate(pem, |certificate| {
        let by = signer.as_ref().and_then(|signer| X509Certificate::from_der(signer).ok().map(|(_, signer)| signer));
        // The key identifier tells authorities of the same name apart.
        let same_signer = by.is_some_and(|by| key_identifier_of_issuer(certificate) == subject_key_identifier(&by));
        let Ok(Some(alternatives)) = certificate.subject_alternative_name() else { return false };
        let has = |name: &String| alternatives.value.general_names.iter().any(|n| matches!(n, GeneralName::DNSName(n) if n == name));
        same_signer && lasts(certificate) && names(domain).iter().all(has)
    })
}

fn key_identifier_of_issuer(certificate: &X509Certificate<'_>) -> Option<Vec<u8>> {
    certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        x509_parser::extensions::ParsedExtension::AuthorityKeyIdentifier(id) => id.key_identifier.as_ref().map(|id| id.0.to_vec()),
        _ => None,
    })
}

fn subject_key_identifier(certificate: &X509Certificate<'_>) -> Option<Vec<u8>> {
    certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        x509_parser::extensions::ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0.to_vec()),
        _ => None,
    })
}

fn with_certificate(pem: &str, check: impl FnOnce(&X509Certificate<'_>) -> bool) -> bool {
    let Ok(der) = CertificateDer::from_pem_slice(pem.as_bytes()) else { return false };
    X509Certificate::from_der(&der).is_ok_and(|(_, certificate)| check(&certificate))
}

fn lasts(certificate: &X509Certificate<'_>) -> bool {
    certificate.validity().time_to_expiration().is_some_and(|left| left.whole_days() > RENEW_DAYS)
}

fn made(error: rcgen::Error) -> StartError {
    StartError::Tls(format!("the certificate cannot be made: {error}"))
}

fn read(path: &Path) -> Result<String, StartError> {
    fs::read_to_string(path).map_err(|source| StartError::Folder { path: path.to_owned(), source })
}

fn read_if_there(path: &Path) -> Result<Option<String>, StartError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(StartError::Folder { path: path.to_owned(), source }),
    }
}

/// Writes beside and renames, so that a crash leaves the old file or the new one.
fn write(path: &Path, text: &str, mode: u32) -> Result<(), StartError> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let beside = path.with_extension("new");
    let attempt = || {
        let _ = fs::remove_file(&beside); // from a start that was cut short
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, path)
    };
    attempt().map_err(|source| StartError::Folder { path: path.to_owned(), source })
}

/// How long a TLS handshake may take.
pub(crate) const HANDSHAKE: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests {
    use super::*;

    fn server_certificate(folder: &Path) -> String {
        fs::read_to_string(folder.join("server.crt")).unwrap()
    }

    #[test]
    fn the_second_start_uses_the_keys_of_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let first = Certificates::load(&TlsSource::Generated, "localhost", folder.path()).unwrap();
        let certificate = server_certificate(folder.path());
        let second = Certificates::load(&TlsSource::Generated, "localhost", folder.path()).unwrap();
        assert_eq!(first.ca_pem, second.ca_pem);
        assert_eq!(certificate, server_certificate(folder.path()));
        assert_eq!(first.end_point, second.end_point);
        assert!(first.end_point.is_some_and(|hash| hash.len() == 32));
    }

    #[test]
    fn a_new_domain_gets_a_new_authority() {
        let folder = tempfile::tempdir().unwrap();
        let first = Certificates::load(&TlsSource::Generated, "one.example", folder.path()).unwrap();
        let second = Certificates::load(&TlsSource::Generated, "two.example", folder.path()).unwrap();
        assert_ne!(first.ca_pem, second.ca_pem);
        assert!(usable_server(&server_certificate(folder.path()), "two.example", &second.ca_pem.unwrap()));
    }

    #[test]
    fn domains_in_other_scripts_and_addresses_have_certificates_too() {
        for domain in ["bücher.example", "127.0.0.1", "[::1]"] {
            let folder = tempfile::tempdir().unwrap();
            Certificates::load(&TlsSource::Generated, domain, folder.path()).unwrap();
            let before = server_certificate(folder.path());
            Certificates::load(&TlsSource::Generated, domain, folder.path()).unwrap();
            assert_eq!(before, server_certificate(folder.path()), "{domain}");
        }
        assert!(names("bücher.example").contains(&"upload.xn--bcher-kva.example".to_owned()));
    }

    #[test]
    fn a_certificate_of_another_authority_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        Certificates::load(&TlsSource::Generated, "localhost", folder.path()).unwrap();
        let before = server_certificate(folder.path());
        fs::remove_file(folder.path().join("authority.key")).unwrap();
        Certificates::load(&TlsSource::Generated, "localhost", folder.path()).unwrap();
        assert_ne!(before, server_certificate(folder.path()));
    }

    #[test]
    fn keys_are_for_the_owner_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        Certificates::load(&TlsSource::Generated, "localhost", folder.path()).unwrap();
        for name in ["authority.key", "server.key"] {
            let mode = fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
    }

    #[test]
    fn files_that_are_no_pem_are_refused_in_words() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.pem");
        fs::write(&path, "hello").unwrap();
        let source = TlsSource::Files { certificate: path.clone(), key: path };
        assert!(matches!(Certificates::load(&source, "localhost", folder.path()), Err(StartError::Tls(_))));
    }
}
