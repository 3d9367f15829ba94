//! A server that says what a test tells it: logins are real, everything behind them is the test's.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use balcony_client::{ConnectOptions, ServerAddress};
use balcony_session::scram::FakeSalts;
use balcony_session::server::{Action, Bound, Detached, Leftover, ServerConfig, ServerStream};
use balcony_session::{ChannelBindings, Mechanism, ScramHash, ScramKeys, Security};
use balcony_wire::disco::{DiscoInfo, DiscoItems};
use balcony_wire::{Element, FullJid, Iq, IqKind, Payload as _, Stanza};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{self, pki_types};
use tokio_rustls::server::TlsStream;

const PASSWORD: &str = "wherefore art thou";

/// What the test says to a request: what goes out for it, in order, as XML. `{id}` and `{to}` are filled in.
pub(crate) type Script = dyn Fn(&Iq) -> Vec<String> + Send + Sync;

/// The server.
pub(crate) struct Puppet {
    address: SocketAddr,
    ca_pem: String,
    /// What clients asked and said, as XML, in order.
    pub(crate) heard: Arc<Mutex<Vec<String>>>,
    lines: Arc<Mutex<Option<mpsc::UnboundedSender<String>>>>,
    task: JoinHandle<()>,
}

/// What every connection works with.
#[derive(Clone)]
struct Play {
    config: Arc<ServerConfig>,
    keys: ScramKeys,
    script: Arc<Script>,
    heard: Arc<Mutex<Vec<String>>>,
    lines: Arc<Mutex<Option<mpsc::UnboundedSender<String>>>>,
    logins: Arc<AtomicU32>,
    /// The session that lost its connection.
    lost: Arc<Mutex<Option<Detached>>>,
}

impl Puppet {
    /// Answers every request as the script says; an empty answer of the script is "not known here".
    pub(crate) async fn new(script: impl Fn(&Iq) -> Vec<String> + Send + Sync + 'static) -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let key = pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let tls = rustls::ServerConfig::builder_with_provider(Arc::new(ring::default_provider())).with_safe_default_protocol_versions();
        let tls = tls.unwrap().with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(tls));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut config = ServerConfig::new("localhost".parse().unwrap(), FakeSalts::new([3; 32], 4096));
        config.security = Security::DirectTls;
        config.mechanisms = vec![Mechanism::ScramSha1];
        let keys = ScramKeys::derive(ScramHash::Sha1, PASSWORD, b"0123456789abcdef", 4096).unwrap();
        let play = Play {
            config: Arc::new(config),
            keys,
            script: Arc::new(script),
            heard: Arc::default(),
            lines: Arc::default(),
            logins: Arc::default(),
            lost: Arc::default(),
        };
        let (heard, lines) = (play.heard.clone(), play.lines.clone());
        let task = tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                tokio::spawn(play.clone().connection(tcp, acceptor.clone()));
            }
        });
        Self { address, ca_pem: made.cert.pem(), heard, lines, task }
    }

    pub(crate) fn options(&self, name: &str) -> ConnectOptions {
        let mut options = ConnectOptions::with_password(format!("{name}@localhost").parse().unwrap(), PASSWORD);
        options.server = Some((ServerAddress { host: "127.0.0.1".to_owned(), port: self.address.port() }, Security::DirectTls));
        options.ca_pem = Some(self.ca_pem.clone());
        options
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Says this to whoever logged in last.
    pub(crate) fn say(&self, xml: impl Into<String>) {
        self.lines.lock().unwrap().as_ref().unwrap().send(xml.into()).unwrap();
    }

    /// What was heard that has this in it.
    pub(crate) fn heard_with(&self, text: &str) -> Vec<String> {
        self.heard.lock().unwrap().iter().filter(|xml| xml.contains(text)).cloned().collect()
    }
}

impl Drop for Puppet {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Play {
    async fn connection(self, tcp: TcpStream, acceptor: TlsAcceptor) {
        let Ok(mut tls) = acceptor.accept(tcp).await else { return };
        let mut entropy = [0; 32];
        entropy[0] = 1 + u8::try_from(self.logins.load(Ordering::Relaxed)).unwrap();
        let mut stream = ServerStream::new(self.config.clone(), entropy, Instant::now());
        stream.handle_tls(Instant::now(), ChannelBindings::NONE);
        self.talk(&mut tls, &mut stream).await;
        if let Leftover::Detached(detached) = stream.into_leftover() {
            *self.lost.lock().unwrap() = Some(detached);
        }
    }

