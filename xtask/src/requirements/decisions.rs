//! Holds the table of decisions against the tests it names: each decision has a test that is there, or a reason.

use std::collections::BTreeMap;

use crate::sources::Source;

/// The decisions themselves.
const DECISIONS: &str = "docs/requirements/99-ambiguous.md";
/// Which test proves which.
const PROOFS: &str = "docs/requirements/decisions.md";

/// What is wrong with the table, in words. `documents` are those of the requirements, `code` is everything that may hold tests.
pub(crate) fn faults(documents: &[Source], code: &[Source]) -> Vec<String> {
    let text = |path: &str| documents.iter().find(|document| document.path == path).map_or("", |document| document.text.as_str());
    let proofs: BTreeMap<u32, Vec<&str>> = rows(text(PROOFS)).collect();
    let mut faults = Vec::new();
    for (number, _) in rows(text(DECISIONS)) {
        let Some([_, _, tests, reason, ..]) = proofs.get(&number).map(Vec::as_slice) else {
            faults.push(format!("{PROOFS}: decision {number} is missing"));
            continue;
        };
        if tests.is_empty() && reason.is_empty() {
            faults.push(format!("{PROOFS}: decision {number} has neither a test nor a reason"));
        }
        for (test, path) in links(tests) {
            let fault = match doc_of(test, path, code) {
                None => format!("there is no test {test} in {path}"),
                Some(doc) if !says(&doc, number) => format!("{test} in {path} does not say so: `/// Decision {number}.`"),
                Some(_) => continue,
            };
            faults.push(format!("{PROOFS}: decision {number}: {fault}"));
        }
        if links(tests).count() == 0 && !tests.is_empty() {
            faults.push(format!("{PROOFS}: decision {number}: tests are named by links: [name](../../path)"));
        }
    }
    faults
}

/// The rows of a table that begin with a number, as cells.
fn rows(text: &str) -> impl Iterator<Item = (u32, Vec<&str>)> {
    text.lines().filter_map(|line| {
        let cells: Vec<&str> = line.strip_prefix('|')?.trim_end().trim_end_matches('|').split(" | ").map(str::trim).collect();
        Some((cells.first()?.parse().ok()?, cells))
    })
}

/// `[test](../../path)`, as name and path.
fn links(cell: &str) -> impl Iterator<Item = (&str, &str)> {
    cell.split('[').skip(1).filter_map(|link| link.split_once("](../../")).filter_map(|(name, rest)| Some((name, rest.split_once(')')?.0)))
}

/// What is written above a test, if the file has one of this name.
fn doc_of(test: &str, path: &str, code: &[Source]) -> Option<String> {
    let source = code.iter().find(|source| source.path == path)?;
    let lines: Vec<&str> = source.text.lines().map(str::trim).collect();
    let is_head = |line: &str| {
        let name = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ").and_then(|rest| rest.strip_prefix(test));
        name.is_some_and(|rest| rest.starts_with('('))
    };
    let above = |at: usize| lines[..at].iter().rev().copied().take_while(|line| line.starts_with('#') || line.starts_with("//"));
    let is_test = |at: usize| above(at).any(|line| line.starts_with("#[test]") || line.starts_with("#[tokio::test"));
    let at = (0..lines.len()).find(|at| is_head(lines[*at]) && is_test(*at))?;
    let mut doc: Vec<&str> = above(at).filter_map(|line| line.strip_prefix("///")).collect();
    doc.reverse();
    Some(doc.join(""))
}

/// Whether a text speaks of a decision: `Decision 3`, `decisions 3, 12 and 57`.
fn says(doc: &str, number: u32) -> bool {
    doc.split("ecision").skip(1).any(|rest| {
        let list =
            rest.strip_prefix('s').unwrap_or(rest).split(|c: char| !(c.is_ascii_digit() || " ,and".contains(c))).next().unwrap_or_default();
        list.split(|c: char| !c.is_ascii_digit()).any(|word| word.parse() == Ok(number))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::below;

    fn source(path: &str, text: &str) -> Source {
        Source { path: path.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn every_decision_has_a_test_that_is_there_or_a_reason() {
        let documents = below(&["docs/requirements"], &["md"]).unwrap_or_default();
        let code = below(&["crates", "testing", "xtask"], &["rs"]).unwrap_or_default();
        let decided = documents.iter().find(|document| document.path == DECISIONS).map_or(0, |document| rows(&document.text).count());
        assert_eq!(decided, 64);
        assert_eq!(faults(&documents, &code), [""; 0]);
    }

    #[test]
    fn a_test_that_went_away_and_a_row_that_says_nothing_are_faults() {
        let decisions = source(
            DECISIONS,
            "| # | Point | Decision |\n|---|---|---|\n| 1 | a | b |\n| 2 | a | b |\n| 3 | a | b |\n| 4 | a | b |\n| 5 | a | b |",
        );
        let code = source(
            "crates/x/src/y.rs",
            "/// As decision 1 wants it.\n#[test]\nfn here() {}\n/// Decisions 5, 2 and 1.\n#[tokio::test]\nasync fn there() {}\nfn helper() {}",
        );
        let row = |number: u32, tests: &str, reason: &str| format!("| {number} | a | {tests} | {reason} |\n");
        let table = [
            row(1, "[here](../../crates/x/src/y.rs), [there](../../crates/x/src/y.rs)", ""),
            row(2, "[gone](../../crates/x/src/y.rs), [here](../../crates/x/src/z.rs)", ""),
            row(3, "", ""),
            row(4, "[helper](../../crates/x/src/y.rs), [here](../../crates/x/src/y.rs)", "later"),
        ];
        let found = faults(&[decisions, source(PROOFS, &table.concat())], &[code]);
        assert_eq!(
            found,
            [
                "docs/requirements/decisions.md: decision 2: there is no test gone in crates/x/src/y.rs",
                "docs/requirements/decisions.md: decision 2: there is no test here in crates/x/src/z.rs",
                "docs/requirements/decisions.md: decision 3 has neither a test nor a reason",
                "docs/requirements/decisions.md: decision 4: there is no test helper in crates/x/src/y.rs",
                "docs/requirements/decisions.md: decision 4: here in crates/x/src/y.rs does not say so: `/// Decision 4.`",
                "docs/requirements/decisions.md: decision 5 is missing",
            ]
        );
    }
}
