//! What a sweep takes and what it leaves: the same on disk and in memory; and damage that only reading shows.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::time::{Duration, SystemTime};

use balcony_sharing::FileName;
use balcony_store::{
    BlobRef, FileRef, Health, JobId, KeptBack, LiveShare, OfferState, OnClash, Outgoing, Retention, SizeClass, Step, Store, StoreError,
    Swept,
};
use balcony_wire::{BareJid, Jid};
use proptest::prelude::*;

use crate::catalogue::{bare, offer};
use crate::links::stored_path;
use crate::{keep, on_both, read, sidecar};

on_both![
    nothing_goes_unasked,
    the_longest_unused_go_until_the_rest_fits,
    what_is_unused_for_too_long_goes_by_its_size,
    pinned_files_stay,
    files_of_the_outbox_stay_until_they_are_sent,
    files_that_are_shared_live_stay,
    files_that_somebody_reads_stay,
    files_of_a_moment_ago_stay,
    a_look_takes_nothing,
    offers_whose_file_went_can_be_fetched_again_and_are_not_new,
    transfers_without_an_offer_go_after_a_day,
    transfers_too_old_go_and_those_under_way_stay,
    what_is_to_be_kept_is_remembered,
    sizes_and_uses_are_listed,
    whole_files_are_found_whole,
];

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn later(by: Duration) -> SystemTime {
    SystemTime::now() + by
}

fn nothing() -> Retention {
    Retention { max_bytes: Some(0), ..Retention::default() }
}

/// Files of so many bytes, the first one committed first.
fn files(store: &Store, sizes: &[usize]) -> Vec<BlobRef> {
    let file = |(number, size): (usize, &usize)| {
        let number = u8::try_from(number).unwrap();
        let blob = keep(store, &vec![number; *size]).unwrap();
        std::thread::sleep(Duration::from_millis(2)); // times of use are in milliseconds
        blob
    };
    sizes.iter().enumerate().map(file).collect()
}

fn is_there(store: &Store, blob: &BlobRef) -> bool {
    store.blob(blob.sha256()).unwrap().is_some()
}

fn taken(swept: &Swept) -> Vec<u64> {
    swept.files.iter().map(|file| file.size).collect()
}

fn nothing_goes_unasked(store: &Store) {
    let blobs = files(store, &[10, 20]);
    assert!(store.retention().unwrap().keeps_all());
    let swept = store.sweep(&store.retention().unwrap(), later(DAY * 10_000)).unwrap();
    assert_eq!((taken(&swept), swept.left), (vec![], 30));
    assert!(blobs.iter().all(|blob| is_there(store, blob)));
}

fn the_longest_unused_go_until_the_rest_fits(store: &Store) {
    let blobs = files(store, &[100, 200, 300, 400]);
    let retention = Retention { max_bytes: Some(750), ..Retention::default() };
    let swept = store.sweep(&retention, later(DAY)).unwrap();
    assert_eq!((taken(&swept), swept.bytes, swept.left, swept.kept), (vec![100, 200], 300, 700, KeptBack::default()));
    assert_eq!(blobs.iter().map(|blob| is_there(store, blob)).collect::<Vec<_>>(), [false, false, true, true]);
    assert_eq!(store.total_bytes().unwrap(), 700);
    assert_eq!(taken(&store.sweep(&retention, later(DAY)).unwrap()), [0; 0], "it fits now");
    assert_eq!(store.find(blobs[0].digests()).unwrap(), None);
    assert_eq!(read(store, &keep(store, &[0; 100]).unwrap()), [0; 100], "and comes back when it is fetched again");
}

fn what_is_unused_for_too_long_goes_by_its_size(store: &Store) {
    let blobs = files(store, &[10, 1_000, 2_000]);
    let large = SizeClass { larger_than: 1_000, max_age: DAY };
    let retention = Retention { max_age: Some(DAY * 30), classes: vec![large], ..Retention::default() };
    assert_eq!(taken(&store.sweep(&retention, later(DAY / 2)).unwrap()), [0; 0]);
    assert_eq!(taken(&store.sweep(&retention, later(DAY * 2)).unwrap()), [2_000], "larger than 1,000 is not 1,000");
    assert_eq!(taken(&store.sweep(&retention, later(DAY * 31)).unwrap()), [10, 1_000]);
    assert!(!blobs.iter().any(|blob| is_there(store, blob)));
}

