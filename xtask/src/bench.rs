//! Measures speed and memory of the programs as people run them, against other programs in the same run.

mod build;
mod catalogue;
mod decrypt;
mod direct;
mod fetch;
mod first_try;
mod ground;
mod kills;
mod memory;
mod report;
mod site;
mod small_files;
mod streams;
mod timing;
mod upload;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::run::{Options, cargo, root};

const HELP: &str = "\
cargo xtask bench [--only ROW]... [--size BYTES] [--quick]

Builds the release programs, measures each row and writes docs/benchmarks.md: medians of five runs, ratios within one run.
  --only ROW     only this row; the others in the document stay as they were last measured here
  --size BYTES   bytes of the large file of `upload` and `fetch` (1 GB unless told; `memory` takes four times as much)
  --quick        two runs with a tenth of the bytes, only printed

Needs curl, and for ejabberd and slots by slixmpp what `cargo xtask test` installs (target/peers, or BALCONY_PEERS).
direct, proxied, inband, firstbyte and direct-memory need network namespaces and nft as well.
Rows: try, upload, fetch, decrypt, memory, files, messages, offers, dialects, plan, catalogue, login, direct, proxied, inband, firstbyte,
direct-memory, kills, build.
";

/// A row of the table.
struct Row {
    name: &'static str,
    what: &'static str,
    wanted: &'static str,
    measure: fn(&Setting) -> Result<Outcome>,
}

const ROWS: &[Row] = &[
    Row { name: "try", what: "`balcony try` with a 10 MB file, built, wall", wanted: "≤ 1.0 s", measure: first_try::measure },
    Row {
        name: "upload",
        what: "upload of 1 GB with both digests, own server over TLS",
        wanted: "≥ 0.7 × `curl -T` to the same service (which hashes nothing); ≥ 1.3 × the same upload to ejabberd",
        measure: upload::measure,
    },
    Row {
        name: "fetch",
        what: "fetch of 1 GB with both digests checked and fsync",
        wanted: "≥ 0.7 × `curl -o` of the same URL followed by `sync`",
        measure: fetch::measure,
    },
    Row {
        name: "decrypt",
        what: "fetch of 1 GB encrypted with AES-256-GCM, opened, tag and both digests checked",
        wanted: "≥ 0.7 × the same fetch of a plain file in the same run",
        measure: decrypt::measure,
    },
    Row {
        name: "memory",
        what: "resident memory while sending, receiving or serving 4 GB",
        wanted: "≤ 64 MiB each",
        measure: memory::measure,
    },
    Row {
        name: "files",
        what: "1,000 small files to one contact, on loopback",
        wanted: "≥ 100 files/s, memory flat",
        measure: small_files::measure,
    },
    Row {
        name: "messages",
        what: "small messages A → B through our server, TLS, two cores",
        wanted: "≥ 30,000/s, in order, none lost",
        measure: streams::messages,
    },
    Row {
        name: "offers",
        what: "SFS + SIMS message of 2.7 KB, bytes → `Offer`",
        wanted: "≥ 6,000/s on one core",
        measure: streams::offers,
    },
    Row {
        name: "dialects",
        what: "message of 2.5 KB in any dialect, bytes → `Offer`",
        wanted: "≥ 6,000/s on one core",
        measure: streams::dialects,
    },
    Row { name: "plan", what: "plan for an offer with 50 sources", wanted: "≤ 50 µs", measure: streams::plan },
    Row {
        name: "catalogue",
        what: "catalogue of 100,000 offers: list one conversation's last 50, find by digest",
        wanted: "≤ 5 ms each",
        measure: catalogue::measure,
    },
    Row { name: "login", what: "login (TCP to bound) on loopback, 4,096 iterations", wanted: "≤ 25 ms", measure: streams::login },
    Row {
        name: "direct",
        what: "1 GB from person to person by SOCKS5, on loopback, digests checked and synced",
        wanted: "≥ 0.8 × a bare TCP copy that computes sha-256 and syncs",
        measure: direct::direct,
    },
    Row {
        name: "proxied",
        what: "1 GB from person to person through our proxy",
        wanted: "≥ 1.5 × the same through ejabberd's proxy",
        measure: direct::proxied,
    },
    Row {
        name: "inband",
        what: "100 MB from person to person in band, blocks of 4,096 bytes, our server",
        wanted: "≥ 10 MB/s",
        measure: direct::in_band,
    },
    Row {
        name: "firstbyte",
        what: "from the offer, accepted at once, to the first byte",
        wanted: "≤ 30 ms straight on loopback; ≤ 1.5 s in band when two transports must fail first",
        measure: direct::first_byte,
    },
    Row {
        name: "direct-memory",
        what: "resident memory while 4 GB, or 50 files at once, go from person to person by any transport",
        wanted: "≤ 64 MiB each",
        measure: direct::memory,
    },
    Row {
        name: "kills",
        what: "200 × `kill -9` of sender, receiver or server at random moments of sending and fetching",
        wanted: "0 files lost, 0 sent twice, 0 unverified bytes under a final name",
        measure: kills::measure,
    },
    Row {
        name: "build", what: "fresh release build; whole test command after it", wanted: "≤ 8 min; ≤ 20 min", measure: build::measure
    },
];

