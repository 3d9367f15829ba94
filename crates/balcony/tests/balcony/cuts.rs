//! Connections that break: what was under way goes on, nothing is lost, nothing comes twice.

use std::time::Duration;

use testing_peers::{Endpoints, Server};

use crate::actors::{OwnServer, Person, patience, random_bytes, sha256};
use crate::gate::Gate;
use crate::line::Line;
use crate::peers::peers;

/// What passes of an upload before it is held up.
const PART: usize = 4 << 20;

/// Somebody whose connection to the server is a line that can be cut.
fn behind(line: &Line, there: &Endpoints, user: &str) -> Person {
    let person = Person::new();
    person.login_with(&there.jid(user), there.password(user), line.address(), &there.ca(), &[]).ok();
    person
}

#[track_caller]
fn nothing_more_comes(bob: &Person, offers: usize) {
    let done = bob.run(&["receive", "--yes", "--timeout", "2"]).exits(11);
    assert!(done.all("offer").is_empty(), "{}", done.out);
    assert_eq!(bob.run(&["list"]).ok().all("offer").len(), offers);
}

/// The receiver's connection breaks again and again; what is sent meanwhile arrives after it, once.
fn a_cut_receiver_misses_nothing(there: &Endpoints) {
    let line = Line::to(&there.starttls());
    let (alice, bob) = (Person::at(there, "alice"), behind(&line, there, "bob"));
    let mut receiving = bob.start(&["receive", "--yes", "--count", "3", "--timeout", &patience()]);
    receiving.event("waiting");
    for name in ["one.bin", "two.bin", "three.bin"] {
        let file = alice.file(name, &random_bytes(50_000));
        line.close();
        alice.run(&["send", name, "--to", &there.jid("bob")]).ok();
        line.open();
        let saved = receiving.event("saved");
        assert_eq!((&saved["name"], saved["sha256"].as_str()), (&name.into(), Some(sha256(&file).as_str())));
    }
    let done = receiving.wait().ok();
    assert_eq!(done.all("offer").len(), 3, "{}", done.out);
    nothing_more_comes(&bob, 3);
}

/// The sender's connection breaks while the upload goes on.
fn a_cut_sender_sends_once(there: &Endpoints) {
    let (line, gate) = (Line::to(&there.starttls()), Gate::start());
    let (alice, bob) = (gate.behind_at(line.address(), there, "alice"), Person::at(there, "bob"));
    gate.hold_after(PART, there);
    let file = alice.file("film.mkv", &random_bytes(10_000_000));
    let mut sending = alice.start(&["send", "film.mkv", "--to", &there.jid("bob")]);
    sending.event("uploading");
    line.cut();
    gate.open();
    sending.wait().ok().event("sent");
    let saved = bob.run(&["receive", "--yes", "--count", "1", "--timeout", &patience()]).ok().event("saved");
    assert_eq!(saved["sha256"], sha256(&file).as_str());
    nothing_more_comes(&bob, 1);
}

/// The message arrives, but the sender never hears so: then the connection breaks. It must not be said again.
fn what_arrived_unacknowledged_is_not_sent_again(there: &Endpoints) {
    let (line, gate) = (Line::to(&there.starttls()), Gate::start());
    let (alice, bob) = (gate.behind_at(line.address(), there, "alice"), Person::at(there, "bob"));
    gate.hold_after(PART, there);
    alice.file("film.mkv", &random_bytes(10_000_000));
    let mut receiving = bob.start(&["receive", "--yes", "--timeout", &patience()]);
    receiving.event("waiting");
    let mut sending = alice.start(&["send", "film.mkv", "--to", &there.jid("bob")]);
    sending.event("uploading");
    line.deafen();
    gate.open();
    receiving.event("offer");
    assert!(sending.find(Duration::from_millis(300), |event| event["event"] == "sent").is_none(), "it cannot know that yet");
    line.cut();
    sending.wait().ok().event("sent");
    receiving.event("saved");
    assert!(receiving.find(Duration::from_secs(1), |event| event["event"] == "offer").is_none(), "it was said twice");
    receiving.end().ok();
    nothing_more_comes(&bob, 1);
}

