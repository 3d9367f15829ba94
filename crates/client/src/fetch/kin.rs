//! Bytes that another fetch of the same file left: the same file offered once more, by a peer whose session broke, or as a link that was
//! sent twice. Which file it is, a digest says; so nothing is fetched twice. Only by the same person: else anybody who knows the digest
//! could put wrong bytes in front of what an honest one gives, and the whole would be wrong.

use balcony_sharing::{Agreement, Claim, Offer, Provenance};
use balcony_store::{OfferKey, Staging, Store, StoreError};

use super::work::job_of;
use crate::offers::CataloguedOffer;

/// What a file must be to be the same.
pub(super) struct Kin {
    key: OfferKey,
    provenance: Provenance,
    claim: Claim,
}

impl Kin {
    pub(super) fn of(key: OfferKey, offer: &Offer) -> Self {
        Self { key, provenance: offer.provenance().clone(), claim: offer.claim() }
    }

    /// The most that another fetch left of this file, unless it is under way; plain bytes only.
    pub(super) fn take(&self, store: &Store) -> Result<Option<Staging>, StoreError> {
        if !self.claim.can_prove() {
            return Ok(None);
        }
        let mut found = Vec::new();
        for staged in store.staged()?.into_iter().filter(|staged| staged.len > 0 && staged.job != job_of(self.key)) {
            let Some(sidecar) = staged.sidecar.filter(|sidecar| sidecar.envelope.is_none()) else { continue };
            let Some(other) = sidecar.offer.parse().ok().map(OfferKey::from_number) else { continue };
            if self.is_same(store, other)? {
                found.push((staged.len, staged.job));
            }
        }
        found.sort_by_key(|(len, job)| (std::cmp::Reverse(*len), job.as_str().to_owned()));
        for (_, job) in found {
            match store.resume(&job) {
                Ok(Some(staging)) if !staging.is_empty() => return Ok(Some(staging)),
                Ok(_) | Err(StoreError::Busy(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    fn is_same(&self, store: &Store, other: OfferKey) -> Result<bool, StoreError> {
        if other == self.key {
            return Ok(true); // taken over before
        }
        let Some(row) = store.offer(other)? else { return Ok(false) };
        let Some(offer) = CataloguedOffer::from_row(&row, &[]) else { return Ok(false) };
        let is_same_file = offer.digests().agreement(&self.claim.digests) == Agreement::Same && offer.size() == self.claim.size;
        let (own, other) = (&self.provenance, offer.provenance());
        Ok(is_same_file && other.account() == own.account() && other.is_same_sender(own))
    }
}
