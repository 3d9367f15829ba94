//! The rows of the lists: tables with the columns ID, Level, Role, Statement, Source.

use crate::Result;
use crate::sources::Source;

/// One requirement.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// The list's number and name: `01-sfs`.
    pub(crate) list: String,
    pub(crate) id: String,
    pub(crate) level: String,
    /// Some of C, R, S.
    pub(crate) roles: String,
    pub(crate) statement: String,
}

pub(crate) fn read(lists: &[Source]) -> Result<Vec<Row>> {
    let mut rows: Vec<Row> = Vec::new();
    for list in lists {
        let name = list.path.rsplit('/').next().unwrap_or_default().trim_end_matches(".md");
        if name == "status" {
            continue;
        }
        for line in list.text.lines() {
            let cells: Vec<&str> = line.trim().trim_matches('|').split(" | ").map(str::trim).collect();
            let [id, level, roles, statement, .., _source] = cells.as_slice() else { continue };
            if !is_id(id) || !roles.bytes().all(|role| b"CRS".contains(&role)) {
                continue;
            }
            if let Some(twice) = rows.iter().find(|row| row.id == *id) {
                return Err(format!("{}: {id} is also in {}", list.path, twice.list));
            }
            rows.push(Row {
                list: name.to_owned(),
                id: (*id).to_owned(),
                level: (*level).to_owned(),
                roles: (*roles).to_owned(),
                statement: (*statement).to_owned(),
            });
        }
    }
    if rows.is_empty() { Err("docs/requirements holds no rows".to_owned()) } else { Ok(rows) }
}

/// `SFS-3.1-8`, `SFS-3.2-D1`, `C6120-4.3-1`, `GL-P-1`.
pub(crate) fn is_id(text: &str) -> bool {
    let mut parts = text.split('-');
    let area = parts.next().unwrap_or_default();
    area.starts_with(|c: char| c.is_ascii_uppercase())
        && area.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
        && parts.clone().count() > 0
        && parts.all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.'))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn list(text: &str) -> Vec<Source> {
        vec![Source { path: "docs/requirements/01-sfs.md".to_owned(), text: text.to_owned() }]
    }

    #[test]
    fn a_row_is_read_and_the_head_of_a_table_is_not() {
        let text = "| ID | Level | Role | Statement | Source |\n|---|---|---|---|---|\n| SFS-3.2-D1 | DEC | R | An unknown `disposition` value counts as none. | decision 13 |\n";
        let rows = read(&list(text)).unwrap();
        assert_eq!(rows.len(), 1);
        assert_eq!((rows[0].list.as_str(), rows[0].id.as_str(), rows[0].roles.as_str()), ("01-sfs", "SFS-3.2-D1", "R"));
    }

    #[test]
    fn a_row_that_stands_twice_is_a_fault() {
        let row = "| SFS-1-1 | MUST | C | a | b |\n";
        assert!(read(&list(&row.repeat(2))).is_err());
    }

    #[test]
    fn all_lists_of_the_project_are_read() {
        let rows = read(&crate::sources::below(&["docs/requirements"], &["md"]).unwrap()).unwrap();
        assert_eq!(rows.len(), 796, "721 of the documents, 48 of people, 27 of what hurt others");
    }
}
