//! XEP-0448 Encryption for stateless file sharing, v0.2.0 <https://xmpp.org/extensions/xep-0448.html>
//! Status: partial: the element.
//!
//! Where the encrypted bytes are, and the key that opens them. Key and IV never show in `Debug`.

use crate::base64;
use crate::element::Element;
use crate::file_sharing::{SourceElement, read_sources, write_sources};
use crate::hashes::{Hash, contradiction};
use crate::ns;
use crate::payload::{Payload, ReadError};
use crate::reading::{Dropped, filled, trimmed_text};

/// `<encrypted cipher=''/>`
#[derive(Clone, PartialEq, Eq)]
pub struct EncryptedSource {
    /// Namespace of the cipher.
    pub cipher: String,
    /// Key in base64, as written.
    pub key: String,
    /// IV in base64, as written.
    pub iv: String,
    /// Hashes of the *encrypted* bytes; some senders give none.
    pub hashes: Vec<Hash>,
    /// Where the encrypted bytes are; `None` without a `sources` child.
    pub sources: Option<Vec<SourceElement>>,
    /// What was read and dropped.
    pub dropped: Vec<Dropped>,
}

impl EncryptedSource {
    /// The key as bytes, if it is base64.
    pub fn key_bytes(&self) -> Option<Vec<u8>> {
        base64::decode(&self.key).ok()
    }

    /// The IV as bytes, if it is base64. QXmpp writes 32 bytes for AES-CBC, of which the first 16 count.
    pub fn iv_bytes(&self) -> Option<Vec<u8>> {
        base64::decode(&self.iv).ok()
    }

    /// As [`Payload::read`] but by local name alone: for parents whose namespace their children inherited (decision 61).
    pub(crate) fn read_inherited(element: &Element) -> Result<Self, ReadError> {
        let (mut key, mut iv, mut sources) = (None, None, None);
        let (mut hashes, mut dropped) = (Vec::new(), Vec::new());
        for child in element.children() {
            match child.name() {
                "key" if child.ns() == element.ns() && key.is_none() => key = trimmed_text(child),
                "iv" if child.ns() == element.ns() && iv.is_none() => iv = trimmed_text(child),
                // COMPAT(Xepher): `sources` inherits the namespace of `encrypted`
                "sources" if child.ns() == ns::SFS || child.ns() == element.ns() => match sources {
                    Some(_) => return Err(ReadError::new(element, "two lists of sources")),
                    None => sources = Some(read_sources(child, &mut dropped)),
                },
                "hash" if hashes.len() >= MAX_HASHES => dropped.push(Dropped::new("hash", format!("more than {MAX_HASHES}"))),
                "hash" if Hash::matches(child) || child.ns() == element.ns() => hashes.push(Hash::read_inherited(child)),
                _ => dropped.push(Dropped::unknown(child)),
            }
        }
        if let Some(algo) = contradiction(&hashes) {
            return Err(ReadError::new(element, format!("two different {algo} hashes")));
        }
        Ok(Self {
            cipher: filled(element, "cipher").ok_or_else(|| ReadError::new(element, "no cipher"))?.to_owned(),
            key: key.ok_or_else(|| ReadError::new(element, "no key"))?,
            iv: iv.ok_or_else(|| ReadError::new(element, "no iv"))?,
            hashes,
            sources,
            dropped,
        })
    }
}

impl std::fmt::Debug for EncryptedSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EncryptedSource")
            .field("cipher", &self.cipher)
            .field("hashes", &self.hashes)
            .field("sources", &self.sources)
            .field("dropped", &self.dropped)
            .finish_non_exhaustive()
    }
}

impl Payload for EncryptedSource {
    const NAME: &'static str = "encrypted";
    const NS: &'static str = ns::ESFS;

    fn read(element: &Element) -> Result<Self, ReadError> {
        Self::expect(element)?;
        Self::read_inherited(element)
    }

