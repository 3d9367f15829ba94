//! `kill -9` of sender, receiver and server at moments chosen by chance: the test of the test command, with more kills.

use super::{Measure, Outcome, Setting, Verdict};
use crate::Result;
use crate::run::cargo;

const TEST: &str = "whoever_is_killed_whenever_no_file_is_lost_or_sent_twice_and_none_is_wrong";

pub(super) fn measure(setting: &Setting) -> Result<Outcome> {
    let kills = if setting.runs < 5 { 20 } else { 200 };
    let mut command = cargo(&["test", "--quiet", "--package", "balcony", "--test", "balcony", TEST, "--", "--nocapture"]);
    command.env("BALCONY_KILLS", kills.to_string()).env("CARGO_TERM_COLOR", "never").stdin(std::process::Stdio::null());
    let done = command.output().map_err(|error| format!("cannot run cargo: {error}"))?;
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    let seed = said
        .lines()
        .find_map(|line| line.trim().strip_prefix("BALCONY_SEED="))
        .ok_or_else(|| format!("the test did not begin: {said}{}", String::from_utf8_lossy(&done.stderr)))?;
    if !done.status.success() {
        let log = setting.work.with_file_name("kills.log");
        let all = [done.stdout.as_slice(), &done.stderr].concat();
        std::fs::write(&log, all).map_err(|error| format!("cannot write {}: {error}", log.display()))?;
        println!("   what happened is in {}", log.display());
    }
    let hits: f64 = said.lines().find(|line| line.contains(" kills, in the middle")).map_or(0.0, hits);
    let verdict = match done.status.success() {
        true => format!("{kills} kills with seed {seed}: no file lost, sent twice or wrong"),
        false => format!("a file was lost, sent twice or wrong with seed {seed}"),
    };
    let measures =
        vec![Measure::new("kills", "times", vec![f64::from(kills)]), Measure::new("of which hit something under way", "times", vec![hits])];
    Ok(Outcome { measures, verdicts: vec![Verdict { text: verdict, holds: done.status.success() }] })
}

/// The sum of the numbers in `{Sender: 10, Receiver: 15}`.
fn hits(line: &str) -> f64 {
    let numbers = line.split([',', '{', '}']).filter_map(|part| part.rsplit_once(": ")?.1.trim().parse::<f64>().ok());
    numbers.sum()
}

#[cfg(test)]
mod tests {
    #[test]
    fn hits_are_summed_up() {
        let line = "50 kills, in the middle of something: {Sender: 10, Receiver: 15, ServerWhileItTakes: 1}";
        assert_eq!(super::hits(line), 26.0);
    }
}
