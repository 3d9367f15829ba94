//! The most memory that sender, receiver and server have while a very large file passes. Once: it hardly varies.

use super::site::{Client, Site};
use super::{Measure, Outcome, Setting, Verdict, timing};
use crate::Result;

const MOST: f64 = 64.0;

pub(super) fn measure(setting: &Setting) -> Result<Outcome> {
    let size = setting.size * 4;
    let site = Site::start(setting)?;
    let alice = Client::login(setting, &site.endpoints, "alice", "alice")?;
    let bob = Client::login(setting, &site.endpoints, "bob", "bob")?;
    let file = setting.work.join("huge.bin");
    timing::make_file(&file, size)?;
    let sending = timing::peak_memory(&mut alice.send(&file, bob.jid()), &setting.work.join("send.log"))?;
    let into = setting.work.join("into");
    timing::empty(&into)?;
    let receiving = timing::peak_memory(&mut bob.receive(&into), &setting.work.join("receive.log"))?;
    let serving = site.peak_memory().ok_or("the server is gone")?;
    let measures: Vec<Measure> = [("sending", sending), ("receiving", receiving), ("serving", serving)]
        .map(|(label, peak)| Measure::new(label, "MiB", vec![peak]))
        .into();
    let verdicts = measures.iter().map(|measure| Verdict {
        text: format!("{} {:.0} MiB (at most {MOST:.0})", measure.label, measure.median()),
        holds: measure.median() <= MOST,
    });
    let verdicts = verdicts.collect();
    Ok(Outcome { measures, verdicts })
}
