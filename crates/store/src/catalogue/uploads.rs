//! Uploads in flight: which slot a file of a message has, so that a restart goes on with it or asks for another one.
//!
//! A slot's PUT URL and headers are a right to write: they are in here, and in no log.

use std::time::SystemTime;

use balcony_wire::BareJid;
use rusqlite::params;

use super::offers::jid;
use super::{known, to_int, to_millis, to_size, to_time};
use crate::{JobId, Store, StoreError};

/// An upload in flight.
#[derive(Clone, PartialEq, Eq)]
pub struct Upload {
    /// Names it.
    pub job: JobId,
    /// From which account.
    pub account: BareJid,
    /// For which message of the outbox.
    pub origin_id: String,
    /// For which file of it, counted from 0.
    pub position: usize,
    /// Bytes that the slot is for.
    pub size: u64,
    /// Where to write.
    pub put_url: String,
    /// Headers to send with it.
    pub headers: Vec<(String, String)>,
    /// Where it is read then.
    pub get_url: String,
    /// When the slot ends, if that is known.
    pub expires_at: Option<SystemTime>,
    /// Whether the server has it all.
    pub is_done: bool,
    /// When it began.
    pub began_at: SystemTime,
}

/// Without the right to write.
impl std::fmt::Debug for Upload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upload").field("job", &self.job).field("size", &self.size).field("is_done", &self.is_done).finish_non_exhaustive()
    }
}

const OF_MESSAGE: &str = "SELECT job, position, size, put_url, headers, get_url, expires_at, is_done, began_at, account FROM uploads
    WHERE account = ?1 AND origin_id = ?2 ORDER BY position LIMIT 1000";

#[cfg(test)]
pub(super) const QUERIES: &[&str] = &[OF_MESSAGE];

type Texts = (String, String, String, String, String);
type Numbers = (i64, i64, Option<i64>, bool, i64);

impl Store {
    /// Writes an upload down, or what became of it: a row of the same job is replaced.
    ///
    /// # Errors
    /// When the disk is full or the catalogue fails.
    pub fn save_upload(&self, upload: &Upload) -> Result<(), StoreError> {
        const SQL: &str = "INSERT OR REPLACE INTO uploads
            (job, account, origin_id, position, size, put_url, headers, get_url, expires_at, is_done, began_at)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
        let headers = known(serde_json::to_string(&upload.headers).ok(), "upload")?;
        self.catalogue().with(|connection| {
            let (position, expires_at) = (to_int(upload.position as u64), upload.expires_at.map(to_millis));
            let values = params![
                upload.job.as_str(),
                upload.account.as_str(),
                upload.origin_id,
                position,
                to_int(upload.size),
                upload.put_url,
                headers,
                upload.get_url,
                expires_at,
                upload.is_done,
                to_millis(upload.began_at)
            ];
            connection.execute(SQL, values).map(drop)
        })
    }

    /// The uploads of a message, in the order of its files.
    ///
    /// # Errors
    /// When the catalogue fails.
    pub fn uploads(&self, account: &BareJid, origin_id: &str) -> Result<Vec<Upload>, StoreError> {
        let rows: Vec<(Texts, Numbers)> = self.catalogue().with(|connection| {
            let mut statement = connection.prepare_cached(OF_MESSAGE)?;
            let rows = statement.query_map([account.as_str(), origin_id], |row| {
                let texts = (row.get(0)?, row.get(3)?, row.get(4)?, row.get(5)?, row.get(9)?);
                Ok((texts, (row.get(1)?, row.get(2)?, row.get(6)?, row.get(7)?, row.get(8)?)))
            })?;
            rows.collect()
        })?;
        rows.into_iter().map(|(texts, numbers)| known(upload(origin_id, texts, numbers), "upload")).collect()
    }

    /// Forgets an upload.
    ///
    /// # Errors
    /// When the catalogue fails.
    pub fn drop_upload(&self, job: &JobId) -> Result<(), StoreError> {
        self.catalogue().with(|connection| connection.execute("DELETE FROM uploads WHERE job = ?1", [job.as_str()]).map(drop))
    }
}

fn upload(origin_id: &str, texts: Texts, numbers: Numbers) -> Option<Upload> {
    let (job, put_url, headers, get_url, account) = texts;
    let (position, size, expires_at, is_done, began_at) = numbers;
    Some(Upload {
        job: JobId::from_record(&job)?,
        account: jid(&account)?,
        origin_id: origin_id.to_owned(),
        position: usize::try_from(position).ok()?,
        size: to_size(size),
        put_url,
        headers: serde_json::from_str(&headers).ok()?,
        get_url,
        expires_at: expires_at.map(to_time),
        is_done,
        began_at: to_time(began_at),
    })
}
