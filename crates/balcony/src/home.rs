//! Where this program keeps things: one folder, readable by its owner alone.

use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::exit::{Class, Failure};

/// The folder of accounts, offers and files.
#[derive(Debug, Clone)]
pub(crate) struct Home(PathBuf);

impl Home {
    /// The folder that was named, or the system's place for data of this user. Made with mode 0700 if missing.
    pub(crate) fn open(named: Option<&Path>) -> Result<Self, Failure> {
        let path = match named {
            Some(path) => path.to_owned(),
            None => directories::ProjectDirs::from("", "", "balcony")
                .map(|dirs| dirs.data_dir().to_owned())
                .ok_or_else(|| Failure::new(Class::Local, "this user has no home folder").advise("name a folder with --home"))?,
        };
        let home = Self(path);
        home.make(&home.0)?;
        Ok(home)
    }

    /// The file of accounts.
    pub(crate) fn accounts(&self) -> PathBuf {
        self.0.join("accounts.toml")
    }

    /// The store of one account's offers and files; `jid` is a prepared bare JID.
    pub(crate) fn store(&self, jid: &str) -> Result<PathBuf, Failure> {
        let path = self.0.join("accounts").join(folder_name(jid));
        self.make(&path)?;
        Ok(path)
    }

    /// The data of the embedded server.
    pub(crate) fn server(&self) -> PathBuf {
        self.0.join("server")
    }

    fn make(&self, path: &Path) -> Result<(), Failure> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| {
            Failure::new(Class::Local, format!("cannot make the folder {}: {error}", path.display()))
                .advise("choose another one with --home")
        })
    }
}

/// A JID as the name of a folder: letters, digits and `@.-_` stay, all else is escaped.
fn folder_name(jid: &str) -> String {
    jid.bytes()
        .enumerate()
        .map(|(at, byte)| match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'@' | b'_' => char::from(byte).to_string(),
            b'.' | b'-' if at > 0 => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

/// Writes a file that only its owner may read: all of it or nothing, by a temporary name, fsync and rename.
pub(crate) fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    let temporary = path.with_extension(format!("new-{}", std::process::id()));
    let written = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        let _ = fs::remove_file(&temporary); // the first error is the one to report
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_become_names_of_one_folder() {
        assert_eq!(folder_name("alice@example.org"), "alice@example.org");
        assert_eq!(folder_name("../é@x"), "%2E.%2F%C3%A9@x");
    }

    #[test]
    fn private_files_are_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("keys");
        write_private(&path, "secret").expect("written");
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_to_string(&path).expect("read"), "secret");
    }
}
