//! Clients by other people against `balcony serve`: slixmpp, go-sendxmpp, profanity log in, write, upload and fetch.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use testing_peers::{Endpoints, Peers};

/// A server with alice and bob, until dropped.
struct Serving {
    child: Child,
    endpoints: Endpoints,
    _folder: tempfile::TempDir,
}

impl Serving {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("endpoints");
        let mut command = Command::new(env!("CARGO_BIN_EXE_balcony"));
        command.args(["serve", "--port", "0", "--tls-port", "0", "--https-port", "0", "--add-account", "alice", "--add-account", "bob"]);
        command.arg("--data").arg(folder.path().join("data")).arg("--endpoints").arg(&file);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(b"alicepw\nbobpw\n").unwrap();
        let endpoints = wait_for_endpoints(&file).with("ACCOUNTS", "alice:alicepw,bob:bobpw").unwrap();
        Self { child, endpoints, _folder: folder }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn wait_for_endpoints(file: &Path) -> Endpoints {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(endpoints) = Endpoints::read(file).ok().filter(|endpoints| endpoints.find("CA").is_some()) {
            return endpoints;
        }
        assert!(Instant::now() < deadline, "the server does not start");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn passes(check: &str, settings: &[(&str, &str)]) {
    let peers = match Peers::available() {
        Ok(peers) => peers,
        Err(skipped) => return skipped.say(),
    };
    let server = Serving::start();
    let report = peers.check(check, &server.endpoints, settings).unwrap_or_else(|error| panic!("{error}"));
    assert!(report.contains("PASS"), "{report}");
}

/// Proves: SIMS-9.2-1.
#[test]
fn slixmpp_shares_files_by_every_dialect_it_has() {
    passes("slix-e2e", &[("STEPS", "upload sims sfs oob")]);
}

#[test]
fn go_sendxmpp_writes_and_uploads_by_starttls_and_direct_tls() {
    passes("go-sendxmpp-test", &[]);
}

#[test]
fn profanity_logs_in_writes_and_uploads() {
    passes("profanity-test", &[]);
}

/// Proves: C0198-5-1.
#[test]
fn streams_cut_between_and_within_stanzas_are_resumed() {
    passes("resume-check", &[]);
}