fn pinned_files_stay(store: &Store) {
    let blobs = files(store, &[10, 20]);
    assert!(store.pin(blobs[0].sha256()).unwrap());
    assert!(!store.pin(blobs[0].sha256()).unwrap(), "it was");
    assert_eq!(store.pins().unwrap(), [blobs[0].sha256().clone()]);
    let swept = store.sweep(&nothing(), later(DAY)).unwrap();
    assert_eq!((taken(&swept), swept.kept, swept.left), (vec![20], KeptBack { pinned: 1, ..KeptBack::default() }, 10));
    assert!(matches!(store.pin(blobs[1].sha256()), Err(StoreError::Unknown(_))), "it is not there");
    assert!(store.unpin(blobs[0].sha256()).unwrap());
    assert!(!store.unpin(blobs[0].sha256()).unwrap());
    assert_eq!(taken(&store.sweep(&nothing(), later(DAY)).unwrap()), [10]);
}

fn files_of_the_outbox_stay_until_they_are_sent(store: &Store) {
    let blobs = files(store, &[10]);
    let (juliet, romeo): (BareJid, Jid) = (bare("juliet@capulet.lit"), Jid::parse("romeo@montague.lit").unwrap());
    let files = vec![FileRef::Blob(blobs[0].sha256().clone())];
    store.add_outgoing(&Outgoing::preparing(juliet.clone(), "o1".to_owned(), romeo, files, SystemTime::now())).unwrap();
    let kept = |store: &Store| store.sweep(&nothing(), later(DAY)).unwrap().kept.wanted;
    assert_eq!(kept(store), 1);
    store.make_ready(&juliet, "o1", "<message/>").unwrap();
    assert!(store.claim(&juliet, "o1").unwrap());
    assert_eq!(kept(store), 1);
    assert!(store.mark_sent(&juliet, "o1").unwrap());
    assert_eq!((kept(store), is_there(store, &blobs[0])), (0, false));
}

fn files_that_are_shared_live_stay(store: &Store) {
    let blobs = files(store, &[10]);
    let share = LiveShare {
        account: bare("juliet@capulet.lit"),
        published: "9559976B".to_owned(),
        file: FileRef::Blob(blobs[0].sha256().clone()),
        stamp: None,
        size: 10,
        description: String::new(),
        digests: blobs[0].digests().clone(),
        reach: None,
        told: Vec::new(),
        made_at: SystemTime::now(),
        lives_until: SystemTime::now() + DAY,
    };
    store.share_live(&share).unwrap();
    assert_eq!(store.sweep(&nothing(), later(DAY)).unwrap().kept.wanted, 1);
    assert!(store.end_share(&share.account, &share.published).unwrap());
    assert_eq!(taken(&store.sweep(&nothing(), later(DAY)).unwrap()), [10]);
}

fn files_that_somebody_reads_stay(store: &Store) {
    let blobs = files(store, &[10, 20]);
    let mut reader = store.open_blob(&blobs[0]).unwrap();
    let copy = reader.clone();
    let swept = store.sweep(&nothing(), later(DAY)).unwrap();
    assert_eq!((taken(&swept), swept.kept.in_use), (vec![20], 1));
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, [0; 10]);
    drop(reader);
    assert_eq!(store.sweep(&nothing(), later(DAY)).unwrap().kept.in_use, 1, "a second reader of it");
    drop(copy);
    assert_eq!(taken(&store.sweep(&nothing(), later(DAY)).unwrap()), [10]);
}

/// Who found it is about to open it; who committed it is about to write down for which offer.
fn files_of_a_moment_ago_stay(store: &Store) {
    files(store, &[10]);
    let swept = store.sweep(&nothing(), SystemTime::now()).unwrap();
    assert_eq!((taken(&swept), swept.kept), (vec![], KeptBack { recent: 1, ..KeptBack::default() }));
}

fn a_look_takes_nothing(store: &Store) {
    let blobs = files(store, &[10, 20, 30]);
    store.pin(blobs[1].sha256()).unwrap();
    let seen = store.would_sweep(&nothing(), later(DAY)).unwrap();
    assert_eq!((taken(&seen), seen.kept.pinned, seen.left), (vec![10, 30], 1, 20));
    assert!(blobs.iter().all(|blob| is_there(store, blob)));
    let now = later(DAY);
    assert_eq!(store.sweep(&nothing(), now).unwrap(), store.would_sweep(&nothing(), now).map(|_| seen).unwrap());
}

