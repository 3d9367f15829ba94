//! Accounts and their keys: for each hash a salt of its own, never the password.

use std::time::{SystemTime, UNIX_EPOCH};

use balcony_session::scram::KeysError;
use balcony_session::{ScramHash, StoredKeys};
use balcony_wire::{BareJid, Jid, JidError};
use rusqlite::{OptionalExtension as _, params};

use crate::database::{Database, DatabaseError};
use crate::error::AccountError;

/// The accounts of one domain.
#[derive(Clone, Debug)]
pub(crate) struct Accounts {
    database: Database,
    domain: String,
    iterations: u32,
}

impl Accounts {
    pub(crate) fn new(database: Database, domain: &BareJid, iterations: u32) -> Self {
        Self { database, domain: domain.as_str().to_owned(), iterations: iterations.max(balcony_session::scram::MIN_ITERATIONS) }
    }

    /// Rounds that new passwords get.
    pub(crate) fn iterations(&self) -> u32 {
        self.iterations
    }

    /// The prepared localpart of a name that a person gave.
    fn localpart(&self, name: &str) -> Result<String, AccountError> {
        let refused = |source| AccountError::Name { name: name.to_owned(), source };
        let jid = Jid::parse(&format!("{name}@{}", self.domain)).map_err(refused)?;
        match jid.local() {
            // A name with a separator in it would be cut.
            Some(local) if jid.is_bare() && jid.domain() == self.domain => Ok(local.to_owned()),
            _ => Err(refused(JidError::HasResource)),
        }
    }

    /// Makes an account.
    pub(crate) async fn add(&self, name: &str, password: &str) -> Result<(), AccountError> {
        let localpart = self.localpart(name)?;
        let keys = self.derive(password).await?;
        let created = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let account = localpart.clone();
        let added = self.database.call(move |sql| {
            let insert = "INSERT INTO accounts (localpart, created_at, roster_version) VALUES (?1, ?2, 0) ON CONFLICT DO NOTHING";
            if sql.prepare_cached(insert)?.execute(params![account, i64::try_from(created).unwrap_or(0)])? == 0 {
                return Ok(false);
            }
            save(sql, &account, &keys)?;
            Ok(true)
        });
        if added.await? { Ok(()) } else { Err(AccountError::Exists(localpart)) }
    }

    /// Replaces the keys of an account.
    pub(crate) async fn set_password(&self, name: &str, password: &str) -> Result<(), AccountError> {
        let localpart = self.localpart(name)?;
        let keys = self.derive(password).await?;
        let account = localpart.clone();
        let there = self.database.call(move |sql| {
            let there = exists(sql, &account)?;
            if there {
                save(sql, &account, &keys)?;
            }
            Ok(there)
        });
        if there.await? { Ok(()) } else { Err(AccountError::Unknown(localpart)) }
    }

    /// Deletes an account with its contacts and messages and returns its prepared localpart.
    pub(crate) async fn remove(&self, name: &str) -> Result<String, AccountError> {
        let localpart = self.localpart(name)?;
        let account = localpart.clone();
        let delete = "DELETE FROM accounts WHERE localpart = ?1";
        let gone = self.database.call(move |sql| sql.prepare_cached(delete)?.execute([account])).await?;
        if gone == 1 { Ok(localpart) } else { Err(AccountError::Unknown(localpart)) }
    }

    /// All localparts, sorted.
    pub(crate) async fn list(&self) -> Result<Vec<String>, DatabaseError> {
        let query = "SELECT localpart FROM accounts ORDER BY localpart";
        self.database.call(move |sql| sql.prepare_cached(query)?.query_map([], |row| row.get(0))?.collect()).await
    }

    /// The keys of an account for one hash.
    pub(crate) async fn keys(&self, localpart: &str, hash: ScramHash) -> Result<Option<StoredKeys>, DatabaseError> {
        let localpart = localpart.to_owned();
        let query = "SELECT keys FROM credentials WHERE localpart = ?1 AND hash = ?2";
        let found: Option<String> = self
            .database
            .call(move |sql| sql.prepare_cached(query)?.query_row(params![localpart, hash.mechanism_name()], |row| row.get(0)).optional())
            .await?;
        Ok(found.and_then(|text| StoredKeys::from_text(&text).map_err(|error| tracing::error!(%error, "stored keys cannot be read")).ok()))
    }

