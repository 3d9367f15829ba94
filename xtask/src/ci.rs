//! Does what CI does, on this machine.

use std::process::{Command, Stdio};
use std::time::Instant;

use crate::Result;
use crate::run::{Options, output, root};

const HELP: &str = "\
cargo xtask ci

Clones HEAD into a temporary folder and runs its .ci/run there, without a terminal and with CI=true: nothing that is not committed can
help. As root on Debian it installs what is missing. Builds everything anew: on two cores expect a quarter of an hour.
";

pub(crate) fn main(arguments: &[String]) -> Result<()> {
    let mut options = Options::new(arguments, HELP);
    if let Some(option) = options.next() {
        return options.unknown(option);
    }
    let folder = std::env::temp_dir().join(format!("balcony-ci-{}", std::process::id()));
    output(Command::new("git").args(["clone", "--quiet"]).arg(root()).arg(&folder))?;
    let started = Instant::now();
    let mut command = Command::new(folder.join(".ci/run"));
    command.current_dir(&folder).env("CI", "true").stdin(Stdio::null());
    // What cargo told this chore is about the other checkout.
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CARGO_") && name != "CARGO_HOME") {
        command.env_remove(name);
    }
    let status = command.status().map_err(|error| format!("cannot run .ci/run: {error}"))?;
    println!("ci: {} s in a fresh clone", started.elapsed().as_secs());
    std::fs::remove_dir_all(&folder).map_err(|error| format!("cannot remove {}: {error}", folder.display()))?;
    if status.success() { Ok(()) } else { Err(format!("ci: .ci/run ended with {status}")) }
}
