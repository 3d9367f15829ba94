//! Settings by name. Secrets are not among them.

use rusqlite::{Connection, OptionalExtension, params};

use crate::{Store, StoreError};

impl Store {
    /// What a setting says.
    ///
    /// # Errors
    /// When the catalogue fails.
    pub fn setting(&self, name: &str) -> Result<Option<String>, StoreError> {
        self.catalogue().with(|connection| read(connection, name))
    }

    /// Gives a setting a value, whatever it was; `None` takes it away. What depends on the old value goes through
    /// [`Store::change_setting`].
    ///
    /// # Errors
    /// When the disk is full or the catalogue fails.
    pub fn set_setting(&self, name: &str, value: Option<&str>) -> Result<(), StoreError> {
        self.catalogue().with(|connection| write(connection, name, value))
    }

    /// Changes a setting by what it is: nobody else changes it meanwhile, in this program or another. Whoever changes it must not ask the
    /// store for anything; where they fail, it stays as it was.
    ///
    /// # Errors
    /// When the disk is full or the catalogue fails, and whatever the change fails by.
    pub fn change_setting<T, E: From<StoreError>>(
        &self,
        name: &str,
        change: impl FnOnce(&mut Option<String>) -> Result<T, E>,
    ) -> Result<T, E> {
        let changed = self.catalogue().change(|transaction| {
            let before = read(transaction, name)?;
            let mut after = before.clone();
            let done = change(&mut after);
            if done.is_ok() && after != before {
                write(transaction, name, after.as_deref())?;
            }
            Ok(done)
        });
        changed?
    }
}

fn read(connection: &Connection, name: &str) -> rusqlite::Result<Option<String>> {
    connection.prepare_cached("SELECT value FROM settings WHERE name = ?1")?.query_row([name], |row| row.get(0)).optional()
}

fn write(connection: &Connection, name: &str, value: Option<&str>) -> rusqlite::Result<()> {
    const SQL: &str = "INSERT INTO settings (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    match value {
        Some(value) => connection.execute(SQL, params![name, value]).map(drop),
        None => connection.execute("DELETE FROM settings WHERE name = ?1", [name]).map(drop),
    }
}
