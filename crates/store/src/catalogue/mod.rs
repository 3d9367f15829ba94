//! What is known, in one SQLite file. One connection per store; other processes have theirs, and WAL keeps them apart.
//!
//! A row that says "sent" or "this blob is whole" must not be forgotten by a loss of power: `synchronous = FULL`, or a sync of the log
//! that several transactions share (`durable.rs`). What may be forgotten then, as it is only advice, says so: `with_lightly`.

mod adding;
pub(crate) mod answers;
pub(crate) mod attachments;
pub(crate) mod bits;
mod blobs;
pub(crate) mod bounds;
pub(crate) mod digest_memory;
mod durable;
pub(crate) mod links;
pub(crate) mod live_shares;
mod migrations;
pub(crate) mod offers;
pub(crate) mod outbox;
mod outcomes;
pub(crate) mod pins;
mod published;
pub(crate) mod removals;
mod settings;
mod stamps;
pub(crate) mod uses;

use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use balcony_sharing::DigestSet;
use balcony_wire::hashes::{Digest, HashAlgo};
use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};

use crate::{MAX_ROWS, Store, StoreError};

use durable::Log;

/// How long another process may hold the catalogue.
const BUSY: Duration = Duration::from_secs(10);

/// The catalogue of one store.
#[derive(Debug)]
pub(crate) struct Catalogue {
    connection: Mutex<Connection>,
    path: PathBuf,
    log: Log,
}

impl Catalogue {
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        restrict(path)?;
        let connection = Connection::open(path).map_err(|error| of_sqlite(path, error))?;
        let mut catalogue = Self { connection: Mutex::new(connection), path: path.to_owned(), log: Log::in_memory() };
        catalogue.prepare()?;
        // after the first look into it the log is there
        catalogue.log = Log::of(path).map_err(|error| StoreError::of_file("open the log of", path, error))?;
        Ok(catalogue)
    }

    pub(crate) fn in_memory() -> Result<Self, StoreError> {
        let path = Path::new("in memory");
        let connection = Connection::open_in_memory().map_err(|error| of_sqlite(path, error))?;
        let catalogue = Self { connection: Mutex::new(connection), path: path.to_owned(), log: Log::in_memory() };
        catalogue.prepare()?;
        Ok(catalogue)
    }

    /// Where two switch a new file to WAL at once, SQLite tells one of them at once that it is busy: waiting would never end.
    fn prepare(&self) -> Result<(), StoreError> {
        let until = Instant::now() + BUSY;
        loop {
            match self.try_to_prepare() {
                Err(StoreError::CatalogueBusy(_)) if Instant::now() < until => std::thread::sleep(Duration::from_millis(10)),
                done => return done,
            }
        }
    }

    fn try_to_prepare(&self) -> Result<(), StoreError> {
        self.with(|connection| {
            connection.busy_timeout(BUSY)?;
            connection.set_prepared_statement_cache_capacity(128);
            connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF;")
        })?;
        self.migrate(migrations::MIGRATIONS)?;
        self.with(|connection| connection.execute_batch("PRAGMA foreign_keys = ON"))
    }

    fn migrate(&self, migrations: &[&str]) -> Result<(), StoreError> {
        let known = i64::try_from(migrations.len()).unwrap_or(i64::MAX);
        let version = |connection: &Connection| connection.query_row("PRAGMA user_version", [], |row| row.get(0));
        let mut found: i64 = self.with(|connection| version(connection))?;
        if found < known {
            // a table that is made anew must not take with it what refers to it
            self.with(|connection| connection.execute_batch("PRAGMA foreign_keys = OFF"))?;
            found = self.change(|transaction| {
                let found: i64 = version(transaction)?; // another process may have been quicker
                for migration in migrations.iter().skip(usize::try_from(found).unwrap_or(usize::MAX)) {
                    transaction.execute_batch(migration)?;
                }
                if found < known {
                    transaction.pragma_update(None, "user_version", known)?;
                }
                Ok(found)
            })?;
        }
        if found > known {
            return Err(StoreError::TooNew { path: self.path.clone(), found, known });
        }
        Ok(())
    }

    /// Reads, or writes one row.
    fn with<T>(&self, work: impl FnOnce(&mut Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner); // a transaction rolls back when dropped
        work(&mut connection).map_err(|error| of_sqlite(&self.path, error))
    }

    /// As [`Self::with`], for what a loss of power may take back: nothing waits for the disk. A process that dies loses nothing.
    fn with_lightly<T>(&self, work: impl FnOnce(&mut Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        self.with(|connection| {
            let connection = &mut *Lightly::begin(connection)?;
            work(connection)
        })
    }

    /// As [`Self::change`], for what a loss of power may take back.
    fn change_lightly<T>(&self, work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        self.with_lightly(|connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let value = work(&transaction)?;
            transaction.commit()?;
            Ok(value)
        })
    }

    fn error(&self, error: rusqlite::Error) -> StoreError {
        of_sqlite(&self.path, error)
    }

    /// All of it or nothing. Takes the right to write at once, so that it cannot fail to get it in the middle.
    fn change<T>(&self, work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        self.change_with(|transaction| work(transaction).map_err(|error| self.error(error)))
    }

    /// As [`Self::change`], with other work in between that fails in its own way.
    fn change_with<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner); // a transaction rolls back when dropped
        let mut lightly = Lightly::begin(&mut connection).map_err(|error| self.error(error))?;
        let before = lightly.total_changes();
        let begun = lightly.transaction_with_behavior(TransactionBehavior::Immediate);
        let transaction = begun.map_err(|error| self.error(error))?;
        let value = work(&transaction)?;
        transaction.commit().map_err(|error| self.error(error))?;
        if lightly.total_changes() == before {
            return Ok(value); // nothing was written
        }
        let number = self.log.note();
        drop(lightly);
        drop(connection);
        self.log.sync(number).map_err(|error| StoreError::of_file("write", &self.path, error))?;
        Ok(value)
    }
}

