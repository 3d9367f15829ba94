//! Our client and one that was written from the documents by others' means (`testing/peers/kit/jingle_peer.py`), over servers of others:
//! each offers, each takes, each is asked, by every way, and each of them falls back.

use serde_json::Value;
use testing_peers::{Family, Host, Listener, Rule, Slixmpp};

use crate::actors::{patience, random_bytes, sha256};
use crate::lab::{At, Town, apart, goes_by, way, without_proxy};
use crate::process::{Done, Running};

/// The stranger, with bob's or alice's account, on that host.
fn stranger(town: &Town, host: Host, options: &[&str]) -> Slixmpp {
    town.jingle(host, &format!("{}/other", host.name())).with(options)
}

fn we_wait(town: &Town) -> Running {
    let mut waiting = town.start(Host::Bob, &["receive", "--yes", "--count", "1", "--timeout", &patience()]);
    waiting.event("waiting");
    waiting
}

/// They offer bob's client a file; it arrives whole, and both say by which way.
#[track_caller]
fn they_offer(town: &Town, name: &str, size: usize, options: &[&str]) -> (Value, Value) {
    let file = town.alice.file(name, &random_bytes(size));
    let waiting = we_wait(town);
    let device = our_device(town, Host::Alice, "bob");
    let events = stranger(town, Host::Alice, options).run(&["offer", &device, file.to_str().unwrap()]).unwrap();
    let saved = waiting.wait().ok().event("saved");
    let sent = events.iter().find(|event| event["event"] == "sent").unwrap_or_else(|| panic!("{events:?}")).clone();
    assert_eq!((&saved["proven"], saved["sha256"].as_str()), (&true.into(), Some(sha256(&file).as_str())), "{saved}");
    assert_eq!(sha256(&town.bob.folder().join(name)), sha256(&file));
    assert_eq!(way(&saved), sent["went"], "{saved} {sent}");
    (saved, sent)
}

/// Alice's client offers them a file.
#[track_caller]
fn we_offer(town: &Town, name: &str, size: usize, options: &[&str]) -> (Done, Value) {
    let file = town.alice.file(name, &random_bytes(size));
    let mut bob = stranger(town, Host::Bob, options).start(&["take"]).unwrap();
    let jid = format!("{}/other", town.there.jid("bob"));
    let sent = town.run(Host::Alice, &["send", "--direct", name, "--to", &jid]).ok();
    let taken = bob.wait_for("end", |event| ["taken", "broken", "ended"].iter().any(|end| event["event"] == *end));
    assert_eq!((&taken["event"], &taken["sha256"]), (&"taken".into(), &sha256(&file).into()), "{taken}");
    assert_eq!(way(&sent.event("delivered")), taken["went"], "{taken}\n{}", sent.out);
    (sent, taken)
}

/// The full address of a client of ours, as its presence tells it to who asks from that host.
fn our_device(town: &Town, from: Host, user: &str) -> String {
    let asks = format!("<presence to='{}' type='probe'/>", town.there.jid(user));
    let mut heard: Listener = stranger(town, from, &[]).start(&["devices", &asks]).unwrap();
    let own = format!("{}/", town.there.jid(user));
    let is_ours =
        |event: &Value| event["event"] == "presence" && event["type"] == "available" && event["from"].as_str().unwrap().starts_with(&own);
    heard.wait_for("the device of our client", is_ours)["from"].as_str().unwrap().to_owned()
}

/// A file of theirs and one of ours go by this way.
#[track_caller]
pub(crate) fn both_pass(town: &Town, size: usize, expected: &str) {
    let went = |told: Value| (told["went"].as_str().unwrap().to_owned(), ());
    goes_by(expected, &format!("by {expected}.bin"), |name| went(they_offer(town, name, size, &[]).1));
    goes_by(expected, &format!("ours by {expected}.bin"), |name| went(we_offer(town, name, size, &[]).1));
}

fn both_directions(at: At) {
    let Some(town) = Town::with(at) else { return };
    let ways: [(&str, Vec<Rule>, usize); 3] =
        [("direct", Vec::new(), 2_000_000), ("proxy", apart(), 2_000_000), ("in-band", without_proxy(town.proxy_port()), 100_000)];
    for (expected, rules, size) in ways {
        town.lab.filter(&rules);
        both_pass(&town, size, expected);
    }
}

