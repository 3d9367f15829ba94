//! `balcony why`: where a file could be had, in which order, what that reveals and to whom, which rule decides, and what was tried.
//! Offline.

use std::time::{Duration, SystemTime};

use balcony_client::{Policy, Way, Why, Wish};
use balcony_sharing::plan::{Answer, Decision, LeftOut, Reason, Record, Verdict};
use balcony_sharing::{ExposureKind, NamedBy, SourceKey};
use balcony_store::OfferState;
use serde_json::{Value, json};

use super::offers::find;
use crate::cli;
use crate::console::Console;
use crate::exit::{Class, Failure};
use crate::fetching;
use crate::home::Home;
use crate::safe::Safe;

/// Runs the command.
pub(crate) async fn run(console: &Console, home: &Home, named: Option<&str>, args: &cli::Why) -> Result<(), Failure> {
    let (fetcher, offer) = find(home, named, args.offer)?;
    console.result("offer", fetching::fields(&offer), fetching::words(&offer));
    if offer.state() == OfferState::Own {
        let words = format!("  you sent this to {}", Safe(offer.provenance().conversation().as_str()));
        console.result("decision", json!({"decision": "own", "words": "sent by yourself"}), words);
        return Ok(());
    }
    let policy = fetcher.policy();
    let why = fetcher.why(&offer, &policy, Wish::default()).await.map_err(|error| Failure::from_error(Class::Local, &error))?;
    show(console, &why, &policy);
    let is_offline = |left_out: &LeftOut| matches!(left_out.reason, Reason::Offline);
    if !matches!(why.unasked, Decision::Have(_)) && why.left_out.iter().any(is_offline) {
        let next = match fetching::only_in_its_session(&offer) {
            true => "ask them to send it again, while `balcony receive` runs".to_owned(),
            false => format!("`balcony fetch {}` connects and looks whose devices are there", args.offer),
        };
        console.result("hint", json!({"next": next}), format!("  next: {next}"));
    }
    Ok(())
}

/// Shows all of it.
pub(crate) fn show(console: &Console, why: &Why, policy: &Policy) {
    let is_same = why.unasked.to_string() == why.asked.to_string();
    for (event, decision, when) in [("decision", &why.unasked, "unasked"), ("if-asked", &why.asked, "if you ask for it")] {
        let words = match decision {
            Decision::Ask(question) => {
                let concerns: Vec<_> = question.concerns().iter().map(ToString::to_string).collect();
                format!("you are asked: {}", concerns.join("; "))
            }
            other => other.to_string(),
        };
        let line = format!("  {when}: {}", Safe(&words));
        match event {
            "if-asked" if is_same && !console.is_json() => {}
            _ => console.result(event, json!({"decision": decision.as_str(), "words": words}), line),
        }
    }
    for answer in &why.answers {
        console.result("agreed", json!({"answer": answer.to_record()}), format!("  you agreed {}", Safe(&agreed(answer))));
    }
    if matches!(why.unasked, Decision::Have(_)) && !console.is_json() {
        for record in why.history.records() {
            console.result("tried", Value::Null, format!("  {}", Safe(&told_of(record))));
        }
        return;
    }
    if !why.ways.is_empty() {
        heading(console, "  what can be tried, in this order:");
    }
    for (rank, way) in why.ways.iter().enumerate() {
        show_way(console, rank + 1, way, why, policy);
    }
    if !why.left_out.is_empty() {
        heading(console, "  what is left out:");
    }
    for left_out in &why.left_out {
        show_left_out(console, left_out, why);
    }
    show_history(console, why);
}

/// What was tried before: for programs all of it, for people what does not stand with its source already.
fn show_history(console: &Console, why: &Why) {
    let told_at = |source: &SourceKey| {
        why.ways.iter().any(|way| way.attempt.source == *source) || why.left_out.iter().any(|left_out| left_out.source == *source)
    };
    for record in why.history.records() {
        if console.is_json() || !told_at(&record.source) {
            console.result("tried", tried_fields(record), format!("  {}", Safe(&told_of(record))));
        }
    }
}

/// Words that only people need.
fn heading(console: &Console, words: &str) {
    if !console.is_json() {
        console.result("heading", Value::Null, words);
    }
}

