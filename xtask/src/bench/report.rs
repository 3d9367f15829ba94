//! Keeps what was measured in `target/`, and writes `docs/benchmarks.md` from all that is kept.

use std::fmt::Write as _;
use std::path::PathBuf;

use super::{Measure, Outcome, Row};
use crate::Result;
use crate::run::{output, root, write_or_check};

/// For the terminal.
pub(super) fn text(outcome: &Outcome) -> String {
    let mut text = String::new();
    for measure in &outcome.measures {
        let _ = writeln!(text, "   {}: {}", measure.label, series(measure));
    }
    for verdict in &outcome.verdicts {
        let _ = writeln!(text, "   {} {}", if verdict.holds { "holds:" } else { "MISSED:" }, verdict.text);
    }
    text
}

fn series(measure: &Measure) -> String {
    let number = |value: f64| if value.abs() >= 100.0 { format!("{value:.0}") } else { format!("{value:.2}") };
    let median = format!("{} {}", number(measure.median()), measure.unit);
    if measure.values.len() < 2 {
        return median;
    }
    let (low, high) = measure.values.iter().fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(*value), high.max(*value)));
    format!("{median} ({} to {}, {} runs)", number(low), number(high), measure.values.len())
}

fn kept(row: &str) -> PathBuf {
    root().join("target/xtask/benchmarks").join(format!("{row}.json"))
}

/// Keeps the outcome of a row for the document.
pub(super) fn keep(row: &str, outcome: &Outcome) -> Result<()> {
    let path = kept(row);
    let write = || -> std::io::Result<()> {
        std::fs::create_dir_all(path.parent().unwrap_or(&path))?;
        std::fs::write(&path, serde_json::to_vec(outcome)?)
    };
    write().map_err(|error| format!("cannot write {}: {error}", path.display()))
}

/// Writes `docs/benchmarks.md`.
pub(super) fn write(rows: &[Row]) -> Result<()> {
    let mut table = String::from("| what | wanted | measured | |\n|---|---|---|---|\n");
    let mut details = String::new();
    for row in rows {
        let outcome = std::fs::read(kept(row.name)).ok().and_then(|json| serde_json::from_slice::<Outcome>(&json).ok());
        let Some(outcome) = outcome else {
            let _ = writeln!(table, "| {} | {} | not measured | |", row.what, row.wanted);
            continue;
        };
        let verdicts: Vec<String> = outcome.verdicts.iter().map(|verdict| verdict.text.clone()).collect();
        let holds = if outcome.verdicts.iter().all(|verdict| verdict.holds) { "holds" } else { "**missed**" };
        let _ = writeln!(table, "| {} | {} | {} | {holds} |", row.what, row.wanted, verdicts.join("; "));
        for measure in &outcome.measures {
            let _ = writeln!(details, "| {} | {} | {} |", row.name, measure.label, series(measure));
        }
    }
    let text = format!(
        "# Speed and memory\n\nMade by `cargo xtask bench`; do not edit. Medians of five runs, each run taking its rivals in turn on the same machine and the \
         same file; `build` and `memory` ran once.\n\nMachine: {}.\n\n{table}\n## The series\n\n| row | what | median (range) |\n|---|---|---|\n{details}",
        machine()
    );
    write_or_check("docs/benchmarks.md", &text, false, "cargo xtask bench")
}

/// Processor, cores, memory, kernel; no name.
fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        text.lines().find(|line| line.starts_with(name)).and_then(|line| line.split_once(':')).map(|(_, value)| value.trim().to_owned())
    };
    let processor = field(&read("/proc/cpuinfo"), "model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let memory =
        field(&read("/proc/meminfo"), "MemTotal").and_then(|kb| kb.trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0) / 1_048_576;
    let rust = output(std::process::Command::new("rustc").arg("--version")).unwrap_or_default();
    format!("{processor}, {cores} cores, {memory} GiB, Linux {}, {}", read("/proc/sys/kernel/osrelease").trim(), rust.trim())
}
