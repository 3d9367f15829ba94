//! Servers with several upload services, or with one that comes and goes.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

use balcony_client::{Account, ConnectOptions, ShareEvent, Store};
use balcony_sharing::transfer::upload::UploadError;
use balcony_wire::disco::{DiscoInfo, DiscoItems};
use balcony_wire::http_upload::SlotRequest;
use balcony_wire::ping::Ping;
use balcony_wire::{Iq, IqKind, Payload as _};

use crate::puppet::{Puppet, result};
use crate::sharing::{file, juliet};

/// Takes PUTs and answers them with a status each; the last one stays.
struct Bin {
    address: SocketAddr,
    taken: Arc<Mutex<Vec<u16>>>,
}

impl Bin {
    fn new(statuses: &'static [u16]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let taken: Arc<Mutex<Vec<u16>>> = Arc::default();
        let told = taken.clone();
        // It ends with the process: nobody connects any more.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let number = told.lock().unwrap().len();
                let status = statuses[number.min(statuses.len() - 1)];
                let (mut read, mut buffer) = (Vec::new(), [0; 4096]);
                // The files here are short; all of it comes before the answer.
                while !is_whole(&read) {
                    match stream.read(&mut buffer) {
                        Ok(0) | Err(_) => break,
                        Ok(count) => read.extend_from_slice(&buffer[..count]),
                    }
                }
                told.lock().unwrap().push(status);
                let _ = write!(stream, "HTTP/1.1 {status} As told\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            }
        });
        Self { address, taken }
    }

    fn taken(&self) -> Vec<u16> {
        self.taken.lock().unwrap().clone()
    }
}

fn is_whole(read: &[u8]) -> bool {
    let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n") else { return false };
    let head = String::from_utf8_lossy(&read[..end]).to_lowercase();
    let length = head.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next()?.parse::<usize>().ok());
    read.len() >= end + 4 + length.unwrap_or(0)
}

/// What a service says about itself, and where its slots lead.
#[derive(Clone)]
struct Service {
    limit: Option<u64>,
    slots: Option<SocketAddr>,
}

type Services = Arc<Mutex<BTreeMap<&'static str, Service>>>;

/// A server with these services, which may change while it runs.
async fn server(services: &Services) -> Puppet {
    let services = services.clone();
    Puppet::new(move |iq| answer(iq, &services.lock().unwrap())).await
}

fn answer(iq: &Iq, services: &BTreeMap<&'static str, Service>) -> Vec<String> {
    let IqKind::Get(payload) = &iq.kind else { return Vec::new() };
    let to = iq.to.as_ref().map(|to| to.as_str().to_owned()).unwrap_or_default();
    if Ping::matches(payload) {
        return vec![result(iq, "")];
    }
    if DiscoItems::matches(payload) {
        let items: String = services.keys().map(|jid| format!("<item jid='{jid}'/>")).collect();
        return vec![result(iq, &format!("<query xmlns='http://jabber.org/protocol/disco#items'>{items}</query>"))];
    }
    if DiscoInfo::matches(payload) {
        let about = services.get(to.as_str()).map(about).unwrap_or_default();
        return vec![result(iq, &format!("<query xmlns='http://jabber.org/protocol/disco#info'>{about}</query>"))];
    }
    match (SlotRequest::matches(payload), services.get(to.as_str()).and_then(|service| service.slots)) {
        (true, Some(at)) => {
            let slot = format!("<slot xmlns='urn:xmpp:http:upload:0'><put url='http://{at}/a'/><get url='http://{at}/a'/></slot>");
            vec![result(iq, &slot)]
        }
        _ => Vec::new(),
    }
}

fn about(service: &Service) -> String {
    let form = service.limit.map(|limit| {
        format!(
            "<x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE' type='hidden'><value>urn:xmpp:http:upload:0</value></field>\
             <field var='max-file-size'><value>{limit}</value></field></x>"
        )
    });
    format!("<feature var='urn:xmpp:http:upload:0'/>{}", form.unwrap_or_default())
}

