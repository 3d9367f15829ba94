//! Example stanzas of the XEPs and vectors computed by other programs, for tests. See the README beside it.
//!
//! Everything is read from the source tree at run time; what cannot be read ends the test that asked.

#![allow(clippy::panic, reason = "for tests only: a broken corpus ends the test")]

mod payloads;

use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;

/// Where an example comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// As printed in a XEP.
    #[default]
    Printed,
    /// Printed broken, mended.
    Repaired,
    /// A listing of the documents the project started from, in old forms.
    Seed,
}

/// One example.
#[derive(Clone, Debug, Deserialize)]
pub struct Example {
    /// Path below `examples/`.
    pub file: String,
    /// The XML text as it is in the file.
    #[serde(skip)]
    pub xml: String,
    /// Where it comes from.
    #[serde(skip)]
    pub origin: Origin,
    /// Four digits; empty for seeds.
    #[serde(default)]
    pub xep: String,
    /// Version of the XEP; empty for seeds and repaired ones.
    #[serde(default)]
    pub version: String,
    /// Caption in the document; empty for seeds.
    #[serde(default)]
    pub caption: String,
    /// Local name of the root element; empty for seeds.
    #[serde(default)]
    pub root: String,
    /// Namespace declared on the root element itself, if any.
    #[serde(default)]
    pub root_ns: String,
    /// Namespace the root element has by the stream it stands in.
    #[serde(default)]
    pub implied_ns: String,
    /// Namespaces declared anywhere below.
    #[serde(default)]
    pub namespaces: Vec<String>,
    /// How many pieces the document left out ("…").
    #[serde(default)]
    pub elided: u32,
    /// Prefixes whose declaration was added so that the listing stands alone.
    #[serde(default)]
    pub injected: Vec<String>,
    /// Whether some text is a placeholder ("b64/encoded/data").
    #[serde(default)]
    pub leaf_placeholder: bool,
    /// Whether a comment stands for something left out: XMPP forbids comments.
    #[serde(default)]
    pub comment_placeholder: bool,
    /// What looks wrong with the listing.
    #[serde(default)]
    pub suspect: Vec<String>,
}

impl Example {
    /// The XML with the namespace of the stream it stands in declared on the root element.
    #[must_use]
    pub fn in_stream(&self) -> String {
        let stanza = ["<iq", "<message", "<presence"].iter().find(|start| self.xml.trim_start().starts_with(*start));
        let undeclared = self.implied_ns == "jabber:client" || (self.origin == Origin::Seed && stanza.is_some());
        let at = self.xml.find('<').unwrap_or(0);
        let end = self.xml[at..].find([' ', '\n', '\t', '>', '/']).map_or(self.xml.len(), |end| at + end);
        if undeclared && !self.xml[..self.xml.find('>').unwrap_or(0)].contains("xmlns='jabber:client'") {
            format!("{} xmlns='jabber:client'{}", &self.xml[..end], &self.xml[end..])
        } else {
            self.xml.clone()
        }
    }

    /// [`Example::in_stream`] without comments, which stand for what the document left out.
    #[must_use]
    pub fn in_stream_without_comments(&self) -> String {
        without_comments(&self.in_stream())
    }
}

/// A listing that is only a part of a stream: a header or an end.
#[derive(Clone, Debug, Deserialize)]
pub struct Fragment {
    /// Path below `examples/`.
    pub file: String,
    /// The text as it is in the file.
    #[serde(skip)]
    pub xml: String,
    /// Four digits.
    pub xep: String,
    /// `stream header` or `stream end`.
    pub what: String,
}

#[derive(Deserialize)]
struct Manifest {
    files: Vec<Example>,
    fragments: Vec<Fragment>,
}

/// All examples: printed ones in the order of the manifest, then repaired ones, then seeds.
#[must_use]
pub fn examples() -> Vec<Example> {
    let seeds: Vec<Value> = parse("examples/seeds/seeds.json");
    let seeds =
        seeds.into_iter().filter(|seed| seed["well_formed"] == true && seed["file"].as_str().is_some_and(|file| file.ends_with(".xml")));
    let seeds = seeds.map(|seed| serde_json::from_value(seed).unwrap_or_else(|error| panic!("seeds.json: {error}"))).collect();
    [
        (Origin::Printed, parse::<Manifest>("examples/manifest.json").files),
        (Origin::Repaired, parse("examples/repaired/repairs.json")),
        (Origin::Seed, seeds),
    ]
    .into_iter()
    .flat_map(|(origin, list): (Origin, Vec<Example>)| list.into_iter().map(move |example| (origin, example)))
    .map(|(origin, example)| Example { origin, xml: text(&format!("examples/{}", example.file)), ..example })
    .collect()
}

