//! What only a disk can show: modes, links, several openers, a catalogue from the future.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::thread;

use balcony_store::{FileRef, JobId, OutboxState, Outgoing, Store, StoreError};
use balcony_wire::hashes::HashAlgo;
use balcony_wire::{BareJid, Jid};

use crate::catalogue::bare;
use crate::{digests, hashed, keep, read, sidecar};

#[test]
fn everything_is_for_its_owner_only() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("deep").join("store");
    let store = Store::open(&root).unwrap();
    keep(&store, b"private").unwrap();
    let _staging = store.stage(JobId::random(), sidecar("1")).unwrap();
    let mut seen = 0;
    let mut folders = vec![root];
    while let Some(folder) = folders.pop() {
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o077, 0, "{}", folder.display());
        for entry in fs::read_dir(&folder).unwrap().map(Result::unwrap) {
            assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o077, 0, "{}", entry.path().display());
            seen += 1;
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            }
        }
    }
    assert!(seen >= 7, "{seen}");
}

/// Bytes in a place where a disk takes them as they are.
#[cfg(target_os = "linux")]
struct Aligned {
    memory: Vec<u8>,
    from: usize,
}

#[cfg(target_os = "linux")]
impl Aligned {
    fn of(bytes: &[u8]) -> Self {
        let mut memory = vec![0; bytes.len() + 4096];
        let from = memory.as_ptr().align_offset(4096);
        memory[from..from + bytes.len()].copy_from_slice(bytes);
        Self { memory, from }
    }

    fn bytes(&self) -> &[u8] {
        &self.memory[self.from..self.from + self.memory.len() - 4096]
    }
}

#[cfg(target_os = "linux")]
fn can_go_past_the_cache(folder: &std::path::Path) -> bool {
    use std::os::unix::fs::{FileExt, OpenOptionsExt};
    let direct = i32::try_from(rustix::fs::OFlags::DIRECT.bits()).unwrap();
    let file = fs::OpenOptions::new().write(true).create_new(true).custom_flags(direct).open(folder.join("probe"));
    file.and_then(|file| file.write_all_at(Aligned::of(&[0; 4096]).bytes(), 0)).is_ok()
}

#[test]
#[cfg(target_os = "linux")]
fn a_large_file_goes_past_the_page_cache_in_whole_blocks_and_the_usual_way_between_them() {
    const LARGE: usize = 32 << 20;
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path().join("store")).unwrap();
    let job = JobId::random();
    let mut staging = store.stage(job.clone(), sidecar("1")).unwrap();
    let block: Vec<u8> = (0..256 * 1024_u32).map(|at| (at % 251) as u8).collect();
    let aligned = Aligned::of(&block);
    let mut all = vec![7; LARGE];
    staging.append(&all).unwrap();
    assert_eq!(staging.cached(), LARGE as u64, "it begins like any other");
    let block = aligned.bytes();
    // Whole blocks, a part of one, what is not at a multiple then, and what makes up for it.
    for part in [block, block, &block[..5000], block, &block[..4096 - 5000 % 4096]] {
        staging.append(part).unwrap();
        all.extend_from_slice(part);
        assert_eq!(staging.len(), all.len() as u64);
    }
    drop(staging);
    let mut staging = store.resume(&job).unwrap().unwrap();
    for part in [block, b"the end"] {
        staging.append(part).unwrap();
        all.extend_from_slice(part);
    }
    if can_go_past_the_cache(dir.path()) {
        assert_eq!(staging.cached(), 7, "of the second time, all but the last bytes");
    }
    let blob = store.commit(staging, &hashed(&all)).unwrap();
    assert!(read(&store, &blob) == all, "what was written is what is read");
}

#[test]
fn links_within_the_store_are_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let (root, elsewhere) = (dir.path().join("store"), dir.path().join("elsewhere"));
    fs::create_dir_all(&root).unwrap();
    fs::create_dir(&elsewhere).unwrap();
    symlink(&elsewhere, root.join("staging")).unwrap();
    assert!(Store::open(&root).is_err());
    fs::remove_file(root.join("staging")).unwrap();

    let store = Store::open(&root).unwrap();
    let job = JobId::random();
    symlink(elsewhere.join("target"), root.join("staging").join(job.as_str())).unwrap();
    assert!(matches!(store.stage(job.clone(), sidecar("1")), Err(StoreError::JobExists(_))));
    assert!(store.resume(&job).is_err());
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
}

#[test]
fn a_pipe_in_the_place_of_a_transfer_does_not_hang() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let job = JobId::random();
    let path = dir.path().join("staging").join(job.as_str());
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    for error in [store.resume(&job).unwrap_err(), store.staged().unwrap_err()] {
        assert!(error.to_string().contains("not a regular file"), "{error}");
    }
}

#[test]
fn a_catalogue_from_the_future_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    drop(Store::open(dir.path()).unwrap());
    let path = dir.path().join("catalogue.sqlite");
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    let error = Store::open(dir.path()).unwrap_err();
    assert!(matches!(error, StoreError::TooNew { found: 99, .. }), "{error}");
    assert!(error.to_string().contains("newer Balcony"), "{error}");
}

#[test]
fn a_file_that_is_no_catalogue_is_named_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("catalogue.sqlite"), "not a database, but somebody's words\n".repeat(100)).unwrap();
    let error = Store::open(dir.path()).unwrap_err();
    assert!(error.to_string().contains("catalogue.sqlite"), "{error}");
    assert!(fs::read_to_string(dir.path().join("catalogue.sqlite")).unwrap().starts_with("not a database"));
}

