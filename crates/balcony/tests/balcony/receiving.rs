//! What `balcony receive` says while it works, and how it ends.

use crate::actors::{OwnServer, Person, patience, random_bytes, sha256};
use crate::hostile::Carol;
use crate::process::Running;

/// A film on its way to Bob in band, held where it is: Alice's program stands still.
fn held_up(alice: &Person, bob: &Person, more: &[&str]) -> (Running, Running) {
    alice.run(&["contacts", "add", "bob@localhost"]).ok();
    alice.file("film.mkv", &random_bytes(30_000_000));
    let patience = patience();
    let mut receiving = bob.start(&[&["receive", "--yes", "--timeout", &patience], more].concat());
    receiving.event("waiting");
    let sending = alice.start(&["send", "--direct", "--relay-only", "film.mkv", "--to", "bob@localhost"]);
    receiving.event("way");
    sending.stand_still();
    (receiving, sending)
}

fn scene() -> (OwnServer, Person, Person) {
    let server = OwnServer::with(&["--no-proxy"]);
    let (alice, bob) = (Person::at(server.endpoints(), "alice"), Person::at(server.endpoints(), "bob"));
    bob.run(&["contacts", "add", "alice@localhost"]).ok();
    (server, alice, bob)
}

/// Proves: USER-2-7.
#[test]
fn an_offer_is_told_at_once_while_all_jobs_are_busy_and_gets_its_turn() {
    let (server, alice, bob) = scene();
    let carol = Person::at(server.endpoints(), "carol");
    let (mut receiving, sending) = held_up(&alice, &bob, &["--jobs", "1", "--count", "2"]);
    let photo = carol.file("photo.jpg", &random_bytes(1_000));
    carol.run(&["send", "photo.jpg", "--to", "bob@localhost"]).ok();
    let offer = receiving.event("offer");
    assert_eq!(offer["name"], "photo.jpg");
    assert_eq!(receiving.event("queued")["offer"], offer["offer"]);
    sending.go_on();
    let done = receiving.wait().ok();
    let saved = done.all("saved");
    assert_eq!((saved[0]["name"].as_str(), saved[1]["name"].as_str()), (Some("film.mkv"), Some("photo.jpg")));
    assert_eq!(saved[1]["sha256"], sha256(&photo).as_str());
    assert_eq!(done.all("offer").len(), 2, "each is told once: {}", done.out);
    sending.wait().ok();
}

#[test]
fn what_comes_behind_the_last_file_that_was_wanted_is_told_and_left_for_the_next_time() {
    let (server, alice, bob) = scene();
    let carol = Person::at(server.endpoints(), "carol");
    let (mut receiving, sending) = held_up(&alice, &bob, &["--count", "1"]);
    carol.file("photo.jpg", &random_bytes(1_000));
    carol.run(&["send", "photo.jpg", "--to", "bob@localhost"]).ok();
    assert_eq!(receiving.event("offer")["name"], "photo.jpg");
    receiving.event("queued");
    sending.go_on();
    assert_eq!(receiving.wait().ok().all("saved").len(), 1);
    sending.wait().ok();
    let next = bob.run(&["receive", "--yes", "--count", "1", "--timeout", &patience()]).ok();
    assert_eq!(next.event("saved")["name"], "photo.jpg");
}

/// `^C` is how one stops listening, so it is no failure by itself; a file that could not be had is one, whatever ends the command.
#[test]
fn whoever_ends_it_hears_by_the_code_whether_a_file_failed() {
    let server = OwnServer::start();
    let bob = Person::at(server.endpoints(), "bob");
    let start = || {
        let mut receiving = bob.start(&["receive", "--yes"]);
        receiving.event("waiting");
        receiving
    };
    start().interrupt().ok();
    let carol = Carol::at(&server, "phone");
    let mut receiving = start();
    carol.say(
        "<message xmlns='jabber:client' type='chat' to='bob@localhost' id='m1'><file-sharing xmlns='urn:xmpp:sfs:0' id='f1'>\
         <file xmlns='urn:xmpp:file:metadata:0'><name>gone.bin</name><size>19</size>\
         <hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=</hash></file>\
         <sources><url-data xmlns='http://jabber.org/protocol/url-data' target='https://127.0.0.1:1/gone.bin'/></sources>\
         </file-sharing></message>",
    );
    let failed = receiving.event("failed");
    let done = receiving.interrupt();
    assert_eq!((done.code != 0, i64::from(done.code)), (true, failed["code"].as_i64().unwrap()), "{}\n{}", done.out, done.err);
    start().end().ok();
}

