//! Giving: announced first, attached later, uploaded once for many, taken up where it stopped.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use balcony_client::{
    Account, AttachError, CataloguedOffer, FetchError, FileToShare, Place, Resumed, Sent, ShareError, ShareEvent, ShareProgress, Wish,
};
use balcony_client::{Decision, OfferState, Offers, Store};
use balcony_session::Security;
use balcony_store::{Change, FileRef, Listing, OutboxState};
use balcony_wire::attaching::AttachTo;
use balcony_wire::fallback::Fallback;
use balcony_wire::file_sharing::{FileSharing, SourceElement, Sources};
use balcony_wire::hints::Hint;
use balcony_wire::out_of_band::Oob;
use balcony_wire::stanza::MessageKind;
use balcony_wire::stanza_ids::OriginId;
use balcony_wire::{Jid, Message, ns};
use testing_peers::web::{Manner, Web};
use tokio::time::timeout;

use crate::scene::{Scene, connect, noise};
use crate::sharing::{fetch, file, juliet};

const PATIENCE: Duration = Duration::from_secs(60);

fn payload<P: balcony_wire::Payload>(message: &Message) -> P {
    message.payload::<P>().unwrap_or_else(|| panic!("no {}: {message:?}", P::NAME)).unwrap()
}

async fn next(offers: &mut Offers) -> CataloguedOffer {
    timeout(PATIENCE, offers.next()).await.unwrap().unwrap()
}

/// The next that is told of this file.
async fn told_of(offers: &mut Offers, name: &str) -> CataloguedOffer {
    loop {
        let offer = next(offers).await;
        if offer.name().as_str() == name && offer.sources().next().is_some() {
            return offer;
        }
    }
}

async fn resume(account: &Account) -> Resumed {
    loop {
        let resumed = timeout(PATIENCE, account.resume_outbox()).await.unwrap().unwrap();
        if !resumed.busy {
            return resumed;
        }
        tokio::task::yield_now().await;
    }
}

/// Waits for an event, and stops there.
async fn until(progress: &mut ShareProgress, is: impl Fn(&ShareEvent) -> bool) {
    while let Some(event) = timeout(PATIENCE, progress.next()).await.unwrap() {
        if is(&event) {
            return;
        }
        assert!(!matches!(event, ShareEvent::Ended(_)), "{event:?}");
    }
    panic!("it ended before");
}

fn states(account: &Account) -> BTreeMap<&'static str, usize> {
    let mut states = BTreeMap::new();
    for state in [OutboxState::Preparing, OutboxState::Ready, OutboxState::Sending, OutboxState::Sent, OutboxState::Failed] {
        let rows = account.store().outbox(account.jid(), state, 1000).unwrap();
        if !rows.is_empty() {
            states.insert(state.as_str(), rows.len());
        }
    }
    states
}

