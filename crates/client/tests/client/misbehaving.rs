//! Web servers that lie, change their mind or stop: the file, proven, or an error that names what happened.

use std::time::Duration;

use balcony_client::{Class, FetchError};
use balcony_sharing::plan::Outcome;
use balcony_sharing::{Source, UrlSource};
use balcony_store::Store;
use balcony_wire::url_data::{HttpData, HttpDataKind};
use testing_peers::web::{Manner, Web};

use crate::fetching::{Desk, SIZE, read};
use crate::scene::noise;

/// Fetches from one server after the other; tells what came, and what each was asked.
async fn fetch(servers: &[&Web], bytes: &[u8]) -> Result<(), FetchError> {
    fetch_at(desk(servers, bytes).await, bytes).await
}

async fn desk(servers: &[&Web], bytes: &[u8]) -> Desk {
    let urls: Vec<String> = servers.iter().map(|web| web.url()).collect();
    Desk::new(bytes, &urls).await
}

async fn fetch_at(desk: Desk, bytes: &[u8]) -> Result<(), FetchError> {
    let file = desk.fetch().await?;
    assert!(file.is_proven() && read(&file) == bytes);
    Ok(())
}

fn outcomes(error: FetchError) -> Vec<Outcome> {
    match error {
        FetchError::Failed(failed) => failed.outcomes.into_iter().map(|(_, outcome)| outcome).collect(),
        other => panic!("{other}"),
    }
}

fn from(byte: usize) -> Option<String> {
    Some(format!("bytes={byte}-"))
}

#[tokio::test]
async fn an_answer_that_ends_at_any_byte_of_it_is_taken_up_where_it_ended() {
    let bytes = noise(300);
    for at in 0..420 {
        let web = Web::new(&bytes, [Manner::ClosesAt(at), Manner::Good]);
        fetch(&[&web], &bytes).await.unwrap_or_else(|error| panic!("closed at {at}: {error}"));
        assert!(web.asked().len() <= 2, "closed at {at}: {:?}", web.asked());
    }
}

#[tokio::test]
async fn a_length_that_is_not_that_of_the_body_is_no_end_of_the_file() {
    let bytes = noise(SIZE);
    let longer = Web::new(&bytes, [Manner::LiesAboutLength(10)]);
    assert_eq!(outcomes(fetch(&[&longer], &bytes).await.unwrap_err()), [Outcome::TooLong(SIZE as u64)]);
    // Whoever says so says that the file is shorter than it was offered: then it is another file.
    let shorter = Web::new(&bytes, [Manner::LiesAboutLength(-10)]);
    assert_eq!(outcomes(fetch(&[&shorter], &bytes).await.unwrap_err()), [Outcome::WrongBytes]);
    let helped = Web::new(&bytes, [Manner::Good]);
    fetch(&[&shorter, &helped], &bytes).await.unwrap();
}

#[tokio::test]
async fn a_part_with_other_bytes_than_it_says_costs_one_more_try() {
    let bytes = noise(SIZE);
    let web = Web::new(&bytes, [Manner::Breaks(200_000), Manner::LiesAboutRange(7), Manner::Good]);
    let desk = Desk::new(&bytes, &[web.url()]).await;
    // It alone gave all of them, so it is blamed.
    let outcomes = outcomes(desk.fetch().await.err().unwrap());
    assert!(matches!(outcomes[..], [Outcome::Unreachable(_), Outcome::WrongBytes]), "{outcomes:?}");
    let (liar, good) = (Web::new(&bytes, [Manner::Breaks(200_000), Manner::LiesAboutRange(7)]), Web::new(&bytes, [Manner::Good]));
    let desk = Desk::new(&bytes, &[liar.url(), good.url()]).await;
    assert_eq!(read(&desk.fetch().await.unwrap()), bytes);
}

#[tokio::test]
async fn another_part_than_the_one_asked_for_is_not_taken() {
    let bytes = noise(SIZE);
    for manner in [Manner::OtherPart(5), Manner::ManyParts] {
        let web = Web::new(&bytes, [manner.clone()]);
        let good = Web::new(&bytes, [Manner::Good]);
        assert_eq!(outcomes(fetch(&[&web], &bytes).await.unwrap_err()), [Outcome::WrongRange], "{manner:?}");
        fetch(&[&web, &good], &bytes).await.unwrap();
        let later = Web::new(&bytes, [Manner::Breaks(1000), manner]);
        fetch(&[&later, &good], &bytes).await.unwrap();
        assert_eq!(good.asked().last(), Some(&from(1000)), "the other source goes on behind what was right");
    }
}

#[tokio::test]
async fn a_file_that_is_another_one_at_each_request_is_begun_anew() {
    let bytes = noise(SIZE);
    let honest = Web::new(&bytes, [Manner::Breaks(200_000), Manner::NewTag]);
    fetch(&[&honest], &bytes).await.unwrap();
    assert_eq!(honest.asked(), [None, from(200_000)], "all of it came again");
    let careless = Web::new(&bytes, [Manner::Breaks(200_000), Manner::NewTagAnyway, Manner::Good]);
    fetch(&[&careless], &bytes).await.unwrap();
    assert_eq!(careless.asked(), [None, from(200_000), None], "a part of another version is no use");
}

