//! The lab: alice, bob and a server on hosts of their own, with a packet filter between them. What is tried there is in the files
//! beside this one.

use std::process::Command;

use serde_json::Value;
use testing_peers::{Endpoints, Family, Host, Instance, Lab, Rule, Server, Skipped, Slixmpp};

use crate::actors::{ACCOUNTS, Person};
use crate::process::{Done, Running, balcony, run};

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum At {
    Ours,
    Prosody,
    Ejabberd,
}

/// Ends with the handle.
#[derive(Debug)]
enum Serving {
    Ours { _running: Running, _folder: tempfile::TempDir },
    Theirs { _instance: Instance },
}

/// The lab with a server, and alice and bob logged in to it. Files go from alice to bob.
#[derive(Debug)]
pub(crate) struct Town {
    pub(crate) alice: Person,
    pub(crate) bob: Person,
    pub(crate) there: Endpoints,
    /// By which the server is reached.
    family: Family,
    _serving: Serving,
    pub(crate) lab: Lab,
}

impl Town {
    /// `None` where there can be no lab: then that is said and counted.
    #[track_caller]
    pub(crate) fn with(at: At) -> Option<Self> {
        Self::of(at, Lab::up(), Family::V4)
    }

    /// The same where nobody has an address of IPv4.
    #[track_caller]
    pub(crate) fn without_ipv4(at: At) -> Option<Self> {
        Self::of(at, Lab::only(Family::V6), Family::V6)
    }

    #[track_caller]
    fn of(at: At, lab: Result<Lab, Skipped>, family: Family) -> Option<Self> {
        let lab = lab.map_err(Skipped::say).ok()?;
        let (serving, there) = match at {
            At::Ours => serve(&lab, family),
            At::Prosody => theirs(&lab, Server::Prosody, family),
            At::Ejabberd => theirs(&lab, Server::Ejabberd, family),
        };
        let town = Self { alice: Person::new(), bob: Person::new(), there, family, _serving: serving, lab };
        for host in [Host::Alice, Host::Bob] {
            town.log_in(host);
        }
        for (host, other) in [(Host::Alice, "bob"), (Host::Bob, "alice")] {
            town.run(host, &["contacts", "add", &town.there.jid(other)]).ok();
        }
        Some(town)
    }

    fn log_in(&self, host: Host) {
        let (there, user) = (&self.there, host.name());
        let jid = there.jid(user);
        let arguments = ["login", &jid, "--server", &there.starttls(), "--password-stdin", "--ca", there.get("CA")];
        run(&mut self.command(host, &arguments), format!("{}\n", there.password(user)).as_bytes()).ok();
    }

    pub(crate) fn person(&self, host: Host) -> &Person {
        if host == Host::Alice { &self.alice } else { &self.bob }
    }

    /// The binary on a host, as whoever lives there.
    pub(crate) fn command<S: AsRef<std::ffi::OsStr>>(&self, host: Host, arguments: &[S]) -> Command {
        self.lab.inside(host, &self.person(host).command(arguments))
    }

    /// Runs it to its end.
    #[track_caller]
    pub(crate) fn run<S: AsRef<std::ffi::OsStr>>(&self, host: Host, arguments: &[S]) -> Done {
        run(&mut self.command(host, arguments), b"")
    }

    /// Starts it.
    #[track_caller]
    pub(crate) fn start<S: AsRef<std::ffi::OsStr>>(&self, host: Host, arguments: &[S]) -> Running {
        Running::start(&mut self.command(host, arguments), b"")
    }

    /// The independent client on a host, as `user/resource`, reachable there.
    pub(crate) fn jingle(&self, host: Host, who: &str) -> Slixmpp {
        self.lab.peers().jingle(&self.there, who).on(&self.lab, host).with(&["--address", host.address_of(self.family)])
    }

    /// The port of the server's proxy.
    pub(crate) fn proxy_port(&self) -> u16 {
        self.there.get("PROXY65_PORT").parse().unwrap()
    }
}

/// Nobody gets through to the other by themself.
pub(crate) fn apart() -> Vec<Rule> {
    vec![Rule::refuse(Host::Alice, Host::Bob), Rule::refuse(Host::Bob, Host::Alice)]
}

/// Nor to the proxy.
pub(crate) fn without_proxy(port: u16) -> Vec<Rule> {
    let proxy = [Host::Alice, Host::Bob].map(|host| Rule::refuse(host, Host::Server).port(port));
    [apart(), proxy.into()].concat()
}

/// The ways of bytes, the best one first.
const WAYS: [&str; 3] = ["direct", "proxy", "in-band"];

/// Lets a file pass that is to go by this way, and tells what `pass` tells beside the way. Who is slow to answer is taken for somebody
/// who is not there, and the next way is taken: on a slow machine that happens, so there are some tries. A better way was closed, and is
/// never taken.
#[track_caller]
pub(crate) fn goes_by<T>(expected: &str, name: &str, mut pass: impl FnMut(&str) -> (String, T)) -> T {
    let rank = |way: &str| WAYS.iter().position(|known| *known == way).unwrap_or_else(|| panic!("what way is {way}?"));
    for attempt in 1..=4 {
        let (went, told) = pass(&format!("{attempt} {name}"));
        if went == expected {
            return told;
        }
        assert!(rank(&went) > rank(expected), "{name} went by {went}, and only {expected} was open");
    }
    panic!("{name} never went by {expected}");
}

/// The way an event says the bytes took.
#[track_caller]
pub(crate) fn way(event: &Value) -> &str {
    event["way"].as_str().unwrap_or_else(|| panic!("no way in {event}"))
}

fn theirs(lab: &Lab, server: Server, family: Family) -> (Serving, Endpoints) {
    let instance = lab.start(server, &[("IP", Host::Server.address_of(family))]).unwrap();
    let there = instance.endpoints().clone();
    (Serving::Theirs { _instance: instance }, there)
}

/// On all addresses there are.
fn serve(lab: &Lab, family: Family) -> (Serving, Endpoints) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("endpoints");
    let mut command = balcony(folder.path());
    command.args(["--json", "serve", "--domain", "ours.test", "--listen", "::"]);
    command.args(["--https-port", "443", "--proxy-port", "5000", "--data"]).arg(folder.path().join("data")).arg("--endpoints").arg(&file);
    let mut passwords = String::new();
    for (user, password) in ACCOUNTS.split(',').map(|account| account.split_once(':').unwrap()) {
        command.args(["--add-account", user]);
        passwords += &format!("{password}\n");
    }
    let mut running = Running::start(&mut lab.inside(Host::Server, &command), passwords.as_bytes());
    running.event("serving");
    let there = Endpoints::read(&file).unwrap().with("ACCOUNTS", ACCOUNTS).unwrap();
    let there = there.with("IP", Host::Server.address_of(family)).unwrap();
    (Serving::Ours { _running: running, _folder: folder }, there)
}
