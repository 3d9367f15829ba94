//! Who gets what, with a store and no network.

use std::path::Path;
use std::time::SystemTime;

use balcony_sharing::verify::{Hasher, SHARED_ALGOS};
use balcony_sharing::{Hashed, Received, dialect};
use balcony_store::{FileRef, LiveShare, NewOffer, OutboxState, Outgoing};
use balcony_wire::hashes::Hash;
use balcony_wire::roster::RosterItem;
use balcony_wire::{Message, Payload as _, Stanza};

use super::*;

const ROMEO: &str = "romeo@montague.example";
const JULIET: &str = "juliet@capulet.example/balcony";

struct Scene {
    giver: Giver,
    folder: tempfile::TempDir,
}

fn jid(text: &str) -> Jid {
    Jid::parse(text).unwrap()
}

fn hashed(bytes: &[u8]) -> Hashed {
    let mut hasher = Hasher::new(SHARED_ALGOS);
    hasher.update(bytes);
    hasher.finish()
}

fn by_hash(bytes: &[u8]) -> Asked {
    let hashes = hashed(bytes).digests().iter().cloned().map(Hash::from).collect();
    Asked::ByFile(Box::new(FileMetadata { hashes, ..FileMetadata::default() }))
}

fn named(name: &str, size: Option<u64>) -> Asked {
    Asked::ByFile(Box::new(FileMetadata { name: Some(name.to_owned()), size, ..FileMetadata::default() }))
}

impl Scene {
    /// Romeo knows Juliet and the nurse.
    fn new() -> Self {
        let contacts = Contacts::from_items(["juliet@capulet.example", "nurse@capulet.example"].map(|name| RosterItem::new(jid(name))));
        let giver = Giver::new(Store::in_memory().unwrap(), ROMEO.parse().unwrap(), watch::channel(Arc::new(contacts)).1);
        Self { giver, folder: tempfile::tempdir().unwrap() }
    }

    fn store(&self) -> &Store {
        &self.giver.store
    }

    fn rules(&self, text: &str) {
        self.store().set_setting(&format!("giving {ROMEO}"), Some(text)).unwrap();
    }

    fn file(&self, name: &str, bytes: &[u8]) -> std::path::PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn share(&self, path: &Path, bytes: &[u8], reach: Reach, told: &[&str]) {
        let file = FileMetadata { name: Some("summit.jpg".to_owned()), size: Some(bytes.len() as u64), ..FileMetadata::default() };
        let share = LiveShare {
            account: ROMEO.parse().unwrap(),
            published: "9559976B".to_owned(),
            file: FileRef::Path(path.to_owned()),
            stamp: Some(FileStamp::of(&std::fs::metadata(path).unwrap())),
            size: bytes.len() as u64,
            description: file.write().to_xml(),
            digests: hashed(bytes).digests().clone(),
            reach: Some(reach),
            told: told.iter().map(|person| person.parse().unwrap()).collect(),
            made_at: SystemTime::now(),
            lives_until: SystemTime::now() + Duration::from_secs(60),
        };
        self.store().share_live(&share).unwrap();
    }

    /// As if it had been sent, by a link.
    fn sent(&self, to: &str, path: &Path, bytes: &[u8]) {
        self.said(to, path, bytes, "<url-data xmlns='http://jabber.org/protocol/url-data' target='https://a.example/'/>");
    }

    fn said(&self, to: &str, path: &Path, bytes: &[u8], sources: &str) {
        let account: BareJid = ROMEO.parse().unwrap();
        let hashes: String = hashed(bytes).digests().iter().cloned().map(|digest| Hash::from(digest).write().to_xml()).collect();
        let xml = format!(
            "<message xmlns='jabber:client' to='{to}' type='chat' id='m'><file-sharing xmlns='urn:xmpp:sfs:0'><file xmlns='urn:xmpp:file:metadata:0'>\
             <name>a.txt</name><size>{}</size>{hashes}</file><sources>{sources}</sources></file-sharing></message>",
            bytes.len()
        );
        let Stanza::Message(message) = Stanza::read(balcony_wire::Element::parse(&xml).unwrap()).unwrap() else { panic!("no message") };
        let offer = dialect::read(&Received::<Message>::own(message, &account)).offers.remove(0);
        self.store().add_offer(&NewOffer::new(&offer, xml, SystemTime::now()).own()).unwrap();
        let row = Outgoing::preparing(account, "m".to_owned(), jid(to), vec![FileRef::Path(path.to_owned())], SystemTime::now());
        self.store().add_outgoing(&Outgoing { state: OutboxState::Sending, stanza: Some(String::new()), ..row }).unwrap();
    }

    fn asks(&self, who: &str, asked: &Asked) -> Result<Gift, NotGiven> {
        self.giver.look_now(&jid(who), asked).unwrap()
    }
}

