//! Files from people's devices as those meet it who receive: what is asked, what that shows, which way a file came, and why not.

use std::path::Path;

use crate::actors::{OwnServer, Person, patience, random_bytes, sha256};
use crate::process::until;

/// Alice and Bob, who know each other.
fn scene() -> (OwnServer, Person, Person) {
    scene_at(OwnServer::start())
}

fn scene_at(server: OwnServer) -> (OwnServer, Person, Person) {
    let (alice, bob) = (Person::at(server.endpoints(), "alice"), Person::at(server.endpoints(), "bob"));
    alice.run(&["contacts", "add", "bob@localhost"]).ok();
    bob.run(&["contacts", "add", "alice@localhost"]).ok();
    (server, alice, bob)
}

fn receiving(bob: &Person, more: &[&str]) -> crate::process::Running {
    let patience = patience();
    let mut receiving = bob.start(&[&["receive", "--count", "1", "--timeout", &patience], more].concat());
    receiving.event("waiting");
    receiving
}

/// Bytes in staging, wherever below a folder.
fn staged(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let is_staged = |path: &Path| path.parent().is_some_and(|parent| parent.ends_with("staging"));
    let bytes = |path: &Path| std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    entries
        .map(|entry| entry.path())
        .map(|path| {
            if path.is_dir() {
                staged(&path)
            } else if is_staged(&path) {
                bytes(&path)
            } else {
                0
            }
        })
        .sum()
}

/// Proves: USER-3-3.
#[test]
fn what_a_contact_offers_directly_comes_unasked_by_way_of_servers_and_says_so() {
    let (_server, alice, bob) = scene();
    let file = alice.file("très cool.jpg", &random_bytes(300_000));
    let receiving = receiving(&bob, &[]);
    let sending = alice.start(&["send", "--direct", "très cool.jpg", "--to", "bob@localhost"]);
    let done = receiving.wait().ok();
    let asking = done.event("asking");
    assert!(asking["device"].as_str().unwrap().starts_with("alice@localhost/"), "{asking}");
    assert_eq!(asking["relay_only"], true, "nobody said that she may see the address");
    let saved = done.event("saved");
    assert_eq!((saved["name"].as_str(), saved["sha256"].as_str()), (Some("très cool.jpg"), Some(sha256(&file).as_str())));
    let way = saved["way"].as_str().unwrap();
    assert!(way == "proxy" || way == "in-band", "{saved}");
    assert_eq!(sending.wait().ok().event("delivered")["way"], way);
}

#[test]
fn where_nobody_can_answer_the_other_side_hears_it_and_the_person_reads_what_to_do() {
    let (_server, alice, bob) = scene();
    alice.file("summit.jpg", &random_bytes(100_000));
    bob.run(&["policy", "add", "ask everybody over 50 KiB"]).ok();
    let receiving = receiving(&bob, &[]);
    let sending = alice.start(&["send", "--direct", "summit.jpg", "--to", "bob@localhost"]);
    let done = receiving.wait().exits(10);
    let words = done.all("failed")[0].to_string();
    assert!(words.contains("sees your IP address") && words.contains("by way of servers"), "{words}");
    assert!(words.contains("--yes") && words.contains("--relay-only") && words.contains("send it again"), "{words}");
    sending.wait().exits(10);
    let why = bob.run(&["why", "1"]).ok();
    let reasons: Vec<_> = why.all("left-out").iter().map(|left_out| left_out["reason"].as_str().unwrap().to_owned()).collect();
    assert_eq!(reasons, ["offline"], "{}", why.out);
}

#[test]
fn with_relay_only_a_yes_shows_no_address() {
    let (_server, alice, bob) = scene();
    let file = alice.file("summit.jpg", &random_bytes(100_000));
    bob.run(&["policy", "add", "ask everybody"]).ok();
    let receiving = receiving(&bob, &["--yes", "--relay-only"]);
    let sending = alice.start(&["send", "--direct", "summit.jpg", "--to", "bob@localhost"]);
    let done = receiving.wait().ok();
    assert_eq!(done.event("asking")["relay_only"], true);
    assert_eq!(done.event("saved")["sha256"], sha256(&file).as_str());
    sending.wait().ok();
    let why = bob.run(&["why", "1"]).ok();
    assert!(why.all("agreed").iter().all(|agreed| !agreed["answer"].as_str().unwrap().contains("peer")), "{}", why.out);
}

/// Proves: SFS-3.2-11.
#[test]
fn fetch_asks_the_devices_that_are_there_where_nothing_else_gives_the_file() {
    let (_server, alice, bob) = scene();
    let file = alice.file("summit.jpg", &random_bytes(200_000));
    alice.file("valley.jpg", &random_bytes(1_000));
    let mut sharing = alice.start(&["share-live", "summit.jpg", "valley.jpg", "--to", "bob@localhost"]);
    sharing.event("sharing");
    let mut receiving = bob.start(&["receive", "--ask", "--timeout", &patience()]);
    let offered = [receiving.event("offer"), receiving.event("offer")];
    receiving.end();
    let number_of = |name: &str| offered.iter().find(|offer| offer["name"] == name).unwrap()["offer"].to_string();
    let number = number_of("summit.jpg");
    assert!(bob.names().is_empty());
    let why = bob.run(&["why", &number]).ok();
    assert_eq!(why.event("left-out")["reason"], "offline", "{}", why.out);
    assert!(why.event("hint")["next"].as_str().unwrap().contains(&format!("balcony fetch {number}")), "{}", why.out);
    let done = bob.run(&["fetch", &number, "--relay-only"]).ok();
    done.event("devices");
    assert!(done.event("asking")["device"].as_str().unwrap().starts_with("alice@localhost/"));
    assert_eq!(done.event("saved")["sha256"], sha256(&file).as_str());
    sharing.interrupt().ok();
}

#[test]
fn a_session_that_both_programs_lost_fails_nobody_and_the_file_can_be_sent_again() {
    let (_server, alice, bob) = scene_at(OwnServer::with(&["--no-proxy"]));
    let file = alice.file("film.mkv", &random_bytes(50_000_000));
    let send = ["send", "--direct", "film.mkv", "--to", "bob@localhost"];
    let mut interrupted = receiving(&bob, &["--yes"]);
    let sending = alice.start(&send);
    interrupted.event("way");
    until("a part of it is there", || Some(()).filter(|()| staged(bob.home()) > 1_000_000));
    sending.kill();
    interrupted.kill();
    let idle = bob.run(&["receive", "--timeout", "1"]).exits(11);
    assert!(idle.all("asking").is_empty(), "the session it was offered in is over: {}", idle.out);

    let receiving = receiving(&bob, &["--yes"]);
    let sending = alice.start(&send);
    let done = receiving.wait().ok();
    let saved = done.event("saved");
    assert_eq!(saved["sha256"], sha256(&file).as_str());
    assert_eq!((&saved["proven"], saved["proof"].as_str()), (&true.into(), Some("digest")), "by the hash that came behind the bytes");
    sending.wait().ok();
}
