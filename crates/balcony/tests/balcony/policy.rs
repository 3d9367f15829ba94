//! A person's rules, over our own server: what comes unasked, what waits for a yes, what never comes; and how rules are read and changed.

use std::net::TcpListener;

use serde_json::Value;

use crate::actors::{OwnServer, Person, patience, random_bytes};
use crate::cli::files_below;
use crate::hostile::{Carol, words};
use crate::process::Done;

/// Alice and bob, logged in to a server of their own; bob knows alice.
fn acquainted() -> (OwnServer, Person, Person) {
    let server = OwnServer::start();
    let (alice, bob) = (Person::at(server.endpoints(), "alice"), Person::at(server.endpoints(), "bob"));
    let added = bob.run(&["contacts", "add", "alice@localhost", "--group", "Family"]).ok().event("contact-added");
    assert_eq!(added["groups"], serde_json::json!(["Family"]));
    (server, alice, bob)
}

#[track_caller]
fn send(from: &Person, files: &[&str]) {
    from.run(&[&["send"], files, &["--to", "bob@localhost"]].concat()).ok();
}

/// Bob looks at so many offers, and answers no question.
#[track_caller]
fn receive(bob: &Person, count: usize, more: &[&str]) -> Done {
    bob.run(&[&["receive", "--count", &count.to_string(), "--timeout", &patience()], more].concat())
}

fn rules(person: &Person) -> Vec<String> {
    person.run(&["policy"]).ok().all("rule").iter().map(|rule| rule["rule"].as_str().unwrap().to_owned()).collect()
}

fn offer(person: &Person, name: &str) -> Value {
    person.run(&["list"]).ok().all("offer").into_iter().find(|offer| offer["name"] == name).unwrap_or_else(|| panic!("no {name}"))
}

fn number(person: &Person, name: &str) -> String {
    offer(person, name)["offer"].to_string()
}

/// Proves: SFS-3.2-6, USER-5-3.
#[test]
fn a_contacts_small_file_comes_unasked_and_a_strangers_leaves_no_trace_on_the_disk() {
    let (server, alice, bob) = acquainted();
    let carol = Person::at(server.endpoints(), "carol");
    alice.file("known.jpg", &random_bytes(50_000));
    let strange = random_bytes(50_000);
    carol.file("strange.jpg", &strange);
    send(&alice, &["known.jpg"]);
    send(&carol, &["strange.jpg"]);
    let done = receive(&bob, 2, &[]).exits(10);
    assert_eq!(done.event("saved")["name"], "known.jpg");
    assert!(done.event("failed")["error"].as_str().unwrap().contains("carol@localhost is not among your contacts"), "{}", done.out);
    assert_eq!(bob.names(), ["known.jpg"]);
    assert!(!files_below(bob.home()).iter().any(|(_, kept)| *kept == strange), "nothing of it is anywhere");
    assert_eq!(done.all("asking").len(), 1, "nobody was asked for it");
    // A contact who is none any more is a stranger, at once and offline.
    bob.run(&["contacts", "remove", "alice@localhost"]).ok();
    alice.file("later.jpg", &random_bytes(1000));
    send(&alice, &["later.jpg"]);
    receive(&bob, 1, &[]).exits(10);
    assert!(bob.run(&["why", &number(&bob, "later.jpg")]).ok().event("decision")["words"].as_str().unwrap().contains("contacts"));
}

/// Proves: USER-5-1, SIMS-5.3-1.
#[test]
fn what_comes_unasked_is_decided_by_group_size_type_and_network() {
    let (_server, alice, bob) = acquainted();
    bob.run(&["policy", "add", "never", "contacts", "application/pdf"]).ok();
    bob.run(&["policy", "add", "fetch", "group", "Family", "up", "to", "20", "MiB", "video/*"]).ok();
    alice.file("film.mp4", &random_bytes(11 << 20));
    alice.file("large.jpg", &random_bytes(11 << 20));
    alice.file("letter.pdf", &random_bytes(100));
    send(&alice, &["film.mp4", "large.jpg", "letter.pdf"]);
    let done = receive(&bob, 3, &[]).exits(10);
    assert_eq!(bob.names(), ["film.mp4"]);
    let failed: Vec<_> = done.all("failed").iter().map(|failed| failed["error"].as_str().unwrap().to_owned()).collect();
    assert!(failed.iter().any(|words| words.contains("it has 11.5 MB, and your rules fetch up to 10 MiB unasked")), "{failed:?}");
    assert!(failed.iter().any(|words| words.contains("your rule 2 forbids it (never contacts application/pdf)")), "{failed:?}");
    // Forbidden is forbidden, also if one asks for it and says yes to everything.
    let refused = bob.run(&["fetch", &number(&bob, "letter.pdf"), "--yes"]).exits(10);
    assert!(refused.all("asking").is_empty());
    alice.file("small.jpg", &random_bytes(100));
    send(&alice, &["small.jpg"]);
    let metered = receive(&bob, 1, &["--metered"]).exits(10);
    assert!(metered.event("failed")["error"].as_str().unwrap().contains("bytes cost money on this network"), "{}", metered.out);
    assert_eq!(bob.names(), ["film.mp4"]);
}