/// Proves: JFT-D-2, JPUB-D-3, JPUB-2.2-3.
#[test]
fn a_live_share_goes_to_whom_it_was_told_of_and_to_own_devices() {
    let scene = Scene::new();
    let path = scene.file("summit.jpg", b"the summit");
    scene.share(&path, b"the summit", Reach::Direct, &["juliet@capulet.example"]);
    let published = Asked::Published("9559976B".to_owned());
    for asked in [published.clone(), by_hash(b"the summit"), named("summit.jpg", Some(10))] {
        for who in [JULIET, "romeo@montague.example/phone"] {
            let gift = scene.asks(who, &asked).unwrap_or_else(|_| panic!("{who} {asked:?}"));
            assert_eq!((gift.size, gift.reach, gift.share.as_deref()), (10, Reach::Direct, Some("9559976B")));
            assert_eq!((gift.file.name.as_deref(), gift.file.hashes.len()), (Some("summit.jpg"), 2));
            let mut bytes = Vec::new();
            io::Read::read_to_end(&mut gift.open(scene.store()).unwrap(), &mut bytes).unwrap();
            assert_eq!(bytes, b"the summit");
        }
        let refused = |who| scene.asks(who, &asked);
        assert_eq!(refused("mallory@evil.example/x").unwrap_err(), NotGiven::Unknown, "{asked:?}");
        let known = if matches!(asked, Asked::Published(_)) { NotGiven::Forbidden } else { NotGiven::Unknown };
        assert_eq!(refused("nurse@capulet.example/x").unwrap_err(), known, "{asked:?}");
    }
    scene.rules("never juliet@capulet.example\ngive everybody");
    assert_eq!(scene.asks(JULIET, &published).unwrap_err(), NotGiven::Forbidden, "the announcement gives no right by itself");
    scene.rules("give everybody");
    scene.store().end_share(&ROMEO.parse().unwrap(), "9559976B").unwrap();
    assert_eq!(scene.asks(JULIET, &published).unwrap_err(), NotGiven::Unknown);
    assert!(scene.asks(JULIET, &by_hash(b"the summit")).is_err());
}

/// Proves: JFT-9.1-1, JFT-D-2.
#[tokio::test]
async fn what_is_not_for_somebody_and_what_is_not_there_take_the_same_time() {
    let scene = Scene::new();
    let path = scene.file("summit.jpg", b"the summit");
    scene.share(&path, b"the summit", Reach::Direct, &["juliet@capulet.example"]);
    for (who, asked) in [
        ("mallory@evil.example/x", by_hash(b"the summit")),
        ("mallory@evil.example/x", by_hash(b"nothing that is here")),
        (JULIET, by_hash(b"nothing that is here")),
        ("mallory@evil.example/x", Asked::Published("9559976B".to_owned())),
        ("mallory@evil.example/x", Asked::Published("none".to_owned())),
    ] {
        let began = Instant::now();
        assert_eq!(scene.giver.look(&jid(who), asked.clone()).await.unwrap_err(), NotGiven::Unknown);
        assert!(began.elapsed() >= EVEN, "{asked:?}");
    }
}

#[test]
fn a_refusal_comes_at_the_next_stroke() {
    let began = Instant::now();
    let at = |millis: u64| evenly(began, began + Duration::from_millis(millis)).duration_since(began).as_millis();
    assert_eq!([at(0), at(1), at(49), at(50), at(225)], [50, 50, 50, 100, 250]);
}

/// Proves: S5J-6.1-1, JIN-13-1.
#[test]
fn the_address_is_shown_as_it_was_shared_or_ruled() {
    let scene = Scene::new();
    let path = scene.file("summit.jpg", b"the summit");
    let reach = |asked: Asked| scene.asks(JULIET, &asked).unwrap().reach;
    scene.sent("juliet@capulet.example", &path, b"the summit");
    assert_eq!(reach(by_hash(b"the summit")), Reach::Relay, "nobody said yes");
    scene.rules("give contacts directly at 2 MiB/s");
    assert_eq!(reach(by_hash(b"the summit")), Reach::Direct);
    assert_eq!(scene.asks(JULIET, &by_hash(b"the summit")).unwrap().rate, Some(2 << 20));
    scene.share(&path, b"the summit", Reach::Relay, &["juliet@capulet.example"]);
    assert_eq!(reach(by_hash(b"the summit")), Reach::Relay, "relay only was said of it");
    scene.share(&path, b"the summit", Reach::Direct, &["juliet@capulet.example"]);
    scene.rules("give everybody by relay");
    assert_eq!(reach(by_hash(b"the summit")), Reach::Relay);
}

