//! Staging, committing, finding: the same on disk and in memory.

use std::io::{Read, Seek, SeekFrom};

use balcony_store::{JobId, NewOffer, Sidecar, Store, StoreError, Witness};
use balcony_wire::hashes::{Digest, HashAlgo};
use proptest::prelude::*;

use crate::catalogue::offer;
use crate::{digests, hashed, hashed_with, keep, on_both, read, sidecar, unproven, verified};

on_both![
    staged_bytes_are_taken_up_where_they_were_left,
    a_transfer_is_held_by_one_at_a_time,
    a_transfer_begun_twice_is_refused,
    cut_and_discarded_bytes_are_gone,
    a_file_is_found_by_every_digest_we_computed_and_by_no_other,
    every_algorithm_that_proves_anything_finds_what_it_was_computed_of,
    a_digest_that_was_only_claimed_finds_no_file,
    bytes_that_nobody_hashed_do_not_get_in,
    an_unproven_file_is_marked_until_somebody_proves_it,
    one_file_committed_twice_is_kept_once,
    an_empty_file_is_a_file,
    each_reader_has_its_own_place,
    staging_behaves_like_a_list_of_bytes,
];

fn staged_bytes_are_taken_up_where_they_were_left(store: &Store) {
    let job = JobId::random();
    assert!(store.resume(&job).unwrap().is_none());
    let mut staging = store.stage(job.clone(), sidecar("7")).unwrap();
    staging.append(b"the view ").unwrap();
    staging.append(b"from ").unwrap();
    let moved_on = Sidecar { source: Some("url https://verona.lit/2".to_owned()), validator: None, is_pure: false, ..sidecar("7") };
    staging.note(moved_on.clone()).unwrap();
    staging.append(b"the").unwrap();
    drop(staging);

    let listed = store.staged().unwrap();
    assert_eq!((listed.len(), &listed[0].job, listed[0].len, &listed[0].sidecar), (1, &job, 17, &Some(moved_on.clone())));
    let mut staging = store.resume(&job).unwrap().unwrap();
    assert_eq!((staging.len(), staging.sidecar()), (17, &moved_on));
    staging.append(b" summit").unwrap();
    staging.sync().unwrap();
    let mut again = Vec::new();
    staging.reader().read_to_end(&mut again).unwrap();
    assert_eq!(again, b"the view from the summit");
    let blob = store.commit(staging, &verified(&again)).unwrap();
    assert_eq!(read(store, &blob), again);
    assert_eq!(store.staged().unwrap(), []);
    assert!(store.resume(&job).unwrap().is_none());
}

fn a_transfer_is_held_by_one_at_a_time(store: &Store) {
    let staging = store.stage(JobId::random(), sidecar("1")).unwrap();
    let job = staging.job().clone();
    let error = store.resume(&job).unwrap_err();
    assert!(matches!(&error, StoreError::Busy(busy) if *busy == job), "{error}");
    drop(staging);
    assert!(store.resume(&job).unwrap().is_some());
}

fn a_transfer_begun_twice_is_refused(store: &Store) {
    let mut staging = store.stage(JobId::random(), sidecar("1")).unwrap();
    staging.append(b"kept").unwrap();
    let job = staging.job().clone();
    drop(staging);
    assert!(matches!(store.stage(job.clone(), sidecar("2")), Err(StoreError::JobExists(_))));
    let staging = store.resume(&job).unwrap().unwrap();
    assert_eq!((staging.len(), staging.sidecar()), (4, &sidecar("1")));
}

fn cut_and_discarded_bytes_are_gone(store: &Store) {
    let mut staging = store.stage(JobId::random(), sidecar("1")).unwrap();
    let job = staging.job().clone();
    staging.append(b"wrong bytes").unwrap();
    staging.truncate(5).unwrap();
    staging.truncate(50).unwrap();
    assert_eq!(staging.len(), 5);
    drop(staging);
    let staging = store.resume(&job).unwrap().unwrap();
    assert_eq!(staging.len(), 5);
    staging.discard().unwrap();
    assert_eq!(store.staged().unwrap(), []);
    assert!(store.resume(&job).unwrap().is_none());
}