/// The connection breaks in the middle of the message: half of it has reached the server. Prosody then resumes the session and
/// hears nothing of it any more (a mistake of theirs).
fn a_message_cut_in_two_arrives_whole_and_once(there: &Endpoints) {
    let (line, gate) = (Line::to(&there.starttls()), Gate::start());
    let (alice, bob) = (gate.behind_at(line.address(), there, "alice"), Person::at(there, "bob"));
    gate.hold_after(PART, there);
    let file = alice.file("film.mkv", &random_bytes(10_000_000));
    let mut sending = alice.start(&["send", "film.mkv", "--to", &there.jid("bob"), "--describe", &"many words ".repeat(3_000)]);
    sending.event("uploading");
    line.cut_after(40_000);
    gate.open();
    let sent = sending.wait().ok();
    assert_eq!(sent.all("offered").len(), 1, "{}", sent.out);
    let saved = bob.run(&["receive", "--yes", "--count", "1", "--timeout", &patience()]).ok().event("saved");
    assert_eq!(saved["sha256"], sha256(&file).as_str());
    nothing_more_comes(&bob, 1);
}

fn at(server: Server, scene: fn(&Endpoints)) {
    let Some(peers) = peers() else { return };
    let instance = peers.start(server, &[]).unwrap();
    scene(instance.endpoints());
}

/// Proves: C0198-5-1.
#[test]
fn a_receiver_cut_off_from_our_server_misses_nothing() {
    a_cut_receiver_misses_nothing(OwnServer::start().endpoints());
}

/// Proves: C0198-5-1.
#[test]
fn a_receiver_cut_off_from_prosody_misses_nothing() {
    at(Server::Prosody, a_cut_receiver_misses_nothing);
}

/// Proves: C0198-5-1.
#[test]
fn a_receiver_cut_off_from_ejabberd_misses_nothing() {
    at(Server::Ejabberd, a_cut_receiver_misses_nothing);
}

#[test]
fn a_sender_cut_off_from_our_server_while_it_uploads_sends_once() {
    a_cut_sender_sends_once(OwnServer::start().endpoints());
}

#[test]
fn a_sender_cut_off_from_prosody_while_it_uploads_sends_once() {
    at(Server::Prosody, a_cut_sender_sends_once);
}

#[test]
fn a_sender_cut_off_from_ejabberd_while_it_uploads_sends_once() {
    at(Server::Ejabberd, a_cut_sender_sends_once);
}

/// Proves: C0198-4-1.
#[test]
fn what_our_server_has_unacknowledged_is_not_sent_again() {
    what_arrived_unacknowledged_is_not_sent_again(OwnServer::start().endpoints());
}

/// Proves: C0198-4-1.
#[test]
fn what_prosody_has_unacknowledged_is_not_sent_again() {
    at(Server::Prosody, what_arrived_unacknowledged_is_not_sent_again);
}

/// Proves: C0198-4-1.
#[test]
fn what_ejabberd_has_unacknowledged_is_not_sent_again() {
    at(Server::Ejabberd, what_arrived_unacknowledged_is_not_sent_again);
}

#[test]
fn a_message_to_our_server_that_was_cut_in_two_arrives_whole_and_once() {
    a_message_cut_in_two_arrives_whole_and_once(OwnServer::start().endpoints());
}

#[test]
fn a_message_to_prosody_that_was_cut_in_two_arrives_whole_and_once() {
    at(Server::Prosody, a_message_cut_in_two_arrives_whole_and_once);
}

#[test]
fn a_message_to_ejabberd_that_was_cut_in_two_arrives_whole_and_once() {
    at(Server::Ejabberd, a_message_cut_in_two_arrives_whole_and_once);
}

#[test]
fn a_server_out_of_reach_for_a_while_delays_a_file_and_loses_none() {
    let mut server = OwnServer::start();
    let there = server.endpoints().clone();
    let (alice, bob) = (Person::at(&there, "alice"), Person::at(&there, "bob"));
    let file = alice.file("later.txt", b"better late than never\n");
    server.kill();
    // Nobody is there at all: it is said, with what to do, and nothing is left half done.
    let failed = alice.run(&["send", "later.txt", "--to", "bob@localhost"]).exits(4);
    assert!(failed.event("failed")["next"].is_string(), "{}", failed.out);
    server.again();
    alice.run(&["send", "later.txt", "--to", "bob@localhost"]).ok();
    let saved = bob.run(&["receive", "--yes", "--count", "1", "--timeout", &patience()]).ok().event("saved");
    assert_eq!(saved["sha256"], sha256(&file).as_str());
    nothing_more_comes(&bob, 1);
}
