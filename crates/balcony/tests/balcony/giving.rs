//! Giving as people meet it: announced, attached, tried again, from a pipe, many at once, and killed at every state of the outbox.

use std::fs;
use std::path::{Path, PathBuf};

use balcony_store::{OutboxState, Store};
use balcony_wire::BareJid;

use crate::actors::{OwnServer, Person, patience, random_bytes, sha256};
use crate::gate::Gate;
use crate::process::{Done, run, until};

/// Large enough that an upload is seen under way, and what passes of it before it is held up.
const LARGE: usize = 16 << 20;
const PART: usize = 4 << 20;

fn scene() -> (OwnServer, Person, Person) {
    let server = OwnServer::start();
    let (alice, bob) = (Person::at(server.endpoints(), "alice"), Person::at(server.endpoints(), "bob"));
    (server, alice, bob)
}

/// The same with what holds files of alice up on their way.
fn gated() -> (OwnServer, Gate, Person, Person) {
    let (server, gate) = (OwnServer::start(), Gate::start());
    let (alice, bob) = (gate.behind(server.endpoints(), "alice"), Person::at(server.endpoints(), "bob"));
    (server, gate, alice, bob)
}

#[track_caller]
fn receive(bob: &Person, count: usize) -> Done {
    bob.run(&["receive", "--yes", "--count", &count.to_string(), "--timeout", &patience()]).ok()
}

#[track_caller]
fn nothing_more(bob: &Person) {
    let nothing = bob.run(&["receive", "--yes", "--timeout", "1"]).exits(11);
    assert!(nothing.all("offer").is_empty(), "{}", nothing.out);
}

/// Files below a folder.
fn below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().is_dir() { found.extend(below(&entry.path())) } else { found.push(entry.path()) }
    }
    found
}

fn forget_uploads(server: &OwnServer) {
    below(&server.data().join("uploads")).into_iter().for_each(|path| fs::remove_file(path).unwrap());
}

/// Some of a file has come to the server, and not all.
fn half_way(server: &OwnServer) {
    let size = || below(&server.data().join("uploads")).iter().filter_map(|path| Some(fs::metadata(path).ok()?.len())).sum::<u64>();
    until("bytes", || (size() > 1 << 20).then_some(()));
}

/// What somebody's program keeps, while it does not run.
fn store(person: &Person) -> Store {
    let catalogue = below(person.home()).into_iter().find(|path| path.ends_with("catalogue.sqlite")).expect("a catalogue");
    Store::open(catalogue.parent().unwrap()).unwrap()
}

fn alice_jid() -> BareJid {
    "alice@localhost".parse().unwrap()
}

const SEND: [&str; 4] = ["send", "film.mkv", "--to", "bob@localhost"];
const ANNOUNCE: [&str; 5] = ["send", "film.mkv", "--to", "bob@localhost", "--announce-first"];

/// The other side knows what is coming while it is on its way; it never waits for ever (dino#1713, dino#1714).
#[test]
fn a_file_can_be_announced_first_and_arrives_like_any_other() {
    let (_server, alice, bob) = scene();
    let file = alice.file("film.mkv", &random_bytes(3_000_000));
    let sent = alice.run(&ANNOUNCE).ok();
    let order: Vec<_> = sent.events().iter().filter_map(|event| event["event"].as_str().map(str::to_owned)).collect();
    let at = |name: &str| order.iter().position(|event| event == name).unwrap_or_else(|| panic!("no {name}: {order:?}"));
    assert!(at("hashing") < at("announcing") && at("announcing") < at("offered") && at("offered") < at("sent"), "{order:?}");
    assert_eq!(receive(&bob, 1).event("saved")["sha256"], sha256(&file).as_str());
    nothing_more(&bob);
    assert_eq!(bob.run(&["list"]).ok().all("offer").len(), 1);
}

