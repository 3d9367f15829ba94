//! A server that runs, and the handle to it.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use balcony_session::Security;
use balcony_session::scram::FakeSalts;
use balcony_session::server::ServerConfig;
use balcony_wire::stream::error::StreamErrorCondition;
use balcony_wire::{BareJid, Element, Jid, JidError, Payload as _, ns};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use crate::accounts::Accounts;
use crate::certificates::{Certificates, ascii};
use crate::connection::{self, Port};
use crate::database::Database;
use crate::error::{AccountError, StartError};
use crate::gate::Gate;
use crate::guesses::Guesses;
use crate::handler::{Place, Registry};
use crate::hub::Hub;
use crate::im::roster::Rosters;
use crate::im::spool::Spool;
use crate::listener::{ended, listen, take_in};
use crate::proxy::{self, Proxy, Relays};
use crate::services::{Discovery, Pings, caps_of};
use crate::sessions::Control;
use crate::settings::Settings;
use crate::upload::{Slots, Uploads, UploadsError};
use crate::{http, settings};

/// How long requests under way may go on when the server ends.
const GRACE: Duration = Duration::from_secs(10);

/// Starts servers.
#[derive(Debug)]
pub struct Server {}

impl Server {
    /// Opens the data folder and the ports and serves until [`Running::shutdown`] or until the handle is dropped.
    /// Needs a tokio runtime with time and I/O.
    ///
    /// # Errors
    /// When folder, keys or ports cannot be had; nothing keeps running then.
    pub async fn start(settings: Settings) -> Result<Running, StartError> {
        let domain = domain_of(&settings.domain)?;
        let lock = open_folder(&settings.data_dir)?;
        let certificates = Certificates::load(&settings.tls, domain.as_str(), &settings.data_dir)?;
        let database = Database::open(&settings.data_dir.join("server.sqlite"))?;
        let accounts = Accounts::new(database.clone(), &domain, settings.scram_iterations);
        let (c2s, c2s_addr) = listen(settings.listen.c2s)?;
        let (c2s_tls, c2s_tls_addr) = listen(settings.listen.c2s_tls)?;
        let (https, https_addr) = listen(settings.listen.https)?;
        let base = settings.upload.public_url.clone().unwrap_or_else(|| public_url(domain.as_str(), https_addr));
        let uploads = open_uploads(&settings, base, &database, &accounts).await?;
        let proxy_port = proxy::Port::open(&settings, &domain)?;
        let (proxy, proxy_addr) = proxy_port.as_ref().map(|port| (port.proxy(), port.address())).unzip();
        let registry = registry(&domain, &uploads, proxy.as_ref());
        let spool = Spool::start(&database, &domain).await?;
        let hub = Arc::new(Hub::new(domain.clone(), settings.limits.clone(), &database, spool.clone(), accounts.clone(), registry));
        let fake_salts = FakeSalts::new(accounts.secret("fake salts").await?, accounts.iterations());
        let config = stream_config(&hub, fake_salts, &settings);
        let (end, ending) = watch::channel(false);
        let guesses = Guesses::new(settings.limits.wrong_logins_per_minute);
        let gate = Gate::new(settings.limits.connections, settings.limits.connections_per_address);
        let mut tasks = JoinSet::new();
        for (listener, security, tls) in
            [(c2s, Security::StartTls, &certificates.starttls), (c2s_tls, Security::DirectTls, &certificates.direct)]
        {
            let config = Arc::new(ServerConfig { security, ..config.clone() });
            let tls = TlsAcceptor::from(tls.clone());
            let port = Port { hub: hub.clone(), config, tls, guesses: guesses.clone(), end_point: certificates.end_point.clone() };
            tasks.spawn(accept(listener, Arc::new(port), gate.clone(), ending.clone()));
        }
        let http_gate = Gate::new(settings.limits.http_connections, settings.limits.connections_per_address);
        let tls = TlsAcceptor::from(certificates.https.clone());
        tasks.spawn(http::serve(https, tls, uploads.clone(), http_gate, ending.clone(), GRACE));
        if let Some(port) = proxy_port {
            tasks.spawn(port.serve(ending.clone(), GRACE));
        }
        tasks.spawn(sweep(uploads, ending));
        let tasks = tokio::spawn(async move {
            while tasks.join_next().await.is_some() {}
            spool.settle().await;
            drop(lock);
        });
        tracing::info!(%c2s_addr, %c2s_tls_addr, %https_addr, "the server is running");
        let ca_pem = certificates.ca_pem;
        Ok(Running { domain, hub, end, tasks, proxy, c2s_addr, c2s_tls_addr, https_addr, proxy_addr, ca_pem })
    }
}

