//! Several files in one session, as another implementation opens it (`testing/peers/kit/jingle_peer.py`): each is an offer of its own, and
//! is taken, refused or given by itself.

use std::path::PathBuf;

use serde_json::Value;
use testing_peers::Slixmpp;

use crate::actors::{OwnServer, Person, patience, random_bytes, sha256};
use crate::lab::{goes_by, way};
use crate::peers::peers;
use crate::process::Running;

/// Alice's account is theirs as well, and bob is one of us.
pub(crate) struct Scene {
    pub(crate) server: OwnServer,
    pub(crate) alice: Person,
    pub(crate) bob: Person,
    peers: testing_peers::Peers,
}

impl Scene {
    pub(crate) fn start() -> Option<Self> {
        Self::with(&[])
    }

    fn with(options: &[&str]) -> Option<Self> {
        let peers = peers()?;
        let server = OwnServer::with(options);
        let (alice, bob) = (Person::at(server.endpoints(), "alice"), Person::at(server.endpoints(), "bob"));
        alice.run(&["contacts", "add", "bob@localhost"]).ok();
        bob.run(&["contacts", "add", "alice@localhost"]).ok();
        Some(Self { server, alice, bob, peers })
    }

    pub(crate) fn stranger(&self, who: &str, options: &[&str]) -> Slixmpp {
        self.peers.jingle(self.server.endpoints(), who).with(options)
    }

    /// Bob waits for files; and which device he has.
    pub(crate) fn bob_waits(&self, files: usize, options: &[&str]) -> (Running, String) {
        let (files, patience) = (files.to_string(), patience());
        let waits = ["receive", "--yes", "--count", &files, "--timeout", &patience];
        let mut waiting = self.bob.start(&[&waits, options].concat());
        waiting.event("waiting");
        let probe = "<presence to='bob@localhost' type='probe'/>";
        let mut heard = self.stranger("alice/looks", &[]).start(&["devices", probe]).unwrap();
        let is_ours = |event: &Value| {
            event["event"] == "presence" && event["type"] == "available" && event["from"].as_str().unwrap().starts_with("bob@localhost/")
        };
        let device = heard.wait_for("the device of our client", is_ours)["from"].as_str().unwrap().to_owned();
        (waiting, device)
    }

    /// They offer these in one session; the last is added to it.
    fn they_offer(&self, device: &str, files: &[PathBuf], options: &[&str]) -> Vec<Value> {
        let mut arguments = vec!["several".to_owned(), device.to_owned()];
        arguments.extend(files.iter().map(|file| file.display().to_string()));
        let last = arguments.pop().unwrap();
        arguments.push(format!("+{last}"));
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        self.stranger("alice/other", options).run(&arguments).unwrap()
    }

    fn files(&self, names: &[&str], size: usize) -> Vec<PathBuf> {
        names.iter().map(|name| self.alice.file(name, &random_bytes(size))).collect()
    }
}

/// The event about the file of that name.
#[track_caller]
fn about<'a>(events: &'a [Value], event: &str, file: &std::path::Path) -> &'a Value {
    let name = file.file_name().unwrap().to_str().unwrap();
    let is_it = |found: &&Value| found["event"] == event && found["name"] == name;
    events.iter().find(is_it).unwrap_or_else(|| panic!("no {event} of {name}: {events:?}"))
}

/// Five in the offer, more than are fetched at once, and one that is added midway; each is an offer in our catalogue, arrives proven, and is confirmed by itself.
#[track_caller]
fn all_arrive(options: &[&str], ours: &[&str], size: usize, expected: &str) {
    if peers().is_some() {
        // All of them, or one did not and it is the way of that one.
        goes_by(expected, "", |_| {
            (arrive(options, ours, size).into_iter().find(|way| way != expected).unwrap_or_else(|| expected.to_owned()), ())
        });
    }
}

