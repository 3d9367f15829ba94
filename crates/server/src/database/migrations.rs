//! The tables. Steps are only ever appended: a step that was released is never edited.

use rusqlite::Connection;

use super::DatabaseError;

const STEPS: &[&str] = &[
    // 1: accounts, contacts, waiting messages, uploads
    "CREATE TABLE secrets (
        name TEXT NOT NULL PRIMARY KEY,
        value BLOB NOT NULL
     ) STRICT;
     CREATE TABLE accounts (
        localpart TEXT NOT NULL PRIMARY KEY,
        created_at INTEGER NOT NULL,
        roster_version INTEGER NOT NULL
     ) STRICT;
     CREATE TABLE credentials (
        localpart TEXT NOT NULL REFERENCES accounts (localpart) ON DELETE CASCADE,
        hash TEXT NOT NULL,
        keys TEXT NOT NULL,
        PRIMARY KEY (localpart, hash)
     ) STRICT, WITHOUT ROWID;
     -- One row per contact, also for those that only asked (listed = 0). name '' is no name (RFC 6121 2.1.2.4).
     CREATE TABLE contacts (
        localpart TEXT NOT NULL REFERENCES accounts (localpart) ON DELETE CASCADE,
        contact TEXT NOT NULL,
        listed INTEGER NOT NULL,
        name TEXT NOT NULL,
        groups TEXT NOT NULL,
        sees INTEGER NOT NULL,
        seen INTEGER NOT NULL,
        asked INTEGER NOT NULL,
        approved INTEGER NOT NULL,
        request TEXT NOT NULL,
        PRIMARY KEY (localpart, contact)
     ) STRICT, WITHOUT ROWID;
     CREATE TABLE offline (
        id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        localpart TEXT NOT NULL REFERENCES accounts (localpart) ON DELETE CASCADE,
        stanza TEXT NOT NULL
     ) STRICT;
     CREATE INDEX offline_by_account ON offline (localpart, id);
     -- Rows outlive their file for a while, to tell what has expired from what never was.
     CREATE TABLE uploads (
        object TEXT NOT NULL PRIMARY KEY,
        account TEXT NOT NULL,
        name TEXT NOT NULL,
        media_type TEXT NOT NULL,
        size INTEGER NOT NULL,
        purpose TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('granted', 'stored', 'gone')),
        granted_at INTEGER NOT NULL,
        slot_ends_at INTEGER NOT NULL,
        expires_at INTEGER NOT NULL
     ) STRICT, WITHOUT ROWID;
     CREATE INDEX uploads_by_account ON uploads (account, granted_at);
     CREATE INDEX uploads_by_end ON uploads (state, expires_at);",
    // 2: messages that are with a session and not acknowledged
    "CREATE TABLE spool (
        id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        session INTEGER NOT NULL,
        covered_by INTEGER NOT NULL,
        localpart TEXT NOT NULL,
        stanza TEXT NOT NULL,
        at INTEGER NOT NULL
     ) STRICT;
     CREATE INDEX spool_by_session ON spool (session, covered_by);",
];

/// Brings the file to the newest version.
pub(super) fn apply(connection: &mut Connection) -> Result<(), DatabaseError> {
    let known = u32::try_from(STEPS.len()).expect("the list of steps is short");
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let found: u32 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if found > known {
        return Err(DatabaseError::Newer { found, known });
    }
    for step in STEPS.iter().skip(found as usize) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", known)?;
    transaction.commit()?;
    Ok(())
}
