//! What a crash leaves after each step of a commit, and what the next start does: the table of `docs/formats/store.md`.

use std::fs;
use std::path::Path;

use balcony_store::{JobId, Step, Store, StoreError};
use balcony_wire::hashes::HashAlgo;

use crate::{digests, hashed, keep, read, sidecar};

const BYTES: &[u8] = b"bytes of a file that somebody waits for";

/// Where the bytes are after a crash, and after the next start.
#[derive(Debug, PartialEq, Eq)]
enum Where {
    /// In staging: to be resumed.
    Staging,
    /// Under their final name, in no catalogue.
    Unnamed,
    /// In the store.
    Store,
}

fn crash_after(dir: &Path, step: Step) -> JobId {
    let store = Store::open(dir).unwrap();
    let mut staging = store.stage(JobId::random(), sidecar("1")).unwrap();
    let job = staging.job().clone();
    staging.append(BYTES).unwrap();
    store.stop_after(step);
    let error = store.commit(staging, &hashed(BYTES)).unwrap_err();
    assert!(matches!(error, StoreError::Stopped(stopped) if stopped == step), "{error}");
    job
}

fn blob_path(dir: &Path) -> std::path::PathBuf {
    let hex = digests(BYTES, &[HashAlgo::Sha256]).strongest().unwrap().to_hex();
    dir.join("blobs").join(&hex[..2]).join(hex)
}

/// Looks at the folders alone, without opening the store.
fn found(dir: &Path, job: &JobId) -> Where {
    match (dir.join("staging").join(job.as_str()).exists(), blob_path(dir).exists()) {
        (true, false) => Where::Staging,
        (false, true) => Where::Unnamed,
        other => panic!("{other:?}"),
    }
}

fn after_start(store: &Store, job: &JobId) -> Where {
    let blob = store.find(&digests(BYTES, &[HashAlgo::Blake2b256])).unwrap();
    match blob {
        Some(blob) => {
            assert_eq!(read(store, &blob), BYTES);
            assert_eq!(store.staged().unwrap(), []);
            Where::Store
        }
        None => {
            let staging = store.resume(job).unwrap().unwrap();
            assert_eq!((staging.len(), staging.sidecar()), (BYTES.len() as u64, &sidecar("1")));
            Where::Staging
        }
    }
}

#[test]
fn every_crash_of_a_commit_is_repaired_by_the_next_start() {
    let table = [
        (Step::Written, Where::Staging, Where::Staging),
        (Step::FileSynced, Where::Staging, Where::Staging),
        (Step::MoveNoted, Where::Staging, Where::Store),
        (Step::Renamed, Where::Unnamed, Where::Store),
        (Step::FolderSynced, Where::Unnamed, Where::Store),
        (Step::Catalogued, Where::Unnamed, Where::Store),
    ];
    assert_eq!(table.each_ref().map(|row| row.0), Step::ALL);
    for (step, left, repaired) in table {
        let dir = tempfile::tempdir().unwrap();
        let job = crash_after(dir.path(), step);
        assert_eq!(found(dir.path(), &job), left, "{step:?}");
        let store = Store::open(dir.path()).unwrap();
        assert_eq!(after_start(&store, &job), repaired, "{step:?}");
        let names: Vec<_> = fs::read_dir(dir.path().join("staging")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        let expected = if repaired == Where::Store { 0 } else { 2 };
        assert_eq!(names.len(), expected, "{step:?}: {names:?}");
        drop(store);
        let again = Store::open(dir.path()).unwrap();
        assert_eq!(after_start(&again, &job), repaired, "{step:?}, started twice");
    }
}

#[test]
fn the_documented_table_names_every_step() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/formats/store.md")).unwrap();
    for step in Step::ALL.into_iter().chain(Step::SWEEP) {
        assert!(page.contains(&format!("| `{step:?}` |")), "{step:?} is not in docs/formats/store.md");
    }
}

#[test]
fn a_move_that_was_noted_and_then_lost_is_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let job = crash_after(dir.path(), Step::MoveNoted);
    fs::remove_file(dir.path().join("staging").join(job.as_str())).unwrap();
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(store.find(&digests(BYTES, &[HashAlgo::Sha256])).unwrap(), None);
    assert_eq!(fs::read_dir(dir.path().join("staging")).unwrap().count(), 0, "its note is of no use");
}

/// A person may have edited what lies under the final name since it got there.
#[test]
fn a_copy_that_was_there_before_is_not_taken_for_the_one_that_was_moved() {
    let dir = tempfile::tempdir().unwrap();
    let job = crash_after(dir.path(), Step::MoveNoted);
    fs::remove_file(dir.path().join("staging").join(job.as_str())).unwrap();
    fs::create_dir_all(blob_path(dir.path()).parent().unwrap()).unwrap();
    fs::write(blob_path(dir.path()), vec![b'x'; BYTES.len()]).unwrap();
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(store.find(&digests(BYTES, &[HashAlgo::Sha256])).unwrap(), None);
}

