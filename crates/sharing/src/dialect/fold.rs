//! Folds all copies of one file in one message into one offer: the richest copy speaks (decision 15).

use balcony_wire::file_metadata::FileMetadata;
use url::Url;

use super::{Dropped, Reading, Share};
use crate::offer::{NamedBy, Offer, OfferId, Place};
use crate::{Agreement, DigestSet, Provenance, Source, Thumbnail, Via};

/// Makes offers of the shares of a reading, then of links that no share covers.
pub(super) fn fold(reading: &mut Reading, links: Vec<Share>, message: Option<&str>, provenance: &Provenance) {
    let mut offers: Vec<Offer> = Vec::new();
    let mut notes = Vec::new();
    let richest_first = [Via::FileSharing, Via::MediaSharing, Via::FileInput, Via::BareFileInput, Via::Jingle, Via::Bits];
    for via in richest_first {
        for (index, share) in reading.shares.iter().enumerate().filter(|(_, share)| share.via == via) {
            if share.file.is_none() && share.is_pending() {
                notes.push(Dropped::new(share_name(share), "it says nothing about a file"));
                continue;
            }
            let digests = digests_of(share);
            match twin(&offers, share, &digests).filter(|_| via == Via::MediaSharing) {
                Some(at) => take_copy(&mut offers[at], share, index),
                None => offers.push(offer_of(share, digests, Some(index), provenance)),
            }
        }
    }
    for link in links {
        match why_covered(&link, reading, &offers) {
            Some(why) => notes.push(Dropped::new(covered_name(&link), why)),
            None => {
                // a bare link is told as such; beside richer offers it is one more share, which none of them covers
                let shown_as_share = link.via != Via::OutOfBand || offers.iter().any(|offer| offer.said_in[0] != Via::OutOfBand);
                let index = shown_as_share.then_some(reading.shares.len());
                offers.push(offer_of(&link, digests_of(&link), index, provenance));
                if shown_as_share {
                    reading.shares.push(link);
                }
            }
        }
    }
    for (index, offer) in offers.iter_mut().enumerate() {
        offer.id = OfferId { message: message.map(str::to_owned), share: offer.id.share.take(), index };
    }
    reading.offers = offers;
    reading.ignored.extend(notes);
}

fn offer_of(share: &Share, digests: DigestSet, index: Option<usize>, provenance: &Provenance) -> Offer {
    let mut offer = Offer {
        id: OfferId { message: None, share: share.id.clone(), index: 0 },
        provenance: provenance.clone(),
        file: share.file.clone().unwrap_or_default(),
        digests,
        disposition: share.disposition,
        places: Vec::with_capacity(share.sources.len()),
        said_in: vec![share.via],
        shares: index.into_iter().collect(),
        thumbnails: share.file.iter().flat_map(|file| &file.thumbnails).filter_map(Thumbnail::read).collect(),
    };
    add_places(&mut offer, share);
    offer
}

fn add_places(offer: &mut Offer, share: &Share) {
    for source in &share.sources {
        offer.push_place(Place { source: source.clone(), named_by: NamedBy::Sender });
    }
}

/// A copy adds its dialect, and its sources only where the richer one has none yet.
fn take_copy(offer: &mut Offer, share: &Share, index: usize) {
    offer.shares.push(index);
    if !offer.said_in.contains(&share.via) {
        offer.said_in.push(share.via);
    }
    if offer.is_pending() {
        add_places(offer, share);
    }
}

/// The offer that a share is a copy of; among several of the same bytes the one of the same name.
fn twin(offers: &[Offer], share: &Share, digests: &DigestSet) -> Option<usize> {
    let name = share.file.as_ref().and_then(|file| file.name.as_ref());
    let mut copies = offers.iter().enumerate().filter(|(_, offer)| is_copy(offer, share, digests));
    let first = copies.next()?;
    let named = std::iter::once(first).chain(copies).find(|(_, offer)| offer.file.name.as_ref() == name);
    Some(named.unwrap_or(first).0)
}

/// Whether a share is a copy of what is offered: a shared digest, or the same name and size; never if a digest differs.
fn is_copy(offer: &Offer, share: &Share, digests: &DigestSet) -> bool {
    match offer.digests.agreement(digests) {
        Agreement::Same => true,
        Agreement::Different => false,
        Agreement::Alike | Agreement::Unknown => share.file.as_ref().is_some_and(|file| {
            let same = |a: &FileMetadata, b: &FileMetadata| a.name.is_some() && a.name == b.name && a.size.is_some() && a.size == b.size;
            same(file, &offer.file)
        }),
    }
}

/// Why a link is no file of its own.
fn why_covered(link: &Share, reading: &Reading, offers: &[Offer]) -> Option<&'static str> {
    let own: Vec<&str> = link.sources.iter().flat_map(Source::addresses).collect();
    let is_place = |source: &Source| source.addresses().iter().any(|url| own.iter().any(|own| own == url || is_one_url(own, url)));
    if reading.shares.iter().flat_map(|share| &share.sources).any(is_place) {
        return Some("a share in the same message has it as a source");
    }
    let text = reading.body.as_deref().unwrap_or_default().trim();
    let is_all_text = text.is_empty() || link_url(link) == Some(text);
    let stands_in = reading.fallback.iter().any(|fallback| fallback.for_ns.as_deref() == Some(balcony_wire::ns::SFS));
    match &reading.attach {
        Some(attach) if attach.sources.iter().any(is_place) => Some("it is the source that the message attaches"),
        Some(attach) if attach.sources.is_empty() && (is_all_text || stands_in) => {
            Some("it stands in for a file that another message offers")
        }
        _ if stands_in && !offers.is_empty() && is_all_text => Some("it stands in for the share in the same message"),
        _ => None,
    }
}

fn link_url(link: &Share) -> Option<&str> {
    link.sources.first().and_then(Source::plain_url)
}

/// Whether two spellings are one URL: `%c3` and `%C3`, a missing path, an upper-case host.
pub(super) fn is_one_url(a: &str, b: &str) -> bool {
    match (Url::parse(a), Url::parse(b)) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    }
}

fn digests_of(share: &Share) -> DigestSet {
    share.file.as_ref().map(|file| DigestSet::from_hashes(&file.hashes)).unwrap_or_default()
}

fn share_name(share: &Share) -> String {
    match &share.id {
        Some(id) => format!("{} {id}", share.via.as_str()),
        None => share.via.as_str().to_owned(),
    }
}

fn covered_name(link: &Share) -> String {
    format!("{} {}", link.via.as_str(), link_url(link).unwrap_or_default())
}
