//! Files from person to person: straight, through proxies, in band, how soon the first byte is there, and what memory it takes.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use testing_peers::{Host, Rule};

use super::ground::{Couple, Ground, Serving, Transfer};
use super::upload::{last, speed};
use super::{Measure, Outcome, Setting, Verdict, timing};
use crate::Result;

/// On one host: over its loopback.
const TOGETHER: [Host; 2] = [Host::Alice, Host::Alice];
const APART: [Host; 2] = [Host::Alice, Host::Bob];
/// What is measured is the way by servers, not how long the other ones are tried.
const RELAYED: &[&str] = &["--relay-only"];
const MEMORY: f64 = 64.0;
/// Transfers at once.
const MANY: usize = 50;

pub(super) fn direct(setting: &Setting) -> Result<Outcome> {
    let ground = Ground::new()?;
    let serving = ground.ours(setting, "server", &[])?;
    let couple = ground.couple(setting, &serving, "ours", TOGETHER)?;
    let file = large(setting, setting.size)?;
    let (mut balcony, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..setting.runs {
        timing::freshen(&file)?;
        timing::settle();
        balcony.push(went(&ground.transfer(&couple, &[&file], &setting.work.join("into"), &[])?, "direct")?.took);
        timing::settle();
        bare.push(bare_copy(&ground, setting, &file)?);
        println!("   balcony {:.2} s, bare copy {:.2} s", last(&balcony), last(&bare));
    }
    let (balcony, bare) = (speed("balcony send --direct", setting.size, &balcony), speed("bare TCP copy, sha-256", setting.size, &bare));
    let verdict = balcony.against(&bare, "a bare copy", 0.8);
    Ok(Outcome { measures: vec![balcony, bare], verdicts: vec![verdict] })
}

/// Whole clients, which check the bytes and keep them: they take most of both processors, so what they need themselves hides what a proxy
/// needs. So there are three: a file of which the sender knows the digest, one of which it takes the digest on the way, and sockets that do
/// nothing else.
pub(super) fn proxied(setting: &Setting) -> Result<Outcome> {
    let ground = Ground::new()?;
    let (ours, theirs) = (ground.ours(setting, "server", &[])?, ground.ejabberd()?);
    let here = ground.couple(setting, &ours, "ours", APART)?;
    let there = ground.couple(setting, &theirs, "ejabberd", APART)?;
    let [fresh, known] = ["fresh.bin", "known.bin"].map(|name| setting.work.join(name));
    for file in [&fresh, &known] {
        timing::make_file(file, setting.size)?;
    }
    let go = |couple: &Couple, file: &Path| -> Result<f64> {
        timing::settle();
        Ok(went(&ground.transfer(couple, &[file], &setting.work.join("into"), RELAYED)?, "proxy")?.took)
    };
    // Whoever sends a file knows its digest from then on, unless it changed just before.
    std::thread::sleep(Duration::from_secs(3));
    go(&here, &known)?;
    go(&there, &known)?;
    let [mut told, mut hashed, mut alone] = [const { [const { Vec::new() }; 2] }; 3];
    for _ in 0..setting.runs {
        for (at, (serving, couple)) in [(&ours, &here), (&theirs, &there)].into_iter().enumerate() {
            alone[at].push(proxy_alone(&ground, setting, serving)?);
            timing::freshen(&fresh)?;
            hashed[at].push(go(couple, &fresh)?);
            told[at].push(go(couple, &known)?);
        }
        for (what, took) in [("known", &told), ("hashed", &hashed)] {
            println!("   {what}: by our proxy {:.2} s, by ejabberd's {:.2} s", last(&took[0]), last(&took[1]));
        }
    }
    for file in [&fresh, &known] {
        std::fs::remove_file(file).map_err(|error| format!("cannot remove {}: {error}", file.display()))?;
    }
    let clients = |[ours, theirs]: [Vec<f64>; 2], what: &str| {
        let measure = |whose: &str, took: &[f64]| speed(&format!("by {whose} proxy, {what}"), setting.size, took);
        [measure("our", &ours), measure("ejabberd's", &theirs)]
    };
    let [own, other] = alone;
    let sockets = [Measure::new("our proxy, bare sockets", "MB/s", own), Measure::new("ejabberd's proxy, bare sockets", "MB/s", other)];
    let measured = [clients(told, "digest known before"), sockets, clients(hashed, "digest taken on the way")];
    let [told, alone, hashed] = measured.each_ref();
    let judged = |[ours, theirs]: &[Measure; 2], what: &str| {
        let verdict = ours.against(theirs, "by ejabberd's", 1.5);
        Verdict { text: format!("{what}: {}", verdict.text), ..verdict }
    };
    let verdicts =
        vec![judged(hashed, "digest taken on the way"), judged(told, "digest known to the sender"), judged(alone, "bare sockets")];
    Ok(Outcome { measures: measured.into_iter().flatten().collect(), verdicts })
}

/// There is no proxy, and addresses are not shown.
pub(super) fn in_band(setting: &Setting) -> Result<Outcome> {
    let ground = Ground::new()?;
    let serving = ground.ours(setting, "server", &["--no-proxy"])?;
    let couple = ground.couple(setting, &serving, "ours", APART)?;
    let size = setting.size / 10;
    let file = large(setting, size)?;
    let mut took = Vec::new();
    for _ in 0..setting.runs {
        timing::freshen(&file)?;
        timing::settle();
        took.push(went(&ground.transfer(&couple, &[&file], &setting.work.join("into"), RELAYED)?, "in-band")?.took);
        println!("   in band {:.2} s", last(&took));
    }
    let measure = speed("in band, blocks of 4,096 bytes", size, &took);
    let verdict = Verdict { text: format!("{:.1} MB/s (at least 10)", measure.median()), holds: measure.median() >= 10.0 };
    Ok(Outcome { measures: vec![measure], verdicts: vec![verdict] })
}

/// A small file, so that the first byte is nearly the last one.
pub(super) fn first_byte(setting: &Setting) -> Result<Outcome> {
    let ground = Ground::new()?;
    let serving = ground.ours(setting, "server", &[])?;
    let (together, apart_from) = (ground.couple(setting, &serving, "near", TOGETHER)?, ground.couple(setting, &serving, "far", APART)?);
    let file = large(setting, 10_000)?;
    let (mut measures, mut verdicts) = (Vec::new(), Vec::new());
    let cases = [
        ("straight, over loopback", &together, Vec::new(), "direct", 30.0),
        ("in band after two were refused", &apart_from, without_proxy(&serving, Rule::refuse)?, "in-band", 1_500.0),
        ("in band after two were met by silence", &apart_from, without_proxy(&serving, Rule::swallow)?, "in-band", 1_500.0),
    ];
    for (label, couple, rules, way, most) in cases {
        ground.lab.filter(&rules);
        let mut times = Vec::new();
        for _ in 0..setting.runs {
            timing::freshen(&file)?;
            let transfer = went(&ground.transfer(couple, &[&file], &setting.work.join("into"), &[])?, way)?.first_byte;
            times.push(transfer * 1e3);
        }
        let measure = Measure::new(label, "ms", times);
        let median = measure.median();
        verdicts.push(Verdict { text: format!("{label}: {median:.0} ms (at most {most:.0})"), holds: median <= most });
        measures.push(measure);
    }
    Ok(Outcome { measures, verdicts })
}

/// Once: it hardly varies.
pub(super) fn memory(setting: &Setting) -> Result<Outcome> {
    let ground = Ground::new()?;
    let (with, without) = (ground.ours(setting, "server", &[])?, ground.ours(setting, "poor", &["--no-proxy"])?);
    let near = ground.couple(setting, &with, "near", TOGETHER)?;
    let far = ground.couple(setting, &with, "far", APART)?;
    let in_band = ground.couple(setting, &without, "in-band", APART)?;
    let file = large(setting, setting.size * 4)?;
    let mut seen = Peaks::default();
    let ways: [(_, _, &[&str]); 3] = [(&near, "direct", &[]), (&far, "proxy", RELAYED), (&in_band, "in-band", RELAYED)];
    for (couple, way, options) in ways {
        let transfer = ground.transfer(couple, &[&file], &setting.work.join("into"), options)?;
        seen.add(&format!("{way}, 4 GB"), went(&transfer, way)?);
    }
    std::fs::remove_file(&file).map_err(|error| format!("cannot remove {}: {error}", file.display()))?;
    let files = several(setting)?;
    let files: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
    for (couple, way, options) in ways {
        let transfer = ground.transfer(couple, &files, &setting.work.join("into"), options)?;
        seen.add(&format!("{way}, {MANY} at once"), went(&transfer, way)?);
    }
    for (name, serving) in [("serving, with the proxy", &with), ("serving, in band", &without)] {
        seen.push(name, serving.peak_memory().ok_or("the server is gone")?);
    }
    Ok(seen.outcome())
}

#[derive(Default)]
struct Peaks {
    measures: Vec<Measure>,
}

impl Peaks {
    fn push(&mut self, label: &str, peak: f64) {
        self.measures.push(Measure::new(label, "MiB", vec![peak]));
    }

    fn add(&mut self, label: &str, transfer: &Transfer) {
        for (who, peak) in ["sending", "receiving"].into_iter().zip(transfer.peaks) {
            self.push(&format!("{who} {label}"), peak);
        }
    }

    fn outcome(self) -> Outcome {
        let highest = self.measures.iter().max_by(|a, b| a.median().total_cmp(&b.median()));
        let text = highest.map(|most| format!("at most {:.0} MiB ({}; at most {MEMORY:.0})", most.median(), most.label));
        let holds = self.measures.iter().all(|measure| measure.median() <= MEMORY);
        Outcome { verdicts: vec![Verdict { text: text.unwrap_or_default(), holds }], measures: self.measures }
    }
}

/// The transfer, if it went the way that is measured.
fn went<'a>(transfer: &'a Transfer, way: &str) -> Result<&'a Transfer> {
    if transfer.ways == [way] { Ok(transfer) } else { Err(format!("the bytes went by {:?}, not by {way}", transfer.ways)) }
}

