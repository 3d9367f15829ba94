//! A server, its accounts, and clients of them.

use balcony_client::{Account, ConnectError, ConnectOptions, ServerAddress};
use balcony_server::{Running, Server, Settings};
use balcony_session::Security;

/// The password of everybody.
pub(crate) const PASSWORD: &str = "Love's light wings 2";

/// A server with romeo and juliet.
pub(crate) struct Scene {
    pub(crate) server: Running,
    _folder: tempfile::TempDir,
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
        Self { server, _folder: folder }
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
        Account::connect(self.options(name, Security::StartTls)).await.unwrap()
    }

    pub(crate) async fn refused(&self, options: ConnectOptions) -> ConnectError {
        Account::connect(options).await.unwrap_err()
    }
}
