//! Uploading to services that refuse, stall, break and change their mind: a virtual clock, no sockets.

#![allow(clippy::result_large_err, reason = "answers are made here as the driver makes them")]

use std::time::{Duration, Instant, SystemTime};

use balcony_sharing::transfer::upload::{Action, NoSlot, Put, PutFailure, Service, UploadError, UploadJob, UploadTask, Uploaded, pause};
use balcony_wire::http_upload::{FileTooLarge, SlotRequest};
use balcony_wire::stanza::{Stanza, StanzaError};
use balcony_wire::{Element, Jid, Payload as _};

const SLOT: &str = "<slot xmlns='urn:xmpp:http:upload:0'><put url='https://upload.montague.lit/a/summit.jpg'>\
    <header name='Authorization'>Basic Base64String==</header><header name='Host'>evil.example</header></put>\
    <get url='https://download.montague.lit/a/summit.jpg'/></slot>";

#[allow(clippy::disallowed_methods, reason = "a first instant, from which the virtual clock runs")]
fn dawn() -> Instant {
    Instant::now()
}

fn service(jid: &str, max_file_size: Option<u64>) -> Service {
    Service { jid: Jid::parse(jid).unwrap(), max_file_size }
}

fn task(services: Vec<Service>, size: u64) -> UploadTask {
    let request = SlotRequest { filename: "summit.jpg".into(), size, content_type: Some("image/jpeg".into()), purpose: None };
    UploadTask { services, request, loopback_http: false }
}

fn job() -> UploadJob {
    UploadJob::new(task(vec![service("upload.montague.lit", None)], 3_032_449)).unwrap()
}

fn slot(xml: &str) -> Result<Option<Element>, NoSlot> {
    Ok(Some(Element::parse(xml).unwrap()))
}

/// The error of an answer as XEP-0363 §6 prints it.
fn refusal(example: &str) -> Result<Option<Element>, NoSlot> {
    let xml = testing_corpus::example(example).in_stream_without_comments();
    match Stanza::read(Element::parse(&xml).unwrap()).unwrap() {
        Stanza::Iq(iq) => {
            let element = iq.into_element();
            let error = element.children().find(|child| StanzaError::matches(child)).unwrap();
            Err(NoSlot::Refused(StanzaError::read(error).unwrap()))
        }
        other => panic!("{other:?}"),
    }
}

fn asked(job: &mut UploadJob) -> (Jid, Element) {
    match job.poll_action() {
        Some(Action::AskForSlot { service, payload }) => (service, payload),
        other => panic!("{other:?}"),
    }
}

fn put(job: &mut UploadJob) -> Put {
    match job.poll_action() {
        Some(Action::Put(put)) => put,
        other => panic!("{other:?}"),
    }
}

fn ended(job: &mut UploadJob) -> Result<Uploaded, UploadError> {
    match job.poll_action() {
        Some(Action::Ended(result)) => {
            assert_eq!((job.poll_action(), job.deadline()), (None, None));
            result
        }
        other => panic!("{other:?}"),
    }
}

/// Decision 38.
/// Proves: HUP-4-1, HUP-4-2, HUP-4-3, HUP-4-10, HUP-4-11, HUP-8-3, HUP-D-2.
#[test]
fn the_url_is_handed_out_once_the_service_has_taken_the_file() {
    for status in [200, 201, 204] {
        let mut job = job();
        let (whom, request) = asked(&mut job);
        assert_eq!(whom.as_str(), "upload.montague.lit");
        assert_eq!(
            (request.attr("filename"), request.attr("size"), request.attr("content-type")),
            (Some("summit.jpg"), Some("3032449"), Some("image/jpeg"))
        );
        job.handle_slot(dawn(), slot(SLOT));
        let put = put(&mut job);
        assert_eq!((put.url.as_str(), put.size), ("https://upload.montague.lit/a/summit.jpg", 3_032_449));
        let headers: Vec<_> = put.headers.iter().map(|header| (header.name(), header.value())).collect();
        assert_eq!(headers, [("Authorization", "Basic Base64String==")]);
        assert_eq!(job.poll_action(), None, "no word of the URL before the service has the file");
        job.handle_answer(status);
        assert_eq!(ended(&mut job).unwrap().get_url, "https://download.montague.lit/a/summit.jpg");
    }
}

