//! A copy that is a second name of the file in the store: when there is one, and what its owner may do with it.

use std::fs::{self, File, Metadata, Permissions};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use balcony_sharing::FileName;
use balcony_store::{BlobRef, OnClash, Store, StoreError};
use balcony_wire::hashes::HashAlgo;

use crate::processes::{other_process, part};
use crate::{digests, keep, read};

const BYTES: &[u8] = b"what the two of them read";
const EDITED: &[u8] = b"what the one of them said";

/// A store, a folder of downloads beside it, and a file in both.
struct Scene {
    dir: tempfile::TempDir,
    store: Store,
    blob: BlobRef,
    path: PathBuf,
}

impl Scene {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path().join("store")).unwrap();
        let blob = keep(&store, BYTES).unwrap();
        fs::create_dir(dir.path().join("downloads")).unwrap();
        let path = export(&store, &blob, &dir.path().join("downloads"));
        Self { dir, store, blob, path }
    }

    fn stored(&self) -> Metadata {
        stored(&self.dir.path().join("store"), &self.blob)
    }

    fn found(&self) -> Option<BlobRef> {
        self.store.find(&digests(BYTES, &[HashAlgo::Sha256])).unwrap()
    }

    /// Whether the copy can be the stored file: not where blocks are shared instead.
    fn is_linked(&self) -> bool {
        let is_linked = fs::metadata(&self.path).unwrap().ino() == self.stored().ino();
        assert_eq!(is_linked, !shares_blocks(self.dir.path()));
        is_linked
    }

    fn sql(&self, sql: &str) -> i64 {
        let connection = rusqlite::Connection::open(self.dir.path().join("store").join("catalogue.sqlite")).unwrap();
        connection.query_row(sql, [], |row| row.get(0)).unwrap()
    }
}

fn export(store: &Store, blob: &BlobRef, dir: &Path) -> PathBuf {
    store.export(blob, dir, &FileName::from_peer("letter.txt"), OnClash::Rename).unwrap()
}

pub(crate) fn stored_path(store: &Path, blob: &BlobRef) -> PathBuf {
    let hex = blob.sha256().to_hex();
    store.join("blobs").join(&hex[..2]).join(hex)
}

fn stored(store: &Path, blob: &BlobRef) -> Metadata {
    fs::metadata(stored_path(store, blob)).unwrap()
}

#[cfg(not(target_os = "linux"))]
fn shares_blocks(_: &Path) -> bool {
    false
}

#[cfg(target_os = "linux")]
fn shares_blocks(dir: &Path) -> bool {
    let (one, other) = (dir.join("one"), dir.join("other"));
    fs::write(&one, BYTES).unwrap();
    let outcome = rustix::fs::ioctl_ficlone(File::create(&other).unwrap(), File::open(&one).unwrap());
    fs::remove_file(&one).unwrap();
    fs::remove_file(&other).unwrap();
    outcome.is_ok()
}

/// Not within the same tick of a clock that is coarse: the file's time is another one.
fn edit(path: &Path) {
    let before = fs::metadata(path).unwrap().modified().unwrap();
    while fs::metadata(path).unwrap().modified().unwrap() == before {
        fs::write(path, EDITED).unwrap();
    }
}

#[test]
fn the_first_copy_is_the_stored_file_and_any_more_are_copies() {
    let scene = Scene::new();
    let more: Vec<_> = (0..3).map(|_| export(&scene.store, &scene.blob, scene.path.parent().unwrap())).collect();
    let links = fs::metadata(&scene.path).unwrap().nlink();
    assert_eq!(links, if scene.is_linked() { 2 } else { 1 });
    for path in more {
        assert_eq!((fs::metadata(&path).unwrap().nlink(), fs::read(&path).unwrap()), (1, BYTES.to_vec()));
    }
}

