//! Who can pass a file to whom, by which way, over which server, and how long it takes: every pairing of our client and an independent
//! one, in the lab of testing/peers. Writes docs/pairings.md.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use testing_peers::{Endpoints, Host, Instance, Lab, Lines, Peers, Rule, Server, Slixmpp};

use crate::Result;
use crate::run::{Options, cargo, root};

const HELP: &str = "\
cargo xtask pairings [--print] [--program PATH]

Passes a file between our client and the Jingle peer of testing/peers (an implementation of its own, written from the XEPs), each giving
and each taking, straight, through the proxy and in band, over our server, Prosody and ejabberd. All of it happens in network namespaces
with a packet filter that leaves open only the way that is wanted. Writes docs/pairings.md; with --print, only prints it. --program is a
balcony that is built already.

Needs what `cargo xtask test` installs (target/peers, or BALCONY_PEERS), and root or a user who may make namespaces.
";

/// Bytes that go straight or through a proxy.
const LARGE: usize = 50_000_000;
/// Bytes that go in band.
const SMALL: usize = 2_000_000;
/// How long a pairing may take.
const PATIENCE: Duration = Duration::from_secs(60);
const ACCOUNTS: &str = "alice:alicepw,bob:bobpw";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    Us,
    Other,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Direct,
    Proxy,
    InBand,
}

impl Way {
    const ALL: [Self; 3] = [Self::Direct, Self::Proxy, Self::InBand];

    fn word(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Proxy => "proxy",
            Self::InBand => "in-band",
        }
    }

    fn size(self) -> usize {
        if self == Self::InBand { SMALL } else { LARGE }
    }

    /// What stands between the two.
    fn rules(self, proxy: u16) -> Vec<Rule> {
        let apart = [Rule::refuse(Host::Alice, Host::Bob), Rule::refuse(Host::Bob, Host::Alice)];
        let no_proxy = [Host::Alice, Host::Bob].map(|host| Rule::refuse(host, Host::Server).port(proxy));
        match self {
            Self::Direct => Vec::new(),
            Self::Proxy => apart.into(),
            Self::InBand => [apart, no_proxy].concat(),
        }
    }
}

pub(crate) fn main(arguments: &[String]) -> Result<()> {
    let mut options = Options::new(arguments, HELP);
    let (mut only_print, mut program) = (false, None);
    while let Some(option) = options.next() {
        match option {
            "--print" => only_print = true,
            "--program" => program = Some(PathBuf::from(options.value(option)?)),
            other => return options.unknown(other),
        }
    }
    let program = program.map_or_else(build, Ok)?;
    let mut table = String::new();
    for server in [None, Some(Server::Prosody), Some(Server::Ejabberd)] {
        rows(&program, server, &mut table)?;
    }
    let page = page(&table);
    print!("{page}");
    if only_print {
        return Ok(());
    }
    std::fs::write(root().join("docs/pairings.md"), page).map_err(|error| format!("cannot write docs/pairings.md: {error}"))
}

fn build() -> Result<PathBuf> {
    let built = cargo(&["build", "--quiet", "--release", "--package", "balcony"]).status();
    if !built.is_ok_and(|status| status.success()) {
        return Err("balcony does not build".to_owned());
    }
    Ok(std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from).join("release/balcony"))
}

fn page(table: &str) -> String {
    format!(
        "# Who passes files to whom\n\n\
         Made by `cargo xtask pairings`: do not edit. Our client (release build) and the independent Jingle peer of\n\
         `testing/peers/kit/jingle_peer.py`, written from the XEPs on slixmpp, on hosts of their own with a packet filter between them.\n\
         It leaves open only the way that the column names; connections elsewhere are refused. {} MB go straight and through the server's\n\
         proxy, {} MB in band. The time is from the offer to the receipt: the answer, the search for a way (with what fails first), the\n\
         bytes, and their digests. Every file was compared. One run on a machine with two processors, shared by all of them.\n\n\
         | server | gives | takes | direct | proxy | in band |\n|---|---|---|---|---|---|\n{table}",
        LARGE / 1_000_000,
        SMALL / 1_000_000
    )
}

/// All pairings over one server, `None` for ours.
fn rows(program: &Path, server: Option<Server>, table: &mut String) -> Result<()> {
    let name = match server {
        None => "ours",
        Some(Server::Prosody) => "Prosody",
        Some(Server::Ejabberd) => "ejabberd",
    };
    let town = Town::new(program, server)?;
    for (gives, takes) in [(Who::Us, Who::Us), (Who::Us, Who::Other), (Who::Other, Who::Us), (Who::Other, Who::Other)] {
        let words = |who| if who == Who::Us { "Balcony" } else { "other" };
        let _ = write!(table, "| {name} | {} | {} |", words(gives), words(takes)); // a String takes everything
        for way in Way::ALL {
            let cell = town.pass(gives, takes, way);
            eprintln!("{name}: {} to {}, {}: {cell}", words(gives), words(takes), way.word());
            let _ = write!(table, " {cell} |");
        }
        table.push('\n');
    }
    Ok(())
}

