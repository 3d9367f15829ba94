//! Two clients and a server with a packet filter between them: `kit/packet-lab`, whose head shows the network.
//!
//! The namespaces end with [`Peers`], or with the test if that is killed. Whatever a test runs in them itself it ends itself.

use std::path::Path;
use std::process::Command;

use crate::peers::output;
use crate::{Endpoints, Instance, PeerError, Peers, Server, Skipped};

/// A host of the lab.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Host {
    /// Where the XMPP server and its services run.
    Server,
    /// The first client.
    Alice,
    /// The second client.
    Bob,
}

impl Host {
    /// Its name in the lab.
    pub fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Alice => "alice",
            Self::Bob => "bob",
        }
    }

    /// The address under which the others reach it. It looks public: nothing behind it is.
    pub fn address(self) -> &'static str {
        match self {
            Self::Server => "45.9.9.2",
            Self::Alice => "45.1.1.2",
            Self::Bob => "45.2.2.2",
        }
    }

    /// An address of a second interface, as a VPN gives one; nobody else reaches it. The server has none.
    pub fn private_address(self) -> Option<&'static str> {
        match self {
            Self::Server => None,
            Self::Alice => Some("10.66.1.2"),
            Self::Bob => Some("10.66.2.2"),
        }
    }
}

/// What the filter does with packets from one host to another. The first rule that fits decides; without one they pass.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    from: Host,
    to: Host,
    port: Option<u16>,
    is_for_new: bool,
    is_silent: bool,
}

impl Rule {
    /// New connections of `from` to `to` are refused at once.
    pub fn refuse(from: Host, to: Host) -> Self {
        Self { from, to, port: None, is_for_new: true, is_silent: false }
    }

    /// New connections of `from` to `to` hear nothing.
    pub fn swallow(from: Host, to: Host) -> Self {
        Self { is_silent: true, ..Self::refuse(from, to) }
    }

    /// Every packet from `from` to `to` is answered by a reset: connections that stand break.
    pub fn cut(from: Host, to: Host) -> Self {
        Self { is_for_new: false, ..Self::refuse(from, to) }
    }

    /// Every packet from `from` to `to` is lost: connections that stand go silent.
    pub fn silence(from: Host, to: Host) -> Self {
        Self { is_for_new: false, is_silent: true, ..Self::refuse(from, to) }
    }

    /// The same for what goes to this TCP port alone.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    fn text(self) -> String {
        let port = self.port.map(|port| format!(" tcp dport {port}")).unwrap_or_default();
        let state = if self.is_for_new { " ct state new" } else { "" };
        let end = if self.is_silent { "drop" } else { "meta l4proto tcp reject with tcp reset" };
        format!("add rule inet lab filter ip saddr {} ip daddr {}{port}{state} {end}\n", self.from.address(), self.to.address())
    }
}

/// How good the way to a host is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Line {
    /// Milliseconds each way.
    pub delay: u32,
    /// Of a hundred packets, each way.
    pub loss: u32,
    /// Megabits a second, each way; zero is no limit.
    pub rate: u32,
}

/// What went from one host to another so far, filtered or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// Packets.
    pub packets: u64,
    /// Their bytes, with headers.
    pub bytes: u64,
}

/// The lab. It is up until the [`Peers`] it was asked of are dropped.
#[derive(Debug)]
pub struct Lab {
    /// What `packet-lab status` prints.
    status: String,
    peers: Peers,
}

impl Lab {
    /// Makes the network, or says why this machine cannot.
    ///
    /// # Panics
    /// When the peers were promised and are not there.
    #[track_caller]
    pub fn up() -> Result<Self, Skipped> {
        let made = Self::of(Peers::available()?);
        made.map_err(|error| Skipped(format!("no network namespaces with a packet filter here: {error}")))
    }

    /// The same with peers that were opened, for programs that are no tests.
    pub fn of(peers: Peers) -> Result<Self, PeerError> {
        let status = output(peers.script("packet-lab").arg("up"))?;
        Ok(Self { status, peers })
    }

    /// The peers it was made with.
    pub fn peers(&self) -> &Peers {
        &self.peers
    }