/// Proves: HUP-D-4.
#[test]
fn limits_are_looked_at_before_anything_is_asked() {
    let small = || vec![service("a.lit", Some(10)), service("b.lit", Some(20))];
    let error = UploadJob::new(task(small(), 30)).unwrap_err();
    assert_eq!(error.to_string(), "the file has 30 bytes, b.lit takes at most 20 bytes");
    let mut job = UploadJob::new(task(small(), 15)).unwrap();
    assert_eq!(asked(&mut job).0.as_str(), "b.lit");
    let mut unknown = UploadJob::new(task(vec![service("c.lit", None)], u64::MAX)).unwrap();
    assert_eq!(asked(&mut unknown).0.as_str(), "c.lit", "no announced limit is neither zero nor a refusal");
    assert_eq!(UploadJob::new(task(small(), 0)).unwrap_err(), UploadError::Empty);
    assert_eq!(UploadJob::new(task(vec![], 5)).unwrap_err(), UploadError::NoService);
}

#[test]
fn a_limit_told_in_a_refusal_is_kept() {
    let mut job = job();
    asked(&mut job);
    job.handle_slot(dawn(), refusal("xep-0363/11-alternative-response-by-the-upload-service-if-the-file-size.xml"));
    let learned = Action::Learned { service: Jid::parse("upload.montague.lit").unwrap(), max_file_size: 20000 };
    assert_eq!(job.poll_action(), Some(learned));
    assert!(matches!(ended(&mut job), Err(UploadError::TooLarge { limit: 20000, .. })));
}

#[test]
fn a_quota_says_when_to_come_back() {
    let mut job = job();
    asked(&mut job);
    job.handle_slot(dawn(), refusal("xep-0363/12-alternative-response-by-the-upload-service-to-indicate-a-tem.xml"));
    let error = ended(&mut job).unwrap_err();
    assert!(matches!(&error, UploadError::Quota { retry: Some(_), .. }), "{error:?}");
    assert!(error.to_string().contains("upload.montague.lit takes no more for now, until 2017-12-03T23:42:05"), "{error}");
}

/// Proves: HUP-6-5.
#[test]
fn a_service_that_names_a_time_is_waited_for_if_it_is_not_far_off() {
    let refusal = refusal("xep-0363/12-alternative-response-by-the-upload-service-to-indicate-a-tem.xml").unwrap_err();
    // 2017-12-03T23:42:05Z, as the example says.
    let stamp = SystemTime::UNIX_EPOCH + Duration::from_secs(1_512_344_525);
    assert_eq!(pause(&refusal, stamp - Duration::from_secs(10)), Some(Duration::from_secs(11)));
    assert_eq!(pause(&refusal, stamp + Duration::from_secs(10)), Some(Duration::from_secs(1)), "our clock is fast");
    assert_eq!(pause(&refusal, stamp - Duration::from_secs(3600)), None);
    assert_eq!(pause(&NoSlot::Silent("it did not answer".to_owned()), stamp), None);
}

/// Proves: HUP-7-5.
#[test]
fn a_failed_upload_gets_a_fresh_slot_once_and_then_the_next_service() {
    let mut job = UploadJob::new(task(vec![service("a.lit", None), service("b.lit", None)], 5)).unwrap();
    for (whom, status) in [("a.lit", 500), ("a.lit", 403), ("b.lit", 500), ("b.lit", 413)] {
        assert_eq!(asked(&mut job).0.as_str(), whom);
        job.handle_slot(dawn(), slot(SLOT));
        put(&mut job);
        job.handle_answer(status);
    }
    let error = ended(&mut job).unwrap_err();
    assert_eq!(error.to_string(), "upload.montague.lit answered 413 to the upload (too large)");
}

