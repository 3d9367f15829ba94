//! What the fuzzer found, once more: nothing of it breaks a promise.
//!
//! Proves: SEC-1-1, SEC-1-3, SEC-2-1, SEC-3-1, SEC-4-2, SEC-4-5, SEC-5-2.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;
use std::path::PathBuf;

use testing_fuzz::{TARGETS, Target, target};

fn folder(target: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target)
}

fn files(target: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder(target)).unwrap_or_else(|error| panic!("{target}: {error}"));
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Runs all seeds and all of the saved corpus of a target; names the input that breaks it.
fn replay(name: &str) {
    let Target { run, seeds, .. } = *target(name).unwrap();
    seeds().iter().for_each(|seed| run(seed));
    let files = files(name);
    assert!(files.len() > 10, "the corpus of {name} is gone");
    for file in files {
        let input = std::fs::read(&file).unwrap();
        let done = std::panic::catch_unwind(|| run(&input));
        assert!(done.is_ok(), "{name} breaks with {}", file.display());
    }
}

macro_rules! replays {
    ($($test:ident: $name:literal),* $(,)?) => {
        $(#[test] fn $test() { replay($name); })*

        #[test]
        fn every_target_is_replayed_and_can_be_fuzzed() {
            let replayed = BTreeSet::from([$($name),*]);
            let all: BTreeSet<_> = TARGETS.iter().map(|target| target.name).collect();
            assert_eq!(replayed, all);
            let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
            let manifest = std::fs::read_to_string(root.join("Cargo.toml")).unwrap();
            for name in all {
                assert!(manifest.contains(&format!("name = \"{name}\"")), "{name} is not in fuzz/Cargo.toml");
                let main = std::fs::read_to_string(root.join(format!("fuzz_targets/{name}.rs"))).unwrap();
                assert!(main.contains(&format!("\"{name}\"")), "{name}: its program runs something else");
            }
        }
    };
}

replays! {
    addresses_stay_as_they_are: "addresses",
    attached_sources_join_in_any_order_and_nobody_speaks_for_the_sender: "attach",
    nobody_puts_words_into_the_mouth_of_another_by_a_copy: "copies",
    a_fetch_takes_no_more_than_announced_and_always_ends: "fetch",
    a_stream_says_the_same_wherever_it_is_cut: "framing",
    an_old_offer_moves_no_more_than_there_is_and_always_ends: "initiations",
    any_message_is_read_and_accounted_for: "listings",
    any_name_becomes_one_safe_component: "names",
    whatever_is_read_is_written_in_a_form_that_reads_the_same: "payloads",
    encrypted_bytes_open_alike_in_whatever_pieces: "opening",
    rules_mean_the_same_when_they_are_written: "rules",
    a_stream_ends_once_whatever_the_other_side_says: "streams",
    any_tree_of_sharing_elements_is_read_and_accounted_for: "trees",
    a_session_takes_no_more_than_announced_and_always_ends: "sessions",
    an_upload_hands_out_no_url_before_the_file_is_there_and_always_ends: "upload",
    no_url_leads_into_a_private_network: "web",
    small_words_read_the_same_when_they_are_written: "words",
}

#[test]
fn the_corpus_stays_small() {
    let bytes: u64 = TARGETS.iter().flat_map(|target| files(target.name)).map(|file| file.metadata().unwrap().len()).sum();
    assert!(bytes < 3 << 20, "{bytes} bytes");
}
