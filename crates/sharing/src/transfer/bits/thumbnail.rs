//! A small picture as something to fetch: so the rules that hold for files hold for it too (decision 41).
//!
//! XEP-0264 Jingle content thumbnails, v0.4.2 <https://xmpp.org/extensions/xep-0264.html>

use balcony_wire::file_metadata::FileMetadata;

use super::MAX_READ;
use crate::offer::{NamedBy, OfferId, Place};
use crate::thumbnail::{Thumbnail, ThumbnailAt};
use crate::{DigestSet, Disposition, Offer, Source};

/// A small picture of an offer, as an offer of the same sender in which nothing is claimed; for deciding, that it has at most
/// [`MAX_READ`] bytes. `None` where its bytes are in the offer already.
#[must_use]
pub fn as_offer(offer: &Offer, thumbnail: &Thumbnail, is_for_deciding: bool) -> Option<Offer> {
    let source = match &thumbnail.at {
        ThumbnailAt::Bits(cid) => Source::Bits { cid: cid.clone(), from: offer.provenance().sender().clone() },
        ThumbnailAt::Url(url) => Source::url(url.as_str()),
        ThumbnailAt::Data(_) => return None,
    };
    let file = FileMetadata {
        media_type: thumbnail.media_type.as_ref().map(ToString::to_string),
        size: is_for_deciding.then_some(MAX_READ as u64),
        ..FileMetadata::default()
    };
    Some(Offer {
        id: OfferId { message: None, share: None, index: 0 },
        provenance: offer.provenance().clone(),
        file,
        digests: DigestSet::default(),
        disposition: Some(Disposition::Inline),
        places: vec![Place { source, named_by: NamedBy::Sender }],
        said_in: offer.said_in().to_vec(),
        shares: Vec::new(),
        thumbnails: Vec::new(),
    })
}
