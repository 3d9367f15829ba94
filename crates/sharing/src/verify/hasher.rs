//! Computes digests as bytes go by: all algorithms in one pass, on one thread or on one thread each.
//!
//! XEP-0414 §5: everything but MD2, MD4 and MD5. Knows no files and no threads; a driver feeds it.

use balcony_wire::hashes::{Digest, HashAlgo};
use blake2::Blake2b;
use sha2::digest::DynDigest;
use sha2::digest::consts::{U20, U32, U48, U64};

use super::witness::Hashed;
use crate::DigestSet;

/// All digests of one file in one pass.
pub struct Hasher {
    lanes: Vec<Lane>,
    seen: u64,
}

impl Hasher {
    /// A hasher for these algorithms; `md5` and repetitions are left out.
    #[must_use]
    pub fn new(algos: impl IntoIterator<Item = HashAlgo>) -> Self {
        let mut lanes: Vec<Lane> = Vec::new();
        for algo in algos {
            if !lanes.iter().any(|lane| lane.algo == algo) {
                lanes.extend(Lane::new(algo));
            }
        }
        Self { lanes, seen: 0 }
    }

    /// The next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.seen += bytes.len() as u64;
        self.lanes.iter_mut().for_each(|lane| lane.update(bytes));
    }

    /// Bytes seen so far.
    pub fn len(&self) -> u64 {
        self.seen
    }

    /// Whether no byte was seen.
    pub fn is_empty(&self) -> bool {
        self.seen == 0
    }

    /// The digests of all bytes seen.
    #[must_use]
    pub fn finish(self) -> Hashed {
        Hashed::mint(self.seen, self.lanes.into_iter().map(Lane::finish).collect())
    }

    /// One lane per algorithm, each to be fed the same bytes on a thread of its own, then joined by [`Hashed::join`].
    #[must_use]
    pub fn lanes(self) -> Vec<Lane> {
        self.lanes
    }
}

impl std::fmt::Debug for Hasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hasher").field("lanes", &self.lanes).field("seen", &self.seen).finish()
    }
}

/// One algorithm of a [`Hasher`].
pub struct Lane {
    algo: HashAlgo,
    seen: u64,
    state: Box<dyn DynDigest + Send>,
}

impl Lane {
    fn new(algo: HashAlgo) -> Option<Self> {
        let state: Box<dyn DynDigest + Send> = match algo {
            HashAlgo::Md5 => return None,
            HashAlgo::Sha1 => Box::<sha1::Sha1>::default(),
            HashAlgo::Sha224 => Box::<sha2::Sha224>::default(),
            HashAlgo::Sha256 => Box::<sha2::Sha256>::default(),
            HashAlgo::Sha384 => Box::<sha2::Sha384>::default(),
            HashAlgo::Sha512 => Box::<sha2::Sha512>::default(),
            HashAlgo::Sha3_224 => Box::<sha3::Sha3_224>::default(),
            HashAlgo::Sha3_256 => Box::<sha3::Sha3_256>::default(),
            HashAlgo::Sha3_384 => Box::<sha3::Sha3_384>::default(),
            HashAlgo::Sha3_512 => Box::<sha3::Sha3_512>::default(),
            HashAlgo::Blake2b160 => Box::<Blake2b<U20>>::default(),
            HashAlgo::Blake2b256 => Box::<Blake2b<U32>>::default(),
            HashAlgo::Blake2b384 => Box::<Blake2b<U48>>::default(),
            HashAlgo::Blake2b512 => Box::<Blake2b<U64>>::default(),
        };
        Some(Self { algo, seen: 0, state })
    }

    /// The algorithm.
    pub fn algo(&self) -> HashAlgo {
        self.algo
    }

    /// Bytes seen so far.
    pub fn len(&self) -> u64 {
        self.seen
    }

    /// Whether no byte was seen.
    pub fn is_empty(&self) -> bool {
        self.seen == 0
    }

    /// The next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.seen += bytes.len() as u64;
        self.state.update(bytes);
    }

    fn finish(self) -> Digest {
        Digest::new(self.algo, self.state.finalize().into_vec()).expect("every state here has the length of its algorithm")
    }
}

impl std::fmt::Debug for Lane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {} bytes", self.algo, self.seen)
    }
}

/// Lanes that did not all see the same number of bytes, or none at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the digests were not all computed from the same bytes")]
pub struct UnevenLanes;

impl Hashed {
    /// Joins lanes that were fed apart. Whoever fed them vouches that the bytes were the same; the length is checked here.
    ///
    /// # Errors
    /// When lengths differ, or there is no lane to tell the length.
    pub fn join(lanes: impl IntoIterator<Item = Lane>) -> Result<Self, UnevenLanes> {
        let lanes: Vec<Lane> = lanes.into_iter().collect();
        let size = lanes.first().ok_or(UnevenLanes)?.seen;
        if lanes.iter().any(|lane| lane.seen != size) {
            return Err(UnevenLanes);
        }
        let digests: DigestSet = lanes.into_iter().map(Lane::finish).collect();
        Ok(Self::mint(size, digests))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    fn input(name: &str, entry: &serde_json::Value) -> Vec<u8> {
        match name {
            "all-bytes" => (0..=255).collect(),
            "million-a" => vec![b'a'; 1_000_000],
            "block-128" => vec![0; 128],
            "block-129" => vec![0; 129],
            "sha3-256-rate-136" => vec![0xa3; 136],
            _ => {
                let hex = entry["hex"].as_str().unwrap();
                (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()).collect()
            }
        }
    }

    /// Proves: HREC-5-1, HREC-5-2.
    #[test]
    fn computes_every_digest_of_the_vectors_however_the_bytes_are_cut() {
        let table = testing_corpus::vector("hashes");
        let mut compared = 0;
        for (name, entry) in table["inputs"].as_object().unwrap() {
            let bytes = input(name, entry);
            assert_eq!(bytes.len() as u64, entry["length"].as_u64().unwrap(), "{name}");
            let mut whole = Hasher::new(HashAlgo::ALL);
            whole.update(&bytes);
            let whole = whole.finish();
            let mut lanes = Hasher::new(HashAlgo::ALL).lanes();
            for chunk in bytes.chunks(97) {
                lanes.iter_mut().for_each(|lane| lane.update(chunk));
            }
            assert_eq!(Hashed::join(lanes).unwrap(), whole, "{name}");
            for case in table["cases"].as_array().unwrap().iter().filter(|case| case["input"] == *name) {
                let algo = HashAlgo::from_name(case["algo"].as_str().unwrap()).unwrap();
                if algo.is_usable() {
                    let digest = whole.digests().get(algo).unwrap();
                    assert_eq!(digest.to_hex(), case["digest_hex"].as_str().unwrap(), "{name} {algo}");
                    compared += 1;
                }
            }
        }
        assert!(compared > 100, "{compared}");
    }

    /// Proves: HREC-5-4.
    #[test]
    fn md5_is_never_computed() {
        assert!(Hasher::new([HashAlgo::Md5]).finish().digests().is_empty());
        assert_eq!(Hasher::new([HashAlgo::Sha256, HashAlgo::Sha256]).lanes().len(), 1);
    }

    #[test]
    fn lanes_of_different_length_are_no_proof() {
        let mut lanes = Hasher::new([HashAlgo::Sha256, HashAlgo::Sha512]).lanes();
        lanes[0].update(b"a");
        assert_eq!(Hashed::join(lanes), Err(UnevenLanes));
        assert_eq!(Hashed::join([]), Err(UnevenLanes));
    }
}
