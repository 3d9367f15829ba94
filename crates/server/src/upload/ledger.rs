//! What was granted to whom and what became of it: rows behind quotas, expiry, and the difference between 404 and 410.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::name::ObjectName;
use crate::database::{Database, DatabaseError};
use crate::refusal::Reason;

const DAY: u64 = 24 * 3600;
/// How long it is remembered that an expired file was there.
const REMEMBERED: u64 = 90 * DAY;

/// What is granted.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) object: ObjectName,
    pub(super) account: String,
    pub(super) name: String,
    pub(super) media_type: String,
    pub(super) size: u64,
    pub(super) purpose: &'static str,
    pub(super) granted: u64,
    pub(super) slot_ends: u64,
    pub(super) expires: u64,
}

/// What one account may have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quota {
    pub(super) per_day: u64,
    pub(super) total: u64,
    pub(super) slots_per_minute: u32,
}

/// What is known of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) name: String,
    pub(super) media_type: String,
    pub(super) size: u64,
    pub(super) stored: bool,
    pub(super) gone: bool,
    pub(super) granted: u64,
    pub(super) expires: u64,
}

/// Over the quota; when to ask again, if that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Over {
    pub(super) reason: Reason,
    pub(super) retry: Option<u64>,
}

#[derive(Clone, Debug)]
pub(super) struct Ledger {
    database: Database,
}

impl Ledger {
    pub(super) fn new(database: Database) -> Self {
        Self { database }
    }

    /// Writes the grant down unless it is over the quota.
    pub(super) async fn grant(&self, entry: Entry, quota: Quota) -> Result<Result<(), Over>, DatabaseError> {
        self.database
            .call(move |sql| {
                if let Some(over) = over(sql, &entry, quota)? {
                    return Ok(Err(over));
                }
                sql.prepare_cached(
                    "INSERT INTO uploads (object, account, name, media_type, size, purpose, state, granted_at, slot_ends_at, expires_at)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'granted', ?7, ?8, ?9)",
                )?
                .execute(params![
                    entry.object.as_str(),
                    entry.account,
                    entry.name,
                    entry.media_type,
                    number(entry.size),
                    entry.purpose,
                    number(entry.granted),
                    number(entry.slot_ends),
                    number(entry.expires),
                ])?;
                Ok(Ok(()))
            })
            .await
    }

    /// The object is whole. `false` when nothing of that name was granted.
    pub(super) async fn stored(&self, object: ObjectName) -> Result<bool, DatabaseError> {
        let sql = "UPDATE uploads SET state = 'stored' WHERE object = ?1 AND state = 'granted'";
        self.database.call(move |connection| Ok(connection.prepare_cached(sql)?.execute([object.as_str()])? == 1)).await
    }

    pub(super) async fn find(&self, object: ObjectName) -> Result<Option<Known>, DatabaseError> {
        let sql = "SELECT name, media_type, size, state, granted_at, expires_at FROM uploads WHERE object = ?1";
        self.database.call(move |connection| connection.prepare_cached(sql)?.query_row([object.as_str()], known).optional()).await
    }

    /// Grants that were not used when the server ended: their files may be whole all the same.
    pub(super) async fn open_grants(&self) -> Result<Vec<ObjectName>, DatabaseError> {
        self.database.call(|sql| objects(sql, "SELECT object FROM uploads WHERE state = 'granted' ORDER BY object", params![])).await
    }

    /// Forgets what was never used, marks what has expired, and names the objects to delete.
    pub(super) async fn sweep(&self, now: u64) -> Result<Vec<ObjectName>, DatabaseError> {
        self.database
            .call(move |sql| {
                sql.prepare_cached("DELETE FROM uploads WHERE state = 'granted' AND slot_ends_at < ?1")?
                    .execute([number(now) - number(DAY)])?;
                sql.prepare_cached("DELETE FROM uploads WHERE state = 'gone' AND expires_at < ?1")?
                    .execute([number(now) - number(REMEMBERED)])?;
                let ended = "SELECT object FROM uploads WHERE state = 'stored' AND expires_at <= ?1 ORDER BY object LIMIT 10000";
                let ended = objects(sql, ended, params![number(now)])?;
                for object in &ended {
                    sql.prepare_cached("UPDATE uploads SET state = 'gone' WHERE object = ?1")?.execute([object.as_str()])?;
                }
                Ok(ended)
            })
            .await
    }
}