    async fn talk(&self, tls: &mut TlsStream<TcpStream>, stream: &mut ServerStream) {
        let (say, mut lines) = mpsc::unbounded_channel();
        let mut buffer = vec![0; 16 * 1024];
        loop {
            while let Some(action) = stream.poll_action() {
                match action {
                    Action::Write(bytes) => {
                        if tls.write_all(&bytes).await.is_err() {
                            return;
                        }
                    }
                    Action::LookUp { .. } => stream.handle_credentials(Instant::now(), Some(self.keys.stored())),
                    Action::Bind(request) => {
                        let login = self.logins.fetch_add(1, Ordering::Relaxed);
                        let jid: FullJid = format!("{}/{login}", request.account).parse().unwrap();
                        *self.lines.lock().unwrap() = Some(say.clone());
                        stream.handle_bound(Instant::now(), Ok(Bound { jid, answers: Vec::new() }));
                    }
                    Action::Resume { id, .. } => {
                        let lost = self.lost.lock().unwrap().take().filter(|lost| lost.id() == id);
                        *self.lines.lock().unwrap() = Some(say.clone());
                        stream.handle_resume(Instant::now(), lost.ok_or(None));
                    }
                    Action::Stanza(stanza) => {
                        self.heard.lock().unwrap().push(stanza.clone().into_element().to_xml());
                        if let Stanza::Iq(iq) = stanza {
                            self.answer(&iq).into_iter().for_each(|xml| say.send(xml).unwrap());
                        }
                    }
                    Action::Ended(_) => return,
                    Action::StartTls | Action::Resumable { .. } | Action::Activity(_) => {}
                }
            }
            tokio::select! {
                read = tls.read(&mut buffer) => match read {
                    Ok(0) | Err(_) => {
                        stream.handle_closed(Instant::now());
                        while stream.poll_action().is_some() {}
                        return;
                    }
                    Ok(read) => stream.handle_bytes(Instant::now(), &buffer[..read]),
                },
                Some(xml) = lines.recv() => {
                    let stanza = Stanza::read(Element::parse(&xml).unwrap_or_else(|error| panic!("{error}: {xml}"))).unwrap();
                    stream.send(Instant::now(), stanza).unwrap();
                }
            }
        }
    }

    fn answer(&self, iq: &Iq) -> Vec<String> {
        if !matches!(iq.kind, IqKind::Get(_) | IqKind::Set(_)) {
            return Vec::new();
        }
        let said = (self.script)(iq);
        if said.is_empty() {
            let error = iq.refuse(balcony_wire::StanzaError::new(balcony_wire::stanza::DefinedCondition::ServiceUnavailable));
            return vec![Stanza::Iq(Iq { from: iq.to.clone(), ..error }).into_element().to_xml()];
        }
        let to = iq.from.as_ref().map(ToString::to_string).unwrap_or_default();
        said.into_iter().map(|xml| xml.replace("{id}", &iq.id).replace("{to}", &to)).collect()
    }
}

/// The result of a request, from whom it was sent to.
pub(crate) fn result(iq: &Iq, payload: &str) -> String {
    let from = iq.to.as_ref().map(|to| format!(" from='{to}'")).unwrap_or_default();
    format!("<iq xmlns='jabber:client' type='result' id='{{id}}'{from} to='{{to}}'>{payload}</iq>")
}

/// Answers discovery: the server and the account have these features and no items.
pub(crate) fn discovery(iq: &Iq, features: &[&str]) -> Option<Vec<String>> {
    let IqKind::Get(payload) = &iq.kind else { return None };
    if DiscoItems::matches(payload) {
        return Some(vec![result(iq, "<query xmlns='http://jabber.org/protocol/disco#items'/>")]);
    }
    DiscoInfo::matches(payload).then(|| {
        let features: String = features.iter().map(|feature| format!("<feature var='{feature}'/>")).collect();
        vec![result(iq, &format!("<query xmlns='http://jabber.org/protocol/disco#info'>{features}</query>"))]
    })
}
