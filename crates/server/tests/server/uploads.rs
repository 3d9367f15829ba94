//! XEP-0363: slots, PUT, GET, and everything that is refused.

use std::time::Duration;

use balcony_wire::disco::DiscoInfo;
use balcony_wire::{Element, Payload as _};
use tokio::io::AsyncWriteExt as _;

use crate::house::{House, house, house_with};
use crate::peer::{Peer, condition};
use crate::web::{ask, begin, finish, put};

const HOST: &str = "upload.localhost";

pub(crate) fn request(name: &str, size: usize, rest: &str) -> String {
    format!("<request xmlns='urn:xmpp:http:upload:0' filename='{name}' size='{size}' {rest}")
}

/// PUT and GET URL of a granted slot.
fn urls(answer: &Element) -> (String, String) {
    assert_eq!(answer.attr("type"), Some("result"), "{}", answer.to_xml());
    let slot = answer.child("slot", "urn:xmpp:http:upload:0").unwrap();
    // The token is in the URL: no header is needed, so none but the three allowed ones can be there.
    assert!(slot.children().all(|url| url.children().next().is_none()));
    let url = |name| slot.child(name, "urn:xmpp:http:upload:0").unwrap().attr("url").unwrap().to_owned();
    (url("put"), url("get"))
}

pub(crate) async fn slot(peer: &mut Peer, name: &str, size: usize, content_type: &str) -> (String, String) {
    let rest = if content_type.is_empty() { "/>".to_owned() } else { format!("content-type='{content_type}'/>") };
    urls(&peer.ask("get", HOST, &request(name, size, &rest)).await)
}

/// Uploads and gives the GET URL.
async fn upload(house: &House, name: &str, content_type: &str, bytes: &[u8]) -> String {
    let mut peer = house.login("romeo", "uploader").await;
    let (to, from) = slot(&mut peer, name, bytes.len(), content_type).await;
    let done = put(house, &to, Some(content_type).filter(|told| !told.is_empty()), bytes).await;
    assert_eq!(done.status, 201, "{done:?}");
    peer.log_out().await;
    from
}

pub(crate) fn bytes(count: usize) -> Vec<u8> {
    (0..count).map(|n| (n * 31 % 251) as u8).collect()
}

/// Proves: HUP-3-1, HUP-3-2, HUP-3-3, HUP-5-3, HUP-5.4-1, USER-8-2.
#[tokio::test]
async fn the_service_announces_itself_its_limit_and_its_purposes() {
    let house = house_with(|settings| settings.upload.max_size = 12_345).await;
    let mut peer = house.login("romeo", "balcony").await;
    let answer = peer.ask("get", HOST, "<query xmlns='http://jabber.org/protocol/disco#info'/>").await;
    let info = DiscoInfo::read(answer.children().next().unwrap()).unwrap();
    assert!(info.is("store", "file") && info.has("urn:xmpp:http:upload:0"));
    assert_eq!(info.form("urn:xmpp:http:upload:0").unwrap().value("max-file-size"), Some("12345"));
    for purpose in ["message", "ephemeral"] {
        assert!(info.has(&format!("urn:xmpp:http:upload:purpose:0#{purpose}")));
    }
    for purpose in ["profile", "permanent"] {
        assert!(!info.has(&format!("urn:xmpp:http:upload:purpose:0#{purpose}")));
        let refused =
            peer.ask("get", HOST, &request("a", 1, &format!("><{purpose} xmlns='urn:xmpp:http:upload:purpose:0'/></request>"))).await;
        assert_eq!(condition(&refused), "feature-not-implemented");
    }
}

