//! Whether the peers are here, and the servers among them.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use tempfile::TempDir;

use crate::ports::PortRange;
use crate::{Endpoints, GoSendxmpp, Profanity, Slixmpp};

/// Names the folder that `kit/install` filled; set by whoever promises that the peers are there.
const PROMISED: &str = "BALCONY_PEERS";
/// Names a file that gets a line for each test that was skipped.
const SKIPPED: &str = "BALCONY_SKIPPED";

/// Why something did not work with a peer.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// A file or a process failed on this machine.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A script of the kit, or a peer's command, ended badly.
    #[error("{what} failed:\n{output}")]
    Failed {
        /// The command.
        what: String,
        /// All it printed.
        output: String,
    },
    /// Every range of ports that tests use is taken.
    #[error("no ports are free for another server")]
    NoPorts,
}

/// A test was left out because its peers are not here.
#[derive(Debug, Clone)]
#[must_use = "say it, so that it is counted"]
pub struct Skipped(pub(crate) String);

impl Skipped {
    /// Prints the one line and counts it.
    pub fn say(self) {
        let thread = std::thread::current();
        let test = thread.name().filter(|name| *name != "main").map(str::to_owned).or_else(|| std::env::var("NEXTEST_TEST_NAME").ok());
        let line = format!("SKIPPED {}: {}", test.as_deref().unwrap_or("a test"), self.0);
        eprintln!("{line}");
        let Some(file) = std::env::var_os(SKIPPED) else { return };
        // One write of one short line in append mode: lines of tests that run at once do not mix.
        let counted = std::fs::File::options()
            .create(true)
            .append(true)
            .open(&file)
            .and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()));
        if let Err(error) = counted {
            eprintln!("cannot count it in {}: {error}", Path::new(&file).display());
        }
    }
}

impl std::fmt::Display for Skipped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which server to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Server {
    /// Prosody, as Debian has it.
    Prosody,
    /// ejabberd, as Debian has it.
    Ejabberd,
}

impl Server {
    pub(crate) fn script(self) -> &'static str {
        match self {
            Self::Prosody => "start-prosody",
            Self::Ejabberd => "start-ejabberd",
        }
    }
}

/// The peers, with a folder for all they write. Dropped, it ends what it started and removes the folder (unless the test
/// failed: then it stays, and its place is printed).
#[derive(Debug)]
pub struct Peers {
    deps: PathBuf,
    guard: Guard,
    state: TempDir,
}

impl Peers {
    /// The peers, or why they are not here.
    ///
    /// # Panics
    /// When they were promised and are not there.
    #[track_caller]
    pub fn available() -> Result<Self, Skipped> {
        let Some(deps) = std::env::var_os(PROMISED).filter(|value| !value.is_empty()) else {
            return Err(Skipped(format!("no foreign peers here; {PROMISED} names the folder that testing/peers/kit/install filled")));
        };
        match Self::open(PathBuf::from(deps)) {
            Ok(peers) => Ok(peers),
            Err(error) => crate::endpoints::fail(format_args!("the peers were promised by {PROMISED}: {error}")),
        }
    }

    /// The peers that `kit/install` put into the folder `deps`, for programs that are no tests.
    pub fn open(deps: PathBuf) -> Result<Self, PeerError> {
        if !deps.join("venv/bin/python").exists() {
            let source = std::io::ErrorKind::NotFound.into();
            return Err(PeerError::Io { what: format!("no venv in {}, run testing/peers/kit/install", deps.display()), source });
        }
        // The kit's sockets lie below this folder, and their paths are limited to about a hundred characters.
        let temp = Some(std::env::temp_dir()).filter(|dir| dir.as_os_str().len() <= 40).unwrap_or_else(|| PathBuf::from("/tmp"));
        let state = tempfile::Builder::new().prefix("balcony-").tempdir_in(temp);
        let mut state = state.map_err(|source| PeerError::Io { what: "cannot make a folder for the peers".to_owned(), source })?;
        state.disable_cleanup(true); // the guard does it, after the last server
        let guard = Guard::start(state.path())?;
        Ok(Self { deps, guard, state })
    }

