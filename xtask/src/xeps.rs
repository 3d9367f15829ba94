//! The list of specifications that Balcony speaks, made from the heads of the source files.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::Result;
use crate::run::{Options, root, write_or_check};
use crate::sources::{Source, below};

const HELP: &str = "\
cargo xtask xeps [--check]

Collects these lines from the heads of crates/*/src/**.rs
  //! XEP-0447 Stateless file sharing, v0.3.1 <https://xmpp.org/extensions/xep-0447.html>
  //! Status: partial: what is missing.
and writes docs/xeps.md and balcony.doap.xml. A Status line belongs to the XEP line above it; `Status: complete.` is the other one. Without a Status line a XEP is complete,
unless only crates/wire speaks it: then it is partial, as elements alone do nothing. What files outside crates/wire say of a XEP counts before what those in it say.
The version must be that of the examples in testing/corpus, if there are some. With --check nothing is written, and it is an error if they are out of date.
";

pub(crate) fn main(arguments: &[String]) -> Result<()> {
    let mut options = Options::new(arguments, HELP);
    let mut check = false;
    while let Some(option) = options.next() {
        match option {
            "--check" => check = true,
            other => return options.unknown(other),
        }
    }
    let specifications = collect(&below(&["crates"], &["rs"])?, &corpus_versions()?)?;
    let how = "cargo xtask xeps";
    write_or_check("docs/xeps.md", &markdown(&specifications), check, how)?;
    write_or_check("balcony.doap.xml", &doap(&specifications), check, how)?;
    println!("xeps: {} listed", specifications.len());
    Ok(())
}

/// One XEP, as all files that speak it say.
#[derive(Debug, Default)]
struct Specification {
    title: String,
    version: String,
    files: Vec<String>,
    /// What is missing, file by file, and which file says so; empty when complete.
    missing: Vec<(String, String)>,
    /// A file says that nothing is missing.
    complete: bool,
}

impl Specification {
    /// Who acts on a XEP knows what is missing better than who only reads its elements.
    fn settle(&mut self) {
        let acting = self.files.iter().any(|file| !is_elements(file));
        if acting && (self.complete || self.missing.iter().any(|(file, _)| !is_elements(file))) {
            self.missing.retain(|(file, _)| !is_elements(file));
        }
        if !acting && !self.complete && self.missing.is_empty() {
            self.missing.push((self.files.first().cloned().unwrap_or_default(), "read and written as elements, not acted upon".to_owned()));
        }
    }

    fn links(&self, elements: bool) -> String {
        let files = self.files.iter().filter(|file| is_elements(file) == elements);
        let shown = |file: &String| format!("[{}](../{file})", file.trim_start_matches("crates/").replacen("/src/", "/", 1));
        files.map(shown).collect::<Vec<_>>().join(", ")
    }
}

/// Whether a file only says what elements look like.
fn is_elements(file: &str) -> bool {
    file.starts_with("crates/wire/")
}

/// Which version of each XEP the examples of the corpus are from.
fn corpus_versions() -> Result<BTreeMap<String, String>> {
    let path = "testing/corpus/examples/manifest.json";
    let text = std::fs::read_to_string(root().join(path)).map_err(|error| format!("cannot read {path}: {error}"))?;
    let manifest: serde_json::Value = serde_json::from_str(&text).map_err(|error| format!("cannot read {path}: {error}"))?;
    let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
    Ok(manifest["files"].as_array().into_iter().flatten().filter_map(|file| Some((text(&file["xep"])?, text(&file["version"])?))).collect())
}

fn collect(sources: &[Source], versions: &BTreeMap<String, String>) -> Result<BTreeMap<String, Specification>> {
    let mut all: BTreeMap<String, Specification> = BTreeMap::new();
    let mut faults = Vec::new();
    for source in sources {
        let mut last: Option<String> = None;
        for line in source.text.lines().map_while(|line| line.strip_prefix("//!")).map(str::trim) {
            if let Some(status) = line.strip_prefix("Status:") {
                let above = last.take().and_then(|number| all.get_mut(&number));
                match (above, status.trim().strip_prefix("partial:")) {
                    (Some(specification), Some(missing)) => specification.missing.push((source.path.clone(), missing.trim().to_owned())),
                    (Some(specification), None) if status.trim() == "complete." => specification.complete = true,
                    (None, _) => {} // it belongs to an RFC
                    _ => faults.push(format!(
                        "{}: a Status line follows a XEP line and reads `Status: partial: what is missing.` or `Status: complete.`",
                        source.path
                    )),
                }
            } else if line.starts_with("XEP-") && line.contains("<http") {
                let Some((number, title, version)) = head(line) else {
                    faults.push(format!(
                        "{}: `{line}` should read `XEP-NNNN Title, vX.Y.Z <https://xmpp.org/extensions/xep-NNNN.html>`",
                        source.path
                    ));
                    continue;
                };
                if let Some(other) = versions.get(&number).filter(|other| **other != version) {
                    faults.push(format!("{}: XEP-{number} {version} here, {other} in the corpus", source.path));
                }
                let known = all.entry(number.clone()).or_default();
                if known.files.is_empty() {
                    (known.title, known.version) = (title, version);
                } else if known.version != version {
                    faults.push(format!("{}: XEP-{number} {version} here, {} in {}", source.path, known.version, known.files[0]));
                }
                known.files.push(source.path.clone());
                last = Some(number);
            }
        }
    }
    all.values_mut().for_each(Specification::settle);
    if faults.is_empty() { Ok(all) } else { Err(format!("xeps:\n  {}", faults.join("\n  "))) }
}

/// Number, title and version of a head line.
fn head(line: &str) -> Option<(String, String, String)> {
    let (front, link) = line.split_once(" <")?;
    let (number, rest) = front.strip_prefix("XEP-")?.split_once(' ')?;
    let (title, version) = rest.rsplit_once(", v")?;
    let right = number.len() == 4
        && number.bytes().all(|b| b.is_ascii_digit())
        && !version.is_empty()
        && version.split('.').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
        && link.split('>').next() == Some(&format!("https://xmpp.org/extensions/xep-{number}.html"));
    right.then(|| (number.to_owned(), title.to_owned(), version.to_owned()))
}

fn markdown(specifications: &BTreeMap<String, Specification>) -> String {
    let mut text = String::from(
        "# What Balcony speaks\n\nMade by `cargo xtask xeps` from the heads of the source files; do not edit.\n\n\
         *Acted upon*: the files that do what the XEP says. *Elements*: the file that reads and writes its elements. Paths are below \
         `crates/`, without `src/`.\n\n\
         | XEP | title | version | status | acted upon | elements |\n|---|---|---|---|---|---|\n",
    );
    for (number, specification) in specifications {
        let status = if specification.missing.is_empty() { "complete".to_owned() } else { format!("partial: {}", note(specification)) };
        let _ = writeln!(
            text,
            "| [{number}](https://xmpp.org/extensions/xep-{number}.html) | {} | {} | {} | {} | {} |",
            specification.title,
            specification.version,
            status.replace('|', "\\|"),
            specification.links(false),
            specification.links(true),
        );
    }
    text
}

fn note(specification: &Specification) -> String {
    let mut notes: Vec<&str> = specification.missing.iter().map(|(_, missing)| missing.trim_end_matches('.')).collect();
    notes.dedup();
    notes.join("; ")
}

fn doap(specifications: &BTreeMap<String, Specification>) -> String {
    let mut text = String::from(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<!-- Made by `cargo xtask xeps` from the heads of the source files; do not edit. -->
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://usefulinc.com/ns/doap#" xmlns:xmpp="https://linkmauve.fr/ns/xmpp-doap#">
  <Project>
    <name>Balcony</name>
    <shortdesc xml:lang="en">Shares files over XMPP: a library, a command line, a server to start with</shortdesc>
    <description xml:lang="en">Offers of files travel as messages that every XMPP client can read; the bytes come from whichever source works and are kept only when they match.</description>
    <programming-language>Rust</programming-language>
    <os>Linux</os>
    <license rdf:resource="https://spdx.org/licenses/MIT.html"/>
    <license rdf:resource="https://spdx.org/licenses/Apache-2.0.html"/>
    <category rdf:resource="https://linkmauve.fr/ns/xmpp-doap#category-xmpp"/>
    <category rdf:resource="https://linkmauve.fr/ns/xmpp-doap#category-client"/>
    <category rdf:resource="https://linkmauve.fr/ns/xmpp-doap#category-server"/>
    <category rdf:resource="https://linkmauve.fr/ns/xmpp-doap#category-library"/>
    <implements rdf:resource="https://xmpp.org/rfcs/rfc6120.html"/>
    <implements rdf:resource="https://xmpp.org/rfcs/rfc6121.html"/>
    <implements rdf:resource="https://xmpp.org/rfcs/rfc7622.html"/>
"#,
    );
    for (number, specification) in specifications {
        let _ = write!(
            text,
            "    <implements>\n      <xmpp:SupportedXep>\n        <xmpp:xep rdf:resource=\"https://xmpp.org/extensions/xep-{number}.html\"/>\n        \
             <xmpp:status>{}</xmpp:status>\n        <xmpp:version>{}</xmpp:version>\n",
            if specification.missing.is_empty() { "complete" } else { "partial" },
            specification.version
        );
        if !specification.missing.is_empty() {
            let _ = writeln!(text, "        <xmpp:note xml:lang=\"en\">{}</xmpp:note>", escaped(&note(specification)));
        }
        text.push_str("      </xmpp:SupportedXep>\n    </implements>\n");
    }
    text.push_str("  </Project>\n</rdf:RDF>\n");
    text
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn collect(sources: &[Source]) -> Result<BTreeMap<String, Specification>> {
        super::collect(sources, &BTreeMap::from([("0447".to_owned(), "0.3.1".to_owned())]))
    }

    fn file(path: &str, text: &str) -> Source {
        Source { path: path.to_owned(), text: text.to_owned() }
    }

    const SFS: &str = "//! XEP-0447 Stateless file sharing, v0.3.1 <https://xmpp.org/extensions/xep-0447.html>\n";

    #[test]
    fn a_head_is_read_and_told_complete() {
        let all = collect(&[file("crates/wire/src/file_sharing.rs", SFS), file("crates/sharing/src/dialect.rs", SFS)]).unwrap();
        assert_eq!((all["0447"].title.as_str(), all["0447"].version.as_str()), ("Stateless file sharing", "0.3.1"));
        assert!(markdown(&all).contains("| complete | [sharing/dialect.rs](../crates/sharing/src/dialect.rs) | [wire/file_sharing.rs](../crates/wire/src/file_sharing.rs) |"));
        assert!(doap(&all).contains("<xmpp:status>complete</xmpp:status>"));
    }

    #[test]
    fn elements_alone_are_partial_unless_said_otherwise() {
        let path = "crates/wire/src/file_sharing.rs";
        assert!(!collect(&[file(path, SFS)]).unwrap()["0447"].missing.is_empty());
        assert!(collect(&[file(path, &format!("{SFS}//! Status: complete.\n"))]).unwrap()["0447"].missing.is_empty());
    }

    #[test]
    fn a_status_belongs_to_the_line_above_it() {
        let other = "//! XEP-0446 File metadata element, v0.2.0 <https://xmpp.org/extensions/xep-0446.html>\n";
        let all = collect(&[file("a.rs", &format!("{other}{SFS}//! Status: partial: attached <sources> & more.\n"))]).unwrap();
        assert_eq!(all["0447"].missing, [("a.rs".to_owned(), "attached <sources> & more.".to_owned())]);
        assert!(all["0446"].missing.is_empty());
        assert!(doap(&all).contains(">attached &lt;sources&gt; &amp; more</xmpp:note>"));
    }

    #[test]
    fn who_acts_on_it_knows_what_is_missing() {
        let (wire, sharing) = ("crates/wire/src/file_sharing.rs", "crates/sharing/src/dialect.rs");
        let elements = format!("{SFS}//! Status: partial: the element.\n");
        let acting = |status: &str| format!("{SFS}//! Status: {status}.\n");
        let missing = |text: &str| {
            let all = collect(&[file(wire, &elements), file(sharing, text)]).unwrap();
            all["0447"].missing.iter().map(|(_, missing)| missing.clone()).collect::<Vec<_>>()
        };
        assert_eq!(missing(&acting("partial: attached sources")), ["attached sources."]);
        assert_eq!(missing(SFS), ["the element."]);
        assert!(missing(&acting("complete")).is_empty());
    }

    #[test]
    fn a_bent_head_and_two_versions_are_faults() {
        assert!(collect(&[file("a.rs", "//! XEP-0447 Stateless file sharing <https://xmpp.org/extensions/xep-0447.html>\n")]).is_err());
        let error = collect(&[file("a.rs", SFS), file("b.rs", &SFS.replace("0.3.1", "0.3.0"))]).unwrap_err();
        assert!(error.contains("b.rs: XEP-0447 0.3.0 here, 0.3.1 in a.rs"), "{error}");
    }

    #[test]
    fn a_version_that_is_not_the_corpus_is_a_fault() {
        let error = collect(&[file("a.rs", &SFS.replace("0.3.1", "0.3.0"))]).unwrap_err();
        assert!(error.contains("0.3.0 here, 0.3.1 in the corpus"), "{error}");
    }

    #[test]
    fn prose_that_names_a_xep_is_no_head() {
        assert!(collect(&[file("a.rs", "//! XEP-0447 says otherwise.\nfn a() {}\n//! XEP-0001 X, v1 <https://x>\n")]).unwrap().is_empty());
    }
}
