//! Small pictures: those that we hand out beside our files, and those of others, looked at before anybody shows them.
//!
//! XEP-0264 Jingle content thumbnails, v0.4.2 <https://xmpp.org/extensions/xep-0264.html>
//! Status: partial: a picture that somebody hands us goes along, others' are fetched by the rules for files; none is made or shown.

use balcony_sharing::MediaType;
use balcony_sharing::transfer::bits::{Bits, MAX_WRITTEN};
use balcony_store::{Store, StoreError};
use balcony_wire::bits_of_binary::ContentId;
use balcony_wire::thumbnails::Thumbnail;

use crate::share::dimensions;

/// A small picture to go along with a file: PNG, JPEG or WebP of at most 8 KiB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmallPicture {
    bits: Bits,
}

/// Why bytes are no [`SmallPicture`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoSmallPicture {
    /// More than goes into a message.
    #[error("it has {0} bytes, a thumbnail has at most {MAX_WRITTEN}")]
    TooLarge(usize),
    /// Neither PNG nor JPEG nor WebP.
    #[error("it is no PNG, JPEG or WebP picture")]
    NoPicture,
}

impl SmallPicture {
    /// From the bytes of a file; they say what they are.
    ///
    /// # Errors
    /// See [`NoSmallPicture`].
    pub fn new(bytes: Vec<u8>) -> Result<Self, NoSmallPicture> {
        if bytes.len() > MAX_WRITTEN {
            return Err(NoSmallPicture::TooLarge(bytes.len()));
        }
        let media_type = picture_type(&bytes).filter(|media_type| media_type.as_str() != "image/gif").ok_or(NoSmallPicture::NoPicture)?;
        Bits::of_ours(bytes, media_type).map(|bits| Self { bits }).ok_or(NoSmallPicture::NoPicture)
    }

    /// The picture that a message of ours names, as it was kept.
    pub(crate) fn kept(thumbnail: &Thumbnail, store: &Store) -> Result<Option<Self>, StoreError> {
        let Some(cid) = ContentId::from_uri(&thumbnail.uri) else { return Ok(None) };
        Ok(store.bits(cid.as_str(), None)?.and_then(|row| Self::new(row.data).ok()))
    }

    /// Keeps it, so that whoever is told of it may ask for it.
    pub(crate) fn keep(&self, store: &Store) -> Result<(), StoreError> {
        let row = balcony_store::Bits {
            cid: self.bits.cid().as_str().to_owned(),
            from: None,
            media_type: self.bits.media_type().map(ToString::to_string),
            data: self.bits.bytes().to_vec(),
            expires_at: None,
        };
        store.add_bits(&row).map(drop)
    }

    /// As it stands beside the file.
    pub(crate) fn thumbnail(&self) -> Thumbnail {
        let (width, height) = dimensions(self.bits.bytes()).unzip();
        // Pixels beyond what XEP-0264 §8 can say are not said.
        let said = |pixels: Option<u32>| pixels.filter(|pixels| *pixels <= u32::from(u16::MAX));
        Thumbnail {
            uri: self.bits.cid().to_uri(),
            media_type: self.bits.media_type().map(ToString::to_string),
            width: said(width),
            height: said(height),
        }
    }

    /// The bytes, as they go along in the message.
    pub(crate) fn bits(&self) -> &Bits {
        &self.bits
    }
}

/// What a picture is by its first bytes; `None` for everything that no viewer of small pictures should be given, such as SVG.
pub(super) fn picture_type(bytes: &[u8]) -> Option<MediaType> {
    let found = infer::get(bytes).map(|kind| kind.mime_type());
    found.filter(|found| matches!(*found, "image/png" | "image/jpeg" | "image/webp" | "image/gif")).map(MediaType::from_peer)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x40\0\0\0\x30\x08\x02\0\0\0";

    /// Proves: THMB-4-1, THMB-4-2, THMB-4-3, BOB-2.5-2.
    #[test]
    fn a_picture_is_named_by_its_hash_with_type_and_size() {
        let picture = SmallPicture::new(PNG.to_vec()).unwrap();
        let said = picture.thumbnail();
        assert!(said.uri.starts_with("cid:sha1+") && said.uri.ends_with("@bob.xmpp.org"), "{}", said.uri);
        assert_eq!((said.media_type.as_deref(), said.width, said.height), (Some("image/png"), Some(64), Some(48)));
        let store = Store::in_memory().unwrap();
        assert_eq!(SmallPicture::kept(&said, &store).unwrap(), None);
        picture.keep(&store).unwrap();
        assert_eq!(SmallPicture::kept(&said, &store).unwrap(), Some(picture));
    }

    /// Proves: BOB-2.1-2.
    #[test]
    fn what_is_large_or_no_picture_goes_nowhere() {
        let large = [PNG, &[0; MAX_WRITTEN]].concat();
        assert_eq!(SmallPicture::new(large.clone()), Err(NoSmallPicture::TooLarge(large.len())));
        for bytes in [&b""[..], b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"GIF89a\x01\0\x01\0", b"words"] {
            assert_eq!(SmallPicture::new(bytes.to_vec()), Err(NoSmallPicture::NoPicture), "{bytes:?}");
        }
    }

    #[test]
    fn a_picture_that_claims_more_pixels_than_can_be_said_says_none() {
        let huge = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\x7f\xff\xff\xff\0\0\0\x30\x08\x02\0\0\0";
        let said = SmallPicture::new(huge.to_vec()).unwrap().thumbnail();
        assert_eq!((said.width, said.height), (None, Some(48)));
    }
}
