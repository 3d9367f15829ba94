//! Finds the lines by which tests name the rows they prove.

use std::collections::{BTreeMap, BTreeSet};

use super::rows::is_id;
use crate::sources::Source;

/// A test that proves a row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Proof {
    /// The file it is in.
    pub(crate) file: String,
    /// Its name; empty when the whole file proves the row.
    pub(crate) test: String,
}

type Proofs = BTreeMap<String, BTreeSet<Proof>>;

/// All proofs by row, and what is wrong with some of the lines.
pub(crate) fn read(sources: &[Source]) -> (Proofs, Vec<String>) {
    let mut proofs = Proofs::new();
    let mut faults = Vec::new();
    for source in sources {
        let lines: Vec<&str> = source.text.lines().map(str::trim).collect();
        for (number, line) in lines.iter().enumerate() {
            let Some((comment, first)) = ["///", "//!", "#"]
                .iter()
                .find_map(|comment| Some((*comment, line.strip_prefix(comment)?.trim().strip_prefix("Proves:")?)))
            else {
                continue;
            };
            let mut add = |text: &str| match ids(&continued(text, comment, &lines[number + 1..])) {
                Ok(ids) => Some(ids),
                Err(word) => {
                    faults.push(format!(
                        "{}:{}: `{word}` is no requirement; a line reads `{comment} Proves: SFS-3.1-8, FB-2.2-3.`",
                        source.path,
                        number + 1
                    ));
                    None
                }
            };
            let Some(ids) = add(first) else { continue };
            let test = if comment == "///" { test_around(&lines, number) } else { Some(String::new()) };
            let Some(test) = test else {
                faults.push(format!("{}:{}: this line is not above a test", source.path, number + 1));
                continue;
            };
            for id in ids {
                proofs.entry(id).or_default().insert(Proof { file: source.path.clone(), test: test.clone() });
            }
        }
    }
    (proofs, faults)
}

/// The list may go on in the next lines: after a comma.
fn continued(first: &str, comment: &str, rest: &[&str]) -> String {
    let mut text = first.trim().to_owned();
    for line in rest {
        let Some(more) = line.strip_prefix(comment).filter(|_| text.ends_with(',')) else { break };
        text.push_str(more.trim());
    }
    text
}

fn ids(text: &str) -> std::result::Result<Vec<String>, String> {
    let words = text.trim_end_matches('.').split(',').map(str::trim).filter(|word| !word.is_empty());
    words.map(|word| if is_id(word) { Ok(word.to_owned()) } else { Err(word.to_owned()) }).collect()
}

/// The name of the function below line `at`, if what stands around it says that it is a test.
fn test_around(lines: &[&str], at: usize) -> Option<String> {
    let belongs = |line: &&&str| line.starts_with("///") || line.starts_with("#[") || line.starts_with("//");
    let above = lines[..at].iter().rev().take_while(belongs);
    let mut below = lines[at + 1..].iter();
    let attributes: Vec<&&str> = above.chain(below.by_ref().take_while(|line| !line.contains("fn ")).take(20)).collect();
    if !attributes.iter().any(|line| line.starts_with("#[") && line.contains("test")) {
        return None;
    }
    let function = lines[at + 1..].iter().take(20).find_map(|line| line.split_once("fn "))?.1;
    Some(function.split(['(', '<']).next().unwrap_or_default().trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> Vec<Source> {
        vec![Source { path: "crates/a/tests/b.rs".to_owned(), text: text.to_owned() }]
    }

    #[test]
    fn a_line_above_a_test_proves_its_rows() {
        let (proofs, faults) = read(&file("/// Proves: SFS-3.1-8, FB-2.2-3.\n#[test]\nfn marks_the_fallback() {}\n"));
        assert!(faults.is_empty(), "{faults:?}");
        let by: Vec<_> = proofs["FB-2.2-3"].iter().map(|proof| proof.test.as_str()).collect();
        assert_eq!((proofs.len(), by), (2, vec!["marks_the_fallback"]));
    }

    #[test]
    fn a_list_goes_on_after_a_comma_and_the_attribute_may_come_first() {
        let (proofs, faults) = read(&file("#[tokio::test]\n/// Proves: A-1,\n/// B-2.\nasync fn c() {}\n"));
        assert!(faults.is_empty(), "{faults:?}");
        assert_eq!(proofs.keys().collect::<Vec<_>>(), ["A-1", "B-2"]);
    }

    #[test]
    fn a_script_and_a_file_prove_as_a_whole() {
        let (proofs, faults) = read(&file("//! Proves: A-1.\n# Proves: B-2.\n"));
        assert!(faults.is_empty() && proofs.len() == 2 && proofs["A-1"].iter().all(|proof| proof.test.is_empty()), "{faults:?}");
    }

    #[test]
    fn a_line_above_something_else_and_a_bent_id_are_faults() {
        assert_eq!(read(&file("/// Proves: A-1.\nfn helper() {}\n#[test]\nfn b() {}\n")).1.len(), 1);
        assert_eq!(read(&file("/// Proves: the rest.\n#[test]\nfn a() {}\n")).1.len(), 1);
    }
}
