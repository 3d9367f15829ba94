//! SQLite on a thread of its own: one writer that commits what waits together.
//!
//! A job is a closure over the connection; it runs in a savepoint, so a failed one leaves nothing behind and spoils no
//! other. Answers are given after the commit: what was answered is on the disk (WAL, `synchronous = FULL`), also after
//! `kill -9` and after a power cut.

mod migrations;

use std::path::Path;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

/// Jobs that wait at most; who comes then waits for room.
const QUEUE: usize = 1024;
/// Jobs that share one commit at most.
const GROUP: usize = 256;

/// Why the database did not do something.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatabaseError {
    /// SQLite says no.
    #[error("the database says: {0}")]
    Sql(#[from] rusqlite::Error),
    /// The folder was used by a newer version.
    #[error("the database is of version {found}, this program knows up to {known}")]
    Newer {
        /// in the file
        found: u32,
        /// here
        known: u32,
    },
    /// The thread has ended.
    #[error("the database is closed")]
    Closed,
}

/// What a job hands back: told after the commit whether it held.
type Answer = Box<dyn FnOnce(Result<(), DatabaseError>) + Send>;
type Job = Box<dyn FnOnce(&Connection) -> Answer + Send>;

/// The way to the thread. Cheap to clone; the thread ends when the last one is dropped.
#[derive(Clone, Debug)]
pub(crate) struct Database {
    jobs: mpsc::Sender<Job>,
}

impl Database {
    /// Opens or makes the file, brings it up to date, and starts the thread. Blocks.
    pub(crate) fn open(path: &Path) -> Result<Self, DatabaseError> {
        let mut connection = Connection::open(path)?;
        prepare(&mut connection)?;
        let (jobs, waiting) = mpsc::channel(QUEUE);
        let spawned = std::thread::Builder::new().name("balcony-database".into()).spawn(move || run(&connection, waiting));
        spawned.map_err(|_| DatabaseError::Closed)?;
        Ok(Self { jobs })
    }

    /// Runs `job` and returns what it returns, after the commit. Dropping the future does not stop a job that was queued.
    pub(crate) async fn call<T, F>(&self, job: F) -> Result<T, DatabaseError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let (tell, told) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            let outcome = in_savepoint(connection, job);
            Box::new(move |committed| {
                // The asker may have gone; the work is done all the same.
                let _ = tell.send(committed.and_then(|()| outcome.map_err(DatabaseError::from)));
            })
        });
        self.jobs.send(job).await.map_err(|_| DatabaseError::Closed)?;
        told.await.map_err(|_| DatabaseError::Closed)?
    }
}

fn prepare(connection: &mut Connection) -> Result<(), DatabaseError> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", "ON")?;
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    connection.set_prepared_statement_cache_capacity(64);
    migrations::apply(connection)
}

fn in_savepoint<T>(connection: &Connection, job: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> rusqlite::Result<T> {
    connection.prepare_cached("SAVEPOINT job")?.execute([])?;
    let outcome = job(connection);
    if outcome.is_err() {
        connection.prepare_cached("ROLLBACK TO job")?.execute([])?;
    }
    connection.prepare_cached("RELEASE job")?.execute([])?;
    outcome
}

/// The thread: takes what waits, runs it, commits, answers.
fn run(connection: &Connection, mut waiting: mpsc::Receiver<Job>) {
    let mut answers = Vec::with_capacity(GROUP);
    while let Some(first) = waiting.blocking_recv() {
        let begun = connection.prepare_cached("BEGIN").and_then(|mut begin| begin.execute([]));
        answers.push(first(connection));
        while answers.len() < GROUP {
            match waiting.try_recv() {
                Ok(job) => answers.push(job(connection)),
                Err(_) => break,
            }
        }
        let committed = begun.and_then(|_| connection.prepare_cached("COMMIT").and_then(|mut commit| commit.execute([])));
        if let Err(error) = &committed {
            tracing::error!(%error, "the database did not commit");
            if !connection.is_autocommit() {
                let rolled_back = connection.execute_batch("ROLLBACK");
                tracing::warn!(held = rolled_back.is_ok(), "rolled back");
            }
        }
        let failure = committed.err().map(|error| error.to_string());
        for answer in answers.drain(..) {
            answer(match &failure {
                None => Ok(()),
                Some(why) => Err(DatabaseError::Sql(rusqlite::Error::SqliteFailure(
                    rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_ABORT),
                    Some(why.clone()),
                ))),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(folder: &tempfile::TempDir) -> Database {
        Database::open(&folder.path().join("test.sqlite")).unwrap()
    }

    async fn put(database: &Database, name: &'static str, then_fail: bool) -> Result<(), DatabaseError> {
        database
            .call(move |sql| {
                sql.execute("INSERT INTO secrets (name, value) VALUES (?1, x'00')", [name])?;
                if then_fail { Err(rusqlite::Error::QueryReturnedNoRows) } else { Ok(()) }
            })
            .await
    }

    async fn names(database: &Database) -> Vec<String> {
        database
            .call(|sql| sql.prepare("SELECT name FROM secrets ORDER BY name")?.query_map([], |row| row.get(0))?.collect())
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn a_failed_job_leaves_nothing_and_spoils_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let database = open(&folder);
        let (first, second, third) = tokio::join!(put(&database, "a", false), put(&database, "b", true), put(&database, "c", false));
        assert!(first.is_ok() && second.is_err() && third.is_ok());
        assert_eq!(names(&database).await, ["a", "c"]);
    }

    #[tokio::test]
    async fn what_was_answered_is_there_when_the_file_is_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        put(&open(&folder), "kept", false).await.unwrap();
        assert_eq!(names(&open(&folder)).await, ["kept"]);
    }

    #[test]
    fn a_file_of_a_newer_version_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.sqlite");
        Connection::open(&path).unwrap().pragma_update(None, "user_version", 9999).unwrap();
        assert!(matches!(Database::open(&path), Err(DatabaseError::Newer { found: 9999, .. })));
    }
}
