//! What a server is told before it starts. Every bound has a default that suits a household.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

/// Everything a server needs to know to start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The domain it serves, the part behind the `@` of its accounts.
    pub domain: String,
    /// Where accounts, keys and uploads are kept; made if it is not there, readable by the owner only.
    pub data_dir: PathBuf,
    /// Where it listens.
    pub listen: Listen,
    /// How it proves who it is.
    pub tls: TlsSource,
    /// What may be uploaded.
    pub upload: UploadSettings,
    /// How streams between clients are carried that cannot reach each other.
    pub proxy: ProxySettings,
    /// How long a lost client may come back to its session (XEP-0198).
    pub resume_for: Duration,
    /// Rounds of PBKDF2 for keys of new passwords, at least 4096.
    pub scram_iterations: u32,
    /// What one client may take from the others.
    pub limits: ServerLimits,
}

impl Settings {
    /// A server on loopback at free ports, with a certificate of its own making.
    #[must_use]
    pub fn new(domain: impl Into<String>, data_dir: impl Into<PathBuf>) -> Self {
        Self {
            domain: domain.into(),
            data_dir: data_dir.into(),
            listen: Listen::loopback(),
            tls: TlsSource::Generated,
            upload: UploadSettings::default(),
            proxy: ProxySettings::default(),
            resume_for: Duration::from_secs(300),
            scram_iterations: 10_000,
            limits: ServerLimits::default(),
        }
    }
}

/// Addresses to listen on; port 0 takes a free one, `[::]` is all addresses of both families.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen {
    /// Clients that begin in the clear and turn to TLS.
    pub c2s: SocketAddr,
    /// Clients that speak TLS from the first byte (XEP-0368).
    pub c2s_tls: SocketAddr,
    /// Uploads and downloads.
    pub https: SocketAddr,
    /// Streams between clients, carried by the proxy (XEP-0065); `None`: there is no proxy.
    pub proxy: Option<SocketAddr>,
}

impl Listen {
    /// Free ports of 127.0.0.1.
    #[must_use]
    pub fn loopback() -> Self {
        let free = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
        Self { c2s: free, c2s_tls: free, https: free, proxy: Some(free) }
    }
}

/// Where key and certificate come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TlsSource {
    /// An authority is made in the data folder, and a certificate by it; both are used again at the next start.
    #[default]
    Generated,
    /// PEM files: the chain, server first, and its key.
    Files {
        /// The certificate chain.
        certificate: PathBuf,
        /// The private key.
        key: PathBuf,
    },
}

/// What may be uploaded, how much, for how long.
#[derive(Clone, Debug)]
pub struct UploadSettings {
    /// Bytes of one file; announced by disco.
    pub max_size: u64,
    /// Bytes an account may upload within 24 hours.
    pub per_day: u64,
    /// Bytes of an account that are kept at a time.
    pub total: u64,
    /// Slots an account may ask for within one minute.
    pub slots_per_minute: u32,
    /// How long a file is kept.
    pub expiry: Duration,
    /// How long a slot may be used.
    pub slot_lifetime: Duration,
    /// What the URLs begin with, without a slash at the end. `None`: `https://upload.DOMAIN:PORT`, or `https://localhost:PORT`
    /// for localhost, whose subdomains not every system resolves.
    pub public_url: Option<String>,
    /// A request or a body that makes no progress for that long is ended.
    pub stall: Duration,
}

impl Default for UploadSettings {
    fn default() -> Self {
        const GIB: u64 = 1 << 30;
        Self {
            max_size: 4 * GIB,
            per_day: 64 * GIB,
            total: 256 * GIB,
            // A folder of photos at once; how much they may be is bounded by their bytes.
            slots_per_minute: 2_000,
            expiry: Duration::from_secs(30 * 24 * 3600),
            slot_lifetime: Duration::from_secs(300),
            public_url: None,
            stall: Duration::from_secs(30),
        }
    }
}

