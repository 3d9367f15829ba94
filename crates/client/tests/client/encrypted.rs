//! Encrypted files, from web servers that behave and from those that do not. What is encrypted was encrypted by another library.

use balcony_client::{Class, Decision, SharedFile, Wish};
use balcony_sharing::dialect::OutgoingFile;
use balcony_sharing::verify::Hasher;
use balcony_sharing::{Source, UrlSource};
use balcony_store::{OfferState, Store};
use balcony_wire::base64;
use balcony_wire::encrypted_source::EncryptedSource;
use balcony_wire::file_sharing::SourceElement;
use balcony_wire::hashes::{Hash, HashAlgo};
use balcony_wire::url_data::UrlData;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use testing_peers::web::{Manner, Web};

use crate::fetching::{Desk, SIZE, open_policy, read, reopened};
use crate::logs::Log;
use crate::scene::noise;

const KEY: [u8; 32] = *b"no key of anybody's, for scenes!";
const IV: [u8; 12] = *b"once for all";

/// As ring encrypts it, with the tag behind.
pub(crate) fn encrypted(plain: &[u8]) -> Vec<u8> {
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &KEY).unwrap());
    let mut wire = plain.to_vec();
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(IV), Aad::empty(), &mut wire).unwrap();
    wire
}

/// Encrypted bytes at these places; their digest is given if `wire` is.
fn source(urls: &[String], wire: Option<&[u8]>) -> Source {
    let digest = |wire: &[u8]| {
        let mut hasher = Hasher::new([HashAlgo::Sha256]);
        hasher.update(wire);
        Hash::from(hasher.finish().digests().get(HashAlgo::Sha256).unwrap().clone())
    };
    Source::Encrypted(EncryptedSource {
        cipher: "urn:xmpp:ciphers:aes-256-gcm-nopadding:0".to_owned(),
        key: base64::encode(KEY),
        iv: base64::encode(IV),
        hashes: wire.map(digest).into_iter().collect(),
        sources: Some(urls.iter().map(|url| SourceElement::Url(UrlData::new(url))).collect()),
        dropped: Vec::new(),
    })
}

async fn desk(store: Store, plain: &[u8], sources: Vec<Source>) -> Desk {
    Desk::in_store(store, plain, &[], |file: &mut OutgoingFile| file.sources = sources).await
}

async fn in_memory(plain: &[u8], sources: Vec<Source>) -> Desk {
    desk(Store::in_memory().unwrap(), plain, sources).await
}

#[tokio::test]
async fn an_encrypted_file_is_opened_on_the_way_and_proven() {
    let plain = noise(SIZE);
    let wire = encrypted(&plain);
    for given in [None, Some(&wire[..])] {
        let web = Web::new(&wire, [Manner::Good]);
        let desk = in_memory(&plain, vec![source(&[web.url()], given)]).await;
        let file = desk.fetch().await.unwrap();
        assert!(file.is_proven() && read(&file) == plain);
        assert_eq!((web.asked(), desk.state(), desk.staged()), (vec![None], OfferState::Here, 0));
    }
}

#[tokio::test]
async fn a_broken_encrypted_fetch_goes_on_at_the_same_byte_from_the_same_or_another_place() {
    let plain = noise(SIZE);
    let wire = encrypted(&plain);
    for at in [1, 15, 16, 200_000, SIZE - 1, SIZE, SIZE + 1, SIZE + 15] {
        let web = Web::new(&wire, [Manner::Breaks(at), Manner::Good]);
        let desk = in_memory(&plain, vec![source(&[web.url()], Some(&wire))]).await;
        assert_eq!(read(&desk.fetch().await.unwrap()), plain, "broken at {at}");
        assert_eq!(web.asked(), [None, Some(format!("bytes={at}-"))]);
    }
    let (first, second) = (Web::new(&wire, [Manner::Breaks(200_000), Manner::Status(404)]), Web::new(&wire, [Manner::Good]));
    let desk = in_memory(&plain, vec![source(&[first.url(), second.url()], None)]).await;
    assert_eq!(read(&desk.fetch().await.unwrap()), plain);
    assert_eq!(second.asked(), [Some("bytes=200000-".to_owned())]);
}

