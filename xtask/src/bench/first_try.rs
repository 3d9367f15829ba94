//! `balcony try`, as in the README.

use std::process::Command;

use super::{Measure, Outcome, Setting, Verdict, timing};
use crate::Result;

pub(super) fn measure(setting: &Setting) -> Result<Outcome> {
    let file = setting.work.join("summit.bin");
    timing::make_file(&file, 10_000_000)?;
    let mut times = Vec::new();
    for run in 0..setting.runs {
        let into = setting.work.join(format!("into-{run}"));
        timing::settle();
        let (took, _) = timing::timed(Command::new(setting.programs.join("balcony")).arg("try").arg(&file).arg("--into").arg(&into))?;
        let same = |name: &std::path::Path| std::fs::read(name).ok() == std::fs::read(&file).ok();
        if !same(&into.join("summit.bin")) {
            return Err(format!("the file did not arrive in {}", into.display()));
        }
        times.push(took);
    }
    let measure = Measure::new("wall time", "s", times);
    let verdict = Verdict { text: format!("{:.2} s (at most 1.0)", measure.median()), holds: measure.median() <= 1.0 };
    Ok(Outcome { measures: vec![measure], verdicts: vec![verdict] })
}
