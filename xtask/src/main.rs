//! The chores of this project: `cargo xtask …`. `cargo xtask help` lists them.

mod bench;
mod ci;
mod layers;
mod pairings;
mod requirements;
mod run;
mod sources;
mod test;
mod xeps;

use std::process::ExitCode;

/// What a chore returns: the error is a sentence, or several, for the person who ran it.
type Result<T> = std::result::Result<T, String>;

const HELP: &str = "\
cargo xtask CHORE

  test            all tests, with foreign XMPP programs where they can be installed; ends with `N passed, N failed, N skipped`
  ci              what CI does: a fresh clone of HEAD, then .ci/run in it
  bench           measures speed and memory against other programs and writes docs/benchmarks.md
  pairings        who can pass a file to whom, by which way, over which server, and how long it takes; writes docs/pairings.md
  layers          compares the dependencies with the plan of the house
  requirements    which requirement is proved by which test; writes docs/requirements/status.md
  xeps            writes docs/xeps.md and balcony.doap.xml from the heads of the source files

`cargo xtask CHORE --help` tells more.
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (chore, rest) = match arguments.split_first() {
        None => ("help", [].as_slice()),
        Some((chore, rest)) => (chore.as_str(), rest),
    };
    let done = match chore {
        "test" => test::main(rest),
        "ci" => ci::main(rest),
        "bench" => bench::main(rest),
        "layers" => layers::main(rest),
        "pairings" => pairings::main(rest),
        "requirements" => requirements::main(rest),
        "xeps" => xeps::main(rest),
        "help" | "--help" | "-h" => {
            print!("{HELP}");
            Ok(())
        }
        other => Err(format!("there is no chore `{other}`\n\n{HELP}")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{}", message.trim_end());
            ExitCode::FAILURE
        }
    }
}
