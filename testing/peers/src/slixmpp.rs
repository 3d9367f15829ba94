//! slixmpp, by way of `kit/slixmpp_peer.py` or `kit/jingle_peer.py`: they print a JSON object a line.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::peers::output;
use crate::{Endpoints, Host, Lab, Lines, PeerError};

/// A slixmpp client with an account; each call is a login of its own.
#[derive(Debug, Clone)]
pub struct Slixmpp {
    program: PathBuf,
    arguments: Vec<String>,
    folder: PathBuf,
}

impl Slixmpp {
    /// `script` is one of the kit's Python clients.
    pub(crate) fn new(python: &Path, script: &Path, state: &Path, endpoints: &Endpoints, who: &str) -> Self {
        let (user, resource) = who.split_once('/').unwrap_or((who, "slixmpp"));
        let folder = state.join(format!("slixmpp-{user}-{resource}"));
        let arguments = [
            script.display().to_string(),
            "--jid".to_owned(),
            format!("{}/{resource}", endpoints.jid(user)),
            "--password".to_owned(),
            endpoints.password(user).to_owned(),
            "--ca".to_owned(),
            endpoints.ca().display().to_string(),
            "--host".to_owned(),
            endpoints.get("IP").to_owned(),
            "--port".to_owned(),
            endpoints.get("C2S_PORT").to_owned(),
            "--out".to_owned(),
            folder.display().to_string(),
        ];
        Self { program: python.to_owned(), arguments: arguments.into(), folder }
    }

    /// Runs on a host of the lab.
    #[must_use]
    pub fn on(mut self, lab: &Lab, host: Host) -> Self {
        let mut door = lab.door(host);
        let program = std::mem::replace(&mut self.program, PathBuf::from(door.remove(0)));
        door.push(program.display().to_string());
        self.arguments.splice(0..0, door);
        self
    }

    /// Begins with TLS at the port for it, instead of STARTTLS.
    #[must_use]
    pub fn direct_tls(mut self, endpoints: &Endpoints) -> Self {
        self.arguments.extend(["--port".to_owned(), endpoints.get("C2S_TLS_PORT").to_owned(), "--direct-tls".to_owned()]);
        self
    }

    /// More options of the script.
    #[must_use]
    pub fn with(mut self, options: &[&str]) -> Self {
        self.arguments.extend(options.iter().map(|option| (*option).to_owned()));
        self
    }

    /// Runs a command (`--help` of the script lists them) to its end and returns the events it printed.
    pub fn run(&self, command: &[&str]) -> Result<Vec<Value>, PeerError> {
        let printed = output(Command::new(&self.program).args(&self.arguments).args(command))?;
        Ok(printed.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
    }

    /// Logs in, sends presence and prints what comes, until dropped.
    pub fn listen(&self) -> Result<Listener, PeerError> {
        self.start(&["listen"])
    }

    /// Logs in and begins a command, which goes on until it is done or the handle is dropped.
    pub fn start(&self, command: &[&str]) -> Result<Listener, PeerError> {
        let mut program = Command::new(&self.program);
        let lines = Lines::start("slixmpp", program.args(&self.arguments).args(command))?;
        let mut listener = Listener { lines, folder: self.folder.clone() };
        listener.wait_for("login", |event| event["event"] == "online");
        Ok(listener)
    }
}

/// A slixmpp client that is logged in and listens. Dropped, it logs out.
#[derive(Debug)]
pub struct Listener {
    lines: Lines,
    folder: PathBuf,
}

impl Listener {
    /// The next event for which `is` says yes. A stanza has `event` (message, presence, iq), `from`, `type` and `xml`.
    ///
    /// # Panics
    /// When none comes within 90 seconds.
    #[track_caller]
    pub fn wait_for(&mut self, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        let line = self.lines.wait_for(what, |line| serde_json::from_str(line).is_ok_and(|event| is(&event)));
        serde_json::from_str(&line).unwrap_or_default()
    }

    /// The next event for which `is` says yes, if one comes within `patience`.
    pub fn find(&mut self, patience: Duration, is: impl Fn(&Value) -> bool) -> Option<Value> {
        let line = self.lines.find(patience, |line| serde_json::from_str(line).is_ok_and(|event| is(&event)))?;
        serde_json::from_str(&line).ok()
    }

    /// Where it puts what it receives by bytestream.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}
