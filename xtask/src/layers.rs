//! Compares what cargo resolves with the plan of the house: which crate may see which, and what may be nowhere.

use std::collections::{BTreeMap, VecDeque};

use serde_json::Value;

use crate::Result;
use crate::run::{Options, cargo, output, root};

const HELP: &str = "\
cargo xtask layers

Reads `cargo metadata` (normal dependencies on this machine's platform) and fails on
  an edge between two crates of ours that the plan does not have (ARCHITECTURE.md),
  an I/O crate anywhere below the crates that do no I/O,
  a crate that must be nowhere,
  a dependency of the workspace that no crate uses, or that has no line in docs/decisions/0003-dependencies.md.
";

/// Which of our crates may see which, directly. Tests may see more: only normal dependencies count.
const PLAN: &[(&str, &[&str])] = &[
    ("balcony-wire", &[]),
    ("balcony-session", &["balcony-wire"]),
    ("balcony-sharing", &["balcony-wire"]),
    ("balcony-store", &["balcony-wire", "balcony-sharing"]),
    ("balcony-client", &["balcony-wire", "balcony-session", "balcony-sharing", "balcony-store"]),
    ("balcony-server", &["balcony-wire", "balcony-session", "balcony-sharing"]),
    ("balcony", &["balcony-wire", "balcony-session", "balcony-sharing", "balcony-store", "balcony-client", "balcony-server"]),
    ("testing-corpus", &[]),
    ("testing-fuzz", &["balcony-wire", "balcony-session", "balcony-sharing", "testing-corpus"]),
    ("testing-peers", &[]),
    ("testing-bench", &["balcony-wire", "balcony-session", "balcony-sharing", "testing-corpus", "testing-peers"]),
    ("xtask", &["testing-peers"]),
];

/// These do no I/O …
pub(crate) const PURE: &[&str] = &["balcony-wire", "balcony-session", "balcony-sharing"];

/// … so none of these is anywhere below them: sockets, files, threads, clocks, chance.
const IO: &[&str] = &[
    "async-std",
    "axum",
    "curl",
    "curl-sys",
    "fs-err",
    "getrandom",
    "hickory-resolver",
    "hyper",
    "hyper-util",
    "libsqlite3-sys",
    "mio",
    "nix",
    "polling",
    "rand",
    "reqwest",
    "ring",
    "rusqlite",
    "rustix",
    "rustls",
    "rustls-native-certs",
    "smol",
    "socket2",
    "tempfile",
    "tokio",
    "tokio-rustls",
    "tokio-util",
    "ureq",
];

/// Nowhere at all, with the reason.
const NOWHERE: &[(&str, &str)] = &[
    ("aws-lc-sys", "needs cmake, and minutes to build; rustls runs on ring here: switch default features off"),
    ("aws-lc-rs", "rustls runs on ring here: switch default features off"),
    ("openssl-sys", "TLS is rustls here: switch default features off"),
    ("native-tls", "TLS is rustls here: switch default features off"),
];

pub(crate) fn main(arguments: &[String]) -> Result<()> {
    let mut options = Options::new(arguments, HELP);
    if let Some(option) = options.next() {
        return options.unknown(option);
    }
    let host = host()?;
    let metadata = output(&mut cargo(&["metadata", "--format-version", "1", "--filter-platform", &host]))?;
    let metadata: Value = serde_json::from_str(&metadata).map_err(|error| format!("cannot read cargo metadata: {error}"))?;
    let graph = Graph::read(&metadata)?;
    let mut faults = graph.forbidden_edges();
    faults.extend(graph.io_below_pure());
    faults.extend(graph.nowhere());
    let there = of_the_workspace(&read("Cargo.toml")?)?;
    faults.extend(unused(&there, &metadata));
    faults.extend(without_a_reason(&there, &read(REASONS)?));
    if faults.is_empty() {
        println!("layers: {} crates of ours, {} in all, as planned", graph.members.len(), graph.names.len());
        return Ok(());
    }
    Err(format!("layers:\n  {}", faults.join("\n  ")))
}

/// A target without files, sockets and threads: what builds for it does no I/O by accident.
pub(crate) const BROWSERS: &str = "wasm32-unknown-unknown";

/// Whether that target is installed.
pub(crate) fn browsers_can_be_built_for() -> bool {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let folder = output(std::process::Command::new(rustc).args(["--print", "target-libdir", "--target", BROWSERS]));
    folder.is_ok_and(|folder| std::path::Path::new(folder.trim()).exists())
}

/// Where each dependency has its reason.
const REASONS: &str = "docs/decisions/0003-dependencies.md";

fn read(path: &str) -> Result<String> {
    std::fs::read_to_string(root().join(path)).map_err(|error| format!("cannot read {path}: {error}"))
}

/// Foreign dependencies that the workspace names.
fn of_the_workspace(manifest: &str) -> Result<Vec<String>> {
    let manifest: toml::Table = manifest.parse().map_err(|error| format!("cannot read Cargo.toml: {error}"))?;
    let dependencies = manifest.get("workspace").and_then(|workspace| workspace.get("dependencies")?.as_table());
    Ok(dependencies.into_iter().flatten().filter(|(_, how)| how.get("path").is_none()).map(|(name, _)| name.clone()).collect())
}

/// Those that no crate of ours asks for.
fn unused(there: &[String], metadata: &Value) -> Vec<String> {
    let ours = metadata["packages"].as_array().into_iter().flatten().filter(|package| package["source"].is_null());
    let used: Vec<&str> =
        ours.flat_map(|package| package["dependencies"].as_array()).flatten().filter_map(|dep| dep["name"].as_str()).collect();
    let unused = there.iter().filter(|name| !used.contains(&name.as_str()));
    unused.map(|name| format!("{name} is used by no crate: take it out of Cargo.toml")).collect()
}

/// Dependencies of the workspace and the first column of the record, compared.
fn without_a_reason(there: &[String], record: &str) -> Vec<String> {
    let cells = record.lines().filter_map(|line| line.strip_prefix("| ")?.split('|').next()).filter(|cell| cell.trim() != "crate");
    let named: Vec<&str> = cells.flat_map(|cell| cell.split(',').map(str::trim)).collect();
    let without = there
        .iter()
        .filter(|name| !named.contains(&name.as_str()))
        .map(|name| format!("{name} has no line in {REASONS}: what for, and what else was looked at"));
    let gone = named.iter().filter(|name| !there.iter().any(|other| other == *name));
    let gone = gone.map(|name| format!("{REASONS} has a line for {name}, which is no dependency"));
    without.chain(gone).collect()
}

fn host() -> Result<String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let about = output(std::process::Command::new(rustc).arg("-vV"))?;
    about.lines().find_map(|line| line.strip_prefix("host: ")).map(str::to_owned).ok_or_else(|| "rustc does not tell its host".to_owned())
}