/// Proves: SEC-4-1.
#[test]
fn bytes_that_changed_after_they_were_hashed_do_not_get_in() {
    let dir = tempfile::tempdir().unwrap();
    let job = crash_after(dir.path(), Step::MoveNoted);
    let path = dir.path().join("staging").join(job.as_str());
    fs::write(&path, b"something shorter").unwrap();
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(store.find(&digests(BYTES, &[HashAlgo::Sha256])).unwrap(), None);
    assert_eq!(fs::read(&path).unwrap(), b"something shorter");
}

/// Bytes may change once a job is resumed, so the note of its move must not outlive that.
#[test]
fn a_transfer_resumed_after_a_failed_commit_is_not_moved_behind_its_back() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let mut staging = store.stage(JobId::random(), sidecar("1")).unwrap();
    let job = staging.job().clone();
    staging.append(BYTES).unwrap();
    store.stop_after(Step::MoveNoted);
    store.commit(staging, &hashed(BYTES)).unwrap_err();
    let mut staging = store.resume(&job).unwrap().unwrap();
    staging.truncate(0).unwrap();
    staging.append(&vec![b'x'; BYTES.len()]).unwrap(); // other bytes, as many
    drop(staging);
    let again = Store::open(dir.path()).unwrap();
    assert_eq!(again.find(&digests(BYTES, &[HashAlgo::Sha256])).unwrap(), None);
    assert!(again.resume(&job).unwrap().is_some());
}

#[test]
fn a_start_leaves_alone_what_another_process_is_committing() {
    for step in [Step::MoveNoted, Step::Renamed] {
        let dir = tempfile::tempdir().unwrap();
        let job = crash_after(dir.path(), step);
        let path = if step == Step::MoveNoted { dir.path().join("staging").join(job.as_str()) } else { blob_path(dir.path()) };
        let other = fs::File::options().read(true).write(true).open(&path).unwrap();
        other.try_lock().unwrap();
        let store = Store::open(dir.path()).unwrap();
        assert!(path.exists(), "{step:?}");
        assert_eq!(store.find(&digests(BYTES, &[HashAlgo::Sha256])).unwrap(), None, "{step:?}");
        drop((other, store));
        let store = Store::open(dir.path()).unwrap();
        assert_eq!(after_start(&store, &job), Where::Store, "{step:?}");
    }
}

#[test]
fn after_a_loss_of_power_only_synced_bytes_are_relied_on() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let mut staging = store.stage(JobId::random(), sidecar("1")).unwrap();
    let job = staging.job().clone();
    staging.append(b"synced").unwrap();
    staging.sync().unwrap();
    staging.append(b" and not").unwrap();
    drop(staging);
    let note = dir.path().join("staging").join(format!("{job}.json"));
    let mut text: serde_json::Value = serde_json::from_slice(&fs::read(&note).unwrap()).unwrap();
    text["boot"] = "the one before".into();
    fs::write(&note, text.to_string()).unwrap();
    assert_eq!(store.resume(&job).unwrap().unwrap().len(), 6);
}

#[test]
fn a_transfer_whose_note_cannot_be_read_starts_over() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let job = store.stage(JobId::random(), sidecar("1")).unwrap().job().clone();
    fs::write(dir.path().join("staging").join(format!("{job}.json")), "{").unwrap();
    assert_eq!(store.staged().unwrap()[0].sidecar, None);
    assert!(store.resume(&job).unwrap().is_none());
    store.stage(job, sidecar("1")).unwrap();
}

#[test]
fn a_note_half_written_by_a_crash_is_in_nobodys_way() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let job = store.stage(JobId::random(), sidecar("1")).unwrap().job().clone();
    fs::write(dir.path().join("staging").join(format!("{job}.json.new")), "{\"offer").unwrap();
    let mut staging = store.resume(&job).unwrap().unwrap();
    staging.note(sidecar("2")).unwrap();
    drop(staging);
    assert_eq!(store.resume(&job).unwrap().unwrap().sidecar(), &sidecar("2"));
}

#[test]
fn a_copy_that_vanished_or_lost_bytes_is_noticed_and_healed_by_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    for harm in ["remove", "cut"] {
        let blob = keep(&store, BYTES).unwrap();
        match harm {
            "remove" => fs::remove_file(blob_path(dir.path())).unwrap(),
            _ => fs::write(blob_path(dir.path()), b"short").unwrap(),
        }
        let error = store.open_blob(&blob).unwrap_err();
        let found = (harm == "cut").then_some(5);
        assert!(matches!(error, StoreError::Damaged { found: bytes, expected: 39, .. } if bytes == found), "{harm}: {error}");
        assert!(error.to_string().ends_with("fetch the file again"), "{error}");
        assert_eq!(store.find(&digests(BYTES, &[HashAlgo::Sha256])).unwrap(), None, "{harm}");
        let blob = keep(&store, BYTES).unwrap();
        assert_eq!(read(&store, &blob), BYTES, "{harm}");
    }
}
