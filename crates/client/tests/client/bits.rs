//! Small data over XMPP with real bytes: handed out to those who were told of it, asked of devices that answer well and badly,
//! thumbnails.

use std::time::{Duration, SystemTime};

use balcony_client::{Account, CataloguedOffer, Class, Decision, FileToShare, NoThumbnail, Offers, SmallPicture, Store, Wish};
use balcony_session::client::Ask;
use balcony_session::iq_table::RequestError;
use balcony_wire::bits_of_binary::{BitsOfBinary, ContentId};
use balcony_wire::stanza::DefinedCondition;
use balcony_wire::{Element, IqKind, Jid, Payload as _};
use tokio::time::timeout;

use crate::puppet::{Puppet, discovery, result};
use crate::scene::Scene;
use crate::sharing::{fetch, file, juliet};

const PATIENCE: Duration = Duration::from_secs(60);

/// A 1x1 PNG of the vectors in base64, its SHA-1 and its SHA-256.
fn png() -> (String, String, String) {
    let cases = testing_corpus::cases("bob");
    let of = |algo: &str, key: &str| {
        let case = cases.iter().find(|case| case["algo"] == algo && case["type"] == "image/png").unwrap();
        case[key].as_str().unwrap().to_owned()
    };
    (of("sha-1", "data_base64"), of("sha-1", "digest_hex"), of("sha-256", "digest_hex"))
}

fn bytes_of(base64: &str) -> Vec<u8> {
    let data = Element::new("data", "urn:xmpp:bob").with_attr("cid", "x").with_text(base64);
    BitsOfBinary::read(&data).unwrap().data.unwrap()
}

fn cid(sha1: &str) -> ContentId {
    ContentId::new(format!("sha1+{sha1}@bob.xmpp.org"))
}

async fn next(offers: &mut Offers) -> CataloguedOffer {
    timeout(PATIENCE, offers.next()).await.expect("no offer comes").unwrap()
}

/// Proves: BOB-2.1-1, BOB-2.1-4, BOB-2.3-1, BOB-2.5-2, THMB-4-1, THMB-4-2.
#[tokio::test]
async fn a_thumbnail_goes_along_with_the_file_and_is_handed_out_to_whom_it_was_shown_only() {
    let scene = Scene::new().await;
    scene.server.add_account("mallory", crate::scene::PASSWORD).await.unwrap();
    let (romeo, account, mallory) = (scene.connect("romeo").await, scene.connect("juliet").await, scene.connect("mallory").await);
    let mut offers = account.offers();
    let folder = tempfile::tempdir().unwrap();
    let (data, sha1, _) = png();
    let picture = SmallPicture::new(bytes_of(&data)).unwrap();
    romeo.share(FileToShare::new(file(&folder, "summit.txt", b"a view")).thumbnail(picture)).to(&juliet()).await.unwrap();

    let offer = next(&mut offers).await;
    let shown = account.thumbnail(&offer, Wish::default()).await.unwrap();
    assert_eq!((shown.bytes(), shown.media_type().as_str(), shown.extension()), (&bytes_of(&data)[..], "image/png", "png"));
    let carried = offer.message().payloads.iter().find(|payload| BitsOfBinary::matches(payload)).unwrap();
    assert_eq!((carried.attr("cid"), carried.attr("type")), (Some(cid(&sha1).as_str()), Some("image/png")));
    assert_eq!(fetch(&account, &offer).await.name().as_str(), "summit.txt", "the picture is a part of the file and none of its own");

    let device: Jid = romeo.online().await.unwrap().jid.clone().into();
    let ask = |asker: Account, cid: ContentId| {
        let device = device.clone();
        async move { asker.request(Some(device), Ask::Get(BitsOfBinary::request(cid).write()), PATIENCE).await }
    };
    let answer = ask(account.clone(), cid(&sha1)).await.unwrap().unwrap();
    assert_eq!(BitsOfBinary::read(&answer).unwrap().data.unwrap(), bytes_of(&data));
    let unknown = cid(&"0".repeat(40));
    // To a stranger nobody is there.
    let refusals =
        [(mallory, cid(&sha1), DefinedCondition::ServiceUnavailable), (account.clone(), unknown, DefinedCondition::ItemNotFound)];
    for (asker, asked, condition) in refusals {
        let Err(RequestError::Refused { error, .. }) = ask(asker, asked).await else { panic!("it is handed out") };
        assert_eq!((error.condition, error.text), (condition, None));
    }
}

