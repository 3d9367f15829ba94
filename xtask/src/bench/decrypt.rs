//! A fetch of an encrypted file by `balcony receive`, against a fetch of a plain one of the same size in the same run.

use std::process::Command;

use super::site::{Client, Site, url_in};
use super::upload::{last, speed};
use super::{Outcome, Setting, timing};
use crate::Result;

pub(super) fn measure(setting: &Setting) -> Result<Outcome> {
    let site = Site::start(setting)?;
    let alice = Client::login(setting, &site.endpoints, "alice", "alice")?;
    let bob = Client::login(setting, &site.endpoints, "bob", "bob")?;
    let (file, sealed) = (setting.work.join("large.bin"), setting.work.join("sealed.bin"));
    timing::make_file(&file, setting.size)?;
    let (mut plain, mut encrypted) = (Vec::new(), Vec::new());
    for run in 0..setting.runs {
        timing::freshen(&file)?;
        timing::timed(&mut alice.send(&file, bob.jid()))?;
        plain.push(receive(setting, &bob, &format!("plain-{run}"))?);
        // Other bytes: those of a moment ago are there already.
        timing::freshen(&file)?;
        timing::timed(bench(setting).arg("seal").arg(&file).arg(&sealed))?;
        let (_, printed) = timing::timed(&mut alice.send(&sealed, alice.jid()))?;
        timing::timed(bench(setting).arg("offer-sealed").arg(&file).arg(url_in(&printed)?).arg(site.endpoints.file()))?;
        encrypted.push(receive(setting, &bob, &format!("encrypted-{run}"))?);
        println!("   plain {:.2} s, encrypted {:.2} s", last(&plain), last(&encrypted));
    }
    let (plain, encrypted) =
        (speed("balcony receive, plain", setting.size, &plain), speed("balcony receive, AES-256-GCM", setting.size, &encrypted));
    let verdict = encrypted.against(&plain, "the plain fetch", 0.7);
    Ok(Outcome { measures: vec![encrypted, plain], verdicts: vec![verdict] })
}

fn bench(setting: &Setting) -> Command {
    Command::new(setting.programs.join("testing-bench"))
}

/// Seconds until bob has the file that was offered to him.
fn receive(setting: &Setting, bob: &Client, folder: &str) -> Result<f64> {
    let into = setting.work.join(folder);
    timing::empty(&into)?;
    timing::settle();
    let (took, printed) = timing::timed(&mut bob.receive(&into))?;
    if std::fs::metadata(into.join("large.bin")).map(|file| file.len()).ok() != Some(setting.size) {
        return Err(format!("the file is not in {}: {printed}", into.display()));
    }
    std::fs::remove_dir_all(&into).map_err(|error| format!("cannot empty {}: {error}", into.display()))?;
    Ok(took)
}
