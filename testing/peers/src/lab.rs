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

    /// [`Host::address_of`] IPv4.
    pub fn address(self) -> &'static str {
        self.address_of(Family::V4)
    }

    /// The address under which the others reach it. It looks public: nothing behind it is.
    pub fn address_of(self, family: Family) -> &'static str {
        match (family, self) {
            (Family::V4, Self::Server) => "45.9.9.2",
            (Family::V4, Self::Alice) => "45.1.1.2",
            (Family::V4, Self::Bob) => "45.2.2.2",
            (Family::V6, Self::Server) => "2d00:9::2",
            (Family::V6, Self::Alice) => "2d00:1::2",
            (Family::V6, Self::Bob) => "2d00:2::2",
        }
    }

    /// Addresses of a second interface, as a VPN gives them, one of each family; nobody else reaches them. The server has none.
    pub fn private_addresses(self) -> &'static [&'static str] {
        match self {
            Self::Server => &[],
            Self::Alice => &["10.66.1.2", "fd66:1::2"],
            Self::Bob => &["10.66.2.2", "fd66:2::2"],
        }
    }
}

/// A version of IP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Both.
    pub const ALL: [Self; 2] = [Self::V4, Self::V6];

    fn digit(self) -> char {
        match self {
            Self::V4 => '4',
            Self::V6 => '6',
        }
    }
}

/// What the filter does with packets from one host to another, whichever of their addresses they bear. The first rule that fits
/// decides; without one they pass.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    from: Host,
    to: Host,
    family: Option<Family>,
    port: Option<u16>,
    is_for_new: bool,
    is_silent: bool,
}

impl Rule {
    /// New connections of `from` to `to` are refused at once.
    pub fn refuse(from: Host, to: Host) -> Self {
        Self { from, to, family: None, port: None, is_for_new: true, is_silent: false }
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

    /// The same for this version of IP alone.
    #[must_use]
    pub fn family(mut self, family: Family) -> Self {
        self.family = Some(family);
        self
    }

    /// The same for what goes to this TCP port alone.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    fn text(self) -> String {
        let family = self.family.map(|family| format!(" meta nfproto ipv{}", family.digit())).unwrap_or_default();
        let port = self.port.map(|port| format!(" tcp dport {port}")).unwrap_or_default();
        let state = if self.is_for_new { " ct state new" } else { "" };
        let end = if self.is_silent { "drop" } else { "meta l4proto tcp reject with tcp reset" };
        let (from, to) = (self.from.name(), self.to.name());
        format!("add rule inet lab filter iifname to-{from} oifname to-{to}{family}{port}{state} {end}\n")
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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
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
    /// Makes the network, in which hosts have addresses of both families, or says why this machine cannot.
    ///
    /// # Panics
    /// When the peers were promised and are not there.
    #[track_caller]
    pub fn up() -> Result<Self, Skipped> {
        Self::of(Peers::available()?).map_err(skipped)
    }

    /// The same with hosts that have addresses of this family alone.
    ///
    /// # Panics
    /// When the peers were promised and are not there.
    #[track_caller]
    pub fn only(family: Family) -> Result<Self, Skipped> {
        Self::made(Peers::available()?, &[family.digit().to_string()]).map_err(skipped)
    }

    /// As [`Lab::up`], with peers that were opened, for programs that are no tests.
    pub fn of(peers: Peers) -> Result<Self, PeerError> {
        Self::made(peers, &[])
    }

    fn made(peers: Peers, families: &[String]) -> Result<Self, PeerError> {
        let status = output(peers.script("packet-lab").arg("up").args(families))?;
        Ok(Self { status, peers })
    }

    /// The peers it was made with.
    pub fn peers(&self) -> &Peers {
        &self.peers
    }

    /// Starts a server on the host for servers: at the standard ports, under a name the lab knows, at the host's address of IPv4 unless
    /// the setting `IP` says otherwise.
    pub fn start(&self, server: Server, settings: &[(&str, &str)]) -> Result<Instance, PeerError> {
        let name = "in-lab".to_owned();
        let mut script = self.peers.script(server.script());
        script.arg(&name).env("PEERS_LAB", "1").env("IP", Host::Server.address()).envs(settings.iter().copied());
        output(&mut self.inside(Host::Server, &script))?;
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

    /// What went from one host to another so far, by any address of theirs.
    #[track_caller]
    pub fn count(&self, from: Host, to: Host) -> Count {
        self.count_of_all(&Family::ALL, from, to)
    }

    /// The same by this version of IP alone.
    #[track_caller]
    pub fn count_of(&self, family: Family, from: Host, to: Host) -> Count {
        self.count_of_all(&[family], from, to)
    }

    #[track_caller]
    fn count_of_all(&self, families: &[Family], from: Host, to: Host) -> Count {
        let ask = |family: &Family| format!("list counter inet lab {}_{}_{}\n", from.name(), to.name(), family.digit());
        let said = self.nft(&families.iter().map(ask).collect::<String>());
        let words: Vec<&str> = said.split_whitespace().collect();
        let numbers =
            |word: &str| -> Vec<u64> { words.windows(2).filter(|pair| pair[0] == word).filter_map(|pair| pair[1].parse().ok()).collect() };
        let (packets, bytes) = (numbers("packets"), numbers("bytes"));
        if packets.len() != families.len() || bytes.len() != families.len() {
            crate::endpoints::fail(format_args!("nft told no numbers: {said}"));
        }
        Count { packets: packets.iter().sum(), bytes: bytes.iter().sum() }
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

fn skipped(error: PeerError) -> Skipped {
    Skipped(format!("no network namespaces with a packet filter here: {error}"))
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    Path::new("/proc/self").metadata().is_ok_and(|about| about.uid() == 0)
}