/// What romeo's message says: a share whose one place is small data, with a digest or without.
fn share(cid: &ContentId, sha256: Option<&str>) -> String {
    let hash = sha256.map(|hash| format!("<hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>{hash}</hash>")).unwrap_or_default();
    format!(
        "<message xmlns='jabber:client' from='romeo@localhost/orchard' to='juliet@localhost' type='chat' id='{0}'>\
         <reference xmlns='urn:xmpp:reference:0' type='data'><media-sharing xmlns='urn:xmpp:sims:1'>\
         <file xmlns='urn:xmpp:jingle:apps:file-transfer:5'><name>dot.png</name><media-type>image/png</media-type><size>70</size>{hash}</file>\
         <sources><reference xmlns='urn:xmpp:reference:0' type='data' uri='cid:{0}'/></sources></media-sharing></reference></message>",
        cid.as_str()
    )
}

fn base64_of(hex: &str) -> String {
    let digest = balcony_wire::hashes::Digest::from_hex(balcony_wire::hashes::HashAlgo::Sha256, hex).unwrap();
    balcony_wire::hashes::Hash::from(digest).write().text()
}

async fn plan(account: &Account, offer: &CataloguedOffer) -> balcony_client::Plan {
    let wish = Wish { asked: true, ..Wish::default() };
    match account.decide_for(offer, wish).await.unwrap() {
        Decision::Fetch(plan) => plan,
        Decision::Ask(question) => question.yes(),
        other => panic!("{other:?}"),
    }
}