fn show_way(console: &Console, rank: usize, way: &Way, why: &Why, policy: &Policy) {
    let attempt = &way.attempt;
    let (how, exposure) = (attempt.how.to_string(), attempt.exposure.to_string());
    let named_by = match &attempt.named_by {
        NamedBy::Sender => "sender",
        NamedBy::Other(other) => other.as_str(),
    };
    let rule = way.ruling.rule.and_then(|at| Some((at + 1, policy.rules().get(at)?.to_string())));
    let mut lines = vec![format!("  {rank}. {}", Safe(&how)), format!("     {}", Safe(&exposure))];
    if let NamedBy::Other(other) = &attempt.named_by {
        lines.push(format!("     {}, who does not offer the file, says that it is there", Safe(other.as_str())));
    }
    let decides = match &rule {
        Some((number, rule)) => format!("rule {number} decides: {rule}"),
        None => "no rule is about it, so you are asked".to_owned(),
    };
    lines.push(format!("     {}", Safe(&decides)));
    let mut passed = Vec::new();
    for (at, misses) in way.passed_over.iter().enumerate() {
        let Some(rule) = policy.rules().get(at) else { continue };
        let words = misses.iter().map(|miss| miss.words(rule)).collect::<Vec<_>>().join(", ");
        // What forbids or asks and is not about this is no news; what would have fetched it is.
        if rule.verdict == Verdict::Fetch {
            lines.push(format!("     rule {} does not fetch it: {}", at + 1, Safe(&words)));
        }
        passed.push(json!({"rule": at + 1, "words": words}));
    }
    let tried: Vec<_> = why.history.records().iter().filter(|record| record.source == attempt.source).collect();
    lines.extend(tried.iter().map(|record| format!("     {}", Safe(&told(record)))));
    let fields = json!({
        "rank": rank,
        "attempt": how,
        "exposure": attempt.exposure.kind().as_str(),
        "words": exposure,
        "named_by": named_by,
        "verdict": way.ruling.verdict.as_str(),
        "rule": rule.as_ref().map(|(number, _)| number),
        "rule_text": rule.as_ref().map(|(_, text)| text),
        "passed_over": passed,
    });
    console.result("attempt", fields, lines.join("\n"));
}

fn show_left_out(console: &Console, left_out: &LeftOut, why: &Why) {
    let words = left_out.reason.to_string();
    let tried: Vec<_> = why.history.records().iter().filter(|record| record.source == left_out.source).collect();
    let mut lines = vec![format!("  - {}", Safe(&left_out.what)), format!("    {}", Safe(&words))];
    lines.extend(tried.iter().map(|record| format!("    {}", Safe(&told(record)))));
    let fields = json!({
        "source": left_out.what,
        "reason": left_out.reason.code(),
        "words": words,
    });
    console.result("left-out", fields, lines.join("\n"));
}

fn told(record: &Record) -> String {
    let ago = SystemTime::now().duration_since(record.at).unwrap_or_default();
    format!("tried {}: {}", since(ago), record.outcome)
}

/// The same where it is not said beside its source.
fn told_of(record: &Record) -> String {
    let source = record.source.whom().map_or_else(String::new, |host| format!("{host}, "));
    format!("{source}{}", told(record))
}

fn tried_fields(record: &Record) -> Value {
    let at = record.at.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    json!({"outcome": record.outcome.code(), "words": record.outcome.to_string(), "at": at})
}

fn agreed(answer: &Answer) -> String {
    match answer {
        Answer::Fetch => "to fetch it".to_owned(),
        Answer::Unproven => "to take it without proof".to_owned(),
        Answer::Reveal(exposure) => format!("that {exposure}"),
        Answer::RevealAny(ExposureKind::Peer) => "that people's devices see your IP address".to_owned(),
        Answer::RevealAny(_) => "that other hosts see your IP address".to_owned(),
        Answer::RelayOnly => "to fetch it from people's devices by way of servers only, so that they do not see your IP address".to_owned(),
        Answer::NamedBy(other) => format!("to go where {other} says that it is"),
    }
}

/// How long ago, as one would say it.
fn since(ago: Duration) -> String {
    let seconds = ago.as_secs();
    let (number, unit) = match seconds {
        0..60 => return "less than a minute ago".to_owned(),
        60..3600 => (seconds / 60, "minute"),
        3600..86_400 => (seconds / 3600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    format!("{number} {unit}{} ago", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_told_as_people_tell_it() {
        let said = |seconds| since(Duration::from_secs(seconds));
        assert_eq!((said(3), said(61)), ("less than a minute ago".to_owned(), "1 minute ago".to_owned()));
        assert_eq!((said(7200), said(200_000)), ("2 hours ago".to_owned(), "2 days ago".to_owned()));
    }
}
