//! Where files go from person to person: the lab of testing/peers (hosts in network namespaces, a packet filter between them), a server
//! on its host, and two clients of ours that know each other.
//!
//! Clients on one host reach each other over its loopback. Whatever is not to work is forbidden by the packet filter, or is not there:
//! the programs know nothing of it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::Value;
use testing_peers::{Endpoints, Host, Instance, Lab, Server};

use super::site::{Client, peers};
use super::{Setting, timing};
use crate::Result;

/// Nothing here takes longer unless it hangs.
const PATIENCE: Duration = Duration::from_secs(900);

/// The lab.
pub(super) struct Ground {
    pub(super) lab: Lab,
}

/// A server on its host, until dropped.
pub(super) struct Serving {
    endpoints: Endpoints,
    process: Option<Child>,
    _instance: Option<Instance>,
}

/// Two clients of one server.
pub(super) struct Couple {
    giver: (Host, Client),
    taker: (Host, Client),
}

/// A transfer that was seen from its begin to its end.
#[derive(Debug)]
pub(super) struct Transfer {
    /// From the start of the sending program to the end of both, in seconds.
    pub(super) took: f64,
    /// From the moment the taker heard of the first offer, which it accepts at once, to its first byte, in seconds.
    pub(super) first_byte: f64,
    /// What the events of the taker say about the way of the bytes, sorted, each once.
    pub(super) ways: Vec<String>,
    /// The most memory the giver and the taker had, in MiB.
    pub(super) peaks: [f64; 2],
}

impl Ground {
    pub(super) fn new() -> Result<Self> {
        Lab::of(peers()?).map(|lab| Self { lab }).map_err(|error| format!("no network namespaces with a packet filter here: {error}"))
    }

