//! From one account to another over our own server: every way it goes well, and what happens when it does not.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::actors::{OwnServer, Person, patience, random_bytes, sha256};
use crate::cli::files_below;
use crate::process::Done;

/// Alice and bob, logged in to a server of their own.
fn scene() -> (OwnServer, Person, Person) {
    let server = OwnServer::start();
    let (alice, bob) = (Person::at(server.endpoints(), "alice"), Person::at(server.endpoints(), "bob"));
    (server, alice, bob)
}

/// Alice sends files to bob, who need not be there.
#[track_caller]
fn send(alice: &Person, files: &[&str]) -> Done {
    alice.run(&[&["send"], files, &["--to", "bob@localhost"]].concat()).ok()
}

/// Bob saves so many files in his folder, answering all questions with yes.
#[track_caller]
fn receive(bob: &Person, count: usize) -> Done {
    bob.run(&["receive", "--yes", "--count", &count.to_string(), "--timeout", &patience()]).ok()
}

/// Where a file was saved, by somebody in their folder.
fn path(person: &Person, event: &Value) -> PathBuf {
    person.folder().join(event["path"].as_str().unwrap_or_else(|| panic!("no path: {event}")))
}

/// A terminal has nothing but text, so the description is what a screen reader reads.
///
/// Proves: SFS-3.1-1, SFS-3.1-6, OOB-7-1, SIMS-7-2.
#[test]
fn a_file_sent_to_somebody_who_waits_arrives_whole_and_proven() {
    let (_server, alice, bob) = scene();
    let file = alice.file("summit.jpg", &random_bytes(3_000_000));
    let mut waiting = bob.start(&["receive", "--yes", "--count", "1", "--timeout", &patience()]);
    waiting.event("waiting");
    let sent = alice.run(&["send", "summit.jpg", "--to", "bob@localhost", "--describe", "The view from the summit"]).ok().event("sent");
    let offer = waiting.event("offer");
    assert_eq!((&offer["name"], &offer["size"]), (&"summit.jpg".into(), &3_000_000.into()));
    assert_eq!((&offer["description"], &offer["proof"]), (&"The view from the summit".into(), &"digest".into()));
    assert!(offer["from"].as_str().unwrap().starts_with("alice@localhost"), "{offer}");
    let saved = waiting.event("saved");
    waiting.wait().ok();
    assert_eq!(saved["proven"], true);
    assert_eq!((sha256(&path(&bob, &saved)), saved["sha256"].as_str()), (sha256(&file), sent["digests"]["sha-256"].as_str()));
    assert_eq!(saved["sha256"], sha256(&file).as_str());
    assert_eq!(bob.names(), ["summit.jpg"], "nothing else is left in the folder");
    let mode = fs::metadata(path(&bob, &saved)).unwrap().permissions().mode();
    assert_eq!(mode & 0o111, 0, "what others send is never executable");
}

#[test]
fn a_file_sent_to_somebody_who_is_away_is_there_when_they_come() {
    let (mut server, alice, bob) = scene();
    let file = alice.file("notes.txt", b"see you tomorrow\n");
    send(&alice, &["notes.txt"]);
    // Another day: the server was restarted, and alice is gone.
    server.kill();
    server.again();
    let saved = receive(&bob, 1).event("saved");
    assert_eq!(sha256(&path(&bob, &saved)), sha256(&file));
}

