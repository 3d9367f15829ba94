//! An upload by `balcony send`: against curl to the same service, and against ejabberd's service.

use std::path::Path;
use std::process::Command;

use testing_peers::{Endpoints, Peers, Server};

use super::site::{Client, Site, peers};
use super::{Measure, Outcome, Setting, timing};
use crate::Result;

pub(super) fn measure(setting: &Setting) -> Result<Outcome> {
    let peers = peers()?;
    let ours = Site::start(setting)?;
    let limit = (setting.size + 1).to_string();
    let theirs = peers.start(Server::Ejabberd, &[("UP_MAX", &limit)]).map_err(|error| error.to_string())?;
    let here = Client::login(setting, &ours.endpoints, "alice", "alice")?;
    let there = Client::login(setting, theirs.endpoints(), "alice", "alice-ejabberd")?;
    let file = setting.work.join("large.bin");
    timing::make_file(&file, setting.size)?;
    let (mut balcony, mut curl, mut ejabberd) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..setting.runs {
        timing::freshen(&file)?;
        timing::settle();
        balcony.push(timing::timed(&mut here.send(&file, &ours.endpoints.jid("bob")))?.0);
        timing::settle();
        curl.push(by_curl(&peers, &ours.endpoints, &file, setting.size)?);
        timing::settle();
        ejabberd.push(timing::timed(&mut there.send(&file, &theirs.endpoints().jid("bob")))?.0);
        println!("   balcony {:.2} s, curl {:.2} s, balcony to ejabberd {:.2} s", last(&balcony), last(&curl), last(&ejabberd));
    }
    let [balcony, curl, ejabberd] = [("balcony send", balcony), ("curl -T, same service", curl), ("balcony send, to ejabberd", ejabberd)]
        .map(|(label, seconds)| speed(label, setting.size, &seconds));
    let verdicts = vec![balcony.against(&curl, "curl", 0.7), balcony.against(&ejabberd, "to ejabberd", 1.3)];
    Ok(Outcome { measures: vec![balcony, curl, ejabberd], verdicts })
}

pub(super) fn last(values: &[f64]) -> f64 {
    values.last().copied().unwrap_or(f64::NAN)
}

/// Seconds as MB/s.
pub(super) fn speed(label: &str, size: u64, seconds: &[f64]) -> Measure {
    Measure::new(label, "MB/s", seconds.iter().map(|seconds| size as f64 / 1e6 / seconds).collect())
}

/// Seconds of `curl -T` into a slot that slixmpp asked for; the asking is not counted.
fn by_curl(peers: &Peers, endpoints: &Endpoints, file: &Path, size: u64) -> Result<f64> {
    let slot = peers.slixmpp(endpoints, "alice/slot").run(&["slot", "large.bin", &size.to_string()]).map_err(|error| error.to_string())?;
    let slot = slot.iter().find(|event| event["event"] == "slot").ok_or_else(|| format!("no slot: {slot:?}"))?;
    let mut command = Command::new("curl");
    command.args([
        "--silent",
        "--show-error",
        "--fail",
        "--noproxy",
        "*",
        "-o",
        "/dev/null",
        "-H",
        "Content-Type: application/octet-stream",
    ]);
    for (name, value) in slot["headers"].as_object().into_iter().flatten() {
        command.arg("-H").arg(format!("{name}: {}", value.as_str().unwrap_or_default()));
    }
    command.arg("--cacert").arg(endpoints.ca()).arg("-T").arg(file).arg(slot["put"].as_str().unwrap_or_default());
    timing::timed(&mut command).map(|(took, _)| took)
}
