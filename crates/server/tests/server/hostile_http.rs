//! Whoever reaches the HTTPS port without being welcome: odd requests, odd paths, changed slots, patience without end.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::house::{House, house, house_with};
use crate::peer::PATIENCE;
use crate::uploads::{bytes, request, slot};
use crate::web::{ask, begin, finish, put};

/// A TLS connection with nothing said on it.
async fn connection(house: &House) -> TlsStream<TcpStream> {
    let tcp = TcpStream::connect(house.server.https_addr()).await.unwrap();
    house.tls("http/1.1").connect(ServerName::try_from("localhost").unwrap(), tcp).await.unwrap()
}

/// Says these bytes and reads until the server closes.
async fn say(house: &House, said: &[u8]) -> String {
    let mut stream = connection(house).await;
    // Who is refused early cannot say all of it.
    let _ = stream.write_all(said).await;
    let _ = stream.flush().await;
    until_closed(&mut stream).await
}

async fn until_closed(stream: &mut TlsStream<TcpStream>) -> String {
    let mut heard = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut heard)).await.expect("never closed");
    String::from_utf8_lossy(&heard).into_owned()
}

/// How many answers there are, and the status of the first.
fn answers(heard: &str) -> (usize, &str) {
    let status = heard.split(' ').nth(1).unwrap_or_default();
    (heard.matches("HTTP/1.1 ").count() + heard.matches("HTTP/1.0 ").count(), status)
}

fn path(url: &str) -> String {
    format!("/{}", url.splitn(4, '/').nth(3).unwrap())
}

/// Files below the folder of uploads, whole or not.
fn stored(house: &House) -> usize {
    let shelves = std::fs::read_dir(house.folder.path().join("data/uploads")).unwrap();
    shelves.map(|shelf| std::fs::read_dir(shelf.unwrap().path()).unwrap().count()).sum()
}

#[tokio::test]
async fn no_path_leads_out_of_the_uploads_and_long_ones_end_by_name() {
    let house = house().await;
    let mut peer = house.login("romeo", "balcony").await;
    let (to, from) = slot(&mut peer, "a.bin", 5, "").await;
    assert_eq!(put(&house, &to, None, b"hello").await.status, 201);
    let object = from.split('/').nth(3).unwrap().to_owned();
    let (long, deep) = ("a".repeat(60_000), "../".repeat(5_000));
    for tried in [
        "/../server.sqlite",
        "/..%2fserver.sqlite/x",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/incoming/../../server.sqlite",
        "//etc/passwd",
        "///",
        "/\\..\\server.sqlite",
        "/lock/x",
        "*",
        &format!("/{object}"),
        &format!("/{object}/"),
        &format!("/{object}/a.bin/"),
        &format!("/{object}//a.bin"),
        &format!("/{object}/../{object}/a.bin"),
        &format!("/{object}/a.bin%00"),
        &format!("/{object}/a.bin%00.html"),
        &format!("/{object}/%61.bin%2f"),
        &format!("/{object}/a%"),
        &format!("/{object}/a%ff"),
        &format!("/{object}/a.bin;x"),
        &format!("/{object}/{long}"),
        &format!("/{object}/{deep}"),
        &format!("/{long}"),
    ] {
        for method in ["GET", "HEAD", "PUT"] {
            let heard =
                say(&house, format!("{method} {tried} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").as_bytes())
                    .await;
            let (count, status) = answers(&heard);
            let shown = &tried[..tried.len().min(60)];
            assert!(count == 1 && ["400", "403", "404", "414", "431"].contains(&status), "{method} {shown}: {status}");
            assert!(!heard.contains("SQLite") && !heard.contains("root:"), "{method} {shown}");
        }
    }
    assert_eq!(ask(&house, "GET", &from, &[]).await.body, b"hello");
    assert_eq!(stored(&house), 1);
}

