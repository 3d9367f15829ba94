//! `balcony receive` with several files at once, with offers that wait for a source, and `balcony fetch --discard`.

use std::fs;

use crate::actors::{OwnServer, Person, patience, random_bytes, sha256};
use crate::gate::Gate;
use crate::hostile::Carol;
use crate::process::balcony;

fn scene() -> (OwnServer, Person, Person) {
    let server = OwnServer::start();
    let (alice, bob) = (Person::at(server.endpoints(), "alice"), Person::at(server.endpoints(), "bob"));
    (server, alice, bob)
}

/// Proves: USER-2-7.
#[test]
fn several_files_come_at_once_and_each_arrives_whole() {
    let (_server, alice, bob) = scene();
    let names: Vec<String> = (0..6).map(|n| format!("{n}.bin")).collect();
    let mut send = vec!["send"];
    for name in &names {
        alice.file(name, &random_bytes(400_000));
        send.push(name);
    }
    send.extend(["--to", "bob@localhost"]);
    alice.run(&send).ok();
    for (jobs, count) in [("3", "4"), ("1", "2")] {
        let received = bob.run(&["receive", "--yes", "--jobs", jobs, "--count", count, "--timeout", &patience()]).ok();
        assert_eq!(received.all("saved").len(), count.parse::<usize>().unwrap(), "{}", received.out);
    }
    assert_eq!(bob.names(), names);
    for name in &names {
        assert_eq!(sha256(&bob.folder().join(name)), sha256(&alice.folder().join(name)));
    }
}

/// Proves: SFS-3.2-4.
#[test]
fn an_offer_without_a_source_is_told_once_and_again_when_it_has_one() {
    let (server, alice, bob) = scene();
    let file = alice.file("a.bin", b"the file, all of it");
    let url = alice.run(&["send", "a.bin", "--to", "alice@localhost"]).ok().event("sent")["url"].as_str().unwrap().to_owned();
    let digest: Vec<u8> = (0..32).map(|at| u8::from_str_radix(&sha256(&file)[2 * at..2 * at + 2], 16).unwrap()).collect();
    let carol = Carol::at(&server, "phone");
    carol.say(&format!(
        "<message xmlns='jabber:client' type='chat' to='bob@localhost' id='m1'><file-sharing xmlns='urn:xmpp:sfs:0' id='f1'>\
         <file xmlns='urn:xmpp:file:metadata:0'><name>a.bin</name><size>19</size>\
         <hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>{}</hash></file></file-sharing></message>",
        balcony_wire::base64::encode(digest)
    ));
    carol.settle();
    let mut first = bob.start(&["receive", "--yes", "--count", "1", "--timeout", &patience()]);
    first.event("pending");
    let first = first.end().ok();
    assert_eq!((first.all("offer").len(), first.all("pending").len()), (1, 1), "{}", first.out);
    let second = bob.run(&["receive", "--yes", "--count", "1", "--timeout", "2"]).exits(11);
    assert_eq!((second.all("offer").len(), second.all("pending").len()), (0, 0), "{}", second.out);
    carol.say(&format!(
        "<message xmlns='jabber:client' type='chat' to='bob@localhost' id='m2'><attach-to xmlns='urn:xmpp:message-attaching:1' id='m1'/>\
         <sources xmlns='urn:xmpp:sfs:0' id='f1'><url-data xmlns='http://jabber.org/protocol/url-data' target='{url}'/></sources></message>"
    ));
    carol.settle();
    let third = bob.run(&["receive", "--yes", "--count", "1", "--timeout", &patience()]).ok();
    assert_eq!(third.event("saved")["name"], "a.bin");
    assert_eq!(fs::read(bob.folder().join("a.bin")).unwrap(), b"the file, all of it");
}

/// Proves: USER-2-8.
#[test]
fn what_was_fetched_halfway_is_thrown_away_on_request() {
    let (server, gate) = (OwnServer::start(), Gate::start());
    let (alice, bob) = (Person::at(server.endpoints(), "alice"), gate.behind(server.endpoints(), "bob"));
    let file = alice.file("film.mkv", &random_bytes(10_000_000));
    alice.run(&["send", "film.mkv", "--to", "bob@localhost"]).ok();
    gate.hold_after(4_000_000, server.endpoints());
    let mut receiving = bob.start(&["receive", "--yes", "--count", "1", "--timeout", &patience()]);
    receiving.event("progress");
    let stopped = receiving.interrupt().exits(130);
    gate.open();
    let next = stopped.event("failed")["next"].as_str().unwrap().to_owned();
    assert!(next.contains("balcony fetch 1") && next.contains("--discard"), "{next}");
    assert!(bob.run(&["fetch", "1", "--discard"]).ok().event("discarded")["bytes"].as_u64() > Some(0));
    assert_eq!(bob.run(&["fetch", "1", "--discard"]).ok().event("discarded")["bytes"], 0);
    let fetched = bob.run(&["fetch", "1", "--yes"]).ok();
    assert_eq!(fetched.event("asking")["from_byte"], 0);
    assert_eq!(sha256(&bob.folder().join("film.mkv")), sha256(&file));
}

