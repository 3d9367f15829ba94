//! Scenes with a second process: this test program, started once more for one test, which then plays the other part.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use balcony_sharing::FileName;
use balcony_store::{Health, JobId, Listing, OfferState, OnClash, Retention, Store, StoreError};
use balcony_wire::hashes::HashAlgo;

use crate::catalogue::offer;
use crate::{digests, hashed, keep, read, sidecar};

/// Set in the other process: the folder it works in.
const PART: &str = "BALCONY_STORE_TEST_PART";

/// The folder, if this is the other process.
pub(crate) fn part() -> Option<std::path::PathBuf> {
    std::env::var_os(PART).map(Into::into)
}

pub(crate) fn other_process(before: &str, test: &str, dir: &Path) -> Child {
    let program = std::env::current_exe().unwrap();
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("{before} exec \"$0\" \"$@\"")).arg(program);
    command.args(["--exact", test, "--nocapture"]).env(PART, dir).stdout(Stdio::piped()).spawn().unwrap()
}

#[test]
fn a_process_killed_while_fetching_leaves_its_bytes_for_the_next() {
    let job = JobId::from_record("the-one-job").unwrap();
    if let Some(dir) = part() {
        let store = Store::open(dir).unwrap();
        let mut staging = store.stage(job, sidecar("7")).unwrap();
        staging.append(&[7; 100_000]).unwrap();
        println!("\nappended");
        std::io::stdin().read_to_end(&mut Vec::new()).unwrap(); // until killed
        panic!("nobody killed this process");
    }
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let (reader, _writer) = std::io::pipe().unwrap();
    let program = std::env::current_exe().unwrap();
    let test = "processes::a_process_killed_while_fetching_leaves_its_bytes_for_the_next";
    let mut child = Command::new(program)
        .args(["--exact", test, "--nocapture"])
        .env(PART, dir.path())
        .stdin(reader)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "appended"));
    assert!(matches!(store.resume(&job), Err(StoreError::Busy(_))), "the other process holds it");
    child.kill().unwrap();
    child.wait().unwrap();
    let mut staging = store.resume(&job).unwrap().unwrap();
    assert_eq!(staging.len(), 100_000);
    staging.append(b"the end").unwrap();
    let bytes = [vec![7; 100_000], b"the end".to_vec()].concat();
    let blob = store.commit(staging, &hashed(&bytes)).unwrap();
    assert_eq!(read(&store, &blob), bytes);
}

/// A limit on the size of files stands for a disk without room: what the system says differs, what is done about it does not.
#[test]
fn where_no_more_bytes_fit_it_is_said_and_nothing_is_lost_or_half_there() {
    if let Some(dir) = part() {
        return without_room(&dir);
    }
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path().join("store")).unwrap();
    let blob = keep(&store, &vec![1; 6 << 20]).unwrap();
    store.export(&blob, dir.path(), &FileName::from_peer("first"), OnClash::Refuse).unwrap(); // which may need no room
    drop(store);
    std::fs::create_dir(dir.path().join("downloads")).unwrap();
    std::fs::write(dir.path().join("downloads").join("summit.jpg"), "was there").unwrap();
    // 4096 blocks are 2 MiB or 4 MiB, by the shell; the signal would kill before the error is seen
    let test = "processes::where_no_more_bytes_fit_it_is_said_and_nothing_is_lost_or_half_there";
    let mut child = other_process("trap '' XFSZ; ulimit -f 4096;", test, dir.path());
    let mut said = String::new();
    child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(child.wait().unwrap().success(), "{said}");
    assert!(said.contains("the limit was met"), "{said}");
    let store = Store::open(dir.path().join("store")).unwrap();
    let staged = store.staged().unwrap();
    assert_eq!((staged.len(), staged[0].len), (1, 1 << 20), "the next start goes on with what fitted");
}

fn without_room(dir: &Path) {
    let store = Store::open(dir.join("store")).unwrap();
    let mut staging = store.stage(JobId::random(), sidecar("1")).unwrap();
    staging.append(&vec![2; 1 << 20]).unwrap();
    let error = staging.append(&vec![3; 5 << 20]).unwrap_err();
    assert!(error.is_disk_full(), "{error}");
    assert!(error.to_string().starts_with("no room left to write ") && error.to_string().contains("staging"), "{error}");
    assert_eq!(staging.len(), 1 << 20);
    let mut bytes = Vec::new();
    staging.reader().read_to_end(&mut bytes).unwrap();
    assert!(bytes == vec![2; 1 << 20], "all of an append or none of it");

    let downloads = dir.join("downloads");
    let blob = store.find(&digests(&vec![1; 6 << 20], &[HashAlgo::Sha256])).unwrap().unwrap();
    for clash in [OnClash::Overwrite, OnClash::Rename] {
        let error = store.export(&blob, &downloads, &FileName::from_peer("summit.jpg"), clash).unwrap_err();
        assert!(error.is_disk_full() && error.to_string().contains("summit.jpg"), "{error}");
    }
    let names: Vec<_> = std::fs::read_dir(&downloads).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["summit.jpg"]);
    assert_eq!(std::fs::read(downloads.join("summit.jpg")).unwrap(), b"was there");
    println!("\nthe limit was met");
}