/// Proves: USER-3-4, USER-4-1.
#[test]
fn several_files_in_one_message_all_arrive_with_their_names() {
    let (_server, alice, bob) = scene();
    let names = ["naïve café – Ω ☕.txt", "emoji 🎉.png", "two words.tar.gz", "日本語.pdf", ".hidden", "empty.bin"];
    for name in names {
        alice.file(name, &random_bytes(if name == "empty.bin" { 0 } else { 10_000 }));
    }
    let sent = send(&alice, &names).all("sent");
    assert_eq!(sent.iter().map(|file| file["name"].as_str().unwrap()).collect::<Vec<_>>(), names);
    let received = receive(&bob, names.len()).all("saved");
    for name in names {
        let saved = received.iter().find(|saved| saved["sha256"] == sha256(&alice.folder().join(name)).as_str());
        let saved = saved.unwrap_or_else(|| panic!("{name} did not come: {received:?}"));
        let arrived = path(&bob, saved).file_name().unwrap().to_string_lossy().into_owned();
        // A hidden file must not become one here.
        assert!(arrived == name || (name == ".hidden" && !arrived.starts_with('.')), "{name} came as {arrived}");
        assert_eq!(fs::read(path(&bob, saved)).unwrap(), fs::read(alice.folder().join(name)).unwrap());
    }
    assert_eq!(bob.names().len(), names.len());
}

#[test]
fn a_folder_full_of_files_arrives_in_as_many_messages_as_it_takes() {
    let (_server, alice, bob) = scene();
    let names: Vec<String> = (0..70).map(|n| format!("picture {n:02}.png")).collect();
    names.iter().for_each(|name| drop(alice.file(name, name.as_bytes())));
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let sent = send(&alice, &[&["--text", "the holidays"], &names[..]].concat());
    assert_eq!(sent.all("sent").len(), 70);
    receive(&bob, 70);
    assert_eq!(bob.names(), names);
}

#[test]
fn what_was_offered_is_listed_explained_and_fetched_later() {
    let (server, alice, bob) = scene();
    let file = alice.file("plan.pdf", &random_bytes(200_000));
    send(&alice, &["plan.pdf"]);
    // Without --yes the file of a stranger is not fetched, and the reason says what would be.
    let asked = bob.run(&["receive", "--count", "1", "--timeout", &patience()]).exits(10);
    let failed = asked.event("failed");
    assert!(failed["next"].as_str().unwrap().contains("fetch"), "{failed}");
    assert_eq!(bob.names(), [""; 0], "nothing on the disk before the person says so");
    let listed = bob.run(&["list"]).ok().event("offer");
    assert_eq!((&listed["name"], &listed["size"]), (&"plan.pdf".into(), &200_000.into()));
    let number = listed["offer"].as_i64().unwrap().to_string();
    let why = bob.run(&["why", &number]).ok();
    assert!(why.event("attempt")["attempt"].as_str().unwrap().starts_with("https://"), "{}", why.out);
    assert_eq!(why.event("attempt")["exposure"], "own-server", "{}", why.out);
    let saved = bob.run(&["fetch", &number, "--yes"]).ok().event("saved");
    assert_eq!(sha256(&path(&bob, &saved)), sha256(&file));
    // Once here it needs no network.
    drop(server);
    let again = bob.run(&["fetch", &number, "--into", bob.folder().to_str().unwrap()]).ok();
    assert!(again.all("asking").is_empty());
    assert_eq!(bob.names(), ["plan (1).pdf", "plan.pdf"]);
    assert_eq!(bob.run(&["why", &number]).ok().event("decision")["decision"], "have");
    bob.run(&["fetch", "4711"]).exits(2);
    bob.run(&["why", "4711"]).exits(2);
    // Alice sees what she sent.
    let own = alice.run(&["list", "--with", "bob@localhost"]).ok().event("offer");
    assert_eq!(own["name"], "plan.pdf");
}

/// Proves: USER-9-5.
#[test]
fn a_name_that_is_taken_is_kept_replaced_or_counted_up_as_told() {
    let (_server, alice, bob) = scene();
    let new = alice.file("notes.txt", b"new");
    send(&alice, &["notes.txt"]);
    receive(&bob, 1);
    fs::remove_file(bob.folder().join("notes.txt")).unwrap();
    let number = bob.run(&["list"]).ok().event("offer")["offer"].as_i64().unwrap().to_string();
    bob.file("notes.txt", b"old");
    let refused = bob.run(&["fetch", &number, "--refuse"]).exits(9);
    assert!(refused.event("failed")["error"].as_str().unwrap().contains("notes.txt"), "{}", refused.out);
    assert_eq!(fs::read(bob.folder().join("notes.txt")).unwrap(), b"old");
    let renamed = bob.run(&["fetch", &number]).ok().event("saved");
    assert_eq!(path(&bob, &renamed).file_name().unwrap(), "notes (1).txt");
    let renamed = bob.run(&["fetch", &number, "--rename"]).ok().event("saved");
    assert_eq!(path(&bob, &renamed).file_name().unwrap(), "notes (2).txt");
    bob.run(&["fetch", &number, "--overwrite"]).ok();
    assert_eq!(sha256(&bob.folder().join("notes.txt")), sha256(&new));
    assert_eq!(bob.names(), ["notes (1).txt", "notes (2).txt", "notes.txt"]);
    bob.run(&["fetch", &number, "--into", "/no/such/folder"]).exits(2);
}

