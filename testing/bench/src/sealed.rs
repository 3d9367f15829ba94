//! An encrypted file for the row `decrypt`: encrypted by ring under a key that is no secret, and offered from alice to bob.

use std::path::Path;
use std::time::Instant;

use balcony_session::client::Action;
use balcony_sharing::Source;
use balcony_sharing::dialect::{OutgoingFile, OutgoingShare, write};
use balcony_sharing::verify::{Hashed, Hasher, SHARED_ALGOS};
use balcony_wire::encrypted_source::EncryptedSource;
use balcony_wire::file_sharing::SourceElement;
use balcony_wire::url_data::UrlData;
use balcony_wire::{Jid, Stanza, base64};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use tokio::runtime::Builder;

use crate::Result;
use crate::client::Site;

const KEY: [u8; 32] = [7; 32];
const IV: [u8; 12] = [9; 12];

/// Encrypts a file with AES-256-GCM, the tag behind it; seconds it took, without the disk.
pub(crate) fn seal(from: &Path, to: &Path) -> Result<f64> {
    let key = UnboundKey::new(&AES_256_GCM, &KEY).map_err(|_| "ring takes no such key")?;
    let mut bytes = std::fs::read(from)?;
    let started = Instant::now();
    let sealed = LessSafeKey::new(key).seal_in_place_append_tag(Nonce::assume_unique_for_key(IV), Aad::empty(), &mut bytes);
    sealed.map_err(|_| "ring does not encrypt that much")?;
    let took = started.elapsed().as_secs_f64();
    std::fs::write(to, &bytes)?;
    Ok(took)
}

/// Offers the plain file, whose encrypted bytes are at the URL; its size in bytes.
pub(crate) fn offer(plain: &Path, url: &str, endpoints: &Path) -> Result<f64> {
    let hashed = hashed(plain)?;
    let site = Site::read(endpoints)?;
    let name = plain.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut file = OutgoingFile::new("s1", &name, None, &hashed);
    file.sources = vec![Source::Encrypted(EncryptedSource {
        cipher: "urn:xmpp:ciphers:aes-256-gcm-nopadding:0".to_owned(),
        key: base64::encode(KEY),
        iv: base64::encode(IV),
        hashes: Vec::new(),
        sources: Some(vec![SourceElement::Url(UrlData::new(url))]),
        dropped: Vec::new(),
    })];
    let to = Jid::parse(&site.jid("bob"))?;
    let id = hashed.digests().iter().map(|digest| digest.to_hex()).collect();
    let message = write(&OutgoingShare { to, to_room: false, id, text: None, files: vec![file] }).message;
    Builder::new_current_thread().enable_all().build()?.block_on(async {
        let mut client = site.login("alice").await?;
        client.stream.send(Instant::now(), Stanza::Message(message))?;
        loop {
            client.stream.probe(Instant::now());
            if client.actions().await?.iter().any(|action| matches!(action, Action::Acknowledged(stanzas) if !stanzas.is_empty())) {
                return Ok::<_, Box<dyn std::error::Error + Send + Sync>>(());
            }
            client.hear().await?;
        }
    })?;
    Ok(hashed.size() as f64)
}

fn hashed(path: &Path) -> Result<Hashed> {
    use std::io::Read as _;
    let mut hasher = Hasher::new(SHARED_ALGOS);
    let (mut file, mut buffer) = (std::fs::File::open(path)?, vec![0; 1 << 20]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.finish()),
            read => hasher.update(&buffer[..read]),
        }
    }
}