#[tokio::test]
async fn a_slot_with_anything_changed_in_it_is_worth_nothing() {
    let house = house().await;
    let mut peer = house.login("romeo", "balcony").await;
    let (to, from) = slot(&mut peer, "a.jpg", 5, "image/jpeg").await;
    let (other, _) = slot(&mut peer, "a.jpg", 5, "image/jpeg").await;
    let (base, token) = to.split_once("?token=").unwrap();
    let (_, other_token) = other.split_once("?token=").unwrap();
    let raw = URL_SAFE_NO_PAD.decode(token).unwrap();
    let mut tokens: Vec<String> = (0..raw.len())
        .map(|at| {
            let mut changed = raw.clone();
            changed[at] = changed[at].wrapping_add(1);
            URL_SAFE_NO_PAD.encode(changed)
        })
        .collect();
    tokens.extend(
        ["", "x", other_token, &token[..token.len() - 1], &format!("{token}A"), &format!("{token}="), &token.to_uppercase()]
            .map(str::to_owned),
    );
    tokens.push(URL_SAFE_NO_PAD.encode(&raw[..raw.len() - 32])); // no signature at all
    tokens.push(URL_SAFE_NO_PAD.encode([&raw[..], &[0; 64]].concat()));
    for changed in tokens {
        assert_eq!(put(&house, &format!("{base}?token={changed}"), Some("image/jpeg"), b"hello").await.status, 403, "{changed}");
    }
    for query in ["", "?", "?TOKEN=x", &format!("?token=x&token={token}"), &format!("?%74oken={token}")] {
        assert_eq!(put(&house, &format!("{base}{query}"), Some("image/jpeg"), b"hello").await.status, 403, "{query}");
    }
    for moved in [base.replace("a.jpg", "a.JPG"), base.replace("a.jpg", "b.jpg"), base.replace("a.jpg", ""), format!("{base}/")] {
        assert_eq!(put(&house, &format!("{moved}?token={token}"), Some("image/jpeg"), b"hello").await.status, 403, "{moved}");
    }
    assert_eq!(stored(&house), 0);
    assert_eq!(ask(&house, "GET", &from, &[]).await.status, 404);
    assert_eq!(put(&house, &to, Some("image/jpeg"), b"hello").await.status, 201, "the true one still works");
}

#[tokio::test]
async fn of_many_who_put_to_one_slot_at_once_one_does_and_its_bytes_are_kept() {
    let house = house().await;
    let mut peer = house.login("romeo", "balcony").await;
    let (to, from) = slot(&mut peer, "a.bin", 300_000, "").await;
    let done = futures_util::future::join_all((0..8_u8).map(|who| {
        let (house, to) = (&house, &to);
        async move { (who, put(house, to, None, &vec![who; 300_000]).await.status) }
    }))
    .await;
    let winners: Vec<u8> = done.iter().filter(|(_, status)| *status == 201).map(|(who, _)| *who).collect();
    assert_eq!(winners.len(), 1, "{done:?}");
    assert!(done.iter().all(|(_, status)| [201, 409].contains(status)), "{done:?}");
    let got = ask(&house, "GET", &from, &[]).await.body;
    assert!(got.len() == 300_000 && got.iter().all(|byte| *byte == winners[0]), "bytes of several were mixed");
    assert_eq!(put(&house, &to, None, &vec![9; 300_000]).await.status, 409);
    assert!(ask(&house, "GET", &from, &[]).await.body == got, "a later PUT replaced the file");
}