    fn write(&self) -> Element {
        Self::element()
            .with_attr("cipher", &self.cipher)
            .with_text_child("key", &self.key)
            .with_text_child("iv", &self.iv)
            .with_children(self.hashes.iter().map(Payload::write))
            .with_child_opt(self.sources.as_deref().map(write_sources))
    }
}

/// More hashes than there are algorithms help nobody.
const MAX_HASHES: usize = 32;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    fn encrypted(children: &str) -> Result<EncryptedSource, ReadError> {
        let cipher = "urn:xmpp:ciphers:aes-256-gcm-nopadding:0";
        let xml = format!("<encrypted xmlns='urn:xmpp:esfs:0' cipher='{cipher}'>{children}</encrypted>");
        EncryptedSource::read(&Element::parse(&xml).unwrap())
    }

    const KEY: &str = "<key>SuRJ2agVm/pQbJQlPq/B23Xt1YOOJCcEGJA5HrcYOGQ=</key><iv>T8RDMBaiqn6Ci4Nw</iv>";

    #[test]
    fn the_listing_is_read_and_written_back() {
        let listing = testing_corpus::example("xep-0448/01-sharing-summit-jpg-with-juliet-shakespeare-lit-using-encrypt.xml");
        let message = Element::parse(&listing.in_stream()).unwrap();
        let share = message.payload::<crate::file_sharing::FileSharing>().unwrap().unwrap();
        let [SourceElement::Encrypted(source), SourceElement::JinglePub(_)] = &share.sources.unwrap()[..] else { panic!() };
        assert_eq!((source.key_bytes().unwrap().len(), source.iv_bytes().unwrap().len()), (32, 12));
        assert_eq!(source.hashes.len(), 2);
        assert_eq!(EncryptedSource::read(&source.write()).unwrap(), *source);
    }

    #[test]
    fn hostile_numbers_of_hashes_stay_bounded() {
        let many = "<hash xmlns='urn:xmpp:hashes:2' algo='sha-512'>AAAA</hash>".repeat(1000);
        let source = encrypted(&format!("{KEY}{many}")).unwrap();
        assert_eq!((source.hashes.len(), source.dropped.len()), (MAX_HASHES, 1000 - MAX_HASHES));
    }

    /// Decision 61.
    #[test]
    fn xepher_lets_sources_inherit_the_namespace() {
        let hash = "<hash algo='sha-256'>47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=</hash>";
        let source = encrypted(&format!("{KEY}{hash}<sources><url-data target='https://a.example/x'/></sources>")).unwrap();
        assert!(source.hashes[0].is_usable() && source.dropped.is_empty());
        assert!(matches!(&source.sources.unwrap()[..], [SourceElement::Url(url)] if url.target == "https://a.example/x"));
    }

    #[test]
    fn qxmpp_gives_no_hash_of_the_ciphertext() {
        assert_eq!(encrypted(KEY).unwrap().hashes, []);
    }

    #[test]
    fn libervia_gives_base64_of_the_hex_digits() {
        let hex = "0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20";
        let hash = format!("<hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>{}</hash>", base64::encode(hex));
        assert_eq!(encrypted(&(KEY.to_owned() + &hash)).unwrap().hashes[0].digest().unwrap().to_hex(), hex);
    }

    #[test]
    fn without_cipher_key_or_iv_it_is_of_no_use() {
        assert!(encrypted("<key>AAAA</key>").is_err());
        assert!(encrypted("<iv>AAAA</iv>").is_err());
        assert!(EncryptedSource::read(&EncryptedSource::element().with_text_child("key", "AA").with_text_child("iv", "AA")).is_err());
        let sources = "<sources xmlns='urn:xmpp:sfs:0'/>";
        assert!(encrypted(&format!("{KEY}{sources}{sources}")).is_err());
        assert_eq!(encrypted("<key>?</key><iv>?</iv>").unwrap().key_bytes(), None);
    }

    #[test]
    fn the_key_never_shows_in_debug() {
        let shown = format!("{:?}", encrypted(KEY).unwrap());
        assert!(!shown.contains("SuRJ2agV") && !shown.contains("T8RDMBai"));
    }
}