#[test]
fn many_may_open_a_new_store_at_once() {
    let dir = tempfile::tempdir().unwrap();
    thread::scope(|scope| {
        let openers: Vec<_> = (0..8)
            .map(|number: u8| {
                let dir = dir.path();
                scope.spawn(move || keep(&Store::open(dir).unwrap(), &[number]).unwrap())
            })
            .collect();
        openers.into_iter().for_each(|opener| drop(opener.join().unwrap()));
    });
    let store = Store::open(dir.path()).unwrap();
    for number in 0..8_u8 {
        let blob = store.find(&digests(&[number], &[HashAlgo::Sha256])).unwrap().unwrap();
        assert_eq!(read(&store, &blob), [number]);
    }
}

/// Nothing is sent twice though two programs look at one outbox.
#[test]
fn of_two_programs_one_may_send_a_message() {
    let dir = tempfile::tempdir().unwrap();
    let juliet: BareJid = Jid::parse("juliet@capulet.lit").unwrap().into_bare().unwrap();
    let stores = [Store::open(dir.path()).unwrap(), Store::open(dir.path()).unwrap()];
    for round in 0..20 {
        let origin_id = format!("message-{round}");
        let to = Jid::parse("romeo@montague.lit").unwrap();
        let outgoing = Outgoing::preparing(juliet.clone(), origin_id.clone(), to, Vec::new(), std::time::SystemTime::now());
        stores[0].add_outgoing(&outgoing).unwrap();
        stores[1].make_ready(&juliet, &origin_id, "<message/>").unwrap();
        let claims = thread::scope(|scope| {
            let ask = |store: &Store| store.claim(&juliet, &origin_id).unwrap();
            let tasks = stores.each_ref().map(|store| scope.spawn(move || ask(store)));
            tasks.map(|task| task.join().unwrap())
        });
        assert_eq!(claims.iter().filter(|claim| **claim).count(), 1, "{claims:?}");
        assert_eq!(stores[0].outgoing(&juliet, &origin_id).unwrap().unwrap().state, OutboxState::Sending);
    }
}

#[test]
fn one_file_committed_by_two_programs_at_once_is_kept_once() {
    let dir = tempfile::tempdir().unwrap();
    let stores = [Store::open(dir.path()).unwrap(), Store::open(dir.path()).unwrap()];
    let bytes = vec![42; 300_000];
    let blobs = thread::scope(|scope| {
        let tasks = stores.each_ref().map(|store| {
            let bytes = &bytes;
            scope.spawn(move || {
                let mut staging = store.stage(JobId::random(), sidecar("1")).unwrap();
                staging.append(bytes).unwrap();
                store.commit(staging, &hashed(bytes)).unwrap()
            })
        });
        tasks.map(|task| task.join().unwrap())
    });
    assert_eq!(blobs[0], blobs[1]);
    assert_eq!(read(&stores[0], &blobs[1]), bytes);
    assert_eq!(stores[1].staged().unwrap(), []);
}

/// Another program had its hands in it: the rest goes out all the same.
#[test]
fn a_message_of_the_outbox_that_cannot_be_read_stops_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let (juliet, romeo) = (bare("juliet@capulet.lit"), Jid::parse("romeo@montague.lit").unwrap());
    for id in ["a", "b", "c", "d"] {
        let files = vec![FileRef::Path(format!("/home/juliet/{id}").into())];
        store.add_outgoing(&Outgoing::preparing(juliet.clone(), id.to_owned(), romeo.clone(), files, std::time::UNIX_EPOCH)).unwrap();
    }
    let connection = rusqlite::Connection::open(dir.path().join("catalogue.sqlite")).unwrap();
    connection.execute("UPDATE outbox SET addressee = '@' WHERE origin_id = 'b'", []).unwrap();
    connection.execute("UPDATE outbox SET state = 'dreaming' WHERE origin_id = 'c'", []).unwrap();
    let ids: Vec<_> = store.outbox(&juliet, OutboxState::Preparing, 10).unwrap().into_iter().map(|row| row.origin_id).collect();
    assert_eq!(ids, ["a", "d"]);
    assert_eq!(store.unreadable_outgoing(&juliet).unwrap(), ["b", "c"]);
    assert!(matches!(store.outgoing(&juliet, "b"), Err(StoreError::Record { .. })));
}

/// Another process writes for a while: whoever comes waits, and is not sent away.
#[test]
fn who_meets_a_busy_catalogue_waits_for_a_while() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let other = rusqlite::Connection::open(dir.path().join("catalogue.sqlite")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE; INSERT INTO settings (name, value) VALUES ('a', 'theirs')").unwrap();
    let (told, hear) = std::sync::mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(|| {
            store.set_setting("b", Some("ours")).unwrap();
            told.send(()).unwrap();
        });
        assert!(hear.recv_timeout(std::time::Duration::from_millis(150)).is_err(), "it cannot write yet");
        assert_eq!(Store::open(dir.path()).unwrap().setting("a").unwrap(), None, "who reads waits for nobody");
        other.execute_batch("COMMIT").unwrap();
        hear.recv_timeout(std::time::Duration::from_secs(20)).unwrap();
    });
    assert_eq!((store.setting("a").unwrap().as_deref(), store.setting("b").unwrap().as_deref()), (Some("theirs"), Some("ours")));
}
