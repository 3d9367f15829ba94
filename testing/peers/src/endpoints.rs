//! Where a server listens and who has an account there, as `KEY=VALUE` lines: what the kit's start scripts and
//! `balcony serve --endpoints FILE` write.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::PeerError;

/// The endpoints of one server.
#[derive(Debug, Clone)]
pub struct Endpoints {
    file: PathBuf,
    values: BTreeMap<String, String>,
}

impl Endpoints {
    /// Reads the lines of `file`. Lines without `=` are left out.
    pub fn read(file: &Path) -> Result<Self, PeerError> {
        let text =
            std::fs::read_to_string(file).map_err(|source| PeerError::Io { what: format!("cannot read {}", file.display()), source })?;
        let values = text.lines().filter_map(|line| line.split_once('=')).map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        Ok(Self { file: file.to_owned(), values })
    }

    /// The same with one more line, in a file beside the first: for a server that does not tell its accounts.
    pub fn with(mut self, key: &str, value: &str) -> Result<Self, PeerError> {
        self.values.insert(key.to_owned(), value.to_owned());
        self.file.as_mut_os_string().push(".more");
        let lines: String = self.values.iter().map(|(key, value)| format!("{key}={value}\n")).collect();
        std::fs::write(&self.file, lines)
            .map_err(|source| PeerError::Io { what: format!("cannot write {}", self.file.display()), source })?;
        Ok(self)
    }

    /// The file they were read from; the kit's checks take it.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The value of `key`, such as `UPLOAD_JID`.
    ///
    /// # Panics
    /// When the server did not tell it.
    #[track_caller]
    pub fn get(&self, key: &str) -> &str {
        self.find(key).unwrap_or_else(|| fail(format_args!("{} has no {key}", self.file.display())))
    }

    /// The value of `key`, if the server told it.
    pub fn find(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }

    /// The domain of the accounts.
    #[track_caller]
    pub fn domain(&self) -> &str {
        self.get("DOMAIN")
    }

    /// Host and port for clients that start TLS on the stream.
    #[track_caller]
    pub fn starttls(&self) -> String {
        self.at("C2S_PORT")
    }

    /// Host and port for clients that begin with TLS.
    #[track_caller]
    pub fn direct_tls(&self) -> String {
        self.at("C2S_TLS_PORT")
    }

    #[track_caller]
    fn at(&self, port: &str) -> String {
        let (ip, port) = (self.get("IP"), self.get(port));
        if ip.contains(':') { format!("[{ip}]:{port}") } else { format!("{ip}:{port}") }
    }

    /// The authority that signed the server's certificate, PEM.
    #[track_caller]
    pub fn ca(&self) -> PathBuf {
        PathBuf::from(self.get("CA"))
    }

    /// The address of an account: `alice` is `alice@localhost`.
    #[track_caller]
    pub fn jid(&self, user: &str) -> String {
        format!("{user}@{}", self.domain())
    }

    /// The password of an account.
    ///
    /// # Panics
    /// When there is no such account.
    #[track_caller]
    pub fn password(&self, user: &str) -> &str {
        self.get("ACCOUNTS")
            .split(',')
            .filter_map(|account| account.split_once(':'))
            .find(|(name, _)| *name == user)
            .map_or_else(|| fail(format_args!("{} has no account {user}", self.file.display())), |(_, password)| password)
    }
}

/// Ends the test: what it asked for is not there.
#[track_caller]
#[allow(clippy::panic, reason = "this crate is used by tests only, which end by panicking")]
pub(crate) fn fail(what: std::fmt::Arguments<'_>) -> ! {
    panic!("{what}")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::Endpoints;

    #[test]
    fn a_line_can_be_added_for_the_checks() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("endpoints");
        std::fs::write(&file, "DOMAIN=localhost\nIP=127.0.0.1\nC2S_PORT=5222\n").unwrap();
        let there = Endpoints::read(&file).unwrap().with("ACCOUNTS", "alice:alicepw,bob:b:b").unwrap();
        let again = Endpoints::read(there.file()).unwrap();
        assert_eq!(
            (again.starttls().as_str(), again.jid("bob").as_str(), again.password("bob")),
            ("127.0.0.1:5222", "bob@localhost", "b:b")
        );
    }
}