/// Proves: JFT-10.1-1, S5J-2.4-1, S5J-2.4-2.
#[test]
fn files_go_both_ways_between_us_and_another_implementation_over_prosody() {
    both_directions(At::Prosody);
}

/// Proves: JFT-10.1-1, S5J-2.4-1, S5J-2.4-2.
#[test]
fn files_go_both_ways_between_us_and_another_implementation_over_ejabberd() {
    both_directions(At::Ejabberd);
}

/// What they do otherwise than we would.
/// Proves: JFT-D-1, JFT-8.2-2.
#[test]
fn habits_of_others_are_met_when_they_offer() {
    let Some(town) = Town::with(At::Ejabberd) else { return };
    they_offer(&town, "version 4.bin", 300_000, &["--version", "4"]);
    they_offer(&town, "checksum later.bin", 300_000, &["--hash-later"]);
    they_offer(&town, "in band at once.bin", 100_000, &["--transport", "ibb", "--block", "1000"]);
    they_offer(&town, "in messages.bin", 100_000, &["--transport", "ibb", "--messages"]);
    they_offer(&town, "deaf.bin", 300_000, &["--deaf"]);
    they_offer(&town, "timid.bin", 300_000, &["--timid", "--no-proxy"]);
}

/// There is nothing to send: it is here as soon as it is offered, and they hear so.
#[test]
fn an_empty_file_of_others_arrives_without_a_stream() {
    let Some(town) = Town::with(At::Prosody) else { return };
    let file = town.alice.file("empty.bin", b"");
    let waiting = we_wait(&town);
    let device = our_device(&town, Host::Alice, "bob");
    // It ends before it begins, which their script calls a failure.
    let ended = stranger(&town, Host::Alice, &[]).run(&["offer", &device, file.to_str().unwrap()]);
    let ended = ended.map_or_else(|error| error.to_string(), |events| format!("{events:?}"));
    assert!(ended.contains("success"), "{ended}");
    assert_eq!(waiting.wait().ok().event("saved")["size"], 0);
    assert_eq!(std::fs::read(town.bob.folder().join("empty.bin")).unwrap(), b"");
}

#[test]
fn habits_of_others_are_met_when_they_take() {
    let Some(town) = Town::with(At::Ejabberd) else { return };
    we_offer(&town, "version 4.bin", 300_000, &["--version", "4"]);
    we_offer(&town, "in band only.bin", 100_000, &["--transport", "ibb", "--block", "2048"]);
    we_offer(&town, "timid.bin", 300_000, &["--timid", "--no-proxy"]);
    we_offer(&town, "empty.bin", 0, &[]);
    // They want the second half only.
    let (_, taken) = we_offer_part(&town, "half.bin", 400_000, 200_000);
    assert_eq!(taken["bytes"], 200_000);
    // Both ask for in-band at once when SOCKS5 failed.
    town.lab.filter(&without_proxy(town.proxy_port()));
    we_offer(&town, "both replace.bin", 100_000, &["--replace"]);
}

#[track_caller]
fn we_offer_part(town: &Town, name: &str, size: usize, from: usize) -> (Done, Value) {
    let bytes = random_bytes(size);
    town.alice.file(name, &bytes);
    let mut bob = stranger(town, Host::Bob, &["--offset", &from.to_string()]).start(&["take"]).unwrap();
    let jid = format!("{}/other", town.there.jid("bob"));
    let sent = town.run(Host::Alice, &["send", "--direct", name, "--to", &jid]).ok();
    let taken = bob.wait_for("end", |event| ["taken", "broken", "ended"].iter().any(|end| event["event"] == *end));
    let path = taken["path"].as_str().unwrap_or_else(|| panic!("{taken}"));
    assert_eq!(std::fs::read(path).unwrap(), bytes[from..]);
    (sent, taken)
}