#[tokio::test]
async fn a_server_that_has_nothing_behind_what_is_there_is_asked_for_all_of_it() {
    let bytes = noise(SIZE);
    let web = Web::new(&bytes, [Manner::Unsatisfiable]);
    assert_eq!(outcomes(fetch(&[&web], &bytes).await.unwrap_err()), [Outcome::Unusable(416)]);
    let web = Web::new(&bytes, [Manner::Breaks(1000), Manner::Unsatisfiable, Manner::Good]);
    fetch(&[&web], &bytes).await.unwrap();
    assert_eq!(web.asked(), [None, from(1000), None]);
}

#[tokio::test]
async fn a_busy_server_is_asked_again_and_a_packed_body_is_not_taken_for_the_file() {
    let bytes = noise(SIZE);
    for status in [408, 425, 429, 500, 502, 503] {
        let web = Web::new(&bytes, [Manner::Busy(status, 1), Manner::Good]);
        fetch(&[&web], &bytes).await.unwrap();
        assert_eq!(web.asked().len(), 2, "{status}");
    }
    let busy = Web::new(&bytes, [Manner::Busy(503, 1_000_000)]);
    assert_eq!(outcomes(fetch(&[&busy], &bytes).await.unwrap_err()), vec![Outcome::ServerFailed(503); 3]);
    let packed = Web::new(&bytes, [Manner::Packed]);
    assert_eq!(outcomes(fetch(&[&packed], &bytes).await.unwrap_err()), [Outcome::Unusable(200)]);
    for status in [100, 204, 205, 300, 304, 305, 306, 401, 402, 403, 407, 451] {
        let web = Web::new(&bytes, [Manner::Status(status)]);
        assert!(fetch(&[&web], &bytes).await.is_err(), "{status}");
        assert!(web.asked().len() <= 3, "{status}");
    }
}

#[tokio::test]
async fn a_dripping_or_silent_server_is_left_for_another_that_goes_on_at_the_same_byte() {
    let bytes = noise(SIZE);
    for manner in [Manner::Stalls(100_000), Manner::Breaks(100_000)] {
        let (slow, good) = (Web::new(&bytes, [manner]), Web::new(&bytes, [Manner::Good]));
        fetch_at(desk(&[&slow, &good], &bytes).await.impatient(), &bytes).await.unwrap();
        assert_eq!(good.asked(), [from(100_000)]);
    }
    let (drip, good) = (Web::new(&bytes, [Manner::Drips(3, Duration::from_millis(20))]), Web::new(&bytes, [Manner::Good]));
    fetch_at(desk(&[&drip, &good], &bytes).await.impatient(), &bytes).await.unwrap();
    let dripped = good.asked()[0].clone().unwrap();
    assert!(dripped != "bytes=0-" && dripped.len() < "bytes=1000-".len() + 1, "{dripped}");
    let endless = Web::new(&bytes, [Manner::EndlessHead]);
    fetch_at(desk(&[&endless, &good], &bytes).await.impatient(), &bytes).await.unwrap();
}

/// Proves: SEC-3-3.
#[tokio::test]
async fn every_kind_of_redirect_is_followed_as_a_get_and_carries_nothing_along() {
    let bytes = noise(1000);
    for status in [301, 302, 303, 307, 308] {
        let good = Web::new(&bytes, [Manner::Good]);
        let web = Web::new(&bytes, [Manner::RedirectAs(status, good.url())]);
        let credentials = HttpData {
            kind: HttpDataKind::Auth {
                scheme: "basic".to_owned(),
                params: vec![("username".to_owned(), "romeo".to_owned()), ("password".to_owned(), "x".to_owned())],
            },
            refused: None,
        };
        let source = Source::Url(UrlSource { target: web.url(), http: vec![credentials] });
        let desk = Desk::in_store(Store::in_memory().unwrap(), &bytes, &[], |file| file.sources = vec![source]).await;
        assert_eq!(read(&desk.fetch().await.unwrap()), bytes, "{status}");
        let has = |web: &Web| web.heads()[0].to_lowercase().contains("authorization: basic");
        assert!(has(&web) && !has(&good), "{status}: {:?} {:?}", web.heads(), good.heads());
        assert!(good.heads()[0].starts_with("GET "));
    }
    let circle = Web::new(&bytes, [Manner::Redirect("/again".to_owned())]);
    let error = fetch(&[&circle], &bytes).await.unwrap_err();
    assert_eq!(error.class(), Class::Policy);
    assert_eq!(circle.asked().len(), 4);
}

/// The plan shows the address to this machine only; the host behind the redirect is nobody's.
/// Proves: SEC-3-2.
#[tokio::test]
async fn a_redirect_to_a_third_host_is_not_followed_unasked_and_is_named() {
    let bytes = noise(1000);
    let web = Web::new(&bytes, [Manner::Redirect("https://third.example/file.bin".to_owned())]);
    let desk = Desk::new(&bytes, &[web.url()]).await;
    let wish = balcony_client::Wish { asked: true, ..Default::default() };
    let balcony_client::Decision::Fetch(plan) = desk.fetcher.decide(&desk.offer, &balcony_client::Policy::default(), wish).await.unwrap()
    else {
        panic!("nothing to ask about")
    };
    let error = desk.fetcher.fetch(&desk.offer, plan).await.err().unwrap();
    assert_eq!(error.class(), Class::Policy);
    assert!(error.to_string().contains("third.example") && error.advice().unwrap().contains("agree"), "{error}");
}
