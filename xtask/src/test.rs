//! Runs all tests there are, with foreign programs where they can be had, and counts.

mod peers;
mod tally;

use std::io::{BufRead, BufReader};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::run::{Options, answers, cargo, root};
use crate::{Result, layers, requirements, xeps};
use peers::Peers;
use tally::{Tally, count};

const HELP: &str = "\
cargo xtask test [--no-peers]

Formatting, all tests (by cargo-nextest where it is installed, else by cargo test), doc tests, clippy without warnings, layers (and the
crates without I/O for wasm32, where that target is installed), and whether the generated lists are up to date.

Tests with foreign XMPP programs (Prosody, ejabberd, slixmpp, go-sendxmpp, profanity) need them: on Debian, root gets them installed by
testing/peers/kit/install, into the system by apt and into target/peers by pip. Elsewhere, or with --no-peers, those tests are left out
and counted as skipped. BALCONY_PEERS=FOLDER says that they are there and FOLDER is what `install` calls PEERS_DEPS.

Property tests try the same inputs in each run, unless PROPTEST_RNG_SEED says to try others.

The last line is alone: `N passed, N failed, N skipped`.
";

pub(crate) fn main(arguments: &[String]) -> Result<()> {
    let mut options = Options::new(arguments, HELP);
    let mut wanted = true;
    while let Some(option) = options.next() {
        match option {
            "--no-peers" => wanted = false,
            other => return options.unknown(other),
        }
    }
    let started = Instant::now();
    let peers = Peers::begin(wanted);
    let mut run = Run::default();
    run.check("formatting", || whole(cargo(&["fmt", "--all", "--check"])));
    let built = run.check("tests build", || whole(runner(&["--workspace", "--no-run"])));
    let peers = peers.ready();
    if let Err(reason) = &peers.found {
        println!("\n!! foreign XMPP programs are not here: {reason}\n!! the tests with them are left out and counted as skipped\n");
    }
    if peers.broken {
        run.tally.failed += 1;
        run.failures.push("installing the foreign programs".to_owned());
    }
    if built {
        run.tests(&peers)?;
        run.documents();
    }
    run.check("clippy", || whole(cargo(&["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"])));
    run.check("layers", || layers::main(&[]));
    if layers::browsers_can_be_built_for() {
        let mut check = vec!["check", "--quiet", "--target", layers::BROWSERS];
        layers::PURE.iter().for_each(|name| check.extend(["--package", name]));
        run.check("crates without I/O, for wasm32", || whole(cargo(&check)));
    }
    run.check("xeps", || xeps::main(&["--check".to_owned()]));
    run.check("requirements", || requirements::main(&["--check".to_owned()]));
    run.end(started.elapsed())
}

/// What property tests begin with.
const SEED: &str = "PROPTEST_RNG_SEED";

/// `cargo nextest run` or `cargo test`, with options both know.
fn runner(arguments: &[&str]) -> Command {
    if answers("cargo", &["nextest", "--version"]) {
        let mut command = cargo(&["nextest", "run", "--color", "never", "--no-fail-fast", "--status-level", "slow"]);
        // --no-fail-fast has no meaning when nothing is run, and nextest says so by an error.
        if arguments.contains(&"--no-run") {
            command = cargo(&["nextest", "run"]);
        }
        command.args(arguments);
        return command;
    }
    let mut command = cargo(&["test", "--no-fail-fast", "--all-targets"]);
    command.args(arguments);
    command
}

/// What was counted until now.
#[derive(Default)]
struct Run {
    tally: Tally,
    failures: Vec<String>,
}

impl Run {
    /// One check, counted as one test.
    fn check(&mut self, name: &str, check: impl FnOnce() -> Result<()>) -> bool {
        let started = Instant::now();
        println!("== {name}");
        let done = check();
        match &done {
            Ok(()) => {
                self.tally.passed += 1;
                println!("== {name}: passed ({:.0} s)", started.elapsed().as_secs_f32());
            }
            Err(message) => {
                self.tally.failed += 1;
                self.failures.push(name.to_owned());
                println!("{message}\n== {name}: FAILED");
            }
        }
        done.is_ok()
    }

