//! Files that may be had from this device while somebody here gives them: what others ask for (XEP-0358), where the file is and in
//! which state, who was told of it, and whether they may see the address.
//!
//! A share lives as long as whoever gives it says so again and again ([`Store::live_on`]): what a killed program left behind is soon
//! nobody's. Ids are rights to ask. They are in here, and in no log.
//!
//! XEP-0358 Publishing available Jingle sessions, v0.4 <https://xmpp.org/extensions/xep-0358.html>

use std::time::SystemTime;

use balcony_sharing::DigestSet;
use balcony_sharing::transfer::Reach;
use balcony_wire::BareJid;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::digest_memory::FileStamp;
use super::offers::jid;
use super::outbox::FileRef;
use super::{bounded, from_text, known, to_int, to_millis, to_size, to_text, to_time};
use crate::{Store, StoreError};

/// Live shares of one account; the oldest go.
const MAX_SHARES: i64 = 1_000;
/// People told of one share, and no more.
const MAX_TOLD: usize = 1_000;

/// The tables.
pub(super) const TABLES: &str = "
CREATE TABLE live_shares (
    id          INTEGER NOT NULL PRIMARY KEY,
    account     TEXT NOT NULL,
    published   TEXT NOT NULL CHECK (published <> ''),
    kind        TEXT NOT NULL CHECK (kind IN ('path', 'blob')),
    value       BLOB NOT NULL,
    device      INTEGER,
    inode       INTEGER,
    mtime_ns    INTEGER,
    size        INTEGER NOT NULL CHECK (size >= 0),
    description TEXT NOT NULL,
    digests     TEXT NOT NULL,
    reach       TEXT CHECK (reach IN ('direct', 'relay')),
    made_at     INTEGER NOT NULL,
    lives_until INTEGER NOT NULL,
    UNIQUE (account, published)
) STRICT;
CREATE INDEX live_shares_by_life ON live_shares (lives_until);
CREATE INDEX live_shares_of_account ON live_shares (account, id);
CREATE INDEX live_shares_of_blob ON live_shares (value) WHERE kind = 'blob';

CREATE TABLE told (
    share  INTEGER NOT NULL REFERENCES live_shares (id) ON DELETE CASCADE,
    person TEXT NOT NULL,
    PRIMARY KEY (share, person)
) STRICT, WITHOUT ROWID;
CREATE INDEX told_by_person ON told (person, share);
";

/// A file that somebody here gives.
#[derive(Clone, PartialEq, Eq)]
pub struct LiveShare {
    /// Whose.
    pub account: BareJid,
    /// What others ask for: random, so that nobody guesses it.
    pub published: String,
    /// Where the file is.
    pub file: FileRef,
    /// Its state when it was shared; `None` in the store, where nothing changes.
    pub stamp: Option<FileStamp>,
    /// Bytes.
    pub size: u64,
    /// What was said about it: a `<file/>` (XEP-0446) as XML.
    pub description: String,
    /// Its digests.
    pub digests: DigestSet,
    /// Whether those who were told may see the address of this device, if that was said.
    pub reach: Option<Reach>,
    /// Who was told of it: people, and rooms.
    pub told: Vec<BareJid>,
    /// Since when.
    pub made_at: SystemTime,
    /// How long it lives, if nobody says more.
    pub lives_until: SystemTime,
}

/// Without the right to ask, and without the file.
impl std::fmt::Debug for LiveShare {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LiveShare").field("size", &self.size).field("reach", &self.reach).finish_non_exhaustive()
    }
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, published, kind, value, device, inode, mtime_ns, size, description, digests, reach, made_at, lives_until
             FROM live_shares ",
            $rest
        )
    };
}

const BY_ID: &str = select!("WHERE account = ?1 AND published = ?2 AND lives_until > ?3");
const OF_ACCOUNT: &str =
    select!("INDEXED BY live_shares_of_account WHERE account = ?1 AND lives_until > ?2 ORDER BY account, id DESC LIMIT ?3");
