//! Folds all copies of one file in one message into one offer: the richest copy speaks (decision 15).

use std::collections::{BTreeMap, BTreeSet};

use balcony_wire::file_metadata::FileMetadata;
use url::Url;

use super::{Dropped, Reading, Share};
use crate::offer::{NamedBy, Offer, OfferId, Place};
use crate::{Agreement, DigestSet, Provenance, Source, Thumbnail, Via};

/// Makes offers of the shares of a reading, then of links that no share covers.
pub(super) fn fold(reading: &mut Reading, links: Vec<Share>, message: Option<&str>, provenance: &Provenance) {
    let mut folding = Folding { encrypted: Encrypted::of(reading, &links), offers: Vec::new(), notes: Vec::new(), provenance };
    for via in RICHEST_FIRST {
        for (index, share) in reading.shares.iter().enumerate().filter(|(_, share)| share.via == via) {
            folding.take_share(share, index);
        }
    }
    folding.take_links(links, reading);
    let Folding { mut offers, notes, .. } = folding;
    for (index, offer) in offers.iter_mut().enumerate() {
        offer.id = OfferId { message: message.map(str::to_owned), share: offer.id.share.take(), index };
    }
    reading.offers = offers;
    reading.ignored.extend(notes);
}

/// Copies are looked for among what is richer than they are.
const RICHEST_FIRST: [Via; 8] =
    [Via::FileSharing, Via::MediaSharing, Via::FileInput, Via::BareFileInput, Via::Jingle, Via::StreamInitiation, Via::Proposal, Via::Bits];

/// Offers on their way.
struct Folding<'a> {
    encrypted: Encrypted,
    offers: Vec<Offer>,
    notes: Vec<Dropped>,
    provenance: &'a Provenance,
}

/// Where encrypted bytes are, by the spelling of the URL. A plain source must never point there: its bytes would be taken for the file.
struct Encrypted {
    /// Named by shares that say themselves how to decrypt.
    by_shares: BTreeSet<String>,
    /// Named by links that say how to decrypt, and nothing else.
    by_links: BTreeMap<String, Source>,
}

impl Encrypted {
    fn of(reading: &Reading, links: &[Share]) -> Self {
        let is_encrypted = |source: &&Source| matches!(source, Source::Encrypted(_));
        let by_shares = reading.shares.iter().flat_map(|share| &share.sources).filter(is_encrypted).flat_map(Source::addresses);
        let by_links = links.iter().flat_map(|link| &link.sources).filter(is_encrypted);
        Self {
            by_shares: by_shares.map(spelling).collect(),
            by_links: by_links.flat_map(|source| source.addresses().into_iter().map(|url| (spelling(url), source.clone()))).collect(),
        }
    }

    fn is_empty(&self) -> bool {
        self.by_shares.is_empty() && self.by_links.is_empty()
    }

    /// Whether every URL of a share leads to bytes that another one says how to decrypt.
    fn covers(&self, share: &Share) -> bool {
        let mut urls = share.sources.iter().filter_map(plain_target).peekable();
        !self.by_shares.is_empty() && urls.peek().is_some() && urls.all(|url| self.by_shares.contains(&spelling(url)))
    }
}

/// The URL of a source that is nothing but one.
fn plain_target(source: &Source) -> Option<&str> {
    match source {
        Source::Url(url) => Some(&url.target),
        _ => None,
    }
}

impl Folding<'_> {
    fn take_share(&mut self, share: &Share, index: usize) {
        if share.file.is_none() && share.is_pending() {
            self.notes.push(Dropped::new(share_name(share), "it says nothing about a file"));
            return;
        }
        let digests = digests_of(share);
        let copied = match share.via {
            Via::MediaSharing => twin(&self.offers, share, &digests).or_else(|| self.encrypted_twin(share)),
            _ => None,
        };
        let Some(at) = copied else {
            let mut offer = offer_of(share, digests, Some(index), self.provenance);
            self.add_places(&mut offer, share);
            self.offers.push(offer);
            return;
        };
        let mut offer = self.offers.remove(at);
        self.take_copy(&mut offer, share, index);
        self.offers.insert(at, offer);
    }

    /// COMPAT(Xepher, QXmpp): the copy for SIMS clients points at the ciphertext, whatever it says about the file.
    fn encrypted_twin(&self, share: &Share) -> Option<usize> {
        let url = share.sources.iter().find_map(plain_target).filter(|_| self.encrypted.covers(share)).map(spelling)?;
        let leads_there = |offer: &Offer| offer.sources().filter(|source| plain_target(source).is_none()).any(|source| has(source, &url));
        self.offers.iter().position(leads_there)
    }

    /// A copy adds its dialect, and its sources only where the richer one has none yet; one in the same words adds places.
    fn take_copy(&mut self, offer: &mut Offer, share: &Share, index: usize) {
        offer.shares.push(index);
        if !offer.said_in.contains(&share.via) {
            offer.said_in.push(share.via);
        }
        if offer.is_pending() || offer.said_in[0] == share.via {
            self.add_places(offer, share);
        }
    }

    fn add_places(&mut self, offer: &mut Offer, share: &Share) {
        for source in &share.sources {
            let url = plain_target(source).filter(|_| !self.encrypted.is_empty()).map(spelling);
            if url.as_ref().is_some_and(|url| self.encrypted.by_shares.contains(url)) {
                self.notes.push(Dropped::new(format!("{} source", share.via.as_str()), "encrypted bytes are there, not the file"));
                continue;
            }
            let key = url.and_then(|url| self.encrypted.by_links.get(&url));
            if key.is_some() && !offer.said_in.contains(&Via::AesGcm) {
                offer.said_in.push(Via::AesGcm);
            }
            offer.push_place(Place { source: key.unwrap_or(source).clone(), named_by: NamedBy::Sender });
        }
    }

    /// Links that nothing richer covers are files of their own.
    fn take_links(&mut self, links: Vec<Share>, reading: &mut Reading) {
        if links.is_empty() {
            return;
        }
        let mut covering = Covering::of(reading, &self.offers);
        for link in links {
            if let Some(why) = covering.why(&link) {
                self.notes.push(Dropped::new(covered_name(&link), why));
                if link.via == Via::BareFile {
                    reading.metadata = link.file; // it stands alone, then
                }
                continue;
            }
            covering.shared.extend(link.sources.iter().flat_map(Source::addresses).map(spelling));
            // a bare link is told as such; beside richer offers it is one more share, which none of them covers
            let shown_as_share = link.via != Via::OutOfBand || self.offers.iter().any(|offer| offer.said_in[0] != Via::OutOfBand);
            let index = shown_as_share.then_some(reading.shares.len());
            let mut offer = offer_of(&link, digests_of(&link), index, self.provenance);
            offer.places.extend(link.sources.iter().map(|source| Place { source: source.clone(), named_by: NamedBy::Sender }));
            self.offers.push(offer);
            if shown_as_share {
                reading.shares.push(link);
            }
        }
    }
}

