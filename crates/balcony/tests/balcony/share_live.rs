//! Files given from the own device as people meet it: while the command runs, to whom it names, without showing an address if they
//! say so; and the rules of giving.

use crate::actors::{OwnServer, Person, patience, random_bytes, sha256};
use crate::process::Running;

fn scene() -> (OwnServer, Person, Person) {
    let server = OwnServer::start();
    let (alice, bob) = (Person::at(server.endpoints(), "alice"), Person::at(server.endpoints(), "bob"));
    alice.run(&["contacts", "add", "bob@localhost"]).ok();
    bob.run(&["contacts", "add", "alice@localhost"]).ok();
    (server, alice, bob)
}

fn files_below(folder: &std::path::Path) -> usize {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| if entry.path().is_dir() { files_below(&entry.path()) } else { 1 }).sum()
}

fn receiving(bob: &Person) -> Running {
    let mut receiving = bob.start(&["receive", "--yes", "--count", "1", "--timeout", &patience()]);
    receiving.event("waiting");
    receiving
}

/// Proves: SIMS-5.1-1.
#[test]
fn a_file_is_shared_live_and_ends_with_the_command() {
    let (server, alice, bob) = scene();
    let file = alice.file("summit.jpg", &random_bytes(400_000));
    let receiving = receiving(&bob);
    let mut sharing = alice.start(&["share-live", "summit.jpg", "--to", "bob@localhost", "--relay-only"]);
    let shared = sharing.event("sharing");
    assert_eq!((shared["size"].as_u64(), shared["url"].is_null(), &shared["relay_only"]), (Some(400_000), true, &true.into()));
    let listed = alice.run(&["give"]).ok().event("shared");
    assert_eq!((&listed["relay_only"], listed["to"][0].as_str()), (&true.into(), Some("bob@localhost")));
    let going = sharing.event("giving");
    assert!(going["way"] == "proxy" || going["way"] == "in-band", "{going}");
    sharing.event("given");
    assert_eq!(receiving.wait().ok().event("saved")["sha256"], sha256(&file).as_str());
    let done = sharing.interrupt().ok();
    done.event("stopped");
    assert!(alice.run(&["give"]).ok().all("shared").is_empty());
    assert_eq!(files_below(&server.data().join("uploads")), 0, "nothing was uploaded");
}

#[test]
fn a_live_share_ends_by_itself_after_its_time_and_what_is_offered_then_waits_for_the_device() {
    let (_server, alice, bob) = scene();
    alice.file("summit.jpg", b"the summit");
    let done = alice.run(&["share-live", "summit.jpg", "--to", "bob@localhost", "--for", "1s"]).ok();
    done.event("stopped");
    let mut offered = bob.start(&["receive", "--timeout", &patience()]);
    let number = offered.event("offer")["offer"].to_string();
    offered.end().ok();
    let failed = bob.run(&["fetch", &number, "--yes"]);
    assert_ne!(failed.code, 0, "{}", failed.out);
    assert!(bob.names().is_empty());
}

#[test]
fn rules_of_giving_are_shown_in_words_added_and_taken_away() {
    let (_server, alice, _bob) = scene();
    let rules = alice.run(&["give"]).ok();
    let texts =
        |done: &crate::process::Done| done.all("rule").iter().map(|rule| rule["rule"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(texts(&rules), ["give own-devices directly even unoffered", "give everybody"]);
    assert!(rules.all("rule")[1]["words"].as_str().unwrap().contains("that were offered to them"));
    let added = alice.run(&["give", "add", "give", "group", "Old friends", "at", "256", "KiB/s", "by", "relay"]).ok();
    assert_eq!(texts(&added)[0], "give group \"Old friends\" at 256 KiB/s by relay");
    alice.run(&["give", "add", "--at", "2", "never bob@localhost"]).ok();
    let moved = alice.run(&["give", "move", "2", "1"]).ok();
    assert_eq!(texts(&moved)[..2], ["never bob@localhost", "give group \"Old friends\" at 256 KiB/s by relay"]);
    let wrong = alice.run(&["give", "add", "give", "rooms"]).exits(2);
    assert!(wrong.event("failed")["error"].as_str().unwrap().contains("say who may have it"), "{}", wrong.out);
    alice.run(&["give", "remove", "9"]).exits(2);
    alice.run(&["give", "remove", "1"]).ok();
    assert_eq!(texts(&alice.run(&["give", "reset"]).ok()).len(), 2);
}

/// What never says, no share says otherwise.
#[test]
fn who_is_never_given_anything_gets_nothing_of_a_live_share_either() {
    let (_server, alice, bob) = scene();
    alice.file("summit.jpg", b"the summit");
    alice.run(&["give", "add", "never", "bob@localhost"]).ok();
    let mut sharing = alice.start(&["share-live", "summit.jpg", "--to", "bob@localhost"]);
    sharing.event("sharing");
    let refused = bob.run(&["receive", "--yes", "--count", "1", "--timeout", "5"]);
    assert_ne!(refused.code, 0, "{}", refused.out);
    assert!(bob.names().is_empty());
    sharing.interrupt().ok();
}

/// The link was taken away, and the device is there still.
#[test]
fn with_a_link_as_well_it_is_one_offer_and_the_device_stands_in_for_the_link() {
    let (server, alice, bob) = scene();
    let file = alice.file("summit.jpg", &random_bytes(300_000));
    let mut sharing = alice.start(&["share-live", "summit.jpg", "--to", "bob@localhost", "--upload"]);
    assert!(sharing.event("sharing")["url"].is_string());
    std::fs::remove_dir_all(server.data().join("uploads")).unwrap();
    let received = bob.run(&["receive", "--yes", "--count", "1", "--timeout", &patience()]).ok();
    assert_eq!(received.all("offer").len(), 1);
    assert_eq!(received.event("saved")["sha256"], sha256(&file).as_str());
    sharing.interrupt().ok();
}

/// The device is gone when the offer is looked at, and comes back later; neither is in the list of the other.
#[test]
fn an_offer_whose_device_is_not_there_waits_for_it_and_strangers_see_it_while_it_is_shared() {
    let server = OwnServer::start();
    let (alice, bob) = (Person::at(server.endpoints(), "alice"), Person::at(server.endpoints(), "bob"));
    let file = alice.file("summit.jpg", b"the summit");
    let mut sharing = alice.start(&["share-live", "summit.jpg", "--to", "bob@localhost", "--relay-only"]);
    sharing.event("sharing");
    let mut receiving = bob.start(&["receive", "--yes", "--count", "1", "--timeout", &patience()]);
    receiving.event("pending");
    // Shown again a little later, now that bob is there.
    assert_eq!(receiving.wait().ok().event("saved")["sha256"], sha256(&file).as_str());
    sharing.interrupt().ok();
}