/// A connection that does not sync by itself, for a while.
struct Lightly<'a>(&'a mut Connection);

impl<'a> Lightly<'a> {
    fn begin(connection: &'a mut Connection) -> rusqlite::Result<Self> {
        connection.execute_batch("PRAGMA synchronous = NORMAL")?;
        Ok(Self(connection))
    }
}

impl Deref for Lightly<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.0
    }
}

impl DerefMut for Lightly<'_> {
    fn deref_mut(&mut self) -> &mut Connection {
        self.0
    }
}

impl Drop for Lightly<'_> {
    fn drop(&mut self) {
        // it reads no file; were it to fail, what comes next would fail as well
        let _ = self.0.execute_batch("PRAGMA synchronous = FULL");
    }
}

impl Store {
    fn catalogue(&self) -> &Catalogue {
        &self.inner.catalogue
    }
}

/// The catalogue holds messages: for its owner only, from its first byte. SQLite gives its other files the same mode.
fn restrict(path: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::OpenOptionsExt;
    let made = std::fs::File::options().write(true).create_new(true).mode(0o600).open(path);
    match made {
        // one that is there is not opened: closing it would end the locks that another connection of this process has on it
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(StoreError::of_file("open", path, error)),
        _ => Ok(()),
    }
}

fn of_sqlite(path: &Path, error: rusqlite::Error) -> StoreError {
    use std::io::{Error, ErrorKind};
    let path = path.to_owned();
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::DiskFull { doing: "write", path, source: Error::new(ErrorKind::StorageFull, error) },
        // The file beside it that processes share could not grow: SQLite does not tell that this is for want of room.
        Some(ErrorCode::SystemIoFailure) if extended_code(&error) == Some(rusqlite::ffi::SQLITE_IOERR_SHMSIZE) => {
            StoreError::DiskFull { doing: "write", path, source: Error::new(ErrorKind::StorageFull, error) }
        }
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            StoreError::Denied { doing: "write", path, source: Error::new(ErrorKind::PermissionDenied, error) }
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::CatalogueBusy(path),
        _ => StoreError::Catalogue { path, source: error },
    }
}

fn extended_code(error: &rusqlite::Error) -> Option<i32> {
    match error {
        rusqlite::Error::SqliteFailure(failure, _) => Some(failure.extended_code),
        _ => None,
    }
}

/// At most so many rows, whatever is asked for.
fn bounded(limit: usize) -> i64 {
    i64::try_from(limit.min(MAX_ROWS)).unwrap_or(i64::MAX)
}

/// SQLite's integers have a sign; no file has so many bytes.
fn to_int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn to_size(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// Milliseconds since 1970.
fn to_millis(at: SystemTime) -> i64 {
    match at.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |millis| -millis),
    }
}

fn to_time(millis: i64) -> SystemTime {
    let by = Duration::from_millis(millis.unsigned_abs());
    let time = if millis < 0 { UNIX_EPOCH.checked_sub(by) } else { UNIX_EPOCH.checked_add(by) };
    time.unwrap_or(UNIX_EPOCH)
}