/// Proves: HUP-2-1, HUP-4-4, HUP-4-5, HUP-4-6, HUP-4-7, HUP-4-9, HUP-7-4, HUP-9.1-1, HUP-9.3-1, HUP-D-3, HUP-5-2, SIMS-9.2-1.
#[tokio::test]
async fn what_was_put_can_be_got_by_anybody_who_knows_the_address() {
    let house = house().await;
    let file = bytes(3_000_000);
    let url = upload(&house, "très cool.jpg", "image/jpeg", &file).await;
    assert!(url.starts_with("https://localhost:") && url.ends_with("/tr%C3%A8s%20cool.jpg"), "{url}");
    let random = url.split('/').nth(3).unwrap();
    assert!(random.len() >= 22, "{random}");
    let got = ask(&house, "GET", &url, &[]).await;
    assert_eq!(got.status, 200);
    assert!(got.body == file, "other bytes came back");
    assert_eq!(got.header("content-length"), "3000000");
    assert_eq!(got.header("content-type"), "image/jpeg");
    assert_eq!(got.header("x-content-type-options"), "nosniff");
    assert_eq!(got.header("content-security-policy"), "default-src 'none'; frame-ancestors 'none'; sandbox");
    assert!(got.header("content-disposition").starts_with("inline"));
    let head = ask(&house, "HEAD", &url, &[]).await;
    assert_eq!((head.status, head.header("content-length"), head.body.len()), (200, "3000000", 0));
    for (name, told) in [("a.html", "text/html"), ("a.svg", "image/svg+xml"), ("a", "")] {
        let got = ask(&house, "GET", &upload(&house, name, told, b"<script>").await, &[]).await;
        assert_eq!(got.header("content-type"), "application/octet-stream");
        assert!(got.header("content-disposition").starts_with("attachment"), "{name}");
    }
}

#[tokio::test]
async fn parts_of_a_file_are_served_and_a_download_goes_on_where_it_broke_off() {
    let house = house().await;
    let file = bytes(600_000);
    let url = upload(&house, "film.mp4", "video/mp4", &file).await;
    let whole = ask(&house, "HEAD", &url, &[]).await;
    let (tag, date) = (whole.header("etag").to_owned(), whole.header("last-modified").to_owned());
    assert_eq!(whole.header("accept-ranges"), "bytes");
    for (range, first, last) in [
        ("bytes=0-9", 0, 9),
        ("bytes=599990-", 599_990, 599_999),
        ("bytes=-5", 599_995, 599_999),
        ("bytes=100000-500000", 100_000, 500_000),
    ] {
        for validator in [&tag, &date] {
            let part = ask(&house, "GET", &url, &[("Range", range), ("If-Range", validator)]).await;
            assert_eq!((part.status, part.header("content-range")), (206, format!("bytes {first}-{last}/600000").as_str()), "{range}");
            assert!(part.body == file[first..=last], "{range}");
        }
    }
    assert_eq!(ask(&house, "GET", &url, &[("Range", "bytes=0-9"), ("If-Range", "\"other\"")]).await.status, 200);
    let beyond = ask(&house, "GET", &url, &[("Range", "bytes=600000-")]).await;
    assert_eq!((beyond.status, beyond.header("content-range")), (416, "bytes */600000"));
    assert_eq!(ask(&house, "GET", &url, &[("If-None-Match", &tag)]).await.status, 304);
    assert_eq!(ask(&house, "GET", &url, &[("If-Match", "\"other\"")]).await.status, 412);
}

/// Proves: HUP-8-2, USER-8-4.
#[tokio::test]
async fn web_clients_are_told_that_they_may() {
    let house = house().await;
    let url = upload(&house, "a.png", "image/png", b"x").await;
    for method in ["OPTIONS", "GET", "HEAD"] {
        let answer = ask(&house, method, &url, &[("Origin", "https://client.example")]).await;
        assert_eq!(answer.header("access-control-allow-origin"), "https://client.example", "{method}");
        assert_eq!(answer.header("access-control-allow-methods"), "OPTIONS, HEAD, GET, PUT");
        for header in ["Authorization", "Content-Type"] {
            assert!(answer.header("access-control-allow-headers").contains(header));
        }
        assert_eq!(answer.header("access-control-allow-credentials"), "true");
    }
    assert_eq!(ask(&house, "DELETE", &url, &[]).await.status, 405);
    assert_eq!(ask(&house, "POST", &url, &[("Content-Length", "0")]).await.status, 405);
}

