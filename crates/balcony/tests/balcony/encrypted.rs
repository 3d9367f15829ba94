//! Encrypted files from one account to another over our own server: fetched, opened, proven; and the key is nowhere else.

use std::path::PathBuf;

use balcony_wire::base64;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use serde_json::Value;

use crate::actors::{OwnServer, Person, patience, random_bytes, sha256};
use crate::crashes::{LARGE, held_midway};
use crate::gate::Gate;
use crate::hostile::{Carol, words};
use crate::process::{Done, balcony, run};

/// A file, encrypted by another library under a key of its own, and uploaded by Alice.
struct Sealed {
    key: Vec<u8>,
    iv: Vec<u8>,
    plain: PathBuf,
    size: usize,
    url: String,
}

impl Sealed {
    fn new(alice: &Person, name: &str, size: usize) -> Self {
        let (key, iv) = (random_bytes(32), random_bytes(12));
        let plain = random_bytes(size);
        let mut wire = plain.clone();
        let sealing = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key).unwrap());
        let nonce = Nonce::try_assume_unique_for_key(&iv).unwrap();
        sealing.seal_in_place_append_tag(nonce, Aad::empty(), &mut wire).unwrap();
        let plain = alice.file(name, &plain);
        alice.file("neutral.bin", &wire);
        let sent = alice.run(&["send", "neutral.bin", "--to", "alice@localhost"]).ok().event("sent");
        Self { key, iv, plain, size, url: sent["url"].as_str().unwrap().to_owned() }
    }

    fn share(&self, id: &str, url: &str) -> String {
        let digest: Vec<u8> = (0..32).map(|at| u8::from_str_radix(&sha256(&self.plain)[2 * at..2 * at + 2], 16).unwrap()).collect();
        format!(
            "<message xmlns='jabber:client' type='chat' to='bob@localhost' id='{id}'>\
             <file-sharing xmlns='urn:xmpp:sfs:0' disposition='inline'><file xmlns='urn:xmpp:file:metadata:0'><name>{id}.bin</name>\
             <size>{}</size><hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>{}</hash></file><sources>\
             <encrypted xmlns='urn:xmpp:esfs:0' cipher='urn:xmpp:ciphers:aes-256-gcm-nopadding:0'><key>{}</key><iv>{}</iv>\
             <sources xmlns='urn:xmpp:sfs:0'><url-data xmlns='http://jabber.org/protocol/url-data' target='{url}'/></sources></encrypted>\
             </sources></file-sharing></message>",
            self.size,
            base64::encode(digest),
            base64::encode(&self.key),
            base64::encode(&self.iv)
        )
    }

    fn link(&self, id: &str) -> String {
        let place = self.url.strip_prefix("https:").unwrap();
        let link = format!("aesgcm:{place}#{}{}", hex(&self.iv), hex(&self.key));
        format!("<message xmlns='jabber:client' type='chat' to='bob@localhost' id='{id}'><body>{link}</body></message>")
    }

    /// The key and the IV in every form that they could slip out in.
    fn forms(&self) -> Vec<String> {
        let all = |bytes: &[u8]| {
            [hex(bytes), hex(bytes).to_uppercase(), base64::encode(bytes), format!("{bytes:?}").trim_matches(['[', ']']).to_owned()]
        };
        [all(&self.key), all(&self.iv)].concat()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[track_caller]
fn tells_no_key(what: &str, done: &Done, sealed: &[&Sealed]) {
    for secret in sealed.iter().flat_map(|sealed| sealed.forms()) {
        assert!(!done.out.contains(&secret) && !done.err.contains(&secret), "{what}: {secret} in\n{}\n{}", done.out, done.err);
    }
}

/// With the most talkative log.
fn loud(bob: &Person, arguments: &[&str]) -> Done {
    run(balcony(bob.home()).args(["-vvv", "--json"]).args(arguments).current_dir(bob.folder()), b"")
}

/// Proves: ESFS-3.2-1, ESFS-3.2-3, USER-6-1, USER-6-2, SEC-4-3.
#[test]
fn encrypted_files_and_links_are_fetched_and_proven_and_the_key_is_shown_nowhere() {
    let server = OwnServer::start();
    let (alice, bob) = (Person::at(server.endpoints(), "alice"), Person::at(server.endpoints(), "bob"));
    let (first, second) = (Sealed::new(&alice, "first.bin", 3_000_001), Sealed::new(&alice, "second.bin", 70_000));
    let carol = Carol::at(&server, "phone");
    carol.say(&first.share("summit", &first.url));
    carol.say(&second.link("link"));
    carol.settle();
    let sealed = [&first, &second];
    let received = loud(&bob, &["receive", "--ask", "--count", "2", "--timeout", &patience()]);
    tells_no_key("receive", &received, &sealed);
    assert!(received.err.contains("logged in"), "the log is on: {}", received.err);
    for (number, sealed_one, name) in [("1", &first, "summit.bin"), ("2", &second, "neutral.bin")] {
        for words in [words(&bob, &["why", number]), loud(&bob, &["why", number]), words(&bob, &["list"]), loud(&bob, &["list"])] {
            tells_no_key("before", &words, &sealed);
        }
        let why = bob.run(&["why", number]).ok();
        assert!(why.event("attempt")["attempt"].as_str().unwrap().contains("encrypted with AES-256-GCM"), "{}", why.out);
        let fetched = loud(&bob, &["fetch", number, "--yes"]).ok();
        tells_no_key("fetch", &fetched, &sealed);
        let saved = fetched.event("saved");
        assert_eq!((&saved["proven"], &saved["name"]), (&Value::Bool(true), &Value::from(name)), "{saved}");
        assert_eq!(sha256(&bob.folder().join(saved["path"].as_str().unwrap())), sha256(&sealed_one.plain));
        tells_no_key("why, afterwards", &loud(&bob, &["why", number]), &sealed);
    }
    // What `explain` says about a source is written down: there, and only there, is the key.
    let explained = run(balcony(bob.home()).args(["explain", "--json"]), first.share("summit", &first.url).as_bytes()).ok();
    let explained: Value = serde_json::from_str(&explained.out).unwrap();
    assert_eq!(explained["shares"][0]["sources"][0]["key"], base64::encode(&first.key));
    for part in ["offers", "ignored", "shown_body", "body"] {
        let text = explained[part].to_string();
        assert!(first.forms().iter().all(|secret| !text.contains(secret)), "{part}: {text}");
    }
}

/// Proves: ESFS-3.2-D2.
#[test]
fn what_was_changed_at_the_server_is_named_and_leaves_nothing() {
    let server = OwnServer::start();
    let (alice, bob) = (Person::at(server.endpoints(), "alice"), Person::at(server.endpoints(), "bob"));
    let (first, other) = (Sealed::new(&alice, "first.bin", 50_000), Sealed::new(&alice, "other.bin", 50_000));
    let carol = Carol::at(&server, "phone");
    // The right key, and bytes that another one encrypted.
    carol.say(&first.share("summit", &other.url));
    carol.settle();
    let received = bob.run(&["receive", "--yes", "--count", "1", "--timeout", &patience()]);
    let failed = received.event("source-failed");
    assert!(failed["why"].as_str().unwrap().contains("without the right tag"), "{failed}");
    assert_eq!(received.code, 8, "{}", received.out);
    tells_no_key("receive", &received, &[&first, &other]);
    assert_eq!(bob.names(), Vec::<String>::new());
    let why = bob.run(&["why", "1"]);
    assert_eq!(why.event("tried")["outcome"], "wrong-tag");
    assert_eq!(why.event("left-out")["reason"], "failed");
    tells_no_key("why", &why, &[&first, &other]);
}

/// The tag is about all encrypted bytes, and only plain ones lie there after a crash.
///
/// Proves: USER-2-3.
#[test]
fn an_encrypted_fetch_that_was_killed_goes_on_where_it_stopped_and_is_proven() {
    let server = OwnServer::start();
    let gate = Gate::start();
    let (alice, bob) = (Person::at(server.endpoints(), "alice"), gate.behind(server.endpoints(), "bob"));
    let film = Sealed::new(&alice, "film.mkv", LARGE);
    let carol = Carol::at(&server, "phone");
    carol.say(&film.share("film", &film.url));
    carol.settle();
    let receive = || bob.start(&["receive", "--yes", "--count", "1", "--timeout", &patience()]);
    held_midway(&server, &gate, bob.home(), receive).kill();
    gate.open();
    assert_eq!(bob.names(), [""; 0], "nothing half-written under a final name");
    let received = bob.run(&["receive", "--yes", "--count", "1", "--timeout", &patience()]).ok();
    let asking = received.all("asking");
    assert!(asking.len() == 1 && asking[0]["from_byte"].as_u64().unwrap() > 0, "it began anew: {asking:?}");
    assert_eq!(received.event("saved")["proven"], true);
    assert_eq!(sha256(&bob.folder().join("film.bin")), sha256(&film.plain));
    tells_no_key("receive", &received, &[&film]);
}