/// Packages by id, and their normal dependencies.
struct Graph {
    names: BTreeMap<String, String>,
    edges: BTreeMap<String, Vec<String>>,
    members: Vec<String>,
}

impl Graph {
    fn read(metadata: &Value) -> Result<Self> {
        let list = |value: &Value| value.as_array().cloned().ok_or_else(|| "cargo metadata looks different".to_owned());
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let names = list(&metadata["packages"])?.iter().map(|package| (text(&package["id"]), text(&package["name"]))).collect();
        let members = list(&metadata["workspace_members"])?.iter().map(text).collect();
        let mut edges = BTreeMap::new();
        for node in list(&metadata["resolve"]["nodes"])? {
            let normal = |dependency: &&Value| {
                dependency["dep_kinds"].as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind["kind"].is_null()))
            };
            let below = list(&node["deps"])?.iter().filter(normal).map(|dependency| text(&dependency["pkg"])).collect();
            edges.insert(text(&node["id"]), below);
        }
        Ok(Self { names, edges, members })
    }

    fn name<'a>(&'a self, id: &'a str) -> &'a str {
        self.names.get(id).map_or(id, String::as_str)
    }

    fn below(&self, id: &str) -> &[String] {
        self.edges.get(id).map_or(&[], Vec::as_slice)
    }

    fn forbidden_edges(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for member in &self.members {
            let name = self.name(member);
            let Some((_, allowed)) = PLAN.iter().find(|(planned, _)| *planned == name) else {
                faults.push(format!("{name} is not in the plan: add it to PLAN in xtask/src/layers.rs and to ARCHITECTURE.md"));
                continue;
            };
            for dependency in self.below(member).iter().filter(|id| self.members.contains(id)) {
                let dependency = self.name(dependency);
                if !allowed.contains(&dependency) {
                    faults.push(format!(
                        "{name} → {dependency}: {name} may see {}",
                        if allowed.is_empty() { "none of ours".to_owned() } else { allowed.join(", ") }
                    ));
                }
            }
        }
        faults
    }

    fn io_below_pure(&self) -> Vec<String> {
        let roots = self.members.iter().filter(|id| PURE.contains(&self.name(id)));
        let paths = roots.flat_map(|root| IO.iter().filter_map(|name| self.path(root, name)));
        paths.map(|path| format!("{path}: this crate does no I/O, nor may anything below it")).collect()
    }

    fn nowhere(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for (name, reason) in NOWHERE {
            if let Some(path) = self.members.iter().find_map(|member| self.path(member, name)) {
                faults.push(format!("{path}: {reason}"));
            }
        }
        faults
    }

    /// The shortest way from a package to one called `name`, as text.
    fn path(&self, root: &str, name: &str) -> Option<String> {
        let mut from: BTreeMap<&str, &str> = BTreeMap::from([(root, root)]);
        let mut queue = VecDeque::from([root]);
        while let Some(id) = queue.pop_front() {
            if self.name(id) == name {
                let mut way = vec![id];
                while let Some(before) = way.last().and_then(|last| from.get(last)).filter(|before| Some(*before) != way.last()) {
                    way.push(before);
                }
                return Some(way.iter().rev().map(|id| self.name(id)).collect::<Vec<_>>().join(" → "));
            }
            for next in self.below(id) {
                if !from.contains_key(next.as_str()) {
                    from.insert(next, id);
                    queue.push_back(next);
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::Graph;
    use serde_json::{Value, json};

    /// A workspace of these crates; an edge is (from, to, kind).
    fn graph(members: &[&str], edges: &[(&str, &str, Value)]) -> Graph {
        let mut names: Vec<&str> = members.to_vec();
        names.extend(edges.iter().flat_map(|(from, to, _)| [*from, *to]));
        names.sort_unstable();
        names.dedup();
        let deps = |name: &str| -> Vec<Value> {
            edges.iter().filter(|(from, ..)| *from == name).map(|(_, to, kind)| json!({"pkg": to, "dep_kinds": [{"kind": kind}]})).collect()
        };
        let metadata = json!({
            "packages": names.iter().map(|name| json!({"id": name, "name": name})).collect::<Vec<_>>(),
            "workspace_members": members,
            "resolve": {"nodes": names.iter().map(|name| json!({"id": name, "deps": deps(name)})).collect::<Vec<_>>()},
        });
        Graph::read(&metadata).unwrap()
    }

    /// Proves: GL-1.
    #[test]
    fn the_house_stands_as_planned() {
        super::main(&[]).unwrap();
    }

    #[test]
    fn an_edge_against_the_flow_is_named() {
        let house = graph(&["balcony-wire", "balcony-session"], &[("balcony-wire", "balcony-session", Value::Null)]);
        assert_eq!(house.forbidden_edges(), ["balcony-wire → balcony-session: balcony-wire may see none of ours"]);
    }

    #[test]
    fn an_io_crate_is_named_with_the_way_to_it() {
        let house = graph(&["balcony-wire"], &[("balcony-wire", "innocent", Value::Null), ("innocent", "tokio", Value::Null)]);
        assert_eq!(house.io_below_pure(), ["balcony-wire → innocent → tokio: this crate does no I/O, nor may anything below it"]);
    }

    #[test]
    fn what_only_tests_and_build_scripts_need_does_not_count() {
        let house = graph(&["balcony-wire"], &[("balcony-wire", "tokio", json!("dev")), ("balcony-wire", "rustix", json!("build"))]);
        assert!(house.io_below_pure().is_empty() && house.forbidden_edges().is_empty());
    }

    #[test]
    fn a_crate_nobody_planned_is_named() {
        assert!(graph(&["balcony-common"], &[]).forbidden_edges()[0].starts_with("balcony-common is not in the plan"));
    }

    #[test]
    fn a_dependency_without_a_reason_and_a_reason_without_one_are_named() {
        let manifest = "[workspace.dependencies]\nours = { path = \"a\" }\nhyper = \"1\"\nurl = { version = \"2\" }\nleft-pad = \"1\"\n";
        let there = super::of_the_workspace(manifest).unwrap();
        let faults = super::without_a_reason(&there, "| crate | what for |\n| hyper, url | HTTP |\n| gone | x |\n");
        assert!(faults.len() == 2 && faults[0].starts_with("left-pad has no line") && faults[1].contains("a line for gone"), "{faults:?}");
    }

    #[test]
    fn a_dependency_that_nobody_asks_for_is_named() {
        let there = ["hyper".to_owned(), "left-pad".to_owned()];
        let metadata = json!({"packages": [
            {"name": "balcony", "source": null, "dependencies": [{"name": "hyper"}]},
            {"name": "hyper", "source": "registry", "dependencies": [{"name": "left-pad"}]},
        ]});
        assert_eq!(super::unused(&there, &metadata), ["left-pad is used by no crate: take it out of Cargo.toml"]);
    }

    #[test]
    fn openssl_is_found_anywhere() {
        let house = graph(&["balcony"], &[("balcony", "a", Value::Null), ("a", "openssl-sys", Value::Null)]);
        assert!(house.nowhere()[0].starts_with("balcony → a → openssl-sys: TLS is rustls"));
    }
}