const TOLD: &str = "SELECT person FROM told WHERE share = ?1 ORDER BY person LIMIT 1000";
const ENDED: &str = "DELETE FROM live_shares WHERE lives_until <= ?1";
const OLDEST: &str = "DELETE FROM live_shares WHERE id IN
    (SELECT id FROM live_shares INDEXED BY live_shares_of_account WHERE account = ?1 ORDER BY id DESC LIMIT -1 OFFSET ?2)";
const LIVE_ON: &str = "UPDATE live_shares SET lives_until = ?3 WHERE account = ?1 AND published = ?2";
const END: &str = "DELETE FROM live_shares WHERE account = ?1 AND published = ?2";

#[cfg(test)]
pub(super) const QUERIES: &[&str] = &[OF_ACCOUNT, TOLD];

#[cfg(test)]
pub(super) const PLANS: &[(&str, &str)] = &[
    (BY_ID, "INDEX sqlite_autoindex_live_shares_1 (account=? AND published=?)"),
    (ENDED, "INDEX live_shares_by_life (lives_until<?)"),
    (LIVE_ON, "INDEX sqlite_autoindex_live_shares_1 (account=? AND published=?)"),
    (END, "INDEX sqlite_autoindex_live_shares_1 (account=? AND published=?)"),
];

impl Store {
    /// Shares a file from here on; a share of the same id is replaced. Beyond a thousand shares the oldest go, and of those told
    /// the first thousand count.
    ///
    /// # Errors
    /// When the disk is full or the catalogue fails.
    pub fn share_live(&self, share: &LiveShare) -> Result<(), StoreError> {
        self.catalogue().change(|transaction| {
            transaction.prepare_cached(ENDED)?.execute([to_millis(SystemTime::now())])?;
            put(transaction, share)?;
            transaction.prepare_cached(OLDEST)?.execute(params![share.account.as_str(), MAX_SHARES]).map(drop)
        })
    }

    /// Says that a share lives until then. `false` if it is not there any more.
    ///
    /// # Errors
    /// When the catalogue fails.
    pub fn live_on(&self, account: &BareJid, published: &str, until: SystemTime) -> Result<bool, StoreError> {
        let values = params![account.as_str(), published, to_millis(until)];
        Ok(self.catalogue().with_lightly(|connection| connection.prepare_cached(LIVE_ON)?.execute(values))? == 1)
    }

    /// Ends a share; from here on it is as if it never was. Says whether it was there.
    ///
    /// # Errors
    /// When the catalogue fails.
    pub fn end_share(&self, account: &BareJid, published: &str) -> Result<bool, StoreError> {
        Ok(self.catalogue().with(|connection| connection.prepare_cached(END)?.execute([account.as_str(), published]))? == 1)
    }

    /// A share by what others ask for.
    ///
    /// # Errors
    /// When the catalogue fails.
    pub fn live_share(&self, account: &BareJid, published: &str) -> Result<Option<LiveShare>, StoreError> {
        let now = to_millis(SystemTime::now());
        let raw = self.catalogue().with(|connection| {
            let row = connection.prepare_cached(BY_ID)?.query_row(params![account.as_str(), published, now], RawShare::read).optional()?;
            row.map(|row| row.with_told(connection)).transpose()
        })?;
        raw.map(|raw| known(raw.into_share(account), "live share")).transpose()
    }

    /// All that lives, the last shared first.
    ///
    /// # Errors
    /// When the catalogue fails.
    pub fn live_shares(&self, account: &BareJid, limit: usize) -> Result<Vec<LiveShare>, StoreError> {
        let now = to_millis(SystemTime::now());
        let rows = self.catalogue().with(|connection| {
            let mut statement = connection.prepare_cached(OF_ACCOUNT)?;
            let rows = statement.query_map(params![account.as_str(), now, bounded(limit)], RawShare::read)?;
            let rows: Vec<RawShare> = rows.collect::<Result<_, _>>()?;
            rows.into_iter().map(|row| row.with_told(connection)).collect::<rusqlite::Result<Vec<_>>>()
        })?;
        rows.into_iter().map(|raw| known(raw.into_share(account), "live share")).collect()
    }
}