/// The announcement has no source and no body; the message behind it attaches the source, and is what plain clients show.
///
/// Proves: SFS-3.3-4, SFS-3.3-5, SFS-3.3-7, SFS-3.3-8, SFS-3.3-9, SFS-3.3-10, SFS-3.3-11, ATT-4.1-3, ATT-4.3-1, ATT-4.3-2, ATT-D-1.
#[tokio::test]
async fn a_file_is_announced_before_it_is_uploaded_and_its_link_is_attached() {
    let scene = Scene::new().await;
    let (romeo, juliet_account) = (scene.connect("romeo").await, scene.connect("juliet").await);
    let mut offers = juliet_account.offers();
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder, "summit.jpg", &noise(300_000));
    let mut progress = romeo.share(&path).announce_first().to(&juliet()).progress();
    let mut seen = Vec::new();
    let sent = loop {
        match timeout(PATIENCE, progress.next()).await.unwrap().unwrap() {
            ShareEvent::Hashing { .. } => seen.push("hashing"),
            ShareEvent::Announcing { .. } => seen.push("announcing"),
            ShareEvent::Uploaded { .. } => seen.push("uploaded"),
            ShareEvent::Ended(done) => break done.unwrap(),
            _ => {}
        }
    };
    assert_eq!(seen, ["hashing", "announcing", "uploaded"]);

    let [announced, attached] = &sent.messages[..] else { panic!("{:?}", sent.messages) };
    let share: FileSharing = payload(announced);
    assert_eq!(share.sources, Some(Vec::new()), "an empty list: Moxxy throws on none");
    assert!(announced.body().is_none() && announced.payload::<Oob>().is_none());
    assert_eq!(payload::<Hint>(announced), Hint::Store);
    assert_eq!(announced.kind, MessageKind::Chat);

    let sources: Sources = payload(attached);
    let url = sent.files[0].url.clone().unwrap();
    assert_eq!(payload::<AttachTo>(attached).id, payload::<OriginId>(announced).id);
    assert_eq!(sources.id, share.id);
    assert!(matches!(&sources.sources[..], [SourceElement::Url(data)] if data.target == url));
    assert_eq!(attached.body(), Some(url.clone()));
    assert_eq!(payload::<Oob>(attached).url, url);
    assert_eq!(payload::<Fallback>(attached), Fallback::whole_body(ns::SFS));
    assert!(attached.id.is_some() && attached.id != announced.id);

    let offer = told_of(&mut offers, "summit.jpg").await;
    assert!(fetch(&juliet_account, &offer).await.is_proven());
    assert_eq!(juliet_account.store().offers(Listing::All, None, 10).unwrap().len(), 1, "one file, one offer");
    let own = romeo.store().offers(Listing::All, None, 10).unwrap();
    let own = romeo.fetcher().offer(own[0].key).await.unwrap().unwrap();
    assert_eq!(own.sources().filter_map(|source| source.plain_url()).collect::<Vec<_>>(), [url]);
    assert_eq!(states(&romeo), BTreeMap::from([("sent", 2)]));
}

/// Several files with words: one announcement, and a message for each file.
#[tokio::test]
async fn several_files_are_announced_at_once_and_attached_one_by_one() {
    let scene = Scene::new().await;
    let (romeo, juliet_account) = (scene.connect("romeo").await, scene.connect("juliet").await);
    let mut offers = juliet_account.offers();
    let folder = tempfile::tempdir().unwrap();
    let (one, two, none) = (file(&folder, "one.txt", b"first"), file(&folder, "two.txt", b"second"), file(&folder, "none", b""));
    let sent = romeo.share(one).and(two).and(none).text("Both of them").announce_first().to(&juliet()).await.unwrap();
    assert_eq!(sent.messages.len(), 3, "an empty file needs no place");
    assert_eq!(sent.files.iter().map(|file| file.url.is_some()).collect::<Vec<_>>(), [true, true, false]);
    let targets: BTreeSet<String> = sent.messages[1..].iter().map(|message| payload::<AttachTo>(message).id).collect();
    assert_eq!(targets, BTreeSet::from([sent.messages[0].id.clone().unwrap()]));
    for name in ["one.txt", "two.txt"] {
        assert!(fetch(&juliet_account, &told_of(&mut offers, name).await).await.is_proven());
    }
}

#[tokio::test]
async fn what_was_announced_before_a_crash_is_attached_after_it_once() {
    let scene = Scene::new().await;
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path().join("store")).unwrap();
    let romeo = Account::connect(scene.options("romeo", Security::StartTls), store.clone()).await.unwrap();
    let juliet_account = scene.connect("juliet").await;
    let mut offers = juliet_account.offers();
    let path = file(&folder, "large.bin", &noise(20_000_000));
    let mut progress = romeo.share(&path).announce_first().to(&juliet()).progress();
    until(&mut progress, |event| matches!(event, ShareEvent::Offered { .. })).await;
    drop(progress);
    assert_eq!(states(&romeo), BTreeMap::from([("preparing", 1), ("sent", 1)]));
    assert!(next(&mut offers).await.sources().next().is_none());
    romeo.close().await;

    let romeo = Account::connect(scene.options("romeo", Security::StartTls), store).await.unwrap();
    let resumed = resume(&romeo).await;
    assert_eq!((resumed.sent.len(), resumed.failed.len()), (1, 0), "{resumed:?}");
    assert!(resumed.sent[0].messages[0].payload::<AttachTo>().is_some());
    let offer = told_of(&mut offers, "large.bin").await;
    assert!(fetch(&juliet_account, &offer).await.is_proven());
    assert!(resume(&romeo).await.sent.is_empty());
    assert_eq!(juliet_account.store().offers(Listing::All, None, 10).unwrap().len(), 1);
}