    /// Starts a server and waits until every port answers. `settings` are the kit's knobs (see `kit/README.md`), such as
    /// `("UP_MAX", "1000")`.
    pub fn start(&self, server: Server, settings: &[(&str, &str)]) -> Result<Instance, PeerError> {
        let mut refused = None;
        loop {
            let ports = PortRange::claim().map_err(|source| PeerError::Io { what: "cannot claim ports".to_owned(), source })?;
            let ports = ports.ok_or(PeerError::NoPorts)?;
            match self.start_at(&ports, server, settings) {
                Ok(mut instance) => {
                    instance._ports = Some(ports);
                    return Ok(instance);
                }
                // Where a system gives such ports to connections, one may have got it a moment before the server: once more, elsewhere.
                Err(error) if refused.is_none() => {
                    eprintln!("{error}");
                    refused = Some(ports);
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn start_at(&self, ports: &PortRange, server: Server, settings: &[(&str, &str)]) -> Result<Instance, PeerError> {
        let name = format!("s{}", ports.base());
        let mut command = self.script(server.script());
        command.arg(&name).env("PORT_BASE", ports.base().to_string()).envs(settings.iter().copied());
        output(&mut command)?;
        let endpoints = Endpoints::read(&self.state.path().join(&name).join("endpoints"))?;
        Ok(Instance { name, endpoints, stop: self.script("stop"), _ports: None })
    }

    /// A slixmpp client. `who` is a user and a resource: `bob/rx`.
    pub fn slixmpp(&self, endpoints: &Endpoints, who: &str) -> Slixmpp {
        Slixmpp::new(&self.deps.join("venv/bin/python"), &kit().join("slixmpp_peer.py"), self.folder(), endpoints, who)
    }

    /// A client that speaks Jingle as the documents have it (`kit/jingle_peer.py`). `who` is a user and a resource: `bob/rx`.
    pub fn jingle(&self, endpoints: &Endpoints, who: &str) -> Slixmpp {
        Slixmpp::new(&self.deps.join("venv/bin/python"), &kit().join("jingle_peer.py"), self.folder(), endpoints, who)
    }

    /// A go-sendxmpp client with the account `user`.
    pub fn go_sendxmpp(&self, endpoints: &Endpoints, user: &str) -> GoSendxmpp {
        GoSendxmpp::new(self.folder(), endpoints, user)
    }

    /// Starts profanity in a terminal of its own and logs `user` in.
    pub fn profanity(&self, endpoints: &Endpoints, user: &str) -> Result<Profanity, PeerError> {
        Profanity::start(self.folder(), endpoints, user)
    }

    /// The folder of all that the peers write.
    pub fn folder(&self) -> &Path {
        self.state.path()
    }

    /// A script of the kit, told where things are.
    pub(crate) fn script(&self, name: &str) -> Command {
        let mut command = Command::new(kit().join(name));
        command.env("PEERS_STATE", self.folder()).env("PEERS_DEPS", &self.deps).stdin(Stdio::null());
        for knob in ["PORT_BASE", "DOMAIN", "IP", "ACCOUNTS", "PEERS_LAB", "PROSODY"] {
            command.env_remove(knob);
        }
        command
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        let keep = std::thread::panicking();
        if keep && std::fs::write(self.folder().join("keep"), "").is_ok() {
            eprintln!("what the peers wrote is in {}", self.folder().display());
        }
        self.guard.end();
    }
}

/// A server that runs. Dropped, it is stopped; its data stay until [`Peers`] is dropped.
#[derive(Debug)]
pub struct Instance {
    name: String,
    endpoints: Endpoints,
    stop: Command,
    _ports: Option<PortRange>,
}

impl Instance {
    /// One that runs by its name, on ports of a network of its own.
    pub(crate) fn in_lab(name: String, endpoints: Endpoints, stop: Command) -> Self {
        Self { name, endpoints, stop, _ports: None }
    }

    /// Where it listens and who has an account.
    pub fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if let Err(error) = output(self.stop.arg(&self.name)) {
            eprintln!("{error}");
        }
    }
}

/// The folder of the kit.
pub(crate) fn kit() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("kit")
}

/// Runs a command to its end and returns what it printed on standard output.
pub(crate) fn output(command: &mut Command) -> Result<String, PeerError> {
    let what = Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let done = command.output().map_err(|source| PeerError::Io { what: format!("cannot run {what}"), source })?;
    let printed = String::from_utf8_lossy(&done.stdout).into_owned();
    if done.status.success() {
        return Ok(printed);
    }
    Err(PeerError::Failed { what, output: format!("{printed}{}", String::from_utf8_lossy(&done.stderr)) })
}

/// A shell that outlives the test if it must: it stops the servers when its standard input ends, which is when the test
/// says so, and also when the test is killed.
#[derive(Debug)]
struct Guard {
    shell: Child,
    leash: Option<ChildStdin>,
}

const GUARD: &str = r#"
cat >/dev/null
for socket in "$PEERS_STATE"/*/tmux; do
  [ ! -S "$socket" ] || tmux -S "$socket" kill-server
done
"$KIT/stop"
[ -e "$PEERS_STATE/keep" ] || rm -rf "$PEERS_STATE"
"#;

impl Guard {
    fn start(state: &Path) -> Result<Self, PeerError> {
        use std::os::unix::process::CommandExt;
        let mut command = Command::new("bash");
        command.args(["-c", GUARD]).env("PEERS_STATE", state).env("KIT", kit());
        // A group of its own: ^C and the test runner end the test's group, not this.
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut shell = command.spawn().map_err(|source| PeerError::Io { what: "cannot start bash".to_owned(), source })?;
        let leash = shell.stdin.take();
        Ok(Self { shell, leash })
    }

    fn end(&mut self) {
        drop(self.leash.take());
        if let Err(error) = self.shell.wait() {
            eprintln!("cannot wait for the end of the peers: {error}");
        }
    }
}