fn offers_whose_file_went_can_be_fetched_again_and_are_not_new(store: &Store) {
    let blobs = files(store, &[10]);
    let (key, _) = store.add_offer(&offer("romeo@montague.lit", Some("1"), 1)).unwrap();
    store.offer_is_here(key, &blobs[0]).unwrap();
    store.sweep(&nothing(), later(DAY)).unwrap();
    let row = store.offer(key).unwrap().unwrap();
    assert_eq!((row.state, row.blob), (OfferState::Swept, None));
    let blob = keep(store, &[0; 10]).unwrap();
    store.offer_is_here(key, &blob).unwrap();
    assert_eq!(store.offer(key).unwrap().unwrap().state, OfferState::Here);
}

fn transfers_without_an_offer_go_after_a_day(store: &Store) {
    let (key, _) = store.add_offer(&offer("romeo@montague.lit", Some("1"), 1)).unwrap();
    let begin = |offer: &str| {
        let mut staging = store.stage(JobId::random(), sidecar(offer)).unwrap();
        staging.append(b"some bytes").unwrap();
    };
    begin(&key.to_string());
    begin("4711");
    begin("somebody else's note");
    let sweep = |by| store.sweep(&Retention::default(), later(by)).unwrap().transfers;
    assert_eq!(sweep(DAY / 2), (0, 0));
    assert_eq!(sweep(DAY * 2), (1, 10));
    assert_eq!(store.staged().unwrap().len(), 2);
}

fn transfers_too_old_go_and_those_under_way_stay(store: &Store) {
    let (key, _) = store.add_offer(&offer("romeo@montague.lit", Some("1"), 1)).unwrap();
    store.set_offer_state(key, OfferState::Fetching).unwrap();
    let mut staging = store.stage(JobId::random(), sidecar(&key.to_string())).unwrap();
    staging.append(b"some bytes").unwrap();
    let retention = Retention { max_age: Some(DAY), ..Retention::default() };
    assert_eq!(store.sweep(&retention, later(DAY * 2)).unwrap().transfers, (0, 0), "somebody is at it");
    drop(staging);
    assert_eq!(store.would_sweep(&retention, later(DAY * 2)).unwrap().transfers, (1, 10));
    assert_eq!(store.sweep(&retention, later(DAY * 2)).unwrap().transfers, (1, 10));
    assert_eq!((store.staged().unwrap(), store.offer(key).unwrap().unwrap().state), (vec![], OfferState::Swept));
}

fn what_is_to_be_kept_is_remembered(store: &Store) {
    let class = SizeClass { larger_than: 1 << 20, max_age: DAY };
    let retention = Retention { max_bytes: Some(10 << 30), max_age: Some(DAY * 90), classes: vec![class] };
    store.set_retention(&retention).unwrap();
    assert_eq!(store.retention().unwrap(), retention);
    store.set_retention(&Retention::default()).unwrap();
    assert_eq!(store.retention().unwrap(), Retention::default());
    store.set_setting("retention", Some("{\"max_bytes\":1}")).unwrap();
    assert!(matches!(store.retention(), Err(StoreError::Record { .. })), "what cannot be read is not taken for something else");
}

fn sizes_and_uses_are_listed(store: &Store) {
    let blobs = files(store, &[10, 20, 30]);
    let listed = store.files(None, 2).unwrap();
    assert_eq!(listed.iter().map(|file| file.size).collect::<Vec<_>>(), [30, 20], "the last used first");
    let rest = store.files(listed.last(), 2).unwrap();
    assert_eq!(rest.iter().map(|file| &file.sha256).collect::<Vec<_>>(), [blobs[0].sha256()]);
    assert_eq!(store.files(rest.last(), 2).unwrap(), []);
}

fn whole_files_are_found_whole(store: &Store) {
    for blob in files(store, &[0, 10, 300_000]) {
        assert_eq!(store.check(blob.sha256()).unwrap(), Health::Whole);
    }
    let gone = files(store, &[40]).remove(0);
    store.sweep(&Retention { max_bytes: Some(0), ..Retention::default() }, later(DAY)).unwrap();
    assert_eq!(store.check(gone.sha256()).unwrap(), Health::Passed);
}