/// Somebody gave the upload up, or it failed for good, and the same is sent again.
///
/// Proves: USER-7-1.
#[tokio::test]
async fn what_was_announced_and_then_failed_is_offered_whole_when_the_same_is_sent_again() {
    let scene = Scene::new().await;
    let (romeo, juliet_account) = (scene.connect("romeo").await, scene.connect("juliet").await);
    let mut offers = juliet_account.offers();
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder, "large.bin", &noise(20_000_000));
    let sending = || romeo.share(&path).announce_first().to(&juliet());
    let mut progress = sending().progress();
    until(&mut progress, |event| matches!(event, ShareEvent::Offered { .. })).await;
    drop(progress);
    let waiting = romeo.store().outbox(romeo.jid(), OutboxState::Preparing, 10).unwrap();
    assert!(romeo.store().mark_failed(romeo.jid(), &waiting[0].origin_id, "no room for it").unwrap());
    let again = sending();
    let unfinished = again.unfinished().await.unwrap().unwrap();
    let sent = again.go_on(unfinished).await.unwrap();
    assert_eq!(sent.files.len(), 1);
    assert!(fetch(&juliet_account, &told_of(&mut offers, "large.bin").await).await.is_proven());
}

/// Its digests were announced: whoever waits for them would wait for ever.
///
/// Proves: USER-7-1.
#[tokio::test]
async fn a_file_that_changed_after_it_was_announced_is_offered_in_one_whole_message() {
    let scene = Scene::new().await;
    let romeo = scene.connect("romeo").await;
    let juliet_account = scene.connect("juliet").await;
    let mut offers = juliet_account.offers();
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder, "notes.txt", &noise(20_000_000));
    let mut progress = romeo.share(&path).announce_first().to(&juliet()).progress();
    until(&mut progress, |event| matches!(event, ShareEvent::Offered { .. })).await;
    drop(progress);
    std::fs::write(&path, b"another text").unwrap();
    let resumed = resume(&romeo).await;
    let message = &resumed.sent[0].messages[0];
    assert!(message.payload::<AttachTo>().is_none() && payload::<FileSharing>(message).sources.is_some());
    let offer = told_of(&mut offers, "notes.txt").await;
    assert_eq!(offer.size(), Some(12));
    assert!(fetch(&juliet_account, &offer).await.is_proven());
}

/// What somebody else could not be told is not uploaded for them either, and nobody waits for it.
#[tokio::test]
async fn an_announcement_that_came_back_is_followed_by_nothing() {
    let scene = Scene::new().await;
    let romeo = scene.connect("romeo").await;
    let folder = tempfile::tempdir().unwrap();
    let nobody = Jid::parse("nobody@localhost").unwrap();
    let error = romeo.share(file(&folder, "a.txt", b"a")).announce_first().to(&nobody).await.unwrap_err();
    assert!(matches!(error, ShareError::Returned { .. }), "{error}");
    assert_eq!(states(&romeo), BTreeMap::from([("failed", 2)]));
    assert!(resume(&romeo).await.sent.is_empty());
}

#[tokio::test]
async fn a_file_for_fifty_people_is_uploaded_once_and_one_who_is_not_there_stops_nobody() {
    let scene = Scene::new().await;
    let mut people = vec![juliet()];
    for number in 1..50 {
        people.push(Jid::parse(&format!("guest{number}@localhost")).unwrap());
        if number != 25 {
            scene.server.add_account(&format!("guest{number}"), crate::scene::PASSWORD).await.unwrap();
        }
    }
    let (romeo, juliet_account, last) = (scene.connect("romeo").await, scene.connect("juliet").await, scene.connect("guest49").await);
    let (mut here, mut there) = (juliet_account.offers(), last.offers());
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder, "invitation.txt", b"Come to the ball");
    let sending = people[1..].iter().fold(romeo.share(path).to(&people[0]), |sending, jid| sending.also_to(jid));
    let mut progress = sending.progress();
    let (mut uploads, mut told) = (0, BTreeSet::new());
    let error = loop {
        match timeout(PATIENCE, progress.next()).await.unwrap().unwrap() {
            ShareEvent::Uploading { .. } => uploads += 1,
            ShareEvent::Offered { to, .. } => assert!(told.insert(to)),
            ShareEvent::Ended(done) => break done.unwrap_err(),
            _ => {}
        }
    };
    assert!(matches!(&error, ShareError::Returned { to, .. } if *to == people[25]), "{error}");
    assert_eq!((uploads, told.len()), (1, 49));
    assert_eq!(states(&romeo), BTreeMap::from([("sent", 49), ("failed", 1)]));
    for (account, offers) in [(&juliet_account, &mut here), (&last, &mut there)] {
        assert!(fetch(account, &next(offers).await).await.is_proven());
    }
}