    /// Our server, with more options of `balcony serve`.
    pub(super) fn ours(&self, setting: &Setting, name: &str, options: &[&str]) -> Result<Serving> {
        let file = setting.work.join(format!("{name}.endpoints"));
        let mut command = Command::new(setting.programs.join("balcony"));
        command.args(["serve", "--domain", "ours.test", "--listen", Host::Server.address()]);
        command.args(["--port", "0", "--tls-port", "0", "--https-port", "0", "--proxy-port", "0", "--add-account", "alice"]);
        command.args(["--add-account", "bob", "--data"]).arg(setting.work.join(name)).arg("--endpoints").arg(&file).args(options);
        let mut command = self.lab.inside(Host::Server, &command);
        let log = setting.work.join(format!("{name}.log"));
        let failed = |error: std::io::Error| format!("cannot start balcony serve: {error}");
        let out = std::fs::File::create(&log).map_err(failed)?;
        let err = out.try_clone().map_err(failed)?;
        let mut child = command.stdin(Stdio::piped()).stdout(out).stderr(err).spawn().map_err(failed)?;
        if let Some(mut passwords) = child.stdin.take() {
            passwords.write_all(b"alicepw\nbobpw\n").map_err(failed)?;
        }
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            if let Some(endpoints) = Endpoints::read(&file).ok().filter(|endpoints| endpoints.find("CA").is_some()) {
                let endpoints = endpoints.with("ACCOUNTS", "alice:alicepw,bob:bobpw").map_err(|error| error.to_string())?;
                return Ok(Serving { endpoints, process: Some(child), _instance: None });
            }
            if Instant::now() > deadline || !matches!(child.try_wait(), Ok(None)) {
                let said = std::fs::read_to_string(&log).unwrap_or_default();
                return Err(format!("balcony serve did not start: {said}"));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// ejabberd as the kit sets it up: its proxy has no shaper.
    pub(super) fn ejabberd(&self) -> Result<Serving> {
        let instance = self.lab.start(Server::Ejabberd, &[]).map_err(|error| error.to_string())?;
        Ok(Serving { endpoints: instance.endpoints().clone(), process: None, _instance: Some(instance) })
    }

    /// Alice on one host, bob on another or the same one, logged in and in each other's contacts.
    pub(super) fn couple(&self, setting: &Setting, serving: &Serving, name: &str, hosts: [Host; 2]) -> Result<Couple> {
        let there = &serving.endpoints;
        let login = |host, user: &str| -> Result<(Host, Client)> {
            let client = Client::in_home(setting, there, user, &format!("{user}-{name}"));
            let mut command = client.command(&["login", client.jid()]);
            command.args(["--server", &there.starttls(), "--ca"]).arg(there.ca()).env("BALCONY_PASSWORD", there.password(user));
            timing::timed(&mut self.lab.inside(host, &command))?;
            Ok((host, client))
        };
        let couple = Couple { giver: login(hosts[0], "alice")?, taker: login(hosts[1], "bob")? };
        for ((host, client), other) in [(&couple.giver, couple.taker.1.jid()), (&couple.taker, couple.giver.1.jid())] {
            timing::timed(&mut self.lab.inside(*host, &client.command(&["contacts", "add", other])))?;
        }
        Ok(couple)
    }

    /// Files from alice, who says so with `options`, to bob, who waits for them. Their sizes are checked; that the bytes are right is
    /// what the programs themselves check.
    pub(super) fn transfer(&self, couple: &Couple, files: &[&Path], into: &Path, options: &[&str]) -> Result<Transfer> {
        timing::empty(into)?;
        let count = files.len().to_string();
        let (host, taker) = &couple.taker;
        let mut command = taker.command(&["--json", "receive", "--yes", "--timeout", "600", "--count", &count, "--jobs", "50", "--into"]);
        command.arg(into);
        let mut taking = Running::start(&mut self.lab.inside(*host, &command))?;
        taking.wait_for("waiting")?;
        let (host, giver) = &couple.giver;
        let mut command = giver.command(&["--json", "send", "--direct", "--to", taker.jid()]);
        command.args(options).args(files);
        let started = Instant::now();
        let mut giving = Running::start(&mut self.lab.inside(*host, &command))?;
        let deadline = Instant::now() + PATIENCE;
        while taking.listen() {
            giving.look()?;
            if Instant::now() > deadline {
                return Err(format!("{} does not end", taking.name));
            }
        }
        taking.finish()?;
        giving.finish()?;
        let took = started.elapsed().as_secs_f64();
        for file in files {
            let name = file.file_name().ok_or("a file needs a name")?;
            let sizes = [*file, &into.join(name)].map(|path| std::fs::metadata(path).map(|about| about.len()).ok());
            if sizes[0].is_none() || sizes[0] != sizes[1] {
                return Err(format!("{} did not arrive whole in {}", name.display(), into.display()));
            }
        }
        // Else each run has less memory for what is read and written than the one before.
        taker.forget_files()?;
        let mut ways: Vec<String> = taking.named("saved").filter_map(|(_, event)| Some(event["way"].as_str()?.to_owned())).collect();
        ways.sort();
        ways.dedup();
        let heard = taking.named("offer").next().map(|(at, _)| *at);
        let came = taking.events.iter().find(|(_, event)| event["event"] == "progress" || event["event"] == "saved").map(|(at, _)| *at);
        let (Some(heard), Some(came)) = (heard, came) else { return Err("the taker told neither of an offer nor of bytes".to_owned()) };
        if giving.peak * taking.peak == 0.0 {
            return Err("how much memory they had was not seen".to_owned());
        }
        Ok(Transfer { took, first_byte: came.duration_since(heard).as_secs_f64(), ways, peaks: [giving.peak, taking.peak] })
    }
}

impl Serving {
    /// The file that tells where it is.
    pub(super) fn file(&self) -> &Path {
        self.endpoints.file()
    }

    /// The port of the proxy.
    pub(super) fn proxy_port(&self) -> Result<u16> {
        self.endpoints.find("PROXY65_PORT").and_then(|port| port.parse().ok()).ok_or_else(|| "the server told no proxy".to_owned())
    }

    /// The most memory the server ever had, in MiB; only ours can be asked.
    pub(super) fn peak_memory(&self) -> Option<f64> {
        self.process.as_ref().and_then(timing::resident)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        if let Some(child) = &mut self.process
            && let Err(error) = child.kill().and_then(|()| child.wait())
        {
            eprintln!("balcony serve does not end: {error}");
        }
    }
}

/// A program that tells events, with the moment each was told.
struct Running {
    name: String,
    child: Child,
    lines: mpsc::Receiver<(Instant, String)>,
    events: Vec<(Instant, Value)>,
    /// The most memory it had as far as was seen, in MiB.
    peak: f64,
}

impl Running {
    fn start(command: &mut Command) -> Result<Self> {
        let name = command.get_args().map(|argument| argument.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ");
        let spawned = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn();
        let mut child = spawned.map_err(|error| format!("cannot run {name}: {error}"))?;
        let (tell, lines) = mpsc::channel();
        if let Some(out) = child.stdout.take() {
            std::thread::spawn(move || {
                for line in BufReader::new(out).lines().map_while(std::result::Result::ok) {
                    if tell.send((Instant::now(), line)).is_err() {
                        return;
                    }
                }
            });
        }
        Ok(Self { name, child, lines, events: Vec::new(), peak: 0.0 })
    }

    fn wait_for(&mut self, event: &str) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.named(event).next().is_none() {
            if Instant::now() > deadline || !self.listen() {
                return Err(format!("{} tells no `{event}`: {:?}", self.name, self.events));
            }
        }
        Ok(())
    }

    /// Sees how much memory it has, and that it has not failed.
    fn look(&mut self) -> Result<()> {
        self.peak = f64::max(self.peak, timing::resident(&self.child).unwrap_or(0.0));
        match self.child.try_wait() {
            Ok(Some(status)) if !status.success() => Err(format!("{} ended with {status}", self.name)),
            _ => Ok(()),
        }
    }

    /// Takes the next event, if one comes soon; `false` when there will be none.
    fn listen(&mut self) -> bool {
        self.peak = f64::max(self.peak, timing::resident(&self.child).unwrap_or(0.0));
        match self.lines.recv_timeout(Duration::from_millis(20)) {
            Ok((at, line)) => {
                self.events.extend(serde_json::from_str(&line).ok().map(|event| (at, event)));
                true
            }
            Err(mpsc::RecvTimeoutError::Timeout) => true,
            Err(mpsc::RecvTimeoutError::Disconnected) => false,
        }
    }

    /// Waits for the end, which is to be a good one.
    fn finish(&mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while self.listen() {
            if Instant::now() > deadline {
                return Err(format!("{} does not end", self.name));
            }
        }
        let status = self.child.wait().map_err(|error| format!("cannot wait for {}: {error}", self.name))?;
        if status.success() { Ok(()) } else { Err(format!("{} ended with {status}: {:?}", self.name, self.events.last())) }
    }

    fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a (Instant, Value)> {
        self.events.iter().filter(move |(_, event)| event["event"] == name)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Over already, or given up: either way nobody waits for it any more.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
