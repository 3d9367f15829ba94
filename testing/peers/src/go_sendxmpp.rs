//! go-sendxmpp: writes a message or uploads a file and ends, or listens and prints.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::peers::output;
use crate::{Endpoints, Lines, PeerError};

/// A go-sendxmpp client with an account; it checks certificates.
#[derive(Debug, Clone)]
pub struct GoSendxmpp {
    arguments: Vec<String>,
    bundle: PathBuf,
    home: PathBuf,
}

impl GoSendxmpp {
    pub(crate) fn new(state: &Path, endpoints: &Endpoints, user: &str) -> Self {
        let arguments = ["-u", &endpoints.jid(user), "-p", endpoints.password(user), "-j", &endpoints.starttls()].map(str::to_owned);
        Self { arguments: arguments.into(), bundle: endpoints.ca(), home: state.to_owned() }
    }

    /// Begins with TLS at the port for it, instead of STARTTLS.
    #[must_use]
    pub fn direct_tls(mut self, endpoints: &Endpoints) -> Self {
        self.arguments.extend(["-j".to_owned(), endpoints.direct_tls(), "-t".to_owned()]);
        self
    }

    /// Sends a text.
    pub fn send(&self, to: &str, text: &str) -> Result<(), PeerError> {
        let file = self.home.join("go-sendxmpp-text");
        std::fs::write(&file, text).map_err(|source| PeerError::Io { what: format!("cannot write {}", file.display()), source })?;
        output(self.command().arg("-m").arg(&file).arg(to)).map(drop)
    }

    /// Uploads a file and sends its URL.
    pub fn upload(&self, to: &str, file: &Path) -> Result<(), PeerError> {
        output(self.command().arg("-h").arg(file).arg(to)).map(drop)
    }

    /// Logs in and prints each message as a line, until dropped. It does not say when it is ready: who writes to it at
    /// once may find it offline, which a server with offline storage mends.
    pub fn listen(&self) -> Result<Lines, PeerError> {
        Lines::start("go-sendxmpp", self.command().arg("-l"))
    }

    fn command(&self) -> Command {
        let mut command = Command::new("timeout");
        command.args(["300", "go-sendxmpp"]).args(&self.arguments).env("SSL_CERT_FILE", &self.bundle).env("HOME", &self.home);
        command.stdin(std::process::Stdio::null());
        command
    }
}