fn uploads_of(sent: &Sent) -> Vec<String> {
    sent.files.iter().filter_map(|file| file.url.clone()).collect()
}

/// Takes what lies on the server away, as a server does after a while.
fn forget_uploads(scene: &Scene) {
    fn remove(folder: &Path) {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() { remove(&entry.path()) } else { std::fs::remove_file(entry.path()).unwrap() }
        }
    }
    remove(&scene.data().join("uploads"));
}

#[tokio::test]
async fn a_file_that_lies_on_the_server_already_is_not_uploaded_again_unless_it_is_gone() {
    let scene = Scene::new().await;
    let (romeo, juliet_account) = (scene.connect("romeo").await, scene.connect("juliet").await);
    let mut offers = juliet_account.offers();
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder, "a.bin", &noise(100_000));
    // A file that was written a moment ago is not remembered: it could change again within the clock's tick.
    let long_ago = std::time::SystemTime::now() - Duration::from_secs(60);
    std::fs::File::options().append(true).open(&path).unwrap().set_modified(long_ago).unwrap();
    let first = uploads_of(&romeo.share(&path).to(&juliet()).await.unwrap());
    assert_eq!(uploads_of(&romeo.share(&path).to(&juliet()).await.unwrap()), first);
    forget_uploads(&scene);
    let fresh = uploads_of(&romeo.share(&path).to(&juliet()).await.unwrap());
    assert_ne!(fresh, first);
    for _ in 0..2 {
        next(&mut offers).await;
    }
    assert!(fetch(&juliet_account, &next(&mut offers).await).await.is_proven());
}

/// The server said 410 or 404: the sender attaches a fresh source (prosody-filer#8, ejabberd#2708).
///
/// Proves: SFS-3.3-1, ATT-3-2, USER-1-7.
#[tokio::test]
async fn a_fresh_link_is_attached_to_an_offer_whose_link_is_gone() {
    let scene = Scene::new().await;
    let (romeo, juliet_account) = (scene.connect("romeo").await, scene.connect("juliet").await);
    let mut offers = juliet_account.offers();
    let folder = tempfile::tempdir().unwrap();
    let sent = romeo.share(file(&folder, "a.bin", &noise(50_000))).to(&juliet()).await.unwrap();
    let own = romeo.store().offers(Listing::All, None, 10).unwrap();
    let own = romeo.fetcher().offer(own[0].key).await.unwrap().unwrap();
    let error = romeo.attach(&own, Place::Copy).await.unwrap_err();
    assert!(matches!(error, AttachError::StillThere(_)), "{error}");

    forget_uploads(&scene);
    let offer = next(&mut offers).await;
    let Decision::Fetch(plan) = juliet_account.decide_for(&offer, Wish { asked: true, ..Wish::default() }).await.unwrap() else { panic!() };
    assert!(matches!(juliet_account.fetch(&offer, plan).await, Err(FetchError::Failed(_))));

    let attached = romeo.attach(&own, Place::Copy).await.unwrap();
    assert_ne!(Some(&attached.url), sent.files[0].url.as_ref());
    let again = next(&mut offers).await;
    assert_eq!(again.key(), offer.key());
    assert!(fetch(&juliet_account, &again).await.is_proven());
    assert!(resume(&romeo).await.sent.is_empty());
}

