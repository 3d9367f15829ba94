//! What opens an encrypted file.

use balcony_wire::encrypted_source::EncryptedSource;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::Cipher;
use crate::DigestSet;

/// Cipher, key and IV of one encrypted file. Shows only its cipher; wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    cipher: Cipher,
    key: Zeroizing<Vec<u8>>,
    iv: Zeroizing<Vec<u8>>,
}

/// Why an encrypted file cannot be opened with what is said about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// A cipher that nobody here knows.
    #[error("its cipher is not known here")]
    UnknownCipher,
    /// Key or IV are not base64.
    #[error("its key or its IV cannot be read")]
    Unreadable,
    /// A key of another length.
    #[error("its key has {found} bytes, {cipher} takes {wanted}")]
    KeyLength {
        /// the cipher
        cipher: Cipher,
        /// bytes given
        found: usize,
        /// bytes it takes
        wanted: usize,
    },
    /// An IV of a length that the cipher does not take.
    #[error("its IV has {found} bytes, which {cipher} does not take")]
    IvLength {
        /// the cipher
        cipher: Cipher,
        /// bytes given
        found: usize,
    },
}

impl Secret {
    /// Checks lengths: GCM takes IVs of 12 bytes, and of 16 as older clients made them (decision 16); CBC takes 16, and 32 of which
    /// the first 16 count.
    ///
    /// # Errors
    /// [`SecretError::KeyLength`] and [`SecretError::IvLength`].
    pub fn new(cipher: Cipher, key: Vec<u8>, iv: Vec<u8>) -> Result<Self, SecretError> {
        let (key, mut iv) = (Zeroizing::new(key), Zeroizing::new(iv));
        if key.len() != cipher.key_len() {
            return Err(SecretError::KeyLength { cipher, found: key.len(), wanted: cipher.key_len() });
        }
        match (cipher.has_tag(), iv.len()) {
            (true, 12 | 16) | (false, 16) => {}
            // COMPAT(QXmpp 1.5): 32 bytes of IV for CBC
            (false, 32) => iv.truncate(16),
            (_, found) => return Err(SecretError::IvLength { cipher, found }),
        }
        Ok(Self { cipher, key, iv })
    }

    /// As an offer says it.
    ///
    /// # Errors
    /// See [`SecretError`].
    pub fn from_source(source: &EncryptedSource) -> Result<Self, SecretError> {
        let cipher = Cipher::from_namespace(&source.cipher).ok_or(SecretError::UnknownCipher)?;
        let key = source.key_bytes().ok_or(SecretError::Unreadable)?;
        let iv = source.iv_bytes().ok_or(SecretError::Unreadable)?;
        Self::new(cipher, key, iv)
    }

    /// The cipher.
    pub fn cipher(&self) -> Cipher {
        self.cipher
    }

    pub(super) fn key(&self) -> &[u8] {
        &self.key
    }

    pub(super) fn iv(&self) -> &[u8] {
        &self.iv
    }

    /// Tells secrets apart without giving them away: for names of sources, and for notes beside unfinished bytes.
    #[must_use]
    pub fn mark(&self) -> String {
        mark(self.cipher.namespace(), &self.key, &self.iv)
    }
}

/// [`Secret::mark`] of whatever an offer says, also of what cannot be used.
pub(crate) fn mark_of(source: &EncryptedSource) -> String {
    match Secret::from_source(source) {
        Ok(secret) => secret.mark(),
        Err(_) => mark(&source.cipher, source.key.as_bytes(), source.iv.as_bytes()),
    }
}

fn mark(cipher: &str, key: &[u8], iv: &[u8]) -> String {
    let digest = Sha256::new().chain_update(cipher).chain_update([0]).chain_update(key).chain_update([0]).chain_update(iv).finalize();
    digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a secret for {}", self.cipher)
    }
}

impl std::fmt::Display for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(self, f)
    }
}

/// What stands between the bytes at a URL and the file: how to open it, how long the file is, what is known about the encrypted bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// What opens it.
    pub secret: Secret,
    /// Bytes of the file; only a file with a tag can do without.
    pub size: Option<u64>,
    /// Digests of the encrypted bytes, all of which must fit.
    pub ciphertext: DigestSet,
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMED: [(Cipher, &str); 3] = [
        (Cipher::Aes128Gcm, "urn:xmpp:ciphers:aes-128-gcm-nopadding"),
        (Cipher::Aes256Gcm, "urn:xmpp:ciphers:aes-256-gcm-nopadding"),
        (Cipher::Aes256Cbc, "urn:xmpp:ciphers:aes-256-cbc-pkcs7"),
    ];

    /// Decision 25.
    /// Proves: ESFS-4-1.
    #[test]
    fn the_ciphers_of_the_document_are_known_with_and_without_their_version() {
        for (cipher, name) in NAMED {
            assert_eq!(Cipher::from_namespace(name), Some(cipher));
            assert_eq!(Cipher::from_namespace(&format!("{name}:0")), Some(cipher));
            assert_eq!(Cipher::from_namespace(&format!("{name}:1")), None);
        }
        assert_eq!(Cipher::from_namespace("urn:example:rot13"), None);
    }

    #[test]
    fn keys_and_ivs_have_the_lengths_of_their_cipher() {
        let takes = |cipher, key: usize, iv: usize| Secret::new(cipher, vec![1; key], vec![2; iv]).is_ok();
        for (cipher, key, ivs) in [(Cipher::Aes128Gcm, 16, [12, 16]), (Cipher::Aes256Gcm, 32, [12, 16]), (Cipher::Aes256Cbc, 32, [16, 32])]
        {
            for length in 0..64 {
                assert_eq!(takes(cipher, key, length), ivs.contains(&length), "{cipher}, IV of {length}");
                assert_eq!(takes(cipher, length, ivs[0]), length == key, "{cipher}, key of {length}");
            }
        }
    }

    /// QXmpp writes 32 bytes of IV for CBC.
    #[test]
    fn the_first_16_bytes_of_a_long_iv_count() {
        let iv: Vec<u8> = (0..32).collect();
        let long = Secret::new(Cipher::Aes256Cbc, vec![1; 32], iv.clone()).unwrap();
        assert_eq!(long, Secret::new(Cipher::Aes256Cbc, vec![1; 32], iv[..16].to_vec()).unwrap());
    }

    /// Proves: SEC-4-3.
    #[test]
    fn a_secret_shows_nothing_but_its_cipher() {
        let secret = Secret::new(Cipher::Aes256Gcm, vec![0xab; 32], vec![0xcd; 12]).unwrap();
        assert_eq!(format!("{secret:?} {secret:#?} {secret}"), "a secret for AES-256-GCM ".repeat(3).trim_end());
        assert_ne!(secret.mark(), Secret::new(Cipher::Aes256Gcm, vec![0xab; 32], vec![0xce; 12]).unwrap().mark());
        assert!(!secret.mark().contains("abab") && !secret.mark().contains("cdcd"));
    }
}
