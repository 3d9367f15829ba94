//! Do the peers themselves work, and do they end when a test does?
#![allow(clippy::unwrap_used)]

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use testing_peers::{Endpoints, Instance, Peers, Server};

fn start(server: Server) -> Option<(Peers, Instance)> {
    match Peers::available() {
        Ok(peers) => {
            let instance = peers.start(server, &[]).unwrap();
            Some((peers, instance))
        }
        Err(skipped) => {
            skipped.say();
            None
        }
    }
}

#[test]
fn slixmpp_hears_slixmpp_through_prosody_and_ejabberd() {
    for server in [Server::Prosody, Server::Ejabberd] {
        let Some((peers, instance)) = start(server) else { return };
        let there = instance.endpoints();
        let mut bob = peers.slixmpp(there, "bob/rx").listen().unwrap();
        peers.slixmpp(there, "alice/tx").direct_tls(there).run(&["msg", &there.jid("bob"), "good morning"]).unwrap();
        let heard = bob.wait_for("message", |event| event["event"] == "message" && event["type"] == "chat");
        assert!(heard["xml"].as_str().unwrap().contains("good morning"), "{heard}");
    }
}

#[test]
fn a_wrong_command_is_an_error_that_says_what_was_printed() {
    let Some((peers, instance)) = start(Server::Prosody) else { return };
    let error = peers.slixmpp(instance.endpoints(), "alice/tx").run(&["upload", "/no/such/file"]).unwrap_err();
    assert!(error.to_string().contains("No such file"), "{error}");
}

#[test]
fn go_sendxmpp_hears_go_sendxmpp() {
    let Some((peers, instance)) = start(Server::Ejabberd) else { return };
    let there = instance.endpoints();
    let mut bob = peers.go_sendxmpp(there, "bob").listen().unwrap();
    peers.go_sendxmpp(there, "alice").direct_tls(there).send(&there.jid("bob"), "good evening").unwrap();
    bob.wait_for("message", |line| line.contains("good evening"));
}

#[test]
fn profanity_shows_what_slixmpp_sends() {
    let Some((peers, instance)) = start(Server::Prosody) else { return };
    let there = instance.endpoints();
    let bob = peers.profanity(there, "bob").unwrap();
    peers.slixmpp(there, "alice/tx").run(&["msg", &there.jid("bob"), "good night"]).unwrap();
    // A message from somebody new opens a window; its number is told on the first screen.
    bob.type_line(&format!("/msg {}", there.jid("alice"))).unwrap();
    bob.wait_for_screen("message", |screen| screen.contains("good night"));
}

#[test]
fn servers_end_when_the_test_that_started_them_is_killed() {
    // The test below, run as a child that waits, and killed without warning.
    let Ok(_) = Peers::available().map_err(testing_peers::Skipped::say) else { return };
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "a_server_tells_where_it_is", "--nocapture"]).env("TELL", file.path());
    let mut child = child.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let there = until(|| Endpoints::read(file.path()).ok().filter(|there| there.find("PID").is_some()));
    let cmdline = format!("/proc/{}/cmdline", there.get("PID"));
    assert!(std::fs::read_to_string(&cmdline).unwrap().contains("prosody"));
    child.kill().unwrap();
    child.wait().unwrap();
    until(|| (!std::path::Path::new(&cmdline).exists()).then_some(()));
    let state = there.ca().ancestors().nth(2).unwrap().to_owned();
    until(|| (!state.exists()).then_some(()));
}

#[test]
fn a_server_tells_where_it_is() {
    let Some((_peers, instance)) = start(Server::Prosody) else { return };
    let there = instance.endpoints();
    assert_eq!((there.domain(), there.password("alice")), ("localhost", "alicepw"));
    assert!(std::net::TcpStream::connect(there.starttls()).is_ok() && std::net::TcpStream::connect(there.direct_tls()).is_ok());
    if let Some(file) = std::env::var_os("TELL") {
        std::fs::copy(there.file(), file).unwrap();
        std::thread::sleep(Duration::from_secs(600));
    }
}

fn until<T>(mut found: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited for 60 s in vain");
        std::thread::sleep(Duration::from_millis(50));
    }
}
