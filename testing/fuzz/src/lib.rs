//! What the fuzzer runs: a plain function of bytes for each target, and the inputs it starts from.
//!
//! A function returns when all is well and panics when a promise is broken. `fuzz/` hands the functions to libFuzzer; what it
//! found worth keeping lies in `fuzz/corpus/`, and `tests/replay.rs` runs all of it in the test command.

#![allow(clippy::unwrap_used, clippy::panic, reason = "for tests only: a panic is what is looked for")]

mod addresses;
mod attach;
mod choices;
mod copies;
mod fetch;
mod framing;
mod initiations;
mod messages;
mod names;
mod offered;
mod opening;
mod payloads;
mod rules;
mod seeds;
mod sessions;
mod streams;
mod trees;
mod upload;
mod web;
mod words;

/// One thing to fuzz.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name: that of the file in `fuzz/fuzz_targets/` and of the folder in `fuzz/corpus/`.
    pub name: &'static str,
    /// Panics when a promise is broken.
    pub run: fn(&[u8]),
    /// Inputs to start from.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "addresses", run: addresses::run, seeds: seeds::addresses },
    Target { name: "attach", run: attach::run, seeds: seeds::noise },
    Target { name: "copies", run: copies::run, seeds: seeds::copies },
    Target { name: "fetch", run: fetch::run, seeds: seeds::noise },
    Target { name: "framing", run: framing::run, seeds: seeds::streams },
    Target { name: "initiations", run: initiations::run, seeds: initiations::seeds },
    Target { name: "listings", run: messages::run, seeds: seeds::messages },
    Target { name: "names", run: names::run, seeds: seeds::names },
    Target { name: "opening", run: opening::run, seeds: opening::seeds },
    Target { name: "payloads", run: payloads::run, seeds: seeds::payloads },
    Target { name: "rules", run: rules::run, seeds: rules::seeds },
    Target { name: "sessions", run: sessions::run, seeds: seeds::noise },
    Target { name: "streams", run: streams::run, seeds: seeds::sessions },
    Target { name: "trees", run: trees::run, seeds: seeds::noise },
    Target { name: "upload", run: upload::run, seeds: seeds::noise },
    Target { name: "web", run: web::run, seeds: seeds::urls },
    Target { name: "words", run: words::run, seeds: seeds::words },
];

/// The target of that name.
#[must_use]
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

/// Words of the formats, as libFuzzer reads them.
#[must_use]
pub fn dictionary() -> String {
    seeds::dictionary()
}