#[tokio::test]
async fn an_encrypted_fetch_that_was_dropped_goes_on_after_a_restart() {
    let plain = noise(SIZE);
    let wire = encrypted(&plain);
    for at in [250_000, 250_007] {
        let web = Web::new(&wire, [Manner::Stalls(at), Manner::Good]);
        let folder = tempfile::tempdir().unwrap();
        let desk = desk(Store::open(folder.path()).unwrap(), &plain, vec![source(&[web.url()], Some(&wire))]).await;
        let wish = Wish { asked: true, ..Wish::default() };
        let Decision::Fetch(plan) = desk.fetcher.decide(&desk.offer, &open_policy(), wish).await.unwrap() else { panic!() };
        let progress = desk.fetcher.fetch(&desk.offer, plan).progress();
        while desk.staged() < at as u64 {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
        drop(progress);
        let Desk { fetcher, offer } = desk;
        drop(fetcher);
        let desk = reopened(folder.path(), offer).await;
        let file = desk.fetch().await.unwrap();
        assert!(file.is_proven() && read(&file) == plain);
        assert_eq!(web.asked(), [None, Some(format!("bytes={at}-"))]);
    }
}

#[tokio::test]
async fn plain_bytes_are_never_joined_to_encrypted_ones() {
    let plain = noise(SIZE);
    let wire = encrypted(&plain);
    let (sealed, open) = (Web::new(&wire, [Manner::Breaks(200_000), Manner::Status(410)]), Web::new(&plain, [Manner::Good]));
    let desk = in_memory(&plain, vec![source(&[sealed.url()], None), Source::url(open.url())]).await;
    assert_eq!(read(&desk.fetch().await.unwrap()), plain);
    assert_eq!(open.asked(), [None], "from the first byte on");
}

/// The vectors were computed with two other libraries: all three ciphers, with a tag and without, hidden among padding.
///
/// Proves: ESFS-4-1, ESFS-3.2-2.
#[tokio::test]
async fn every_cipher_of_the_vectors_is_fetched_at_once_and_in_two_halves() {
    let bytes = |text: &str| -> Vec<u8> {
        text.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
    };
    let mut fetched = 0;
    for case in testing_corpus::vector("esfs")["cases"].as_array().unwrap() {
        let text = |name: &str| case[name].as_str().unwrap().to_owned();
        let Some(plain) = case["plain_hex"].as_str().map(bytes).filter(|plain| !plain.is_empty()) else { continue };
        let wire = bytes(&text("blob_hex"));
        for first in [Manner::Good, Manner::Breaks(wire.len() / 2)] {
            let web = Web::new(&wire, [first, Manner::Good]);
            let source = Source::Encrypted(EncryptedSource {
                cipher: text("cipher"),
                key: text("key_base64"),
                iv: text("iv_base64"),
                hashes: Vec::new(),
                sources: Some(vec![SourceElement::Url(UrlData::new(web.url()))]),
                dropped: Vec::new(),
            });
            let file = in_memory(&plain, vec![source]).await.fetch().await.unwrap_or_else(|error| panic!("{}: {error}", text("note")));
            assert!(file.is_proven() && read(&file) == plain, "{}", text("note"));
            fetched += 1;
        }
    }
    assert!(fetched >= 16, "{fetched}");
}

async fn fails(wire: &[u8], plain: &[u8], given: Option<&[u8]>) -> String {
    let web = Web::new(wire, [Manner::Good]);
    let desk = in_memory(plain, vec![source(&[web.url()], given)]).await;
    let error = desk.fetch().await.err().unwrap();
    assert_eq!(desk.staged(), 0, "nothing of it is kept");
    assert!(desk.fetcher.store().find(desk.offer.digests()).unwrap().is_none());
    assert!(matches!(error.class(), Class::Proof | Class::Source), "{error}");
    error.to_string()
}

/// Proves: SEC-4-2.
#[tokio::test]
async fn nothing_is_published_before_tag_and_digests_are_right() {
    let plain = noise(SIZE);
    let wire = encrypted(&plain);
    let with = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut wire = wire.clone();
        change(&mut wire);
        wire
    };
    let wrong_tag = with(&|wire| wire[SIZE + 3] ^= 1);
    assert!(fails(&wrong_tag, &plain, None).await.contains("without the right tag"));
    let wrong_byte = with(&|wire| wire[1000] ^= 1);
    assert!(fails(&wrong_byte, &plain, None).await.contains("without the right tag"));
    let no_tag = with(&|wire| {
        wire.truncate(SIZE);
        wire[1000] ^= 1;
    });
    assert!(fails(&no_tag, &plain, None).await.contains("other bytes than those offered"));
    let half_a_tag = with(&|wire| wire.truncate(SIZE + 8));
    assert!(fails(&half_a_tag, &plain, None).await.contains("without the right tag"));
    let short = with(&|wire| wire.truncate(SIZE - 8));
    assert!(fails(&short, &plain, None).await.contains("it ended after 599992 of 600000 bytes"));
    assert!(fails(&wire, &plain, Some(b"other bytes")).await.contains("other bytes than those offered"));
    let bomb = with(&|wire| wire.resize(4 * SIZE, 7));
    assert!(fails(&bomb, &plain, None).await.contains("it has more than"));
}

