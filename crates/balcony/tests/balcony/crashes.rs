//! `kill -9` of each side in the middle of a transfer: at the next start it goes on.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::actors::{OwnServer, Person, patience, random_bytes, sha256};
use crate::gate::Gate;
use crate::process::{Running, until};

/// Large enough that a transfer is seen under way, small enough for a test.
pub(crate) const LARGE: usize = 96 << 20;

/// Alice with a large file, and bob, logged in to a server of their own.
fn scene() -> (OwnServer, Person, Person, String) {
    let (server, _, alice, bob, digest) = gated();
    (server, alice, bob, digest)
}

/// The same with what holds files up on their way, for both.
fn gated() -> (OwnServer, Gate, Person, Person, String) {
    let (server, gate) = (OwnServer::start(), Gate::start());
    let (alice, bob) = (gate.behind(server.endpoints(), "alice"), gate.behind(server.endpoints(), "bob"));
    let digest = sha256(&alice.file("film.mkv", &random_bytes(LARGE)));
    (server, gate, alice, bob, digest)
}

/// Starts something that moves the file, waits until some bytes more have come to a folder, and lets no more through.
#[track_caller]
pub(crate) fn held_midway(server: &OwnServer, gate: &Gate, folder: &Path, start: impl FnOnce() -> Running) -> Running {
    let before = size_below(folder);
    gate.hold_after(LARGE / 4, server.endpoints());
    let running = start();
    until("bytes", || (size_below(folder) > before + (1 << 20)).then_some(()));
    running
}

const SEND: [&str; 4] = ["send", "film.mkv", "--to", "bob@localhost"];

/// Bytes in all files below a folder.
fn size_below(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => size_below(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0, // renamed or removed meanwhile
    });
    sizes.sum()
}

#[track_caller]
fn receives_once(bob: &Person, digest: &str) {
    let received = bob.run(&["receive", "--yes", "--count", "1", "--timeout", &patience()]).ok();
    assert_eq!(received.event("saved")["sha256"], digest);
    assert_eq!(sha256(&bob.folder().join("film.mkv")), digest);
    // Nothing comes a second time.
    let nothing = bob.run(&["receive", "--yes", "--timeout", "1"]).exits(11);
    assert!(nothing.all("offer").is_empty(), "{}", nothing.out);
    assert_eq!(bob.run(&["list"]).ok().all("offer").len(), 1);
}

#[test]
fn a_sender_that_was_killed_goes_on_when_the_same_is_sent_again_and_sends_it_once() {
    let (server, gate, alice, bob, digest) = gated();
    held_midway(&server, &gate, &server.data(), || alice.start(&SEND)).kill();
    gate.open();
    let waiting = alice.run(&["outbox"]).ok().event("outgoing");
    assert_eq!((&waiting["to"], &waiting["state"]), (&"bob@localhost".into(), &"preparing".into()), "{waiting}");
    let again = alice.run(&SEND).ok();
    assert_eq!(again.event("sent-now")["to"], "bob@localhost");
    assert!(alice.run(&["outbox"]).ok().all("outgoing").is_empty());
    receives_once(&bob, &digest);
}

#[test]
fn a_sender_that_was_killed_goes_on_when_it_waits_for_files_itself() {
    let (server, gate, alice, bob, digest) = gated();
    held_midway(&server, &gate, &server.data(), || alice.start(&SEND)).kill();
    gate.open();
    alice.run(&["receive", "--timeout", "1"]).exits(11).event("sent-now");
    receives_once(&bob, &digest);
}

#[test]
fn a_sender_that_is_interrupted_says_how_to_go_on() {
    let (server, gate, alice, bob, digest) = gated();
    let stopped = held_midway(&server, &gate, &server.data(), || alice.start(&SEND)).interrupt().exits(130);
    gate.open();
    assert!(stopped.event("failed")["next"].as_str().unwrap().contains("outbox"), "{}", stopped.out);
    alice.run(&["outbox", "resume"]).ok().event("sent-now");
    receives_once(&bob, &digest);
}

#[test]
fn what_was_given_up_is_not_sent() {
    let (server, gate, alice, bob, _digest) = gated();
    held_midway(&server, &gate, &server.data(), || alice.start(&SEND)).kill();
    gate.open();
    let id = alice.run(&["outbox"]).ok().event("outgoing")["id"].as_str().unwrap().to_owned();
    alice.run(&["outbox", "drop", &id]).ok();
    assert!(alice.run(&["outbox", "resume"]).ok().all("sent-now").is_empty());
    assert!(bob.run(&["receive", "--timeout", "1"]).exits(11).all("offer").is_empty());
    alice.run(&["outbox", "drop", "no-such-id"]).exits(2);
}

/// Where a fetch began to ask.
fn from_bytes(events: &[Value]) -> Vec<u64> {
    events.iter().map(|event| event["from_byte"].as_u64().unwrap()).collect()
}

#[test]
fn a_receiver_that_was_killed_goes_on_where_it_stopped() {
    let (server, gate, alice, bob, digest) = gated();
    alice.run(&SEND).ok();
    let receive = || bob.start(&["receive", "--yes", "--count", "1", "--timeout", &patience()]);
    held_midway(&server, &gate, bob.home(), receive).kill();
    gate.open();
    assert_eq!(bob.names(), [""; 0], "nothing half-written under a final name");
    let received = bob.run(&["receive", "--yes", "--count", "1", "--timeout", &patience()]).ok();
    assert_eq!(received.event("saved")["sha256"], digest.as_str());
    let from = from_bytes(&received.all("asking"));
    assert!(from.len() == 1 && from[0] > 0, "it began anew: {from:?}");
    assert_eq!(sha256(&bob.folder().join("film.mkv")), digest);
}

