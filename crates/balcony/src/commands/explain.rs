//! `balcony explain`: what a stanza offers, what would be done about it, and what was ignored. Offline: nothing is asked of
//! anybody.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::time::SystemTime;

use balcony_sharing::explain::{self, Value, View};
use balcony_sharing::plan::Policy;
use balcony_wire::{BareJid, Element, Jid};

use crate::cli;
use crate::console::Console;
use crate::exit::{Class, Failure};
use crate::safe::Safe;

/// More than any server lets through.
const LARGEST: u64 = 4 << 20;

/// Runs the command.
pub(crate) fn run(console: &Console, args: &cli::Explain) -> Result<(), Failure> {
    let own: Option<BareJid> = match &args.own {
        Some(own) => Some(Jid::parse(own).map_err(|error| Failure::from_error(Class::Usage, &error))?.bare()),
        None => None,
    };
    let text = read(args.file.as_deref())?;
    let element = Element::parse_listing(text.trim()).map_err(|error| {
        Failure::from_error(Class::Usage, &error)
            .advise("give one whole stanza, as it stands in the stream: XML without DTD, comments or processing instructions")
    })?;
    let view = View { account: own.as_ref(), query: args.query.as_deref() };
    let explained = explain::explain(&element, &view, &Policy::default(), SystemTime::now());
    if console.is_json() {
        Console::document(&explained);
    } else {
        console.result("explained", serde_json::Value::Null, words(&explained));
    }
    Ok(())
}

fn read(path: Option<&Path>) -> Result<String, Failure> {
    let (name, source): (String, Box<dyn std::io::Read>) = match path {
        Some(path) if path.as_os_str() != "-" => {
            let file = File::open(path).map_err(|error| Failure::new(Class::Local, format!("cannot read {}: {error}", path.display())))?;
            (path.display().to_string(), Box::new(file))
        }
        _ => ("standard input".to_owned(), Box::new(std::io::stdin().lock())),
    };
    let mut bytes = Vec::new();
    source.take(LARGEST + 1).read_to_end(&mut bytes).map_err(|error| Failure::new(Class::Local, format!("cannot read {name}: {error}")))?;
    if bytes.len() as u64 > LARGEST {
        return Err(Failure::new(Class::Usage, format!("{name} is larger than any stanza")).advise("give one stanza"));
    }
    String::from_utf8(bytes).map_err(|_| Failure::new(Class::Usage, format!("{name} is not UTF-8, so it is no XMPP")))
}

/// The same for people: one paragraph for each file, then what is left of the text, then what was ignored.
fn words(explained: &Value) -> String {
    let mut lines = Vec::new();
    for (number, offer) in list(explained, "offers").iter().enumerate() {
        lines.push(format!("file {}: {}", number + 1, Safe(text(offer, "file"))));
        for (label, key) in [("  from", "provenance"), ("  proof", "proof"), ("  decision", "decision"), ("  why", "words")] {
            lines.push(format!("{label}: {}", Safe(text(offer, key))));
        }
        for (rank, attempt) in list(offer, "plan").iter().enumerate() {
            lines.push(format!("  {}. {} (reveals: {})", rank + 1, Safe(text(attempt, "attempt")), text(attempt, "exposure")));
        }
        for left_out in list(offer, "left_out") {
            lines.push(format!("  not: {}: {}", Safe(text(left_out, "source")), Safe(text(left_out, "reason"))));
        }
    }
    if lines.is_empty() {
        lines.push("no file is offered here".to_owned());
    }
    if let Some(attach) = explained.get("attach") {
        lines.push(format!("further sources for the file of message {}: {}", Safe(text(attach, "to")), list(attach, "sources").len()));
    }
    if let Some(Value::Text(body)) = explained.get("shown_body") {
        lines.push(format!("text shown: {}", Safe(body)));
    }
    for ignored in list(explained, "ignored") {
        lines.push(format!("ignored: {}: {}", Safe(text(ignored, "what")), Safe(text(ignored, "why"))));
    }
    lines.join("\n")
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    match value.get(key) {
        Some(Value::List(values)) => values,
        _ => &[],
    }
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    match value.get(key) {
        Some(Value::Text(text)) => text,
        _ => "",
    }
}
