//! A server of ours with accounts, and clients of ours that are logged in.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use testing_peers::{Endpoints, Peers};

use super::{Setting, timing};
use crate::Result;
use crate::run::root;

/// `balcony serve`, until dropped.
pub(super) struct Site {
    child: Child,
    pub(super) endpoints: Endpoints,
}

impl Site {
    pub(super) fn start(setting: &Setting) -> Result<Self> {
        let file = setting.work.join("endpoints");
        let mut command = Command::new(setting.programs.join("balcony"));
        command.args(["serve", "--port", "0", "--tls-port", "0", "--https-port", "0", "--proxy-port", "0"]);
        command.args(["--max-upload", "16G", "--quota", "100G"]);
        command
            .args(["--add-account", "alice", "--add-account", "bob", "--data"])
            .arg(setting.work.join("server"))
            .arg("--endpoints")
            .arg(&file);
        let log =
            std::fs::File::create(setting.work.join("serve.log")).map_err(|error| format!("cannot write the server's log: {error}"))?;
        let errors = log.try_clone().map_err(|error| format!("cannot write the server's log: {error}"))?;
        command.stdin(Stdio::piped()).stdout(log).stderr(errors);
        let mut child = command.spawn().map_err(|error| format!("cannot start balcony serve: {error}"))?;
        if let Some(mut passwords) = child.stdin.take() {
            passwords.write_all(b"alicepw\nbobpw\n").map_err(|error| format!("balcony serve takes no passwords: {error}"))?;
        }
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            if let Some(endpoints) = Endpoints::read(&file).ok().filter(|endpoints| endpoints.find("CA").is_some()) {
                let endpoints = endpoints.with("ACCOUNTS", "alice:alicepw,bob:bobpw").map_err(|error| error.to_string())?;
                return Ok(Self { child, endpoints });
            }
            if Instant::now() > deadline || !matches!(child.try_wait(), Ok(None)) {
                let said = std::fs::read_to_string(setting.work.join("serve.log")).unwrap_or_default();
                return Err(format!("balcony serve did not start: {said}"));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The most memory the server ever had, in MiB.
    pub(super) fn peak_memory(&self) -> Option<f64> {
        timing::resident(&self.child)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Err(error) = self.child.kill().and_then(|()| self.child.wait()) {
            eprintln!("balcony serve does not end: {error}");
        }
    }
}

/// A home of `balcony` with one account in it.
pub(super) struct Client {
    program: PathBuf,
    home: PathBuf,
    jid: String,
}

impl Client {
    /// Logs `user` in once.
    pub(super) fn login(setting: &Setting, endpoints: &Endpoints, user: &str, home: &str) -> Result<Self> {
        let client = Self::in_home(setting, endpoints, user, home);
        let mut command = client.command(&["login", &client.jid]);
        command.arg("--server").arg(endpoints.starttls()).arg("--ca").arg(endpoints.ca()).env("BALCONY_PASSWORD", endpoints.password(user));
        timing::timed(&mut command)?;
        Ok(client)
    }

    /// A client that is logged in, or will be.
    pub(super) fn in_home(setting: &Setting, endpoints: &Endpoints, user: &str, home: &str) -> Self {
        Self { program: setting.programs.join("balcony"), home: setting.work.join(home), jid: endpoints.jid(user) }
    }

    /// Removes what it was sent. It will ask for none of it again.
    pub(super) fn forget_files(&self) -> Result<()> {
        let accounts = self.home.join("accounts");
        let entries = std::fs::read_dir(&accounts).map_err(|error| format!("cannot read {}: {error}", accounts.display()))?;
        entries.flatten().try_for_each(|account| timing::empty(&account.path().join("blobs")))
    }

    pub(super) fn jid(&self) -> &str {
        &self.jid
    }

    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).env("BALCONY_HOME", &self.home).current_dir(self.home.parent().unwrap_or(Path::new(".")));
        command
    }

    /// `balcony send FILE --to JID`
    pub(super) fn send(&self, file: &Path, to: &str) -> Command {
        let mut command = self.command(&["send", "--quiet", "--show-xml"]);
        command.arg(file).args(["--to", to]);
        command
    }

    /// `balcony receive` of one file
    pub(super) fn receive(&self, into: &Path) -> Command {
        let mut command = self.command(&["receive", "--quiet", "--count", "1", "--timeout", "600", "--yes"]);
        command.arg("--into").arg(into);
        command
    }
}

/// The first https URL in what a program printed.
pub(super) fn url_in(printed: &str) -> Result<String> {
    let start = printed.find("https://").ok_or_else(|| format!("no URL in: {printed}"))?;
    let end = printed[start..].find(['\'', '"', '<', ' ', '\n', '\\']).map_or(printed.len(), |end| start + end);
    Ok(printed[start..end].to_owned())
}

/// The foreign programs, from where `cargo xtask test` put them.
pub(super) fn peers() -> Result<Peers> {
    let folder =
        std::env::var_os("BALCONY_PEERS").filter(|folder| !folder.is_empty()).map_or_else(|| root().join("target/peers"), PathBuf::from);
    Peers::open(folder).map_err(|error| format!("{error}; `cargo xtask test` installs them on Debian"))
}