/// Whoever has the file may say so, once all digests were checked.
///
/// Proves: SFS-3.3-1, SFS-3.3-2.
#[tokio::test]
async fn somebody_else_who_has_the_file_attaches_a_place_and_nothing_but_the_file() {
    let scene = Scene::new().await;
    let (romeo, juliet_account) = (scene.connect("romeo").await, scene.connect("juliet").await);
    let mut offers = juliet_account.offers();
    let folder = tempfile::tempdir().unwrap();
    romeo.share(file(&folder, "a.bin", &noise(50_000))).to(&juliet()).await.unwrap();
    let offer = next(&mut offers).await;
    let error = juliet_account.attach(&offer, Place::Copy).await.unwrap_err();
    assert!(matches!(error, AttachError::NoCopy), "{error}");
    let error = juliet_account.attach(&offer, Place::File(file(&folder, "b.bin", &noise(50_001)).into())).await.unwrap_err();
    assert!(matches!(error, AttachError::OtherFile(_)), "{error}");
    assert!(states(&juliet_account).is_empty(), "nobody was told");
    assert!(fetch(&juliet_account, &offer).await.is_proven());

    forget_uploads(&scene);
    let attached = juliet_account.attach(&offer, Place::Copy).await.unwrap();
    assert_eq!(payload::<AttachTo>(&attached.message).id, offer.id().message.clone().unwrap());
    assert_eq!(payload::<Sources>(&attached.message).id, offer.id().share);
    assert_eq!(attached.message.to.as_ref().unwrap().as_str(), "romeo@localhost");
}

/// Proves: SFS-3.3-2.
#[tokio::test]
async fn a_link_is_attached_only_if_it_gives_the_file_that_was_offered() {
    let scene = Scene::new().await;
    let mut options = scene.options("romeo", Security::StartTls);
    options.loopback_http = true;
    let (romeo, juliet_account) = (connect(options).await, scene.connect("juliet").await);
    let mut offers = juliet_account.offers();
    let (folder, bytes) = (tempfile::tempdir().unwrap(), noise(50_000));
    romeo.share(file(&folder, "a.bin", &bytes)).to(&juliet()).await.unwrap();
    next(&mut offers).await;
    let own = romeo.store().offers(Listing::All, None, 10).unwrap();
    let own = romeo.fetcher().offer(own[0].key).await.unwrap().unwrap();
    for (manner, refusal) in [(Manner::Wrong, "is not the file"), (Manner::Status(404), "answered 404"), (Manner::Long(10), "more than")] {
        let web = Web::new(&bytes, [manner]);
        let error = romeo.attach(&own, Place::Link(web.url())).await.unwrap_err();
        assert!(error.to_string().contains(refusal), "{error}");
    }
    let error = romeo.attach(&own, Place::Link("https://10.0.0.1/a".to_owned())).await.unwrap_err();
    assert!(matches!(error, AttachError::Link { .. }), "{error}");
    assert_eq!(states(&romeo), BTreeMap::from([("sent", 1)]));

    let web = Web::new(&bytes, [Manner::Good]);
    let attached = romeo.attach(&own, Place::Link(web.url())).await.unwrap();
    assert_eq!(attached.url, web.url());
    let offer = next(&mut offers).await;
    assert!(offer.sources().any(|source| source.plain_url() == Some(&web.url())));
}

/// Decision 6.
/// Proves: SFS-3.3-3.
#[tokio::test]
async fn nothing_is_attached_to_what_nothing_proves() {
    let scene = Scene::new().await;
    let (romeo, juliet_account) = (scene.connect("romeo").await, scene.connect("juliet").await);
    let mut offers = juliet_account.offers();
    let folder = tempfile::tempdir().unwrap();
    let sent = romeo.share(file(&folder, "a.bin", b"bytes")).to(&juliet()).await.unwrap();
    next(&mut offers).await;
    let url = sent.files[0].url.clone().unwrap();
    romeo.send(Message::new(MessageKind::Chat, Some(juliet())).with_body(&url).with(&Oob::new(&url))).await.unwrap();
    let bare = next(&mut offers).await;
    let error = juliet_account.attach(&bare, Place::File(folder.path().join("a.bin").into())).await.unwrap_err();
    assert!(matches!(error, AttachError::NoDigest), "{error}");
}