/// Two readings of one request are how requests are smuggled: whatever has two is refused or read once, and the connection
/// behind it serves nothing that was hidden in a body.
#[tokio::test]
async fn requests_with_two_readings_are_refused_or_read_once() {
    let house = house_with(|settings| settings.upload.stall = Duration::from_secs(2)).await;
    let mut peer = house.login("romeo", "balcony").await;
    let (to, from) = slot(&mut peer, "a.bin", 5, "").await;
    let (to, from_path) = (path(&to), path(&from));
    let hidden = format!("GET {from_path} HTTP/1.1\r\nHost: x\r\n\r\n");
    let chunked = format!("0\r\n\r\n{hidden}");
    for head in [
        format!("Content-Length: {}\r\nTransfer-Encoding: chunked", chunked.len()),
        format!("Transfer-Encoding: chunked\r\nContent-Length: {}", chunked.len()),
        "Content-Length: 5\r\nContent-Length: 6".to_owned(),
        "Content-Length: 5, 6".to_owned(),
        "Content-Length: +5".to_owned(),
        "Content-Length: 0x5".to_owned(),
        "Content-Length: -5".to_owned(),
        "Content-Length: 99999999999999999999999".to_owned(),
        "Content-Length : 5".to_owned(),
        "Transfer-Encoding: chunked, identity".to_owned(),
        "Transfer-Encoding: xchunked".to_owned(),
        "Transfer-Encoding : chunked".to_owned(),
        " Content-Length: 5".to_owned(),
        "X: y\r\n\tContent-Length: 5".to_owned(),
        "X: \0\r\nContent-Length: 5".to_owned(),
        "X: a\rContent-Length: 5".to_owned(),
    ] {
        let body = if head.contains("ransfer") { chunked.as_str() } else { hidden.as_str() };
        let heard = say(&house, format!("PUT {to} HTTP/1.1\r\nHost: x\r\n{head}\r\n\r\n{body}").as_bytes()).await;
        let (_, status) = answers(&heard);
        assert!(["400", "411", "501"].contains(&status), "{head:?}: {heard}");
        assert!(!heard.contains("HTTP/1.1 2"), "{head:?}: {heard}");
        assert_eq!(stored(&house), 0, "{head:?}");
    }
    // A body that is refused is never read as the next request.
    let refused =
        say(&house, format!("PUT {from_path} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{hidden}", hidden.len()).as_bytes()).await;
    assert_eq!(answers(&refused), (1, "403"), "{refused}");
    for odd in [
        "\r\n\r\n\r\n",
        "GET\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "\u{16}\u{3}\u{1}",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "GET / HTTP/1.1\nHost: x\n\n",
    ] {
        let heard = say(&house, odd.as_bytes()).await;
        assert!(["", "400", "404"].contains(&answers(&heard).1), "{odd:?}: {heard}");
    }
    assert_eq!(put(&house, &format!("https://localhost{to}"), None, b"hello").await.status, 201);
}

#[tokio::test]
async fn heads_are_bounded() {
    let house = house_with(|settings| settings.upload.stall = Duration::from_secs(5)).await;
    let many: String = (0..200).map(|n| format!("X-{n}: y\r\n")).collect();
    let large = format!("X: {}\r\n", "y".repeat(200_000));
    for head in [many, large] {
        let heard = say(&house, format!("GET /x/y HTTP/1.1\r\nHost: x\r\n{head}\r\n").as_bytes()).await;
        assert!(["", "400", "431"].contains(&answers(&heard).1), "{heard}");
    }
    // One that never ends, as fast as it is taken.
    let mut stream = connection(&house).await;
    stream.write_all(b"GET /x/y HTTP/1.1\r\nHost: x\r\nX: ").await.unwrap();
    let mut sent = 0;
    while sent < 16 << 20 && stream.write_all(&[b'y'; 16_384]).await.is_ok() {
        sent += 16_384;
    }
    assert!(sent < 16 << 20, "the server reads heads without end");
}

