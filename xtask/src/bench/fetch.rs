//! A fetch by `balcony receive`, against curl of the same URL.

use std::process::Command;

use super::site::{Client, Site, url_in};
use super::upload::{last, speed};
use super::{Outcome, Setting, timing};
use crate::Result;

pub(super) fn measure(setting: &Setting) -> Result<Outcome> {
    let site = Site::start(setting)?;
    let alice = Client::login(setting, &site.endpoints, "alice", "alice")?;
    let bob = Client::login(setting, &site.endpoints, "bob", "bob")?;
    let file = setting.work.join("large.bin");
    timing::make_file(&file, setting.size)?;
    let (mut balcony, mut curl) = (Vec::new(), Vec::new());
    for run in 0..setting.runs {
        timing::freshen(&file)?;
        let (_, printed) = timing::timed(&mut alice.send(&file, bob.jid()))?;
        let url = url_in(&printed)?;
        let into = setting.work.join(format!("into-{run}"));
        timing::empty(&into)?;
        timing::settle();
        balcony.push(timing::timed(&mut bob.receive(&into))?.0);
        if std::fs::metadata(into.join("large.bin")).map(|file| file.len()).ok() != Some(setting.size) {
            return Err(format!("the file is not in {}", into.display()));
        }
        timing::settle();
        let script = "curl --silent --show-error --fail --noproxy '*' --cacert \"$1\" -o \"$2\" \"$3\" && sync";
        let mut command = Command::new("sh");
        command.args(["-c", script, "sh"]).arg(site.endpoints.ca()).arg(setting.work.join("by-curl.bin")).arg(&url);
        curl.push(timing::timed(&mut command)?.0);
        println!("   balcony {:.2} s, curl and sync {:.2} s", last(&balcony), last(&curl));
        std::fs::remove_dir_all(&into).map_err(|error| format!("cannot empty {}: {error}", into.display()))?;
    }
    let (balcony, curl) = (speed("balcony receive", setting.size, &balcony), speed("curl -o, sync", setting.size, &curl));
    let verdict = balcony.against(&curl, "curl", 0.7);
    Ok(Outcome { measures: vec![balcony, curl], verdicts: vec![verdict] })
}