/// Proves: JFT-D-2.
#[test]
fn a_file_that_was_sent_goes_by_hash_to_whom_it_was_sent_as_long_as_it_is_that_file() {
    let scene = Scene::new();
    let path = scene.file("a.txt", b"first");
    scene.sent("juliet@capulet.example", &path, b"first");
    assert!(scene.asks(JULIET, &by_hash(b"first")).is_ok());
    assert!(scene.asks(JULIET, &named("a.txt", None)).is_ok());
    assert!(scene.asks(JULIET, &named("b.txt", None)).is_err());
    assert!(scene.asks("romeo@montague.example/phone", &by_hash(b"first")).is_ok());
    for who in ["nurse@capulet.example/x", "mallory@evil.example/x"] {
        for asked in [by_hash(b"first"), named("a.txt", None)] {
            assert!(scene.asks(who, &asked).is_err(), "{who} {asked:?}");
        }
    }
    std::fs::write(&path, b"other").unwrap();
    assert!(scene.asks(JULIET, &by_hash(b"first")).is_err(), "it is another file by now");
    std::fs::remove_file(&path).unwrap();
    assert!(scene.asks(JULIET, &by_hash(b"first")).is_err());
}

#[test]
fn a_live_share_that_somebody_wrote_to_is_not_there() {
    let scene = Scene::new();
    let path = scene.file("summit.jpg", b"the summit");
    scene.share(&path, b"the summit", Reach::Direct, &["juliet@capulet.example"]);
    std::fs::write(&path, b"another summit").unwrap();
    let mut events = scene.giver.events();
    for asked in [Asked::Published("9559976B".to_owned()), by_hash(b"the summit"), named("summit.jpg", None)] {
        assert_eq!(scene.asks(JULIET, &asked).unwrap_err(), NotGiven::Unknown);
        let event = events.try_recv().unwrap();
        assert!(matches!(event.step, GivingStep::Failed { .. }) && event.share.is_some(), "who shares it is told: {event:?}");
    }
}

#[test]
fn whole_files_of_the_store_go_to_own_devices_and_to_others_by_a_rule_alone() {
    let scene = Scene::new();
    let mut staging = scene.store().stage(balcony_store::JobId::random(), balcony_store::Sidecar::default()).unwrap();
    staging.append(b"kept").unwrap();
    scene.store().commit(staging, &hashed(b"kept")).unwrap();
    assert!(scene.asks("romeo@montague.example/phone", &by_hash(b"kept")).is_ok());
    assert!(scene.asks(JULIET, &by_hash(b"kept")).is_err());
    scene.rules("give contacts even unoffered up to 3\ngive strangers");
    assert!(scene.asks(JULIET, &by_hash(b"kept")).is_err());
    scene.rules("give contacts even unoffered up to 4");
    assert!(scene.asks(JULIET, &by_hash(b"kept")).is_ok());
    assert!(scene.asks(JULIET, &named("kept", Some(4))).is_err(), "only who knows a digest");
    scene.rules("give contacts what nobody understands");
    assert!(scene.asks("romeo@montague.example/phone", &by_hash(b"kept")).is_err(), "without rules nothing is given");
}

#[test]
fn what_is_shared_with_one_is_given_to_another_by_a_rule_only_if_they_know_a_digest() {
    let scene = Scene::new();
    let path = scene.file("summit.jpg", b"the summit");
    scene.share(&path, b"the summit", Reach::Direct, &["juliet@capulet.example"]);
    scene.rules("give contacts even unoffered");
    let nurse = "nurse@capulet.example/x";
    let gift = scene.asks(nurse, &by_hash(b"the summit")).unwrap();
    assert_eq!(gift.reach, Reach::Relay, "the address was shown to Juliet alone");
    let size = FileMetadata { size: Some(10), ..FileMetadata::default() };
    for asked in [named("summit.jpg", Some(10)), named("summit.jpg", None), Asked::ByFile(Box::new(size))] {
        assert_eq!(scene.asks(nurse, &asked).unwrap_err(), NotGiven::Unknown, "{asked:?}");
        assert!(scene.asks(JULIET, &asked).is_ok(), "{asked:?}");
    }
}

/// Proves: JFT-D-2.
#[test]
fn what_was_shared_live_is_not_given_by_its_hash_once_that_has_ended() {
    let scene = Scene::new();
    let path = scene.file("a.txt", b"first");
    let live = format!("<jinglepub xmlns='urn:xmpp:jinglepub:1' from='{ROMEO}/balcony' id='1'/>");
    scene.said("juliet@capulet.example", &path, b"first", &live);
    for who in [JULIET, "romeo@montague.example/phone"] {
        assert_eq!(scene.asks(who, &by_hash(b"first")).unwrap_err(), NotGiven::Unknown);
    }
}
