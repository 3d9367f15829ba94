//! Balcony's command line: shares files over XMPP. Every command is in [`commands`]; what can be typed is in [`cli`].

mod cli;
mod commands;
mod console;
mod exit;
mod home;
mod picture;
mod prompt;
mod safe;

use std::process::ExitCode;

use clap::Parser as _;

use cli::{Cli, Command};
use console::Console;
use exit::Failure;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let console = Console::new(cli.global.json, cli.global.quiet);
    match run(&cli, &console) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            console.failure(&failure);
            failure.class.code()
        }
    }
}

fn run(cli: &Cli, console: &Console) -> Result<(), Failure> {
    match &cli.command {
        Command::Completions { shell } => commands::manual::completions(*shell),
        Command::Man { into } => commands::manual::man(console, into)?,
        Command::HelpExitCodes => commands::manual::exit_codes(console),
        _ => return Err(Failure::new(exit::Class::Internal, "not there yet")),
    }
    Ok(())
}
