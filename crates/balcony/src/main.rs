//! Balcony's command line: shares files over XMPP. Every command is in [`commands`]; what can be typed is in [`cli`].

mod accounts;
mod cli;
mod commands;
mod connect;
mod console;
mod exit;
mod fetching;
mod home;
mod picture;
mod prompt;
mod safe;
mod signals;

use std::process::ExitCode;

use clap::Parser as _;

use cli::{Cli, Command};
use console::Console;
use exit::Failure;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let console = Console::new(cli.global.json, cli.global.quiet);
    log_to_stderr(cli.global.verbose);
    match run(&cli, &console) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            console.failure(&failure);
            failure.class.code()
        }
    }
}

fn run(cli: &Cli, console: &Console) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::from_error(exit::Class::Local, &error))?;
    let _terminal = prompt::Terminal::remember();
    let done = runtime.block_on(async {
        signals::listen();
        tokio::select! {
            done = command(cli, console) => done,
            () = signals::out_of_patience() => Err(Failure::new(exit::Class::Interrupted, "stopped")),
        }
    });
    // A thread that waits for somebody to type would never end.
    runtime.shutdown_background();
    done
}

async fn command(cli: &Cli, console: &Console) -> Result<(), Failure> {
    let account = cli.global.account.as_deref();
    let home = || home::Home::open(cli.global.home.as_deref());
    match &cli.command {
        Command::Serve(args) => commands::serve::run(console, &home()?, args).await?,
        Command::Login(args) => commands::login::run(console, &home()?, args).await?,
        Command::Doctor => commands::doctor::run(console, &home()?, account).await?,
        Command::Explain(args) => commands::explain::run(console, args)?,
        Command::Draft(args) => commands::draft::run(console, args).await?,
        Command::Send(args) => commands::send::run(console, &home()?, account, args).await?,
        Command::ShareLive(args) => commands::share_live::run(console, &home()?, account, args).await?,
        Command::Attach(args) => commands::attach::run(console, &home()?, account, args).await?,
        Command::Outbox(args) => commands::outbox::run(console, &home()?, account, args).await?,
        Command::Receive(args) => commands::receive::run(console, &home()?, account, args).await?,
        Command::List(args) => commands::offers::list(console, &home()?, account, args)?,
        Command::Fetch(args) => commands::offers::fetch(console, &home()?, account, args).await?,
        Command::Thumbnail(args) => commands::thumbnail::run(console, &home()?, account, args).await?,
        Command::Why(args) => commands::why::run(console, &home()?, account, args).await?,
        Command::Policy(args) => commands::policy::run(console, &home()?, account, args).await?,
        Command::Give(args) => commands::give::run(console, &home()?, account, args).await?,
        Command::Contacts(args) => commands::contacts::run(console, &home()?, account, args).await?,
        Command::Files(args) => commands::files::run(console, &home()?, account, args).await?,
        Command::Accounts(args) => commands::accounts::run(console, &home()?, args)?,
        Command::Completions { shell } => commands::manual::completions(*shell),
        Command::Man { into } => commands::manual::man(console, into)?,
        Command::HelpExitCodes => commands::manual::exit_codes(console),
        Command::Try(args) => commands::try_it::run(console, args).await?,
    }
    Ok(())
}

/// The library leaves addresses, names and URLs out of its logs.
fn log_to_stderr(verbose: u8) {
    let level = match verbose {
        0 => return,
        1 => "balcony=info,balcony_client=info,balcony_server=info,balcony_session=info,balcony_store=info",
        _ => "balcony=debug,balcony_client=debug,balcony_server=debug,balcony_session=debug,balcony_store=debug",
    };
    tracing_subscriber::fmt().with_env_filter(level).with_writer(std::io::stderr).with_ansi(false).init();
}