/// Nobody gets through to the other by themself.
fn apart(how: fn(Host, Host) -> Rule) -> Vec<Rule> {
    vec![how(Host::Alice, Host::Bob), how(Host::Bob, Host::Alice)]
}

/// Nor to the proxy.
fn without_proxy(serving: &Serving, how: fn(Host, Host) -> Rule) -> Result<Vec<Rule>> {
    let port = serving.proxy_port()?;
    let mut rules = apart(how);
    rules.extend(APART.map(|host| how(host, Host::Server).port(port)));
    Ok(rules)
}

/// MB/s through a proxy between two sockets that do nothing else.
fn proxy_alone(ground: &Ground, setting: &Setting, serving: &Serving) -> Result<f64> {
    let mut command = Command::new(setting.programs.join("testing-bench"));
    command.args(["relayed", &setting.size.to_string()]).arg(serving.file());
    let (_, printed) = timing::timed(&mut ground.lab.inside(Host::Alice, &command))?;
    printed.trim().parse().map_err(|_| format!("testing-bench printed no number: {printed}"))
}

/// Seconds of a bare copy between two programs on one host.
fn bare_copy(ground: &Ground, setting: &Setting, file: &Path) -> Result<f64> {
    let program = setting.programs.join("testing-bench");
    let mut take = Command::new(&program);
    take.arg("take").arg(setting.work.join("bare.bin")).arg(format!("{}:0", Host::Alice.address()));
    let mut take = ground.lab.inside(Host::Alice, &take);
    let spawned = take.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let mut taking = spawned.map_err(|error| format!("cannot run testing-bench: {error}"))?;
    let mut address = String::new();
    // Open to the end: it has more to say.
    let mut out = taking.stdout.take().map(BufReader::new);
    if let Some(out) = &mut out {
        out.read_line(&mut address).map_err(|error| format!("testing-bench tells no address: {error}"))?;
    }
    let mut give = Command::new(&program);
    give.arg("give").arg(file).arg(address.trim());
    let given = timing::timed(&mut ground.lab.inside(Host::Alice, &give));
    if given.is_err() {
        // It may wait for what never comes.
        let _ = taking.kill();
    }
    let taken = taking.wait().map_err(|error| format!("cannot wait for testing-bench: {error}"))?;
    let (took, _) = given?;
    if taken.success() { Ok(took) } else { Err(format!("testing-bench ended with {taken}")) }
}

fn large(setting: &Setting, size: u64) -> Result<PathBuf> {
    let file = setting.work.join("large.bin");
    timing::make_file(&file, size)?;
    Ok(file)
}

/// Files that are long enough to be under way at the same time.
fn several(setting: &Setting) -> Result<Vec<PathBuf>> {
    let folder = setting.work.join("many");
    timing::empty(&folder)?;
    (0..MANY)
        .map(|number| {
            let file = folder.join(format!("{number}.bin"));
            timing::make_file(&file, setting.size / 100)?;
            timing::freshen(&file)?;
            Ok(file)
        })
        .collect()
}