/// Forty files are three messages; one of them was out when the sending was stopped.
#[tokio::test]
async fn many_files_that_were_interrupted_go_on_where_they_stopped_and_none_goes_twice() {
    let scene = Scene::new().await;
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path().join("store")).unwrap();
    let romeo = Account::connect(scene.options("romeo", Security::StartTls), store.clone()).await.unwrap();
    let juliet_account = scene.connect("juliet").await;
    let mut offers = juliet_account.offers();
    let paths: Vec<_> = (0..40).map(|number| file(&folder, &format!("{number}.txt"), format!("file {number}").as_bytes())).collect();
    let sending = |account: &Account| {
        let share = paths[1..].iter().fold(account.share(&paths[0]), |share, path| share.and(path));
        share.text("all of them").to(&juliet())
    };
    assert!(sending(&romeo).unfinished().await.unwrap().is_none());
    let mut progress = sending(&romeo).progress();
    until(&mut progress, |event| matches!(event, ShareEvent::Offered { .. })).await;
    drop(progress);

    let again = sending(&romeo);
    let unfinished = again.unfinished().await.unwrap().expect("not all of it is out");
    resume(&romeo).await;
    let sent = again.go_on(unfinished).await.unwrap();
    assert!(sent.files.is_empty(), "all was taken up: {sent:?}");
    let mut names = BTreeSet::new();
    for _ in &paths {
        assert!(names.insert(next(&mut offers).await.name().to_string()));
    }
    assert!(sending(&romeo).unfinished().await.unwrap().is_none(), "the same again from here on is meant");
    romeo.share(FileToShare::new(&paths[0]).name("end")).to(&juliet()).await.unwrap();
    assert_eq!(next(&mut offers).await.name().as_str(), "end", "nothing came twice");
}

#[tokio::test]
async fn a_file_that_was_written_to_after_it_went_out_goes_again_with_the_rest() {
    let scene = Scene::new().await;
    let romeo = scene.connect("romeo").await;
    let folder = tempfile::tempdir().unwrap();
    let paths: Vec<_> = (0..17).map(|number| file(&folder, &format!("{number}.txt"), format!("file {number}").as_bytes())).collect();
    let sending = || paths[1..].iter().fold(romeo.share(&paths[0]), |share, path| share.and(path)).to(&juliet());
    sending().await.unwrap();
    // As if the last message had failed for a while.
    let rows = romeo.store().outbox(romeo.jid(), OutboxState::Sent, 100).unwrap();
    let last = rows.iter().find(|row| row.files.len() == 1).unwrap();
    assert!(romeo.store().mark_returned(romeo.jid(), &last.origin_id, "try later").unwrap());
    std::fs::write(&paths[3], b"edited").unwrap();
    let later = std::time::SystemTime::now() + Duration::from_secs(5);
    std::fs::File::options().append(true).open(&paths[3]).unwrap().set_modified(later).unwrap();
    let again = sending();
    let unfinished = again.unfinished().await.unwrap().unwrap();
    let sent = again.go_on(unfinished).await.unwrap();
    assert_eq!(sent.files.iter().map(|file| file.name.as_str()).collect::<Vec<_>>(), ["3.txt", "16.txt"]);
    assert!(!states(&romeo).contains_key("failed"), "what failed was sent anew");
}

