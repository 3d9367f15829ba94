//! Messages for who is not there: kept as they came, in order, up to a bound.

use rusqlite::params;

use crate::database::{Database, DatabaseError};

/// One kept message.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) id: i64,
    pub(crate) stanza: String,
}

/// The waiting messages of all accounts.
#[derive(Clone, Debug)]
pub(crate) struct Offline {
    database: Database,
    most: usize,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stored {
    /// Under this number.
    Kept(i64),
    /// Too many wait already.
    Full,
    /// There is no such account.
    NoAccount,
}

impl Offline {
    pub(crate) fn new(database: Database, most: usize) -> Self {
        Self { database, most }
    }

    /// Keeps a message.
    pub(crate) async fn store(&self, account: &str, stanza: String) -> Result<Stored, DatabaseError> {
        let (account, most) = (account.to_owned(), self.most);
        self.database
            .call(move |sql| {
                if !sql.prepare_cached("SELECT 1 FROM accounts WHERE localpart = ?1")?.exists([&account])? {
                    return Ok(Stored::NoAccount);
                }
                let count: u32 =
                    sql.prepare_cached("SELECT COUNT(*) FROM offline WHERE localpart = ?1")?.query_row([&account], |row| row.get(0))?;
                if count as usize >= most {
                    return Ok(Stored::Full);
                }
                sql.prepare_cached("INSERT INTO offline (localpart, stanza) VALUES (?1, ?2)")?.execute(params![account, stanza])?;
                Ok(Stored::Kept(sql.last_insert_rowid()))
            })
            .await
    }

    /// What waits, oldest first. It stays until [`Offline::forget`].
    pub(crate) async fn waiting(&self, account: &str) -> Result<Vec<Kept>, DatabaseError> {
        let account = account.to_owned();
        let query = "SELECT id, stanza FROM offline WHERE localpart = ?1 ORDER BY id";
        self.database
            .call(move |sql| {
                let kept = |row: &rusqlite::Row<'_>| Ok(Kept { id: row.get(0)?, stanza: row.get(1)? });
                sql.prepare_cached(query)?.query_map([account], kept)?.collect()
            })
            .await
    }

    /// Takes one message out again. `false` when somebody got it meanwhile.
    pub(crate) async fn take_back(&self, account: &str, id: i64) -> Result<bool, DatabaseError> {
        let account = account.to_owned();
        let delete = "DELETE FROM offline WHERE localpart = ?1 AND id = ?2";
        self.database.call(move |sql| Ok(sql.prepare_cached(delete)?.execute(params![account, id])? == 1)).await
    }

    /// Forgets messages that were handed out, up to and including `last`.
    pub(crate) async fn forget(&self, account: &str, last: i64) -> Result<(), DatabaseError> {
        let account = account.to_owned();
        let delete = "DELETE FROM offline WHERE localpart = ?1 AND id <= ?2";
        self.database.call(move |sql| sql.prepare_cached(delete)?.execute(params![account, last]).map(drop)).await
    }
}