/// Decision 38.
/// Proves: HUP-D-1.
#[test]
fn a_slot_that_is_not_https_is_refused() {
    for url in ["http://upload.montague.lit/a", "ftp://upload.montague.lit/a", "/a", "https://"] {
        for (from, to) in [("https://upload.montague.lit/a/summit.jpg", url), ("https://download.montague.lit/a/summit.jpg", url)] {
            let mut job = job();
            asked(&mut job);
            job.handle_slot(dawn(), slot(&SLOT.replace(from, to)));
            assert!(matches!(ended(&mut job), Err(UploadError::BadSlot { .. })), "{url}");
        }
    }
    let mut loopback = UploadJob::new(UploadTask { loopback_http: true, ..task(vec![service("a.lit", None)], 5) }).unwrap();
    asked(&mut loopback);
    loopback.handle_slot(dawn(), slot(&SLOT.replace("https://upload.montague.lit", "http://127.0.0.1:5280")));
    assert_eq!(put(&mut loopback).url.as_str(), "http://127.0.0.1:5280/a/summit.jpg");
}

/// Decision 38.
#[test]
fn a_redirect_of_a_put_is_not_followed() {
    let mut job = UploadJob::new(task(vec![service("a.lit", None)], 5)).unwrap();
    for _ in 0..2 {
        asked(&mut job);
        job.handle_slot(dawn(), slot(SLOT));
        put(&mut job);
        job.handle_answer(307);
    }
    assert!(ended(&mut job).unwrap_err().to_string().ends_with("(redirects of uploads are not followed)"));
}

#[test]
fn a_file_that_changes_meanwhile_ends_it_at_once() {
    let mut job = job();
    asked(&mut job);
    job.handle_slot(dawn(), slot(SLOT));
    put(&mut job);
    job.handle_failure(PutFailure::FileChanged("it is 5 bytes longer than when the upload began".into()));
    let error = ended(&mut job).unwrap_err();
    assert_eq!(error.to_string(), "the file changed while it was being sent: it is 5 bytes longer than when the upload began");
    assert!(!error.advice().is_empty());
}

#[test]
fn a_service_that_takes_no_more_bytes_is_given_up_after_a_minute() {
    let start = dawn();
    let mut job = job();
    asked(&mut job);
    job.handle_slot(start, slot(SLOT));
    put(&mut job);
    job.handle_progress(start + Duration::from_secs(50), 1000);
    assert_eq!(job.deadline(), Some(start + Duration::from_secs(110)));
    job.handle_timeout(start + Duration::from_secs(109));
    assert_eq!(job.poll_action(), None);
    job.handle_timeout(start + Duration::from_secs(110));
    assert_eq!(job.poll_action(), Some(Action::Abandon));
    assert_eq!(asked(&mut job).0.as_str(), "upload.montague.lit", "a fresh slot");
}

#[test]
fn silence_and_nonsense_of_a_service_are_told_apart() {
    let mut silent = job();
    asked(&mut silent);
    silent.handle_slot(dawn(), Err(NoSlot::Silent("no answer for 30 seconds".into())));
    assert_eq!(ended(&mut silent).unwrap_err().to_string(), "upload.montague.lit did not answer: no answer for 30 seconds");
    let mut empty = job();
    asked(&mut empty);
    empty.handle_slot(dawn(), Ok(None));
    assert!(matches!(ended(&mut empty), Err(UploadError::BadSlot { .. })));
    let mut unlimited = job();
    asked(&mut unlimited);
    let error = StanzaError::new(balcony_wire::stanza::DefinedCondition::NotAcceptable).with_application(FileTooLarge::default().write());
    unlimited.handle_slot(dawn(), Err(NoSlot::Refused(error)));
    assert!(matches!(ended(&mut unlimited), Err(UploadError::TooLargeForUnknownLimit(_))));
}