/// Bits turn on the disk: nobody wrote, so no time and no stamp tells.
#[test]
fn bits_that_turned_are_noticed_and_moved_aside() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let [blob, other] = [b"the view from the summit", b"the view from the valley"].map(|bytes| keep(&store, bytes).unwrap());
    let (key, _) = store.add_offer(&offer("romeo@montague.lit", Some("1"), 1)).unwrap();
    store.offer_is_here(key, &blob).unwrap();
    store.pin(blob.sha256()).unwrap();
    let path = stored_path(dir.path(), &blob);
    std::fs::write(&path, b"the view from the summiT").unwrap();
    restamp(dir.path(), &path, &blob);
    assert!(store.open_blob(&blob).is_ok(), "without reading it, it looks as it was");
    let Health::Damaged(aside) = store.check(blob.sha256()).unwrap() else { panic!("not noticed") };
    assert_eq!(std::fs::read(aside).unwrap(), b"the view from the summiT");
    assert_eq!((store.offer(key).unwrap().unwrap().state, path.exists()), (OfferState::New, false));
    assert_eq!((store.check(other.sha256()).unwrap(), store.check(blob.sha256()).unwrap()), (Health::Whole, Health::Passed));
    let again = keep(&store, b"the view from the summit").unwrap();
    assert_eq!((store.check(again.sha256()).unwrap(), store.pins().unwrap().len()), (Health::Whole, 1));
    std::fs::remove_file(&path).unwrap();
    assert_eq!((store.check(again.sha256()).unwrap(), store.blob(again.sha256()).unwrap()), (Health::Missing, None));
}

/// The disk changes bytes and tells nobody: as if the stamp had been taken of what is there now.
fn restamp(dir: &std::path::Path, path: &std::path::Path, blob: &BlobRef) {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::metadata(path).unwrap();
    let connection = rusqlite::Connection::open(dir.join("catalogue.sqlite")).unwrap();
    let (mtime, ctime) =
        (metadata.mtime() * 1_000_000_000 + metadata.mtime_nsec(), metadata.ctime() * 1_000_000_000 + metadata.ctime_nsec());
    let values = rusqlite::params![blob.sha256().as_bytes(), mtime, ctime];
    connection.execute("UPDATE blob_stamps SET mtime_ns = ?2, ctime_ns = ?3 WHERE sha256 = ?1", values).unwrap();
}

#[test]
fn a_sweep_does_not_touch_what_was_exported() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path().join("store")).unwrap();
    let blob = keep(&store, b"the view from the summit").unwrap();
    let path = store.export(&blob, dir.path(), &FileName::from_peer("summit.txt"), OnClash::Refuse).unwrap();
    assert_eq!(taken(&store.sweep(&nothing(), later(DAY)).unwrap()), [24]);
    assert!(!stored_path(&dir.path().join("store"), &blob).exists());
    assert_eq!(std::fs::read(&path).unwrap(), b"the view from the summit");
}

#[test]
fn bytes_that_no_catalogue_knows_go() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let blob = keep(&store, b"the view from the summit").unwrap();
    let stray = dir.path().join("blobs").join("ab");
    std::fs::create_dir(&stray).unwrap();
    let stray = stray.join(format!("ab{}", "0".repeat(62)));
    let notes = dir.path().join("blobs").join("README");
    std::fs::write(&stray, "nobody's").unwrap();
    std::fs::write(&notes, "a person's").unwrap();
    assert_eq!(store.would_sweep(&Retention::default(), later(DAY)).unwrap().strays, (1, 8));
    assert_eq!(store.sweep(&Retention::default(), later(DAY)).unwrap().strays, (1, 8));
    assert_eq!((stray.exists(), notes.exists(), read(&store, &blob).len()), (false, true, 24));
}

/// All its bytes are there and hashed: only the last steps are missing.
#[test]
fn what_died_in_the_middle_of_a_commit_is_no_abandoned_transfer() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    store.stop_after(Step::MoveNoted);
    keep(&store, b"the view from the summit").unwrap_err();
    let retention = Retention { max_bytes: Some(0), max_age: Some(DAY), ..Retention::default() };
    assert_eq!(store.sweep(&retention, later(DAY * 9)).unwrap().transfers, (0, 0));
    drop(store);
    let store = Store::open(dir.path()).unwrap();
    assert_eq!((store.total_bytes().unwrap(), store.staged().unwrap()), (24, vec![]));
}

