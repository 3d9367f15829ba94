//! Prints how the rows stand, and writes `status.md`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::rows::Row;
use super::{Standing, Status};

/// What the person wants to see.
#[derive(Default)]
pub(crate) struct Shown {
    pub(crate) list: Option<String>,
    pub(crate) roles: Option<String>,
    pub(crate) open: bool,
}

impl Shown {
    fn wants(&self, row: &Row) -> bool {
        self.list.as_ref().is_none_or(|list| row.list.starts_with(list.as_str()))
            && self.roles.as_ref().is_none_or(|roles| row.roles.chars().any(|role| roles.to_ascii_uppercase().contains(role)))
    }
}

/// Proved, waived, open, unexplained.
type Counts = [usize; 4];

fn column(standing: &Standing<'_>) -> usize {
    match standing {
        Standing::Proved(_) => 0,
        Standing::Waived(_) => 1,
        Standing::Open(_) => 2,
        Standing::Unexplained => 3,
    }
}

fn counts<'a>(status: &'a Status, shown: &Shown) -> BTreeMap<&'a str, Counts> {
    let mut counts: BTreeMap<&str, Counts> = BTreeMap::new();
    for row in status.rows.iter().filter(|row| shown.wants(row)) {
        counts.entry(&row.list).or_default()[column(&status.standing(row))] += 1;
    }
    counts
}

fn total(counts: &BTreeMap<&str, Counts>) -> Counts {
    counts.values().fold([0; 4], |sum, row| std::array::from_fn(|n| sum[n] + row[n]))
}

/// For the terminal.
pub(crate) fn text(status: &Status, shown: &Shown) -> String {
    let mut text = String::new();
    if shown.list.is_some() || shown.open {
        for row in status.rows.iter().filter(|row| shown.wants(row)) {
            let standing = status.standing(row);
            if !shown.open || column(&standing) >= 2 {
                let _ = writeln!(text, "{:14} {:10} {:3} {}\n{:30}{}", row.id, row.level, row.roles, words(&standing), "", row.statement);
            }
        }
    }
    let counts = counts(status, shown);
    let _ = writeln!(text, "{:24}{:>8}{:>8}{:>8}{:>18}", "list", "proved", "waived", "open", "without a reason");
    for (list, [proved, waived, open, unexplained]) in &counts {
        let _ = writeln!(text, "{list:24}{proved:8}{waived:8}{open:8}{unexplained:18}");
    }
    let [proved, waived, open, unexplained] = total(&counts);
    let _ = writeln!(text, "{:24}{proved:8}{waived:8}{open:8}{unexplained:18}", "all");
    text
}

fn words(standing: &Standing<'_>) -> String {
    match standing {
        Standing::Proved(proofs) => {
            let tests = proofs
                .iter()
                .map(|proof| if proof.test.is_empty() { proof.file.clone() } else { format!("{} ({})", proof.test, proof.file) });
            format!("proved by {}", tests.collect::<Vec<_>>().join(", "))
        }
        Standing::Waived(reason) => format!("waived: {reason}"),
        Standing::Open(reason) => format!("open: {reason}"),
        Standing::Unexplained => "open".to_owned(),
    }
}

/// `status.md`
pub(crate) fn markdown(status: &Status) -> String {
    let all = counts(status, &Shown::default());
    let mut text = String::from(
        "# How the requirements stand\n\nMade by `cargo xtask requirements`; do not edit. Reasons are in [reasons.toml](reasons.toml).\n\n\
         | list | proved | waived | open, with a reason | open |\n|---|---|---|---|---|\n",
    );
    for (list, [proved, waived, open, unexplained]) in &all {
        let _ = writeln!(text, "| [{list}]({list}.md) | {proved} | {waived} | {open} | {unexplained} |");
    }
    let [proved, waived, open, unexplained] = total(&all);
    let _ = writeln!(text, "| all | {proved} | {waived} | {open} | {unexplained} |");
    for list in all.keys() {
        let _ = write!(text, "\n## {list}\n\n| ID | level | role | how it stands |\n|---|---|---|---|\n");
        for row in status.rows.iter().filter(|row| row.list == *list) {
            let _ = writeln!(text, "| {} | {} | {} | {} |", row.id, row.level, row.roles, in_table(&status.standing(row)));
        }
    }
    text
}

fn in_table(standing: &Standing<'_>) -> String {
    match standing {
        Standing::Proved(proofs) => {
            let link = |file: &str, name: &str| format!("[{name}](../../{file})");
            let tests = proofs
                .iter()
                .map(|proof| if proof.test.is_empty() { link(&proof.file, &proof.file) } else { link(&proof.file, &proof.test) });
            tests.collect::<Vec<_>>().join(", ")
        }
        other => words(other).replace('|', "\\|"),
    }
}
