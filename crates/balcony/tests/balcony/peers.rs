//! Our clients at servers of others, and with clients of others: Prosody and ejabberd, slixmpp, go-sendxmpp, profanity.

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use testing_peers::{Endpoints, Instance, Peers, Server};

use crate::actors::{Person, patience, random_bytes, sha256};

/// The peers, or one counted line that says they are not here.
pub(crate) fn peers() -> Option<Peers> {
    Peers::available().map_err(testing_peers::Skipped::say).ok()
}

fn start(server: Server) -> Option<(Peers, Instance)> {
    let peers = peers()?;
    let instance = peers.start(server, &[]).unwrap();
    Some((peers, instance))
}

/// What lies at a URL, fetched by curl.
fn curl(server: &Endpoints, url: &str, into: &Path) {
    let mut curl = Command::new("curl");
    curl.args(["-sS", "--fail", "--noproxy", "*", "--cacert"]).arg(server.ca()).arg(url).arg("-o").arg(into);
    let fetched = curl.output().unwrap();
    assert!(fetched.status.success(), "{url}: {}", String::from_utf8_lossy(&fetched.stderr));
}

fn receive(person: &Person) -> Value {
    let done = person.run(&["receive", "--yes", "--count", "1", "--timeout", &patience()]).ok();
    done.event("saved")
}

/// Login by both ways, doctor, and a file between two of our clients, who are and are not there when it is sent.
fn our_clients_share_over(server: Server) {
    let Some((_peers, instance)) = start(server) else { return };
    let there = instance.endpoints();
    let (alice, bob) = (Person::new(), Person::new());
    let login = alice.login(there, "alice", &[]).ok().event("logged-in");
    assert!(login["mechanism"].as_str().unwrap().starts_with("SCRAM-SHA-"), "{login}");
    assert_eq!((&login["security"], &login["keys_kept"]), (&"STARTTLS".into(), &true.into()));
    let login = bob.login(there, "bob", &["--direct-tls"]).ok().event("logged-in");
    assert_eq!((&login["security"], &login["keys_kept"]), (&"direct TLS".into(), &true.into()));
    alice.login_with(&there.jid("alice"), "wrong", &there.starttls(), &there.ca(), &[]).exits(3);

    let doctor = alice.run(&["doctor"]).ok();
    let good: Vec<_> = doctor.all("finding").into_iter().filter(|finding| finding["mark"] == "good").collect();
    for about in ["encryption", "login", "upload", "resumption"] {
        assert!(good.iter().any(|finding| finding["about"] == about), "{about}: {}", doctor.out);
    }
    assert!(doctor.out.contains(there.get("UPLOAD_JID")), "{}", doctor.out);

    // Somebody who is there.
    let file = alice.file("élan vital.jpg", &random_bytes(2_000_000));
    let mut waiting = bob.start(&["receive", "--yes", "--count", "1", "--timeout", &patience()]);
    waiting.event("waiting");
    let sent = alice.run(&["send", "élan vital.jpg", "--to", &there.jid("bob"), "--describe", "A view", "--show-xml"]).ok();
    let xml = sent.event("offered")["xml"].as_str().unwrap().to_owned();
    for dialect in ["urn:xmpp:sfs:0", "urn:xmpp:sims:1", "jabber:x:oob", "<body>https://"] {
        assert!(xml.contains(dialect), "no {dialect} in {xml}");
    }
    let saved = waiting.event("saved");
    waiting.wait().ok();
    assert_eq!((&saved["name"], &saved["proven"]), (&"élan vital.jpg".into(), &true.into()));
    assert_eq!(saved["sha256"], sha256(&file).as_str());
    assert_eq!(sha256(&bob.folder().join("élan vital.jpg")), sha256(&file));

    // Somebody who is away, the other way round.
    let file = bob.file("answer.bin", &random_bytes(100_000));
    bob.run(&["send", "answer.bin", "--to", &there.jid("alice")]).ok();
    assert_eq!(receive(&alice)["sha256"], sha256(&file).as_str());
}

/// Proves: C6120-5-1, C6120-6-1, C6120-7-1, SIMS-5.1-2, SIMS-7-1.
#[test]
fn two_of_our_clients_share_a_file_over_prosody() {
    our_clients_share_over(Server::Prosody);
}

/// Proves: C6120-5-1, C6120-6-1, C6120-7-1, SIMS-5.1-2.
#[test]
fn two_of_our_clients_share_a_file_over_ejabberd() {
    our_clients_share_over(Server::Ejabberd);
}