fn put(transaction: &Transaction<'_>, share: &LiveShare) -> rusqlite::Result<()> {
    const SQL: &str = "INSERT INTO live_shares (account, published, kind, value, device, inode, mtime_ns, size, description, digests,
            reach, made_at, lives_until) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
    const TELL: &str = "INSERT OR IGNORE INTO told (share, person) VALUES (?1, ?2)";
    transaction.prepare_cached(END)?.execute([share.account.as_str(), &share.published])?;
    let (kind, value) = share.file.to_columns();
    let stamp = share.stamp.as_ref();
    let reach = share.reach.map(|reach| match reach {
        Reach::Direct => "direct",
        Reach::Relay => "relay",
    });
    transaction.prepare_cached(SQL)?.execute(params![
        share.account.as_str(),
        share.published,
        kind,
        value,
        stamp.map(|stamp| stamp.device.cast_signed()),
        stamp.map(|stamp| stamp.inode.cast_signed()),
        stamp.map(|stamp| stamp.mtime_ns),
        to_int(share.size),
        share.description,
        to_text(&share.digests),
        reach,
        to_millis(share.made_at),
        to_millis(share.lives_until),
    ])?;
    let id = transaction.last_insert_rowid();
    let mut tell = transaction.prepare_cached(TELL)?;
    share.told.iter().take(MAX_TOLD).try_for_each(|person| tell.execute(params![id, person.as_str()]).map(drop))
}

/// A row before its words are understood.
struct RawShare {
    id: i64,
    published: String,
    kind: String,
    value: Vec<u8>,
    stamp: Option<(i64, i64, i64)>,
    size: i64,
    description: String,
    digests: String,
    reach: Option<String>,
    made_at: i64,
    lives_until: i64,
    told: Vec<String>,
}