fn offer_of(share: &Share, digests: DigestSet, index: Option<usize>, provenance: &Provenance) -> Offer {
    Offer {
        id: OfferId { message: None, share: share.id.clone(), index: 0 },
        provenance: provenance.clone(),
        file: share.file.clone().unwrap_or_default(),
        digests,
        disposition: share.disposition,
        places: Vec::with_capacity(share.sources.len()),
        said_in: vec![share.via],
        shares: index.into_iter().collect(),
        thumbnails: share.file.iter().flat_map(|file| &file.thumbnails).filter_map(Thumbnail::read).collect(),
    }
}

/// The offer that a share is a copy of; among several of the same bytes the one of the same name. In one dialect the same bytes
/// under two names are two files.
fn twin(offers: &[Offer], share: &Share, digests: &DigestSet) -> Option<usize> {
    let name = share.file.as_ref().and_then(|file| file.name.as_ref());
    let may_be = |offer: &Offer| offer.said_in[0] != share.via || offer.file.name.as_ref() == name;
    let mut copies = offers.iter().enumerate().filter(|(_, offer)| may_be(offer) && is_copy(offer, share, digests));
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

/// What a link may only repeat.
struct Covering {
    shared: BTreeSet<String>,
    attached: Option<BTreeSet<String>>,
    text: String,
    is_marked: bool,
    has_offers: bool,
}

impl Covering {
    fn of(reading: &Reading, offers: &[Offer]) -> Self {
        let addresses = |sources: &[Source]| sources.iter().flat_map(Source::addresses).map(spelling).collect();
        Self {
            shared: reading.shares.iter().flat_map(|share| &share.sources).flat_map(Source::addresses).map(spelling).collect(),
            attached: reading.attach.as_ref().map(|attach| addresses(&attach.sources)),
            text: reading.body.as_deref().unwrap_or_default().trim().to_owned(),
            is_marked: reading.fallback.iter().any(|fallback| fallback.for_ns.as_deref() == Some(balcony_wire::ns::SFS)),
            has_offers: !offers.is_empty(),
        }
    }

    /// Why a link is no file of its own.
    fn why(&self, link: &Share) -> Option<&'static str> {
        let own: Vec<String> = link.sources.iter().flat_map(Source::addresses).map(spelling).collect();
        if own.iter().any(|url| self.shared.contains(url)) {
            return Some("a share in the same message has it as a source");
        }
        let is_all_text = self.text.is_empty() || link_url(link) == Some(&self.text);
        match &self.attached {
            Some(attached) if own.iter().any(|url| attached.contains(url)) => Some("it is the source that the message attaches"),
            Some(attached) if attached.is_empty() && (is_all_text || self.is_marked) => {
                Some("it stands in for a file that another message offers")
            }
            _ if self.has_offers && is_all_text && self.is_marked && link.via != Via::AesGcm => {
                Some("it stands in for the share in the same message")
            }
            _ => None,
        }
    }
}

fn link_url(link: &Share) -> Option<&str> {
    link.sources.first().and_then(Source::plain_url)
}

fn has(source: &Source, url: &str) -> bool {
    source.addresses().into_iter().any(|address| spelling(address) == url)
}

/// One spelling for all of one URL: `%c3` and `%C3`, a missing path, an upper-case host.
pub(crate) fn spelling(url: &str) -> String {
    let Ok(url) = Url::parse(url) else { return url.to_owned() }; // what is no URL has one spelling
    let mut text = String::from(url);
    let escapes: Vec<usize> = text.match_indices('%').map(|(at, _)| at).collect();
    for at in escapes {
        if let Some(digits) = text.get_mut(at + 1..at + 3) {
            digits.make_ascii_uppercase();
        }
    }
    text
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
    let url = link.sources.iter().flat_map(Source::addresses).next().unwrap_or_default(); // never with a key
    format!("{} {url}", link.via.as_str())
}
