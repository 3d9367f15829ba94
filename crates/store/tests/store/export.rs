//! Copies in a person's folders.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use balcony_sharing::FileName;
use balcony_store::{OnClash, Store, StoreError};
use balcony_wire::hashes::HashAlgo;

use crate::{digests, keep, on_both};

on_both![
    a_copy_gets_its_name_and_a_number_where_that_is_taken,
    a_taken_name_is_refused_and_nothing_is_left_behind,
    replacing_is_one_step,
    whoever_looks_while_a_file_is_replaced_finds_one_of_the_two_whole,
    links_are_replaced_or_refused_and_never_followed,
    names_of_peers_stay_within_the_folder,
    a_large_file_is_copied_whole,
    a_folder_that_is_none_is_named,
    whatever_becomes_of_the_copy_the_store_never_gives_other_bytes,
    many_copies_at_once_are_all_whole_and_files_of_their_own,
];

fn name(text: &str) -> FileName {
    FileName::from_peer(text)
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn a_copy_gets_its_name_and_a_number_where_that_is_taken(store: &Store) {
    let (dir, blob) = (tempfile::tempdir().unwrap(), keep(store, b"summit").unwrap());
    for expected in ["summit.jpg", "summit (1).jpg", "summit (2).jpg"] {
        let path = store.export(&blob, dir.path(), &name("summit.jpg"), OnClash::Rename).unwrap();
        assert_eq!(path, dir.path().join(expected));
        assert_eq!(fs::read(path).unwrap(), b"summit");
    }
    assert_eq!(names(dir.path()), ["summit (1).jpg", "summit (2).jpg", "summit.jpg"]);
}

fn a_taken_name_is_refused_and_nothing_is_left_behind(store: &Store) {
    let (dir, blob) = (tempfile::tempdir().unwrap(), keep(store, b"new").unwrap());
    fs::write(dir.path().join("notes.txt"), "mine").unwrap();
    fs::create_dir(dir.path().join("folder")).unwrap();
    for taken in ["notes.txt", "folder"] {
        let error = store.export(&blob, dir.path(), &name(taken), OnClash::Refuse).unwrap_err();
        assert!(matches!(&error, StoreError::Taken(path) if *path == dir.path().join(taken)), "{error}");
    }
    assert_eq!(fs::read(dir.path().join("notes.txt")).unwrap(), b"mine");
    assert_eq!(names(dir.path()), ["folder", "notes.txt"]);
}

fn replacing_is_one_step(store: &Store) {
    let (dir, blob) = (tempfile::tempdir().unwrap(), keep(store, b"new").unwrap());
    let path = dir.path().join("notes.txt");
    fs::write(&path, "old").unwrap();
    let mut old = fs::File::open(&path).unwrap();
    assert_eq!(store.export(&blob, dir.path(), &name("notes.txt"), OnClash::Overwrite).unwrap(), path);
    assert_eq!(fs::read(&path).unwrap(), b"new");
    let mut text = String::new();
    std::io::Read::read_to_string(&mut old, &mut text).unwrap();
    assert_eq!(text, "old", "the old file was not written into");
    assert_eq!(names(dir.path()), ["notes.txt"]);
    fs::create_dir(dir.path().join("folder")).unwrap();
    store.export(&blob, dir.path(), &name("folder"), OnClash::Overwrite).unwrap_err();
    assert_eq!(names(dir.path()), ["folder", "notes.txt"]);
}

fn whoever_looks_while_a_file_is_replaced_finds_one_of_the_two_whole(store: &Store) {
    let dir = tempfile::tempdir().unwrap();
    let texts = [vec![b'a'; 100_000], vec![b'b'; 200_000]];
    let blobs = texts.each_ref().map(|text| keep(store, text).unwrap());
    let path = store.export(&blobs[0], dir.path(), &name("x"), OnClash::Refuse).unwrap();
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let looker = scope.spawn(|| {
            while !is_done.load(Ordering::Relaxed) {
                assert!(texts.contains(&fs::read(&path).unwrap()));
            }
        });
        for round in 1..40 {
            store.export(&blobs[round % 2], dir.path(), &name("x"), OnClash::Overwrite).unwrap();
        }
        is_done.store(true, Ordering::Relaxed);
        looker.join().unwrap();
    });
}

