//! Places where a file of ours lies and may be named again, so that it is uploaded once and sent to many.
//!
//! A link is a right to read. They are in here, and in no log.

use std::time::SystemTime;

use balcony_wire::hashes::{Digest, HashAlgo};
use balcony_wire::{BareJid, Jid};
use rusqlite::{Row, params};

use super::offers::jid;
use super::{known, to_int, to_millis, to_size, to_time};
use crate::{Store, StoreError};

/// An account keeps so many, those uploaded last.
const MAX_LINKS: i64 = 100_000;

/// A place where a file of ours lies.
#[derive(Clone, PartialEq, Eq)]
pub struct Link {
    /// Whose upload it was.
    pub account: BareJid,
    /// Of which bytes.
    pub sha256: Digest,
    /// How many.
    pub size: u64,
    /// Where.
    pub url: String,
    /// The upload service.
    pub service: Jid,
    /// When it was uploaded.
    pub uploaded_at: SystemTime,
    /// When the service drops it, if it says so.
    pub expires_at: Option<SystemTime>,
}

/// Without the right to read.
impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("size", &self.size).field("uploaded_at", &self.uploaded_at).finish_non_exhaustive()
    }
}

const OF_FILE: &str = "SELECT size, url, service, uploaded_at, expires_at FROM links
    WHERE account = ?1 AND sha256 = ?2 ORDER BY uploaded_at DESC, id DESC LIMIT 16";
const GONE: &str = "DELETE FROM links WHERE url = ?1";

#[cfg(test)]
pub(super) const QUERIES: &[&str] = &[OF_FILE];

#[cfg(test)]
pub(super) const PLANS: &[(&str, &str)] =
    &[(OF_FILE, "INDEX links_by_file (account=? AND sha256=?)"), (GONE, "INDEX links_by_url (url=?)")];

impl Store {
    /// Writes down where a file of ours lies; a link of the same URL is replaced.
    ///
    /// # Errors
    /// When the disk is full or the catalogue fails, or the digest is no SHA-256.
    pub fn add_link(&self, link: &Link) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO links (account, sha256, size, url, service, uploaded_at, expires_at)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
            ON CONFLICT (account, url) DO UPDATE SET sha256 = excluded.sha256, size = excluded.size, service = excluded.service,
                uploaded_at = excluded.uploaded_at, expires_at = excluded.expires_at";
        const PRUNE: &str = "DELETE FROM links WHERE account = ?1 AND id <= (SELECT max(id) FROM links) - ?2";
        if link.sha256.algo() != HashAlgo::Sha256 {
            return Err(StoreError::NoSha256);
        }
        let (account, expires_at) = (link.account.as_str(), link.expires_at.map(to_millis));
        // After a loss of power the file is uploaded once more, at worst.
        self.catalogue().change_lightly(|transaction| {
            let (size, uploaded_at) = (to_int(link.size), to_millis(link.uploaded_at));
            let values = params![account, link.sha256.as_bytes(), size, link.url, link.service.as_str(), uploaded_at, expires_at];
            transaction.prepare_cached(SQL)?.execute(values)?;
            transaction.prepare_cached(PRUNE)?.execute(params![account, MAX_LINKS])?;
            Ok(())
        })
    }

    /// Where a file of ours lies, the last upload first; at most 16. Whether a link has expired is the caller's question.
    ///
    /// # Errors
    /// When the catalogue fails.
    pub fn links(&self, account: &BareJid, sha256: &Digest) -> Result<Vec<Link>, StoreError> {
        if sha256.algo() != HashAlgo::Sha256 {
            return Ok(Vec::new());
        }
        let rows: Vec<RawLink> = self.catalogue().with(|connection| {
            let mut statement = connection.prepare_cached(OF_FILE)?;
            statement.query_map(params![account.as_str(), sha256.as_bytes()], RawLink::read)?.collect()
        })?;
        rows.into_iter().map(|row| known(row.into_link(account, sha256), "link")).collect()
    }

    /// Nothing is there any more.
    ///
    /// # Errors
    /// When the disk is full or the catalogue fails.
    pub fn link_is_gone(&self, url: &str) -> Result<(), StoreError> {
        self.catalogue().with(|connection| connection.execute(GONE, [url]).map(drop))
    }
}

/// A row before its words are understood.
struct RawLink {
    size: i64,
    url: String,
    service: String,
    uploaded_at: i64,
    expires_at: Option<i64>,
}

impl RawLink {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self { size: row.get(0)?, url: row.get(1)?, service: row.get(2)?, uploaded_at: row.get(3)?, expires_at: row.get(4)? })
    }

    fn into_link(self, account: &BareJid, sha256: &Digest) -> Option<Link> {
        Some(Link {
            account: account.clone(),
            sha256: sha256.clone(),
            size: to_size(self.size),
            url: self.url,
            service: jid(&self.service)?.into(),
            uploaded_at: to_time(self.uploaded_at),
            expires_at: self.expires_at.map(to_time),
        })
    }
}
