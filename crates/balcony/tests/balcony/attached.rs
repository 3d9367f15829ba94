//! `balcony receive` when others say later, or sooner, where a file is: Dino's way, said by slixmpp, over several servers.

use serde_json::Value;
use testing_peers::{Endpoints, Peers, Server};

use crate::actors::{OwnServer, Person, patience, random_bytes, sha256};
use crate::peers::peers;

/// A file of Alice's that her server has, and the metadata that offer it.
struct Uploaded {
    sha256: String,
    url: String,
    file: String,
}

/// Everybody at one server.
struct Scene<'a> {
    peers: &'a Peers,
    there: &'a Endpoints,
    bob: Person,
}

impl Uploaded {
    fn new(there: &Endpoints) -> Self {
        let alice = Person::at(there, "alice");
        let path = alice.file("a.bin", &random_bytes(50_000));
        let sent = alice.run(&["send", "a.bin", "--to", &there.jid("alice"), "--show-xml"]).ok();
        let xml = sent.event("offered")["xml"].as_str().unwrap().to_owned();
        let digest = xml.split_once("sha-256").and_then(|(_, rest)| rest.split_once('>')?.1.split_once('<')).unwrap().0;
        let file = format!(
            "<file xmlns='urn:xmpp:file:metadata:0'><name>a.bin</name><media-type>image/png</media-type><size>50000</size>\
             <hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>{digest}</hash></file>"
        );
        Self { sha256: sha256(&path), url: sent.event("sent")["url"].as_str().unwrap().to_owned(), file }
    }

    /// As Dino shares: neither body nor sources.
    fn share(&self, to: &str, id: &str) -> String {
        format!(
            "<message type='chat' to='{to}' id='{id}'><file-sharing xmlns='urn:xmpp:sfs:0' disposition='inline' id='0'>{}</file-sharing></message>",
            self.file
        )
    }
}

/// As Dino attaches: the link as body, out of band, and as source.
fn attach(to: &str, id: &str, message: &str, url: &str) -> String {
    format!(
        "<message type='chat' to='{to}' id='{id}'><body>{url}</body><x xmlns='jabber:x:oob'><url>{url}</url></x>\
         <attach-to xmlns='urn:xmpp:message-attaching:1' id='{message}'/><sources xmlns='urn:xmpp:sfs:0' id='0'>\
         <url-data xmlns='http://jabber.org/protocol/url-data' target='{url}'/></sources></message>"
    )
}

impl<'a> Scene<'a> {
    /// Bob has Alice among his contacts: what she shares is fetched unasked.
    fn new(peers: &'a Peers, there: &'a Endpoints) -> Self {
        let scene = Self { peers, there, bob: Person::at(there, "bob") };
        let alice = there.jid("alice");
        scene.say("bob/tx", &format!("<iq type='set' id='r1'><query xmlns='jabber:iq:roster'><item jid='{alice}'/></query></iq>"));
        scene
    }

    /// One of them says so.
    fn say(&self, who: &str, xml: &str) {
        self.peers.slixmpp(self.there, who).run(&["raw", xml, "0"]).unwrap();
    }

    fn to_bob(&self) -> String {
        self.there.jid("bob")
    }

    fn why(&self, offer: &Value) -> crate::process::Done {
        self.bob.run(&["why", &offer["offer"].to_string()]).ok()
    }
}

/// The share first, the link later, and nobody is asked anything.
fn says_later(scene: &Scene<'_>, file: &Uploaded) {
    let mut waiting = scene.bob.start(&["receive", "--count", "1", "--into", ".", "--overwrite", "--timeout", &patience()]);
    waiting.event("waiting");
    scene.say("alice/dino", &file.share(&scene.to_bob(), "m1"));
    let pending = waiting.event("pending");
    // A stranger knows the id and says where it is: in her conversation with Bob there is no such message.
    scene.say("carol/evil", &attach(&scene.to_bob(), "x1", "m1", "https://evil.example/a.bin"));
    scene.say("alice/dino", &attach(&scene.to_bob(), "m2", "m1", &file.url));
    assert_eq!(waiting.event("source")["offer"], pending["offer"]);
    let saved = waiting.event("saved");
    waiting.wait().ok();
    assert_eq!((&saved["proven"], &saved["sha256"]), (&true.into(), &file.sha256.as_str().into()));
    assert_eq!(sha256(&scene.bob.folder().join("a.bin")), file.sha256);
    let why = scene.why(&saved);
    assert!(!why.out.contains("evil.example"), "{}", why.out);
}

/// The link first, the share later: as archives may tell it.
fn says_sooner(scene: &Scene<'_>, file: &Uploaded) {
    scene.say("alice/dino", &(attach(&scene.to_bob(), "n2", "n1", &file.url) + &file.share(&scene.to_bob(), "n1")));
    let done = scene.bob.run(&["receive", "--count", "1", "--overwrite", "--timeout", &patience()]).ok();
    assert_eq!(done.event("saved")["sha256"], file.sha256.as_str());
    assert_eq!((done.all("pending").len(), done.all("offer").len()), (0, 1), "{}", done.out);
}

/// Our own phone says where it is, not the sender: that is told apart, and a stranger's host is still a question.
fn our_phone_says(scene: &Scene<'_>, file: &Uploaded) {
    let mut waiting = scene.bob.start(&["receive", "--count", "1", "--timeout", &patience()]);
    waiting.event("waiting");
    scene.say("alice/dino", &file.share(&scene.to_bob(), "p1"));
    let pending = waiting.event("pending");
    scene.say("bob/tx", &attach(&scene.there.jid("alice"), "p2", "p1", "https://mirror.example/a.bin"));
    assert_eq!(waiting.event("source")["offer"], pending["offer"]);
    waiting.wait().exits(10);
    let why = scene.why(&pending);
    let attempt = why.event("attempt");
    assert!(attempt["attempt"].as_str().unwrap().contains("https://mirror.example/a.bin"), "{attempt}");
    assert_eq!(attempt["named_by"], format!("{}/tx", scene.to_bob()).as_str());
}

fn both_ways(there: &Endpoints, peers: &Peers) {
    let scene = Scene::new(peers, there);
    says_later(&scene, &Uploaded::new(there));
    says_sooner(&scene, &Uploaded::new(there));
}

/// Proves: SFS-3.2-4, SFS-3.3-D1, SFS-3.3-D3.
#[test]
fn a_file_shared_as_dino_does_is_fetched_unasked_over_our_own_server() {
    let Some(peers) = peers() else { return };
    let server = OwnServer::start();
    both_ways(server.endpoints(), &peers);
}

/// Proves: SFS-3.2-4, SFS-3.3-D1, SFS-3.3-D3, ATT-4.2-1, ATT-5-1.
#[test]
fn a_file_shared_as_dino_does_is_fetched_unasked_over_prosody() {
    let Some(peers) = peers() else { return };
    let instance = peers.start(Server::Prosody, &[]).unwrap();
    both_ways(instance.endpoints(), &peers);
    // Our own server makes no copies for other devices yet.
    our_phone_says(&Scene::new(&peers, instance.endpoints()), &Uploaded::new(instance.endpoints()));
}