/// The key in every form that it could slip out in.
pub(crate) fn forms_of_the_key() -> Vec<String> {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let list = |bytes: &[u8]| format!("{bytes:?}").trim_matches(['[', ']']).to_owned();
    vec![
        hex(&KEY),
        hex(&KEY).to_uppercase(),
        base64::encode(KEY),
        String::from_utf8(KEY.to_vec()).unwrap(),
        list(&KEY),
        hex(&IV),
        base64::encode(IV),
        list(&IV),
    ]
}

/// Also where it fails: what is told then is read by many.
///
/// Proves: USER-6-2.
#[test]
fn the_key_is_in_no_request_no_log_and_no_error() {
    let log = Log::default();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing_subscriber::filter::LevelFilter::TRACE).with_writer(log.clone()).finish();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let told = tracing::subscriber::with_default(subscriber, || {
        runtime.block_on(async {
            let plain = noise(5000);
            let wire = encrypted(&plain);
            let mut told = String::new();
            for manner in [Manner::Good, Manner::Wrong, Manner::Redirect("https://10.0.0.1/".to_owned()), Manner::Status(404)] {
                let web = Web::new(&wire, [manner]);
                let fragment = forms_of_the_key();
                let link = Source::Url(UrlSource::new(format!("{}#{}{}", web.url(), fragment[5], fragment[0])));
                let desk = in_memory(&plain, vec![source(&[web.url()], None), link]).await;
                let done: Result<SharedFile, _> = desk.fetch().await;
                told.push_str(&web.heads().concat());
                told.push_str(&format!("{:?} {:?}", done.as_ref().map(SharedFile::name), done.as_ref().err()));
                if let Err(error) = &done {
                    told.push_str(&format!("{error} {:?}", error.advice()));
                }
                told.push_str(&format!(
                    "{:?}",
                    desk.fetcher
                        .store()
                        .history(desk.offer.key())
                        .unwrap()
                        .records()
                        .iter()
                        .map(|record| record.outcome.to_string())
                        .collect::<Vec<_>>()
                ));
            }
            told
        })
    });
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(told.contains("GET /file.bin HTTP/1.1"), "the requests were seen: {told}");
    for secret in forms_of_the_key() {
        assert!(!told.contains(&secret), "{secret} in {told}");
        assert!(!log.contains(&secret), "{secret} in {log}");
    }
}