#[test]
fn an_edited_copy_is_the_loss_of_the_store_until_the_file_is_fetched_again() {
    let scene = Scene::new();
    edit(&scene.path);
    if scene.is_linked() {
        let error = scene.store.open_blob(&scene.blob).unwrap_err();
        assert!(matches!(error, StoreError::Damaged { .. }) && error.to_string().contains(" is changed: "), "{error}");
        assert!(scene.store.open_blob(&scene.blob).is_err(), "a reference from before finds nothing in it");
        let downloads = scene.path.parent().unwrap();
        scene.store.export(&scene.blob, downloads, &FileName::from_peer("x"), OnClash::Refuse).unwrap_err();
        assert_eq!((scene.found(), scene.store.blob(scene.blob.sha256()).unwrap()), (None, None));
        let blob = keep(&scene.store, BYTES).unwrap();
        assert_eq!(scene.found(), Some(blob));
    }
    assert_eq!(read(&scene.store, &scene.blob), BYTES);
    assert_eq!(fs::read(&scene.path).unwrap(), EDITED, "it stays as its owner left it");
    let again = export(&scene.store, &scene.blob, scene.path.parent().unwrap());
    assert_eq!((fs::read(again).unwrap(), fs::read(&scene.path).unwrap()), (BYTES.to_vec(), EDITED.to_vec()));
}

/// Programs that change the tags of music do so: as many bytes, and the time as it was.
#[test]
fn an_edit_that_puts_the_time_back_is_noticed() {
    let scene = Scene::new();
    let before = fs::metadata(&scene.path).unwrap().modified().unwrap();
    edit(&scene.path);
    File::options().write(true).open(&scene.path).unwrap().set_modified(before).unwrap();
    assert_eq!(fs::metadata(&scene.path).unwrap().modified().unwrap(), before);
    assert_eq!(scene.found().is_none(), scene.is_linked());
}

#[test]
fn a_copy_that_is_moved_touched_or_removed_harms_nothing() {
    let scene = Scene::new();
    fs::set_permissions(&scene.path, Permissions::from_mode(0o444)).unwrap();
    assert_eq!(scene.found().as_ref(), Some(&scene.blob), "another mode");
    let moved = scene.path.with_file_name("moved");
    fs::rename(&scene.path, &moved).unwrap();
    assert_eq!(scene.found().as_ref(), Some(&scene.blob), "another name");
    File::open(&moved).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(scene.found().as_ref(), Some(&scene.blob), "another time");
    fs::remove_file(&moved).unwrap();
    assert_eq!(read(&scene.store, &scene.blob), BYTES);
    let again = export(&scene.store, &scene.blob, scene.path.parent().unwrap());
    assert_eq!((&again, fs::read(&again).unwrap()), (&scene.path, BYTES.to_vec()), "and it can be had once more");
}

/// Bytes are read again when something changed, not each time: else each look at a large file would cost seconds.
#[test]
fn a_look_after_a_copy_reads_no_bytes() {
    let scene = Scene::new();
    let stamp = scene.sql("SELECT ctime_ns FROM blob_stamps");
    let stored = scene.stored();
    assert_eq!(stamp, stored.ctime() * 1_000_000_000 + stored.ctime_nsec());
    let taken = scene.store.export(&scene.blob, scene.path.parent().unwrap(), &FileName::from_peer("letter.txt"), OnClash::Refuse);
    assert!(matches!(taken, Err(StoreError::Taken(_))), "{taken:?}");
    let stored = scene.stored();
    assert_eq!(scene.sql("SELECT ctime_ns FROM blob_stamps"), stored.ctime() * 1_000_000_000 + stored.ctime_nsec());
}

#[test]
fn a_file_from_before_there_were_stamps_gets_one_at_the_first_look() {
    let scene = Scene::new();
    let stamps = || scene.sql("SELECT count(*) FROM blob_stamps");
    let connection = rusqlite::Connection::open(scene.dir.path().join("store").join("catalogue.sqlite")).unwrap();
    connection.execute_batch("DELETE FROM blob_stamps").unwrap();
    assert_eq!(stamps(), 0);
    assert_eq!(scene.found().as_ref(), Some(&scene.blob));
    assert_eq!(stamps(), 1);
    edit(&scene.path);
    assert_eq!(scene.found().is_none(), scene.is_linked());
}

/// A backup of links, or what a kill in the middle of a copy left.
#[test]
fn a_stored_file_that_has_another_name_already_is_copied() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("store");
    let store = Store::open(&root).unwrap();
    let blob = keep(&store, BYTES).unwrap();
    let left = dir.path().join(".balcony-0123.part");
    fs::hard_link(stored_path(&root, &blob), &left).unwrap();
    let path = export(&store, &blob, dir.path());
    assert_eq!((fs::metadata(&path).unwrap().nlink(), fs::read(&path).unwrap()), (1, BYTES.to_vec()));
    assert_eq!(stored(&root, &blob).permissions().mode() & 0o777, 0o600);
    fs::remove_file(left).unwrap();
}

