//! XEP-0385 elements as shares.
//!
//! XEP-0385 Stateless inline media sharing (SIMS), v0.2.1 <https://xmpp.org/extensions/xep-0385.html>
//! Status: partial: Jingle sources are named and not used, `ni:` references in XHTML-IM are read and not written.
//! XEP-0372 References, v0.5.0 <https://xmpp.org/extensions/xep-0372.html>
//! Status: partial: references that carry media; mentions and references to earlier messages are left alone.

use balcony_wire::media_sharing::{MediaSharing, MediaSource};
use balcony_wire::references::Reference;
use balcony_wire::{Element, Payload as _};

use super::{Dropped, Share};
use crate::{Source, UnknownSource, Via};

/// Whether a reference is one to a shared medium; others are somebody else's business. The medium without a reference around it
/// says the same, except for which words it belongs to.
pub(super) fn is_share(element: &Element) -> bool {
    MediaSharing::matches(element) || (Reference::matches(element) && element.children().any(MediaSharing::matches))
}

/// Reads a `reference` around `media-sharing`, or that alone.
pub(super) fn read(element: &Element, ignored: &mut Vec<Dropped>) -> Option<Share> {
    let read = match MediaSharing::matches(element) {
        true => MediaSharing::read(element).map(|sharing| (Some(sharing), Reference::default())),
        false => Reference::read(element).map(|mut reference| (reference.media_sharing.take(), reference)),
    };
    let (reference, sharing) = match read {
        Ok((Some(sharing), reference)) => (reference, sharing),
        Ok((None, _)) => return None,
        Err(error) => {
            ignored.push(Dropped::new("media-sharing", error.why()));
            return None;
        }
    };
    ignored.extend(sharing.dropped);
    let sources = sharing.sources.unwrap_or_default().into_iter().map(|source| match source {
        MediaSource::Uri(uri) => Source::from_uri(&uri),
        MediaSource::Unknown(element) => Source::Unknown(UnknownSource::Element(element.qualified_name())),
    });
    Some(Share {
        via: Via::MediaSharing,
        id: None,
        disposition: None,
        begin: reference.begin,
        end: reference.end,
        file: sharing.file.map(|file| file.metadata),
        sources: sources.collect(),
    })
}