fn options(puppet: &Puppet) -> ConnectOptions {
    let mut options = puppet.options("romeo");
    options.loopback_http = true;
    options
}

fn services<const N: usize>(services: [(&'static str, Service); N]) -> Services {
    Arc::new(Mutex::new(services.into_iter().collect()))
}

/// Proves: HUP-3-5, HUP-7-5.
#[tokio::test]
async fn a_service_that_fails_is_given_a_fresh_slot_and_then_the_other_one_is_taken() {
    let (broken, good) = (Bin::new(&[500]), Bin::new(&[201]));
    let known = services([
        ("a.localhost", Service { limit: None, slots: Some(broken.address) }),
        ("b.localhost", Service { limit: None, slots: Some(good.address) }),
    ]);
    let puppet = server(&known).await;
    let romeo = Account::connect(options(&puppet), Store::in_memory().unwrap()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut progress = romeo.share(file(&folder, "a.txt", b"hello")).to(&juliet()).progress();
    let mut asked = Vec::new();
    let sent = loop {
        match progress.next().await.unwrap() {
            ShareEvent::AskingForSlot { service, .. } => asked.push(service.to_string()),
            ShareEvent::Ended(done) => break done.unwrap(),
            _ => {}
        }
    };
    assert_eq!(asked, ["a.localhost", "a.localhost", "b.localhost"]);
    assert_eq!(sent.files[0].url, Some(format!("http://{}/a", good.address)));
    assert_eq!((broken.taken(), good.taken()), (vec![500, 500], vec![201]));
}

/// Over the limit is said before a byte is read (Conversations#2533, Monal#740); no announced limit is none known (dino#1222).
///
/// Proves: HUP-6-5, USER-1-4.
#[tokio::test]
async fn a_service_whose_limit_is_too_low_is_not_asked_and_one_that_tells_none_is() {
    let bin = Bin::new(&[201]);
    let known = services([
        ("a.localhost", Service { limit: Some(4), slots: Some(bin.address) }),
        ("b.localhost", Service { limit: None, slots: Some(bin.address) }),
    ]);
    let puppet = server(&known).await;
    let romeo = Account::connect(options(&puppet), Store::in_memory().unwrap()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder, "a.txt", b"hello");
    romeo.share(&path).to(&juliet()).await.unwrap();
    let asked = puppet.heard_with("urn:xmpp:http:upload:0");
    assert!(asked.iter().all(|xml| !xml.contains("<request") || xml.contains("b.localhost")), "{asked:?}");
}

/// A service that is gone, or has moved, is not remembered from the connection before (dino#926).
///
/// Proves: USER-1-5.
#[tokio::test]
async fn services_are_looked_up_anew_on_each_connection() {
    let (old, new) = (Bin::new(&[201]), Bin::new(&[201]));
    let known = services([("old.localhost", Service { limit: None, slots: Some(old.address) })]);
    let puppet = server(&known).await;
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path().join("store")).unwrap();
    for (name, jid) in [("a.txt", "old.localhost"), ("b.txt", "new.localhost")] {
        let romeo = Account::connect(options(&puppet), store.clone()).await.unwrap();
        romeo.share(file(&folder, name, name.as_bytes())).to(&juliet()).await.unwrap();
        assert!(!puppet.heard_with(&format!("to=\"{jid}\"")).is_empty() || !puppet.heard_with(&format!("to='{jid}'")).is_empty());
        romeo.close().await;
        *known.lock().unwrap() = BTreeMap::from([("new.localhost", Service { limit: None, slots: Some(new.address) })]);
    }
    assert_eq!((old.taken().len(), new.taken().len()), (1, 1));
}

#[tokio::test]
async fn a_server_without_a_service_is_named_as_the_reason() {
    let puppet = server(&services([])).await;
    let romeo = Account::connect(options(&puppet), Store::in_memory().unwrap()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let error = romeo.share(file(&folder, "a.txt", b"hello")).to(&juliet()).await.unwrap_err();
    assert!(
        matches!(&error, balcony_client::ShareError::Upload { source: UploadError::NoService, .. }) && error.advice().is_some(),
        "{error}"
    );
}
