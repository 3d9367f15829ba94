//! A large catalogue, asked as people ask it. The store's own example measures; the figures are medians of 21 within a run.

use std::process::Command;

use super::{Measure, Outcome, Setting, Verdict, timing};
use crate::Result;

const MOST: f64 = 5.0;

/// What is asked, and the name that the example gives to it.
const QUESTIONS: [(&str, &str); 3] = [
    ("list the last 50 of a conversation", "last-50"),
    ("offers of a file", "claiming-a-digest"),
    ("a stored file by digest", "found-by-digest"),
];

pub(super) fn measure(setting: &Setting) -> Result<Outcome> {
    super::build(&["--package", "balcony-store", "--example", "catalogue"])?;
    let offers = if setting.runs < 5 { "10000" } else { "100000" };
    let mut measures = QUESTIONS.map(|(what, _)| Measure::new(what, "ms", Vec::new()));
    for run in 0..setting.runs {
        let folder = setting.work.join(format!("store-{run}"));
        timing::empty(&folder)?;
        let mut command = Command::new(setting.programs.join("examples/catalogue"));
        let (_, printed) = timing::timed(command.args(["--offers", offers, "--files", "100", "--json"]).arg(&folder))?;
        for ((_, name), measure) in QUESTIONS.iter().zip(&mut measures) {
            measure.values.push(figure(&printed, name).ok_or_else(|| format!("no {name} in: {printed}"))?);
        }
        std::fs::remove_dir_all(&folder).map_err(|error| format!("cannot empty {}: {error}", folder.display()))?;
    }
    let verdicts = measures.iter().map(|measure| Verdict {
        text: format!("{}: {:.2} ms (at most {MOST:.0})", measure.label, measure.median()),
        holds: measure.median() <= MOST,
    });
    let verdicts = verdicts.collect();
    Ok(Outcome { measures: measures.into(), verdicts })
}

fn figure(printed: &str, name: &str) -> Option<f64> {
    let lines = printed.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    lines.filter(|line| line["name"] == name).find_map(|line| line["value"].as_f64())
}
