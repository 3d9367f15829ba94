//! `kill -9` of the program that sends a large file directly, and the same command again: the file goes on where it was. It is so large
//! that its digest comes behind its bytes, so name, size and date say what may be the same, and the digest decides.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::actors::{OwnServer, Person, patience, random_bytes, sha256};
use crate::one_session;
use crate::process::{Running, until};

/// More than what is read for its digest before it is offered.
const SIZE: usize = 72 << 20;
/// What is there when the sender is killed, at least.
const PART: u64 = 12 << 20;
const SEND: [&str; 6] = ["send", "--direct", "--relay-only", "film.mkv", "--to", "bob@localhost"];

/// Alice sends, bob waits. By way of the server the file takes some seconds.
struct Scene {
    _server: OwnServer,
    alice: Person,
    bob: Person,
    waiting: Running,
}

impl Scene {
    fn start() -> Self {
        let server = OwnServer::with(&["--proxy-rate", "24M"]);
        let (alice, bob) = (Person::at(server.endpoints(), "alice"), Person::at(server.endpoints(), "bob"));
        alice.run(&["contacts", "add", "bob@localhost"]).ok();
        bob.run(&["contacts", "add", "alice@localhost"]).ok();
        let mut waiting = bob.start(&["receive", "--yes", "--timeout", &patience()]);
        waiting.event("waiting");
        Self { _server: server, alice, bob, waiting }
    }

    /// Alice's program sends the file, and is killed in the middle.
    fn killed_midway(&self) {
        let sending = self.alice.start(&SEND);
        until("a part of the file", || (staged(self.bob.home()) > PART).then_some(()));
        sending.kill();
    }

    /// Where each try of a sending began.
    fn again(&self) -> (Vec<u64>, Vec<Value>) {
        let sent = self.alice.run(&SEND).ok();
        (sent.all("way").iter().map(|way| way["from_byte"].as_u64().unwrap()).collect(), sent.all("again"))
    }

    /// Bob has it, proven, once; what broke off before is no failure.
    fn ends_with(mut self, file: &Path) {
        let saved = self.waiting.event("saved");
        assert_eq!((&saved["proven"], saved["sha256"].as_str()), (&true.into(), Some(sha256(file).as_str())), "{saved}");
        let done = self.waiting.end();
        assert_eq!(self.bob.names(), ["film.mkv"], "{}", done.out);
        assert_eq!(sha256(&self.bob.folder().join("film.mkv")), sha256(file));
        assert_eq!(staged(self.bob.home()), 0, "nothing is left over");
        done.ok();
    }
}

/// Bytes of files that are not whole yet.
fn staged(home: &Path) -> u64 {
    let is_part = |path: &PathBuf| path.parent().is_some_and(|folder| folder.ends_with("staging")) && path.extension().is_none();
    below(home).iter().filter(|path| is_part(path)).filter_map(|path| path.metadata().ok()).map(|found| found.len()).sum()
}

fn below(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.flat_map(|entry| if entry.path().is_dir() { below(&entry.path()) } else { vec![entry.path()] }).collect()
}

fn written_at(path: &Path, bytes: &[u8], at: SystemTime) {
    std::fs::write(path, bytes).unwrap();
    std::fs::File::options().append(true).open(path).unwrap().set_modified(at).unwrap();
}

/// Proves: JFT-6.4-1, JFT-8.2-2.
#[test]
fn a_sender_killed_midway_and_started_anew_goes_on_where_it_was() {
    let scene = Scene::start();
    let file = scene.alice.file("film.mkv", &random_bytes(SIZE));
    scene.killed_midway();
    // At once: here nobody knows yet that the sender is gone.
    let (began, again) = scene.again();
    assert!(matches!(began[..], [from] if from > PART) && again.is_empty(), "it began anew: {began:?} {again:?}");
    scene.ends_with(&file);
}

/// Another implementation breaks off and offers the file again in another session; so does somebody else, with a file that is called alike
/// and is as large. What one of them gave is never put before what the other gives.
/// Proves: JFT-6.4-1, JFT-8.2-2.
#[test]
fn a_file_of_others_goes_on_too_and_only_behind_bytes_of_the_same_person() {
    const SIZE: usize = 3_000_000;
    let Some(scene) = one_session::Scene::start() else { return };
    scene.bob.run(&["contacts", "add", "carol@localhost"]).ok();
    let carol = Person::at(scene.server.endpoints(), "carol");
    let (alices, carols) = (scene.alice.file("film.bin", &random_bytes(SIZE)), carol.file("film.bin", &random_bytes(SIZE)));
    let offer = |who: &str, file: &Path, options: &[&str]| {
        let (waiting, device) = scene.bob_waits(1, &[]);
        let options = [&["--hash-later"], options].concat();
        let events = scene.stranger(who, &options).run(&["offer", &device, file.to_str().unwrap()]);
        (waiting.wait(), events)
    };
    let sent = |events: Vec<Value>| events.iter().find(|event| event["event"] == "sent").map(|sent| sent["bytes"].as_u64().unwrap());
    let (broken, _) = offer("alice/other", &alices, &["--stop-after", "2000000"]);
    assert_ne!(broken.code, 0, "{}", broken.out);
    for (who, file, is_whole) in [("carol/other", &carols, true), ("alice/again", &alices, false)] {
        let (done, events) = offer(who, file, &[]);
        let saved = done.ok().event("saved");
        assert_eq!((&saved["proven"], saved["sha256"].as_str()), (&true.into(), Some(sha256(file).as_str())), "{saved}");
        let sent = sent(events.unwrap()).unwrap();
        assert!(if is_whole { sent == SIZE as u64 } else { sent < 2_000_000 }, "{who} sent {sent} bytes");
    }
}

/// The same name, size and date, and other bytes: nothing of it is kept, and it begins anew by itself, once.
/// Proves: JFT-D-4.
#[test]
fn what_was_sent_before_and_is_of_another_file_is_thrown_away_and_the_file_begins_anew_by_itself() {
    let scene = Scene::start();
    let at = SystemTime::now() - Duration::from_secs(3600);
    let file = scene.alice.file("film.mkv", b"");
    written_at(&file, &random_bytes(SIZE), at);
    scene.killed_midway();
    written_at(&file, &random_bytes(SIZE), at);
    let (began, again) = scene.again();
    assert!(matches!(began[..], [from, 0] if from > PART), "{began:?} {again:?}");
    assert!(again.len() == 1 && again[0]["why"].as_str().unwrap().contains("thrown away"), "{again:?}");
    scene.ends_with(&file);
}