/// Digests in one column: `sha-256:hex blake2b-256:hex`.
fn to_text(digests: &DigestSet) -> String {
    digests.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// `None` for what nobody here wrote.
fn from_text(text: &str) -> Option<DigestSet> {
    let digest = |word: &str| {
        let (algo, hex) = word.split_once(':')?;
        Digest::from_hex(HashAlgo::from_name(algo)?, hex).ok()
    };
    text.split(' ').filter(|word| !word.is_empty()).map(digest).collect()
}

/// What was read, or the complaint that nobody here wrote it.
fn known<T>(value: Option<T>, what: &'static str) -> Result<T, StoreError> {
    value.ok_or(StoreError::Record { what })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan_of(catalogue: &Catalogue, query: &str) -> String {
        let plan: Vec<String> = catalogue
            .with(|connection| {
                let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {query}"))?;
                let count = statement.parameter_count();
                let lines = statement.query_map(rusqlite::params_from_iter(std::iter::repeat_n(1, count)), |row| row.get(3))?;
                lines.collect()
            })
            .unwrap();
        plan.join("\n")
    }

    /// An index for half of what is asked would read a whole account for the last messages of one conversation.
    #[test]
    fn lists_of_offers_have_an_index_for_all_that_is_asked() {
        let catalogue = Catalogue::in_memory().unwrap();
        for (query, expected) in [
            offers::PLANS,
            adding::PLANS,
            bounds::PLANS,
            attachments::PLANS,
            answers::PLANS,
            links::PLANS,
            bits::PLANS,
            published::PLANS,
            live_shares::PLANS,
            uses::PLANS,
            removals::PLANS,
        ]
        .concat()
        {
            let plan = plan_of(&catalogue, query);
            assert!(plan.contains(expected), "{query}\n{plan}");
        }
    }

    #[test]
    fn no_list_and_no_search_reads_a_whole_table() {
        let catalogue = Catalogue::in_memory().unwrap();
        let queries = [
            offers::QUERIES,
            adding::QUERIES,
            blobs::QUERIES,
            stamps::QUERIES,
            outcomes::QUERIES,
            outbox::QUERIES,
            outbox::batches::QUERIES,
            digest_memory::QUERIES,
            bounds::QUERIES,
            attachments::QUERIES,
            links::QUERIES,
            live_shares::QUERIES,
            pins::QUERIES,
            bits::QUERIES,
            uses::QUERIES,
            removals::QUERIES,
        ]
        .concat();
        for query in &queries {
            let plan = plan_of(&catalogue, query);
            assert!(plan.contains("USING") && !plan.contains("TEMP B-TREE"), "{query}\n{plan}");
            for line in plan.lines().filter(|line| line.starts_with("SCAN")) {
                // going through an index in its order, up to the limit, is no search through the table
                assert!(line.contains("USING INDEX") || line.contains("USING COVERING INDEX"), "{query}\n{plan}");
                assert!(query.contains("LIMIT"), "{query}\n{plan}");
            }
        }
        assert!(queries.len() > 10, "{}", queries.len());
    }

    #[test]
    fn migrations_append_and_a_newer_catalogue_is_left_alone() {
        let catalogue = Catalogue::in_memory().unwrap();
        let more: Vec<&str> = migrations::MIGRATIONS.iter().copied().chain(["CREATE TABLE later (id INTEGER NOT NULL) STRICT"]).collect();
        catalogue.migrate(&more).unwrap();
        catalogue.migrate(&more).unwrap();
        let ours = i64::try_from(migrations::MIGRATIONS.len()).unwrap();
        let error = catalogue.migrate(migrations::MIGRATIONS).unwrap_err();
        assert!(matches!(error, StoreError::TooNew { found, known, .. } if (found, known) == (ours + 1, ours)), "{error}");
    }

    #[test]
    fn every_table_is_strict() {
        let catalogue = Catalogue::in_memory().unwrap();
        let lax: Vec<String> = catalogue
            .with(|connection| {
                let mut statement = connection
                    .prepare("SELECT name FROM pragma_table_list WHERE schema = 'main' AND NOT strict AND name NOT LIKE 'sqlite_%'")?;
                statement.query_map([], |row| row.get(0))?.collect()
            })
            .unwrap();
        assert_eq!(lax, Vec::<String>::new());
    }

    #[test]
    fn digests_survive_their_column() {
        let digests: DigestSet =
            [HashAlgo::Sha256, HashAlgo::Sha1].map(|algo| Digest::new(algo, vec![7; algo.digest_len()]).unwrap()).into_iter().collect();
        assert_eq!(from_text(&to_text(&digests)), Some(digests));
        assert_eq!(from_text(""), Some(DigestSet::new()));
        assert_eq!(from_text("sha-256:abcd"), None);
    }

    #[test]
    fn times_before_1970_come_back() {
        let before = UNIX_EPOCH - Duration::from_millis(1_500);
        assert_eq!(to_time(to_millis(before)), before);
    }
}
