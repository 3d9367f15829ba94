//! Why a row is waived or open: `docs/requirements/reasons.toml`. A key is a row, or a beginning with `*` behind it; the
//! longest that fits counts.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::Result;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Asks for something Balcony does not mean to do.
    Waived,
    /// Not done yet.
    Open,
}

/// The two tables of the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reasons {
    #[serde(default)]
    waived: BTreeMap<String, String>,
    #[serde(default)]
    open: BTreeMap<String, String>,
}

impl Reasons {
    pub(crate) fn read(text: &str) -> Result<Self> {
        toml::from_str(text).map_err(|error| format!("docs/requirements/reasons.toml: {error}"))
    }

    fn all(&self) -> impl Iterator<Item = (Kind, &str, &str)> {
        let waived = self.waived.iter().map(|(key, reason)| (Kind::Waived, key.as_str(), reason.as_str()));
        waived.chain(self.open.iter().map(|(key, reason)| (Kind::Open, key.as_str(), reason.as_str())))
    }

    pub(crate) fn of(&self, id: &str) -> Option<(Kind, &str)> {
        let fitting = self.all().filter(|(_, key, _)| fits(key, id));
        fitting.max_by_key(|(_, key, _)| (!key.ends_with('*'), key.len())).map(|(kind, _, reason)| (kind, reason))
    }

    /// Keys that fit nothing, and reasons for what is proved.
    pub(crate) fn faults(&self, known: &BTreeSet<&str>, proved: &BTreeSet<&str>) -> Vec<String> {
        let mut faults = Vec::new();
        for (kind, key, reason) in self.all() {
            if !known.iter().any(|id| fits(key, id)) {
                faults.push(format!("reasons.toml: no requirement fits {key}"));
            } else if known.iter().filter(|id| fits(key, id)).all(|id| proved.contains(id)) {
                let word = if kind == Kind::Waived { "waived" } else { "open" };
                faults.push(format!("reasons.toml: {key} is proved by tests, so it is not {word}: take the line out"));
            } else if reason.trim().is_empty() {
                faults.push(format!("reasons.toml: {key} has no reason"));
            }
        }
        faults
    }
}

fn fits(key: &str, id: &str) -> bool {
    key.strip_suffix('*').map_or(key == id, |beginning| id.starts_with(beginning))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_closest_key_counts() {
        let reasons = Reasons::read("[open]\n\"JFT-*\" = \"later\"\n[waived]\nJFT-3-1 = \"never\"\n").unwrap();
        assert_eq!(reasons.of("JFT-3-1"), Some((Kind::Waived, "never")));
        assert_eq!(reasons.of("JFT-3-11"), Some((Kind::Open, "later")));
        assert_eq!(reasons.of("SFS-1-1"), None);
    }

    #[test]
    fn stale_and_unknown_keys_are_faults() {
        let reasons = Reasons::read("[open]\nA-1 = \"later\"\nB-2 = \"later\"\n\"C-*\" = \"later\"\n").unwrap();
        let rows = BTreeSet::from(["A-1", "C-1", "C-2"]);
        // A-1 is proved, B-2 unknown; a pattern may cover some of what is proved, not only that.
        assert_eq!(reasons.faults(&rows, &BTreeSet::from(["A-1", "C-1"])).len(), 2);
        assert_eq!(reasons.faults(&rows, &BTreeSet::from(["A-1", "C-1", "C-2"])).len(), 3);
    }
}