#[tokio::test]
async fn the_host_that_is_named_changes_nothing_and_comes_back_nowhere() {
    let house = house().await;
    let mut peer = house.login("romeo", "balcony").await;
    let (to, from) = slot(&mut peer, "a.bin", 5, "").await;
    assert_eq!(put(&house, &to, None, b"hello").await.status, 201);
    let from = path(&from);
    for (target, host) in [
        (from.clone(), "Host: evil.example\r\n"),
        (from.clone(), "Host: evil.example\r\nX-Forwarded-Host: evil.example\r\nX-Original-URL: /../server.sqlite\r\n"),
        (from.clone(), "Host: localhost\r\nHost: evil.example\r\n"),
        (from.clone(), ""),
        (format!("https://evil.example{from}"), "Host: localhost\r\n"),
        (format!("http://evil.example:1@localhost{from}"), "Host: localhost\r\n"),
        ("http://169.254.169.254/latest/meta-data".to_owned(), "Host: 169.254.169.254\r\n"),
    ] {
        let heard = say(&house, format!("GET {target} HTTP/1.1\r\n{host}Connection: close\r\n\r\n").as_bytes()).await;
        assert!(["200", "400", "404"].contains(&answers(&heard).1), "{target} {host:?}: {heard}");
        assert!(!heard.contains("evil.example"), "{target} {host:?}: {heard}");
    }
    let connect = say(&house, b"CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\nConnection: close\r\n\r\n").await;
    assert!(["400", "404", "405"].contains(&answers(&connect).1), "nobody's proxy: {connect}");
    let upgrade = "GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n";
    assert_eq!(answers(&say(&house, upgrade.as_bytes()).await), (1, "404"));
}

#[tokio::test]
async fn ranges_by_the_thousand_give_no_more_than_the_file() {
    let house = house().await;
    let mut peer = house.login("romeo", "balcony").await;
    let file = bytes(100_000);
    let (to, from) = slot(&mut peer, "a.bin", file.len(), "").await;
    assert_eq!(put(&house, &to, None, &file).await.status, 201);
    let many = format!("bytes={}", vec!["0-"; 5_000].join(","));
    let overlapping = format!("bytes={}", (0..1_000).map(|n| format!("{n}-99999")).collect::<Vec<_>>().join(","));
    for range in [
        many.as_str(),
        &overlapping,
        "bytes=0-18446744073709551615",
        "bytes=18446744073709551615-18446744073709551615",
        "bytes=-18446744073709551616",
        "bytes=0-0,-1",
        "bytes=99999999999999999999999999-1",
        "bytes=-0",
        "bytes=--1",
        "bytes= 0 - 5",
        "none=0-5",
        "bytes=0-5\u{e9}",
    ] {
        let got = ask(&house, "GET", &from, &[("Range", range)]).await;
        let shown = &range[..range.len().min(40)];
        assert!([200, 206, 400, 416].contains(&got.status), "{shown}: {}", got.status);
        assert!(got.body.len() <= file.len(), "{shown}: {} bytes", got.body.len());
    }
}

/// Half a request, a byte now and then, or nothing at all behind the handshake: all are cut off, and who comes next is served.
#[tokio::test]
async fn who_says_too_little_is_cut_off() {
    let house = house_with(|settings| settings.upload.stall = Duration::from_secs(2)).await;
    let began = Instant::now();
    let mut idle = connection(&house).await;
    let mut half = connection(&house).await;
    half.write_all(b"GET / HTT").await.unwrap();
    half.flush().await.unwrap();
    let mut kept = connection(&house).await;
    kept.write_all(b"GET /x/y HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    kept.flush().await.unwrap();
    let dripping = async {
        let mut drip = connection(&house).await;
        let mut bytes = b"GET /x/y HTTP/1.1\r\nX: ".iter().copied().chain(std::iter::repeat(b'y'));
        while drip.write_all(&[bytes.next().unwrap()]).await.is_ok() && drip.flush().await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
            assert!(began.elapsed() < PATIENCE, "a head that drips is waited for without end");
        }
    };
    let (idle, half, kept, ()) = tokio::join!(until_closed(&mut idle), until_closed(&mut half), until_closed(&mut kept), dripping);
    assert!(["", "408"].contains(&answers(&idle).1), "{idle}");
    assert!(["", "408"].contains(&answers(&half).1), "{half}");
    assert_eq!(answers(&kept).1, "404");
    assert_eq!(ask(&house, "GET", "https://localhost/x/y", &[]).await.status, 404);
}

