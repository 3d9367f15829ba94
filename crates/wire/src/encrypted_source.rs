//! XEP-0448 Encryption for stateless file sharing, v0.2.0 <https://xmpp.org/extensions/xep-0448.html>
//! Status: partial: the element; nothing is decrypted.
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
                "hash" if Hash::matches(child) => hashes.push(Hash::read(child)?),
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
