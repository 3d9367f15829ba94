//! Finds and reads the files of this project.

use std::path::{Path, PathBuf};

use crate::Result;
use crate::run::root;

/// A file, with its path as it is written in documents.
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) text: String,
}

/// All files below these folders whose name ends with one of `extensions`, sorted by path.
pub(crate) fn below(folders: &[&str], extensions: &[&str]) -> Result<Vec<Source>> {
    let mut found = Vec::new();
    for folder in folders {
        collect(&root().join(folder), extensions, &mut found)?;
    }
    found.sort();
    found.into_iter().map(read).collect()
}

fn read(path: PathBuf) -> Result<Source> {
    let text = std::fs::read_to_string(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let path = path.strip_prefix(root()).unwrap_or(&path).to_string_lossy().replace('\\', "/");
    Ok(Source { path, text })
}

fn collect(folder: &Path, extensions: &[&str], found: &mut Vec<PathBuf>) -> Result<()> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(()) }; // a folder that is not there holds nothing
    for entry in entries {
        let path = entry.map_err(|error| format!("cannot list {}: {error}", folder.display()))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            if !name.starts_with('.') && name != "target" && name != "examples" && name != "vectors" {
                collect(&path, extensions, found)?;
            }
        } else if extensions.iter().any(|extension| name.rsplit_once('.').is_some_and(|(_, end)| end == *extension)) {
            found.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const FOLDERS: [&str; 6] = ["changes", "crates", "docs", "fuzz", "testing", "xtask"];

    /// Whether something in backticks is meant as a path of this project, or as the end of one.
    fn is_path(text: &str) -> bool {
        let begins = ["crates/", "testing/", "xtask/"].iter().any(|folder| text.starts_with(folder));
        (begins || text.ends_with(".rs")) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/_-.".contains(&byte))
    }

    /// What a link leads to, if that is in this project.
    fn target(link: &str) -> Option<&str> {
        let target = link.split([')', '#']).next().unwrap_or_default();
        (link.contains(')') && !target.is_empty() && !target.contains([':', ' '])).then_some(target)
    }

    #[test]
    fn the_paths_that_documents_name_are_there() {
        let mut documents = below(&FOLDERS, &["md"]).unwrap();
        for path in ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"] {
            documents.push(read(root().join(path)).unwrap());
        }
        let sources = below(&FOLDERS, &["rs"]).unwrap();
        let is_end_of_one = |end: &str| sources.iter().any(|source| Path::new(&source.path).ends_with(end));
        let (mut named, mut linked, mut gone) = (0, 0, Vec::new());
        for Source { path, text } in &documents {
            for name in text.split('`').skip(1).step_by(2).filter(|name| is_path(name)) {
                named += 1;
                if !root().join(name).exists() && !is_end_of_one(name) {
                    gone.push(format!("{path}: {name}"));
                }
            }
            let here = root().join(path);
            for link in text.split("](").skip(1).filter_map(target) {
                linked += 1;
                if !here.with_file_name(link).exists() {
                    gone.push(format!("{path}: a link to {link}"));
                }
            }
        }
        assert!(gone.is_empty(), "{gone:#?}");
        assert!(named > 100 && linked > 100, "only {named} paths and {linked} links were found");
    }
}