/// SHA-1 finds nothing (decision 35), and neither does a set in which one digest is another file's.
fn a_file_is_found_by_every_digest_we_computed_and_by_no_other(store: &Store) {
    let algos = [HashAlgo::Sha1, HashAlgo::Sha256, HashAlgo::Blake2b256, HashAlgo::Sha3_512];
    let mut staging = store.stage(JobId::random(), sidecar("1")).unwrap();
    staging.append(b"summit").unwrap();
    let blob = store.commit(staging, &hashed_with(b"summit", &algos)).unwrap();
    for algo in &algos[1..] {
        assert_eq!(store.find(&digests(b"summit", &[*algo])).unwrap().as_ref(), Some(&blob), "{algo}");
    }
    assert_eq!(blob.digests(), &digests(b"summit", &algos));
    assert_eq!(store.blob(blob.sha256()).unwrap().as_ref(), Some(&blob));
    assert_eq!(store.find(&digests(b"summit", &[HashAlgo::Sha1])).unwrap(), None);
    assert_eq!(store.find(&digests(b"summit", &[HashAlgo::Sha512])).unwrap(), None, "we did not compute it");
    assert_eq!(store.find(&digests(b"valley", &algos)).unwrap(), None);
    let mut contradictory = digests(b"summit", &[HashAlgo::Sha256]);
    contradictory.insert(Digest::new(HashAlgo::Blake2b256, [7; 32]).unwrap()).unwrap();
    assert_eq!(store.find(&contradictory).unwrap(), None);
}

fn every_algorithm_that_proves_anything_finds_what_it_was_computed_of(store: &Store) {
    let mut staging = store.stage(JobId::random(), sidecar("1")).unwrap();
    staging.append(b"summit").unwrap();
    let blob = store.commit(staging, &hashed_with(b"summit", &HashAlgo::ALL)).unwrap();
    let finds = |algo: &HashAlgo| {
        let digests = digests(b"summit", &[*algo]);
        !digests.is_empty() && store.find(&digests).unwrap().as_ref() == Some(&blob)
    };
    let found: Vec<HashAlgo> = HashAlgo::ALL.into_iter().filter(finds).collect();
    assert_eq!(found, HashAlgo::ALL.into_iter().filter(|algo| algo.is_proof()).collect::<Vec<_>>());
    assert!(found.len() >= 11 && !found.contains(&HashAlgo::Md5) && !found.contains(&HashAlgo::Sha1), "{found:?}");
    for algo in found {
        assert_eq!(store.find(&digests(b"valley", &[algo])).unwrap(), None, "{algo}");
    }
}

/// Whoever offers a file may claim the digest of another one with it: that must not make one of them pass for the other.
fn a_digest_that_was_only_claimed_finds_no_file(store: &Store) {
    let blob = keep(store, b"summit").unwrap();
    let mut claimed = digests(b"summit", &[HashAlgo::Sha256]);
    for digest in &digests(b"valley", &[HashAlgo::Sha512, HashAlgo::Blake2b512]) {
        claimed.insert(digest.clone()).unwrap();
    }
    let new = NewOffer { digests: claimed.clone(), ..offer("tybalt@capulet.lit", Some("1"), 1) };
    let (key, _) = store.add_offer(&new).unwrap();
    store.offer_is_here(key, &blob).unwrap();
    for algo in [HashAlgo::Sha512, HashAlgo::Blake2b512] {
        let only = digests(b"valley", &[algo]);
        assert_eq!(store.find(&only).unwrap(), None, "{algo}");
        assert_eq!(store.offers_claiming(&only, 5).unwrap().len(), 1, "as an offer it is found: that is a claim, and says so");
    }
    assert_eq!(store.find(&claimed).unwrap().as_ref(), Some(&blob), "what we never computed contradicts nothing");
}

fn bytes_that_nobody_hashed_do_not_get_in(store: &Store) {
    let mut staging = store.stage(JobId::random(), sidecar("1")).unwrap();
    let job = staging.job().clone();
    staging.append(b"more than was hashed").unwrap();
    let error = store.commit(staging, &hashed(b"more")).unwrap_err();
    assert!(matches!(error, StoreError::NotWhatWasHashed { staged: 20, hashed: 4 }), "{error}");
    let staging = store.resume(&job).unwrap().unwrap();
    assert_eq!(staging.len(), 20, "what was there is kept");
    let error = store.commit(staging, &hashed_with(b"more than was hashed", &[HashAlgo::Sha512])).unwrap_err();
    assert!(matches!(error, StoreError::NoSha256), "{error}");
    assert_eq!(store.find(&digests(b"more", &[HashAlgo::Sha256])).unwrap(), None);
}