/// Not even a HEAD; and another port of the own server's host is not the own server.
///
/// Proves: SFS-6-5, USER-5-4.
#[test]
fn no_request_is_made_before_the_rules_or_the_person_say_yes() {
    let (server, _alice, bob) = acquainted();
    let carol = Carol::at(&server, "x");
    let ear = TcpListener::bind("127.0.0.1:0").unwrap();
    ear.set_nonblocking(true).unwrap();
    let port = ear.local_addr().unwrap().port();
    let hash = "<hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=</hash>";
    for host in [format!("localhost:{port}"), format!("127.0.0.1:{port}"), format!("carol.invalid:{port}")] {
        carol.say(&format!(
            "<message xmlns='jabber:client' type='chat' to='bob@localhost' id='{host}'><file-sharing xmlns='urn:xmpp:sfs:0' disposition='inline'>\
             <file xmlns='urn:xmpp:file:metadata:0'><name>a.jpg</name><media-type>image/jpeg</media-type><size>5</size>{hash}</file>\
             <sources><url-data xmlns='http://jabber.org/protocol/url-data' target='https://{host}/a.jpg'/></sources></file-sharing></message>"
        ));
    }
    let done = receive(&bob, 3, &[]).exits(10);
    assert!(done.all("asking").is_empty(), "{}", done.out);
    for offer in bob.run(&["list"]).ok().all("offer") {
        let number = offer["offer"].to_string();
        bob.run(&["why", &number]).ok();
        bob.run(&["policy", "test", &number]).ok();
    }
    assert!(ear.accept().is_err(), "somebody came to the host of a link nobody had agreed to");
    // Nor after a yes, where the link leads into the network we live in.
    for offer in bob.run(&["list"]).ok().all("offer").iter().take(2) {
        let done = bob.run(&["fetch", &offer["offer"].to_string(), "--yes"]);
        assert_ne!(done.code, 0, "{done:?}");
    }
    assert!(ear.accept().is_err(), "a link of a stranger led to another port of this machine");
}

#[test]
fn a_yes_and_its_limits_are_kept_over_a_restart() {
    let (server, _alice, bob) = acquainted();
    let carol = Person::at(server.endpoints(), "carol");
    let bytes = random_bytes(300_000);
    carol.file("notes.txt", &bytes);
    send(&carol, &["notes.txt"]);
    receive(&bob, 1, &[]).exits(10);
    let number = number(&bob, "notes.txt");
    assert_eq!(bob.run(&["why", &number]).ok().event("decision")["decision"], "ask");
    // The yes was given, but the server is away.
    drop(server);
    bob.run(&["fetch", &number, "--yes"]).exits(4);
    let why = bob.run(&["why", &number]).ok();
    assert_ne!(why.event("decision")["decision"], "ask", "nobody asks twice: {}", why.out);
}

