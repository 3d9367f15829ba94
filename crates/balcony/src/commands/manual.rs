//! `balcony completions`, `man` and `help-exit-codes`: made from the command line itself and from the table of exit codes.

use std::path::Path;

use clap::CommandFactory as _;
use serde_json::json;

use crate::cli::Cli;
use crate::console::Console;
use crate::exit::{Class, Failure};

/// Prints completions for a shell.
pub(crate) fn completions(shell: clap_complete::Shell) {
    clap_complete::generate(shell, &mut Cli::command(), "balcony", &mut std::io::stdout());
}

/// Writes one page for the program and one for each command.
pub(crate) fn man(console: &Console, into: &Path) -> Result<(), Failure> {
    let local = |error: std::io::Error| Failure::new(Class::Local, format!("cannot write the man pages to {}: {error}", into.display()));
    std::fs::create_dir_all(into).map_err(local)?;
    clap_mangen::generate_to(Cli::command(), into).map_err(local)?;
    console.result("written", json!({"folder": into}), format!("man pages are in {}", into.display()));
    Ok(())
}

/// Prints the table of exit codes.
pub(crate) fn exit_codes(console: &Console) {
    console.result("exit-code", json!({"code": 0, "class": "done", "meaning": "done"}), "  0  done");
    for (class, words) in Class::TABLE {
        console.result(
            "exit-code",
            json!({"code": class as u8, "class": class.name(), "meaning": words}),
            format!("{:>3}  {words}", class as u8),
        );
    }
}