/// The example in a file below `examples/`.
#[must_use]
pub fn example(file: &str) -> Example {
    examples().into_iter().find(|example| example.file == file).unwrap_or_else(|| panic!("no example {file}"))
}

/// Stream headers and ends.
#[must_use]
pub fn fragments() -> Vec<Fragment> {
    let read = |fragment: Fragment| Fragment { xml: text(&format!("examples/{}", fragment.file)), ..fragment };
    parse::<Manifest>("examples/manifest.json").fragments.into_iter().map(read).collect()
}

/// Listings that are not well-formed as printed: path below `examples/`, text, and what a parser said about them.
#[must_use]
pub fn broken() -> Vec<(String, String, String)> {
    let seeds: Vec<Value> = parse("examples/seeds/seeds.json");
    seeds
        .iter()
        .filter(|seed| seed["well_formed"] == false)
        .map(|seed| {
            let file = seed["file"].as_str().unwrap_or_default().to_owned();
            let xml = text(&format!("examples/{file}"));
            (file, xml, seed["parse_error"].as_str().unwrap_or_default().to_owned())
        })
        .collect()
}

/// A table of `vectors/`, by name without ending.
#[must_use]
pub fn vector(name: &str) -> Value {
    parse(&format!("vectors/{name}.json"))
}

/// The `cases` of a table of `vectors/`.
#[must_use]
pub fn cases(name: &str) -> Vec<Value> {
    vector(name)["cases"].as_array().unwrap_or_else(|| panic!("{name} has no cases")).clone()
}

/// The readings expected of sharing examples: path below the corpus and the object of `vectors/explain.md`.
#[must_use]
pub fn models() -> Vec<(String, Value)> {
    cases("models").into_iter().map(|case| (case["file"].as_str().unwrap_or_default().to_owned(), case)).collect()
}

/// A file of the corpus as text, by its path in this folder.
#[must_use]
pub fn text(file: &str) -> String {
    let path = folder().join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The folder of the corpus.
#[must_use]
pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The text without XML comments.
#[must_use]
pub fn without_comments(xml: &str) -> String {
    let mut rest = xml;
    let mut kept = String::with_capacity(xml.len());
    while let Some((before, behind)) = rest.split_once("<!--") {
        kept.push_str(before);
        rest = behind.split_once("-->").map_or("", |(_, after)| after);
    }
    kept + rest
}

fn parse<T: for<'de> Deserialize<'de>>(file: &str) -> T {
    serde_json::from_str(&text(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_file_is_there() {
        let all = examples();
        assert_eq!(all.iter().filter(|example| example.origin == Origin::Printed).count(), 1439);
        assert_eq!(all.iter().filter(|example| example.origin == Origin::Repaired).count(), 15);
        assert_eq!(all.iter().filter(|example| example.origin == Origin::Seed).count(), 17);
        assert_eq!(broken().len(), 2);
        assert_eq!(fragments().len(), 10);
    }

    #[test]
    fn every_model_names_a_file_of_the_corpus() {
        let files: Vec<_> = examples().into_iter().map(|example| format!("examples/{}", example.file)).collect();
        let models = models();
        assert!(models.len() > 20);
        assert!(models.iter().all(|(file, _)| files.contains(file)), "{models:?}");
    }

    #[test]
    fn a_stanza_gets_the_namespace_of_its_stream_once() {
        let plain = example("xep-0066/05-sender-communicates-a-uri.xml");
        assert!(plain.in_stream().starts_with("<message xmlns='jabber:client' from="));
        let declared = example("xep-0359/02-a-message-stanza-with-the-origin-id-extension.xml");
        assert_eq!(declared.in_stream(), declared.xml);
        let bare = example("xep-0446/c01-file.xml");
        assert_eq!(bare.in_stream(), bare.xml);
    }

    #[test]
    fn every_table_is_json_with_cases() {
        let tables = std::fs::read_dir(folder().join("vectors")).map(|dir| dir.filter_map(Result::ok).collect::<Vec<_>>());
        for file in tables.unwrap_or_default() {
            let name = file.file_name().to_string_lossy().into_owned();
            if let Some(name) = name.strip_suffix(".json") {
                assert!(!cases(name).is_empty(), "{name}");
            }
        }
    }
}
