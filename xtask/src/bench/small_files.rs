//! A thousand small files to one contact who waits for them: how fast, and whether anybody's memory grows with their number.

use std::time::{Duration, Instant};

use super::site::{Client, Site};
use super::{Measure, Outcome, Setting, Verdict, timing};
use crate::Result;

const LEAST: f64 = 100.0;
/// Four times the files may cost each side so many MiB more.
const GROWTH: f64 = 8.0;

pub(super) fn measure(setting: &Setting) -> Result<Outcome> {
    let many = if setting.runs < 5 { 200 } else { 1_000 };
    let mut rates = Vec::new();
    let mut peaks: [Vec<f64>; 6] = Default::default();
    for run in 0..setting.runs {
        // A server of its own for each number: what it ever had stays its peak.
        for (at, count) in [(0, many / 4), (3, many)] {
            let round = Round::run(setting, run, count)?;
            peaks[at].push(round.sending);
            peaks[at + 1].push(round.receiving);
            peaks[at + 2].push(round.serving);
            if count == many {
                println!("   {count} files in {:.2} s", round.took);
                rates.push(count as f64 / round.took);
            }
        }
    }
    let rate = Measure::new("files", "per second", rates);
    let mut verdicts =
        vec![Verdict { text: format!("{:.0} files per second (at least {LEAST:.0})", rate.median()), holds: rate.median() >= LEAST }];
    let mut measures = vec![rate];
    for (at, who) in ["sending", "receiving", "serving"].into_iter().enumerate() {
        let few = Measure::new(&format!("{who} {} files", many / 4), "MiB", std::mem::take(&mut peaks[at]));
        let all = Measure::new(&format!("{who} {many} files"), "MiB", std::mem::take(&mut peaks[at + 3]));
        let growth = all.median() - few.median();
        verdicts.push(Verdict {
            text: format!("{who} takes {growth:+.1} MiB for four times the files (at most {GROWTH:.0})"),
            holds: growth <= GROWTH,
        });
        measures.extend([few, all]);
    }
    Ok(Outcome { measures, verdicts })
}

struct Round {
    took: f64,
    sending: f64,
    receiving: f64,
    serving: f64,
}

impl Round {
    fn run(setting: &Setting, run: usize, count: usize) -> Result<Self> {
        let part = Setting { work: setting.work.join(format!("{run}-{count}")), programs: setting.programs.clone(), ..*setting };
        timing::empty(&part.work)?;
        let site = Site::start(&part)?;
        let alice = Client::login(&part, &site.endpoints, "alice", "alice")?;
        let bob = Client::login(&part, &site.endpoints, "bob", "bob")?;
        let (files, into) = (part.work.join("files"), part.work.join("into"));
        timing::empty(&files)?;
        timing::empty(&into)?;
        let mut send = alice.command(&["send", "--quiet", "--to", bob.jid()]);
        for number in 0..count {
            let file = files.join(format!("picture-{number:04}.bin"));
            timing::make_file(&file, 2_000 + (number as u64 * 7_919) % 14_000)?;
            send.arg(&file);
        }
        timing::settle();
        let mut receive = bob.command(&["receive", "--quiet", "--yes", "--count", &count.to_string(), "--timeout", "60", "--into"]);
        receive.arg(&into);
        let log = |name: &str| part.work.join(name);
        let (took, sending, receiving) = std::thread::scope(|scope| {
            let receiving = scope.spawn(|| timing::peak_memory(&mut receive, &log("receive.log")));
            std::thread::sleep(Duration::from_millis(700)); // bob is there before it begins
            let started = Instant::now();
            let sending = timing::peak_memory(&mut send, &log("send.log"));
            let receiving = receiving.join().unwrap_or_else(|_| Err("the watch over the receiver broke".to_owned()));
            (started.elapsed().as_secs_f64(), sending, receiving)
        });
        let (sending, receiving) = (sending?, receiving?);
        let arrived = std::fs::read_dir(&into).map(Iterator::count).map_err(|error| format!("cannot read {}: {error}", into.display()))?;
        if arrived != count {
            return Err(format!("{arrived} of {count} files are in {}", into.display()));
        }
        let serving = site.peak_memory().ok_or("the server is gone")?;
        drop(site);
        std::fs::remove_dir_all(&part.work).map_err(|error| format!("cannot empty {}: {error}", part.work.display()))?;
        Ok(Self { took, sending, receiving, serving })
    }
}