/// How to measure.
struct Setting {
    /// Runs of each kind; the median counts.
    runs: usize,
    /// Bytes of the large file.
    size: u64,
    /// An empty folder on the disk of the checkout.
    work: PathBuf,
    /// The folder of the release programs.
    programs: PathBuf,
}

/// What a row measured.
#[derive(Debug, Serialize, Deserialize)]
struct Outcome {
    measures: Vec<Measure>,
    verdicts: Vec<Verdict>,
}

/// One series of measurements.
#[derive(Debug, Serialize, Deserialize)]
struct Measure {
    label: String,
    unit: String,
    values: Vec<f64>,
}

/// One bound, and whether it holds.
#[derive(Debug, Serialize, Deserialize)]
struct Verdict {
    text: String,
    holds: bool,
}

impl Measure {
    fn new(label: &str, unit: &str, values: Vec<f64>) -> Self {
        Self { label: label.to_owned(), unit: unit.to_owned(), values }
    }

    fn median(&self) -> f64 {
        timing::median(&self.values)
    }

    /// How many times as large as another's, run by run: median, least, most.
    fn ratios(&self, rival: &Self) -> [f64; 3] {
        let mut ratios: Vec<f64> = self.values.iter().zip(&rival.values).map(|(own, other)| own / other).collect();
        ratios.sort_by(f64::total_cmp);
        [timing::median(&ratios), ratios.first().copied().unwrap_or(f64::NAN), ratios.last().copied().unwrap_or(f64::NAN)]
    }

    /// The ratio to a rival: taken run by run, as the machine's disk may be another one a minute later; the median counts.
    fn against(&self, rival: &Self, name: &str, least: f64) -> Verdict {
        let [median, low, high] = self.ratios(rival);
        Verdict { text: format!("{median:.2} × {name} ({low:.2} to {high:.2}; at least {least})"), holds: median >= least }
    }
}

pub(crate) fn main(arguments: &[String]) -> Result<()> {
    let mut options = Options::new(arguments, HELP);
    let (mut only, mut size, mut quick) = (Vec::new(), 1_000_000_000, false);
    while let Some(option) = options.next() {
        match option {
            "--only" => only.push(options.value(option)?.to_owned()),
            "--size" => size = options.value(option)?.parse().map_err(|_| "--size wants a number of bytes".to_owned())?,
            "--quick" => quick = true,
            other => return options.unknown(other),
        }
    }
    if let Some(wrong) = only.iter().find(|name| !ROWS.iter().any(|row| row.name == name.as_str())) {
        let names: Vec<&str> = ROWS.iter().map(|row| row.name).collect();
        return Err(format!("there is no row `{wrong}`; rows: {}", names.join(", ")));
    }
    let programs = build_programs()?;
    let work = root().join("target/xtask/bench");
    let (runs, size) = if quick { (2, size / 10) } else { (5, size) };
    let mut failed = Vec::new();
    for row in ROWS.iter().filter(|row| only.is_empty() || only.iter().any(|name| name == row.name)) {
        println!("== {}: {}", row.name, row.what);
        timing::empty(&work)?;
        let setting = Setting { runs, size, work: work.clone(), programs: programs.clone() };
        match (row.measure)(&setting) {
            Ok(outcome) => {
                print!("{}", report::text(&outcome));
                if !quick {
                    report::keep(row.name, &outcome)?;
                }
            }
            Err(error) => {
                println!("{}: {error}", row.name);
                failed.push(row.name);
            }
        }
    }
    timing::empty(&work)?;
    if !quick {
        report::write(ROWS)?;
    }
    if failed.is_empty() { Ok(()) } else { Err(format!("could not measure: {}", failed.join(", "))) }
}

/// Builds what is measured; the folder it lies in. One package after the other: together they would get other features.
fn build_programs() -> Result<PathBuf> {
    for package in ["balcony", "testing-bench"] {
        build(&["--package", package])?;
    }
    Ok(std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from).join("release"))
}

/// A release build of something.
fn build(what: &[&str]) -> Result<()> {
    let status = cargo(&["build", "--quiet", "--release"]).args(what).status().map_err(|error| format!("cannot run cargo: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{} does not build", what.join(" "))) }
}
