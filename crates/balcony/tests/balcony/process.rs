//! Runs the binary: every run ends within a time, and with its handle.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long a whole run, or one expected event of it, may take. Generous: two tests share two slow processors.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// A command of the binary with nothing of this machine's settings in its environment.
pub(crate) fn balcony(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_balcony"));
    for variable in ["BALCONY_HOME", "BALCONY_ACCOUNT", "BALCONY_PASSWORD", "BALCONY_PROXY", "RUST_LOG", "SSL_CERT_FILE", "SSL_CERT_DIR"] {
        command.env_remove(variable);
    }
    command.arg("--home").arg(home).env("HOME", home);
    command
}

/// A run that has ended.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Done {
    /// This run, which must have ended well.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        self.exits(0)
    }

    /// This run, which must have ended with this code.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }

    /// What was printed with `--json`: every line is an object that names its event.
    #[track_caller]
    pub(crate) fn events(&self) -> Vec<Value> {
        self.out.lines().map(event).collect()
    }

    /// The first event of that name.
    #[track_caller]
    pub(crate) fn event(&self, name: &str) -> Value {
        self.all(name).into_iter().next().unwrap_or_else(|| panic!("no event {name}:\n{}\n{}", self.out, self.err))
    }

    /// All events of that name.
    #[track_caller]
    pub(crate) fn all(&self, name: &str) -> Vec<Value> {
        self.events().into_iter().filter(|event| event["event"] == name).collect()
    }
}

#[track_caller]
fn event(line: &str) -> Value {
    let event: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    assert!(event["event"].is_string(), "an object without event: {line}");
    event
}

/// A run that goes on. Dropped, it is killed by its own number.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
    asked: usize,
    err: Option<JoinHandle<String>>,
}

impl Running {
    /// Starts it, with `input` on its standard input.
    #[track_caller]
    pub(crate) fn start(command: &mut Command, input: &[u8]) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = channel();
        let out = child.stdout.take().unwrap();
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let mut pipe = child.stderr.take().unwrap();
        let err = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = pipe.read_to_end(&mut bytes); // what came until then is what there is
            String::from_utf8_lossy(&bytes).into_owned()
        });
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_owned();
        std::thread::spawn(move || stdin.write_all(&input)); // a run that reads nothing of it closes the pipe
        Self { child, lines, seen: Vec::new(), asked: 0, err: Some(err) }
    }

    /// The process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has not ended by itself.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// The next event of that name.
    #[track_caller]
    pub(crate) fn event(&mut self, name: &str) -> Value {
        self.event_where(name, |event| event["event"] == name)
    }

    /// The next event for which `is` says yes, after the last one that was asked for.
    #[track_caller]
    pub(crate) fn event_where(&mut self, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        self.find(PATIENCE, is).unwrap_or_else(|| {
            self.end_now();
            panic!("no {what}; it printed:\n{}\n{}", self.seen.join("\n"), self.stderr())
        })
    }

    /// The same, if it comes within `patience`.
    #[track_caller]
    pub(crate) fn find(&mut self, patience: Duration, is: impl Fn(&Value) -> bool) -> Option<Value> {
        let deadline = Instant::now() + patience;
        loop {
            while let Some(line) = self.seen.get(self.asked) {
                self.asked += 1;
                let event = event(line);
                if is(&event) {
                    return Some(event);
                }
            }
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => self.seen.push(line),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return None,
            }
        }
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn wait(mut self) -> Done {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            match self.child.try_wait().unwrap() {
                Some(status) => break status,
                None if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(10)),
                None => {
                    self.end_now();
                    panic!("it does not end; it printed:\n{}\n{}", self.printed(), self.stderr());
                }
            }
        };
        let out = self.printed();
        Done { code: status.code().unwrap_or(-1), out, err: self.stderr() }
    }

    /// Asks it to end (SIGTERM), and waits.
    #[track_caller]
    pub(crate) fn end(self) -> Done {
        self.signal("TERM");
        self.wait()
    }

    /// Presses ^C, and waits.
    #[track_caller]
    pub(crate) fn interrupt(self) -> Done {
        self.signal("INT");
        self.wait()
    }

    /// Stops it where it is (SIGSTOP); nobody is told.
    pub(crate) fn stand_still(&self) {
        self.signal("STOP");
    }

    /// Lets it go on from there.
    pub(crate) fn go_on(&self) {
        self.signal("CONT");
    }

    /// `kill -9`; tells what it wrote to standard error.
    pub(crate) fn kill(mut self) -> String {
        self.end_now();
        self.stderr()
    }

    fn end_now(&mut self) {
        let _ = self.child.kill(); // it may have ended by itself
        let _ = self.child.wait();
    }

    fn signal(&self, name: &str) {
        // It has not been waited for, so the number is still its own.
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.id().to_string()).status().unwrap();
        assert!(sent.success(), "{} is gone already", self.id());
    }

    fn printed(&mut self) -> String {
        self.seen.extend(self.lines.iter());
        self.seen.iter().map(|line| format!("{line}\n")).collect()
    }

    fn stderr(&mut self) -> String {
        self.err.take().map(|thread| thread.join().unwrap_or_default()).unwrap_or_default()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end_now();
    }
}

/// A terminal: where the person sits, and where the program does.
#[cfg(target_os = "linux")]
pub(crate) fn terminal() -> (File, File) {
    use std::os::unix::fs::OpenOptionsExt as _;

    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

    let person = File::from(openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap());
    grantpt(&person).unwrap();
    unlockpt(&person).unwrap();
    let path = ptsname(&person, Vec::new()).unwrap().into_string().unwrap();
    let no_control = rustix::fs::OFlags::NOCTTY.bits().try_into().unwrap();
    let terminal = File::options().read(true).write(true).custom_flags(no_control).open(path).unwrap();
    (person, terminal)
}

/// Runs a command to its end.
#[track_caller]
pub(crate) fn run(command: &mut Command, input: &[u8]) -> Done {
    Running::start(command, input).wait()
}

/// Runs the binary with arguments in a home that is gone afterwards.
#[track_caller]
pub(crate) fn alone<S: AsRef<OsStr>>(arguments: &[S], input: &str) -> Done {
    let home = tempfile::tempdir().unwrap();
    run(balcony(home.path()).args(arguments), input.as_bytes())
}

/// Asks again and again until there is an answer.
#[track_caller]
pub(crate) fn until<T>(what: &str, mut answer: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = answer() {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