/// Commits, finds, exports and sweeps in two processes at once.
#[test]
fn two_processes_that_commit_export_and_sweep_at_once_lose_and_double_nothing() {
    if let Some(dir) = part() {
        let store = Store::open(dir.join("store")).unwrap();
        println!("\nstarted");
        rounds(&store, &dir, 100);
        println!("\nall rounds done");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("copies")).unwrap();
    let store = Store::open(dir.path().join("store")).unwrap();
    let test = "processes::two_processes_that_commit_export_and_sweep_at_once_lose_and_double_nothing";
    let mut child = other_process("", test, dir.path());
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "started"));
    rounds(&store, dir.path(), 0);
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    assert!(child.wait().unwrap().success() && rest.iter().any(|line| line == "all rounds done"), "{rest:?}");

    // what each row says is there, whole, and nothing is there that no row says
    let files = store.all_files().unwrap();
    for file in &files {
        assert_eq!(store.check(&file.sha256).unwrap(), Health::Whole);
    }
    let swept = store.would_sweep(&Retention::default(), SystemTime::now()).unwrap();
    assert_eq!((swept.strays, store.staged().unwrap()), ((0, 0), vec![]));
    assert!(store.pins().unwrap().iter().all(|pin| store.blob(pin).unwrap().is_some()), "what is pinned is there");
    // each took what only it had, and both the shared ones: of every file there is one copy at most
    let rows = store.offers(Listing::All, None, 1_000).unwrap();
    assert_eq!(rows.len(), 2 * ROUNDS);
    for row in rows {
        assert_eq!(row.state == OfferState::Here, row.blob.is_some(), "{row:?}");
        assert!(matches!(row.state, OfferState::Here | OfferState::Swept), "{row:?}");
    }
    let copies = std::fs::read_dir(dir.path().join("copies")).unwrap().map(|entry| entry.unwrap().path());
    let copies: Vec<_> = copies.map(|path| std::fs::read_to_string(path).unwrap()).collect();
    assert_eq!(copies.len(), 2 * ROUNDS, "every export is a file of its own");
    assert!(copies.iter().all(|copy| copy.starts_with("file ") && copy.len() == 6 * 500), "and whole");
}

const ROUNDS: usize = 40;

/// Every other file is one that both have. A sweep that believes it is tomorrow takes whatever may go.
fn rounds(store: &Store, dir: &Path, own: usize) {
    let tomorrow = || SystemTime::now() + Duration::from_secs(24 * 60 * 60);
    let all = Retention { max_bytes: Some(1_000), ..Retention::default() };
    for round in 0..ROUNDS {
        let number = if round % 2 == 0 { round } else { 100 + own + round };
        let bytes = format!("file {}", char::from(b'0' + u8::try_from(number % 64).unwrap())).repeat(500);
        let bytes = bytes.as_bytes();
        let (key, _) = store.add_offer(&offer("romeo@montague.lit", Some(&format!("{own}-{round}")), round as u64)).unwrap();
        // who is too slow does it once more, as a fetch does
        let path = loop {
            let blob = keep(store, bytes).unwrap();
            if store.offer_is_here(key, &blob).is_err() {
                continue; // swept between the two, as it was tomorrow there
            }
            if round % 8 == 1 && store.pin(blob.sha256()).is_err() {
                continue;
            }
            match store.export(&blob, &dir.join("copies"), &FileName::from_peer(&format!("{own}-{round}")), OnClash::Rename) {
                Ok(path) => break path,
                Err(StoreError::Damaged { found: None, .. }) => {}
                Err(error) => panic!("{error}"),
            }
        };
        assert_eq!(std::fs::read(path).unwrap(), bytes);
        if round % 3 == 0 {
            let swept = store.sweep(&all, tomorrow()).unwrap();
            assert_eq!(swept.strays, (0, 0), "what another one is just committing is no stray");
        }
    }
}

/// What a kill leaves, whenever it comes, is whole after the next start.
///
/// Proves: SEC-4-6.
#[test]
fn a_process_killed_while_it_commits_and_sweeps_leaves_nothing_half_done() {
    if let Some(dir) = part() {
        let store = Store::open(dir).unwrap();
        println!("\nstarted");
        for round in 0_u64.. {
            let bytes = round.to_string().repeat(2_000);
            let (key, _) = store.add_offer(&offer("romeo@montague.lit", Some(&JobId::random().to_string()), round)).unwrap();
            let blob = keep(&store, bytes.as_bytes()).unwrap();
            store.offer_is_here(key, &blob).unwrap();
            println!("committed");
            if round % 5 == 4 {
                let tomorrow = SystemTime::now() + Duration::from_secs(24 * 60 * 60);
                store.sweep(&Retention { max_bytes: Some(6_000), ..Retention::default() }, tomorrow).unwrap();
            }
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let test = "processes::a_process_killed_while_it_commits_and_sweeps_leaves_nothing_half_done";
    let mut committed = 0;
    for kill in 0..12 {
        let mut child = other_process("", test, dir.path());
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap() == "started"));
        // as many as it takes one to sweep by the third start, however slow the machine
        assert_eq!(lines.by_ref().filter(|line| line.as_ref().unwrap() == "committed").take(2).count(), 2);
        // not for a machine to wait for, but to be at another place each time
        std::thread::sleep(Duration::from_millis(15 + 7 * kill));
        child.kill().unwrap();
        child.wait().unwrap();
        let store = Store::open(dir.path()).unwrap();
        for file in store.all_files().unwrap() {
            assert_eq!(store.check(&file.sha256).unwrap(), Health::Whole, "{kill}");
        }
        let now = SystemTime::now() + Duration::from_secs(2 * 24 * 60 * 60);
        assert_eq!(store.would_sweep(&Retention::default(), now).unwrap().strays, (0, 0), "{kill}");
        let rows = store.offers(Listing::All, None, 1_000).unwrap();
        for row in &rows {
            let is_told = matches!(row.state, OfferState::Here | OfferState::Swept | OfferState::New);
            assert!(is_told && (row.state == OfferState::Here) == row.blob.is_some(), "{kill}: {row:?}");
        }
        committed = rows.len();
    }
    assert!(committed >= 2 * 12, "{committed}");
}
