//! "Choose the way for me": what people ask of a program that knows more than one way (docs/requirements/30-users.md), as they meet it.

use crate::actors::{OwnServer, Person, patience, random_bytes, sha256};
use crate::lab::{goes_by, way};
use crate::process::Running;

fn scene(options: &[&str]) -> (OwnServer, Person, Person) {
    let server = OwnServer::with(options);
    let (alice, bob) = (Person::at(server.endpoints(), "alice"), Person::at(server.endpoints(), "bob"));
    alice.run(&["contacts", "add", "bob@localhost"]).ok();
    bob.run(&["contacts", "add", "alice@localhost"]).ok();
    (server, alice, bob)
}

fn bob_waits(bob: &Person) -> Running {
    let mut waiting = bob.start(&["receive", "--yes", "--count", "1", "--timeout", &patience()]);
    waiting.event("waiting");
    waiting
}

/// Proves: USER-3-1.
#[test]
fn what_is_too_large_for_the_upload_may_go_straight_and_it_is_said_what_that_shows() {
    let (_server, alice, bob) = scene(&["--max-upload", "1M"]);
    let file = alice.file("large.bin", &random_bytes(3_000_000));
    let failed = alice.run(&["send", "large.bin", "--to", "bob@localhost"]).exits(6).event("failed");
    let next = failed["next"].as_str().unwrap();
    assert!(next.contains("--direct") && next.contains("address") && next.contains("--relay-only"), "{failed}");
    // What was said works.
    let waiting = bob_waits(&bob);
    alice.run(&["send", "--direct", "--relay-only", "large.bin", "--to", "bob@localhost"]).ok();
    assert_eq!(waiting.wait().ok().event("saved")["sha256"], sha256(&file).as_str());
}

/// The way that was taken is shown to both, and what it revealed to whom.
/// Proves: USER-3-3.
#[test]
fn both_sides_are_told_which_way_a_file_took() {
    let (_server, alice, bob) = scene(&[]);
    let (delivered, saved, name) = goes_by("proxy", "words – é.bin", |name| {
        alice.file(name, &random_bytes(100_000));
        let waiting = bob_waits(&bob);
        let sent = alice.run(&["send", "--direct", "--relay-only", name, "--to", "bob@localhost"]).ok();
        let (delivered, saved) = (sent.event("delivered"), waiting.wait().ok().event("saved"));
        assert_eq!(way(&delivered), way(&saved), "{delivered} {saved}");
        (way(&delivered).to_owned(), (delivered, saved, name.to_owned()))
    });
    assert_eq!((&delivered["proxy"], &delivered["address_shown"]), (&"proxy.localhost".into(), &false.into()), "{delivered}");
    assert_eq!(saved["name"], name.as_str(), "{saved}");
}

/// One device of one person who is there: nobody there, and somebody who says no, are named.
/// Proves: GL-19, JIN-6.3-1.
#[test]
fn a_direct_transfer_wants_one_who_is_there_and_says_yes() {
    let (_server, alice, bob) = scene(&[]);
    alice.file("now.bin", &random_bytes(10_000));
    let nobody = alice.run(&["send", "--direct", "now.bin", "--to", "bob@localhost"]).exits(4);
    let failed = nobody.event("failed");
    assert!(failed["error"].as_str().unwrap().contains("bob@localhost"), "{failed}");
    assert!(failed["next"].as_str().unwrap().contains("without --direct"), "{failed}");
    let waiting = bob_waits(&bob);
    alice.run(&["send", "--direct", "now.bin", "--to", "bob@localhost"]).ok();
    waiting.wait().ok();
    bob.run(&["policy", "add", "never everybody"]).ok();
    let mut waiting = bob.start(&["receive", "--count", "1", "--timeout", &patience()]);
    waiting.event("waiting");
    alice.file("never.bin", &random_bytes(10_000));
    let refused = alice.run(&["send", "--direct", "never.bin", "--to", "bob@localhost"]).exits(10);
    assert!(refused.event("failed")["error"].as_str().unwrap().contains("bob@localhost"), "{}", refused.out);
    assert_eq!(bob.names(), ["now.bin"]);
}
