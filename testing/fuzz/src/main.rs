//! `testing-fuzz seeds TARGET FOLDER` writes the inputs to start from; `testing-fuzz dictionary FILE` the words of the formats.

use std::path::Path;
use std::process::ExitCode;

use testing_fuzz::{TARGETS, dictionary, target};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments[..] {
        ["targets"] => {
            TARGETS.iter().for_each(|target| println!("{}", target.name));
            Ok(())
        }
        ["seeds", name, folder] => target(name).ok_or_else(|| format!("there is no target {name}")).and_then(|target| {
            let write = |(at, seed): (usize, Vec<u8>)| std::fs::write(Path::new(folder).join(format!("seed-{at:04}")), seed);
            (target.seeds)().into_iter().enumerate().try_for_each(write).map_err(|error| format!("{folder}: {error}"))
        }),
        ["dictionary", file] => std::fs::write(file, dictionary()).map_err(|error| format!("{file}: {error}")),
        _ => Err("give it `targets`, `seeds TARGET FOLDER` or `dictionary FILE`".to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("testing-fuzz: {error}");
            ExitCode::FAILURE
        }
    }
}