/// A running server; ends with the handle.
enum Serving {
    Ours { _lines: Lines },
    Theirs { _instance: Instance },
}

struct Town {
    program: PathBuf,
    there: Endpoints,
    _serving: Serving,
    folder: PathBuf,
    lab: Lab,
}

impl Town {
    fn new(program: &Path, server: Option<Server>) -> Result<Self> {
        let deps = std::env::var_os("BALCONY_PEERS").filter(|folder| !folder.is_empty());
        let peers = Peers::open(deps.map_or_else(|| root().join("target/peers"), PathBuf::from)).map_err(|error| error.to_string())?;
        let lab = Lab::of(peers).map_err(|skipped| skipped.to_string())?;
        let folder = root().join("target/xtask/pairings");
        // What an earlier run left; the first has nothing to remove.
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
        let (serving, there) = match server {
            None => serve(&lab, program, &folder)?,
            Some(server) => {
                let instance = lab.start(server, &[]).map_err(|error| error.to_string())?;
                let there = instance.endpoints().clone();
                (Serving::Theirs { _instance: instance }, there)
            }
        };
        let town = Self { program: program.to_owned(), there, _serving: serving, folder, lab };
        for host in [Host::Alice, Host::Bob] {
            town.log_in(host)?;
        }
        for (host, other) in [(Host::Alice, "bob"), (Host::Bob, "alice")] {
            finish(&mut town.ours(host, &["contacts", "add", &town.there.jid(other)]))?;
        }
        Ok(town)
    }

    fn home(&self, host: Host) -> PathBuf {
        self.folder.join(host.name())
    }

    fn ours(&self, host: Host, arguments: &[&str]) -> Command {
        let home = self.home(host);
        let mut command = Command::new(&self.program);
        command.env_remove("BALCONY_HOME").env("HOME", &home).arg("--home").arg(&home).arg("--json").args(arguments).current_dir(&home);
        self.lab.inside(host, &command)
    }

    fn log_in(&self, host: Host) -> Result<()> {
        std::fs::create_dir_all(self.home(host)).map_err(|error| format!("cannot make a folder: {error}"))?;
        let (there, user) = (&self.there, host.name());
        let jid = there.jid(user);
        let mut login = self.ours(host, &["login", &jid, "--server", &there.starttls(), "--ca", there.get("CA")]);
        finish(login.env("BALCONY_PASSWORD", there.password(user)))
    }

    fn other(&self, host: Host) -> Slixmpp {
        let who = format!("{}/other", host.name());
        self.lab.peers().jingle(&self.there, &who).on(&self.lab, host).with(&["--address", host.address()])
    }

    /// One file from alice to bob: the time, or what went wrong.
    fn pass(&self, gives: Who, takes: Who, way: Way) -> String {
        match self.try_pass(gives, takes, way) {
            Ok(seconds) => format!("{seconds:.2} s"),
            Err(error) => format!("**{}**", error.lines().next().unwrap_or("failed").replace('|', "/")),
        }
    }

    fn try_pass(&self, gives: Who, takes: Who, way: Way) -> Result<f64> {
        let port = self.there.get("PROXY65_PORT").parse().map_err(|_| "no proxy".to_owned())?;
        self.lab.filter(&way.rules(port));
        let file = self.home(Host::Alice).join(format!("{}.bin", way.word()));
        make(&file, way.size())?;
        let taking = match takes {
            Who::Us => begin("balcony", &mut self.ours(Host::Bob, &["receive", "--yes", "--count", "1", "--timeout", "60"]), "waiting")?,
            Who::Other => Taking::Other(self.other(Host::Bob).start(&["take"]).map_err(|error| error.to_string())?),
        };
        let (event, to) = match takes {
            Who::Us => ("saved", self.device()?),
            Who::Other => ("taken", format!("{}/other", self.there.jid("bob"))),
        };
        let path = file.display().to_string();
        let (mut giving, done) = match gives {
            Who::Us => (begin("balcony", &mut self.ours(Host::Alice, &["send", "--direct", &path, "--to", &to]), "offered")?, "delivered"),
            Who::Other => {
                (Taking::Other(self.other(Host::Alice).start(&["offer", &to, &path]).map_err(|error| error.to_string())?), "sent")
            }
        };
        if gives == Who::Other {
            giving.event("offered")?;
        }
        let began = Instant::now();
        let sent = giving.event(done)?;
        let seconds = began.elapsed().as_secs_f64();
        let mut taking = taking;
        let got = taking.event(event)?;
        for said in [&sent, &got] {
            let went = said["way"].as_str().or(said["went"].as_str()).unwrap_or("?");
            if went != way.word() {
                return Err(format!("went {went}"));
            }
        }
        let place = got["path"].as_str().unwrap_or_default();
        same(&file, &self.home(Host::Bob).join(place))?;
        Ok(seconds)
    }

