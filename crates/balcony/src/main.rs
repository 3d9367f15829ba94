//! Balcony's command line: shares files over XMPP. Every command is in [`commands`]; what can be typed is in [`cli`].

mod accounts;
mod cli;
mod commands;
mod connect;
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

#[tokio::main]
async fn run(cli: &Cli, console: &Console) -> Result<(), Failure> {
    let home = || home::Home::open(cli.global.home.as_deref());
    match &cli.command {
        Command::Serve(args) => commands::serve::run(console, &home()?, args).await?,
        Command::Login(args) => commands::login::run(console, &home()?, args).await?,
        Command::Doctor => commands::doctor::run(console, &home()?, cli.global.account.as_deref()).await?,
        Command::Explain(args) => commands::explain::run(console, args)?,
        Command::Draft(args) => commands::draft::run(console, args)?,
        Command::Accounts(args) => commands::accounts::run(console, &home()?, args)?,
        Command::Completions { shell } => commands::manual::completions(*shell),
        Command::Man { into } => commands::manual::man(console, into)?,
        Command::HelpExitCodes => commands::manual::exit_codes(console),
        _ => return Err(Failure::new(exit::Class::Internal, "not there yet")),
    }
    Ok(())
}
