//! What must hold of any message about files, whoever wrote it.

use std::time::SystemTime;

use balcony_sharing::dialect::{Reading, read};
use balcony_sharing::explain::{View, explain};
use balcony_sharing::plan::{Circumstances, History, Policy, decide};
use balcony_sharing::{FileName, Offer, Received};
use balcony_wire::{BareJid, Element, Jid, Message};

/// Whose account everything comes to.
pub(crate) fn juliet() -> BareJid {
    Jid::parse("juliet@capulet.lit").unwrap().into_bare().unwrap()
}

/// A message read, and everything it says.
pub(crate) fn holds(received: &Received<Message>) -> Reading {
    let reading = read(received);
    for offer in &reading.offers {
        offer_holds(offer);
    }
    for (index, share) in reading.shares.iter().enumerate() {
        let offered = reading.offers.iter().any(|offer| offer.shares().contains(&index));
        assert!(offered || (share.file.is_none() && share.is_pending()), "a share is lost: {share:?}");
    }
    let record = received.provenance().to_record();
    let again = Received::from_record(received.inner().clone(), &record);
    assert_eq!(again.as_ref().map(Received::provenance), Ok(received.provenance()), "{record}");
    assert_eq!(read(received), reading, "the same message, the same reading");
    reading
}

fn offer_holds(offer: &Offer) {
    assert!(offer.sources().count() <= 64);
    is_safe(&offer.name());
    let policy = Policy::default();
    let around = Circumstances::at(SystemTime::UNIX_EPOCH);
    let decision = decide(offer, &policy, &History::default(), &around);
    let attempts = decision.plan().map_or(0, |plan| plan.attempts.len());
    let sources = offer.sources().count();
    assert!(attempts + decision.left_out().len() >= sources, "a source is neither tried nor left out for a reason");
    assert_eq!(decide(offer, &policy, &History::default(), &around), decision, "the same offer, the same decision");
    is_one_line(&decision.to_string());
    for source in offer.sources() {
        assert!(!source.key().as_str().is_empty());
        if let Some(host) = source.key().host() {
            assert!(!host.chars().any(char::is_control), "{host:?}");
        }
    }
}

/// Decisions are words of ours with names of theirs in them: never more than the size of their message.
fn is_one_line(words: &str) {
    assert!(!words.is_empty() && words.len() < 1 << 16);
}

/// A person asks what it means.
pub(crate) fn is_explained(element: &Element, account: Option<&BareJid>) {
    let printed = explain(element, &View { account, ..View::default() }, &Policy::default(), SystemTime::UNIX_EPOCH).to_string();
    let read: Result<serde_json::Value, _> = serde_json::from_str(&printed);
    assert!(read.is_ok(), "no JSON: {printed}");
}

/// One path component that no shell, terminal or Windows misreads.
pub(crate) fn is_safe(name: &FileName) {
    let name = name.as_str();
    let misleads = |c: char| {
        c.is_control()
            || matches!(c, '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|')
            || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    let ends_well = !name.starts_with(['.', '-']) && !name.ends_with(['.', ' ']);
    assert!(!name.is_empty() && name.len() <= 255 && ends_well && !name.chars().any(misleads), "{name:?}");
    let stem = name.split('.').next().unwrap_or_default().trim_end().to_ascii_lowercase();
    let port = |prefix: &str| stem.strip_prefix(prefix).is_some_and(|digit| digit.len() == 1 && matches!(digit.as_bytes()[0], b'1'..=b'9'));
    assert!(!matches!(stem.as_str(), "con" | "prn" | "aux" | "nul") && !port("com") && !port("lpt"), "a device: {name:?}");
    assert_eq!(std::path::Path::new(name).file_name(), Some(name.as_ref()));
}