fn domain_of(text: &str) -> Result<BareJid, StartError> {
    let failed = |source| StartError::Domain { domain: text.to_owned(), source };
    let jid = Jid::parse(text).and_then(Jid::into_bare).map_err(failed)?;
    if jid.local().is_some() {
        return Err(failed(JidError::Refused { part: "domain", why: "it has an @ in it" }));
    }
    Ok(jid)
}

/// Makes the folder and takes it for this process; the lock ends with the file, also after `kill -9`.
fn open_folder(folder: &Path) -> Result<fs::File, StartError> {
    let failed = |source| StartError::Folder { path: folder.to_owned(), source };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    let lock = fs::File::create(folder.join("lock")).map_err(failed)?;
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive).map_err(|_| StartError::InUse(folder.to_owned()))?;
    Ok(lock)
}

/// Where files are fetched from, unless settings say otherwise.
fn public_url(domain: &str, https: SocketAddr) -> String {
    let bare = domain == "localhost" || domain.starts_with('[') || domain.parse::<std::net::IpAddr>().is_ok();
    let host = if bare { domain.to_owned() } else { format!("upload.{}", ascii(domain)) };
    if https.port() == 443 { format!("https://{host}") } else { format!("https://{host}:{}", https.port()) }
}

async fn open_uploads(settings: &Settings, base: String, database: &Database, accounts: &Accounts) -> Result<Arc<Uploads>, StartError> {
    let root = settings.data_dir.join("uploads");
    let secret = accounts.secret("upload slots").await?;
    let opened = Uploads::open(settings.upload.clone(), base, root.clone(), database.clone(), &secret).await;
    opened.map_err(|error| match error {
        UploadsError::Folder(source) => StartError::Folder { path: root, source },
        UploadsError::Database(error) => error.into(),
    })
}

/// Everything that answers.
fn registry(domain: &BareJid, uploads: &Arc<Uploads>, proxy: Option<&Arc<Proxy>>) -> Registry {
    let upload_host = format!("upload.{domain}");
    let mut registry = Registry::default();
    let hosts = [Some(upload_host.clone()), proxy.map(|proxy| proxy.jid().domain().to_owned())];
    for place in [Place::Server, Place::Account].into_iter().chain(hosts.into_iter().flatten().map(Place::Host)) {
        registry.register(Discovery(place.clone()));
        registry.register(Pings(place));
    }
    registry.register(Rosters);
    registry.register(Slots { uploads: uploads.clone(), host: upload_host });
    if let Some(proxy) = proxy {
        registry.register(Relays(proxy.clone()));
    }
    registry
}

fn stream_config(hub: &Hub, fake_salts: FakeSalts, settings: &settings::Settings) -> ServerConfig {
    let mut config = ServerConfig::new(hub.domain().clone(), fake_salts);
    config.resume_for = settings.resume_for;
    config.confirms = true;
    config.timing.login = settings.limits.login_deadline;
    config.features = vec![
        caps_of(&hub.registry().info(&Place::Server)).write(),
        Element::new("ver", ns::ROSTER_VERSIONING),
        Element::new("sub", ns::PRE_APPROVAL),
    ];
    config
}

