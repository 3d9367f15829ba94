//! A file from one account to the other: uploaded, offered, fetched, checked, saved.

use std::path::PathBuf;

use balcony_client::{Account, CataloguedOffer, Decision, FetchEvent, FileToShare, ShareEvent, SharedFile, Wish};
use balcony_sharing::Disposition;
use balcony_sharing::plan::Concern;
use balcony_sharing::verify::SHARED_ALGOS;
use balcony_store::{Listing, OfferState, OnClash};
use balcony_wire::out_of_band::Oob;
use balcony_wire::stanza::MessageKind;
use balcony_wire::{Jid, Message};

use crate::scene::{Scene, noise};

pub(crate) fn file(folder: &tempfile::TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

pub(crate) fn juliet() -> Jid {
    Jid::parse("juliet@localhost").unwrap()
}

/// Decides as somebody who clicked on it, and fetches.
pub(crate) async fn fetch(account: &Account, offer: &CataloguedOffer) -> SharedFile {
    let wish = Wish { asked: true, ..Wish::default() };
    match account.decide_for(offer, wish).await.unwrap() {
        Decision::Have(file) => file,
        Decision::Fetch(plan) => account.fetch(offer, plan).await.unwrap(),
        other => panic!("not to be fetched: {other:?}"),
    }
}

/// Proves: HUP-4-1, HUP-4-10, HUP-D-2.
#[tokio::test]
async fn a_file_goes_from_one_account_to_the_other_and_arrives_proven() {
    let scene = Scene::new().await;
    let (romeo, juliet_account) = (scene.connect("romeo").await, scene.connect("juliet").await);
    let mut offers = juliet_account.offers();
    let folder = tempfile::tempdir().unwrap();
    let bytes = noise(3_000_000);
    let path = file(&folder, "très cool.bin", &bytes);

    let sent = romeo.share(FileToShare::new(&path).describe("The view from the summit")).to(&juliet()).await.unwrap();
    assert_eq!(sent.files[0].size, bytes.len() as u64);
    assert!(sent.files[0].url.as_ref().unwrap().starts_with("https://localhost:"));
    assert_eq!(sent.messages.len(), 1);

    let offer = offers.next().await.unwrap();
    assert_eq!(offer.name().as_str(), "très cool.bin");
    assert_eq!(offer.description(None), Some("The view from the summit"));
    assert_eq!(offer.disposition(), Some(Disposition::Attachment));
    for algo in SHARED_ALGOS {
        assert!(offer.digests().get(algo).is_some(), "{algo}");
    }
    assert!(
        matches!(juliet_account.decide(&offer).await.unwrap(), Decision::Ask(_)),
        "an attachment of a stranger is never fetched unasked"
    );

    let received = fetch(&juliet_account, &offer).await;
    assert!(received.is_proven());
    let saved = received.save_in(folder.path(), OnClash::Rename).await.unwrap();
    assert_eq!(saved.file_name().unwrap(), "très cool (1).bin");
    assert_eq!(std::fs::read(&saved).unwrap(), bytes);
    assert!(received.save_in(folder.path(), OnClash::Refuse).await.is_err());

    let row = juliet_account.store().offer(offer.key()).unwrap().unwrap();
    assert_eq!(row.state, OfferState::Here);
    assert!(matches!(juliet_account.decide(&offer).await.unwrap(), Decision::Have(_)));
    romeo.close().await;
    juliet_account.close().await;
    assert!(offers.next().await.is_none(), "a closed account offers nothing more");
}

#[tokio::test]
async fn progress_can_be_watched_on_both_sides() {
    let scene = Scene::new().await;
    let (romeo, juliet_account) = (scene.connect("romeo").await, scene.connect("juliet").await);
    let mut offers = juliet_account.offers();
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder, "a.bin", &noise(500_000));
    let mut progress = romeo.share(&path).to(&juliet()).progress();
    let mut seen = Vec::new();
    while let Some(event) = progress.next().await {
        seen.push(match event {
            ShareEvent::Looked { size: 500_000, .. } => "looked",
            ShareEvent::AskingForSlot { .. } => "asking",
            ShareEvent::Uploading { size: 500_000, .. } => "uploading",
            ShareEvent::Uploaded { .. } => "uploaded",
            ShareEvent::Offered { .. } => "offered",
            ShareEvent::Ended(result) => result.map(|_| "ended").unwrap(),
            ShareEvent::Progress { .. } => continue,
            other => panic!("{other:?}"),
        });
    }
    assert_eq!(seen, ["looked", "asking", "uploading", "uploaded", "offered", "ended"]);

    let offer = offers.next().await.unwrap();
    let Decision::Fetch(plan) = juliet_account.decide_for(&offer, Wish { asked: true, ..Wish::default() }).await.unwrap() else { panic!() };
    let mut progress = juliet_account.fetch(&offer, plan).progress();
    let mut seen = Vec::new();
    while let Some(event) = progress.next().await {
        seen.push(match event {
            FetchEvent::Asking { from_byte: 0, .. } => "asking",
            FetchEvent::Way(_) => "way",
            FetchEvent::Checking => "checking",
            FetchEvent::Ended(result) => result.map(|_| "ended").unwrap(),
            FetchEvent::Received(_) => continue,
            other => panic!("{other:?}"),
        });
    }
    assert_eq!(seen, ["asking", "way", "checking", "ended"]);
}

