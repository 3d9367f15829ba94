//! The channel binding `tls-server-end-point`: a hash of the server's certificate.
//!
//! RFC 5929 §4.1: with the hash of the certificate's signature algorithm, SHA-256 where that is MD5 or SHA-1. Without a
//! single hash (Ed25519) the binding is undefined.

use sha2::{Digest as _, Sha224, Sha256, Sha384, Sha512};
use x509_parser::oid_registry::{
    OID_HASH_SHA1, OID_NIST_HASH_SHA256, OID_NIST_HASH_SHA384, OID_NIST_HASH_SHA512, OID_PKCS1_MD5WITHRSAENC, OID_PKCS1_RSASSAPSS,
    OID_PKCS1_SHA1WITHRSA, OID_PKCS1_SHA224WITHRSA, OID_PKCS1_SHA256WITHRSA, OID_PKCS1_SHA384WITHRSA, OID_PKCS1_SHA512WITHRSA,
    OID_SIG_ECDSA_WITH_SHA224, OID_SIG_ECDSA_WITH_SHA256, OID_SIG_ECDSA_WITH_SHA384, OID_SIG_ECDSA_WITH_SHA512,
};
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::signature_algorithm::RsaSsaPssParams;
use x509_parser::x509::AlgorithmIdentifier;

/// The binding data of a certificate in DER; `None` where it is undefined.
pub(crate) fn server_end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    Some(match hash_of(&parsed.signature_algorithm)? {
        HashKind::Sha224 => Sha224::digest(certificate).to_vec(),
        HashKind::Sha256 => Sha256::digest(certificate).to_vec(),
        HashKind::Sha384 => Sha384::digest(certificate).to_vec(),
        HashKind::Sha512 => Sha512::digest(certificate).to_vec(),
    })
}

#[derive(Clone, Copy)]
enum HashKind {
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

fn hash_of(algorithm: &AlgorithmIdentifier<'_>) -> Option<HashKind> {
    let of_signature = [
        (OID_PKCS1_MD5WITHRSAENC, HashKind::Sha256),
        (OID_PKCS1_SHA1WITHRSA, HashKind::Sha256),
        (OID_PKCS1_SHA224WITHRSA, HashKind::Sha224),
        (OID_PKCS1_SHA256WITHRSA, HashKind::Sha256),
        (OID_PKCS1_SHA384WITHRSA, HashKind::Sha384),
        (OID_PKCS1_SHA512WITHRSA, HashKind::Sha512),
        (OID_SIG_ECDSA_WITH_SHA224, HashKind::Sha224),
        (OID_SIG_ECDSA_WITH_SHA256, HashKind::Sha256),
        (OID_SIG_ECDSA_WITH_SHA384, HashKind::Sha384),
        (OID_SIG_ECDSA_WITH_SHA512, HashKind::Sha512),
    ];
    if algorithm.algorithm == OID_PKCS1_RSASSAPSS {
        return hash_of_pss(algorithm);
    }
    of_signature.into_iter().find(|(oid, _)| *oid == algorithm.algorithm).map(|(_, hash)| hash)
}

/// RSA-PSS names its hash in the parameters; without any it is SHA-1.
fn hash_of_pss(algorithm: &AlgorithmIdentifier<'_>) -> Option<HashKind> {
    let Some(parameters) = &algorithm.parameters else { return Some(HashKind::Sha256) };
    let parameters = RsaSsaPssParams::try_from(parameters).ok()?;
    let hashes = [
        (OID_HASH_SHA1, HashKind::Sha256),
        (OID_NIST_HASH_SHA256, HashKind::Sha256),
        (OID_NIST_HASH_SHA384, HashKind::Sha384),
        (OID_NIST_HASH_SHA512, HashKind::Sha512),
    ];
    let named = parameters.hash_algorithm_oid();
    hashes.into_iter().find(|(oid, _)| oid == named).map(|(_, hash)| hash)
}