/// Proves: HUP-7-1, HUP-7-2, HUP-7-3.
#[tokio::test]
async fn a_put_that_is_not_what_was_granted_is_refused_and_the_slot_stays_good() {
    let house = house().await;
    let mut peer = house.login("romeo", "balcony").await;
    let (to, from) = slot(&mut peer, "a.jpg", 5, "image/jpeg").await;
    assert_eq!(put(&house, &to, Some("image/jpeg"), b"four").await.status, 400);
    assert_eq!(put(&house, &to, Some("image/jpeg"), b"sixsix").await.status, 400);
    assert_eq!(put(&house, &to, Some("text/html"), b"hello").await.status, 415);
    let chunked = begin(&house, "PUT", &to, &[("Transfer-Encoding", "chunked"), ("Content-Type", "image/jpeg")]).await;
    let mut chunked = chunked;
    chunked.write_all(b"5\r\nhello\r\n0\r\n\r\n").await.unwrap();
    chunked.flush().await.unwrap();
    assert_eq!(finish(chunked).await.status, 411);
    assert_eq!(put(&house, &from, Some("image/jpeg"), b"hello").await.status, 403, "no token");
    assert_eq!(put(&house, &to.replace("a.jpg", "a.exe"), Some("image/jpeg"), b"hello").await.status, 403);
    assert_eq!(ask(&house, "GET", &from, &[]).await.status, 404);
    assert_eq!(put(&house, &to, None, b"hello").await.status, 201);
    assert_eq!(put(&house, &to, None, b"jello").await.status, 409, "a slot is used once");
    assert_eq!(ask(&house, "GET", &from, &[]).await.body, b"hello");
    assert_eq!(ask(&house, "GET", &from.replace("a.jpg", "a.exe"), &[]).await.status, 404);
}

#[tokio::test]
async fn an_upload_that_breaks_off_leaves_nothing_and_can_be_tried_again() {
    let house = house().await;
    let mut peer = house.login("romeo", "balcony").await;
    let (to, from) = slot(&mut peer, "a.bin", 2_000_000, "").await;
    let mut half = begin(&house, "PUT", &to, &[("Content-Length", "2000000")]).await;
    half.write_all(&bytes(1_000_000)).await.unwrap();
    half.flush().await.unwrap();
    drop(half);
    assert_eq!(ask(&house, "GET", &from, &[]).await.status, 404);
    // While the server has not noticed, the slot is in use; then it is good again.
    let file = bytes(2_000_000);
    let done = loop {
        let done = put(&house, &to, None, &file).await;
        if done.status != 409 {
            break done;
        }
    };
    assert_eq!(done.status, 201);
    assert!(ask(&house, "GET", &from, &[]).await.body == file);
    let incoming = house.folder.path().join("data/uploads/incoming");
    assert_eq!(std::fs::read_dir(incoming).unwrap().count(), 0);
}

/// Decision 18.
/// Proves: HUP-6-1, HUP-D-4.
#[tokio::test]
async fn slots_that_make_no_sense_are_refused_in_words() {
    let house = house_with(|settings| settings.upload.max_size = 1000).await;
    let mut peer = house.login("romeo", "balcony").await;
    let large = peer.ask("get", HOST, &request("a", 1001, "/>")).await;
    assert_eq!(condition(&large), "not-acceptable");
    let error = large.children().find(|child| child.name() == "error").unwrap();
    assert_eq!(error.attr("type"), Some("modify"));
    assert_eq!(error.child("file-too-large", "urn:xmpp:http:upload:0").unwrap().child_text("max-file-size").as_deref(), Some("1000"));
    for (payload, expected) in [
        (request("a", 0, "/>"), "bad-request"),
        (request("", 5, "/>"), "bad-request"),
        (request("..", 5, "/>"), "bad-request"),
        (request("a", 5, "content-type='x'/>"), "bad-request"),
        ("<request xmlns='urn:xmpp:http:upload:0' filename='a' size='many'/>".to_owned(), "bad-request"),
        ("<request xmlns='urn:xmpp:http:upload:0' filename='a'/>".to_owned(), "bad-request"),
        (
            request("a", 5, "><ephemeral xmlns='urn:xmpp:http:upload:purpose:0' expire-before='2001-01-01T00:00:00Z'/></request>"),
            "bad-request",
        ),
    ] {
        assert_eq!(condition(&peer.ask("get", HOST, &payload).await), expected, "{payload}");
    }
    assert_eq!(condition(&peer.ask("set", HOST, &request("a", 5, "/>")).await), "service-unavailable");
}

/// Proves: HUP-6-2, HUP-6-3, HUP-6-4.
#[tokio::test]
async fn who_has_used_up_its_share_is_told_when_to_come_back() {
    let house = house_with(|settings| settings.upload.per_day = 100).await;
    let mut peer = house.login("romeo", "balcony").await;
    slot(&mut peer, "a", 60, "").await;
    let over = peer.ask("get", HOST, &request("b", 60, "/>")).await;
    assert_eq!(condition(&over), "resource-constraint");
    let error = over.children().find(|child| child.name() == "error").unwrap();
    assert_eq!(error.attr("type"), Some("wait"));
    let stamp = error.child("retry", "urn:xmpp:http:upload:0").unwrap().attr("stamp").unwrap();
    assert!(balcony_wire::datetime::DateTime::parse(stamp).is_some() && stamp.ends_with('Z'), "{stamp}");
    let mut other = house.login("juliet", "chamber").await;
    slot(&mut other, "a", 60, "").await;
}