/// Killed while its file goes up.
///
/// Proves: USER-7-1.
#[test]
fn what_was_announced_before_a_kill_is_attached_by_the_next_start() {
    let (server, gate, alice, bob) = gated();
    let digest = sha256(&alice.file("film.mkv", &random_bytes(LARGE)));
    gate.hold_after(PART, server.endpoints());
    let mut sending = alice.start(&ANNOUNCE);
    sending.event("offered");
    sending.kill();
    gate.open();
    let waiting = alice.run(&["outbox"]).ok().event("outgoing");
    assert_eq!(waiting["state"], "preparing", "{waiting}");
    alice.run(&["outbox", "resume"]).ok().event("sent-now");
    assert!(alice.run(&["outbox"]).ok().all("outgoing").is_empty());
    assert_eq!(receive(&bob, 1).event("saved")["sha256"], digest.as_str());
    nothing_more(&bob);
    drop(server);
}

/// Killed while the digests are taken: nobody was told, so all is told at once.
#[test]
fn what_was_to_be_announced_and_was_not_before_a_kill_is_offered_whole() {
    let (server, gate, alice, bob) = gated();
    let digest = sha256(&alice.file("film.mkv", &random_bytes(LARGE)));
    gate.hold_after(PART, server.endpoints());
    let mut sending = alice.start(&ANNOUNCE);
    sending.event("hashing");
    sending.kill();
    gate.open();
    let resumed = alice.run(&["outbox", "resume"]).ok();
    assert_eq!(resumed.all("sent-now").len(), 1, "{}", resumed.out);
    assert_eq!(receive(&bob, 1).event("saved")["sha256"], digest.as_str());
    nothing_more(&bob);
}

/// Forty files are three messages. Those that were out when it was killed do not go again.
#[test]
fn many_files_that_were_killed_half_way_all_arrive_once_when_the_same_is_sent_again() {
    let (_server, alice, bob) = scene();
    let caught_midway = (0..10).find_map(|round| {
        let names: Vec<String> = (0..40).map(|number| format!("{round} {number:02}.txt")).collect();
        for name in &names {
            alice.file(name, name.as_bytes());
        }
        let mut sending = alice.start(&sending_of(&names));
        sending.event("offered");
        sending.kill();
        if !alice.run(&["outbox"]).ok().all("outgoing").is_empty() {
            return Some(names);
        }
        // All of them were out before the kill came.
        receive(&bob, 40);
        names.iter().for_each(|name| fs::remove_file(bob.folder().join(name)).unwrap());
        None
    });
    let names = caught_midway.expect("one of ten kills comes in time");
    let arguments = sending_of(&names);
    alice.run(&arguments).ok();
    assert!(alice.run(&["outbox"]).ok().all("outgoing").is_empty());
    assert_eq!(receive(&bob, 40).all("saved").len(), 40);
    nothing_more(&bob);
    assert_eq!(bob.names(), names);
    // The same once more, after it was all out, is meant.
    alice.run(&arguments).ok();
    assert_eq!(receive(&bob, 40).all("offer").len(), 40);
}

fn sending_of(names: &[String]) -> Vec<&str> {
    ["send"].into_iter().chain(names.iter().map(String::as_str)).chain(["--to", "bob@localhost"]).collect()
}

/// As the next start finds it after a kill between two steps.
#[track_caller]
fn as_if_killed(alice: &Person, state: OutboxState) {
    let (store, jid) = (store(alice), alice_jid());
    let sent = store.outbox(&jid, OutboxState::Sent, 10).unwrap();
    let (id, stanza) = (&sent[0].origin_id, sent[0].stanza.as_deref().unwrap());
    assert!(store.mark_returned(&jid, id, "for this test").unwrap() && store.retry_outgoing(&jid, id).unwrap());
    store.make_ready(&jid, id, stanza).unwrap();
    if state == OutboxState::Sending {
        assert!(store.claim(&jid, id).unwrap());
    }
    assert_eq!(store.outgoing(&jid, id).unwrap().unwrap().state, state);
}

/// Whether it had arrived, nobody knew when the program was killed: it goes again under the same id, and is shown once.
#[test]
fn a_message_that_may_have_arrived_before_a_kill_is_seen_once() {
    for state in [OutboxState::Ready, OutboxState::Sending] {
        let (_server, alice, bob) = scene();
        let digest = sha256(&alice.file("film.mkv", &random_bytes(100_000)));
        alice.run(&SEND).ok();
        as_if_killed(&alice, state);
        assert_eq!(alice.run(&["outbox"]).ok().event("outgoing")["state"], state.as_str());
        alice.run(&["outbox", "resume"]).ok().event("sent-now");
        assert_eq!(receive(&bob, 1).event("saved")["sha256"], digest.as_str());
        nothing_more(&bob);
        assert_eq!(bob.run(&["list"]).ok().all("offer").len(), 1);
    }
}