/// How streams between clients are carried that cannot reach each other (XEP-0065). What is carried is neither looked at nor kept.
#[derive(Clone, Debug)]
pub struct ProxySettings {
    /// The host that clients are told to connect to. `None`: the address it listens on, or `proxy.DOMAIN` when it listens on all.
    pub public_host: Option<String>,
    /// The port that clients are told. `None`: the one it listens on.
    pub public_port: Option<u16>,
    /// Whose streams are carried. The other side of a stream may be anybody.
    pub users: ProxyUsers,
    /// Streams at a time.
    pub streams: usize,
    /// Streams of one account at a time.
    pub streams_per_account: usize,
    /// Streams that an account may begin within one minute.
    pub activations_per_minute: u32,
    /// Bytes a second that all streams of one account together may carry. `None`: as fast as it goes.
    pub rate: Option<NonZeroU64>,
    /// Connections that wait for their stream to begin: anybody can open them.
    pub connections: usize,
    /// Of them, those from one IP address.
    pub connections_per_address: usize,
    /// From the opening of a connection to the end of the handshake.
    pub handshake: Duration,
    /// How long a connection may wait for its stream to begin.
    pub waiting: Duration,
    /// A stream in which nothing is sent for that long is ended.
    pub idle: Duration,
    /// A stream of which one side takes nothing that is there for it for that long is ended.
    pub stall: Duration,
}

/// Whose streams the proxy carries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ProxyUsers {
    /// All accounts of this server.
    #[default]
    Everybody,
    /// These accounts, by what stands before the `@`.
    Only(Vec<String>),
}

impl Default for ProxySettings {
    fn default() -> Self {
        Self {
            public_host: None,
            public_port: None,
            users: ProxyUsers::Everybody,
            streams: 500,
            streams_per_account: 100,
            // Many small files, each with a stream of its own.
            activations_per_minute: 600,
            rate: None,
            connections: 1_000,
            connections_per_address: 250,
            handshake: Duration::from_secs(10),
            waiting: Duration::from_secs(120),
            idle: Duration::from_secs(300),
            stall: Duration::from_secs(120),
        }
    }
}

/// What one client may take from the others.
#[derive(Clone, Debug)]
pub struct ServerLimits {
    /// Connections altogether.
    pub connections: usize,
    /// HTTP connections altogether; each costs more than one of a client.
    pub http_connections: usize,
    /// Connections from one IP address, of either kind.
    pub connections_per_address: usize,
    /// Sessions of one account, those that may be resumed included.
    pub sessions_per_account: usize,
    /// Logins from one IP address within a minute that turn out wrong; those beyond are not looked at.
    pub wrong_logins_per_minute: u32,
    /// From the opening of the connection to a bound session.
    pub login_deadline: Duration,
    /// A client that takes nothing for that long is dropped; its session may be resumed.
    pub slow_reader: Duration,
    /// How long a stanza waits for room at its addressee before it is returned with an error.
    pub delivery_deadline: Duration,
    /// Bytes of stanzas, about, that wait for one session.
    pub mailbox_bytes: usize,
    /// Messages kept for an account that is offline.
    pub offline_messages: usize,
    /// Bytes of them.
    pub offline_bytes: usize,
    /// Contacts of an account.
    pub roster_items: usize,
    /// Bytes of what an account calls them, names and groups.
    pub roster_bytes: usize,
    /// Addresses a session may send presence to beside its contacts.
    pub directed_presences: usize,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            http_connections: 1_000,
            connections_per_address: 500,
            sessions_per_account: 32,
            wrong_logins_per_minute: 120,
            login_deadline: Duration::from_secs(60),
            slow_reader: Duration::from_secs(60),
            delivery_deadline: Duration::from_secs(20),
            mailbox_bytes: 2 << 20,
            offline_messages: 4_000,
            offline_bytes: 16 << 20,
            roster_items: 5_000,
            roster_bytes: 256 << 10,
            directed_presences: 1_000,
        }
    }
}