/// SQLite counts in 64 bits with a sign; nothing here is larger.
fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn unsigned(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<u64> {
    Ok(u64::try_from(row.get::<_, i64>(column)?).unwrap_or(0))
}

fn known(row: &rusqlite::Row<'_>) -> rusqlite::Result<Known> {
    let state: String = row.get(3)?;
    Ok(Known {
        name: row.get(0)?,
        media_type: row.get(1)?,
        size: unsigned(row, 2)?,
        stored: state == "stored",
        gone: state == "gone",
        granted: unsigned(row, 4)?,
        expires: unsigned(row, 5)?,
    })
}

fn objects(sql: &Connection, query: &str, parameters: &[&dyn rusqlite::ToSql]) -> rusqlite::Result<Vec<ObjectName>> {
    let mut statement = sql.prepare_cached(query)?;
    let names = statement.query_map(parameters, |row| row.get::<_, String>(0))?;
    names.filter_map(|name| name.map(|name| ObjectName::parse(&name)).transpose()).collect()
}

/// Which quota one more file would break. A slot counts while it may still be used.
fn over(sql: &Connection, entry: &Entry, quota: Quota) -> rusqlite::Result<Option<Over>> {
    let (now, account) = (number(entry.granted), &entry.account);
    let counted = "(state <> 'granted' OR slot_ends_at > ?2)";
    let ask = |what: &str, more: &str, since: i64| -> rusqlite::Result<i64> {
        // All three placeholders are used in each: SQLite wants as many values as there are.
        let query = format!("SELECT {what} FROM uploads WHERE account = ?1 AND granted_at > ?3 AND {counted} {more}");
        sql.prepare_cached(&query)?.query_row(params![account, now, since], |row| row.get(0))
    };
    if ask("COUNT(*)", "", now - 60)? >= i64::from(quota.slots_per_minute) {
        return Ok(Some(Over { reason: Reason::TooManySlots, retry: Some(entry.granted + 60) }));
    }
    let day_ago = now - number(DAY);
    if ask("IFNULL(SUM(size), 0)", "", day_ago)?.saturating_add(number(entry.size)) > number(quota.per_day) {
        let oldest = ask("IFNULL(MIN(granted_at), 0)", "", day_ago)?;
        let retry = u64::try_from(oldest).ok().filter(|oldest| *oldest > 0).map(|oldest| oldest + DAY + 1);
        return Ok(Some(Over { reason: Reason::DailyQuota, retry }));
    }
    if ask("IFNULL(SUM(size), 0)", "AND state <> 'gone'", -1)?.saturating_add(number(entry.size)) > number(quota.total) {
        return Ok(Some(Over { reason: Reason::TotalQuota, retry: None }));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn ledger() -> (tempfile::TempDir, Ledger) {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("test.sqlite")).unwrap();
        (folder, Ledger::new(database))
    }

    fn entry(size: u64, granted: u64) -> Entry {
        Entry {
            object: ObjectName::random().unwrap(),
            account: "romeo".into(),
            name: "a.jpg".into(),
            media_type: "image/jpeg".into(),
            size,
            purpose: "message",
            granted,
            slot_ends: granted + 300,
            expires: granted + 10 * DAY,
        }
    }

    const QUOTA: Quota = Quota { per_day: 100, total: 150, slots_per_minute: 3 };

    async fn grant(ledger: &Ledger, entry: &Entry) -> Option<Over> {
        ledger.grant(entry.clone(), QUOTA).await.unwrap().err()
    }

    #[tokio::test]
    async fn a_day_has_its_bounds_and_names_the_time_to_come_back() {
        let (_folder, ledger) = ledger();
        let first = entry(60, NOW);
        assert_eq!(grant(&ledger, &first).await, None);
        assert!(ledger.stored(first.object.clone()).await.unwrap());
        let over = grant(&ledger, &entry(41, NOW + 100)).await.unwrap();
        assert_eq!(over, Over { reason: Reason::DailyQuota, retry: Some(NOW + DAY + 1) });
        assert_eq!(grant(&ledger, &entry(41, NOW + DAY + 1)).await, None);
    }

    #[tokio::test]
    async fn a_slot_that_was_never_used_stops_counting_and_what_is_gone_frees_room() {
        let (_folder, ledger) = ledger();
        assert_eq!(grant(&ledger, &entry(100, NOW)).await, None);
        assert_eq!(grant(&ledger, &entry(100, NOW + 100)).await.unwrap().reason, Reason::DailyQuota);
        let used = entry(100, NOW + 301);
        assert_eq!(grant(&ledger, &used).await, None);
        ledger.stored(used.object.clone()).await.unwrap();
        let total = grant(&ledger, &entry(100, NOW + 2 * DAY)).await.unwrap();
        assert_eq!(total, Over { reason: Reason::TotalQuota, retry: None });
        assert_eq!(ledger.sweep(NOW + 11 * DAY).await.unwrap(), std::slice::from_ref(&used.object));
        assert_eq!(grant(&ledger, &entry(100, NOW + 11 * DAY)).await, None);
        assert!(ledger.find(used.object.clone()).await.unwrap().unwrap().gone);
        ledger.sweep(NOW + 200 * DAY).await.unwrap();
        assert_eq!(ledger.find(used.object).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_minute_has_so_many_slots_and_each_is_used_once() {
        let (_folder, ledger) = ledger();
        for second in 0..3 {
            assert_eq!(grant(&ledger, &entry(1, NOW + second)).await, None);
        }
        let mut fourth = entry(1, NOW + 4);
        assert_eq!(grant(&ledger, &fourth).await.unwrap().reason, Reason::TooManySlots);
        fourth.account = "juliet".into();
        assert_eq!(grant(&ledger, &fourth).await, None);
        assert!(ledger.stored(fourth.object.clone()).await.unwrap());
        assert!(!ledger.stored(fourth.object).await.unwrap());
        assert!(!ledger.stored(ObjectName::random().unwrap()).await.unwrap());
    }
}