#[test]
fn rules_are_shown_in_words_changed_one_by_one_and_tried_before_they_count() {
    let server = OwnServer::start();
    let bob = Person::at(server.endpoints(), "bob");
    let begin = rules(&bob);
    assert_eq!(begin.len(), 2);
    assert!(begin[0].starts_with("fetch contacts, own-devices up to 10 MiB from message, own-server"), "{begin:?}");
    bob.run(&["policy", "add", "fetch group \"Old friends\" up to 1 GiB even metered"]).ok();
    bob.run(&["policy", "add", "never", "group", "Old enemies", "--at", "2"]).ok();
    let added = ["fetch group \"Old friends\" up to 1 GiB even metered", "never group \"Old enemies\"", &begin[0], &begin[1]];
    assert_eq!(rules(&bob), added);
    bob.run(&["policy", "move", "2", "1"]).ok();
    bob.run(&["policy", "remove", "2"]).ok();
    assert_eq!(rules(&bob), ["never group \"Old enemies\"", &begin[0], &begin[1]]);
    assert_eq!(bob.run(&["policy"]).ok().event("rule")["words"], "never fetch files of contacts in the group \"Old enemies\"");
    // What cannot be understood is shown where it stands, and changes nothing.
    let wrong = words(&bob, &["policy", "add", "fetch", "contacts", "up", "too", "10", "MiB"]);
    assert_eq!(wrong.code, 2);
    assert!(wrong.err.contains("  fetch contacts up too 10 MiB\n                    ^\n"), "{}", wrong.err);
    assert!(wrong.err.contains("at \"too\" (character 19)"), "{}", wrong.err);
    for arguments in [["policy", "remove", "9"], ["policy", "remove", "0"]] {
        assert!(bob.run(&arguments).exits(2).event("failed")["error"].as_str().unwrap().contains("1 to 3"));
    }
    assert_eq!(rules(&bob).len(), 3);
    // A message that never came shows what would be done.
    let message = "<message xmlns='jabber:client' from='eve@evil.example/x' to='bob@localhost' type='chat' id='m1'>\
                   <body>https://evil.example/a.jpg</body><x xmlns='jabber:x:oob'><url>https://evil.example/a.jpg</url></x></message>";
    bob.file("message.xml", message.as_bytes());
    let tested = bob.run(&["policy", "test", "message.xml"]).ok();
    let attempt = tested.event("attempt");
    assert_eq!((&attempt["verdict"], &attempt["rule"]), (&"ask".into(), &3.into()), "{}", tested.out);
    let passed = attempt["passed_over"].as_array().unwrap();
    assert_eq!(passed[0]["words"], "it is about somebody else's files", "{}", tested.out);
    assert!(tested.event("decision")["words"].as_str().unwrap().contains("no hash that could prove"), "{}", tested.out);
    bob.run(&["policy", "test", "no-such-file"]).exits(9);
    // Another account has rules of its own.
    let carol = server.endpoints();
    bob.login(carol, "carol", &[]).ok();
    let others = bob.run(&["--account", "carol@localhost", "policy"]).ok();
    assert_eq!(others.all("rule").len(), 2);
    bob.run(&["--account", "bob@localhost", "policy", "reset"]).ok();
    let again: Vec<_> = bob.run(&["--account", "bob@localhost", "policy"]).ok().all("rule");
    assert_eq!(again.len(), 2);
}

/// Proves: USER-5-2.
#[test]
fn what_is_said_in_a_room_is_judged_by_who_really_says_it() {
    let (_server, _alice, bob) = acquainted();
    let said = "<message xmlns='jabber:client' from='coven@chat.localhost/alice@localhost' to='bob@localhost' type='groupchat' id='m1'>\
                <file-sharing xmlns='urn:xmpp:sfs:0' disposition='inline'><file xmlns='urn:xmpp:file:metadata:0'><name>a.jpg</name>\
                <media-type>image/jpeg</media-type><size>5</size>\
                <hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=</hash></file><sources>\
                <url-data xmlns='http://jabber.org/protocol/url-data' target='https://localhost/a.jpg'/></sources></file-sharing></message>";
    bob.file("room.xml", said.as_bytes());
    let test = |more: &[&str]| bob.run(&[&["policy", "test", "room.xml"], more].concat()).ok().event("attempt");
    assert_eq!(test(&[])["verdict"], "ask", "a nick is no contact, whatever it looks like");
    bob.run(&["policy", "add", "fetch", "private-rooms", "image/*"]).ok();
    assert_eq!(test(&[])["verdict"], "ask", "a room of which nothing is known is public");
    assert_eq!(test(&["--room", "private"])["verdict"], "fetch");
}

/// Several programs of one account change the rules in the same moment: none of them loses what another did.
#[test]
fn rules_that_programs_change_at_once_are_all_kept() {
    let server = OwnServer::start();
    let bob = Person::at(server.endpoints(), "bob");
    let people: Vec<_> = (0..8).map(|n| format!("p{n}@localhost")).collect();
    let adding: Vec<_> = people
        .iter()
        .flat_map(|person| [bob.start(&["policy", "add", "never", person]), bob.start(&["give", "add", "never", person])])
        .collect();
    adding.into_iter().for_each(|adding| drop(adding.wait().ok()));
    for command in ["policy", "give"] {
        let rules: Vec<_> = bob.run(&[command]).ok().all("rule").iter().map(|rule| rule["rule"].as_str().unwrap().to_owned()).collect();
        let missing: Vec<_> = people.iter().filter(|person| !rules.contains(&format!("never {person}"))).collect();
        assert!(missing.is_empty(), "{command}: {missing:?} of {rules:?}");
    }
}