#[test]
fn a_sweep_that_died_is_ended_by_the_next_start() {
    let table = [(Step::RemovalNoted, false), (Step::FileRemoved, true)];
    assert_eq!(table.map(|row| row.0), Step::SWEEP);
    for (step, is_gone) in table {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let blob = keep(&store, b"the view from the summit").unwrap();
        let (key, _) = store.add_offer(&offer("romeo@montague.lit", Some("1"), 1)).unwrap();
        store.offer_is_here(key, &blob).unwrap();
        store.stop_after(step);
        let error = store.sweep(&nothing(), later(DAY)).unwrap_err();
        assert!(matches!(error, StoreError::Stopped(stopped) if stopped == step), "{error}");
        drop(store);
        assert_eq!(stored_path(dir.path(), &blob).exists(), !is_gone, "{step:?}");
        for round in 0..2 {
            let store = Store::open(dir.path()).unwrap();
            let row = store.offer(key).unwrap().unwrap();
            let expected = if is_gone { (OfferState::Swept, None) } else { (OfferState::Here, Some(blob.sha256().clone())) };
            assert_eq!((row.state, row.blob), expected, "{step:?} {round}");
            assert_eq!((is_there(&store, &blob), store.total_bytes().unwrap() == 0), (!is_gone, is_gone));
        }
        let store = Store::open(dir.path()).unwrap();
        assert_eq!(read(&store, &keep(&store, b"the view from the summit").unwrap()).len(), 24);
    }
}

/// What may happen between two sweeps.
#[derive(Clone, Copy, Debug)]
enum Op {
    Keep(u8),
    Pin(u8),
    Unpin(u8),
    Open(u8),
    Close(u8),
    Want(u8),
    Sweep(u16),
}

fn op() -> impl Strategy<Value = Op> {
    let file = 0..8_u8;
    prop_oneof![
        3 => file.clone().prop_map(Op::Keep),
        1 => file.clone().prop_map(Op::Pin),
        1 => file.clone().prop_map(Op::Unpin),
        1 => file.clone().prop_map(Op::Open),
        1 => file.clone().prop_map(Op::Close),
        1 => file.prop_map(Op::Want),
        2 => (0..1_200_u16).prop_map(Op::Sweep),
    ]
}

/// A file has ten times its number in bytes, and a hundred more.
fn bytes_of(file: u8) -> Vec<u8> {
    vec![file; 100 + 10 * usize::from(file)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_what_is_wanted_stays_and_the_rest_fits(ops in proptest::collection::vec(op(), 1..40)) {
        let store = Store::in_memory().unwrap();
        let (juliet, romeo) = (bare("juliet@capulet.lit"), Jid::parse("romeo@montague.lit").unwrap());
        let mut there: BTreeMap<u8, BlobRef> = BTreeMap::new();
        let (mut pinned, mut open, mut wanted) = (BTreeSet::new(), BTreeMap::new(), BTreeSet::new());
        for op in ops {
            match op {
                Op::Keep(file) => {
                    there.insert(file, keep(&store, &bytes_of(file)).unwrap());
                    open.remove(&file); // a reader has the file that was replaced
                }
                Op::Pin(file) => {
                    let Some(blob) = there.get(&file) else { continue };
                    prop_assert_eq!(store.pin(blob.sha256()).unwrap(), pinned.insert(file));
                }
                Op::Unpin(file) => {
                    let Some(blob) = there.get(&file) else { continue };
                    prop_assert_eq!(store.unpin(blob.sha256()).unwrap(), pinned.remove(&file));
                }
                Op::Open(file) => open.extend(there.get(&file).map(|blob| (file, store.open_blob(blob).unwrap()))),
                Op::Close(file) => drop(open.remove(&file)),
                Op::Want(file) => {
                    let Some(blob) = there.get(&file) else { continue };
                    let files = vec![FileRef::Blob(blob.sha256().clone())];
                    let id = JobId::random().to_string();
                    store.add_outgoing(&Outgoing::preparing(juliet.clone(), id, romeo.clone(), files, SystemTime::now())).unwrap();
                    wanted.insert(file);
                }
                Op::Sweep(most) => {
                    let retention = Retention { max_bytes: Some(most.into()), ..Retention::default() };
                    let swept = store.sweep(&retention, later(DAY)).unwrap();
                    let stays = |file: &u8| pinned.contains(file) || open.contains_key(file) || wanted.contains(file);
                    let gone = |blob: &BlobRef| swept.files.iter().any(|file| file.sha256 == *blob.sha256());
                    prop_assert!(there.iter().all(|(file, blob)| !(stays(file) && gone(blob))), "{swept:?}");
                    there.retain(|_, blob| !gone(blob));
                    let left: usize = there.keys().map(|file| bytes_of(*file).len()).sum();
                    prop_assert_eq!(swept.left, left as u64);
                    prop_assert!(left <= usize::from(most) || there.keys().all(stays), "{left} {most} {there:?}");
                }
            }
            prop_assert_eq!(store.all_files().unwrap().len(), there.len());
        }
        for (file, blob) in &there {
            prop_assert_eq!(read(&store, blob), bytes_of(*file));
        }
    }
}
