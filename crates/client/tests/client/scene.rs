//! A server, its accounts, and clients of them.

use balcony_client::{Account, ConnectError, ConnectOptions, ServerAddress};
use balcony_server::{Running, Server, Settings};
use balcony_session::Security;
use balcony_store::Store;

/// The password of everybody.
pub(crate) const PASSWORD: &str = "Love's light wings 2";

/// A server with romeo and juliet.
pub(crate) struct Scene {
    pub(crate) server: Running,
    folder: tempfile::TempDir,
}

impl Scene {
    pub(crate) async fn new() -> Self {
        Self::with(|_| ()).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = Settings::new("localhost", folder.path());
        settings.scram_iterations = 4096;
        change(&mut settings);
        let server = Server::start(settings).await.unwrap();
        for name in ["romeo", "juliet"] {
            server.add_account(name, PASSWORD).await.unwrap();
        }
        Self { server, folder }
    }

    /// Where the server keeps what it has.
    pub(crate) fn data(&self) -> &std::path::Path {
        self.folder.path()
    }

    pub(crate) fn options(&self, name: &str, security: Security) -> ConnectOptions {
        let jid = format!("{name}@localhost").parse().unwrap();
        let mut options = ConnectOptions::with_password(jid, PASSWORD);
        let address = match security {
            Security::StartTls => self.server.c2s_addr(),
            Security::DirectTls => self.server.c2s_tls_addr(),
        };
        options.server = Some((ServerAddress { host: address.ip().to_string(), port: address.port() }, security));
        options.ca_pem = self.server.ca_pem().map(str::to_owned);
        options
    }

    pub(crate) async fn connect(&self, name: &str) -> Account {
        connect(self.options(name, Security::StartTls)).await
    }
}

pub(crate) async fn connect(options: ConnectOptions) -> Account {
    Account::connect(options, Store::in_memory().unwrap()).await.unwrap()
}

pub(crate) async fn refused(options: ConnectOptions) -> ConnectError {
    Account::connect(options, Store::in_memory().unwrap()).await.unwrap_err()
}

/// A port of 127.0.0.1 at which nobody is, and which nobody gets as long as the socket is held: bound, and not listening.
pub(crate) fn nobody() -> (tokio::net::TcpSocket, u16) {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = socket.local_addr().unwrap().port();
    (socket, port)
}

/// Bytes that no compression makes small and every run makes alike.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}