/// The ways they took.
#[track_caller]
fn arrive(options: &[&str], ours: &[&str], size: usize) -> Vec<String> {
    let scene = Scene::start().unwrap();
    let files = scene.files(&["a.bin", "b.bin", "c.bin", "d.bin", "e.bin", "added.bin"], size);
    let (waiting, device) = scene.bob_waits(files.len(), ours);
    let events = scene.they_offer(&device, &files, options);
    let done = waiting.wait().ok();
    let (offers, saved) = (done.all("offer"), done.all("saved"));
    assert_eq!((offers.len(), saved.len()), (files.len(), files.len()), "{}", done.out);
    let mut ways = Vec::new();
    for file in &files {
        let saved = about(&saved, "saved", file);
        assert_eq!((&saved["proven"], saved["sha256"].as_str()), (&true.into(), Some(sha256(file).as_str())), "{saved}");
        assert_eq!(saved["way"], about(&events, "sent", file)["went"], "{saved}");
        ways.push(way(saved).to_owned());
        assert_eq!(sha256(&scene.bob.folder().join(file.file_name().unwrap())), sha256(file));
    }
    let ends: Vec<_> = files.iter().map(|file| about(&events, "sent", file)["ended"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ends.iter().filter(|end| end.contains("success")).count(), 1, "the last one is said by the end of all: {ends:?}");
    assert_eq!(ends.iter().filter(|end| *end == "received").count(), files.len() - 1, "{ends:?}");
    ways
}

/// Proves: JFT-5-1, JFT-6.3-1, JIN-7.2-2.
#[test]
fn several_files_in_one_session_arrive_by_sockets() {
    all_arrive(&[], &[], 1_000_000, "direct");
    all_arrive(&[], &["--relay-only"], 1_000_000, "proxy");
}

/// Proves: JFT-5-1, JFT-6.3-1.
#[test]
fn several_files_in_one_session_arrive_in_band() {
    all_arrive(&["--transport", "ibb"], &[], 60_000, "in-band");
}

/// They dial nobody, and know no proxy.
#[test]
fn several_files_in_one_session_fall_back_each_by_itself() {
    all_arrive(&["--no-proxy", "--timid"], &["--relay-only"], 60_000, "in-band");
}

/// One of those that it begins with, and the one that is added, are not wanted: the others come.
/// Proves: JFT-6.3-1.
#[test]
fn one_of_several_is_refused_by_itself() {
    let Some(scene) = Scene::start() else { return };
    scene.bob.run(&["policy", "add", "never everybody over 500 KiB"]).ok();
    let mut files = scene.files(&["a.bin", "b.bin"], 300_000);
    files.extend(scene.files(&["large.bin", "added large.bin"], 900_000));
    let (waiting, device) = scene.bob_waits(files.len(), &[]);
    let events = scene.they_offer(&device, &files, &[]);
    let done = waiting.wait().exits(10);
    assert_eq!((done.all("offer").len(), done.all("saved").len()), (4, 2), "{}", done.out);
    for file in &files[..2] {
        about(&events, "sent", file);
        assert_eq!(sha256(&scene.bob.folder().join(file.file_name().unwrap())), sha256(file));
    }
    for file in &files[2..] {
        let refused = about(&events, "refused", file);
        assert!(refused["reason"].as_str().unwrap().contains("decline"), "{refused}");
    }
    // When the others are through, a no to the one that was added is the end of the session.
    let how = |file| about(&events, "refused", file)["action"].as_str().unwrap().to_owned();
    assert_eq!(how(&files[2]), "content-reject");
    assert!(["content-reject", "session-terminate"].contains(&how(&files[3]).as_str()), "{events:?}");
}

/// They ask for several of our files in one session, and for one more midway; what is not theirs to have is refused by itself.
/// Proves: JFT-6.3-1, JFT-6.2-1.
#[test]
fn several_of_ours_are_given_in_one_session_and_what_is_not_theirs_is_not() {
    let Some(scene) = Scene::start() else { return };
    let names = ["mine.bin", "yours.bin", "added yours.bin"];
    for name in names {
        scene.bob.file(name, &random_bytes(400_000));
    }
    let path = |name: &str| scene.bob.folder().join(name).display().to_string();
    for name in &names[1..] {
        scene.bob.run(&["send", name, "--to", "alice@localhost"]).ok();
    }
    let (waiting, device) = scene.bob_waits(1, &[]);
    let added = format!("+{}", path(names[2]));
    let events = scene.stranger("alice/other", &[]).run(&["ask", &device, &path(names[0]), &path(names[1]), &added]).unwrap();
    for name in &names[1..] {
        let taken = about(&events, "taken", name.as_ref());
        assert_eq!(taken["sha256"].as_str(), Some(sha256(&scene.bob.folder().join(name)).as_str()), "{taken}");
    }
    let refused = about(&events, "refused", names[0].as_ref());
    assert_eq!(refused["action"], "content-reject", "{refused}");
    waiting.end();
}

/// We offer a file; they take it, and use the session to ask for another one, or to offer one. Ours goes its way; what they ask for and may
/// have they get while it does, what they offer to a program that only sends is not taken.
/// Proves: JFT-6.3-1, JIN-7.2-2.
#[test]
fn what_others_add_to_a_session_of_ours_is_answered_and_hinders_nothing() {
    let Some(scene) = Scene::with(&["--proxy-rate", "1M"]) else { return };
    let shared = scene.alice.file("shared before.bin", &random_bytes(50_000));
    scene.alice.run(&["send", "shared before.bin", "--to", "bob@localhost"]).ok();
    let theirs = scene.bob.file("theirs.bin", &random_bytes(50_000));
    for (option, file, expected) in [("--add-ask", &shared, "taken"), ("--add-offer", &theirs, "refused")] {
        let name = format!("with {}.bin", option.trim_start_matches('-'));
        let ours = scene.alice.file(&name, &random_bytes(4_000_000));
        let mut bob = scene.stranger("bob/other", &[option, file.to_str().unwrap()]).start(&["take"]).unwrap();
        let sent = scene.alice.run(&["send", "--direct", "--relay-only", &name, "--to", "bob@localhost/other"]).ok();
        assert_eq!(sent.all("delivered").len(), 1, "{}", sent.out);
        let mut heard = Vec::new();
        while heard.len() < 2 {
            let ended = |event: &Value| ["taken", "sent", "refused", "ended", "broken"].iter().any(|end| event["event"] == *end);
            heard.push(bob.wait_for("the ends of both", ended));
        }
        assert_eq!(about(&heard, "taken", &ours)["sha256"].as_str(), Some(sha256(&ours).as_str()), "{heard:?}");
        about(&heard, expected, file);
    }
}
