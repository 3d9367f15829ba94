//! How much of what others say is kept: what is oldest goes, and never what a person or we have anything to do with.
//!
//! Counted is what is open: offers that are neither our own nor here nor on their way. Who says too much pushes out what they said
//! themselves. All strangers together have a bound as well; there it hits whoever takes the most room, so that a flood of one, or of
//! many that belong together, does not reach somebody who sent a single file, and nobody whom the person knows.

use rusqlite::{Connection, Transaction, params};

/// Whose offer it is, for what is kept of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    /// Nobody the person knows.
    #[default]
    Stranger,
    /// Somebody in their list of contacts, a room they are in, or they themselves.
    Contact,
}

/// How many rows and bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// Rows.
    pub rows: u64,
    /// Bytes of messages, and 512 for each row.
    pub bytes: u64,
}

/// Open offers of one sender at one account.
pub const OF_SENDER: Bound = Bound { rows: 5_000, bytes: 32 << 20 };
/// Open offers of all strangers at one account.
pub const OF_STRANGERS: Bound = Bound { rows: 20_000, bytes: 64 << 20 };

/// What a row costs besides the text of its message.
pub(super) const ROW: u64 = 512;

macro_rules! open {
    ($select:literal, $rest:literal) => {
        concat!("SELECT ", $select, " FROM offers WHERE account = ?1 AND state IN ('new', 'asking', 'failed', 'declined', 'swept') ", $rest)
    };
}

const SUM_OF_SENDER: &str = open!("count(*), ifnull(sum(bytes), 0)", "AND speaker = ?2");
const OLDEST_OF_SENDER: &str = open!("id, bytes", "AND speaker = ?2 ORDER BY id LIMIT ?3");
const SUM_OF_STRANGERS: &str = open!("count(*), ifnull(sum(bytes), 0)", "AND is_contact = 0");
const LARGEST_STRANGER: &str =
    open!("speaker, sum(bytes)", "AND is_contact = 0 GROUP BY speaker ORDER BY sum(bytes) DESC, speaker LIMIT 1");
const BECAME_CONTACT: &str = "UPDATE offers SET is_contact = 1 WHERE account = ?1 AND speaker = ?2 AND is_contact = 0
    AND state IN ('new', 'asking', 'failed', 'declined', 'swept')";
const REMOVE: &str = "DELETE FROM offers WHERE id = ?1";

#[cfg(test)]
pub(super) const QUERIES: &[&str] = &[SUM_OF_SENDER, OLDEST_OF_SENDER, SUM_OF_STRANGERS];

#[cfg(test)]
pub(super) const PLANS: &[(&str, &str)] = &[
    (SUM_OF_SENDER, "COVERING INDEX open_offers (account=? AND speaker=?)"),
    (OLDEST_OF_SENDER, "COVERING INDEX open_offers (account=? AND speaker=?)"),
    (SUM_OF_STRANGERS, "COVERING INDEX open_offers_of_strangers (account=?)"),
    (LARGEST_STRANGER, "COVERING INDEX open_offers_of_strangers (account=?)"),
    (BECAME_CONTACT, "INDEX open_offers_of_strangers (account=? AND speaker=?)"),
];

impl Bound {
    fn excess(self, rows: u64, bytes: u64) -> Option<Self> {
        let excess = Self { rows: rows.saturating_sub(self.rows), bytes: bytes.saturating_sub(self.bytes) };
        (excess.rows > 0 || excess.bytes > 0).then_some(excess)
    }
}

/// Makes an account keep its bounds after offers of a speaker were added.
pub(super) fn keep(transaction: &Transaction<'_>, account: &str, speaker: &str, standing: Standing) -> rusqlite::Result<()> {
    if standing == Standing::Contact {
        transaction.prepare_cached(BECAME_CONTACT)?.execute([account, speaker])?;
    }
    if let Some(excess) = OF_SENDER.excess_of(transaction, SUM_OF_SENDER, &[account, speaker])? {
        remove_oldest(transaction, account, speaker, excess)?;
    }
    if standing == Standing::Contact {
        return Ok(());
    }
    // each turn takes at least one row
    while let Some(excess) = OF_STRANGERS.excess_of(transaction, SUM_OF_STRANGERS, &[account])? {
        let largest: String = transaction.prepare_cached(LARGEST_STRANGER)?.query_row([account], |row| row.get(0))?;
        // one at a time would count all of them for each; more than a few might hit them harder than others
        let part = Bound { rows: excess.rows.min(16), bytes: if excess.rows > 0 { 0 } else { excess.bytes.min(64 << 10) } };
        remove_oldest(transaction, account, &largest, part)?;
    }
    Ok(())
}

impl Bound {
    fn excess_of(self, connection: &Connection, sql: &str, of: &[&str]) -> rusqlite::Result<Option<Self>> {
        let mut statement = connection.prepare_cached(sql)?;
        let sums = statement.query_row(rusqlite::params_from_iter(of), |row| Ok((row.get(0)?, row.get(1)?)));
        let (rows, bytes): (i64, i64) = sums?;
        Ok(self.excess(super::to_size(rows), super::to_size(bytes)))
    }
}

fn remove_oldest(transaction: &Transaction<'_>, account: &str, speaker: &str, excess: Bound) -> rusqlite::Result<()> {
    let most = super::to_int(excess.rows.max(excess.bytes / ROW + 1));
    let mut statement = transaction.prepare_cached(OLDEST_OF_SENDER)?;
    let oldest = statement.query_map(params![account, speaker, most], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let oldest: Vec<(i64, i64)> = oldest.collect::<Result<_, _>>()?;
    let (mut rows, mut bytes) = (0, 0);
    for (id, cost) in oldest {
        if rows >= excess.rows && bytes >= excess.bytes {
            break;
        }
        transaction.prepare_cached(REMOVE)?.execute([id])?;
        (rows, bytes) = (rows + 1, bytes + super::to_size(cost));
    }
    Ok(())
}