fn an_unproven_file_is_marked_until_somebody_proves_it(store: &Store) {
    let bytes = b"from a link without digests";
    let stage = |witness: Witness<'_>| {
        let mut staging = store.stage(JobId::random(), sidecar("1")).unwrap();
        staging.append(bytes).unwrap();
        store.commit(staging, witness).unwrap()
    };
    assert!(!stage(Witness::Unproven(&unproven(bytes))).is_proven());
    assert!(!store.find(&digests(bytes, &[HashAlgo::Sha256])).unwrap().unwrap().is_proven());
    assert!(stage(Witness::Verified(&verified(bytes))).is_proven());
    assert!(stage(Witness::Unproven(&unproven(bytes))).is_proven(), "what was proven once stays proven");
}

fn one_file_committed_twice_is_kept_once(store: &Store) {
    let first = keep(store, b"twice").unwrap();
    let mut staging = store.stage(JobId::random(), sidecar("1")).unwrap();
    staging.append(b"twice").unwrap();
    let second = store.commit(staging, &hashed_with(b"twice", &[HashAlgo::Sha256, HashAlgo::Sha512])).unwrap();
    assert_eq!(first.sha256(), second.sha256());
    assert_eq!(second.digests().len(), 3, "digests of both passes are known: {:?}", second.digests());
    assert_eq!(read(store, &first), b"twice");
}

fn an_empty_file_is_a_file(store: &Store) {
    let blob = keep(store, b"").unwrap();
    assert_eq!((blob.size(), read(store, &blob)), (0, Vec::new()));
    assert_eq!(store.find(&digests(b"", &[HashAlgo::Blake2b256])).unwrap(), Some(blob));
}

fn each_reader_has_its_own_place(store: &Store) {
    let blob = keep(store, b"0123456789").unwrap();
    let (mut one, mut other) = (store.open_blob(&blob).unwrap(), store.open_blob(&blob).unwrap());
    let mut four = [0; 4];
    one.read_exact(&mut four).unwrap();
    assert_eq!(&four, b"0123");
    other.seek(SeekFrom::End(-3)).unwrap();
    let mut rest = Vec::new();
    other.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, b"789");
    one.read_exact(&mut four).unwrap();
    assert_eq!(&four, b"4567");
    assert!(one.seek(SeekFrom::Current(-9)).is_err());
    assert_eq!(one.seek(SeekFrom::Start(100)).unwrap(), 100);
    assert_eq!(one.read(&mut four).unwrap(), 0);
}

#[derive(Clone, Debug)]
enum Op {
    Append(Vec<u8>),
    Truncate(u64),
    Sync,
    Resume,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        4 => proptest::collection::vec(any::<u8>(), 0..40).prop_map(Op::Append),
        2 => (0_u64..120).prop_map(Op::Truncate),
        1 => Just(Op::Sync),
        2 => Just(Op::Resume),
    ];
    proptest::collection::vec(op, 0..24)
}

fn staging_behaves_like_a_list_of_bytes(store: &Store) {
    let mut runner =
        proptest::test_runner::TestRunner::new(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() });
    let outcome = runner.run(&ops(), |ops| {
        let job = JobId::random();
        let mut staging = store.stage(job.clone(), sidecar("1")).unwrap();
        let mut model = Vec::new();
        for op in ops {
            match op {
                Op::Append(bytes) => {
                    staging.append(&bytes).unwrap();
                    model.extend_from_slice(&bytes);
                }
                Op::Truncate(len) => {
                    staging.truncate(len).unwrap();
                    model.truncate(usize::try_from(len).unwrap());
                }
                Op::Sync => staging.sync().unwrap(),
                Op::Resume => {
                    drop(staging);
                    staging = store.resume(&job).unwrap().unwrap();
                }
            }
            prop_assert_eq!(staging.len(), model.len() as u64);
        }
        let mut bytes = Vec::new();
        staging.reader().read_to_end(&mut bytes).unwrap();
        prop_assert_eq!(&bytes, &model);
        let blob = store.commit(staging, &hashed(&model)).unwrap();
        prop_assert_eq!(read(store, &blob), model);
        Ok(())
    });
    outcome.unwrap();
}
