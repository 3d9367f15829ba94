//! What is common to the commands that give files to others: whom to, which files, what is said of them.

use std::path::{Path, PathBuf};

use balcony_client::{FileFrom, FileToShare};
use balcony_wire::Jid;

use crate::cli;
use crate::exit::{Class, Failure};
use crate::safe::Safe;

/// Whom the files are for.
pub(super) fn recipients(named: &[String]) -> Result<Vec<Jid>, Failure> {
    let parse = |text: &String| {
        text.parse().map_err(|error| {
            let failure = Failure::from_error(Class::Usage, &error);
            Failure { what: format!("{} is no address: {}", Safe(text), failure.what), ..failure }
                .advise("an address looks like juliet@example.org")
        })
    };
    named.iter().map(parse).collect()
}

/// Whether it stands for standard input.
pub(super) fn is_pipe(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Says what is no file before anybody is asked for anything.
pub(super) fn are_files(paths: &[PathBuf]) -> Result<(), Failure> {
    for path in paths.iter().filter(|path| !is_pipe(path)) {
        let failure = match std::fs::metadata(path) {
            Ok(metadata) if metadata.is_file() => continue,
            Ok(_) => Failure::new(Class::Local, format!("{} is no file", path.display())).advise("pack a folder first, or name its files"),
            Err(error) => Failure::new(Class::Local, format!("cannot read {}: {error}", path.display())),
        };
        return Err(failure);
    }
    Ok(())
}

impl cli::Said {
    /// Whether it can be said of so many files.
    pub(super) fn fits(&self, files: &[PathBuf]) -> Result<(), Failure> {
        match self.name.is_some() && files.len() > 1 {
            true => Err(Failure::new(Class::Usage, "--name is for one file, several were given")),
            false => Ok(()),
        }
    }

    /// A file with what is said of it.
    pub(super) fn of(&self, from: impl Into<FileFrom>) -> FileToShare {
        let mut file = FileToShare::new(from);
        if let Some(text) = &self.describe {
            file = file.describe(text);
        }
        if let Some(name) = &self.name {
            file = file.name(name);
        }
        if let Some(arg) = self.disposition {
            file = file.disposition(arg.into());
        }
        file
    }
}