impl RawShare {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let (device, inode, mtime_ns): (Option<i64>, Option<i64>, Option<i64>) = (row.get(4)?, row.get(5)?, row.get(6)?);
        Ok(Self {
            id: row.get(0)?,
            published: row.get(1)?,
            kind: row.get(2)?,
            value: row.get(3)?,
            stamp: device.zip(inode).zip(mtime_ns).map(|((device, inode), mtime_ns)| (device, inode, mtime_ns)),
            size: row.get(7)?,
            description: row.get(8)?,
            digests: row.get(9)?,
            reach: row.get(10)?,
            made_at: row.get(11)?,
            lives_until: row.get(12)?,
            told: Vec::new(),
        })
    }

    fn with_told(mut self, connection: &Connection) -> rusqlite::Result<Self> {
        self.told = connection.prepare_cached(TOLD)?.query_map([self.id], |row| row.get(0))?.collect::<Result<_, _>>()?;
        Ok(self)
    }

    fn into_share(self, account: &BareJid) -> Option<LiveShare> {
        let size = to_size(self.size);
        let stamp = self.stamp.map(|(device, inode, mtime_ns)| FileStamp {
            device: device.cast_unsigned(),
            inode: inode.cast_unsigned(),
            size,
            mtime_ns,
        });
        Some(LiveShare {
            account: account.clone(),
            published: self.published,
            file: FileRef::from_columns(&self.kind, self.value)?,
            stamp,
            size,
            description: self.description,
            digests: from_text(&self.digests)?,
            reach: match self.reach.as_deref() {
                None => None,
                Some("direct") => Some(Reach::Direct),
                Some("relay") => Some(Reach::Relay),
                Some(_) => return None,
            },
            told: self.told.iter().map(|person| jid(person)).collect::<Option<_>>()?,
            made_at: to_time(self.made_at),
            lives_until: to_time(self.lives_until),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use balcony_wire::hashes::{Digest, HashAlgo};

    use super::*;

    fn share(published: &str, told: &[&str]) -> LiveShare {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs());
        LiveShare {
            account: "romeo@montague.example".parse().unwrap(),
            published: published.to_owned(),
            file: FileRef::Path("/home/romeo/summit.jpg".into()),
            stamp: Some(FileStamp { device: u64::MAX, inode: 2, size: 3, mtime_ns: 4 }),
            size: 3,
            description: "<file xmlns='urn:xmpp:file:metadata:0'/>".to_owned(),
            digests: [Digest::new(HashAlgo::Sha256, vec![7; 32]).unwrap()].into_iter().collect(),
            reach: Some(Reach::Direct),
            told: told.iter().map(|person| person.parse().unwrap()).collect(),
            made_at: now,
            lives_until: now + Duration::from_secs(60),
        }
    }

    #[test]
    fn a_live_share_comes_back_as_it_was_until_it_is_ended() {
        let store = Store::in_memory().unwrap();
        let one = share("a", &["juliet@capulet.example", "verona@rooms.example"]);
        let two = LiveShare {
            file: FileRef::Blob(Digest::new(HashAlgo::Sha256, vec![9; 32]).unwrap()),
            stamp: None,
            reach: None,
            ..share("b", &[])
        };
        for share in [&one, &two] {
            store.share_live(share).unwrap();
            assert_eq!(store.live_share(&share.account, &share.published).unwrap().as_ref(), Some(share));
        }
        assert_eq!(store.live_shares(&one.account, 10).unwrap(), [two, one.clone()]);
        assert!(store.live_share(&"juliet@capulet.example".parse().unwrap(), "a").unwrap().is_none(), "of another account");
        let again = LiveShare { told: Vec::new(), ..one.clone() };
        store.share_live(&again).unwrap();
        assert_eq!(store.live_share(&one.account, "a").unwrap(), Some(again));
        assert!(store.end_share(&one.account, "a").unwrap());
        assert!(!store.end_share(&one.account, "a").unwrap());
        assert!(store.live_share(&one.account, "a").unwrap().is_none());
        assert!(!store.live_on(&one.account, "a", SystemTime::now()).unwrap(), "what was ended does not live on");
    }

    #[test]
    fn what_nobody_says_again_ends_by_itself() {
        let store = Store::in_memory().unwrap();
        let share = LiveShare { lives_until: SystemTime::now() - Duration::from_secs(1), ..share("a", &["juliet@capulet.example"]) };
        store.share_live(&share).unwrap();
        assert!(store.live_share(&share.account, "a").unwrap().is_none() && store.live_shares(&share.account, 10).unwrap().is_empty());
        assert!(store.live_on(&share.account, "a", SystemTime::now() + Duration::from_secs(60)).unwrap(), "it was asleep");
        assert!(store.live_share(&share.account, "a").unwrap().is_some());
        store.live_on(&share.account, "a", SystemTime::now() - Duration::from_secs(1)).unwrap();
        store.share_live(&LiveShare { published: "b".to_owned(), ..share.clone() }).unwrap();
        assert!(!store.live_on(&share.account, "a", SystemTime::now()).unwrap(), "the next share sweeps it away");
        let left: i64 =
            store.catalogue().with(|connection| connection.query_row("SELECT count(*) FROM told", [], |row| row.get(0))).unwrap();
        assert_eq!(left, 1);
    }

    #[test]
    fn shares_and_those_told_are_bounded() {
        let store = Store::in_memory().unwrap();
        let people: Vec<String> = (0..1_100).map(|number| format!("guest{number}@capulet.example")).collect();
        let told: Vec<&str> = people.iter().map(String::as_str).collect();
        store.share_live(&share("many", &told)).unwrap();
        assert_eq!(store.live_share(&share("", &[]).account, "many").unwrap().unwrap().told.len(), MAX_TOLD);
        store
            .catalogue()
            .change(|transaction| (0..MAX_SHARES).try_for_each(|number| put(transaction, &share(&number.to_string(), &[]))))
            .unwrap();
        store.share_live(&share("last", &[])).unwrap();
        let all = store.live_shares(&share("", &[]).account, usize::MAX).unwrap();
        assert_eq!((all.len(), all[0].published.as_str()), (1_000, "last"));
        assert!(all.iter().all(|share| share.published != "many"), "the oldest go");
    }
}
