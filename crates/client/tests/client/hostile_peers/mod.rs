//! People who may open sessions with us and mean no good. Juliet is our client, and so is honest Romeo, whose files must go through
//! whatever Mallory does at the same time; Mallory is a contact of Juliet's, and says anything.

mod bytes;
mod floods;
mod ids;
pub(crate) mod mallory;
mod proxies;
mod trust;

use std::future::Future;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use balcony_client::{Account, CataloguedOffer, Decision, SharedFile, Store, Wish};
use balcony_wire::{Element, Jid};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::time::timeout;

use crate::direct::options;
use crate::scene::{PASSWORD, Scene, noise};
use mallory::{Mallory, Manners};

/// Nothing here takes that long unless it hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Juliet, Romeo and Mallory on a server.
pub(crate) struct Stage {
    pub(crate) mallory: Mallory,
    pub(crate) romeo: Account,
    pub(crate) juliet: Account,
    pub(crate) scene: Scene,
    folder: tempfile::TempDir,
}

/// What a device says that takes files by all we know.
const FEATURES: [&str; 5] = [
    "urn:xmpp:jingle:1",
    "urn:xmpp:jingle:apps:file-transfer:5",
    "urn:xmpp:jingle:transports:s5b:1",
    "urn:xmpp:jingle:transports:ibb:1",
    "urn:xmpp:hashes:2",
];

/// Answers what every client answers, and acknowledges all Jingle and in-band requests.
pub(crate) fn polite(iq: &Element) -> Option<String> {
    let payload = iq.children().next()?;
    match payload.ns() {
        "http://jabber.org/protocol/disco#info" => {
            let features: String = FEATURES.iter().map(|feature| format!("<feature var='{feature}'/>")).collect();
            Some(format!("<query xmlns='http://jabber.org/protocol/disco#info'>{features}</query>"))
        }
        "urn:xmpp:jingle:1" | "http://jabber.org/protocol/ibb" => Some(String::new()),
        _ => None,
    }
}

impl Stage {
    pub(crate) async fn new() -> Self {
        Self::with(Arc::new(polite)).await
    }

    pub(crate) async fn with(manners: Arc<Manners>) -> Self {
        let scene = Scene::new().await;
        scene.server.add_account("mallory", PASSWORD).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let connect =
            async |name: &str| Account::connect(options(&scene, name), Store::open(folder.path().join(name)).unwrap()).await.unwrap();
        let (romeo, juliet) = (connect("romeo").await, connect("juliet").await);
        for (one, other) in [(&romeo, "juliet"), (&juliet, "romeo"), (&juliet, "mallory")] {
            one.add_contact(&format!("{other}@localhost").parse().unwrap(), None, Vec::new(), true).await.unwrap();
        }
        juliet.use_policy("fetch everybody".parse().unwrap());
        let mallory = Mallory::at(&scene.server, "mallory", "evil", manners).await;
        mallory.say("<presence type='subscribe' to='juliet@localhost'/><presence type='subscribed' to='juliet@localhost'/>");
        let subscribed = |stanza: &Element| stanza.attr("from").is_some_and(|from| from.starts_with("juliet@localhost/"));
        mallory.until("Juliet's presence", subscribed).await;
        Self { mallory, romeo, juliet, scene, folder }
    }

    /// Juliet's device.
    pub(crate) async fn victim(&self) -> String {
        self.juliet.online().await.unwrap().jid.to_string()
    }

    pub(crate) fn file(&self, name: &str, bytes: &[u8]) -> std::path::PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// Mallory opens a session; tells whether it was acknowledged.
    pub(crate) async fn offers(&self, offer: &Offer<'_>) -> Element {
        self.mallory.ask("set", &self.victim().await, &offer.initiate(&self.mallory.jid)).await
    }

    /// Juliet takes a file that Mallory offered.
    pub(crate) async fn takes(&self, name: &str) -> Result<SharedFile, String> {
        let offer = self.offered(name).await;
        self.fetches(&offer).await
    }

    pub(crate) async fn fetches(&self, offer: &CataloguedOffer) -> Result<SharedFile, String> {
        timeout(PATIENCE * 2, fetch(&self.juliet, offer)).await.expect("the fetch never ends")
    }