#[tokio::test]
async fn one_file_that_fails_does_not_hold_the_others_back_and_is_tried_again_alone() {
    let scene = Scene::new().await;
    let (romeo, juliet_account) = (scene.connect("romeo").await, scene.connect("juliet").await);
    let mut offers = juliet_account.offers();
    let folder = tempfile::tempdir().unwrap();
    let paths = [file(&folder, "a.bin", &noise(3_000_000)), file(&folder, "b.txt", b"b"), file(&folder, "c.txt", b"c")];
    let mut progress = romeo.share(&paths[0]).and(&paths[1]).and(&paths[2]).text("three").to(&juliet()).progress();
    let mut failed = Vec::new();
    let error = loop {
        match timeout(PATIENCE, progress.next()).await.unwrap().unwrap() {
            // The first one goes up alone; the second is gone when its turn comes.
            ShareEvent::AskingForSlot { position: 0, .. } => std::fs::remove_file(&paths[1]).unwrap(),
            ShareEvent::NotSent { position, .. } => failed.push(position),
            ShareEvent::Ended(done) => break done.unwrap_err(),
            _ => {}
        }
    };
    assert!(error.to_string().contains("b.txt"), "{error}");
    assert_eq!(failed, [1]);
    assert_eq!([next(&mut offers).await.name().to_string(), next(&mut offers).await.name().to_string()], ["a.bin", "c.txt"]);
    let rows = romeo.store().outbox(romeo.jid(), OutboxState::Failed, 10).unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].files, [FileRef::Path(paths[1].clone())]);

    std::fs::write(&paths[1], b"b again").unwrap();
    assert!(romeo.store().retry_outgoing(romeo.jid(), &rows[0].origin_id).unwrap());
    resume(&romeo).await;
    assert_eq!(next(&mut offers).await.name().as_str(), "b.txt");
}

/// A file of the store has no path; it is sent, and sent again after a crash, all the same.
#[tokio::test]
async fn what_came_from_a_pipe_is_sent_from_the_store() {
    let scene = Scene::new().await;
    let (romeo, juliet_account) = (scene.connect("romeo").await, scene.connect("juliet").await);
    let mut offers = juliet_account.offers();
    let blob = romeo.keep(std::io::Cursor::new(noise(5_000_000)), u64::MAX).await.unwrap();
    let mut progress = romeo.share(FileToShare::new(blob.clone()).name("pipe.bin")).to(&juliet()).progress();
    until(&mut progress, |event| matches!(event, ShareEvent::Uploading { .. })).await;
    drop(progress);
    assert_eq!(romeo.store().outbox(romeo.jid(), OutboxState::Preparing, 10).unwrap()[0].files, [FileRef::Blob(blob.sha256().clone())]);
    resume(&romeo).await;
    let offer = next(&mut offers).await;
    assert_eq!(offer.name().as_str(), "pipe.bin");
    assert!(fetch(&juliet_account, &offer).await.is_proven());
}

/// Nothing that lies in the outbox in a way that nobody understands keeps the rest from going.
#[tokio::test]
async fn a_message_of_the_outbox_that_cannot_be_understood_is_told_and_the_others_go() {
    let scene = Scene::new().await;
    let romeo = scene.connect("romeo").await;
    let folder = tempfile::tempdir().unwrap();
    let rows = [("m1", Some("<message xmlns='jabber:client' to='juliet@localhost'/>")), ("m2", Some("no xml")), ("m3", None)];
    for (id, stanza) in rows {
        let files = vec![FileRef::Path(folder.path().join("none.txt"))];
        let mut row = balcony_store::Outgoing::preparing(romeo.jid().clone(), id.to_owned(), juliet(), files, std::time::SystemTime::now());
        row.stanza = stanza.map(str::to_owned);
        romeo.store().change_outbox(romeo.jid(), &[Change::Add { outgoing: &row, batch: None }]).unwrap();
    }
    let message = Message { id: Some("m4".to_owned()), ..Message::new(MessageKind::Chat, Some(juliet())) }.with_body("hello");
    let mut row =
        balcony_store::Outgoing::preparing(romeo.jid().clone(), "m4".to_owned(), juliet(), Vec::new(), std::time::SystemTime::now());
    (row.stanza, row.state) = (Some(message.into_element().to_xml()), OutboxState::Ready);
    romeo.store().change_outbox(romeo.jid(), &[Change::Add { outgoing: &row, batch: None }]).unwrap();
    (row.origin_id, row.stanza) = ("m0".to_owned(), Some("no xml either".to_owned()));
    romeo.store().change_outbox(romeo.jid(), &[Change::Add { outgoing: &row, batch: None }]).unwrap();
    let resumed = resume(&romeo).await;
    assert_eq!((resumed.sent.len(), resumed.failed.len()), (1, 4), "{resumed:?}");
    assert_eq!(states(&romeo), BTreeMap::from([("sent", 1), ("failed", 4)]));
    assert_eq!(romeo.store().offers(Listing::All, None, 10).unwrap().into_iter().filter(|row| row.state == OfferState::Own).count(), 0);
}
