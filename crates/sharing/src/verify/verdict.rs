//! Compares what was hashed with what was claimed: all supported digests count, one that differs rejects (XEP-0414 §3, decision 36).

use balcony_wire::hashes::HashAlgo;

use super::witness::{Hashed, Unproven, Verified};
use crate::DigestSet;
use crate::cipher::Opened;

/// What an offer says about the bytes of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claim {
    /// Bytes announced.
    pub size: Option<u64>,
    /// Usable digests.
    pub digests: DigestSet,
}

/// The outcome of comparing bytes with a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// They are what the offer says.
    Verified(Verified),
    /// Nothing in the offer could prove them, and nothing speaks against them.
    Unproven(Unproven),
    /// They are something else.
    Mismatch(Mismatch),
}

/// How bytes differ from a claim.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// A digest differs.
    #[error("the bytes do not match the {0} digest in the offer")]
    Digest(HashAlgo),
    /// A digest of the claim was not computed: a mistake of whoever drives the hasher, never a success.
    #[error("the {0} digest in the offer was not checked")]
    Unchecked(HashAlgo),
    /// Another size, with no digest to say that it does not matter (decision 47).
    #[error("the file has {found} bytes, the offer says {announced}")]
    Size {
        /// bytes there
        found: u64,
        /// bytes announced
        announced: u64,
    },
}

impl Claim {
    /// The algorithms a hasher must compute to judge by this claim.
    pub fn algos(&self) -> impl Iterator<Item = HashAlgo> {
        self.digests.algos()
    }

    /// Whether the claim can prove anything.
    pub fn can_prove(&self) -> bool {
        self.digests.has_proof()
    }

    /// Compares.
    #[must_use]
    pub fn judge(&self, hashed: Hashed) -> Verdict {
        for digest in &self.digests {
            match hashed.digests().get(digest.algo()) {
                None => return Verdict::Mismatch(Mismatch::Unchecked(digest.algo())),
                Some(found) if found != digest => return Verdict::Mismatch(Mismatch::Digest(digest.algo())),
                Some(_) => {}
            }
        }
        match self.size {
            _ if self.can_prove() => Verdict::Verified(Verified::mint(hashed)),
            Some(announced) if announced != hashed.size() => Verdict::Mismatch(Mismatch::Size { found: hashed.size(), announced }),
            _ => Verdict::Unproven(Unproven::mint(hashed)),
        }
    }

    /// Compares what came out of an envelope: where no digest proves, the tag of the cipher does. Whoever made the key made the bytes.
    #[must_use]
    pub fn judge_opened(&self, hashed: Hashed, opened: &Opened) -> Verdict {
        match self.judge(hashed) {
            Verdict::Unproven(unproven) if opened.is_authentic() => Verdict::Verified(Verified::mint(unproven.into_hashed())),
            verdict => verdict,
        }
    }
}

impl Verified {
    /// Compares, for callers who take nothing less than a proof.
    ///
    /// # Errors
    /// The verdict, when it is another one.
    pub fn check(hashed: Hashed, claim: &Claim) -> Result<Self, Verdict> {
        match claim.judge(hashed) {
            Verdict::Verified(verified) => Ok(verified),
            other => Err(other),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use balcony_wire::hashes::Digest;

    use super::*;
    use crate::verify::Hasher;

    fn hashed(bytes: &[u8], algos: &[HashAlgo]) -> Hashed {
        let mut hasher = Hasher::new(algos.iter().copied());
        hasher.update(bytes);
        hasher.finish()
    }

    fn claim(bytes: &[u8], algos: &[HashAlgo], size: Option<u64>) -> Claim {
        Claim { size, digests: hashed(bytes, algos).digests().clone() }
    }

    const STRONG: [HashAlgo; 2] = [HashAlgo::Sha256, HashAlgo::Blake2b256];

    /// Proves: SFS-6-1, SIMS-4.2-4.
    #[test]
    fn bytes_that_match_every_digest_are_verified() {
        let verified = Verified::check(hashed(b"summit", &STRONG), &claim(b"summit", &STRONG, Some(6))).unwrap();
        assert_eq!(verified.hashed().size(), 6);
        assert_eq!(verified.strongest().unwrap().algo(), HashAlgo::Blake2b256);
    }

    /// Decision 36.
    /// Proves: HREC-3-1, HREC-D-2, SIMS-4.2-5.
    #[test]
    fn one_digest_that_differs_rejects_though_another_fits() {
        let mut mixed = claim(b"summit", &[HashAlgo::Blake2b256], Some(6));
        mixed.digests.insert(Digest::new(HashAlgo::Sha256, [7; 32]).unwrap()).unwrap();
        assert_eq!(mixed.judge(hashed(b"summit", &STRONG)), Verdict::Mismatch(Mismatch::Digest(HashAlgo::Sha256)));
    }

    /// Decision 35.
    /// Proves: HREC-D-1.
    #[test]
    fn sha_1_rejects_on_a_mismatch_and_proves_nothing_on_a_match() {
        let weak = claim(b"summit", &[HashAlgo::Sha1], None);
        assert!(matches!(weak.judge(hashed(b"summit", &[HashAlgo::Sha1])), Verdict::Unproven(_)));
        assert_eq!(weak.judge(hashed(b"forged", &[HashAlgo::Sha1])), Verdict::Mismatch(Mismatch::Digest(HashAlgo::Sha1)));
    }

    #[test]
    fn a_digest_that_was_not_computed_never_looks_like_success() {
        let verdict = claim(b"summit", &STRONG, None).judge(hashed(b"summit", &[HashAlgo::Sha256]));
        assert_eq!(verdict, Verdict::Mismatch(Mismatch::Unchecked(HashAlgo::Blake2b256)));
    }

    /// Decision 47.
    #[test]
    fn without_a_digest_a_differing_size_rejects_and_with_one_the_digest_decides() {
        let sized = Claim { size: Some(7), digests: DigestSet::new() };
        assert_eq!(sized.judge(hashed(b"summit", &[])), Verdict::Mismatch(Mismatch::Size { found: 6, announced: 7 }));
        assert!(matches!(claim(b"summit", &STRONG, Some(7)).judge(hashed(b"summit", &STRONG)), Verdict::Verified(_)));
        assert!(matches!(Claim::default().judge(hashed(b"", &[])), Verdict::Unproven(_)));
    }
}