/// Nothing goes that nobody asked for: not while somebody is at it, not twice, not what is here whole, not what is one's own.
/// Proves: USER-2-8.
#[test]
fn what_cannot_be_thrown_away_is_said_and_stays() {
    let (_server, alice, bob) = scene();
    alice.file("a.bin", &random_bytes(50_000));
    alice.run(&["send", "a.bin", "--to", "bob@localhost"]).ok();
    let discard = |who: &Person, number: &str| who.run(&["fetch", number, "--discard"]);
    assert!(discard(&bob, "7").exits(2).event("failed")["error"].as_str().unwrap().contains("there is no offer 7"));
    bob.run(&["receive", "--yes", "--count", "1", "--timeout", &patience()]).ok();
    for _ in 0..2 {
        let kept = discard(&bob, "1").ok();
        assert_eq!((&kept.event("discarded")["bytes"], &kept.event("discarded")["state"]), (&0.into(), &"here".into()));
    }
    assert_eq!(bob.run(&["fetch", "1", "--into", "."]).ok().event("saved")["way"], serde_json::Value::Null, "it is still here");
    assert_eq!(discard(&alice, "1").ok().event("discarded")["state"], "own");
}

/// Proves: USER-2-8.
#[test]
fn what_another_program_is_at_is_not_thrown_away() {
    let server = OwnServer::with(&["--proxy-rate", "4M"]);
    let (alice, bob) = (Person::at(server.endpoints(), "alice"), Person::at(server.endpoints(), "bob"));
    alice.run(&["contacts", "add", "bob@localhost"]).ok();
    bob.run(&["contacts", "add", "alice@localhost"]).ok();
    let file = alice.file("film.mkv", &random_bytes(12 << 20));
    let mut waiting = bob.start(&["receive", "--yes", "--count", "1", "--timeout", &patience()]);
    waiting.event("waiting");
    let sending = alice.start(&["send", "--direct", "--relay-only", "film.mkv", "--to", "bob@localhost"]);
    waiting.event("way");
    let failed = bob.run(&["fetch", "1", "--discard"]).exits(9);
    let failed = failed.event("failed");
    assert!(failed["error"].as_str().unwrap().contains("nothing was thrown away"), "{failed}");
    assert!(failed["next"].as_str().unwrap().contains("stop that first"), "{failed}");
    assert_eq!(waiting.event("saved")["sha256"], sha256(&file).as_str());
    waiting.end().ok();
    sending.wait().ok();
}

/// Proves: USER-9-2, USER-9-3.
#[test]
fn a_file_goes_to_standard_output_whole_and_alone() {
    let (_server, alice, bob) = scene();
    let bytes = random_bytes(300_000);
    alice.file("a.bin", &bytes);
    alice.run(&["send", "a.bin", "--to", "bob@localhost"]).ok();
    bob.run(&["receive", "--ask", "--count", "1", "--timeout", &patience()]);
    let mut command = balcony(bob.home());
    let done = command.args(["--quiet", "fetch", "1", "--yes", "--stdout"]).current_dir(bob.folder()).output().unwrap();
    assert!(done.status.success() && done.stdout == bytes, "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(String::from_utf8_lossy(&done.stderr), "");
    assert_eq!(bob.names(), Vec::<String>::new());
    bob.run(&["fetch", "1", "--yes", "--stdout"]).exits(2);
}

/// Proves: USER-2-2.
#[test]
fn a_failed_fetch_is_tried_again_with_one_command_and_shows_its_link() {
    let (mut server, alice, bob) = scene();
    let file = alice.file("a.bin", &random_bytes(50_000));
    let url = alice.run(&["send", "a.bin", "--to", "bob@localhost"]).ok().event("sent")["url"].as_str().unwrap().to_owned();
    bob.run(&["receive", "--ask", "--count", "1", "--timeout", &patience()]);
    server.kill();
    let failed = bob.run(&["fetch", "1", "--yes"]);
    assert_ne!(failed.code, 0);
    assert!(failed.event("failed")["next"].as_str().unwrap().contains("`balcony fetch 1` tries again"), "{}", failed.out);
    assert!(bob.run(&["why", "1"]).ok().event("attempt")["attempt"].as_str().unwrap().contains(&url));
    server.again();
    assert_eq!(bob.run(&["fetch", "1", "--yes"]).ok().event("saved")["sha256"], sha256(&file).as_str());
}
