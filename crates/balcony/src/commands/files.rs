//! `balcony files`: what is kept here, for how long, and whether it is still whole. All of it offline; nothing goes unasked.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use balcony_sharing::{ByteLen, DigestSet, FileName};
use balcony_store::{BlobRef, FileUse, Health, OfferKey, Retention, SizeClass, Store, Swept};
use balcony_wire::hashes::{Digest, HashAlgo};
use serde_json::{Value, json};

use crate::cli::{self, FilesAction, Keep, RetentionAction};
use crate::connect;
use crate::console::Console;
use crate::exit::{Class, Failure};
use crate::fetching;
use crate::home::Home;
use crate::prompt;
use crate::safe::Safe;

/// Offers of one file that are named.
const NAMED: usize = 20;
/// The fewest digits of a digest that may stand for it.
const FEWEST_DIGITS: usize = 6;
const DAY: u64 = 24 * 60 * 60;

fn local(error: &dyn std::error::Error) -> Failure {
    Failure::from_error(Class::Local, error)
}

/// Runs the command.
pub(crate) async fn run(console: &Console, home: &Home, named: Option<&str>, args: &cli::Files) -> Result<(), Failure> {
    let (_, store) = connect::store(home, named)?;
    match args.action.as_ref().unwrap_or(&FilesAction::List { limit: cli::files::LISTED }) {
        FilesAction::List { limit } => list(console, &store, *limit),
        FilesAction::Pin { file } => pin(console, &store, file, true),
        FilesAction::Unpin { file } => pin(console, &store, file, false),
        FilesAction::Export(args) => export(console, &store, args),
        FilesAction::Sweep(args) => sweep(console, &store, args).await,
        FilesAction::Retention { action } => retention(console, &store, action.as_ref().unwrap_or(&RetentionAction::Show)),
        FilesAction::Check { file } => check(console, &store, file.as_deref()),
    }
}

/// What a person calls a file, and where it came from.
struct Origin {
    name: Option<String>,
    from: Vec<String>,
    offers: Vec<i64>,
}

fn origin(store: &Store, sha256: &Digest) -> Result<Origin, Failure> {
    let offers = store.offers_of_blob(sha256, NAMED).map_err(|error| local(&error))?;
    let mut from: Vec<String> = offers.iter().map(|row| row.sender.to_string()).collect();
    from.dedup();
    let name = offers.first().map(|row| row.name.clone());
    Ok(Origin { name, from, offers: offers.iter().map(|row| row.key.number()).collect() })
}

