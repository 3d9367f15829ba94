//! Rows whose work is done by programs of `testing/bench`: each prints one number a run.

use std::process::Command;

use super::site::Site;
use super::{Measure, Outcome, Setting, Verdict, timing};
use crate::Result;

pub(super) fn messages(setting: &Setting) -> Result<Outcome> {
    let site = Site::start(setting)?;
    let rates = numbers(setting, |command| command.args(["messages", &count(setting, 300_000)]).arg(site.endpoints.file()))?;
    Ok(at_least("messages", rates, 30_000.0))
}

pub(super) fn login(setting: &Setting) -> Result<Outcome> {
    let site = Site::start(setting)?;
    let times = numbers(setting, |command| command.args(["login", &count(setting, 50)]).arg(site.endpoints.file()))?;
    let measure = Measure::new("login, median of 50", "ms", times);
    let verdict = Verdict { text: format!("{:.1} ms (at most 25)", measure.median()), holds: measure.median() <= 25.0 };
    Ok(Outcome { measures: vec![measure], verdicts: vec![verdict] })
}

pub(super) fn offers(setting: &Setting) -> Result<Outcome> {
    let rates = numbers(setting, |command| command.args(["offers", &count(setting, 50_000)]))?;
    Ok(at_least("offers", rates, 6_000.0))
}

/// The slowest dialect counts.
pub(super) fn dialects(setting: &Setting) -> Result<Outcome> {
    let (_, names) = timing::timed(Command::new(setting.programs.join("testing-bench")).arg("dialects"))?;
    let mut measures = Vec::new();
    for name in names.lines().filter(|line| line.parse::<f64>().is_err()) {
        let rates = numbers(setting, |command| command.args(["dialect", &count(setting, 20_000), name]))?;
        measures.push(Measure::new(name, "per second", rates));
    }
    let slowest = measures.iter().min_by(|a, b| a.median().total_cmp(&b.median())).ok_or("there are no dialects")?;
    let (name, rate) = (&slowest.label, slowest.median());
    let text = format!("{} dialects, the slowest ({name}): {rate:.0} per second (at least 6000)", measures.len());
    Ok(Outcome { verdicts: vec![Verdict { text, holds: rate >= 6_000.0 }], measures })
}

pub(super) fn plan(setting: &Setting) -> Result<Outcome> {
    let times = numbers(setting, |command| command.args(["plan", &count(setting, 20_000)]))?;
    let measure = Measure::new("plan", "µs", times);
    let verdict = Verdict { text: format!("{:.1} µs (at most 50)", measure.median()), holds: measure.median() <= 50.0 };
    Ok(Outcome { measures: vec![measure], verdicts: vec![verdict] })
}

fn at_least(label: &str, rates: Vec<f64>, least: f64) -> Outcome {
    let measure = Measure::new(label, "per second", rates);
    let verdict = Verdict { text: format!("{:.0} per second (at least {least:.0})", measure.median()), holds: measure.median() >= least };
    Outcome { measures: vec![measure], verdicts: vec![verdict] }
}

/// A quick run does less.
fn count(setting: &Setting, whole: usize) -> String {
    (if setting.runs < 5 { whole / 10 } else { whole }).to_string()
}

fn numbers(setting: &Setting, arguments: impl Fn(&mut Command) -> &mut Command) -> Result<Vec<f64>> {
    let program = setting.programs.join("testing-bench");
    let one = |_| {
        let (_, printed) = timing::timed(arguments(&mut Command::new(&program)))?;
        printed.trim().parse::<f64>().map_err(|_| format!("testing-bench printed no number: {printed}"))
    };
    (0..setting.runs).map(one).collect()
}
