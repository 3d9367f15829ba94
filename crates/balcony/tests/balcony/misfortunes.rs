//! What goes wrong without anybody's fault: a full disk, a server that takes no files, a link that has died. Each ends in a sentence
//! that says what, who and what next, with an exit code of its own kind, and leaves nothing half-written under a final name.

use std::fs;
use std::process::Command;

use serde_json::Value;
use testing_peers::Server;

use crate::actors::{OwnServer, Person, patience, random_bytes, sha256};
use crate::cli::files_below;
use crate::peers::peers;
use crate::process::{Done, run};

/// Runs a command for which the disk is full after so many KiB of any file: the system then says that a file grows too large, where a
/// full disk has it say that there is no room.
#[track_caller]
fn with_room_for(kib: usize, person: &Person, arguments: &[&str]) -> Done {
    let wanted = person.command(arguments);
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' XFSZ; ulimit -f \"$0\"; exec \"$@\""]).arg((kib * 2).to_string());
    shell.arg(wanted.get_program()).args(wanted.get_args()).current_dir(person.folder());
    for (name, value) in wanted.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    run(&mut shell, b"")
}

/// What, who, and what next.
#[track_caller]
fn says(done: &Done, class: &str, words: &[&str]) -> Value {
    let failed = done.event("failed");
    assert_eq!(failed["class"], class, "{failed}");
    let said = format!("{} {}", failed["error"].as_str().unwrap(), failed["next"].as_str().unwrap_or_default());
    for word in words {
        assert!(said.contains(word), "no {word:?} in: {said}");
    }
    failed
}

#[test]
fn a_disk_that_is_full_stops_a_fetch_which_goes_on_when_there_is_room() {
    let server = OwnServer::start();
    let (alice, bob) = (Person::at(server.endpoints(), "alice"), Person::at(server.endpoints(), "bob"));
    let file = alice.file("film.mkv", &random_bytes(9_000_000));
    alice.run(&["send", "film.mkv", "--to", "bob@localhost"]).ok();
    let full = with_room_for(4_000, &bob, &["receive", "--yes", "--count", "1", "--timeout", &patience()]).exits(9);
    says(&full, "local", &["no room left", "free some space and try again"]);
    assert_eq!(bob.names(), [""; 0], "nothing half-written");
    let saved = bob.run(&["receive", "--yes", "--count", "1", "--timeout", &patience()]).ok().event("saved");
    assert_eq!(saved["sha256"], sha256(&file).as_str());
    assert_eq!(bob.names(), ["film.mkv"]);
}

#[test]
fn a_disk_that_is_full_where_the_copy_should_go_leaves_none_and_loses_nothing() {
    let server = OwnServer::start();
    let (alice, bob) = (Person::at(server.endpoints(), "alice"), Person::at(server.endpoints(), "bob"));
    let file = alice.file("film.mkv", &random_bytes(3_000_000));
    alice.run(&["send", "film.mkv", "--to", "bob@localhost"]).ok();
    bob.run(&["receive", "--yes", "--count", "1", "--timeout", &patience()]).ok();
    // The copy that is there shares its bytes with the store: the next one has to be written.
    let full = with_room_for(1_000, &bob, &["fetch", "1", "--yes"]);
    if full.code != 0 {
        says(&full.exits(9), "local", &["no room left", "free some space and try again"]);
        assert_eq!(bob.names(), ["film.mkv"], "nothing half-written, and what was there is there");
    }
    bob.run(&["fetch", "1", "--yes"]).ok();
    for name in bob.names() {
        assert_eq!(sha256(&bob.folder().join(name)), sha256(&file));
    }
}

#[test]
fn a_disk_that_is_full_stops_a_sending_before_anything_is_sent() {
    let server = OwnServer::start();
    let (alice, bob) = (Person::at(server.endpoints(), "alice"), Person::at(server.endpoints(), "bob"));
    alice.file("film.mkv", &random_bytes(500_000));
    let full = with_room_for(4, &alice, &["send", "film.mkv", "--to", "bob@localhost"]).exits(9);
    says(&full, "local", &["free some space"]);
    assert!(bob.run(&["receive", "--timeout", "1"]).exits(11).all("offer").is_empty());
    alice.run(&["send", "film.mkv", "--to", "bob@localhost"]).ok();
    bob.run(&["receive", "--yes", "--count", "1", "--timeout", &patience()]).ok().event("saved");
    assert!(bob.run(&["receive", "--yes", "--timeout", "1"]).exits(11).all("offer").is_empty(), "it came once");
}

/// Proves: USER-1-6.
#[test]
fn a_link_that_has_died_is_said_to_be_gone_for_good_and_by_whom() {
    let server = OwnServer::start();
    let (alice, bob) = (Person::at(server.endpoints(), "alice"), Person::at(server.endpoints(), "bob"));
    let bytes = random_bytes(300_000);
    alice.file("summit.jpg", &bytes);
    alice.run(&["send", "summit.jpg", "--to", "bob@localhost"]).ok();
    let (stored, _) = files_below(&server.data()).into_iter().find(|(_, stored)| *stored == bytes).unwrap();
    fs::remove_file(stored).unwrap();
    let gone = bob.run(&["receive", "--yes", "--count", "1", "--timeout", &patience()]).exits(7);
    says(&gone, "source", &["summit.jpg", "localhost", "410", "ask the sender to share the file again"]);
    assert_eq!(bob.names(), [""; 0]);
    // It said so for good: nobody is asked again, and why says it.
    let again = bob.run(&["fetch", "1", "--yes"]);
    assert!(again.code != 0 && again.all("asking").is_empty(), "{again:?}");
    let why = bob.run(&["why", "1"]).ok();
    assert!(why.out.contains("410"), "{}", why.out);
}

#[test]
fn an_account_whose_server_takes_no_files_says_so_before_anything_is_read() {
    let Some(peers) = peers() else { return };
    let instance = peers.start(Server::Prosody, &[("UPLOAD", "no")]).unwrap();
    let there = instance.endpoints();
    let alice = Person::at(there, "alice");
    let path = alice.file("large.bin", b"");
    fs::File::options().write(true).open(path).unwrap().set_len(1 << 40).unwrap();
    let refused = alice.run(&["send", "large.bin", "--to", &there.jid("bob")]).exits(6);
    says(&refused, "server", &["your server has no upload service", "account"]);
    let doctor = alice.run(&["doctor"]);
    let upload = doctor.all("finding").into_iter().find(|finding| finding["about"] == "upload").unwrap();
    assert_ne!(upload["mark"], "good", "{upload}");
}
