//! Which requirement is proved by which test, which is waived or open and why.

mod decisions;
mod proofs;
mod reasons;
mod report;
mod rows;

use std::collections::{BTreeMap, BTreeSet};

use crate::Result;
use crate::run::{Options, root, write_or_check};
use crate::sources::below;
use proofs::Proof;
use reasons::{Kind, Reasons};
use rows::Row;

const HELP: &str = "\
cargo xtask requirements [--check] [--list NN] [--role CRS] [--open]

Reads the rows of docs/requirements/*.md, the lines `/// Proves: SFS-3.1-8, FB-2.2-3.` above tests (`//! Proves:` for a whole file,
`# Proves:` in scripts) and the reasons in docs/requirements/reasons.toml; prints each list's rows as proved, waived, open with a reason
or open without one, and writes docs/requirements/status.md.
  --list NN    prints the rows of the list whose name begins with NN
  --role CRS   only rows with one of these roles: C sends, R receives, S serves
  --open       prints the rows that are open
  --check      writes nothing; it is an error if status.md is out of date
Unknown rows in tests and reasons, and reasons for rows that are proved, are errors, and so are decisions (docs/requirements/decisions.md)
without a test that is there or a reason.
";

/// All rows with what is known of each.
pub(crate) struct Status {
    rows: Vec<Row>,
    proofs: BTreeMap<String, BTreeSet<Proof>>,
    reasons: Reasons,
}

/// How one row stands.
enum Standing<'a> {
    Proved(&'a BTreeSet<Proof>),
    Waived(&'a str),
    Open(&'a str),
    Unexplained,
}

pub(crate) fn main(arguments: &[String]) -> Result<()> {
    let mut options = Options::new(arguments, HELP);
    let mut shown = report::Shown::default();
    let mut check = false;
    while let Some(option) = options.next() {
        match option {
            "--check" => check = true,
            "--open" => shown.open = true,
            "--list" => shown.list = Some(options.value(option)?.to_owned()),
            "--role" => shown.roles = Some(options.value(option)?.to_owned()),
            other => return options.unknown(other),
        }
    }
    let status = Status::collect()?;
    if !check {
        print!("{}", report::text(&status, &shown));
    }
    write_or_check("docs/requirements/status.md", &report::markdown(&status), check, "cargo xtask requirements")?;
    let proved = status.rows.iter().filter(|row| matches!(status.standing(row), Standing::Proved(_))).count();
    println!("requirements: {proved} of {} rows proved", status.rows.len());
    Ok(())
}

impl Status {
    fn collect() -> Result<Self> {
        let documents = below(&["docs/requirements"], &["md"])?;
        let rows = rows::read(&documents)?;
        let known: BTreeSet<&str> = rows.iter().map(|row| row.id.as_str()).collect();
        let code = below(&["crates", "testing", "xtask"], &["rs", "py", "sh"])?;
        let (proofs, mut faults) = proofs::read(&code);
        faults.extend(decisions::faults(&documents, &code));
        let text = std::fs::read_to_string(root().join("docs/requirements/reasons.toml"))
            .map_err(|error| format!("docs/requirements/reasons.toml: {error}"))?;
        let reasons = Reasons::read(&text)?;
        for (id, by) in proofs.iter().filter(|(id, _)| !known.contains(id.as_str())) {
            faults.extend(by.iter().map(|proof| format!("{}: there is no requirement {id}", proof.file)));
        }
        faults.extend(reasons.faults(&known, &proofs.keys().map(String::as_str).collect()));
        if faults.is_empty() { Ok(Self { rows, proofs, reasons }) } else { Err(format!("requirements:\n  {}", faults.join("\n  "))) }
    }

    fn standing(&self, row: &Row) -> Standing<'_> {
        if let Some(proofs) = self.proofs.get(&row.id) {
            return Standing::Proved(proofs);
        }
        match self.reasons.of(&row.id) {
            Some((Kind::Waived, reason)) => Standing::Waived(reason),
            Some((Kind::Open, reason)) => Standing::Open(reason),
            None => Standing::Unexplained,
        }
    }
}