/// Retry with one action, and show the link (dino#1125).
///
/// Proves: USER-2-1.
#[test]
fn a_message_that_failed_is_tried_again_with_one_command_that_shows_the_link() {
    let (server, alice, bob) = scene();
    alice.file("film.mkv", &random_bytes(100_000));
    let sending = alice.start(&["send", "film.mkv", "--to", "nobody@localhost"]);
    sending.wait().exits(6);
    let failed = alice.run(&["outbox"]).ok().event("outgoing");
    assert_eq!(failed["state"], "failed");
    let id = failed["id"].as_str().unwrap();
    let again = alice.run(&["outbox", "retry", id]).exits(6);
    assert!(again.event("failed")["error"].as_str().unwrap().contains("nobody@localhost"), "{}", again.out);
    // Somebody who has no account cannot get one here, so what is retried with success is another one.
    alice.run(&SEND).ok();
    as_if_killed(&alice, OutboxState::Ready);
    assert!(store(&alice).mark_failed(&alice_jid(), &ready_id(&alice), "the network was away").unwrap());
    let id = alice.run(&["outbox"]).ok().all("outgoing").into_iter().find(|row| row["to"] == "bob@localhost").unwrap();
    let again = alice.run(&["outbox", "retry", id["id"].as_str().unwrap()]).ok().event("sent-now");
    let link = again["files"][0]["url"].as_str().unwrap();
    assert!(link.starts_with("https://localhost:"), "{again}");
    receive(&bob, 1);
    alice.run(&["outbox", "retry", "no-such-id"]).exits(2);
    drop(server);
}

fn ready_id(alice: &Person) -> String {
    store(alice).outbox(&alice_jid(), OutboxState::Ready, 10).unwrap()[0].origin_id.clone()
}

/// An expired link answers with a reason; the sender attaches a fresh one (prosody-filer#8, ejabberd#2708).
///
/// Proves: USER-1-7.
#[test]
fn a_fresh_link_for_a_file_whose_link_expired_reaches_those_who_could_not_fetch_it() {
    let (server, alice, bob) = scene();
    let file = alice.file("film.mkv", &random_bytes(100_000));
    alice.run(&SEND).ok();
    forget_uploads(&server);
    let failed = bob.run(&["receive", "--yes", "--count", "1", "--timeout", &patience()]);
    assert!(failed.code != 0 && bob.names().is_empty(), "{}", failed.out);
    let attached = alice.run(&["attach", "film.mkv"]).ok().event("attached");
    assert_eq!(attached["with"], "bob@localhost");
    has_it_by_now(&bob, &sha256(&file));

    let still = alice.run(&["attach", "1"]).exits(2);
    assert!(still.event("failed")["error"].as_str().unwrap().contains("still lies"), "{}", still.out);
    forget_uploads(&server);
    alice.file("other.mkv", b"something else");
    let other = alice.run(&["attach", "1", "--file", "other.mkv"]).exits(8);
    assert!(other.event("failed")["error"].as_str().unwrap().contains("not the file"), "{}", other.out);
    alice.run(&["attach", "other.mkv"]).exits(2);
    let named = alice.run(&["attach", "film.mkv", "--file", "other.mkv"]).exits(8);
    assert!(named.err.contains("other.mkv"), "a file names the offer, an option the place: {}", named.err);
    alice.run(&["attach", "99"]).exits(2);
}

/// Killed while the fresh copy goes up.
#[test]
fn a_fresh_link_that_was_being_made_when_the_program_was_killed_is_attached_by_the_next_start() {
    let (server, gate, alice, bob) = gated();
    let digest = sha256(&alice.file("film.mkv", &random_bytes(LARGE)));
    alice.run(&SEND).ok();
    forget_uploads(&server);
    gate.hold_after(PART, server.endpoints());
    let attaching = alice.start(&["attach", "1"]);
    half_way(&server);
    attaching.kill();
    gate.open();
    alice.run(&["outbox", "resume"]).ok().event("sent-now");
    has_it_by_now(&bob, &digest);
}

