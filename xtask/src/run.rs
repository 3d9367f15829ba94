//! Options and child processes.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::Result;

/// The root of the checkout.
pub(crate) fn root() -> PathBuf {
    let xtask = std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    xtask.parent().map_or_else(|| PathBuf::from("."), std::path::Path::to_path_buf)
}

/// The cargo that runs this chore.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root());
    command
}

/// Whether a program is in PATH and answers `--version`.
pub(crate) fn answers(program: &str, arguments: &[&str]) -> bool {
    let quiet = Command::new(program).args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    quiet.is_ok_and(|status| status.success())
}

/// What a command prints; an error holds all it said.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let done = command.stdin(Stdio::null()).output().map_err(|error| format!("cannot run {name}: {error}"))?;
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    if done.status.success() {
        Ok(text)
    } else {
        Err(format!("{name} failed ({}):\n{text}{}", done.status, String::from_utf8_lossy(&done.stderr)))
    }
}

/// Options as `--name value` or `--flag`, in the order they came.
pub(crate) struct Options<'a> {
    rest: &'a [String],
    help: &'static str,
}

impl<'a> Options<'a> {
    pub(crate) fn new(rest: &'a [String], help: &'static str) -> Self {
        Self { rest, help }
    }

    /// The next option, or `None` at the end. `--help` prints the help and ends the process.
    pub(crate) fn next(&mut self) -> Option<&'a str> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        if first == "--help" || first == "-h" {
            print!("{}", self.help);
            std::process::exit(0);
        }
        Some(first)
    }

    /// The value of the option `name`.
    pub(crate) fn value(&mut self, name: &str) -> Result<&'a str> {
        self.next().ok_or_else(|| format!("{name} wants a value\n\n{}", self.help))
    }

    /// The error for an option nobody knows.
    pub(crate) fn unknown<T>(&self, option: &str) -> Result<T> {
        Err(format!("`{option}` is no option here\n\n{}", self.help))
    }
}

/// Compares `text` with a file, or writes it there. `how` tells the person what to run.
pub(crate) fn write_or_check(path: &str, text: &str, check: bool, how: &str) -> Result<()> {
    let full = root().join(path);
    let now = std::fs::read_to_string(&full).unwrap_or_default();
    if now == text {
        return Ok(());
    }
    if check {
        let line = now.lines().zip(text.lines()).take_while(|(a, b)| a == b).count();
        let side = |text: &str| text.lines().nth(line).unwrap_or("(the end)").to_owned();
        return Err(format!("{path} is out of date, run `{how}`\n  line {}: {}\n  should be: {}", line + 1, side(&now), side(text)));
    }
    std::fs::write(&full, text).map_err(|error| format!("cannot write {path}: {error}"))?;
    println!("wrote {path}");
    Ok(())
}
