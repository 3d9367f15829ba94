//! A client of our server that says what it is told to say, whatever the documents think of it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use balcony_server::Running;
use balcony_wire::Element;
use balcony_wire::framing::{Frame, Framing, Limits};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

use super::PATIENCE;
use crate::scene::PASSWORD;

/// What may wait to be said.
const QUEUE: usize = 2_000;

/// What Mallory answers to a request by itself, as the payload of a result; `None` leaves it to the test.
pub(crate) type Manners = dyn Fn(&Element) -> Option<String> + Send + Sync;

pub(crate) struct Mallory {
    /// Full address.
    pub(crate) jid: String,
    out: mpsc::Sender<String>,
    heard: Arc<Mutex<Vec<Element>>>,
    count: watch::Receiver<usize>,
    ids: AtomicU32,
    tasks: [JoinHandle<()>; 2],
}

impl Drop for Mallory {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Mallory {
    /// Logs in to `name`'s account with a resource, and says that a file-transferring device is there.
    pub(crate) async fn at(server: &Running, name: &str, resource: &str, manners: Arc<Manners>) -> Self {
        let tcp = TcpStream::connect(server.c2s_tls_addr()).await.unwrap();
        let mut stream = tls(server).connect(ServerName::try_from("localhost").unwrap(), tcp).await.unwrap();
        let secret = STANDARD.encode(format!("\0{name}\0{PASSWORD}"));
        let header = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' \
                      to='localhost' version='1.0'>";
        let mut framing = Framing::new(Limits::AFTER_LOGIN);
        let steps = [
            (header.to_owned(), "features"),
            (format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{secret}</auth>"), "success"),
            (header.to_owned(), "features"),
            (
                format!(
                    "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>{resource}</resource></bind></iq>"
                ),
                "iq",
            ),
        ];
        for (say, until) in steps {
            if say == header {
                framing.restart();
            }
            stream.write_all(say.as_bytes()).await.unwrap();
            while next(&mut stream, &mut framing).await.expect("the server hung up").name() != until {}
        }
        let (out, mut lines) = mpsc::channel::<String>(QUEUE);
        let heard: Arc<Mutex<Vec<Element>>> = Arc::default();
        let (told, count) = watch::channel(0);
        let (mut read, mut write) = tokio::io::split(stream);
        let writing = tokio::spawn(async move {
            while let Some(line) = lines.recv().await {
                if write.write_all(line.as_bytes()).await.is_err() || write.flush().await.is_err() {
                    return;
                }
            }
        });
        let (kept, answers) = (heard.clone(), out.clone());
        let reading = tokio::spawn(async move {
            while let Some(element) = next(&mut read, &mut framing).await {
                let asks = element.name() == "iq" && matches!(element.attr("type"), Some("get" | "set"));
                if let Some(payload) = asks.then(|| manners(&element)).flatten() {
                    let (id, from) = (element.attr("id").unwrap_or_default(), element.attr("from").unwrap_or_default());
                    let _ = answers.send(format!("<iq type='result' id='{id}' to='{from}'>{payload}</iq>")).await; // the test may be over
                }
                let mut kept = kept.lock().unwrap();
                kept.push(element);
                told.send_replace(kept.len());
            }
        });
        let mallory =
            Self { jid: format!("{name}@localhost/{resource}"), out, heard, count, ids: AtomicU32::new(0), tasks: [writing, reading] };
        mallory.say("<presence/>");
        mallory
    }

    /// Says this.
    pub(crate) fn say(&self, xml: impl Into<String>) {
        self.out.try_send(xml.into()).expect("more than waits here: pour it");
    }

    /// Sends requests one after the other as fast as they are taken, without waiting for answers; tells the id of the last.
    pub(crate) async fn pour(&self, to: &str, payloads: impl Iterator<Item = String>) -> String {
        let mut id = String::new();
        for payload in payloads {
            id = self.next_id();
            self.out.send(format!("<iq type='set' id='{id}' to='{to}'>{payload}</iq>")).await.unwrap();
        }
        id
    }

    fn next_id(&self) -> String {
        format!("m{}", self.ids.fetch_add(1, Ordering::Relaxed))
    }

    /// Sends a request and tells its id.
    pub(crate) fn begin(&self, kind: &str, to: &str, payload: &str) -> String {
        let id = self.next_id();
        self.say(format!("<iq type='{kind}' id='{id}' to='{to}'>{payload}</iq>"));
        id
    }

    /// Sends a request and waits for its answer.
    pub(crate) async fn ask(&self, kind: &str, to: &str, payload: &str) -> Element {
        let id = self.begin(kind, to, payload);
        self.answer(&id).await
    }

    /// The answer to a request.
    pub(crate) async fn answer(&self, id: &str) -> Element {
        let answers = |element: &Element| {
            element.name() == "iq" && element.attr("id") == Some(id) && matches!(element.attr("type"), Some("result" | "error"))
        };
        self.until(&format!("an answer to {id}"), answers).await
    }

    /// The first that came, or comes, and fits.
    #[track_caller]
    pub(crate) fn until(&self, what: &str, fits: impl Fn(&Element) -> bool) -> impl Future<Output = Element> {
        let mut count = self.count.clone();
        async move {
            let deadline = tokio::time::Instant::now() + PATIENCE;
            loop {
                count.borrow_and_update();
                if let Some(found) = self.heard.lock().unwrap().iter().find(|element| fits(element)) {
                    return found.clone();
                }
                let waited = tokio::time::timeout_at(deadline, count.changed()).await;
                assert!(waited.is_ok_and(|open| open.is_ok()), "waited in vain for {what}; heard:\n{}", self.all());
            }
        }
    }

    /// The first Jingle request with this action that came, or comes, in a session.
    pub(crate) async fn action(&self, sid: &str, action: &str) -> Element {
        let fits = |element: &Element| jingle(element).is_some_and(|(other, name)| other == sid && name == action);
        self.until(action, fits).await
    }

    /// The sids of all sessions that were opened with it.
    pub(crate) fn sessions(&self) -> Vec<String> {
        let heard = self.heard.lock().unwrap();
        heard.iter().filter_map(jingle).filter(|(_, action)| action == "session-initiate").map(|(sid, _)| sid).collect()
    }

    /// How many that fit were heard.
    pub(crate) fn heard(&self, fits: impl Fn(&Element) -> bool) -> usize {
        self.heard.lock().unwrap().iter().filter(|element| fits(element)).count()
    }

    /// All that was heard.
    pub(crate) fn all(&self) -> String {
        self.heard.lock().unwrap().iter().map(|element| element.to_xml() + "\n").collect()
    }

    /// The server has taken all that was said, and what it had to say until then is heard.
    pub(crate) async fn settle(&self) {
        let answer = self.ask("get", "localhost", "<ping xmlns='urn:xmpp:ping'/>").await;
        assert_eq!(answer.name(), "iq");
    }

    /// Waits a moment for what must not come; tells how often it came.
    pub(crate) async fn lingers(&self, fits: impl Fn(&Element) -> bool) -> usize {
        tokio::time::sleep(Duration::from_millis(300)).await;
        self.heard(fits)
    }
}

/// Sid and action of a Jingle request.
pub(crate) fn jingle(element: &Element) -> Option<(String, String)> {
    let jingle = element.children().find(|child| child.is("jingle", "urn:xmpp:jingle:1"))?;
    (element.attr("type") == Some("set"))
        .then(|| (jingle.attr("sid").unwrap_or_default().to_owned(), jingle.attr("action").unwrap_or_default().to_owned()))
}

/// The condition of an error, and the Jingle one within, if there is; `None` for a result.
pub(crate) fn refusal(answer: &Element) -> Option<(String, Option<String>)> {
    let error = answer.children().find(|child| child.name() == "error")?;
    let named = |ns: &str| error.children().find(|child| child.ns() == ns && child.name() != "text").map(|child| child.name().to_owned());
    Some((named("urn:ietf:params:xml:ns:xmpp-stanzas").unwrap_or_default(), named("urn:xmpp:jingle:errors:1")))
}

async fn next(stream: &mut (impl tokio::io::AsyncRead + Unpin), framing: &mut Framing) -> Option<Element> {
    let mut buffer = [0; 16 * 1024];
    loop {
        match framing.next_frame().ok()? {
            Some(Frame::Element(element)) => return Some(element),
            Some(Frame::Open(_)) => {}
            Some(_) => return None,
            None => match stream.read(&mut buffer).await {
                Ok(count) if count > 0 => framing.push(&buffer[..count]),
                _ => return None,
            },
        }
    }
}

fn tls(server: &Running) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(server.ca_pem().unwrap().as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider())).with_safe_default_protocol_versions();
    let mut config = config.unwrap().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"xmpp-client".to_vec()];
    TlsConnector::from(Arc::new(config))
}
