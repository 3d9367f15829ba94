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

    // Nobody: what comes back is told, not taken for success.
    alice.file("lost.txt", b"is anybody there?");
    let lost = alice.run(&["send", "lost.txt", "--to", &there.jid("nobody")]).exits(6);
    assert!(lost.event("failed")["error"].as_str().unwrap().contains("nobody@"), "{}", lost.out);

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

/// Digests of bytes that nobody here has.
const ELSEWHERE: [&str; 2] = ["2XDHbSpXqDb9aoULcyoMlNxNVYnwyJJ3PMdzz4lsDFY=", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="];

/// What a hostile client says about a file: a share as XEP-0447 has it, with any name, size and place.
fn share(id: usize, name: &str, size: usize, url: &str, sha256: &str) -> String {
    format!(
        "<message to='bob@localhost' type='chat' id='{id}'><file-sharing xmlns='urn:xmpp:sfs:0' disposition='inline'>\
         <file xmlns='urn:xmpp:file:metadata:0'><media-type>image/png</media-type><name>{name}</name><size>{size}</size>\
         <hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>{sha256}</hash></file><sources>\
         <url-data xmlns='http://jabber.org/protocol/url-data' target='{url}'/></sources></file-sharing></message>"
    )
}

/// Proves: SFS-6-D3, SFS-6-D4.
#[test]
fn a_hostile_client_reaches_no_path_and_no_private_address_and_lies_about_no_size() {
    let Some(peers) = peers() else { return };
    let server = crate::actors::OwnServer::start();
    let there = server.endpoints();
    let (alice, bob) = (Person::at(there, "alice"), Person::at(there, "bob"));
    let mallory = peers.slixmpp(there, "carol/evil");
    let receive =
        |count: usize| bob.run(&["receive", "--yes", "--count", &count.to_string(), "--into", "in/ner", "--timeout", &patience()]);
    alice.file("real.png", &random_bytes(1_000));
    let sent = alice.run(&["send", "real.png", "--to", "alice@localhost", "--show-xml"]).ok();
    let (url, xml) = (sent.event("sent")["url"].as_str().unwrap().to_owned(), sent.event("offered")["xml"].as_str().unwrap().to_owned());
    let digest = xml.split_once("sha-256").and_then(|(_, rest)| rest.split_once('>')?.1.split_once('<')).unwrap().0;

    // Names that would leave the folder, hide, or deceive.
    let long = "x".repeat(600);
    let names =
        ["../../escaped.png", "/tmp/escaped.png", "..", ".bashrc", "a\u{202e}gnp.exe", "new&#10;line.png", "con", "x/y.png", "~", &long];
    let inner = bob.folder().join("in/ner");
    std::fs::create_dir_all(&inner).unwrap();
    for (id, name) in names.iter().enumerate() {
        mallory.run(&["raw", &share(id, name, 1_000, &url, digest), "0"]).unwrap();
    }
    receive(names.len()).ok();
    let saved: Vec<_> = std::fs::read_dir(&inner).unwrap().map(|entry| entry.unwrap()).collect();
    assert_eq!(saved.len(), names.len(), "{saved:?}");
    for entry in saved {
        let name = entry.file_name().into_string().unwrap();
        assert!(entry.file_type().unwrap().is_file() && !name.starts_with('.') && name.len() <= 255, "{name}");
        assert!(!name.chars().any(|c| c.is_control() || c == '\u{202e}'), "{name:?}");
    }
    assert_eq!(bob.names(), ["in"], "nothing beside the folder");

    // Places that are none of the sender's business, and one that would notice.
    let trap = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    trap.set_nonblocking(true).unwrap();
    let port = trap.local_addr().unwrap().port();
    let urls = [
        format!("https://127.0.0.1:{port}/x"),
        format!("http://127.0.0.1:{port}/x"),
        format!("https://[::ffff:127.0.0.1]:{port}/x"),
        format!("https://carol:pw@localhost:{port}/x"),
        "file:///etc/passwd".to_owned(),
        "https://169.254.169.254/x".to_owned(),
    ];
    for (id, url) in urls.iter().enumerate() {
        mallory.run(&["raw", &share(100 + id, "trap.png", 1_000, url, ELSEWHERE[0]), "0"]).unwrap();
    }
    receive(urls.len()).exits(10);
    assert!(trap.accept().is_err(), "the trap was asked");

    // More bytes than announced, and a digest of others.
    mallory.run(&["raw", &share(200, "small.png", 10, &url, ELSEWHERE[1]), "0"]).unwrap();
    let too_long = receive(1);
    assert!([7, 8].contains(&too_long.code), "{too_long:?}");
    assert_eq!(std::fs::read_dir(&inner).unwrap().count(), names.len(), "nothing more came into the folder");
}

/// Proves: USER-7-3.
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