#[tokio::test]
async fn a_body_that_drips_is_ended_and_leaves_nothing() {
    let house = house_with(|settings| settings.upload.stall = Duration::from_secs(2)).await;
    let mut peer = house.login("romeo", "balcony").await;
    let (to, from) = slot(&mut peer, "a.bin", 100_000, "").await;
    let mut slow = begin(&house, "PUT", &to, &[("Content-Length", "100000")]).await;
    slow.write_all(&[1; 10]).await.unwrap();
    slow.flush().await.unwrap();
    assert_eq!(finish(slow).await.status, 408);
    assert_eq!(ask(&house, "GET", &from, &[]).await.status, 404);
    let until = Instant::now() + PATIENCE;
    while stored(&house) > 0 {
        assert!(Instant::now() < until, "half a file stays");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn so_many_web_connections_come_from_one_address_and_no_more() {
    let house = house_with(|settings| {
        settings.limits.connections_per_address = 20;
        // None of them goes by itself.
        settings.upload.stall = 4 * PATIENCE;
    })
    .await;
    let mut sockets = Vec::new();
    for _ in 0..300 {
        sockets.push(TcpStream::connect(house.server.https_addr()).await.unwrap());
    }
    // Those that were let in came first.
    for (closed, socket) in sockets[20..].iter_mut().enumerate() {
        let end = tokio::time::timeout(PATIENCE, socket.read(&mut [0; 1])).await;
        assert!(matches!(end, Ok(Ok(0) | Err(_))), "only {closed} of 280 were turned away");
    }
    drop(sockets);
    let until = Instant::now() + PATIENCE;
    while !served(&house).await {
        assert!(Instant::now() < until, "places are not given back");
        tokio::task::yield_now().await;
    }
}

async fn served(house: &House) -> bool {
    let Ok(tcp) = TcpStream::connect(house.server.https_addr()).await else { return false };
    house.tls("http/1.1").connect(ServerName::try_from("localhost").unwrap(), tcp).await.is_ok()
}

/// Names and types of strangers come back in headers and pages: neither splits the one nor runs in the other.
/// Decision 39.
#[tokio::test]
async fn names_and_types_split_no_header_and_run_in_no_page() {
    let house = house().await;
    let mut peer = house.login("romeo", "balcony").await;
    for name in [
        "a&#13;&#10;Set-Cookie: x=y",
        "&quot;; filename=evil.html",
        "&lt;script&gt;alert(1)&lt;/script&gt;.html",
        "a;b=c",
        "\u{202e}gpj.exe",
        "%0d%0aX: y",
    ] {
        let (to, from) = slot(&mut peer, name, 5, "").await;
        assert!(from.is_ascii() && !from.contains(['\r', '\n', '"', '<', ' ']), "{from}");
        assert_eq!(put(&house, &to, None, b"hello").await.status, 201, "{name}");
        let got = ask(&house, "GET", &from, &[]).await;
        assert_eq!(got.header("content-type"), "application/octet-stream");
        let disposition = got.header("content-disposition");
        let name = disposition.strip_prefix("attachment; filename*=UTF-8''").unwrap_or_else(|| panic!("{disposition}"));
        assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte)), "{disposition}");
        assert!(!got.headers.contains_key("set-cookie") && !got.headers.contains_key("x"));
    }
    for told in ["text/html&#13;&#10;X: y", "image/png; a=&#10;b", "\u{e9}/x", "text/html, image/png"] {
        let refused = peer.ask("get", "upload.localhost", &request("a", 5, &format!("content-type='{told}'/>"))).await;
        assert_eq!(refused.attr("type"), Some("error"), "{told}");
    }
    let words = ask(&house, "GET", "https://localhost/<script>alert(1)</script>/x", &[("Origin", "https://evil.example")]).await;
    assert!(words.header("content-type").starts_with("text/plain") || words.body.is_empty());
    assert!(!String::from_utf8_lossy(&words.body).contains("script"));
}
