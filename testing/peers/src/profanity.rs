//! profanity, a client for terminals, typed into and read by way of tmux.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::endpoints::fail;
use crate::peers::output;
use crate::{Endpoints, PeerError};

/// A profanity that is logged in. Dropped, it ends.
#[derive(Debug)]
pub struct Profanity {
    folder: PathBuf,
}

const PATIENCE: Duration = Duration::from_secs(90);

impl Profanity {
    pub(crate) fn start(state: &Path, endpoints: &Endpoints, user: &str) -> Result<Self, PeerError> {
        let folder = state.join(format!("profanity-{user}"));
        let write = |name: &str, text: String| {
            let file = folder.join(name);
            let parent = file.parent().unwrap_or(&folder);
            std::fs::create_dir_all(parent).and_then(|()| std::fs::write(&file, text))
        };
        let account = format!(
            "[{user}]\nenabled=true\njid={}\npassword={}\nserver={}\nport={}\nresource=profanity\ntls.policy=trust\n",
            endpoints.jid(user),
            endpoints.password(user),
            endpoints.get("IP"),
            endpoints.get("C2S_PORT"),
        );
        write("config/profanity/profrc", "[ui]\nsplash=false\n[logging]\nchlog=true\n".to_owned())
            .and_then(|()| write("data/profanity/accounts", account))
            .map_err(|source| PeerError::Io { what: format!("cannot write to {}", folder.display()), source })?;
        let this = Self { folder };
        output(this.tmux().args(["new-session", "-d", "-s", "prof", "-x", "160", "-y", "45", "profanity"]))?;
        this.wait_for_screen("a prompt", |screen| {
            screen.contains("Type '/help'") || screen.contains("CONSOLE") || screen.contains("Profanity")
        });
        this.type_line(&format!("/connect {user}"))?;
        this.wait_for_screen("login", |screen| screen.contains("logged in successfully"));
        Ok(this)
    }

    /// Types a line and Enter.
    pub fn type_line(&self, line: &str) -> Result<(), PeerError> {
        output(self.tmux().args(["send-keys", "-t", "prof", "-l", line]))?;
        self.wait_for_screen("echo", |screen| screen.contains(line));
        // profanity takes an Enter that follows at once for part of a paste.
        std::thread::sleep(Duration::from_millis(300));
        output(self.tmux().args(["send-keys", "-t", "prof", "Enter"])).map(drop)
    }

    /// What is on its screen now.
    pub fn screen(&self) -> String {
        output(self.tmux().args(["capture-pane", "-p", "-J", "-t", "prof"])).unwrap_or_else(|error| error.to_string())
    }

    /// Waits until `is` says yes to the screen, and returns it.
    ///
    /// # Panics
    /// When that takes longer than 90 seconds. The screen is in the message.
    #[track_caller]
    pub fn wait_for_screen(&self, what: &str, is: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let screen = self.screen();
            if is(&screen) {
                return screen;
            }
            if Instant::now() > deadline {
                fail(format_args!("profanity shows no {what}; its screen:\n{screen}"));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn tmux(&self) -> Command {
        let mut command = Command::new("tmux");
        command.args(["-f", "/dev/null", "-S"]).arg(self.folder.join("tmux"));
        command.env("HOME", &self.folder).env("XDG_CONFIG_HOME", self.folder.join("config"));
        command.env("XDG_DATA_HOME", self.folder.join("data")).env("TERM", "screen-256color").env("LC_ALL", "C.UTF-8");
        command.stdin(Stdio::null());
        command
    }
}

impl Drop for Profanity {
    fn drop(&mut self) {
        if let Err(error) = output(self.tmux().arg("kill-server")) {
            eprintln!("{error}");
        }
    }
}
