//! Messages for who is not there: kept as they came, in order, up to a bound.
//!
//! XEP-0160 Best practices for handling offline messages, v1.0 <https://xmpp.org/extensions/xep-0160.html>
//! Status: complete.

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
    most_bytes: usize,
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
    pub(crate) fn new(database: Database, most: usize, most_bytes: usize) -> Self {
        Self { database, most, most_bytes }
    }

    /// Keeps a message.
    pub(crate) async fn store(&self, account: &str, stanza: String) -> Result<Stored, DatabaseError> {
        let (account, most, most_bytes) = (account.to_owned(), self.most, self.most_bytes);
        self.database
            .call(move |sql| {
                if !sql.prepare_cached("SELECT 1 FROM accounts WHERE localpart = ?1")?.exists([&account])? {
                    return Ok(Stored::NoAccount);
                }
                // All of it is in memory when they come, so bytes are bounded as well.
                let query = "SELECT COUNT(*), IFNULL(SUM(octet_length(stanza)), 0) FROM offline WHERE localpart = ?1";
                let (count, bytes): (i64, i64) = sql.prepare_cached(query)?.query_row([&account], |row| Ok((row.get(0)?, row.get(1)?)))?;
                let (count, bytes) = (usize::try_from(count).unwrap_or(usize::MAX), usize::try_from(bytes).unwrap_or(usize::MAX));
                if count >= most || bytes.saturating_add(stanza.len()) > most_bytes {
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