#[tokio::test]
async fn names_are_never_paths() {
    let house = house().await;
    let url = upload(&house, "../../../../etc/passwd", "", b"mine").await;
    assert!(!url.contains("/../"), "{url}");
    assert_eq!(ask(&house, "GET", &url, &[]).await.body, b"mine");
    let base = url.split('/').take(3).collect::<Vec<_>>().join("/");
    for path in ["", "incoming/x", "../server.sqlite", "..%2f..%2fserver.sqlite/x", "%2e%2e/server.key", "AAAAAAAAAAAAAAAAAAAAAA/x", "a//b"]
    {
        assert_eq!(ask(&house, "GET", &format!("{base}/{path}"), &[]).await.status, 404, "{path}");
    }
}

/// Proves: HUP-5.3-2.
#[tokio::test]
async fn files_end_when_they_should_and_expired_is_not_unknown() {
    let house = house_with(|settings| settings.upload.expiry = Duration::from_secs(2)).await;
    let url = upload(&house, "a.png", "image/png", b"soon gone").await;
    let unknown = url.replacen(url.split('/').nth(3).unwrap(), "AAAAAAAAAAAAAAAAAAAAAA", 1);
    assert_eq!(ask(&house, "GET", &unknown, &[]).await.status, 404);
    let until = std::time::Instant::now() + crate::peer::PATIENCE;
    while ask(&house, "GET", &url, &[]).await.status == 200 {
        assert!(std::time::Instant::now() < until, "it never expired");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(ask(&house, "GET", &url, &[]).await.status, 410);
    let stored = || {
        let shelves = std::fs::read_dir(house.folder.path().join("data/uploads")).unwrap();
        shelves.map(|shelf| std::fs::read_dir(shelf.unwrap().path()).unwrap().count()).sum::<usize>()
    };
    while stored() > 0 {
        assert!(std::time::Instant::now() < until, "it was never deleted");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(ask(&house, "GET", &url, &[]).await.status, 410);
}

/// Proves: HUP-8-1.
#[tokio::test]
async fn a_slot_runs_out() {
    let house = house_with(|settings| settings.upload.slot_lifetime = Duration::ZERO).await;
    let mut peer = house.login("romeo", "balcony").await;
    let (to, _) = slot(&mut peer, "a", 5, "").await;
    tokio::time::sleep(Duration::from_millis(2100)).await;
    let late = put(&house, &to, None, b"hello").await;
    assert_eq!(late.status, 403);
    assert!(String::from_utf8_lossy(&late.body).contains("run out"));
}

#[tokio::test]
async fn an_upload_that_stalls_is_ended() {
    let house = house_with(|settings| settings.upload.stall = Duration::from_secs(2)).await;
    let mut peer = house.login("romeo", "balcony").await;
    let (to, from) = slot(&mut peer, "a", 100, "").await;
    let mut slow = begin(&house, "PUT", &to, &[("Content-Length", "100")]).await;
    slow.write_all(b"half").await.unwrap();
    slow.flush().await.unwrap();
    assert_eq!(finish(slow).await.status, 408);
    assert_eq!(ask(&house, "GET", &from, &[]).await.status, 404);
}

#[tokio::test]
async fn files_survive_a_restart_and_so_do_slots() {
    let house = house().await;
    let url = upload(&house, "a.png", "image/png", b"still here").await;
    let mut peer = house.login("romeo", "balcony").await;
    let (to, from) = slot(&mut peer, "b.png", 5, "image/png").await;
    let port = house.server.https_addr().port().to_string();
    let house = house.restart().await;
    let moved = |url: &str| url.replace(&port, &house.server.https_addr().port().to_string());
    assert_eq!(ask(&house, "GET", &moved(&url), &[]).await.body, b"still here");
    assert_eq!(put(&house, &moved(&to), Some("image/png"), b"hello").await.status, 201);
    assert_eq!(ask(&house, "GET", &moved(&from), &[]).await.status, 200);
}