    fn tests(&mut self, peers: &Peers) -> Result<()> {
        let skipped = root().join("target/xtask/skipped");
        std::fs::create_dir_all(root().join("target/xtask")).map_err(|error| format!("cannot make target/xtask: {error}"))?;
        std::fs::write(&skipped, "").map_err(|error| format!("cannot write {}: {error}", skipped.display()))?;
        let mut command = runner(&["--workspace"]);
        command.env("BALCONY_SKIPPED", &skipped).env("BALCONY_PEERS", "");
        if let Ok(folder) = &peers.found {
            command.env("BALCONY_PEERS", folder);
        }
        // The same inputs in each run: whether a change is good is not for chance to say.
        if std::env::var_os(SEED).is_none() {
            command.env(SEED, "1");
        }
        self.counted("tests", command);
        let skipped = std::fs::read_to_string(&skipped).map_err(|error| format!("cannot read {}: {error}", skipped.display()))?;
        for line in skipped.lines() {
            println!("{line}");
        }
        self.tally.skip_passed(skipped.lines().count());
        Ok(())
    }

    fn documents(&mut self) {
        let libraries = cargo(&["test", "--workspace", "--doc", "--no-fail-fast"]);
        self.counted("doc tests", libraries);
    }

    /// A command that tells how many tests passed and failed.
    fn counted(&mut self, name: &str, command: Command) {
        let started = Instant::now();
        println!("== {name}");
        let (lines, success) = shown(command);
        let mut tally = count(&lines);
        // It may end badly without a failed test: something did not build, or the runner broke.
        if !success && tally.failed == 0 {
            tally.failed += 1;
        }
        if tally.failed > 0 {
            self.failures.push(name.to_owned());
        }
        println!("== {name}: {tally} ({:.0} s)", started.elapsed().as_secs_f32());
        self.tally.add(&tally);
    }

    fn end(self, took: Duration) -> Result<()> {
        println!("\ntook {} min {} s", took.as_secs() / 60, took.as_secs() % 60);
        if !self.failures.is_empty() {
            println!("failed: {}", self.failures.join(", "));
        }
        println!("{}", self.tally);
        if self.tally.failed == 0 { Ok(()) } else { std::process::exit(1) } // the last line stays the last
    }
}

/// Runs a command, its output going where ours goes.
fn whole(mut command: Command) -> Result<()> {
    let status = command.env("CARGO_TERM_COLOR", "never").env("CARGO_TERM_QUIET", "true").stdin(std::process::Stdio::null()).status();
    let status = status.map_err(|error| format!("cannot run {}: {error}", command.get_program().to_string_lossy()))?;
    if status.success() { Ok(()) } else { Err(format!("it ended with {status}")) }
}

/// Runs a command, shows its lines as they come and keeps them.
fn shown(mut command: Command) -> (Vec<String>, bool) {
    let run = || -> std::io::Result<(Vec<String>, bool)> {
        let (reader, writer) = std::io::pipe()?;
        command.env("CARGO_TERM_COLOR", "never").env("CARGO_TERM_QUIET", "true").stdin(std::process::Stdio::null());
        command.stdout(writer.try_clone()?).stderr(writer);
        let mut child = command.spawn()?;
        drop(command); // it holds the other ends of the pipe
        let mut lines = Vec::new();
        for line in BufReader::new(reader).split(b'\n') {
            let line = String::from_utf8_lossy(&line?).into_owned();
            println!("{line}");
            lines.push(line);
        }
        Ok((lines, child.wait()?.success()))
    };
    run().unwrap_or_else(|error| {
        println!("cannot run it: {error}");
        (Vec::new(), false)
    })
}
