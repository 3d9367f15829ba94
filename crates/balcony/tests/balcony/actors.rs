//! Alice, bob and carol with homes of their own, and the server of this program that they log in to.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::io::FdFlags;
use rustix::net::{self, AddressFamily, SocketType};
use tempfile::TempDir;
use testing_peers::Endpoints;

use crate::process::{Done, PATIENCE, Running, balcony, run};

/// Accounts of every server of ours; the kit's servers have the same.
pub(crate) const ACCOUNTS: &str = "alice:alicepw,bob:bobpw,carol:carolpw";

/// Somebody with a home and a folder for what is received. Both end with the test.
#[derive(Debug)]
pub(crate) struct Person {
    home: TempDir,
    folder: TempDir,
}

impl Person {
    pub(crate) fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap(), folder: tempfile::tempdir().unwrap() }
    }

    /// Somebody who has logged in to a server by STARTTLS.
    #[track_caller]
    pub(crate) fn at(server: &Endpoints, user: &str) -> Self {
        let person = Self::new();
        person.login(server, user, &[]).ok();
        person
    }

    /// Logs in with the right password.
    #[track_caller]
    pub(crate) fn login(&self, server: &Endpoints, user: &str, more: &[&str]) -> Done {
        let address = if more.contains(&"--direct-tls") { server.direct_tls() } else { server.starttls() };
        self.login_with(&server.jid(user), server.password(user), &address, &server.ca(), more)
    }

    /// Logs in with all told.
    #[track_caller]
    pub(crate) fn login_with(&self, jid: &str, password: &str, address: &str, ca: &Path, more: &[&str]) -> Done {
        let mut command = self.command(&["login", jid, "--server", address, "--password-stdin"]);
        run(command.arg("--ca").arg(ca).args(more), format!("{password}\n").as_bytes())
    }

    /// The binary with `--json` and arguments.
    pub(crate) fn command<S: AsRef<std::ffi::OsStr>>(&self, arguments: &[S]) -> Command {
        let mut command = balcony(self.home.path());
        command.arg("--json").args(arguments).current_dir(self.folder.path());
        command
    }

    /// Runs a command to its end.
    #[track_caller]
    pub(crate) fn run<S: AsRef<std::ffi::OsStr>>(&self, arguments: &[S]) -> Done {
        run(&mut self.command(arguments), b"")
    }

    /// Starts a command.
    #[track_caller]
    pub(crate) fn start<S: AsRef<std::ffi::OsStr>>(&self, arguments: &[S]) -> Running {
        Running::start(&mut self.command(arguments), b"")
    }

    /// Where all of the program's own things are.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// The folder the commands run in, where received files arrive unless told otherwise.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Puts a file into that folder.
    pub(crate) fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder().join(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    /// Names of the files in that folder, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(self.folder()).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

/// A port that nobody else on this machine is given as long as this is held, also while no server listens there.
#[derive(Debug)]
struct Port {
    number: u16,
    _held: OwnedFd,
}

impl Port {
    fn hold() -> Self {
        let held = net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        rustix::io::fcntl_setfd(&held, FdFlags::CLOEXEC).unwrap();
        // Both this and the server say so: then both may have it, as this one does not listen.
        net::sockopt::set_socket_reuseaddr(&held, true).unwrap();
        net::bind(&held, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address: SocketAddr = net::getsockname(&held).unwrap().try_into().unwrap();
        Self { number: address.port(), _held: held }
    }
}

/// The options of `balcony serve` for ports, and what they are called among the endpoints.
const PORTS: [(&str, &str); 4] =
    [("--port", "C2S_PORT"), ("--tls-port", "C2S_TLS_PORT"), ("--https-port", "HTTPS_PORT"), ("--proxy-port", "PROXY65_PORT")];

/// `balcony serve` with alice, bob and carol, on free ports. Dropped, it is killed.
#[derive(Debug)]
pub(crate) struct OwnServer {
    folder: TempDir,
    running: Option<Running>,
    endpoints: Endpoints,
    options: Vec<String>,
    _ports: [Port; 4],
}

impl OwnServer {
    #[track_caller]
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    /// The same with more options of `balcony serve`.
    #[track_caller]
    pub(crate) fn with(options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("endpoints");
        let mut command = balcony(folder.path());
        command.args(["--json", "serve", "--data"]).arg(folder.path().join("data")).arg("--endpoints").arg(&file).args(options);
        let ports = PORTS.map(|(option, _)| {
            let port = Port::hold();
            command.args([option, &port.number.to_string()]);
            port
        });
        let mut passwords = String::new();
        for (user, password) in ACCOUNTS.split(',').map(|account| account.split_once(':').unwrap()) {
            command.args(["--add-account", user]);
            passwords += &format!("{password}\n");
        }
        let mut running = Running::start(&mut command, passwords.as_bytes());
        running.event("serving");
        let endpoints = Endpoints::read(&file).unwrap().with("ACCOUNTS", ACCOUNTS).unwrap();
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        Self { folder, running: Some(running), endpoints, options, _ports: ports }
    }

    pub(crate) fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// Where accounts, messages and uploads are kept.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// `kill -9`; tells what it logged.
    pub(crate) fn kill(&mut self) -> String {
        self.running.take().map(Running::kill).unwrap_or_default()
    }

    /// Starts again on the same ports with the same data.
    #[track_caller]
    pub(crate) fn again(&mut self) {
        self.running = None;
        let mut command = balcony(self.folder.path());
        command.args(["--json", "serve", "--data"]).arg(self.data()).args(&self.options);
        for (option, key) in PORTS {
            if let Some(port) = self.endpoints.find(key) {
                command.args([option, port]);
            }
        }
        let mut running = Running::start(&mut command, b"");
        running.event("serving");
        self.running = Some(running);
    }

    /// Asks it to end, and tells what it said.
    #[track_caller]
    pub(crate) fn end(mut self) -> Done {
        self.running.take().unwrap().end()
    }
}

/// Bytes that no two runs share.
pub(crate) fn random_bytes(count: usize) -> Vec<u8> {
    use std::io::Read as _;
    let mut bytes = Vec::with_capacity(count);
    fs::File::open("/dev/urandom").unwrap().take(count as u64).read_to_end(&mut bytes).unwrap();
    bytes
}

/// The sha-256 of a file by another program.
#[track_caller]
pub(crate) fn sha256(path: &Path) -> String {
    let done = Command::new("sha256sum").arg(path).output().unwrap();
    assert!(done.status.success(), "{}", path.display());
    String::from_utf8(done.stdout).unwrap()[..64].to_owned()
}

/// How long anything may take, in whole seconds, as an option of `receive`: less than the test waits, so that it says itself what it missed.
pub(crate) fn patience() -> String {
    (PATIENCE.as_secs() * 3 / 4).to_string()
}
