//! Cut connections, crashes, refusals: what was begun goes on, and nothing is sent twice.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use balcony_client::{Account, Class, Connection, FileToShare, Resumed, ShareError, ShareEvent};
use balcony_session::Security;
use balcony_session::client::Ask;
use balcony_sharing::transfer::upload::UploadError;
use balcony_store::{Listing, OutboxState, Store};
use balcony_wire::ping::Ping;
use balcony_wire::stanza::MessageKind;
use balcony_wire::{Jid, Message, Payload as _};
use tokio::time::timeout;

use crate::proxy::Proxy;
use crate::scene::{Scene, connect, noise};
use crate::sharing::{fetch, file, juliet};

/// Takes up what is left, once the task that was dropped has let go of the outbox.
async fn resume(account: &Account) -> Resumed {
    loop {
        let resumed = account.resume_outbox().await.unwrap();
        if !resumed.busy {
            return resumed;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_cut_connection_is_resumed_and_nothing_is_lost() {
    let scene = Scene::new().await;
    let proxy = Proxy::to(scene.server.c2s_addr()).await;
    let mut options = scene.options("juliet", Security::StartTls);
    options.server.as_mut().unwrap().0.port = proxy.address.port();
    let juliet_account = connect(options).await;
    let mut offers = juliet_account.offers();
    let before = juliet_account.online().await.unwrap();
    let mut state = juliet_account.connection();

    proxy.cut();
    state.wait_for(|state| matches!(state, Connection::Waiting { .. })).await.unwrap();
    let romeo = scene.connect("romeo").await;
    let folder = tempfile::tempdir().unwrap();
    romeo.share(file(&folder, "meanwhile.txt", b"meanwhile")).to(&juliet()).await.unwrap();
    juliet_account.probe().await;

    let offer = timeout(Duration::from_secs(60), offers.next()).await.unwrap().unwrap();
    assert_eq!(offer.name().as_str(), "meanwhile.txt");
    let after = juliet_account.online().await.unwrap();
    assert_eq!((after.connection, after.session), (before.connection + 1, before.session), "resumed, not begun anew");
    assert_eq!(after.jid, before.jid);
    assert!(fetch(&juliet_account, &offer).await.is_proven());
}

/// The server forgets a message only when its offer is in the catalogue: a program that is killed in between gets it again.
///
/// Proves: C0198-4-1.
#[tokio::test]
async fn an_offer_that_was_read_but_not_kept_when_the_program_was_killed_comes_again() {
    let scene = Scene::with(|settings| settings.resume_for = Duration::from_millis(100)).await;
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path().join("store")).unwrap();
    let (options, kept) = (scene.options("juliet", Security::StartTls), store.clone());
    // A program whose only thread for the disk is busy.
    let program = tokio::runtime::Builder::new_multi_thread().worker_threads(1).max_blocking_threads(1).enable_all().build().unwrap();
    let account = program.spawn(async move { Account::connect(options, kept).await.unwrap() }).await.unwrap();
    let (release, busy) = std::sync::mpsc::channel::<()>();
    let busy = Arc::new(Mutex::new(busy));
    // More than one: at its end the runtime lets its worker help with what waits for the disk.
    for _ in 0..4 {
        let busy = busy.clone();
        program.spawn_blocking(move || busy.lock().map(|busy| busy.recv()).is_ok());
    }

    let romeo = scene.connect("romeo").await;
    romeo.share(file(&folder, "a.txt", b"a")).to(&juliet()).await.unwrap();
    for _ in 0..16 {
        romeo
            .send(Message::new(MessageKind::Chat, Some(juliet())).with_body("so many that the server asks whether they arrived"))
            .await
            .unwrap();
    }
    // Whoever answers this has sent and asked all that before.
    let server = Jid::parse("localhost").unwrap();
    for _ in 0..2 {
        account.request(Some(server.clone()), Ask::Get(Ping.write()), Duration::from_secs(60)).await.unwrap();
    }
    assert!(store.offers(Listing::All, None, 10).unwrap().is_empty());
    program.shutdown_background();

    let again = async {
        loop {
            // The server may still believe in the lost session; then it comes with the next login.
            let account = Account::connect(scene.options("juliet", Security::StartTls), store.clone()).await.unwrap();
            for _ in 0..100 {
                if let Some(row) = store.offers(Listing::All, None, 10).unwrap().pop() {
                    return row;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            account.close().await;
        }
    };
    let row = timeout(Duration::from_secs(60), again).await.unwrap();
    assert_eq!(row.name, "a.txt");
    drop(release);
}

#[tokio::test]
async fn what_is_sent_while_the_connection_is_cut_arrives_once() {
    let scene = Scene::new().await;
    let proxy = Proxy::to(scene.server.c2s_addr()).await;
    let mut options = scene.options("romeo", Security::StartTls);
    options.server.as_mut().unwrap().0.port = proxy.address.port();
    let romeo = connect(options).await;
    let juliet_account = scene.connect("juliet").await;
    let mut offers = juliet_account.offers();
    let folder = tempfile::tempdir().unwrap();
    let mut progress = romeo.share(file(&folder, "a.txt", b"a")).to(&juliet()).progress();
    while let Some(event) = progress.next().await {
        match event {
            // The message goes out now; whether it got through is for the session to find out.
            ShareEvent::Uploaded { .. } => proxy.cut(),
            ShareEvent::Ended(result) => drop(result.unwrap()),
            _ => {}
        }
    }
    romeo.share(file(&folder, "b.txt", b"b")).to(&juliet()).await.unwrap();
    let names = [offers.next().await.unwrap().name().to_string(), offers.next().await.unwrap().name().to_string()];
    assert_eq!(names, ["a.txt", "b.txt"]);
    assert!(romeo.store().outbox(romeo.jid(), OutboxState::Sending, 10).unwrap().is_empty());
}

#[tokio::test]
async fn sharing_that_was_interrupted_goes_on_from_the_outbox() {
    let scene = Scene::new().await;
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path().join("store")).unwrap();
    let romeo = Account::connect(scene.options("romeo", Security::StartTls), store.clone()).await.unwrap();
    let path = file(&folder, "large.bin", &noise(20_000_000));
    let mut progress = romeo.share(FileToShare::new(&path).describe("a large one")).to(&juliet()).progress();
    while let Some(event) = progress.next().await {
        if matches!(event, ShareEvent::Uploading { .. }) {
            break;
        }
    }
    drop(progress);
    romeo.close().await;
    assert_eq!(store.outbox(romeo.jid(), OutboxState::Preparing, 10).unwrap().len(), 1);
    drop(romeo);

    let juliet_account = scene.connect("juliet").await;
    let mut offers = juliet_account.offers();
    let romeo = Account::connect(scene.options("romeo", Security::StartTls), store.clone()).await.unwrap();
    let resumed = timeout(Duration::from_secs(60), resume(&romeo)).await.unwrap();
    assert_eq!((resumed.sent.len(), resumed.failed.len()), (1, 0), "{resumed:?}");
    let offer = offers.next().await.unwrap();
    assert_eq!(offer.description(None), Some("a large one"));
    assert!(fetch(&juliet_account, &offer).await.is_proven());
    let again = romeo.resume_outbox().await.unwrap();
    assert!(again.sent.is_empty() && again.failed.is_empty(), "nothing is sent twice");
}

/// What lies at the URL is what was uploaded then, not what is in the file now.
///
/// Proves: USER-2-5.
#[tokio::test]
async fn a_file_that_was_changed_after_its_upload_is_uploaded_again_and_the_others_are_not() {
    let scene = Scene::new().await;
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path().join("store")).unwrap();
    let romeo = Account::connect(scene.options("romeo", Security::StartTls), store.clone()).await.unwrap();
    let paths =
        [file(&folder, "same.txt", b"same"), file(&folder, "changed.txt", b"before"), file(&folder, "large.bin", &noise(20_000_000))];
    let mut progress = romeo.share(&paths[0]).and(&paths[1]).and(&paths[2]).to(&juliet()).progress();
    let mut urls = BTreeMap::new();
    while let Some(event) = progress.next().await {
        match event {
            ShareEvent::Uploaded { url, position } => drop(urls.insert(position, url)),
            ShareEvent::Uploading { position: 2, .. } => break,
            _ => {}
        }
    }
    drop(progress);
    std::fs::write(&paths[1], b"after!").unwrap();

    let juliet_account = scene.connect("juliet").await;
    let mut offers = juliet_account.offers();
    let resumed = timeout(Duration::from_secs(60), resume(&romeo)).await.unwrap();
    let files = &resumed.sent[0].files;
    assert_eq!(files[0].url.as_ref(), Some(&urls[&0]));
    assert_ne!(files[1].url.as_ref(), Some(&urls[&1]));
    for _ in files {
        assert!(fetch(&juliet_account, &offers.next().await.unwrap()).await.is_proven());
    }
}

/// A message that went into a stream before a crash goes again under the same id, so that it is seen once.
#[tokio::test]
async fn a_message_of_unknown_fate_is_offered_once() {
    let scene = Scene::new().await;
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path().join("store")).unwrap();
    let romeo = Account::connect(scene.options("romeo", Security::StartTls), store.clone()).await.unwrap();
    let juliet_account = scene.connect("juliet").await;
    let mut offers = juliet_account.offers();
    let sent = romeo.share(file(&folder, "a.txt", b"a")).to(&juliet()).await.unwrap();
    assert_eq!(offers.next().await.unwrap().name().as_str(), "a.txt");
    romeo.send(sent.messages[0].clone()).await.unwrap();
    romeo.share(file(&folder, "b.txt", b"b")).to(&juliet()).await.unwrap();
    assert_eq!(offers.next().await.unwrap().name().as_str(), "b.txt");
}

#[tokio::test]
async fn a_message_that_is_given_up_while_its_file_goes_up_is_not_sent_and_the_others_are() {
    let scene = Scene::new().await;
    let (romeo, juliet_account) = (scene.connect("romeo").await, scene.connect("juliet").await);
    let mut offers = juliet_account.offers();
    let folder = tempfile::tempdir().unwrap();
    let himself = Jid::parse("romeo@localhost").unwrap();
    let path = file(&folder, "a.bin", &noise(2_000_000));
    let mut progress = romeo.share(path).to(&himself).also_to(&juliet()).progress();
    let mut told = Vec::new();
    let error = loop {
        match progress.next().await.unwrap() {
            ShareEvent::Uploading { .. } => {
                let rows = romeo.store().outbox(romeo.jid(), OutboxState::Preparing, 10).unwrap();
                let row = rows.iter().find(|row| row.to == himself).unwrap();
                assert!(romeo.store().mark_failed(romeo.jid(), &row.origin_id, "given up").unwrap());
            }
            ShareEvent::Offered { to, .. } => told.push(to),
            ShareEvent::Ended(done) => break done.unwrap_err(),
            _ => {}
        }
    };
    assert!(matches!(error, ShareError::GivenUp), "{error}");
    assert_eq!(told, [juliet()]);
    assert_eq!(offers.next().await.unwrap().name().as_str(), "a.bin");
}

/// Proves: USER-1-3.
#[tokio::test]
async fn a_file_over_the_limit_is_refused_before_it_is_read() {
    let scene = Scene::with(|settings| settings.upload.max_size = 1000).await;
    let romeo = scene.connect("romeo").await;
    let folder = tempfile::tempdir().unwrap();
    let error = romeo.share(file(&folder, "big.bin", &noise(1001))).to(&juliet()).await.unwrap_err();
    assert!(matches!(&error, ShareError::Upload { source: UploadError::TooLarge { limit: 1000, size: 1001, .. }, .. }), "{error}");
    assert_eq!(error.class(), Class::Server);
    let words = error.to_string();
    assert!(words.contains("big.bin was not uploaded") && words.contains("upload.localhost takes at most"), "{words}");
    assert!(error.advice().is_some());
    assert!(romeo.store().outbox(romeo.jid(), OutboxState::Preparing, 10).unwrap().is_empty(), "what failed is not tried again unasked");
}

#[tokio::test]
async fn what_is_not_there_or_no_file_is_named() {
    let scene = Scene::new().await;
    let romeo = scene.connect("romeo").await;
    let folder = tempfile::tempdir().unwrap();
    let error = romeo.share(folder.path().join("none.txt")).to(&juliet()).await.unwrap_err();
    assert!(error.to_string().contains("none.txt cannot be read"), "{error}");
    let error = romeo.share(folder.path()).to(&juliet()).await.unwrap_err();
    assert_eq!(error.class(), Class::Usage);
}

#[tokio::test]
async fn an_account_that_is_offline_for_good_shares_nothing_and_says_why() {
    let scene = Scene::new().await;
    let romeo = scene.connect("romeo").await;
    let folder = tempfile::tempdir().unwrap();
    romeo.close().await;
    let error = romeo.share(file(&folder, "a.txt", b"a")).to(&juliet()).await.unwrap_err();
    assert!(matches!(error, ShareError::Offline(_)), "{error}");
}

#[tokio::test]
async fn words_without_files_and_errors_are_no_offers() {
    let scene = Scene::new().await;
    let (romeo, juliet_account) = (scene.connect("romeo").await, scene.connect("juliet").await);
    let mut offers = juliet_account.offers();
    romeo.send(Message::new(MessageKind::Chat, Some(juliet())).with_body("good night")).await.unwrap();
    let nobody = Jid::parse("nobody@localhost").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder, "a.txt", b"a");
    let mut own = romeo.offers();
    let error = romeo.share(&path).to(&nobody).await.unwrap_err();
    assert!(matches!(error, ShareError::Returned { .. }), "{error}");
    romeo.share(&path).to(&juliet()).await.unwrap();
    assert_eq!(offers.next().await.unwrap().name().as_str(), "a.txt");
    // What came back of the first one holds our own words; it is no offer to us.
    assert!(timeout(Duration::from_millis(300), own.next()).await.is_err());
}