/// They break off in the middle, say nothing, and offer it again in another session: what is there is not sent twice.
/// Proves: JFT-6.4-1, JFT-5-4.
#[test]
fn what_others_break_off_is_no_file_and_goes_on_when_they_offer_it_again() {
    let Some(town) = Town::with(At::Prosody) else { return };
    let file = town.alice.file("broken.bin", &random_bytes(3_000_000));
    let offer = |options: &[&str]| {
        let waiting = we_wait(&town);
        let device = our_device(&town, Host::Alice, "bob");
        let events = stranger(&town, Host::Alice, options).run(&["offer", &device, file.to_str().unwrap()]);
        (waiting.wait(), events)
    };
    let (first, _) = offer(&["--stop-after", "2000000"]);
    assert_ne!(first.code, 0, "{}", first.out);
    assert!(first.event("failed")["error"].as_str().unwrap().contains("alice@"), "{}", first.out);
    assert_eq!(town.bob.names(), [""; 0]);
    let (second, events) = offer(&[]);
    let saved = second.ok().event("saved");
    let sent = events.unwrap().into_iter().find(|event| event["event"] == "sent").unwrap();
    assert!(sent["bytes"].as_u64().unwrap() < 2_000_000, "it was sent anew: {sent}");
    assert_eq!((&saved["proven"], saved["sha256"].as_str()), (&true.into(), Some(sha256(&file).as_str())));
}

/// Relay only: nothing that they see of us has an address of ours in it.
/// Proves: USER-5-5.
#[test]
fn relay_only_tells_others_no_address() {
    let Some(town) = Town::with(At::Prosody) else { return };
    for (rules, expected) in [(Vec::new(), "proxy"), (without_proxy(town.proxy_port()), "in-band")] {
        town.lab.filter(&rules);
        let said = goes_by(expected, "relayed.bin", |name| {
            let file = town.alice.file(name, &random_bytes(100_000));
            let mut bob = stranger(&town, Host::Bob, &[]).start(&["take"]).unwrap();
            let jid = format!("{}/other", town.there.jid("bob"));
            let sent = town.run(Host::Alice, &["send", "--direct", "--relay-only", name, "--to", &jid]).ok();
            let said = std::cell::RefCell::new(Vec::new());
            let taken = bob.wait_for("end", |event| {
                said.borrow_mut().extend(event["xml"].as_str().map(str::to_owned));
                ["taken", "broken", "ended"].iter().any(|end| event["event"] == *end)
            });
            assert_eq!(taken["sha256"], sha256(&file).as_str(), "{taken}\n{}", sent.out);
            (taken["went"].as_str().unwrap().to_owned(), said.into_inner())
        });
        assert!(said.iter().any(|xml| xml.contains("session-initiate")));
        for xml in &said {
            let own = Family::ALL.map(|family| Host::Alice.address_of(family));
            for address in own.iter().chain(Host::Alice.private_addresses()).chain(&["fe80:", "127.0.0.1"]) {
                assert!(!xml.contains(address), "{address} in {xml}");
            }
        }
    }
    assert_eq!(town.lab.count(Host::Alice, Host::Bob).packets, 0);
}

/// Who is no contact learns the address the world sees, and the proxy; a contact may be in the same house, or in the same VPN.
/// Proves: USER-3-3, USER-5-5, S5J-2.1-1.
#[test]
fn strangers_are_told_no_private_address_and_nobody_is_told_loopback() {
    let Some(town) = Town::with(At::Prosody) else { return };
    town.alice.file("who am i.bin", &random_bytes(1_000));
    let jid = format!("{}/other", town.there.jid("bob"));
    for is_contact in [true, false] {
        if !is_contact {
            town.run(Host::Alice, &["contacts", "remove", &town.there.jid("bob")]).ok();
        }
        let mut bob = stranger(&town, Host::Bob, &[]).start(&["take"]).unwrap();
        town.run(Host::Alice, &["send", "--direct", "who am i.bin", "--to", &jid]).ok();
        let offered = bob.wait_for("offer", |event| event["action"] == "session-initiate");
        let xml = offered["xml"].as_str().unwrap();
        for public in Family::ALL.map(|family| Host::Alice.address_of(family)) {
            assert!(xml.contains(&format!("host=\"{public}\"")), "no {public}: {xml}");
        }
        assert!(xml.contains(Host::Server.address()), "no proxy: {xml}");
        for private in Host::Alice.private_addresses() {
            assert_eq!(xml.contains(private), is_contact, "{private}: {xml}");
        }
        for nowhere in ["127.0.0.1", "host=\"::1\"", "fe80:"] {
            assert!(!xml.contains(nowhere), "{nowhere} in {xml}");
        }
    }
}