    /// A secret of this server, made when it is first asked for and the same ever after.
    pub(crate) async fn secret(&self, name: &'static str) -> Result<[u8; 32], DatabaseError> {
        let fresh = random::<32>();
        self.database
            .call(move |sql| {
                let insert = "INSERT INTO secrets (name, value) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
                sql.prepare_cached(insert)?.execute(params![name, fresh])?;
                sql.prepare_cached("SELECT value FROM secrets WHERE name = ?1")?.query_row([name], |row| row.get(0))
            })
            .await
    }

    /// Keys for every hash, each with its own salt. Slow by purpose, so on a thread that may block.
    async fn derive(&self, password: &str) -> Result<Vec<StoredKeys>, AccountError> {
        let (password, iterations) = (password.to_owned(), self.iterations);
        let derive =
            move || ScramHash::ALL.into_iter().map(|hash| StoredKeys::derive(hash, &password, &random::<16>(), iterations)).collect();
        let keys: Result<Vec<_>, KeysError> = tokio::task::spawn_blocking(derive).await.map_err(|_| DatabaseError::Closed)?;
        keys.map_err(|error| AccountError::Password(error.to_string()))
    }
}

fn exists(sql: &rusqlite::Connection, localpart: &str) -> rusqlite::Result<bool> {
    sql.prepare_cached("SELECT 1 FROM accounts WHERE localpart = ?1")?.exists([localpart])
}

fn save(sql: &rusqlite::Connection, localpart: &str, keys: &[StoredKeys]) -> rusqlite::Result<()> {
    let mut statement = sql.prepare_cached("INSERT OR REPLACE INTO credentials (localpart, hash, keys) VALUES (?1, ?2, ?3)")?;
    for keys in keys {
        statement.execute(params![localpart, keys.hash().mechanism_name(), keys.to_text()])?;
    }
    Ok(())
}

/// Random bytes of the system.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system has a source of random bytes");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts(folder: &tempfile::TempDir) -> Accounts {
        let database = Database::open(&folder.path().join("test.sqlite")).unwrap();
        Accounts::new(database, &"localhost".parse().unwrap(), 0)
    }

    #[tokio::test]
    async fn an_account_has_keys_for_every_hash_and_each_its_own_salt() {
        let folder = tempfile::tempdir().unwrap();
        let accounts = accounts(&folder);
        accounts.add("Romeo", "wherefore").await.unwrap();
        assert_eq!(accounts.list().await.unwrap(), ["romeo"]);
        let mut salts = Vec::new();
        for hash in ScramHash::ALL {
            let keys = accounts.keys("romeo", hash).await.unwrap().unwrap();
            assert!(keys.fits("wherefore") && !keys.fits("therefore"));
            assert_eq!(keys.iterations(), 4096);
            salts.push(keys.salt().to_vec());
        }
        salts.dedup();
        assert_eq!(salts.len(), 3);
        assert!(accounts.keys("juliet", ScramHash::Sha1).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn names_and_passwords_that_cannot_be_are_refused_in_words() {
        let folder = tempfile::tempdir().unwrap();
        let accounts = accounts(&folder);
        accounts.add("romeo", "x").await.unwrap();
        assert!(matches!(accounts.add("ROMEO", "y").await, Err(AccountError::Exists(name)) if name == "romeo"));
        for bad in ["", "a@b", "a/b", "a b", "\u{0}"] {
            assert!(matches!(accounts.add(bad, "x").await, Err(AccountError::Name { .. })), "{bad:?}");
        }
        assert!(matches!(accounts.add("juliet", "").await, Err(AccountError::Password(_))));
        assert!(matches!(accounts.set_password("nobody", "x").await, Err(AccountError::Unknown(_))));
        assert!(matches!(accounts.remove("nobody").await, Err(AccountError::Unknown(_))));
    }

    #[tokio::test]
    async fn a_new_password_replaces_the_old_one_and_secrets_stay() {
        let folder = tempfile::tempdir().unwrap();
        let secret = {
            let accounts = accounts(&folder);
            accounts.add("romeo", "old").await.unwrap();
            accounts.set_password("romeo", "new").await.unwrap();
            accounts.secret("test").await.unwrap()
        };
        let accounts = accounts(&folder);
        let keys = accounts.keys("romeo", ScramHash::Sha256).await.unwrap().unwrap();
        assert!(keys.fits("new") && !keys.fits("old"));
        assert_eq!(accounts.secret("test").await.unwrap(), secret);
        assert_ne!(accounts.secret("other").await.unwrap(), secret);
        accounts.remove("romeo").await.unwrap();
        assert!(accounts.keys("romeo", ScramHash::Sha256).await.unwrap().is_none());
    }
}
