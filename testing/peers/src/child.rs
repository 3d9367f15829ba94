//! A child process whose output is read line by line with a deadline, and that ends with its handle.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use crate::PeerError;
use crate::endpoints::fail;

/// How long a peer may take for one answer.
const PATIENCE: Duration = Duration::from_secs(90);

/// The lines a child prints, kept as they come.
#[derive(Debug)]
pub struct Lines {
    name: String,
    child: Child,
    incoming: Receiver<String>,
    seen: Vec<String>,
    asked: usize,
}

impl Lines {
    /// Starts `command`; its standard output and standard error are read as one list of lines.
    pub fn start(name: &str, command: &mut Command) -> Result<Self, PeerError> {
        let cannot = |source| PeerError::Io { what: format!("cannot start {name}"), source };
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(cannot)?;
        let (sender, incoming) = channel();
        let outputs: [Option<Box<dyn std::io::Read + Send>>; 2] =
            [child.stdout.take().map(|pipe| Box::new(pipe) as _), child.stderr.take().map(|pipe| Box::new(pipe) as _)];
        for pipe in outputs.into_iter().flatten() {
            let sender = sender.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
                    if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                        return;
                    }
                }
            });
        }
        Ok(Self { name: name.to_owned(), child, incoming, seen: Vec::new(), asked: 0 })
    }

    /// The next line for which `is` says yes, after the one that answered the last call.
    ///
    /// # Panics
    /// When none comes within 90 seconds, or the child ends without one. All it printed is in the message.
    #[track_caller]
    pub fn wait_for(&mut self, what: &str, is: impl Fn(&str) -> bool) -> String {
        match self.find(PATIENCE, is) {
            Some(line) => line,
            None => fail(format_args!("{} printed no {what}; it printed:\n{}", self.name, self.seen.join("\n"))),
        }
    }

    /// As [`wait_for`](Self::wait_for), but `None` when nothing fitting comes within `patience`.
    pub fn find(&mut self, patience: Duration, is: impl Fn(&str) -> bool) -> Option<String> {
        let deadline = Instant::now() + patience;
        loop {
            while self.asked < self.seen.len() {
                self.asked += 1;
                let line = &self.seen[self.asked - 1];
                if is(line) {
                    return Some(line.clone());
                }
            }
            match self.incoming.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => self.seen.push(line),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return None,
            }
        }
    }

    /// All lines until now.
    pub fn so_far(&mut self) -> &[String] {
        self.seen.extend(self.incoming.try_iter());
        &self.seen
    }

    /// Asks the child to end (SIGTERM) and waits for it; kills it after a minute.
    pub fn end(mut self) {
        self.stop();
    }

    fn stop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            // By its own number, and it has not been waited for, so the number is still its own.
            let asked = Command::new("kill").arg(self.child.id().to_string()).stderr(Stdio::null()).status();
            let deadline = Instant::now() + Duration::from_secs(60);
            while asked.is_ok() && Instant::now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        if let Ok(None) = self.child.try_wait()
            && let Err(error) = self.child.kill().and_then(|()| self.child.wait())
        {
            eprintln!("{} does not end: {error}", self.name);
        }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.stop();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn lines_are_found_in_order_and_only_once() {
        let mut lines = Lines::start("sh", Command::new("sh").args(["-c", "echo one; echo two; echo one"])).unwrap();
        assert_eq!(lines.wait_for("one", |line| line == "one"), "one");
        assert_eq!(lines.wait_for("one again", |line| line == "one"), "one");
        assert_eq!(lines.find(PATIENCE, |line| line == "one"), None);
        assert_eq!(lines.so_far().len(), 3);
    }

    #[test]
    fn a_child_that_waits_for_ever_ends_with_its_handle() {
        let mut lines = Lines::start("sleep", Command::new("sh").args(["-c", "echo $$; exec sleep 1000"])).unwrap();
        let pid = lines.wait_for("pid", |_| true);
        lines.end();
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    }
}