#[test]
fn a_link_that_stands_where_the_file_would_go_is_not_followed() {
    let (_server, alice, bob) = scene();
    alice.file("notes.txt", b"from alice");
    let precious = bob.home().join("precious");
    fs::write(&precious, b"precious").unwrap();
    std::os::unix::fs::symlink(&precious, bob.folder().join("notes.txt")).unwrap();
    send(&alice, &["notes.txt"]);
    bob.run(&["receive", "--yes", "--count", "1", "--timeout", &patience(), "--overwrite"]).ok();
    assert_eq!(fs::read(&precious).unwrap(), b"precious");
    assert_eq!(fs::read(bob.folder().join("notes.txt")).unwrap(), b"from alice");
}

/// Proves: USER-4-3.
#[test]
fn one_upload_serves_several_people() {
    let (server, alice, bob) = scene();
    let carol = Person::at(server.endpoints(), "carol");
    let file = alice.file("all.bin", &random_bytes(300_000));
    let sent = alice.run(&["send", "all.bin", "--to", "bob@localhost", "--to", "carol@localhost"]).ok();
    assert_eq!((sent.all("uploaded").len(), sent.all("offered").len()), (1, 2), "{}", sent.out);
    for person in [&bob, &carol] {
        assert_eq!(sha256(&path(person, &receive(person, 1).event("saved"))), sha256(&file));
    }
}

#[test]
fn somebody_who_cannot_be_told_is_said_so_and_the_others_are_told() {
    let (server, alice, bob) = scene();
    let file = alice.file("notes.txt", b"for whom?");
    for (nobody, why) in [("nobody@localhost", "no such account"), ("x@no-such-server.example", "no-such-server.example")] {
        let done = alice.run(&["send", "notes.txt", "--to", nobody, "--to", "bob@localhost"]).exits(6);
        let failed = done.event("failed");
        let said = failed["error"].as_str().unwrap();
        assert!(said.contains(nobody) && said.contains(why), "{failed}");
        let offered: Vec<_> = done.all("offered").iter().map(|offered| offered["to"].clone()).collect();
        assert_eq!(offered, ["bob@localhost"]);
        assert_eq!(sha256(&path(&bob, &receive(&bob, 1).event("saved"))), sha256(&file));
    }
    let outbox = alice.run(&["outbox"]).ok().all("outgoing");
    assert!(outbox.len() == 2 && outbox.iter().all(|outgoing| outgoing["state"] == "failed"), "{outbox:?}");
    drop(server);
}

#[test]
fn only_files_of_those_who_were_named_are_taken() {
    let (server, alice, bob) = scene();
    let carol = Person::at(server.endpoints(), "carol");
    alice.file("from-alice.txt", b"alice");
    carol.file("from-carol.txt", b"carol");
    send(&alice, &["from-alice.txt"]);
    send(&carol, &["from-carol.txt"]);
    bob.run(&["receive", "--yes", "--count", "1", "--from", "carol@localhost", "--timeout", &patience()]).ok();
    assert_eq!(bob.names(), ["from-carol.txt"]);
}

#[test]
fn one_who_waits_for_nothing_is_told_so() {
    let (_server, _alice, bob) = scene();
    bob.run(&["receive", "--timeout", "1"]).exits(11);
    let mut waiting = bob.start(&["receive"]);
    waiting.event("waiting");
    let done = waiting.interrupt();
    assert!([0, 130].contains(&done.code) && !done.err.contains("panicked"), "{done:?}");
}

