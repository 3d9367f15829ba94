//! Settings by name. Secrets are not among them.

use rusqlite::{OptionalExtension, params};

use crate::{Store, StoreError};

impl Store {
    /// What a setting says.
    ///
    /// # Errors
    /// When the catalogue fails.
    pub fn setting(&self, name: &str) -> Result<Option<String>, StoreError> {
        self.catalogue().with(|connection| {
            connection.prepare_cached("SELECT value FROM settings WHERE name = ?1")?.query_row([name], |row| row.get(0)).optional()
        })
    }

    /// Changes a setting; `None` takes it away.
    ///
    /// # Errors
    /// When the disk is full or the catalogue fails.
    pub fn set_setting(&self, name: &str, value: Option<&str>) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO settings (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
        self.catalogue().with(|connection| match value {
            Some(value) => connection.execute(SQL, params![name, value]).map(drop),
            None => connection.execute("DELETE FROM settings WHERE name = ?1", [name]).map(drop),
        })
    }
}
