//! The accounts this person has logged in to: a file that only its owner may read, with salted keys and never a password.

use std::fs;

use balcony_client::Proxy;
use balcony_session::{Mechanism, ScramKeys, Security};
use balcony_wire::BareJid;
use serde::{Deserialize, Serialize};

use crate::exit::{Class, Failure};
use crate::home::{Home, write_private};

/// One remembered account.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// The bare JID, prepared.
    pub(crate) jid: String,
    /// `HOST:PORT` to connect to instead of what DNS says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) server: Option<String>,
    /// Whether that port begins with TLS.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) direct_tls: bool,
    /// An authority trusted for this account besides the system's, as PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ca: Option<String>,
    /// The proxy that everything of this account goes through, with its password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) proxy: Option<String>,
    /// The strongest mechanism this server ever offered: nothing weaker is used again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) floor: Option<String>,
    /// Salted keys, as text of [`ScramKeys`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) keys: Option<String>,
}

impl Entry {
    /// An account about to be logged in to.
    pub(crate) fn new(jid: &BareJid) -> Self {
        Self { jid: jid.to_string(), server: None, direct_tls: false, ca: None, proxy: None, floor: None, keys: None }
    }

    /// The address.
    pub(crate) fn jid(&self) -> Result<BareJid, Failure> {
        self.jid.parse().map_err(|error| Failure::from_error(Class::Usage, &error))
    }

    /// The proxy; an error rather than a way around it.
    pub(crate) fn proxy(&self) -> Result<Option<Proxy>, Failure> {
        let proxy = self.proxy.as_deref().map(str::parse).transpose();
        proxy.map_err(|error| {
            Failure::from_error(Class::Usage, &error).advise(format!("`balcony login {} --proxy …` sets it anew", self.jid))
        })
    }

    /// How to begin TLS.
    pub(crate) fn security(&self) -> Security {
        if self.direct_tls { Security::DirectTls } else { Security::StartTls }
    }

    /// The remembered floor.
    pub(crate) fn floor(&self) -> Option<Mechanism> {
        self.floor.as_deref().and_then(Mechanism::from_name)
    }

    /// The salted keys, if there are any that can be read.
    pub(crate) fn keys(&self) -> Option<ScramKeys> {
        self.keys.as_deref().and_then(|text| ScramKeys::from_text(text).ok())
    }
}

/// All of them.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Accounts {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    default: Option<String>,
    #[serde(default, rename = "account")]
    entries: Vec<Entry>,
}

impl Accounts {
    /// Reads the file; none is no accounts.
    pub(crate) fn load(home: &Home) -> Result<Self, Failure> {
        let path = home.accounts();
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(Failure::new(Class::Local, format!("cannot read {}: {error}", path.display()))),
        };
        toml::from_str(&text).map_err(|error| {
            Failure::new(Class::Local, format!("{} cannot be understood: {}", path.display(), error.message()))
                .advise("mend it, or move it away and log in again")
        })
    }

    /// Writes the file, all of it or nothing.
    pub(crate) fn save(&self, home: &Home) -> Result<(), Failure> {
        let path = home.accounts();
        let text = toml::to_string(self).map_err(|error| Failure::from_error(Class::Internal, &error))?;
        write_private(&path, &text).map_err(|error| Failure::new(Class::Local, format!("cannot write {}: {error}", path.display())))
    }

    /// The remembered accounts, in the order they were made.
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Whether this is the one used unless another is named.
    pub(crate) fn is_default(&self, jid: &str) -> bool {
        self.default.as_deref() == Some(jid)
    }

    /// Adds or replaces an account; the first one becomes the default.
    pub(crate) fn put(&mut self, entry: Entry) {
        self.default.get_or_insert_with(|| entry.jid.clone());
        match self.entries.iter_mut().find(|old| old.jid == entry.jid) {
            Some(old) => *old = entry,
            None => self.entries.push(entry),
        }
    }

    /// Makes an account the default.
    pub(crate) fn set_default(&mut self, named: &str) -> Result<(), Failure> {
        self.default = Some(self.named(named)?.jid.clone());
        Ok(())
    }

    /// Forgets an account.
    pub(crate) fn remove(&mut self, named: &str) -> Result<Entry, Failure> {
        let jid = self.named(named)?.jid.clone();
        if self.is_default(&jid) {
            self.default = None;
        }
        let at = self.entries.iter().position(|entry| entry.jid == jid).ok_or_else(|| unknown(named))?;
        let removed = self.entries.remove(at);
        if self.default.is_none() {
            self.default = self.entries.first().map(|entry| entry.jid.clone());
        }
        Ok(removed)
    }

    /// The account that was named, else the default one.
    pub(crate) fn choose(&self, named: Option<&str>) -> Result<&Entry, Failure> {
        match named.or(self.default.as_deref()) {
            Some(named) => self.named(named),
            None => Err(Failure::new(Class::Login, "there is no account yet")
                .advise("log in with `balcony login JID`, or see it work with `balcony try`")),
        }
    }

    fn named(&self, named: &str) -> Result<&Entry, Failure> {
        let jid: BareJid = named.parse().map_err(|error| Failure::from_error(Class::Usage, &error))?;
        self.entries.iter().find(|entry| entry.jid == jid.as_str()).ok_or_else(|| unknown(named))
    }
}

fn unknown(named: &str) -> Failure {
    Failure::new(Class::Login, format!("{named} is not logged in here"))
        .advise(format!("log in with `balcony login {named}`; `balcony accounts` lists the others"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_account_is_the_default_until_it_is_removed() {
        let folder = tempfile::tempdir().expect("folder");
        let home = Home::open(Some(folder.path())).expect("home");
        let mut accounts = Accounts::load(&home).expect("none yet");
        assert!(accounts.choose(None).is_err());
        for jid in ["alice@example.org", "bob@example.org"] {
            accounts.put(Entry::new(&jid.parse().expect("address")));
        }
        accounts.save(&home).expect("saved");
        let mut accounts = Accounts::load(&home).expect("read");
        assert_eq!(accounts.choose(None).expect("default").jid, "alice@example.org");
        assert_eq!(accounts.choose(Some("bob@example.org")).expect("named").jid, "bob@example.org");
        accounts.remove("alice@example.org").expect("removed");
        assert_eq!(accounts.choose(None).expect("default").jid, "bob@example.org");
        assert!(accounts.choose(Some("alice@example.org")).is_err());
    }
}