#[test]
fn what_came_and_was_not_looked_at_before_a_kill_is_received_by_the_next_one() {
    let (_server, alice, bob, digest) = scene();
    // It takes files of carol only, so these are known and left alone.
    let mut receiving = bob.start(&["receive", "--yes", "--from", "carol@localhost"]);
    receiving.event("waiting");
    for name in ["a.txt", "b.txt"] {
        alice.file(name, name.as_bytes());
        alice.run(&["send", name, "--to", "bob@localhost"]).ok();
    }
    alice.run(&SEND).ok();
    until("three offers", || (bob.run(&["list"]).ok().all("offer").len() == 3).then_some(()));
    receiving.kill();
    let received = bob.run(&["receive", "--yes", "--count", "3", "--timeout", &patience()]).ok();
    assert_eq!(received.all("saved").len(), 3);
    assert_eq!(bob.names(), ["a.txt", "b.txt", "film.mkv"]);
    assert_eq!(sha256(&bob.folder().join("film.mkv")), digest);
    assert!(bob.run(&["receive", "--yes", "--timeout", "1"]).exits(11).all("offer").is_empty());
}

#[test]
fn a_receiver_that_is_interrupted_goes_on_with_fetch() {
    let (server, gate, alice, bob, digest) = gated();
    alice.run(&SEND).ok();
    let receive = || bob.start(&["receive", "--yes", "--count", "1", "--timeout", &patience()]);
    let stopped = held_midway(&server, &gate, bob.home(), receive).interrupt().exits(130);
    gate.open();
    assert!(stopped.event("failed")["next"].as_str().unwrap().contains("balcony fetch 1"), "{}", stopped.out);
    let fetched = bob.run(&["fetch", "1", "--yes"]).ok();
    assert!(from_bytes(&fetched.all("asking"))[0] > 0, "{}", fetched.out);
    assert_eq!(fetched.event("saved")["sha256"], digest.as_str());
}

#[test]
fn a_server_that_was_killed_while_it_took_a_file_gets_it_after_its_next_start() {
    let (mut server, gate, alice, bob, digest) = gated();
    let sending = held_midway(&server, &gate, &server.data(), || alice.start(&SEND));
    server.kill();
    gate.open();
    server.again();
    let sent = sending.wait();
    if sent.code != 0 {
        // It may give up, with a reason; what it began goes on with the next start.
        assert!(sent.code == 4 && sent.event("failed")["next"].is_string(), "{sent:?}");
        alice.run(&SEND).ok();
    }
    receives_once(&bob, &digest);
}

#[test]
fn a_server_that_was_killed_while_it_gave_a_file_gives_the_rest_after_its_next_start() {
    let (mut server, gate, alice, bob, digest) = gated();
    alice.run(&SEND).ok();
    let receive = || bob.start(&["receive", "--yes", "--count", "1", "--timeout", &patience()]);
    let receiving = held_midway(&server, &gate, bob.home(), receive);
    server.kill();
    gate.open();
    server.again();
    let received = receiving.wait();
    let asked = if received.code == 0 {
        received
    } else {
        assert!([4, 7].contains(&received.code) && received.all("failed")[0]["next"].is_string(), "{received:?}");
        bob.run(&["fetch", "1", "--yes"]).ok()
    };
    let from = from_bytes(&asked.all("asking"));
    assert!(*from.last().unwrap() > 0, "it began anew: {from:?}");
    assert_eq!(asked.event("saved")["sha256"], digest.as_str());
}

#[test]
fn a_client_without_its_server_comes_back_by_itself() {
    let (mut server, alice, bob, _digest) = scene();
    let mut receiving = bob.start(&["receive", "--yes", "--count", "1", "--timeout", &patience()]);
    receiving.event("waiting");
    server.kill();
    server.again();
    let file = alice.file("after.txt", b"after the storm\n");
    alice.run(&["send", "after.txt", "--to", "bob@localhost"]).ok();
    assert_eq!(receiving.event("saved")["sha256"], sha256(&file).as_str());
    receiving.wait().ok();
}

#[test]
fn several_commands_of_one_account_at_once_do_not_get_in_each_others_way() {
    let (_server, alice, bob, digest) = scene();
    let names = ["a.txt", "b.txt", "c.txt"];
    let mut receiving = alice.start(&["receive", "--yes", "--count", "1", "--timeout", &patience()]);
    receiving.event("waiting");
    let mut sending = vec![alice.start(&SEND)];
    for name in names {
        alice.file(name, name.as_bytes());
        sending.push(alice.start(&["send", name, "--to", "bob@localhost"]));
    }
    bob.file("answer.txt", b"thank you\n");
    bob.run(&["send", "answer.txt", "--to", "alice@localhost"]).ok();
    sending.into_iter().for_each(|sending| drop(sending.wait().ok()));
    receiving.wait().ok().event("saved");
    let received = bob.run(&["receive", "--yes", "--count", "4", "--timeout", &patience()]).ok().all("saved");
    assert_eq!(bob.names(), ["a.txt", "answer.txt", "b.txt", "c.txt", "film.mkv"]);
    assert!(received.iter().any(|saved| saved["sha256"] == digest.as_str()));
}
