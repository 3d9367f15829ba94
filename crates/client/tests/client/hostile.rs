//! Web servers and XMPP servers that want more than to serve: our memory, our patience, our addresses, or another reading of
//! what they say.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use balcony_client::{CataloguedOffer, Class, ConnectOptions, Decision, FetchError, Fetcher, ServerAddress, SharedFile, Wish};
use balcony_session::Security;
use balcony_sharing::dialect::{self, OutgoingFile, OutgoingShare, write};
use balcony_sharing::plan::Policy;
use balcony_sharing::transfer::fetch::FetchSettings;
use balcony_sharing::verify::{Hasher, SHARED_ALGOS};
use balcony_sharing::{NetRules, Origin, Received, Source};
use balcony_store::{Listing, NewOffer, Store};
use balcony_wire::file_sharing::FileSharing;
use balcony_wire::stanza::MessageKind;
use balcony_wire::{Element, Jid, Message, Payload as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::scene::{Scene, noise, refused};

/// Nothing here takes that long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server that says bytes, whatever it is asked.
struct Mouth {
    address: SocketAddr,
    /// Connections so far.
    heard: Arc<AtomicUsize>,
    /// Bytes that were taken from it so far.
    said: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Drop for Mouth {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Mouth {
    /// Says the first piece, then the second again and again until nobody listens; an empty one closes.
    async fn new(first: impl Into<Vec<u8>>, again: impl Into<Vec<u8>>, pause: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (first, again) = (Arc::new(first.into()), Arc::new(again.into()));
        let (heard, said): (Arc<AtomicUsize>, Arc<AtomicUsize>) = Default::default();
        let (counted, told) = (heard.clone(), said.clone());
        let task = tokio::spawn(async move {
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                counted.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(speak(tcp, first.clone(), again.clone(), pause, told.clone()));
            }
        });
        Self { address, heard, said, task }
    }

    async fn once(said: impl Into<Vec<u8>>) -> Self {
        Self::new(said, "", Duration::ZERO).await
    }

    fn url(&self) -> String {
        format!("http://{}/file.bin", self.address)
    }
}

async fn speak(mut tcp: TcpStream, first: Arc<Vec<u8>>, again: Arc<Vec<u8>>, pause: Duration, told: Arc<AtomicUsize>) {
    let mut question = [0; 4096];
    let _ = tcp.read(&mut question).await;
    if tcp.write_all(&first).await.is_err() || again.is_empty() {
        let _ = tcp.shutdown().await;
        // Closing with unread input would take back what was said.
        while tcp.read(&mut question).await.is_ok_and(|count| count > 0) {}
        return;
    }
    while tcp.write_all(&again).await.is_ok() {
        told.fetch_add(again.len(), Ordering::Relaxed);
        tokio::time::sleep(pause).await;
    }
}

/// An offer of `bytes` at a URL, and what fetches it.
struct Desk {
    fetcher: Fetcher,
    offer: CataloguedOffer,
}

impl Desk {
    async fn new(bytes: &[u8], url: &str) -> Self {
        Self::with(bytes, url, NetRules { loopback_http: true, ..NetRules::default() }, None).await
    }

    async fn with(bytes: &[u8], url: &str, rules: NetRules, ca: Option<&str>) -> Self {
        let mut hasher = Hasher::new(SHARED_ALGOS);
        hasher.update(bytes);
        let mut file = OutgoingFile::new("s1", "file.bin", None, &hasher.finish());
        file.sources = vec![Source::url(url)];
        let to = Jid::parse("juliet@capulet.example").unwrap();
        let mut message = write(&OutgoingShare { to, to_room: false, id: "m1".to_owned(), text: None, files: vec![file] }).message;
        message.from = Some(Jid::parse("romeo@montague.example/orchard").unwrap());
        let stanza = message.clone().into_element().to_xml();
        let account = "juliet@capulet.example".parse().unwrap();
        let offers = dialect::read(&Received::direct(message, &account).unwrap()).offers;
        let store = Store::in_memory().unwrap();
        let (key, _) = store.add_offer(&NewOffer::new(&offers[0], stanza, SystemTime::now())).unwrap();
        let settings = FetchSettings {
            open_timeout: Duration::from_secs(3),
            stall_timeout: Duration::from_secs(2),
            back_off: Duration::from_millis(5),
            longest_wait: Duration::from_millis(10),
            ..FetchSettings::default()
        };
        let fetcher = Fetcher::new(store, ca, rules).unwrap().with_settings(settings);
        let offer = fetcher.offer(key).await.unwrap().unwrap();
        Self { fetcher, offer }
    }

    async fn fetch(&self) -> Result<SharedFile, FetchError> {
        let policy: Policy = "fetch everybody".parse().unwrap();
        match self.fetcher.decide(&self.offer, &policy, Wish { asked: true, ..Wish::default() }).await.unwrap() {
            Decision::Fetch(plan) => tokio::time::timeout(PATIENCE, self.fetcher.fetch(&self.offer, plan)).await.expect("it never ends"),
            other => panic!("{other:?}"),
        }
    }
}

async fn fails(bytes: &[u8], mouth: &Mouth) -> FetchError {
    let desk = Desk::new(bytes, &mouth.url()).await;
    let error = desk.fetch().await.expect_err("it was taken for the file");
    assert!(desk.fetcher.store().find(desk.offer.digests()).unwrap().is_none());
    error
}

#[tokio::test]
async fn heads_that_are_huge_or_never_end_are_given_up() {
    let bytes = noise(1000);
    let line = "X-Filler: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n";
    let giant = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "y".repeat(8 << 20));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", line.repeat(10_000));
    for mouth in [Mouth::once(giant).await, Mouth::once(many).await] {
        assert_eq!(fails(&bytes, &mouth).await.class(), Class::Network);
    }
    let endless_lines = Mouth::new("HTTP/1.1 200 OK\r\n", line.repeat(200), Duration::ZERO).await;
    let endless_value = Mouth::new("HTTP/1.1 200 OK\r\nX: ", "y".repeat(16_384), Duration::ZERO).await;
    let endless_hints = Mouth::new("HTTP/1.1 103 Early Hints\r\n\r\n", "HTTP/1.1 103 Early Hints\r\n\r\n", Duration::from_millis(1)).await;
    let endless_trailers = Mouth::new("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", line.repeat(200), Duration::ZERO).await;
    let endless_chunk_name =
        Mouth::new("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;", "y".repeat(16_384), Duration::ZERO).await;
    for mouth in [endless_lines, endless_value, endless_hints, endless_trailers, endless_chunk_name] {
        fails(&bytes, &mouth).await;
        assert!(mouth.said.load(Ordering::Relaxed) < 32 << 20, "{} bytes were taken", mouth.said.load(Ordering::Relaxed));
    }
}

/// Proves: SEC-4-5.
#[tokio::test]
async fn a_body_that_drips_or_never_ends_is_given_up() {
    let bytes = noise(100_000);
    let drip = Mouth::new("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", "x", Duration::from_millis(50)).await;
    let error = fails(&bytes, &drip).await;
    assert_eq!(error.class(), Class::Network, "{error}");
    let bomb =
        Mouth::new("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", format!("4000\r\n{}\r\n", "x".repeat(0x4000)), Duration::ZERO)
            .await;
    let error = fails(&bytes, &bomb).await;
    assert!(error.to_string().contains("more than the 100000 bytes announced"), "{error}");
    assert!(bomb.said.load(Ordering::Relaxed) < 32 << 20);
    let until_closed = Mouth::new("HTTP/1.1 200 OK\r\n\r\n", "x".repeat(0x4000), Duration::ZERO).await;
    let error = fails(&bytes, &until_closed).await;
    assert!(error.to_string().contains("more than the 100000 bytes announced"), "{error}");
    assert!(until_closed.said.load(Ordering::Relaxed) < 32 << 20);
}

/// Whatever can be read in two ways is either the proven file or an error, never something else.
#[tokio::test]
async fn answers_with_two_readings_are_the_file_or_an_error() {
    let bytes = b"Hello, world".to_vec();
    let body = "Hello, world";
    for head in [
        "HTTP/1.1 200 OK\r\nContent-Length: 12\r\nContent-Length: 5",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked",
        "HTTP/1.1 200 OK\r\nContent-Length: +12",
        "HTTP/1.1 200 OK\r\nContent-Length: -12",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999",
        "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked",
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 12",
        "HTTP/1.1 200 OK\r\nContent-Encoding: br, gzip\r\nContent-Length: 12",
        "HTTP/1.1 206 Partial Content\r\nContent-Length: 12",
        "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 5-16/17\r\nContent-Length: 12",
        "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-99999999999/99999999999999\r\nContent-Length: 12",
        "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-18446744073709551615/*\r\nContent-Length: 12",
        "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 11-0/12\r\nContent-Length: 12",
        "HTTP/1.1 206 Partial Content\r\nContent-Type: multipart/byteranges; boundary=x\r\nContent-Length: 12",
        "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Range: bytes */0\r\nContent-Length: 12",
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 12",
        "HTTP/1.1 204 No Content\r\nContent-Length: 12",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade",
        "HTTP/1.1 999 What\r\nContent-Length: 12",
        "HTTP/9.9 200 OK\r\nContent-Length: 12",
        "HTTP/1.1 200 OK\r\nX: \0\r\nContent-Length: 12",
        "HTTP/1.1 200 OK\r\n Content-Length: 12",
        "SSH-2.0-OpenSSH_9.9",
        "\x16\x03\x01",
        "",
    ] {
        let mouth = Mouth::once(format!("{head}\r\n\r\n{body}")).await;
        let desk = Desk::new(&bytes, &mouth.url()).await;
        match desk.fetch().await {
            Ok(file) => assert!(file.is_proven(), "{head:?}"),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
        assert!(mouth.heard.load(Ordering::Relaxed) <= 10, "{head:?}: asked {} times", mouth.heard.load(Ordering::Relaxed));
    }
}

#[tokio::test]
async fn redirects_to_other_kinds_of_places_are_not_followed() {
    let bytes = noise(10);
    for target in [
        "file:///etc/passwd",
        "ftp://files.example/x",
        "javascript:alert(1)",
        "data:text/plain,hello",
        "xmpp:mallory@evil.example",
        "gopher://127.0.0.1:70/x",
        "unix:/run/docker.sock",
        "http://files.example/x",
        "http://romeo:secret@127.0.0.1:1/x",
        "https://romeo@files.example/x",
        "http://127.0.0.1.nip.io:1/x",
        "//169.254.169.254/latest/meta-data",
        "http://[::1%25lo]/",
        "https://[fe80::1]/x",
        "https://[64:ff9b::7f00:1]/x",
        "https://100.100.100.200/",
        "http://\u{0}/",
        "https://",
    ] {
        let mouth = Mouth::once([b"HTTP/1.1 302 Found\r\nLocation: ", target.as_bytes(), b"\r\nContent-Length: 0\r\n\r\n"].concat()).await;
        let error = fails(&bytes, &mouth).await;
        assert!(matches!(error.class(), Class::Policy | Class::Network), "{target}: {error}");
        assert!(mouth.heard.load(Ordering::Relaxed) <= 3, "{target}");
    }
    let own = Mouth::once("HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(fails(&bytes, &own).await.class(), Class::Policy);
    assert!(own.heard.load(Ordering::Relaxed) <= 12, "a circle of redirects is gone round {} times", own.heard.load(Ordering::Relaxed));
}

/// The certificate is checked for the web as it is for XMPP: authority and name, own server or not.
/// Proves: SEC-5-3.
#[tokio::test]
async fn a_web_server_with_the_certificate_of_another_is_not_believed() {
    let scene = Scene::with(|settings| settings.listen.https.set_ip([0, 0, 0, 0].into())).await;
    let port = scene.server.https_addr().port();
    let own = NetRules {
        own: ["127.0.0.2", "localhost"].map(|host| Origin::parse(&format!("{host}:{port}")).unwrap()).into(),
        ..NetRules::default()
    };
    let (url, ca) = (format!("https://127.0.0.2:{port}/AAAAAAAAAAAAAAAAAAAAAA/x"), scene.server.ca_pem().unwrap());
    let error = Desk::with(b"x", &url, own.clone(), Some(ca)).await.fetch().await.err().unwrap();
    assert!(error.to_string().contains("it is for another name"), "{error}");
    let url = format!("https://localhost:{port}/AAAAAAAAAAAAAAAAAAAAAA/x");
    let error = Desk::with(b"x", &url, own.clone(), None).await.fetch().await.err().unwrap();
    assert!(error.to_string().contains("nobody this machine trusts has signed it"), "{error}");
    let error = Desk::with(b"x", &url, own, Some(ca)).await.fetch().await.err().unwrap();
    assert!(error.to_string().contains("no longer there"), "with both right the server is heard: {error}");
    let plain = Mouth::once("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx").await;
    let url = plain.url().replace("http:", "https:");
    let rules = NetRules { own: Origin::of(&url.parse().unwrap()).into_iter().collect(), ..NetRules::default() };
    let error = Desk::with(b"x", &url, rules, None).await.fetch().await.err().unwrap();
    assert_eq!(error.class(), Class::Network, "what speaks no TLS is no https: {error}");
}

fn options(address: SocketAddr) -> ConnectOptions {
    let mut options = ConnectOptions::with_password("romeo@localhost".parse().unwrap(), "secret");
    options.server = Some((ServerAddress { host: address.ip().to_string(), port: address.port() }, Security::StartTls));
    options
}

/// Before TLS anybody on the way can say so: we go where we are sent once or twice, not without end and never in a hurry.
#[tokio::test]
async fn a_server_that_sends_us_in_circles_is_left() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let heard = Arc::new(AtomicUsize::new(0));
    let counted = heard.clone();
    let task = tokio::spawn(async move {
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            counted.fetch_add(1, Ordering::Relaxed);
            let elsewhere = format!(
                "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' from='localhost' \
                 id='x' version='1.0'><stream:error><see-other-host xmlns='urn:ietf:params:xml:ns:xmpp-streams'>{address}</see-other-host>\
                 </stream:error></stream:stream>"
            );
            tokio::spawn(speak(tcp, Arc::new(elsewhere.into_bytes()), Arc::default(), Duration::ZERO, Arc::default()));
        }
    });
    let refused = tokio::time::timeout(PATIENCE, refused(options(address))).await;
    task.abort();
    let heard = heard.load(Ordering::Relaxed);
    assert!(refused.is_ok(), "still going round after {heard} connections");
    assert!(heard <= 5, "{heard} connections");
}

#[tokio::test]
async fn what_speaks_no_xmpp_or_too_much_of_it_is_left_at_once() {
    let open = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' from='localhost' id='x' version='1.0'>";
    let endless = [
        (open.to_owned(), "<a>".to_owned()),
        (format!("{open}<stream:features>"), "x".repeat(16_384)),
        (
            format!("{open}<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>"),
            "<mechanism>PLAIN</mechanism>".repeat(100),
        ),
        (format!("{open}<stream:features a='"), "x".repeat(16_384)),
        ("HTTP/1.1 200 OK\r\n\r\n".to_owned(), "x".repeat(16_384)),
    ];
    for (first, again) in endless {
        let mouth = Mouth::new(first.clone(), again, Duration::ZERO).await;
        let error = tokio::time::timeout(PATIENCE, refused(options(mouth.address))).await.unwrap_or_else(|_| panic!("{first}: never left"));
        assert!(matches!(error.class(), Class::Server | Class::Network | Class::Certificate), "{first}: {error}");
        assert!(mouth.said.load(Ordering::Relaxed) < 32 << 20, "{first}: {} bytes taken", mouth.said.load(Ordering::Relaxed));
    }
}

/// A message of a stranger is one message: however many files are in it, it does not fill the disk with copies of itself.
/// Proves: SEC-5-6.
#[tokio::test]
async fn many_offers_in_a_large_message_do_not_fill_the_catalogue() {
    let scene = Scene::new().await;
    let romeo = scene.connect("romeo").await;
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let juliet = balcony_client::Account::connect(scene.options("juliet", Security::StartTls), store.clone()).await.unwrap();
    let mut offers = juliet.offers();
    let share = |n: usize, padding: usize| {
        let xml = format!(
            "<file-sharing xmlns='urn:xmpp:sfs:0' id='{n}'><file xmlns='urn:xmpp:file:metadata:0'><name>{n}.bin</name><size>{n}</size>\
             <desc>{}</desc></file><sources><url-data xmlns='http://jabber.org/protocol/url-data' target='https://h.example/{n}'/></sources>\
             </file-sharing>",
            "d".repeat(padding)
        );
        FileSharing::read(&Element::parse(&xml).unwrap()).unwrap()
    };
    let mut message = Message::new(MessageKind::Chat, Some(Jid::parse("juliet@localhost").unwrap()));
    for n in 1..=200 {
        message = message.with(&share(n, 2_000));
    }
    romeo.send(message).await.unwrap();
    romeo.send(Message::new(MessageKind::Chat, Some(Jid::parse("juliet@localhost").unwrap())).with(&share(7_777, 0))).await.unwrap();
    let began = Instant::now();
    loop {
        let offer = tokio::time::timeout(PATIENCE, offers.next()).await.expect("the next message is not reached").unwrap();
        if offer.name().as_str() == "7777.bin" {
            break;
        }
        assert!(began.elapsed() < PATIENCE);
    }
    let rows = store.offers(Listing::All, None, 1_000).unwrap();
    assert!(rows.len() <= 65, "{} rows", rows.len());
    let files = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().metadata().unwrap());
    let bytes: u64 = files.filter(std::fs::Metadata::is_file).map(|file| file.len()).sum();
    assert!(bytes > 400_000 && bytes < 4 << 20, "{bytes} bytes on the disk for a message of 440,000");
}