#[test]
fn a_folder_on_another_file_system_gets_a_copy() {
    let scene = Scene::new();
    let Ok(elsewhere) = tempfile::tempdir_in("/dev/shm") else { return eprintln!("skipped: no second file system") };
    if fs::metadata(elsewhere.path()).unwrap().dev() == scene.stored().dev() {
        return eprintln!("skipped: no second file system");
    }
    let blob = keep(&scene.store, b"not linked out yet").unwrap();
    let path = export(&scene.store, &blob, elsewhere.path());
    assert_eq!((fs::metadata(&path).unwrap().nlink(), fs::read(&path).unwrap()), (1, b"not linked out yet".to_vec()));
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 1);
    let left_alone = stored(&scene.dir.path().join("store"), &blob);
    assert_eq!((left_alone.nlink(), left_alone.permissions().mode() & 0o777), (1, 0o600));
}

/// As if the person had made it; and the time of a second name is that of its bytes.
#[test]
fn a_copy_has_the_mode_of_a_fresh_file_of_that_person() {
    if let Some(dir) = part() {
        return with_a_mask_of_their_own(&dir);
    }
    let dir = tempfile::tempdir().unwrap();
    let test = "links::a_copy_has_the_mode_of_a_fresh_file_of_that_person";
    let mut child = other_process("umask 027;", test, dir.path());
    let mut said = String::new();
    child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(child.wait().unwrap().success() && said.contains("all modes seen"), "{said}");
}

fn with_a_mask_of_their_own(dir: &Path) {
    let root = dir.join("store");
    let store = Store::open(&root).unwrap();
    let blob = keep(&store, BYTES).unwrap();
    let time = stored(&root, &blob).modified().unwrap();
    assert_eq!(stored(&root, &blob).permissions().mode() & 0o777, 0o600);
    for round in 0..2 {
        let copy = fs::metadata(export(&store, &blob, dir)).unwrap();
        assert_eq!(copy.permissions().mode() & 0o777, 0o640, "{round}");
    }
    assert_eq!(stored(&root, &blob).modified().unwrap(), time);
    println!("\nall modes seen");
}

/// Where a mode is not all: a group that the folder gives, access lists that it passes on.
#[test]
#[cfg(target_os = "linux")]
fn where_a_fresh_file_is_more_than_its_mode_it_is_copied() {
    let scene = Scene::new();
    let (shared, listed) = (scene.dir.path().join("shared"), scene.dir.path().join("listed"));
    fs::create_dir(&shared).unwrap();
    fs::create_dir(&listed).unwrap();
    let mut seen = 0;
    if std::os::unix::fs::chown(&shared, None, Some(54_321)).is_ok() {
        fs::set_permissions(&shared, Permissions::from_mode(0o2770)).unwrap();
        let copy = fs::metadata(export(&scene.store, &keep(&scene.store, b"to the group").unwrap(), &shared)).unwrap();
        assert_eq!((copy.nlink(), copy.gid()), (1, 54_321));
        seen += 1;
    }
    // version 2; owner rw-, user 1234 rw-, group ---, mask rw-, others ---
    let list: Vec<u8> = [(1_u16, 6_u16, u32::MAX), (2, 6, 1234), (4, 0, u32::MAX), (16, 6, u32::MAX), (32, 0, u32::MAX)]
        .iter()
        .flat_map(|(tag, may, who)| [&tag.to_le_bytes()[..], &may.to_le_bytes(), &who.to_le_bytes()].concat())
        .collect();
    let list = [&2_u32.to_le_bytes()[..], &list].concat();
    if rustix::fs::setxattr(&listed, "system.posix_acl_default", &list, rustix::fs::XattrFlags::empty()).is_ok() {
        let copy = export(&scene.store, &keep(&scene.store, b"to the listed").unwrap(), &listed);
        assert_eq!(fs::metadata(&copy).unwrap().nlink(), 1);
        let mut value = [0; 256];
        let len = rustix::fs::getxattr(&copy, "system.posix_acl_access", &mut value[..]).unwrap();
        assert_eq!(value[..len], list[..], "nobody may more than the list says");
        seen += 1;
    }
    eprintln!("{seen} of 2 could be tried here");
}