#[test]
fn a_file_larger_than_the_service_takes_is_refused_before_it_is_read() {
    let server = OwnServer::with(&["--max-upload", "1M"]);
    let alice = Person::at(server.endpoints(), "alice");
    let path = alice.file("large.bin", b"");
    fs::File::options().write(true).open(&path).unwrap().set_len(1 << 40).unwrap();
    let done = alice.run(&["send", "large.bin", "--to", "bob@localhost"]).exits(6);
    let failed = done.event("failed");
    assert!(failed["error"].as_str().unwrap().contains("upload.localhost takes at most 1"), "{failed}");
    assert!(done.all("uploading").is_empty());
}

/// Proves: USER-1-2.
#[test]
fn a_quota_that_is_used_up_is_told_from_a_file_that_is_too_large() {
    let server = OwnServer::with(&["--max-upload", "1M", "--quota", "1500K"]);
    let alice = Person::at(server.endpoints(), "alice");
    alice.file("one.bin", &random_bytes(1_000_000));
    alice.file("two.bin", &random_bytes(1_000_000));
    alice.file("large.bin", &random_bytes(2_000_000));
    send(&alice, &["one.bin"]);
    let full = alice.run(&["send", "two.bin", "--to", "bob@localhost"]).exits(6).event("failed");
    let large = alice.run(&["send", "large.bin", "--to", "bob@localhost"]).exits(6).event("failed");
    assert_ne!(full["error"], large["error"]);
    assert!(full["error"].as_str().unwrap().contains("quota") || full["error"].as_str().unwrap().contains("room"), "{full}");
}

/// The one upload on the server's disk whose bytes are these.
fn uploaded(server: &OwnServer, bytes: &[u8]) -> PathBuf {
    let mut found = files_below(&server.data()).into_iter().filter(|(_, stored)| stored == bytes);
    found.next().unwrap_or_else(|| panic!("no such upload in {}", server.data().display())).0
}

/// Proves: SFS-6-1, SFS-6-D2, SIMS-4.2-4, SIMS-4.2-5, SEC-4-1.
#[test]
fn wrong_bytes_never_get_a_name_and_the_source_is_not_asked_again() {
    let (server, alice, bob) = scene();
    let mut bytes = random_bytes(500_000);
    alice.file("photo.jpg", &bytes);
    send(&alice, &["photo.jpg"]);
    let stored = uploaded(&server, &bytes);
    bytes[250_000] ^= 1;
    fs::write(&stored, &bytes).unwrap();
    let failed = bob.run(&["receive", "--yes", "--count", "1", "--timeout", &patience()]).exits(8);
    assert_eq!(failed.event("failed")["class"], "proof");
    assert!(failed.event("failed")["error"].as_str().unwrap().contains("photo.jpg"), "{}", failed.out);
    assert_eq!(bob.names(), [""; 0]);
    assert!(!files_below(bob.home()).iter().any(|(_, kept)| *kept == bytes), "the wrong bytes are kept nowhere");
    let number = bob.run(&["list"]).ok().event("offer")["offer"].as_i64().unwrap().to_string();
    let why = bob.run(&["why", &number]).ok();
    assert!(why.event("left-out")["words"].as_str().unwrap().contains("other bytes than those offered"), "{}", why.out);
    let again = bob.run(&["fetch", &number, "--yes"]);
    assert!(again.code != 0 && again.all("asking").is_empty(), "{again:?}");
}