    /// The device of bob's client, as its server knows it.
    fn device(&self) -> Result<String> {
        let jid = self.there.jid("bob");
        let probe = format!("<presence to='{jid}' type='probe'/>");
        let mut heard = self.other(Host::Alice).start(&["devices", &probe]).map_err(|error| error.to_string())?;
        let own = format!("{jid}/");
        let is_ours = |event: &Value| event["type"] == "available" && event["from"].as_str().is_some_and(|from| from.starts_with(&own));
        let found = heard.find(PATIENCE, is_ours).ok_or("bob's client is not seen")?;
        Ok(found["from"].as_str().unwrap_or_default().to_owned())
    }
}

/// A program whose events are read.
enum Taking {
    Ours(Lines),
    Other(testing_peers::Listener),
}

impl Taking {
    fn event(&mut self, name: &str) -> Result<Value> {
        let is =
            |event: &Value| event["event"] == name || event["event"] == "failed" || event["event"] == "broken" || event["event"] == "ended";
        let found = match self {
            Self::Other(listener) => listener.find(PATIENCE, is),
            Self::Ours(lines) => {
                let line = lines.find(PATIENCE, |line| serde_json::from_str(line).is_ok_and(|event: Value| is(&event)));
                line.and_then(|line| serde_json::from_str(&line).ok())
            }
        };
        match found {
            Some(event) if event["event"] == name => Ok(event),
            Some(event) => Err(event["error"].as_str().or(event["reason"].as_str()).unwrap_or("it ended").to_owned()),
            None => Err(format!("no {name} within {} s", PATIENCE.as_secs())),
        }
    }
}

fn begin(name: &str, command: &mut Command, until: &str) -> Result<Taking> {
    let mut taking = Taking::Ours(Lines::start(name, command).map_err(|error| error.to_string())?);
    taking.event(until)?;
    Ok(taking)
}

/// Runs a command to its end.
fn finish(command: &mut Command) -> Result<()> {
    crate::run::output(command).map(|_| ())
}

fn serve(lab: &Lab, program: &Path, folder: &Path) -> Result<(Serving, Endpoints)> {
    let file = folder.join("endpoints");
    let mut command = Command::new(program);
    command.arg("--home").arg(folder).args(["--json", "serve", "--domain", "ours.test", "--listen", Host::Server.address()]);
    command.args(["--https-port", "443", "--proxy-port", "5000", "--data"]).arg(folder.join("data")).arg("--endpoints").arg(&file);
    let accounts: Vec<_> = ACCOUNTS.split(',').filter_map(|account| account.split_once(':')).collect();
    let passwords: String = accounts.iter().map(|(_, password)| format!("{password}\n")).collect();
    let typed = folder.join("passwords");
    std::fs::write(&typed, passwords).map_err(|error| format!("cannot write {}: {error}", typed.display()))?;
    for (user, _) in &accounts {
        command.args(["--add-account", user]);
    }
    // Its standard input is a file: the process that is started must be its own.
    let mut shell = Command::new("bash");
    shell.args(["-c", "typed=$1; shift; exec \"$@\" <\"$typed\"", "bash"]).arg(&typed).arg(command.get_program()).args(command.get_args());
    let mut lines = Lines::start("balcony serve", &mut lab.inside(Host::Server, &shell)).map_err(|error| error.to_string())?;
    let serves = |line: &str| serde_json::from_str(line).is_ok_and(|event: Value| event["event"] == "serving");
    lines.find(PATIENCE, serves).ok_or("balcony serve does not serve")?;
    let there = Endpoints::read(&file).and_then(|there| there.with("ACCOUNTS", ACCOUNTS)).map_err(|error| error.to_string())?;
    Ok((Serving::Ours { _lines: lines }, there))
}

/// Bytes that no run shares with another: nothing is here already.
fn make(path: &Path, size: usize) -> Result<()> {
    use std::io::Read as _;
    let random = std::fs::File::open("/dev/urandom").map(|file| file.take(size as u64));
    let made = random.and_then(|mut random| std::io::copy(&mut random, &mut std::fs::File::create(path)?));
    made.map(|_| ()).map_err(|error| format!("cannot write {}: {error}", path.display()))
}

fn same(one: &Path, other: &Path) -> Result<()> {
    let status = Command::new("cmp").arg("--silent").arg(one).arg(other).status();
    if status.is_ok_and(|status| status.success()) { Ok(()) } else { Err("other bytes arrived".to_owned()) }
}