#[tokio::test]
async fn several_files_with_words_arrive_each_once() {
    let scene = Scene::new().await;
    let (romeo, juliet_account) = (scene.connect("romeo").await, scene.connect("juliet").await);
    let mut offers = juliet_account.offers();
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (file(&folder, "one.txt", b"first"), file(&folder, "two.txt", b"second"));
    let sent = romeo.share(one).and(FileToShare::new(two).name("deux.txt")).text("Both of them").to(&juliet()).await.unwrap();
    assert_eq!(sent.files.len(), 2);
    let mut names = Vec::new();
    for _ in 0..2 {
        let offer = offers.next().await.unwrap();
        names.push(offer.name().to_string());
        assert!(fetch(&juliet_account, &offer).await.is_proven());
    }
    assert_eq!(names, ["one.txt", "deux.txt"]);
    // What comes behind the last file is no third one.
    let end = file(&folder, "end.txt", b"end");
    romeo.share(end).to(&juliet()).await.unwrap();
    assert_eq!(offers.next().await.unwrap().name().as_str(), "end.txt");
}

/// Empty files need no place to be fetched from: their digests say it all (Gajim #10525).
///
/// Proves: USER-3-5.
#[tokio::test]
async fn an_empty_file_arrives_without_upload() {
    let scene = Scene::new().await;
    let (romeo, juliet_account) = (scene.connect("romeo").await, scene.connect("juliet").await);
    let mut offers = juliet_account.offers();
    let folder = tempfile::tempdir().unwrap();
    let sent = romeo.share(file(&folder, "empty", b"")).to(&juliet()).await.unwrap();
    assert_eq!(sent.files[0].url, None);
    let offer = offers.next().await.unwrap();
    let received = fetch(&juliet_account, &offer).await;
    assert!(received.is_proven() && received.blob().size() == 0);
}

#[tokio::test]
async fn what_was_sent_while_nobody_was_there_is_offered_on_login() {
    let scene = Scene::new().await;
    let romeo = scene.connect("romeo").await;
    let folder = tempfile::tempdir().unwrap();
    romeo.share(file(&folder, "later.txt", b"later")).to(&juliet()).await.unwrap();
    let juliet_account = scene.connect("juliet").await;
    let offer = juliet_account.offers().next().await.unwrap();
    assert_eq!(offer.name().as_str(), "later.txt");
    assert!(fetch(&juliet_account, &offer).await.is_proven());
}

/// A bare link, as most clients send it: nothing says which bytes it should give.
#[tokio::test]
async fn what_nothing_can_prove_needs_a_yes_and_is_marked() {
    let scene = Scene::new().await;
    let (romeo, juliet_account) = (scene.connect("romeo").await, scene.connect("juliet").await);
    let mut offers = juliet_account.offers();
    let folder = tempfile::tempdir().unwrap();
    let sent = romeo.share(file(&folder, "bare.txt", b"bare")).to(&juliet()).await.unwrap();
    let _ = offers.next().await.unwrap();
    let url = sent.files[0].url.clone().unwrap();
    let bare = Message::new(MessageKind::Chat, Some(juliet())).with_body(&url).with(&Oob::new(&url));
    romeo.send(bare).await.unwrap();
    let offer = offers.next().await.unwrap();
    let Decision::Ask(question) = juliet_account.decide_for(&offer, Wish { asked: true, ..Wish::default() }).await.unwrap() else {
        panic!()
    };
    assert!(question.concerns().contains(&Concern::Unproven));
    let received = juliet_account.fetch(&offer, question.yes()).await.unwrap();
    assert!(!received.is_proven());
    // It is here from now on, although no digest names it, and can be saved once more.
    let Decision::Have(kept) = juliet_account.decide(&offer).await.unwrap() else { panic!() };
    assert_eq!((kept.blob(), kept.is_proven()), (received.blob(), false));
}

/// Two devices of one account, each with a store of its own.
#[tokio::test]
async fn a_file_sent_to_oneself_arrives_on_the_other_device_and_only_there() {
    let scene = Scene::new().await;
    let (laptop, phone) = (scene.connect("juliet").await, scene.connect("juliet").await);
    let (mut here, mut there) = (laptop.offers(), phone.offers());
    let folder = tempfile::tempdir().unwrap();
    laptop.share(file(&folder, "notes.txt", b"to myself")).to(&juliet()).await.unwrap();

    let offer = there.next().await.unwrap();
    assert_eq!((offer.name().as_str(), offer.state()), ("notes.txt", OfferState::New));
    assert!(fetch(&phone, &offer).await.is_proven());

    // The next that the laptop hears of is the phone's, not the copy of its own.
    phone.share(file(&folder, "answer.txt", b"from the phone")).to(&juliet()).await.unwrap();
    let offer = here.next().await.unwrap();
    assert_eq!(offer.name().as_str(), "answer.txt");
    let rows = laptop.store().offers(Listing::Account(laptop.jid()), None, 10).unwrap();
    assert_eq!(
        rows.iter().map(|row| (row.name.as_str(), row.state)).collect::<Vec<_>>(),
        [("answer.txt", OfferState::New), ("notes.txt", OfferState::Own)]
    );
}