/// A device that answers as `answer` says, the payload alone; empty is "not known here".
async fn device(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> (Puppet, Account, Offers) {
    let puppet = Puppet::new(move |iq| match &iq.kind {
        IqKind::Get(payload) if BitsOfBinary::matches(payload) => {
            let said = answer(payload.attr("cid").unwrap_or_default());
            if said.is_empty() { Vec::new() } else { vec![result(iq, &said)] }
        }
        _ => discovery(iq, &[]).unwrap_or_else(|| vec![result(iq, "")]),
    })
    .await;
    let account = Account::connect(puppet.options("juliet"), Store::in_memory().unwrap()).await.unwrap();
    let offers = account.offers();
    (puppet, account, offers)
}

/// Proves: BOB-2.1-1, BOB-2.3-1, BOB-2.4-1, BOB-2.4-2.
#[tokio::test]
async fn a_device_is_asked_once_and_what_it_gave_is_the_file_that_was_offered() {
    let (data, sha1, sha256) = png();
    let (puppet, account, mut offers) =
        device(move |cid| format!("<data xmlns='urn:xmpp:bob' cid='{cid}' type='text/html' max-age='3600'>{data}</data>")).await;
    puppet.say(share(&cid(&sha1), Some(&base64_of(&sha256))));
    let offer = next(&mut offers).await;
    let file = account.fetch(&offer, plan(&account, &offer).await).await.unwrap();
    assert_eq!((file.is_proven(), file.name().as_str(), file.media_type().as_str()), (true, "dot.png", "image/png"));
    let asked = puppet.heard_with("urn:xmpp:bob");
    let asked: Vec<_> = asked.iter().filter(|xml| xml.contains("<data")).collect();
    assert!(matches!(&asked[..], [one] if one.contains("romeo@localhost/orchard") && one.contains("get")), "{asked:?}");
    // The same data in another offer, where nothing proves it: kept by its hash, asked of nobody.
    puppet.say(share(&cid(&sha1), None).replace("dot.png", "again.png").replace("id='sha1", "id='m2-sha1"));
    let offer = next(&mut offers).await;
    let again = account.fetch(&offer, plan(&account, &offer).await).await.unwrap();
    assert_eq!((again.name().as_str(), again.is_proven()), ("again.png", true), "the store has these bytes, proven before");
    assert_eq!(puppet.heard_with("<data").len(), 1);
    account.close().await;
}

/// Proves: BOB-D-1.
#[tokio::test]
async fn devices_that_answer_badly_give_nothing() {
    let (data, sha1, sha256) = png();
    let wrong = data.replace("iVBORw0KGgo", "AVBORw0KGgo");
    let large = "A".repeat(90_000);
    let answers = [
        (format!("<data xmlns='urn:xmpp:bob' cid='CID'>{wrong}</data>"), Class::Proof),
        (format!("<data xmlns='urn:xmpp:bob' cid='other@bob.xmpp.org'>{data}</data>"), Class::Source),
        ("<data xmlns='urn:xmpp:bob' cid='CID'/>".to_owned(), Class::Source),
        (format!("<data xmlns='urn:xmpp:bob' cid='CID'>{large}</data>"), Class::Source),
        ("<query xmlns='urn:example'/>".to_owned(), Class::Source),
        (String::new(), Class::Network),
    ];
    for (answer, class) in answers {
        let (shown, asked) = (answer.clone(), cid(&sha1));
        let (puppet, account, mut offers) = device(move |cid| answer.replace("CID", cid)).await;
        puppet.say(share(&asked, Some(&base64_of(&sha256))));
        let offer = next(&mut offers).await;
        let error = account.fetch(&offer, plan(&account, &offer).await).await.expect_err(&shown);
        assert_eq!(error.class(), class, "{error} for {shown:.80}");
        assert!(account.store().find(offer.digests()).unwrap().is_none());
        account.close().await;
    }
}

/// A message with a file whose thumbnail is where `uri` says.
fn shown_by(id: &str, uri: &str, more: &str) -> String {
    format!(
        "<message xmlns='jabber:client' from='romeo@localhost/orchard' to='juliet@localhost' type='chat' id='{id}'>\
         <file-sharing xmlns='urn:xmpp:sfs:0' id='s'><file xmlns='urn:xmpp:file:metadata:0'><name>{id}.mp4</name><size>3</size>\
         <thumbnail xmlns='urn:xmpp:thumbs:1' uri='{uri}' media-type='image/png' width='65535' height='65535'/></file><sources>\
         <url-data xmlns='http://jabber.org/protocol/url-data' target='https://files.example/x'/></sources></file-sharing>{more}</message>"
    )
}

/// Proves: THMB-5-1, THMB-D-2, BOB-4-1.
#[tokio::test]
async fn thumbnails_in_the_message_are_shown_and_others_only_where_a_file_would_be_fetched_unasked() {
    let (data, sha1, _) = png();
    let inside = data.clone();
    let (puppet, account, mut offers) = device(move |cid| format!("<data xmlns='urn:xmpp:bob' cid='{cid}'>{data}</data>")).await;
    let asked = |puppet: &Puppet| puppet.heard_with("<data").len();
    let carried = format!("<data xmlns='urn:xmpp:bob' cid='{}'>{inside}</data>", cid(&sha1).as_str());
    puppet.say(shown_by("data", &format!("data:image/png;base64,{inside}"), ""));
    puppet.say(shown_by("carried", &cid(&sha1).to_uri(), &carried));
    for _ in 0..2 {
        let offer = next(&mut offers).await;
        let shown = account.thumbnail(&offer, Wish::default()).await.unwrap();
        assert_eq!((shown.bytes(), shown.media_type().as_str()), (&bytes_of(&inside)[..], "image/png"), "{}", offer.name());
    }
    assert_eq!(asked(&puppet), 0, "nobody is asked for what is there");

    puppet.say(shown_by("asked", &cid(&sha1).to_uri(), ""));
    let offer = next(&mut offers).await;
    let stranger = account.thumbnail(&offer, Wish::default()).await;
    assert!(matches!(stranger, Err(NoThumbnail::Ask(_))), "{stranger:?}");
    assert_eq!(asked(&puppet), 0, "a stranger does not learn that we are there");
    account.use_policy("fetch romeo@localhost from message, own-server, senders-device, senders-server even unproven".parse().unwrap());
    let contact = Wish::default();
    for _ in 0..2 {
        account.thumbnail(&offer, contact.clone()).await.unwrap();
    }
    assert_eq!(asked(&puppet), 1, "kept for the second look");

    // Where a file would not be fetched, no picture is either.
    for uri in ["https://127.0.0.1/t.png", "https://192.168.1.1/t.png", "https://tracker.example/t.png"] {
        puppet.say(shown_by(&format!("m{}", uri.len()), uri, ""));
        let offer = next(&mut offers).await;
        let shown = account.thumbnail(&offer, contact.clone()).await;
        assert!(matches!(shown, Err(NoThumbnail::Ask(_) | NoThumbnail::Failed(_))), "{uri}: {shown:?}");
    }
    for uri in ["data:image/svg+xml,%3Csvg/%3E", "data:image/png;base64,aGVsbG8=", "data:image/thumbhash,3OcRJYB4d3h_iIeHeEh3eIhw-j2w"] {
        puppet.say(shown_by(&format!("d{}", uri.len()), uri, ""));
        let offer = next(&mut offers).await;
        assert!(matches!(account.thumbnail(&offer, contact.clone()).await, Err(NoThumbnail::None)), "{uri}");
    }
    account.close().await;
}

/// A thumbnail on the web, over the same ways as files: the host of one's own server, bounded, a picture by its bytes.
///
/// Proves: THMB-D-2.
#[tokio::test]
async fn a_thumbnail_on_the_web_is_bounded_and_a_picture_by_its_bytes() {
    let scene = Scene::new().await;
    let (romeo, account) = (scene.connect("romeo").await, scene.connect("juliet").await);
    account.use_policy("fetch romeo@localhost from own-server even unproven".parse().unwrap());
    let mut offers = account.offers();
    let folder = tempfile::tempdir().unwrap();
    let (data, ..) = png();
    let large = [bytes_of(&data), vec![0; 70_000]].concat();
    for (name, bytes, is_shown) in
        [("small.png", bytes_of(&data), true), ("large.png", large, false), ("words.png", b"words".to_vec(), false)]
    {
        let sent = romeo.share(file(&folder, name, &bytes)).to(&"romeo@localhost".parse().unwrap()).await.unwrap();
        let url = sent.files[0].url.clone().unwrap();
        let xml = shown_by(name, &url, "").replace("from='romeo@localhost/orchard' ", "");
        let Ok(balcony_wire::Stanza::Message(message)) = balcony_wire::Stanza::read(Element::parse(&xml).unwrap()) else { panic!() };
        romeo.send(message).await.unwrap();
        let offer = loop {
            let offer = next(&mut offers).await;
            if !offer.thumbnails().is_empty() {
                break offer;
            }
        };
        let shown = account.thumbnail(&offer, Wish::default()).await;
        assert_eq!(shown.is_ok(), is_shown, "{name}: {shown:?}");
        assert!(
            account.store().offers(balcony_store::Listing::All, None, 10).unwrap().iter().all(|row| row.blob.is_none()),
            "nothing is kept"
        );
    }
}

/// A crash between the draft and the upload: what goes out afterwards has the picture all the same.
#[tokio::test]
async fn a_thumbnail_survives_a_crash_before_its_file_was_uploaded() {
    let scene = Scene::new().await;
    let (folder, store) = (tempfile::tempdir().unwrap(), Store::in_memory().unwrap());
    let (data, sha1, _) = png();
    let small = balcony_store::Bits {
        cid: cid(&sha1).as_str().to_owned(),
        from: None,
        media_type: Some("image/png".to_owned()),
        data: bytes_of(&data),
        expires_at: None,
    };
    store.add_bits(&small).unwrap();
    let (to, path) = (juliet(), file(&folder, "film.mp4", b"moving pictures"));
    let draft = shown_by("m1", &cid(&sha1).to_uri(), "").replace(" from='romeo@localhost/orchard'", "");
    let files = vec![balcony_store::FileRef::Path(path)];
    let row = balcony_store::Outgoing::preparing("romeo@localhost".parse().unwrap(), "m1".to_owned(), to, files, SystemTime::now());
    store.add_outgoing(&balcony_store::Outgoing { stanza: Some(draft), ..row }).unwrap();
    let account = scene.connect("juliet").await;
    let mut offers = account.offers();
    let romeo = Account::connect(scene.options("romeo", balcony_client::Security::StartTls), store).await.unwrap();
    let resumed = romeo.resume_outbox().await.unwrap();
    assert!(resumed.failed.is_empty(), "{:?}", resumed.failed);
    let offer = next(&mut offers).await;
    assert_eq!(account.thumbnail(&offer, Wish::default()).await.unwrap().bytes(), bytes_of(&data));
}