/// What is attached while nobody looks is joined to its offer when they do, before or after the old link is tried.
#[track_caller]
fn has_it_by_now(bob: &Person, digest: &str) {
    until("the file", || {
        bob.run(&["receive", "--yes", "--timeout", "2"]);
        if bob.names().is_empty() {
            bob.run(&["fetch", "1", "--yes"]);
        }
        (!bob.names().is_empty()).then_some(())
    });
    assert_eq!(sha256(&bob.folder().join("film.mkv")), digest);
}

#[test]
fn what_comes_from_standard_input_is_sent_under_the_name_it_is_given() {
    let (_server, alice, bob) = scene();
    let bytes = random_bytes(300_000);
    let mut command = alice.command(&["send", "-", "--name", "notes.bin", "--to", "bob@localhost"]);
    let sent = run(&mut command, &bytes).ok().event("sent");
    assert_eq!((&sent["name"], &sent["size"]), (&"notes.bin".into(), &300_000.into()));
    receive(&bob, 1);
    assert_eq!(fs::read(bob.folder().join("notes.bin")).unwrap(), bytes);
    let nameless = run(&mut alice.command(&["send", "-", "--to", "bob@localhost"]), b"x").exits(2);
    assert!(nameless.event("failed")["next"].as_str().unwrap().contains("--name"), "{}", nameless.out);
}

#[test]
fn of_standard_input_no_more_is_read_than_the_service_takes() {
    let server = OwnServer::with(&["--max-upload", "100K"]);
    let alice = Person::at(server.endpoints(), "alice");
    let mut command = alice.command(&["send", "-", "--name", "notes.bin", "--to", "bob@localhost"]);
    let refused = run(&mut command, &random_bytes(200 << 10)).exits(9);
    assert!(refused.event("failed")["error"].as_str().unwrap().contains("more than"), "{}", refused.out);
    assert!(alice.run(&["outbox"]).ok().all("outgoing").is_empty());
}

/// The rule that `--help` tells: what the person named is what is meant.
///
/// Proves: USER-9-4.
#[test]
fn what_a_symbolic_link_leads_to_is_sent_under_the_name_of_the_link() {
    let (_server, alice, bob) = scene();
    let file = alice.file("film.mkv", &random_bytes(10_000));
    std::os::unix::fs::symlink(&file, alice.folder().join("link.mkv")).unwrap();
    std::os::unix::fs::symlink(alice.folder(), alice.folder().join("folder")).unwrap();
    alice.run(&["send", "link.mkv", "--to", "bob@localhost"]).ok();
    receive(&bob, 1);
    assert_eq!(sha256(&bob.folder().join("link.mkv")), sha256(&file));
    alice.run(&["send", "folder", "--to", "bob@localhost"]).exits(9);
    let help = alice.run(&["send", "--help"]).ok();
    assert!(help.out.contains("symbolic link"), "{}", help.out);
}

#[test]
fn a_quiet_send_prints_its_result_and_nothing_else() {
    let (_server, alice, _bob) = scene();
    alice.file("film.mkv", &random_bytes(10_000));
    let mut command = crate::process::balcony(alice.home());
    command.args(["-q", "send", "film.mkv", "--to", "bob@localhost"]).current_dir(alice.folder());
    let done = run(&mut command, b"").ok();
    assert_eq!(done.out, "sent film.mkv (10 kB) to bob@localhost\n");
    assert_eq!(done.err, "");
}

/// Many, small and one after the other: they go up together and arrive each once.
#[test]
fn a_thousand_bytes_in_a_hundred_files_take_one_command() {
    let (_server, alice, bob) = scene();
    let names: Vec<String> = (0..100).map(|number| format!("{number:03}")).collect();
    for name in &names {
        alice.file(name, name.as_bytes());
    }
    let sent = alice.run(&sending_of(&names)).ok();
    assert_eq!((sent.all("sent").len(), sent.all("uploading").len()), (100, 100));
    assert_eq!(receive(&bob, 100).all("saved").len(), 100);
    assert_eq!(bob.names(), names);
}
