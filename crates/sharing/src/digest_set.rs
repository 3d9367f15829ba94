//! Digests of one file, the most trusted first, never two of one algorithm.

use balcony_wire::hashes::{Digest, Hash, HashAlgo};

/// Digests of one file, ordered by trust in the algorithm, the most trusted first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DigestSet {
    digests: Vec<Digest>,
}

/// How two sets of digests speak of each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agreement {
    /// They share a digest that proves, and none differs: one file.
    Same,
    /// They share a digest of an algorithm that proves nothing (SHA-1), and none differs.
    Alike,
    /// A digest of one algorithm differs: two files.
    Different,
    /// No algorithm in common.
    Unknown,
}

/// Two different digests of one algorithm: no file has both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("two different {0} digests for one file")]
pub struct Contradiction(pub HashAlgo);

impl DigestSet {
    /// No digest at all.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The usable ones among hashes as they were read; of a contradiction, which the readers refuse before, the first counts.
    #[must_use]
    pub fn from_hashes<'a>(hashes: impl IntoIterator<Item = &'a Hash>) -> Self {
        let mut set = Self::new();
        for digest in hashes.into_iter().filter_map(Hash::digest) {
            let _ = set.insert(digest.clone()); // the readers have refused contradictions before
        }
        set
    }

    /// Adds a digest.
    ///
    /// # Errors
    /// When there is another one of the same algorithm; the set stays as it was.
    pub fn insert(&mut self, digest: Digest) -> Result<(), Contradiction> {
        match self.digests.binary_search_by(|known| digest.algo().cmp(&known.algo())) {
            Ok(at) if self.digests[at] == digest => Ok(()),
            Ok(_) => Err(Contradiction(digest.algo())),
            Err(at) => {
                self.digests.insert(at, digest);
                Ok(())
            }
        }
    }

    /// The digest of an algorithm.
    pub fn get(&self, algo: HashAlgo) -> Option<&Digest> {
        self.digests.iter().find(|digest| digest.algo() == algo)
    }

    /// The most trusted one.
    pub fn strongest(&self) -> Option<&Digest> {
        self.digests.first()
    }

    /// The digests, the most trusted first.
    pub fn iter(&self) -> std::slice::Iter<'_, Digest> {
        self.digests.iter()
    }

    /// The algorithms, the most trusted first.
    pub fn algos(&self) -> impl Iterator<Item = HashAlgo> {
        self.digests.iter().map(Digest::algo)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.digests.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.digests.len()
    }

    /// Whether a file can be proven by them: SHA-1 alone proves nothing (decision 35).
    pub fn has_proof(&self) -> bool {
        self.digests.iter().any(|digest| digest.algo().is_proof())
    }

    /// Compares with the digests of another claim.
    pub fn agreement(&self, other: &Self) -> Agreement {
        let mut found = Agreement::Unknown;
        for digest in &self.digests {
            match other.get(digest.algo()) {
                Some(known) if known != digest => return Agreement::Different,
                Some(_) if digest.algo().is_proof() => found = Agreement::Same,
                Some(_) if found == Agreement::Unknown => found = Agreement::Alike,
                _ => {}
            }
        }
        found
    }
}

impl<'a> IntoIterator for &'a DigestSet {
    type Item = &'a Digest;
    type IntoIter = std::slice::Iter<'a, Digest>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl DigestSet {
    /// Whether every digest of this set was computed of some bytes and is the same there.
    pub(crate) fn fit(&self, hashed: Option<&crate::Hashed>) -> bool {
        self.iter().all(|digest| hashed.and_then(|hashed| hashed.digests().get(digest.algo())) == Some(digest))
    }
}

impl FromIterator<Digest> for DigestSet {
    fn from_iter<I: IntoIterator<Item = Digest>>(digests: I) -> Self {
        let mut set = Self::new();
        for digest in digests {
            let _ = set.insert(digest); // the first of one algorithm counts
        }
        set
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    fn digest(algo: HashAlgo, byte: u8) -> Digest {
        Digest::new(algo, vec![byte; algo.digest_len()]).unwrap()
    }

    #[test]
    fn the_most_trusted_comes_first_and_none_comes_twice() {
        let mut set: DigestSet = [HashAlgo::Sha1, HashAlgo::Blake2b256, HashAlgo::Sha256].map(|algo| digest(algo, 1)).into_iter().collect();
        assert_eq!(set.algos().collect::<Vec<_>>(), [HashAlgo::Blake2b256, HashAlgo::Sha256, HashAlgo::Sha1]);
        assert_eq!(set.insert(digest(HashAlgo::Sha1, 1)), Ok(()));
        assert_eq!(set.insert(digest(HashAlgo::Sha1, 2)), Err(Contradiction(HashAlgo::Sha1)));
        assert_eq!((set.len(), set.get(HashAlgo::Sha1)), (3, Some(&digest(HashAlgo::Sha1, 1))));
    }

    /// Decision 35.
    #[test]
    fn sha_1_alone_proves_nothing() {
        let weak: DigestSet = [digest(HashAlgo::Sha1, 1)].into_iter().collect();
        let strong: DigestSet = [digest(HashAlgo::Sha1, 1), digest(HashAlgo::Sha256, 1)].into_iter().collect();
        assert!(!weak.has_proof() && strong.has_proof() && !DigestSet::new().has_proof());
        assert_eq!(weak.agreement(&strong), Agreement::Alike);
    }

    #[test]
    fn one_difference_makes_two_files_even_where_another_digest_is_shared() {
        let one: DigestSet = [digest(HashAlgo::Sha512, 1), digest(HashAlgo::Sha256, 1)].into_iter().collect();
        let other: DigestSet = [digest(HashAlgo::Sha512, 1), digest(HashAlgo::Sha256, 2)].into_iter().collect();
        assert_eq!(one.agreement(&other), Agreement::Different);
        assert_eq!(one.agreement(&one.clone()), Agreement::Same);
        assert_eq!(one.agreement(&DigestSet::new()), Agreement::Unknown);
    }
}
