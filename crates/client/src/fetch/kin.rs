//! Bytes that another fetch of the same file left: the same file offered once more, by a peer whose session broke or whose program was
//! started anew, or as a link that was sent twice. So nothing is fetched twice.
//!
//! Which file it is, a digest says. What a session offers may have none yet: it comes behind the bytes. Then name, size and date say what
//! may be the same, and the digest at the end decides (`docs/decisions/0030-a-sender-that-was-started-anew-goes-on.md`). So a session goes on behind what a link gave that the same person sent.
//!
//! Only by the same person: else anybody who knows the digest, or the name, could put wrong bytes in front of what an honest one gives,
//! and the whole would be wrong.

use balcony_sharing::plan::{Outcome, Record};
use balcony_sharing::{Agreement, Claim, Offer, Provenance, Source, SourceKey};
use balcony_store::{OfferKey, Sidecar, Staged, Staging, Store, StoreError};
use balcony_wire::file_metadata::FileMetadata;
use balcony_wire::hashes::HashUsed;

use super::work::job_of;
use crate::offers::CataloguedOffer;

/// What a file must be to be the same.
pub(super) struct Kin {
    key: OfferKey,
    provenance: Provenance,
    claim: Claim,
    file: FileMetadata,
    /// The session in which it is offered, if it is.
    session: Option<SourceKey>,
}

/// What others left.
pub(super) enum Left {
    /// Nothing that is of use.
    Nothing,
    /// Bytes; now they are ours.
    Bytes(Box<Staging>),
    /// A session is at it that may be over without knowing it: whoever gives here may have been started anew. So many bytes are there.
    Held(u64),
}

/// How sure it is that it is the same file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Likeness {
    None,
    /// The whole digest will tell. All of it came from where the same person said.
    Described,
    /// A digest tells.
    Proven {
        is_theirs: bool,
    },
}

impl Kin {
    pub(super) fn of(key: OfferKey, offer: &Offer) -> Self {
        let session = offer.sources().find(|source| matches!(source, Source::Session { .. })).map(Source::key);
        Self { key, provenance: offer.provenance().clone(), claim: offer.claim(), file: offer.file().clone(), session }
    }

    /// The most that another fetch left of this file; plain bytes only.
    pub(super) fn take(&self, store: &Store) -> Result<Left, StoreError> {
        let mut found = Vec::new();
        for staged in store.staged()?.into_iter().filter(|staged| staged.len > 0 && staged.job != job_of(self.key)) {
            match self.likeness(store, &staged)? {
                Likeness::None => {}
                likeness => found.push((staged.len, staged.job, likeness)),
            }
        }
        found.sort_by_key(|(len, job, _)| (std::cmp::Reverse(*len), job.as_str().to_owned()));
        let mut held = None;
        for (len, job, likeness) in found {
            match store.resume(&job) {
                Ok(Some(staging)) if !staging.is_empty() => {
                    // Whoever was at it may have gone on with it until now.
                    let now = Staged { job, len: staging.len(), sidecar: Some(staging.sidecar().clone()) };
                    if self.likeness(store, &now)? == likeness {
                        return self.adopt(staging, likeness).map(Box::new).map(Left::Bytes);
                    }
                }
                Ok(_) => {}
                Err(StoreError::Busy(_)) => held = held.or(Some(len).filter(|_| self.session.is_some())),
                Err(error) => return Err(error),
            }
        }
        Ok(held.map_or(Left::Nothing, Left::Held))
    }

    /// What came from where a person said is theirs, and counts as given in the session in which they offer it now.
    fn adopt(&self, mut staging: Staging, likeness: Likeness) -> Result<Staging, StoreError> {
        if let (Likeness::Described | Likeness::Proven { is_theirs: true }, Some(session)) = (likeness, &self.session) {
            // The digest may come behind the last byte: that one is asked for, even if all are here.
            let all_but_one = self.claim.size.map_or(u64::MAX, |size| size.saturating_sub(1));
            if likeness == Likeness::Described && staging.len() > all_but_one {
                staging.truncate(all_but_one)?;
            }
            let source = Some(session.as_str().to_owned());
            staging.note(Sidecar { offer: self.key.to_string(), source, is_pure: true, ..Sidecar::default() })?;
        }
        Ok(staging)
    }

    fn likeness(&self, store: &Store, staged: &Staged) -> Result<Likeness, StoreError> {
        let Some(sidecar) = staged.sidecar.as_ref().filter(|sidecar| sidecar.envelope.is_none()) else { return Ok(Likeness::None) };
        let Some(key) = sidecar.offer.parse().ok().map(OfferKey::from_number) else { return Ok(Likeness::None) };
        if key == self.key {
            return Ok(Likeness::Proven { is_theirs: false }); // taken over before
        }
        let Some(row) = store.offer(key)? else { return Ok(Likeness::None) };
        let Some(other) = CataloguedOffer::from_row(&row, &[]) else { return Ok(Likeness::None) };
        let (own, theirs) = (&self.provenance, other.provenance());
        if other.size() != self.claim.size || theirs.account() != own.account() || !theirs.is_same_sender(own) {
            return Ok(Likeness::None);
        }
        let is_theirs = is_named_in(sidecar, &other) && !Self::did_misfit(store, self.key)? && !Self::did_misfit(store, key)?;
        Ok(match other.digests().agreement(&self.claim.digests) {
            Agreement::Same => Likeness::Proven { is_theirs },
            Agreement::Different => Likeness::None,
            _ if is_theirs && self.is_described_by(&other) => Likeness::Described,
            _ => Likeness::None,
        })
    }

    /// It is offered in a session now, as a file of the same name, size and date, and a digest of the whole will come.
    fn is_described_by(&self, other: &Offer) -> bool {
        let proves = |used: &HashUsed| used.canonical().is_some_and(|algo| algo.is_usable() && algo.is_proof());
        let (own, theirs) = (&self.file, other.file());
        let date = |file: &FileMetadata| file.date.as_ref().map(|date| date.time);
        self.session.is_some()
            && own.size.is_some()
            && own.name.is_some()
            && own.name == theirs.name
            && date(own) == date(theirs)
            && (self.claim.can_prove() || own.hash_used.iter().any(proves))
    }

    /// A session went on behind what one of these offers left, and it turned out to be of another file: from then on it begins anew.
    fn did_misfit(store: &Store, key: OfferKey) -> Result<bool, StoreError> {
        let is_it = |record: &Record| record.outcome == Outcome::Misfit && record.source.is_offered();
        Ok(store.history(key)?.records().iter().any(is_it))
    }
}

/// Whether every byte came from one place that the offer itself named: a session in which it was made, a link in the message.
fn is_named_in(sidecar: &Sidecar, offer: &Offer) -> bool {
    sidecar.is_pure && offer.sources().any(|source| sidecar.source.as_deref() == Some(source.key().as_str()))
}

#[cfg(test)]
pub(super) mod tests;