fn links_are_replaced_or_refused_and_never_followed(store: &Store) {
    let (dir, blob) = (tempfile::tempdir().unwrap(), keep(store, b"from a peer").unwrap());
    let (victim, downloads) = (dir.path().join("victim"), dir.path().join("downloads"));
    fs::write(&victim, "precious").unwrap();
    fs::create_dir(&downloads).unwrap();
    symlink(&victim, downloads.join("a.txt")).unwrap();
    symlink(dir.path().join("nowhere"), downloads.join("b.txt")).unwrap();
    for link in ["a.txt", "b.txt"] {
        assert!(matches!(store.export(&blob, &downloads, &name(link), OnClash::Refuse), Err(StoreError::Taken(_))), "{link}");
        let renamed = store.export(&blob, &downloads, &name(link), OnClash::Rename).unwrap();
        assert_eq!(renamed, downloads.join(name(link).numbered(1)));
        store.export(&blob, &downloads, &name(link), OnClash::Overwrite).unwrap();
        assert!(fs::symlink_metadata(downloads.join(link)).unwrap().is_file());
        assert_eq!(fs::read(downloads.join(link)).unwrap(), b"from a peer");
    }
    assert_eq!(fs::read(&victim).unwrap(), b"precious");
    assert!(!dir.path().join("nowhere").exists());
}

/// CVE-2021-33896 and its kin.
fn names_of_peers_stay_within_the_folder(store: &Store) {
    let (dir, blob) = (tempfile::tempdir().unwrap(), keep(store, b"from a peer").unwrap());
    let downloads = dir.path().join("downloads");
    fs::create_dir(&downloads).unwrap();
    let hostile = ["../evil", "/etc/evil", "..", ".", "", "a/../../evil", "..\\evil", "evil\0.txt", "\u{202e}gpj.exe", "-rf", ".bashrc"];
    for name_of_peer in hostile {
        let path = store.export(&blob, &downloads, &name(name_of_peer), OnClash::Rename).unwrap();
        assert_eq!(path.parent(), Some(downloads.as_path()), "{name_of_peer:?}");
        assert!(fs::symlink_metadata(&path).unwrap().is_file(), "{name_of_peer:?}");
    }
    assert_eq!(names(dir.path()), ["downloads"]);
    assert_eq!(names(&downloads).len(), hostile.len());
}

fn a_large_file_is_copied_whole(store: &Store) {
    let bytes: Vec<u8> = (0..3_000_001_u32).map(|number| (number % 251) as u8).collect();
    let (dir, blob) = (tempfile::tempdir().unwrap(), keep(store, &bytes).unwrap());
    let path = store.export(&blob, dir.path(), &name("large"), OnClash::Refuse).unwrap();
    assert!(fs::read(path).unwrap() == bytes);
}

fn a_folder_that_is_none_is_named(store: &Store) {
    let (dir, blob) = (tempfile::tempdir().unwrap(), keep(store, b"x").unwrap());
    fs::write(dir.path().join("file"), "").unwrap();
    for wrong in ["missing", "file"] {
        let error = store.export(&blob, &dir.path().join(wrong), &name("x"), OnClash::Refuse).unwrap_err();
        assert!(matches!(error, StoreError::NoFolder { .. }), "{error}");
        assert!(error.to_string().contains(wrong), "{error}");
    }
}

fn whatever_becomes_of_the_copy_the_store_never_gives_other_bytes(store: &Store) {
    let wanted = digests(b"as it came", &[HashAlgo::Sha256]);
    for edited in ["edited by its owner", "as if came", ""] {
        let (dir, blob) = (tempfile::tempdir().unwrap(), keep(store, b"as it came").unwrap());
        let path = store.export(&blob, dir.path(), &name("x"), OnClash::Refuse).unwrap();
        fs::write(&path, edited).unwrap();
        if let Some(blob) = store.find(&wanted).unwrap() {
            assert_eq!(crate::read(store, &blob), b"as it came", "{edited:?}");
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), edited);
    }
}

fn many_copies_at_once_are_all_whole_and_files_of_their_own(store: &Store) {
    let (dir, bytes) = (tempfile::tempdir().unwrap(), vec![b'm'; 100_000]);
    let blob = keep(store, &bytes).unwrap();
    let export = || store.export(&blob, dir.path(), &name("m"), OnClash::Rename).unwrap();
    let paths: Vec<_> = std::thread::scope(|scope| {
        let tasks: Vec<_> = (0..8).map(|_| scope.spawn(export)).collect();
        tasks.into_iter().map(|task| task.join().unwrap()).collect()
    });
    let inodes: BTreeSet<_> = paths.iter().map(|path| fs::metadata(path).unwrap().ino()).collect();
    assert_eq!((inodes.len(), names(dir.path()).len()), (8, 8));
    assert!(paths.iter().all(|path| fs::read(path).unwrap() == bytes));
    assert_eq!(crate::read(store, &blob), bytes);
}