    /// Starts a server on the host for servers: at the standard ports, under a name the lab knows.
    pub fn start(&self, server: Server, settings: &[(&str, &str)]) -> Result<Instance, PeerError> {
        let name = "in-lab".to_owned();
        let mut command = self.inside(Host::Server, self.peers.script(server.script()).arg(&name).envs(settings.iter().copied()));
        output(command.env("PEERS_LAB", "1").env("IP", Host::Server.address()))?;
        let endpoints = Endpoints::read(&self.peers.folder().join(&name).join("endpoints"))?;
        Ok(Instance::in_lab(name, endpoints, self.peers.script("stop")))
    }

    /// The same command, on a host. The process that is started is the command's own: no shell stays in between.
    pub fn inside(&self, host: Host, command: &Command) -> Command {
        let mut door = self.door(host);
        if let Some(folder) = command.get_current_dir() {
            door.extend(["-C".to_owned(), folder.display().to_string()]);
        }
        let mut inside = Command::new(door.remove(0));
        inside.args(door).arg(command.get_program()).args(command.get_args());
        for (key, value) in command.get_envs() {
            match value {
                Some(value) => inside.env(key, value),
                None => inside.env_remove(key),
            };
        }
        inside
    }

    /// What to put before a command line to run it on a host.
    pub(crate) fn door(&self, host: Host) -> Vec<String> {
        let pid = self.pid(host.name());
        let mut door: Vec<String> = ["nsenter", "--target", pid, "--net", "--mount"].map(str::to_owned).into();
        if !is_root() {
            door.extend(["--user", "--preserve-credentials"].map(str::to_owned));
        }
        door.push("env".to_owned());
        // Entering a mount namespace leads to its root folder.
        if let Ok(folder) = std::env::current_dir() {
            door.extend(["-C".to_owned(), folder.display().to_string()]);
        }
        door
    }

    fn pid(&self, host: &str) -> &str {
        let key = format!("{}_PID=", host.to_uppercase());
        let found = self.status.lines().find_map(|line| line.strip_prefix(&key));
        found.unwrap_or_else(|| crate::endpoints::fail(format_args!("packet-lab told no {key}: {}", self.status)))
    }

    /// From now on these rules hold, and none of those before.
    #[track_caller]
    pub fn filter(&self, rules: &[Rule]) {
        let rules: String = rules.iter().map(|rule| rule.text()).collect();
        self.nft(&format!("flush chain inet lab filter\n{rules}"));
    }

    /// What went from one host to another so far.
    #[track_caller]
    pub fn count(&self, from: Host, to: Host) -> Count {
        let said = self.nft(&format!("list counter inet lab {}_{}\n", from.name(), to.name()));
        let number = |word: &str| {
            let mut words = said.split_whitespace().skip_while(|said| *said != word);
            words.nth(1).and_then(|number| number.parse().ok())
        };
        match (number("packets"), number("bytes")) {
            (Some(packets), Some(bytes)) => Count { packets, bytes },
            _ => crate::endpoints::fail(format_args!("nft told no numbers: {said}")),
        }
    }

    /// Makes the way to a host as bad as told. Tells by what: `netem`, `tbf`, or `line.py` where the kernel has no netem.
    pub fn line(&self, host: Host, line: Line) -> Result<String, Skipped> {
        let Line { delay, loss, rate } = line;
        let mut command = self.peers.script("packet-lab");
        command.args(["line", host.name()]).args([format!("delay={delay}"), format!("loss={loss}"), format!("rate={rate}")]);
        match output(&mut command) {
            Ok(by) => Ok(by.trim().to_owned()),
            Err(error) => Err(Skipped(format!("neither netem nor tun devices here: {error}"))),
        }
    }

    /// Runs commands of nft in the router.
    #[track_caller]
    fn nft(&self, commands: &str) -> String {
        let file = self.peers.folder().join("filter.nft");
        let done = std::fs::write(&file, commands)
            .map_err(|source| PeerError::Io { what: format!("cannot write {}", file.display()), source })
            .and_then(|()| output(self.peers.script("packet-lab").args(["run", "router", "nft", "-f"]).arg(&file)));
        done.unwrap_or_else(|error| crate::endpoints::fail(format_args!("{error}")))
    }
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    Path::new("/proc/self").metadata().is_ok_and(|about| about.uid() == 0)
}