/// Takes clients in until the end; returns when the last of them is gone.
async fn accept(listener: TcpListener, port: Arc<Port>, gate: Arc<Gate>, ending: watch::Receiver<bool>) {
    let serve = |stream, peer| connection::serve(stream, peer, port.clone(), ending.clone());
    let turn_away = |stream| {
        tracing::info!("too many connections, one was turned away");
        connection::turn_away(&stream, &port);
    };
    let cut_off = take_in(listener, &gate, ending.clone(), GRACE, serve, turn_away).await;
    if cut_off > 0 {
        tracing::warn!(connections = cut_off, "connections were cut off at the end");
    }
}

async fn sweep(uploads: Arc<Uploads>, mut ending: watch::Receiver<bool>) {
    tokio::select! {
        () = uploads.sweep() => {}
        () = ended(&mut ending) => {}
    }
}

/// A running server. Dropping it ends the server as [`Running::shutdown`] does, without waiting.
#[derive(Debug)]
pub struct Running {
    domain: BareJid,
    hub: Arc<Hub>,
    end: watch::Sender<bool>,
    tasks: JoinHandle<()>,
    proxy: Option<Arc<Proxy>>,
    c2s_addr: SocketAddr,
    c2s_tls_addr: SocketAddr,
    https_addr: SocketAddr,
    proxy_addr: Option<SocketAddr>,
    ca_pem: Option<String>,
}

impl Running {
    /// The domain it serves.
    pub fn domain(&self) -> &str {
        self.domain.as_str()
    }

    /// Where clients connect that turn to TLS by STARTTLS.
    pub fn c2s_addr(&self) -> SocketAddr {
        self.c2s_addr
    }

    /// Where clients connect with TLS from the first byte.
    pub fn c2s_tls_addr(&self) -> SocketAddr {
        self.c2s_tls_addr
    }

    /// Where files are put and got.
    pub fn https_addr(&self) -> SocketAddr {
        self.https_addr
    }

    /// Where clients connect for streams that the proxy carries; `None` without a proxy.
    pub fn proxy_addr(&self) -> Option<SocketAddr> {
        self.proxy_addr
    }

    /// The generated authority's certificate, which clients must trust; `None` with a certificate from files.
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca_pem.as_deref()
    }

    /// Makes an account; `localpart` is what stands before the `@`.
    ///
    /// # Errors
    /// When it is there already, or name or password is refused.
    pub async fn add_account(&self, localpart: &str, password: &str) -> Result<(), AccountError> {
        self.hub.accounts().add(localpart, password).await
    }

    /// Gives an account another password. Sessions that are open stay open.
    ///
    /// # Errors
    /// When there is no such account, or the password is refused.
    pub async fn set_password(&self, localpart: &str, password: &str) -> Result<(), AccountError> {
        self.hub.accounts().set_password(localpart, password).await
    }

    /// Deletes an account with its contacts and waiting messages and ends its sessions and the streams that are carried for it. Uploaded
    /// files stay until they expire.
    ///
    /// # Errors
    /// When there is no such account.
    pub async fn remove_account(&self, localpart: &str) -> Result<(), AccountError> {
        let localpart = self.hub.accounts().remove(localpart).await?;
        for session in self.hub.sessions().all().iter().filter(|session| session.localpart() == localpart) {
            session.tell(Control::Close(StreamErrorCondition::NotAuthorized, "the account was deleted"));
        }
        if let Some(proxy) = &self.proxy {
            proxy.end_streams_of(&localpart);
        }
        Ok(())
    }

    /// The localparts of all accounts, sorted.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn accounts(&self) -> Result<Vec<String>, AccountError> {
        Ok(self.hub.accounts().list().await?)
    }

    /// Ends all streams with `system-shutdown`, lets uploads and carried streams finish for a short while, and returns when all is closed.
    pub async fn shutdown(self) {
        self.end.send_replace(true);
        if let Err(error) = self.tasks.await {
            tracing::error!(%error, "the server did not end in order");
        }
    }
}