/// The question waits for the person, and nothing else waits for them to see it.
#[cfg(target_os = "linux")]
#[test]
fn an_offer_is_told_while_a_question_stands_and_the_question_is_asked_again_below_it() {
    use std::io::{Read as _, Write as _};
    use std::process::Stdio;

    use crate::process::{balcony, terminal};

    let server = OwnServer::start();
    let (alice, bob) = (Person::at(server.endpoints(), "alice"), Person::at(server.endpoints(), "bob"));
    let send = |name: &str| {
        alice.file(name, &random_bytes(1_000));
        alice.run(&["send", name, "--to", "bob@localhost"]).ok();
    };
    send("first.bin");
    let (mut person, terminal) = terminal();
    let mut command = balcony(bob.home());
    command.args(["receive", "--ask", "--jobs", "1", "--count", "1"]).current_dir(bob.folder());
    command.stdin(terminal.try_clone().unwrap()).stderr(terminal).stdout(Stdio::piped());
    let receiving = command.spawn().unwrap();
    drop(command); // it holds the terminal
    let mut until = |is_shown: &dyn Fn(&str) -> bool| {
        let (mut shown, mut some) = (String::new(), [0; 1_000]);
        while !is_shown(&shown) {
            let count = person.read(&mut some).unwrap();
            shown.push_str(&String::from_utf8_lossy(&some[..count]));
        }
        shown
    };
    until(&|shown| shown.contains("[y/N] "));
    send("second.bin");
    // The question stands below each of the two lines.
    let shown = until(&|shown| shown.split_once("second.bin: is left for the next").is_some_and(|(_, below)| below.contains("[y/N] ")));
    let (offer, question) = (shown.find("\nsecond.bin").unwrap(), shown.rfind("\nfirst.bin").unwrap());
    assert!(offer < question, "{shown}");
    person.write_all(b"y\n").unwrap();
    let done = receiving.wait_with_output().unwrap();
    assert!(done.status.success() && bob.names() == ["first.bin"], "{done:?}");
}

/// Bob does not let alice see when he is there. Neither side meets silence: both hear what happened and what to do, and then it works.
#[test]
fn a_file_offered_directly_by_somebody_who_does_not_see_us_is_said_on_both_sides_with_what_to_do() {
    let server = OwnServer::with(&["--no-proxy"]);
    let (alice, bob) = (Person::at(server.endpoints(), "alice"), Person::at(server.endpoints(), "bob"));
    bob.run(&["contacts", "add", "alice@localhost", "--one-sided"]).ok();
    let photo = alice.file("photo.jpg", &random_bytes(1_000));
    let send = ["send", "--direct", "photo.jpg", "--to", "bob@localhost"];
    let mut receiving = bob.start(&["receive", "--yes", "--timeout", &patience()]);
    receiving.event("waiting");
    let failed = alice.run(&send).exits(4).event("failed");
    assert!(failed["error"].as_str().unwrap().contains("may not let you see"), "{failed}");
    assert!(failed["next"].as_str().unwrap().contains("balcony contacts add"), "{failed}");
    let offer = receiving.event("offer");
    assert_eq!((offer["name"].as_str(), offer["from"].as_str().is_some()), (Some("photo.jpg"), true), "{offer}");
    assert_eq!(receiving.event("pending")["why"], "unseen");
    receiving.interrupt();
    let number = offer["offer"].to_string();
    let refused = bob.run(&["fetch", &number]).exits(7).event("failed");
    assert!(refused["next"].as_str().unwrap().contains("balcony contacts add"), "{refused}");
    assert!(bob.run(&["why", &number]).ok().out.contains("they did not see that you were there"));
    // So they let each other see it.
    bob.run(&["contacts", "add", "alice@localhost"]).ok();
    alice.run(&["contacts", "add", "bob@localhost"]).ok();
    let mut receiving = bob.start(&["receive", "--yes", "--count", "1", "--timeout", &patience()]);
    receiving.event("waiting");
    alice.run(&send).ok();
    assert_eq!(receiving.wait().ok().event("saved")["sha256"], sha256(&photo).as_str());
}

/// Whoever wants to send directly adds bob; without a word to him he could not know that he is to add them as well.
#[test]
fn whoever_asks_to_see_when_we_are_there_is_named_until_they_are_added() {
    let server = OwnServer::with(&["--no-proxy"]);
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| Person::at(server.endpoints(), name));
    let receive = || bob.start(&["receive", "--yes", "--count", "1", "--timeout", &patience()]);
    // She asks while nobody is there, Carol while he is.
    alice.run(&["contacts", "add", "bob@localhost"]).ok();
    let mut receiving = receive();
    assert_eq!(receiving.event("asks-to-see")["from"], "alice@localhost");
    carol.run(&["contacts", "add", "bob@localhost"]).ok();
    assert_eq!(receiving.event("asks-to-see")["from"], "carol@localhost");
    // What he is told to do is all that is missing.
    bob.run(&["contacts", "add", "alice@localhost"]).ok();
    let photo = alice.file("photo.jpg", &random_bytes(1_000));
    alice.run(&["send", "--direct", "photo.jpg", "--to", "bob@localhost"]).ok();
    let done = receiving.wait().ok();
    assert_eq!((done.event("saved")["sha256"].clone(), done.all("asks-to-see").len()), (sha256(&photo).into(), 2), "{}", done.out);
    // Carol still waits; Alice does not.
    let mut receiving = receive();
    assert_eq!(receiving.event("asks-to-see")["from"], "carol@localhost");
    alice.file("more.jpg", &random_bytes(1_000));
    alice.run(&["send", "more.jpg", "--to", "bob@localhost"]).ok();
    let done = receiving.wait().ok();
    assert_eq!(done.all("asks-to-see").len(), 1, "{}", done.out);
}
