//! The store as its users see it: one suite for both kinds, and what only a disk can show.
#![allow(clippy::unwrap_used, clippy::panic)]

mod bounds;
mod catalogue;
mod conformance;
mod crash;
mod disk;
mod export;
mod links;
mod processes;
mod sweep;

use std::io::Read;

use balcony_sharing::verify::{Claim, Hasher, SHARED_ALGOS, Verdict};
use balcony_sharing::{DigestSet, Hashed, Unproven, Verified};
use balcony_store::{BlobRef, JobId, Sidecar, Store, StoreError};
use balcony_wire::hashes::HashAlgo;

/// Runs each scene on a fresh store of both kinds.
macro_rules! on_both {
    ($($scene:ident),+ $(,)?) => {
        mod on_disk {
            $(#[test] fn $scene() {
                let dir = tempfile::tempdir().unwrap();
                super::$scene(&balcony_store::Store::open(dir.path().join("store")).unwrap());
            })+
        }
        mod in_memory {
            $(#[test] fn $scene() {
                super::$scene(&balcony_store::Store::in_memory().unwrap());
            })+
        }
    };
}
pub(crate) use on_both;

fn hashed_with(bytes: &[u8], algos: &[HashAlgo]) -> Hashed {
    let mut hasher = Hasher::new(algos.iter().copied());
    hasher.update(bytes);
    hasher.finish()
}

fn hashed(bytes: &[u8]) -> Hashed {
    hashed_with(bytes, &SHARED_ALGOS)
}

fn digests(bytes: &[u8], algos: &[HashAlgo]) -> DigestSet {
    hashed_with(bytes, algos).digests().clone()
}

fn verified(bytes: &[u8]) -> Verified {
    let claim = Claim { size: None, digests: digests(bytes, &SHARED_ALGOS) };
    Verified::check(hashed(bytes), &claim).unwrap()
}

fn unproven(bytes: &[u8]) -> Unproven {
    match Claim::default().judge(hashed(bytes)) {
        Verdict::Unproven(unproven) => unproven,
        other => panic!("{other:?}"),
    }
}

fn sidecar(offer: &str) -> Sidecar {
    Sidecar {
        offer: offer.to_owned(),
        source: Some("url https://montague.lit/1".to_owned()),
        validator: Some("\"1\"".to_owned()),
        is_pure: true,
        ..Sidecar::default()
    }
}

/// Stages and commits our own file.
fn keep(store: &Store, bytes: &[u8]) -> Result<BlobRef, StoreError> {
    let mut staging = store.stage(JobId::random(), sidecar("own"))?;
    staging.append(bytes)?;
    store.commit(staging, &hashed(bytes))
}

fn read(store: &Store, blob: &BlobRef) -> Vec<u8> {
    let mut bytes = Vec::new();
    store.open_blob(blob).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}