fn seconds(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// How long ago, as people say it.
fn ago(at: SystemTime) -> String {
    let passed = SystemTime::now().duration_since(at).map_or(0, |passed| passed.as_secs());
    match passed {
        0..60 => "just now".to_owned(),
        60..3_600 => format!("{} min ago", passed / 60),
        3_600..DAY => format!("{} h ago", passed / 3_600),
        _ => span(Duration::from_secs(passed)) + " ago",
    }
}

/// A time in days, or exactly where it is shorter.
fn span(time: Duration) -> String {
    match time.as_secs() {
        DAY => "1 day".to_owned(),
        seconds if seconds >= DAY => format!("{} days", seconds / DAY),
        seconds if seconds % 3_600 == 0 => format!("{} h", seconds / 3_600),
        seconds => format!("{seconds} s"),
    }
}

fn list(console: &Console, store: &Store, limit: u32) -> Result<(), Failure> {
    let pins = store.pins().map_err(|error| local(&error))?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let files: Vec<FileUse> = store.all_files().map_err(|error| local(&error))?;
    if files.is_empty() {
        console.step("empty", json!({}), "no files are kept here; `balcony list` shows what was offered");
    }
    for file in files.iter().take(limit).rev() {
        let Origin { name, from, offers } = origin(store, &file.sha256)?;
        let hex = file.sha256.to_hex();
        let is_pinned = pins.binary_search(&file.sha256).is_ok();
        let fields = json!({
            "sha256": hex, "name": name, "size": file.size, "from": from, "offers": offers, "pinned": is_pinned, "used_at": seconds(file.used_at),
        });
        let words = format!(
            "{}  {:>9}  {:<7} {}{}  (used {})",
            &hex[..12],
            ByteLen(file.size).to_string(),
            if is_pinned { "pinned" } else { "" },
            Safe(name.as_deref().unwrap_or("without a name")),
            if from.is_empty() { String::new() } else { format!(" from {}", Safe(&from.join(", "))) },
            ago(file.used_at),
        );
        console.result("file", fields, words);
    }
    let (count, bytes) = (files.len(), files.iter().map(|file| file.size).sum::<u64>());
    console.step("total", json!({"files": count, "bytes": bytes}), format!("{}, {}", counted(count as u64, "file"), ByteLen(bytes)));
    Ok(())
}

fn counted(number: u64, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// The kept file that somebody means: by the number of its offer, by a digest (whichever we computed), or by its first digits.
fn find(store: &Store, word: &str) -> Result<(BlobRef, Option<OfferKey>), Failure> {
    if word.len() < FEWEST_DIGITS
        && let Ok(number) = word.parse()
    {
        return of_offer(store, OfferKey::from_number(number));
    }
    let (algo, hex) = word.split_once(':').map_or((None, word), |(algo, hex)| (HashAlgo::from_name(algo), hex));
    let hex = hex.to_ascii_lowercase();
    let algos: Vec<HashAlgo> = algo.map_or_else(|| HashAlgo::ALL.to_vec(), |algo| vec![algo]);
    let digests: Vec<Digest> = algos.into_iter().filter_map(|algo| Digest::from_hex(algo, &hex).ok()).collect();
    for digest in &digests {
        if let Some(blob) = store.find(&DigestSet::from_iter([digest.clone()])).map_err(|error| local(&error))? {
            return Ok((blob, None));
        }
    }
    if digests.is_empty() && hex.len() >= FEWEST_DIGITS && hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return by_first_digits(store, &hex);
    }
    if let Ok(number) = word.parse() {
        return of_offer(store, OfferKey::from_number(number));
    }
    for digest in digests {
        let claims = store.offers_claiming(&DigestSet::from_iter([digest]), 1).map_err(|error| local(&error))?;
        if let Some(offer) = claims.first() {
            return Err(Failure::new(Class::Usage, "no file of that digest is kept here")
                .advise(format!("it was offered: `balcony fetch {}`", offer.key.number())));
        }
    }
    Err(unknown(word))
}

fn unknown(word: &str) -> Failure {
    Failure::new(Class::Usage, format!("no file {} is kept here", Safe(word))).advise("`balcony files` shows those that are")
}

fn of_offer(store: &Store, key: OfferKey) -> Result<(BlobRef, Option<OfferKey>), Failure> {
    let row = store.offer(key).map_err(|error| local(&error))?;
    let row = row.ok_or_else(|| {
        Failure::new(Class::Usage, format!("there is no offer {key}")).advise("`balcony list` shows those that are there")
    })?;
    let blob = match &row.blob {
        Some(sha256) => store.blob(sha256).map_err(|error| local(&error))?,
        None => None,
    };
    blob.map(|blob| (blob, Some(key))).ok_or_else(|| {
        Failure::new(Class::Usage, format!("{}: the file is not kept here", Safe(&row.name)))
            .advise(format!("`balcony fetch {key}` gets it"))
    })
}

fn by_first_digits(store: &Store, hex: &str) -> Result<(BlobRef, Option<OfferKey>), Failure> {
    let all = store.all_files().map_err(|error| local(&error))?;
    let mut fitting = all.into_iter().filter(|file| file.sha256.to_hex().starts_with(hex));
    match (fitting.next(), fitting.next()) {
        (Some(file), None) => {
            let blob = store.blob(&file.sha256).map_err(|error| local(&error))?;
            blob.map(|blob| (blob, None)).ok_or_else(|| unknown(hex))
        }
        (Some(_), Some(_)) => {
            Err(Failure::new(Class::Usage, format!("several files begin with {hex}")).advise("give more digits of the digest"))
        }
        _ => Err(unknown(hex)),
    }
}

fn pin(console: &Console, store: &Store, word: &str, keep: bool) -> Result<(), Failure> {
    let sha256 = find(store, word)?.0.sha256().clone();
    let changed = if keep { store.pin(&sha256) } else { store.unpin(&sha256) }.map_err(|error| local(&error))?;
    let (event, words) = match (keep, changed) {
        (true, true) => ("pinned", "pinned: no sweep takes it"),
        (true, false) => ("pinned", "it was pinned already"),
        (false, true) => ("unpinned", "a sweep may take it from now on"),
        (false, false) => ("unpinned", "it was not pinned"),
    };
    console.result(event, json!({"sha256": sha256.to_hex(), "changed": changed}), words);
    Ok(())
}

fn export(console: &Console, store: &Store, args: &cli::Export) -> Result<(), Failure> {
    fetching::is_folder(&args.into)?;
    let (blob, offer) = find(store, &args.file)?;
    let name = match (&args.name, offer) {
        (Some(name), _) => name.clone(),
        (None, Some(key)) => store.offer(key).map_err(|error| local(&error))?.map(|row| row.name).unwrap_or_default(),
        (None, None) => origin(store, blob.sha256())?.name.unwrap_or_else(|| blob.sha256().to_hex()),
    };
    let path = store.export(&blob, &args.into, &FileName::from_peer(&name), args.clash.choice()).map_err(|error| local(&error))?;
    let fields = json!({"path": path, "sha256": blob.sha256().to_hex(), "size": blob.size(), "proven": blob.is_proven()});
    let proof = if blob.is_proven() { "proven" } else { "UNPROVEN: nothing shows that these are the bytes that were meant" };
    console.result("saved", fields, format!("saved {} ({}, {proof})", Safe(&path.to_string_lossy()), ByteLen(blob.size())));
    Ok(())
}

/// What the options say; `None` without any.
fn wanted(keep: &Keep) -> Option<Retention> {
    let classes = keep
        .larger_than
        .iter()
        .map(|large| SizeClass { larger_than: large.bytes, max_age: large.unused_for.or(keep.older_than).unwrap_or_default() });
    let classes: Vec<SizeClass> = classes.collect();
    // `--larger-than 1G --older-than 30d` is about large files only
    let is_of_class = keep.larger_than.iter().any(|large| large.unused_for.is_none());
    let max_age = keep.older_than.filter(|_| !is_of_class);
    let retention = Retention { max_bytes: keep.keep_total, max_age, classes };
    (!retention.keeps_all()).then_some(retention)
}

/// A retention as a person reads it, a line each.
fn lines(retention: &Retention) -> Vec<String> {
    let mut lines = Vec::new();
    lines.extend(retention.max_bytes.map(|bytes| format!("keep {} in all; the longest unused go first", ByteLen(bytes))));
    lines.extend(retention.max_age.map(|age| format!("files that nobody used for {} go", span(age))));
    for class in &retention.classes {
        let larger = ByteLen(class.larger_than);
        lines.push(match class.max_age {
            Duration::ZERO => format!("files larger than {larger} go"),
            age => format!("files larger than {larger} that nobody used for {} go", span(age)),
        });
    }
    if lines.is_empty() {
        lines.push("everything is kept".to_owned());
    }
    lines
}

fn retention_fields(retention: &Retention) -> Value {
    let classes = retention.classes.iter().map(|class| json!({"larger_than": class.larger_than, "unused_for": class.max_age.as_secs()}));
    json!({
        "keep_total": retention.max_bytes,
        "older_than": retention.max_age.map(|age| age.as_secs()),
        "larger_than": classes.collect::<Vec<_>>(),
    })
}

fn retention(console: &Console, store: &Store, action: &RetentionAction) -> Result<(), Failure> {
    if let RetentionAction::Set { keep, everything } = action {
        let wanted = wanted(keep);
        if wanted.is_none() && !everything {
            return Err(Failure::new(Class::Usage, "there is nothing to set").advise("say what goes, or --keep-everything"));
        }
        store.set_retention(&wanted.unwrap_or_default()).map_err(|error| local(&error))?;
    }
    let retention = store.retention().map_err(|error| local(&error))?;
    console.result("retention", retention_fields(&retention), lines(&retention).join("\n"));
    if !retention.keeps_all() {
        console.step("hint", json!({}), "nothing goes by itself: `balcony files sweep` takes what is too much");
    }
    Ok(())
}

async fn sweep(console: &Console, store: &Store, args: &cli::Sweep) -> Result<(), Failure> {
    let retention = match wanted(&args.keep) {
        Some(retention) => retention,
        None => store.retention().map_err(|error| local(&error))?,
    };
    for line in lines(&retention) {
        console.step("rule", json!({"words": line}), line);
    }
    let now = SystemTime::now();
    let seen = store.would_sweep(&retention, now).map_err(|error| local(&error))?;
    if args.dry_run || is_nothing(&seen) {
        return told(console, store, &seen, args.dry_run);
    }
    let question = format!("Remove {} for good? Copies that you saved elsewhere stay.", amount(&seen));
    match if args.yes { Some(true) } else { prompt::agree(&question).await } {
        Some(true) => {}
        Some(false) => {
            console.step("left", json!({}), "nothing was removed");
            return Ok(());
        }
        None => {
            told(console, store, &seen, true)?;
            return Err(Failure::new(Class::Policy, format!("{} would be removed, and there is nobody to ask", amount(&seen)))
                .advise("if you agree: --yes; `--dry-run` only tells"));
        }
    }
    let swept = store.sweep(&retention, now).map_err(|error| local(&error))?;
    told(console, store, &swept, false)
}

/// What the person set with `balcony files retention` is done without a question; without such rules nothing goes.
pub(crate) fn obey_retention(console: &Console, store: &Store) -> Result<(), Failure> {
    let retention = store.retention().map_err(|error| local(&error))?;
    if retention == Retention::default() {
        return Ok(());
    }
    let swept = store.sweep(&retention, SystemTime::now()).map_err(|error| local(&error))?;
    if is_nothing(&swept) { Ok(()) } else { told(console, store, &swept, false) }
}

fn is_nothing(swept: &Swept) -> bool {
    swept.files.is_empty() && swept.transfers.0 == 0 && swept.strays.0 == 0
}

/// How much it is, in words.
fn amount(swept: &Swept) -> String {
    let mut parts = Vec::new();
    if !swept.files.is_empty() {
        parts.push(format!("{} ({})", counted(swept.files.len() as u64, "file"), ByteLen(swept.bytes)));
    }
    if swept.transfers.0 > 0 {
        parts.push(format!("{} ({})", counted(swept.transfers.0, "unfinished transfer"), ByteLen(swept.transfers.1)));
    }
    if swept.strays.0 > 0 {
        parts.push(format!("{} ({})", counted(swept.strays.0, "stray"), ByteLen(swept.strays.1)));
    }
    if parts.is_empty() { "nothing".to_owned() } else { parts.join(", ") }
}

/// What went, or would go, and what was kept back.
fn told(console: &Console, store: &Store, swept: &Swept, is_dry: bool) -> Result<(), Failure> {
    let event = if is_dry { "would-remove" } else { "removed" };
    for file in &swept.files {
        let hex = file.sha256.to_hex();
        let name = if is_dry { origin(store, &file.sha256)?.name } else { None };
        let fields = json!({"sha256": hex, "size": file.size, "used_at": seconds(file.used_at), "name": name});
        let words = format!(
            "{} {}  {:>9}  {} (used {})",
            if is_dry { "would remove" } else { "removed" },
            &hex[..12],
            ByteLen(file.size).to_string(),
            Safe(name.as_deref().unwrap_or_default()),
            ago(file.used_at)
        );
        console.result(event, fields, words.trim_end());
    }
    let kept = swept.kept;
    let fields = json!({
        "dry_run": is_dry, "files": swept.files.len(), "bytes": swept.bytes, "left": swept.left,
        "transfers": swept.transfers.0, "strays": swept.strays.0,
        "kept": {"pinned": kept.pinned, "wanted": kept.wanted, "in_use": kept.in_use, "recent": kept.recent},
    });
    let verb = if is_dry { "would go" } else { "went" };
    console.result("swept", fields, format!("{} {verb}; {} are left", amount(swept), ByteLen(swept.left)));
    let reasons = [
        (kept.pinned, "pinned"),
        (kept.wanted, "in a message that is not out yet"),
        (kept.in_use, "in use"),
        (kept.recent, "used within the last minute"),
    ];
    for (count, why) in reasons.into_iter().filter(|(count, _)| *count > 0) {
        console.step("kept", json!({"files": count, "why": why}), format!("kept {}: {why}", counted(count, "file")));
    }
    Ok(())
}

fn check(console: &Console, store: &Store, word: Option<&str>) -> Result<(), Failure> {
    let names: Vec<(Digest, u64)> = match word {
        Some(word) => {
            let blob = find(store, word)?.0;
            vec![(blob.sha256().clone(), blob.size())]
        }
        None => store.all_files().map_err(|error| local(&error))?.into_iter().map(|file| (file.sha256, file.size)).collect(),
    };
    let mut bar = console.bar("checking", Some(names.iter().map(|(_, size)| size).sum()));
    let (mut bytes, mut whole, mut harmed) = (0, 0_u64, 0_u64);
    for (sha256, size) in &names {
        let origin = origin(store, sha256)?;
        let health = store.check(sha256).map_err(|error| local(&error))?;
        bytes += size;
        bar.at(bytes);
        match health {
            Health::Whole => whole += 1,
            Health::Passed => {}
            Health::Damaged(aside) => {
                harmed += 1;
                let path = aside.to_string_lossy().into_owned();
                tell_harm(console, sha256, &origin, "damaged", &format!("has other bytes; they are in {path} now"), Some(&path));
            }
            Health::Missing => {
                harmed += 1;
                tell_harm(console, sha256, &origin, "missing", "is gone from the disk", None);
            }
        }
    }
    bar.done();
    let fields = json!({"files": names.len(), "whole": whole, "harmed": harmed, "bytes": bytes});
    console.result("checked", fields, format!("{} checked ({}), {harmed} harmed", counted(names.len() as u64, "file"), ByteLen(bytes)));
    if harmed > 0 {
        return Err(Failure::new(Class::Local, format!("{} lost their bytes", counted(harmed, "file")))
            .advise("fetch them again while their sources live, and have a look at the disk"));
    }
    Ok(())
}

fn tell_harm(console: &Console, sha256: &Digest, origin: &Origin, event: &str, what: &str, aside: Option<&str>) {
    let name = origin.name.as_deref().unwrap_or("a file without a name");
    let again = origin.offers.first().map_or_else(String::new, |key| format!("; `balcony fetch {key}` gets it again"));
    let fields = json!({"sha256": sha256.to_hex(), "name": origin.name, "offers": origin.offers, "aside": aside});
    console.result(event, fields, format!("{}: {}{again}", Safe(name), Safe(what)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_said_in_plain_words() {
        assert_eq!(lines(&Retention::default()), ["everything is kept"]);
        let class = SizeClass { larger_than: 1 << 30, max_age: Duration::from_secs(30 * DAY) };
        let retention = Retention { max_bytes: Some(10_000_000_000), max_age: Some(Duration::from_secs(90 * DAY)), classes: vec![class] };
        assert_eq!(
            lines(&retention),
            [
                "keep 10 GB in all; the longest unused go first",
                "files that nobody used for 90 days go",
                "files larger than 1 GB that nobody used for 30 days go"
            ]
        );
    }

    #[test]
    fn large_and_old_together_is_about_large_files_only() {
        let month = Duration::from_secs(30 * DAY);
        let keep =
            Keep { keep_total: None, older_than: Some(month), larger_than: vec![crate::cli::files::Large { bytes: 7, unused_for: None }] };
        let class = SizeClass { larger_than: 7, max_age: month };
        assert_eq!(wanted(&keep), Some(Retention { max_bytes: None, max_age: None, classes: vec![class] }));
        let each = Keep { larger_than: vec![crate::cli::files::Large { bytes: 7, unused_for: Some(Duration::from_secs(DAY)) }], ..keep };
        assert_eq!(wanted(&each).and_then(|retention| retention.max_age), Some(month));
        assert_eq!(wanted(&Keep { keep_total: None, older_than: None, larger_than: Vec::new() }), None);
    }
}
