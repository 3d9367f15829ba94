//! Gets the foreign programs, while the tests build.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread::JoinHandle;

use crate::run::root;

/// Whether the foreign programs are here.
pub(crate) struct Peers {
    /// The folder to name in `BALCONY_PEERS`, or why there is none.
    pub(crate) found: Result<PathBuf, String>,
    /// They should have been here: this counts as a failure.
    pub(crate) broken: bool,
}

/// The same, a little later.
pub(crate) struct Coming(JoinHandle<Peers>);

impl Peers {
    pub(crate) fn begin(wanted: bool) -> Coming {
        Coming(std::thread::spawn(move || if wanted { Self::get() } else { Self::none("--no-peers") }))
    }

    fn none(reason: impl Into<String>) -> Self {
        Self { found: Err(reason.into()), broken: false }
    }

    fn get() -> Self {
        if let Some(folder) = std::env::var_os("BALCONY_PEERS").filter(|folder| !folder.is_empty()) {
            return Self { found: Ok(folder.into()), broken: false };
        }
        let about = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
        if !about.lines().any(|line| line == "ID=debian") {
            return Self::none("this is not Debian");
        }
        match install() {
            Ok(folder) => Self { found: Ok(folder), broken: false },
            Err(error) if is_root() => Self { found: Err(error), broken: true },
            Err(error) => Self::none(format!("not root, and {error}")),
        }
    }
}

impl Coming {
    /// Waits for it.
    pub(crate) fn ready(self) -> Peers {
        self.0.join().unwrap_or_else(|_| Peers::none("the installation broke off"))
    }
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").stdin(Stdio::null()).output();
    id.is_ok_and(|id| id.stdout == b"0\n")
}

/// Runs the kit's `install`. Its state folder is short, as the kit wants, and not needed afterwards.
fn install() -> Result<PathBuf, String> {
    let folder = root().join("target/peers");
    let state = std::env::temp_dir().join(format!("balcony-install-{}", std::process::id()));
    let mut command = Command::new(root().join("testing/peers/kit/install"));
    command.env("PEERS_DEPS", &folder).env("PEERS_STATE", &state).env("PROSODY13", "0").stdin(Stdio::null());
    let done = command.output();
    // Empty but for what a failed install may leave; it lies in the folder for temporary files.
    let _left = std::fs::remove_dir_all(&state);
    let done = done.map_err(|error| format!("testing/peers/kit/install did not start: {error}"))?;
    if done.status.success() {
        return Ok(folder);
    }
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    let tail: Vec<&str> = said.lines().rev().take(5).collect();
    Err(format!("testing/peers/kit/install failed: {}", tail.into_iter().rev().collect::<Vec<_>>().join("\n   ")))
}