    /// The offer of that name, once it is in Juliet's catalogue.
    pub(crate) async fn offered(&self, name: &str) -> CataloguedOffer {
        let found = async {
            loop {
                let rows = self.juliet.store().offers(balcony_store::Listing::All, None, 10_000).unwrap();
                for row in rows {
                    let offer = self.juliet.fetcher().offer(row.key).await.unwrap().unwrap();
                    if offer.name().as_str() == name {
                        return offer;
                    }
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("{name} was never offered"))
    }

    /// Honest Romeo sends a file at the same time, and it arrives whole.
    pub(crate) async fn honest_file_goes_through(&self, name: &str) {
        // Of each its own: nothing is fetched that is here already.
        let bytes: Vec<u8> = noise(2_000_000).iter().zip(name.bytes().cycle()).map(|(byte, more)| byte ^ more).collect();
        let path = self.file(name, &bytes);
        let to: Jid = "juliet@localhost".parse().unwrap();
        let sending = self.romeo.send_direct(&path).to(&to).into_future();
        let taking = async {
            let offer = self.offered(name).await;
            self.fetches(&offer).await.unwrap_or_else(|error| panic!("{name} is not taken: {error}"))
        };
        let sending = async { sending.await.unwrap_or_else(|error| panic!("{name} is not sent: {error}")) };
        let (sent, taken) = timeout(PATIENCE * 2, async { tokio::join!(sending, taking) }).await.unwrap_or_else(|_| panic!("{name} hangs"));
        assert_eq!(sent.files.len(), 1);
        assert!(taken.is_proven());
    }
}

/// Decides as somebody who clicked on it, and fetches. What stands in the way is said in words.
pub(crate) async fn fetch(account: &Account, offer: &CataloguedOffer) -> Result<SharedFile, String> {
    match account.decide_for(offer, Wish { asked: true, ..Wish::default() }).await.unwrap() {
        Decision::Have(file) => Ok(file),
        Decision::Fetch(plan) => account.fetch(offer, plan).await.map_err(|error| format!("{error} {error:?}")),
        other => Err(format!("{}: {other}", other.as_str())),
    }
}

/// A file that Mallory offers.
pub(crate) struct Offer<'a> {
    pub(crate) sid: &'a str,
    pub(crate) name: &'a str,
    pub(crate) size: usize,
    /// The bytes whose digest is promised.
    pub(crate) bytes: &'a [u8],
    /// The transport, as XML.
    pub(crate) transport: String,
}

impl Offer<'_> {
    pub(crate) fn initiate(&self, from: &str) -> String {
        let Self { sid, name, size, bytes, transport } = self;
        format!(
            "<jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' initiator='{from}' sid='{sid}'>\
             <content creator='initiator' name='c' senders='initiator'><description xmlns='urn:xmpp:jingle:apps:file-transfer:5'><file>\
             <name>{name}</name><size>{size}</size><range/><hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>{}</hash></file></description>\
             {transport}</content></jingle>",
            digest(bytes)
        )
    }
}

/// The sha-256 of bytes, as XEP-0300 writes it.
pub(crate) fn digest(bytes: &[u8]) -> String {
    STANDARD.encode(ring::digest::digest(&ring::digest::SHA256, bytes))
}

pub(crate) fn in_band(stream: &str) -> String {
    format!("<transport xmlns='urn:xmpp:jingle:transports:ibb:1' block-size='4096' sid='{stream}'/>")
}

/// A transport with candidates: host, port and whether it is a proxy of this address.
pub(crate) fn socks(stream: &str, from: &str, candidates: &[(String, u16, Option<&str>)]) -> String {
    let candidates: String = candidates
        .iter()
        .enumerate()
        .map(|(n, (host, port, proxy))| {
            let (kind, jid, priority) = match proxy {
                Some(jid) => ("proxy", *jid, 655_360 - n),
                None => ("direct", from, 8_257_536 - n),
            };
            format!("<candidate cid='c{n}' host='{host}' jid='{jid}' port='{port}' priority='{priority}' type='{kind}'/>")
        })
        .collect();
    format!("<transport xmlns='urn:xmpp:jingle:transports:s5b:1' mode='tcp' sid='{stream}'>{candidates}</transport>")
}

/// A request of a session, about its only content.
pub(crate) fn about(action: &str, sid: &str, inner: &str) -> String {
    format!(
        "<jingle xmlns='urn:xmpp:jingle:1' action='{action}' sid='{sid}'><content creator='initiator' name='c'>{inner}</content></jingle>"
    )
}

/// Something inside a SOCKS5 transport.
pub(crate) fn told(stream: &str, inner: &str) -> String {
    format!("<transport xmlns='urn:xmpp:jingle:transports:s5b:1' sid='{stream}'>{inner}</transport>")
}

pub(crate) fn chunk(stream: &str, seq: usize, bytes: &[u8]) -> String {
    format!("<data xmlns='http://jabber.org/protocol/ibb' sid='{stream}' seq='{}'>{}</data>", seq % 65_536, STANDARD.encode(bytes))
}

pub(crate) fn open(stream: &str) -> String {
    format!("<open xmlns='http://jabber.org/protocol/ibb' sid='{stream}' block-size='4096'/>")
}

/// Runs a test in a process of its own, so that its memory is its own too.
pub(crate) fn alone(name: &str, test: impl Future<Output = ()>) {
    const CHILD: &str = "BALCONY_TEST_ALONE";
    if std::env::var_os(CHILD).is_some() {
        return tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(test);
    }
    let mut child = Command::new(std::env::current_exe().unwrap());
    let done = child.args(["--exact", &format!("hostile_peers::{name}"), "--nocapture"]).env(CHILD, "1").output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success() && said.contains("1 passed"), "{said}\n{}", String::from_utf8_lossy(&done.stderr));
}

/// Resident bytes of this process.
pub(crate) fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}