#[test]
fn a_file_that_is_gone_or_cut_short_is_said_so_and_leaves_nothing() {
    let (server, alice, bob) = scene();
    let (one, two) = (random_bytes(400_000), random_bytes(400_000));
    alice.file("one.bin", &one);
    alice.file("two.bin", &two);
    send(&alice, &["one.bin"]);
    fs::remove_file(uploaded(&server, &one)).unwrap();
    let gone = bob.run(&["receive", "--yes", "--count", "1", "--timeout", &patience()]).exits(7).event("failed");
    assert!(gone["next"].as_str().unwrap().contains("sender"), "{gone}");
    send(&alice, &["two.bin"]);
    fs::File::options().write(true).open(uploaded(&server, &two)).unwrap().set_len(100_000).unwrap();
    let short = bob.run(&["receive", "--yes", "--count", "1", "--timeout", &patience()]);
    assert!([7, 8].contains(&short.code), "{short:?}");
    assert_eq!(bob.names(), [""; 0]);
}

/// Every step of `try` in the order they must come.
const STEPS: [&str; 6] = ["server", "login", "sent", "offer", "fetched", "same"];

#[track_caller]
fn has_all_steps(done: &Done) {
    let events: Vec<String> = done.events().iter().map(|event| event["event"].as_str().unwrap().to_owned()).collect();
    let mut rest = events.iter();
    for step in STEPS {
        assert!(rest.any(|event| event == step), "no {step} in its place: {events:?}");
    }
    assert_eq!(events.last().map(String::as_str), Some("done"));
}

#[test]
fn try_without_a_file_shows_it_all_with_a_picture_and_leaves_nothing_behind() {
    let person = Person::new();
    let temporary = tempfile::tempdir().unwrap();
    let done = crate::process::run(person.command(&["try"]).env("TMPDIR", temporary.path()), b"").ok();
    has_all_steps(&done);
    assert_eq!(done.event("fetched")["proven"], true);
    assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 0, "nothing is left behind");
    assert_eq!(person.names(), [""; 0]);
    let words = crate::process::alone(&["try", "--show-xml"], "").ok().out;
    assert!(words.contains("urn:xmpp:sfs:0") && words.contains("urn:xmpp:sims:1") && words.contains("jabber:x:oob"), "{words}");
}

#[test]
fn try_with_files_puts_what_arrived_into_the_folder_that_was_named() {
    let person = Person::new();
    let (one, two) = (person.file("one two.txt", b"some words\n"), person.file("empty", b""));
    let into = person.folder().join("received");
    let done = person.run(&["try", "one two.txt", "empty", "--into", into.to_str().unwrap()]).ok();
    has_all_steps(&done);
    for (file, name) in [(one, "one two.txt"), (two, "empty")] {
        assert_eq!(sha256(&into.join(name)), sha256(&file));
    }
    person.run(&["try", "no such file"]).exits(9);
}

fn exists(path: &Path) -> bool {
    path.try_exists().unwrap()
}

#[test]
fn a_server_that_is_asked_to_end_says_goodbye_and_frees_its_folder() {
    let (server, alice, _bob) = scene();
    let (data, address) = (server.data(), server.endpoints().starttls());
    let mut waiting = alice.start(&["receive"]);
    waiting.event("waiting");
    server.end().ok().event("stopping");
    assert!(std::net::TcpStream::connect(address).is_err());
    assert!(!exists(&data.join("authority.pem.tmp")));
}

/// The account's other devices are people one knows: their pictures come unasked, unless that is turned off.
/// Proves: SIMS-5.3-1, SIMS-5.3-2.
#[test]
fn what_comes_unasked_is_said_and_can_be_turned_off() {
    let server = OwnServer::start();
    let (sender, device) = (Person::at(server.endpoints(), "alice"), Person::at(server.endpoints(), "alice"));
    sender.file("view.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x02\x80\0\0\x01\xe0\x08\x02\0\0\0");
    for (option, code) in [(Some("--ask"), 10), (None, 0)] {
        let patience = patience();
        let mut waiting = vec!["receive", "--count", "1", "--timeout", &patience];
        waiting.extend(option);
        let mut waiting = device.start(&waiting);
        waiting.event("waiting");
        sender.run(&["send", "view.png", "--to", "alice@localhost"]).ok();
        let done = waiting.wait();
        assert_eq!(done.code, code, "{done:?}");
    }
    assert_eq!(device.names(), ["view.png"]);
}