/// slixmpp sends by each dialect alone; we receive, proven where there is a digest.
fn slixmpp_sends_to_us(peers: &Peers, there: &Endpoints) {
    let bob = Person::at(there, "bob");
    let folder = tempfile::tempdir().unwrap();
    for (command, proven) in [("send-sims", true), ("send-sfs", true), ("send-oob", false)] {
        let file = folder.path().join(format!("from slixmpp by {command}.bin"));
        std::fs::write(&file, random_bytes(300_000)).unwrap();
        let mut waiting = bob.start(&["receive", "--yes", "--count", "1", "--timeout", &patience()]);
        waiting.event("waiting");
        peers.slixmpp(there, "alice/tx").run(&[command, &there.jid("bob"), file.to_str().unwrap()]).unwrap();
        let saved = waiting.event("saved");
        waiting.wait().ok();
        assert_eq!((&saved["proven"], &saved["sha256"]), (&proven.into(), &sha256(&file).into()), "{command}");
        assert_eq!(sha256(&bob.folder().join(saved["path"].as_str().unwrap())), sha256(&file), "{command}");
        if proven {
            assert_eq!(saved["name"], file.file_name().unwrap().to_str().unwrap(), "{command}");
        }
    }
}

/// We send once; slixmpp hears all three dialects, and the bytes at the URL are those of the file.
fn slixmpp_hears_from_us(peers: &Peers, there: &Endpoints) {
    let alice = Person::at(there, "alice");
    let mut bob = peers.slixmpp(there, "bob/rx").listen().unwrap();
    let file = alice.file("for slixmpp.png", &random_bytes(300_000));
    let sent = alice.run(&["send", "for slixmpp.png", "--to", &there.jid("bob")]).ok().event("sent");
    let url = sent["url"].as_str().unwrap();
    let heard = bob.wait_for("our message", |event| event["event"] == "message" && event["xml"].as_str().unwrap().contains("sfs"));
    let xml = heard["xml"].as_str().unwrap();
    for said in ["urn:xmpp:sfs:0", "urn:xmpp:sims:1", "urn:xmpp:reference:0", "jabber:x:oob", "urn:xmpp:fallback:0"] {
        assert!(xml.contains(said), "no {said} in {xml}");
    }
    assert!(xml.matches(url).count() >= 4, "the link is in the body, in oob and in both sources: {xml}");
    let fetched = alice.folder().join("fetched");
    curl(there, url, &fetched);
    assert_eq!(sha256(&fetched), sha256(&file));
}

#[test]
fn slixmpp_and_we_share_files_both_ways_over_prosody() {
    let Some((peers, instance)) = start(Server::Prosody) else { return };
    slixmpp_sends_to_us(&peers, instance.endpoints());
    slixmpp_hears_from_us(&peers, instance.endpoints());
}

#[test]
fn slixmpp_and_we_share_files_both_ways_over_ejabberd() {
    let Some((peers, instance)) = start(Server::Ejabberd) else { return };
    slixmpp_sends_to_us(&peers, instance.endpoints());
    slixmpp_hears_from_us(&peers, instance.endpoints());
}

#[test]
fn slixmpp_and_we_share_files_both_ways_over_our_own_server() {
    let Some(peers) = peers() else { return };
    let server = crate::actors::OwnServer::start();
    slixmpp_sends_to_us(&peers, server.endpoints());
    slixmpp_hears_from_us(&peers, server.endpoints());
}

#[test]
fn go_sendxmpp_shows_our_file_as_a_link() {
    let Some((peers, instance)) = start(Server::Prosody) else { return };
    let there = instance.endpoints();
    let alice = Person::at(there, "alice");
    alice.file("for go.pdf", &random_bytes(50_000));
    let mut bob = peers.go_sendxmpp(there, "bob").listen().unwrap();
    let url = alice.run(&["send", "for go.pdf", "--to", &there.jid("bob")]).ok().event("sent")["url"].as_str().unwrap().to_owned();
    bob.wait_for("link", |line| line.contains(&url));
    // And what it uploads, we fetch.
    let file = alice.file("from go.bin", &random_bytes(50_000));
    let carol = Person::at(there, "carol");
    peers.go_sendxmpp(there, "alice").upload(&there.jid("carol"), &file).unwrap();
    assert_eq!(receive(&carol)["sha256"], sha256(&file).as_str());
}

#[test]
fn profanity_shows_our_file_as_a_link() {
    let Some((peers, instance)) = start(Server::Ejabberd) else { return };
    let there = instance.endpoints();
    let alice = Person::at(there, "alice");
    alice.file("p.pdf", &random_bytes(50_000));
    let bob = peers.profanity(there, "bob").unwrap();
    let url = alice.run(&["send", "p.pdf", "--to", &there.jid("bob")]).ok().event("sent")["url"].as_str().unwrap().to_owned();
    bob.type_line(&format!("/msg {}", there.jid("alice"))).unwrap();
    // Long links are wrapped.
    let shown = |screen: &str| screen.split_whitespace().collect::<String>().contains(&url);
    bob.wait_for_screen("link", shown);
}
