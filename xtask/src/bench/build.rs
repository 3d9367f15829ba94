//! What a newcomer waits for: a release build from nothing, then the test command. Once each.

use std::process::Stdio;
use std::time::Instant;

use super::{Measure, Outcome, Setting, Verdict};
use crate::Result;
use crate::run::cargo;

pub(super) fn measure(setting: &Setting) -> Result<Outcome> {
    let release = minutes(setting, &["build", "--release"])?;
    let tests = minutes(setting, &["xtask", "test"])?;
    let verdict = |what: &str, minutes: f64, most: f64| Verdict {
        text: format!("{what} {minutes:.1} min (at most {most:.0})"),
        holds: minutes <= most,
    };
    Ok(Outcome {
        measures: vec![Measure::new("cargo build --release", "min", vec![release]), Measure::new("cargo xtask test", "min", vec![tests])],
        verdicts: vec![verdict("build", release, 8.0), verdict("tests", tests, 20.0)],
    })
}

fn minutes(setting: &Setting, arguments: &[&str]) -> Result<f64> {
    let log = setting.work.join(format!("{}.log", arguments.join("-")));
    let file = std::fs::File::create(&log).map_err(|error| format!("cannot write {}: {error}", log.display()))?;
    let errors = file.try_clone().map_err(|error| format!("cannot write {}: {error}", log.display()))?;
    let started = Instant::now();
    let mut command = cargo(arguments);
    command.env("CARGO_TARGET_DIR", setting.work.join("target")).stdin(Stdio::null()).stdout(file).stderr(errors);
    let status = command.status().map_err(|error| format!("cannot run cargo: {error}"))?;
    if status.success() {
        Ok(started.elapsed().as_secs_f64() / 60.0)
    } else {
        Err(format!("cargo {} ended with {status}, see {}", arguments.join(" "), log.display()))
    }
}
