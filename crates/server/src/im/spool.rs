//! Messages on their way, written down where the client they are for does not acknowledge them soon. A server that was killed finds them
//! there and keeps them for whoever comes.
//!
//! In the usual case nothing is written: the client acknowledges within milliseconds, and only then the sender is told that its
//! message is safe ([`crate::receipt`]).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use balcony_wire::{Jid, Stanza};
use rusqlite::{Connection, params};
use tokio::sync::{mpsc, oneshot};

use super::message::{is_worth_keeping, stamped};
use super::presence::stored_stanza;
use crate::database::{Database, DatabaseError};
use crate::receipt::Receipt;

/// Orders that share one visit to the database at most.
const TOGETHER: usize = 256;
/// The wait before the database is asked again.
const PAUSE: Duration = Duration::from_secs(1);

/// The way to the spool. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Spool {
    orders: mpsc::UnboundedSender<Order>,
    keys: Arc<AtomicI64>,
}

/// The part of one session. What is in it is forgotten when the last clone is dropped.
#[derive(Clone, Debug)]
pub(crate) struct SpoolKey(Arc<Part>);

#[derive(Debug)]
struct Part {
    spool: Spool,
    session: i64,
    account: String,
    is_used: AtomicBool,
}

/// A message to write down.
#[derive(Debug)]
pub(crate) struct Row {
    /// The `h` of the client that would cover it.
    pub(crate) covered_by: u32,
    pub(crate) stanza: String,
    pub(crate) at: SystemTime,
}

#[derive(Debug)]
enum Order {
    Write(Write, Vec<Receipt>),
    /// Says when everything before it is done.
    Settle(oneshot::Sender<()>),
}

#[derive(Debug)]
enum Write {
    Put { session: i64, account: String, rows: Vec<Row> },
    Forget { session: i64, covered_by: u32 },
    End { session: i64 },
}

impl Spool {
    /// Takes over what a server that was killed left, and begins to work. Needs a tokio runtime.
    pub(crate) async fn start(database: &Database, domain: &Jid) -> Result<Self, DatabaseError> {
        let domain = domain.clone();
        let found = database.call(move |sql| recover(sql, &domain)).await?;
        if found > 0 {
            tracing::info!(found, "messages that were on their way when the server was killed wait for who they are for");
        }
        let (orders, taken) = mpsc::unbounded_channel();
        tokio::spawn(work(database.clone(), taken));
        Ok(Self { orders, keys: Arc::default() })
    }

    /// A part for a session of an account.
    pub(crate) fn part(&self, account: &str) -> SpoolKey {
        let session = self.keys.fetch_add(1, Ordering::Relaxed);
        SpoolKey(Arc::new(Part { spool: self.clone(), session, account: account.to_owned(), is_used: AtomicBool::new(false) }))
    }

    /// Waits until all that was ordered is on the disk.
    pub(crate) async fn settle(&self) {
        let (done, settled) = oneshot::channel();
        self.order(Order::Settle(done));
        let _ = settled.await; // without a database there is nothing to wait for
    }

    fn order(&self, order: Order) {
        // Without a database the server is ending.
        let _ = self.orders.send(order);
    }
}

impl SpoolKey {
    /// Writes messages down; the receipts are dropped when that is done.
    pub(crate) fn put(&self, rows: Vec<Row>, receipts: Vec<Receipt>) {
        if rows.is_empty() && receipts.is_empty() {
            return;
        }
        self.0.is_used.fetch_or(!rows.is_empty(), Ordering::Relaxed);
        let write = Write::Put { session: self.0.session, account: self.0.account.clone(), rows };
        self.0.spool.order(Order::Write(write, receipts));
    }

    /// The client has what is covered by this.
    pub(crate) fn forget(&self, covered_by: u32) {
        if self.0.is_used.load(Ordering::Relaxed) {
            self.0.spool.order(Order::Write(Write::Forget { session: self.0.session, covered_by }, Vec::new()));
        }
    }

    /// See [`Spool::settle`].
    pub(crate) async fn settle(&self) {
        self.0.spool.settle().await;
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if *self.is_used.get_mut() {
            self.spool.order(Order::Write(Write::End { session: self.session }, Vec::new()));
        }
    }
}

impl Row {
    /// A stanza that should outlive the server, as a row.
    pub(crate) fn of(covered_by: u32, stanza: Stanza, at: SystemTime) -> Option<Self> {
        match stanza {
            Stanza::Message(message) if is_worth_keeping(&message) => {
                Some(Self { covered_by, stanza: message.into_element().to_xml(), at })
            }
            _ => None,
        }
    }
}

/// Does what is ordered, in order, several at once. Receipts are dropped only when it is on the disk.
async fn work(database: Database, mut taken: mpsc::UnboundedReceiver<Order>) {
    let mut orders = Vec::new();
    while taken.recv_many(&mut orders, TOGETHER).await > 0 {
        let (mut writes, mut waiting, mut settled) = (Vec::new(), Vec::new(), Vec::new());
        for order in orders.drain(..) {
            match order {
                Order::Write(write, receipts) => {
                    writes.push(write);
                    waiting.extend(receipts);
                }
                Order::Settle(done) => settled.push(done),
            }
        }
        let writes = Arc::new(writes);
        while !writes.is_empty() {
            let again = writes.clone();
            match database.call(move |sql| again.iter().try_for_each(|write| perform(sql, write))).await {
                Ok(()) => break,
                Err(DatabaseError::Closed) => return,
                Err(error) => {
                    tracing::error!(%error, "messages on their way cannot be written down, their senders wait");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
        drop(waiting);
        for done in settled {
            let _ = done.send(()); // whoever asked may be gone
        }
    }
}

fn perform(sql: &Connection, write: &Write) -> rusqlite::Result<()> {
    match write {
        Write::Put { session, account, rows } => {
            let insert = "INSERT INTO spool (session, covered_by, localpart, stanza, at) VALUES (?1, ?2, ?3, ?4, ?5)";
            let mut insert = sql.prepare_cached(insert)?;
            for Row { covered_by, stanza, at } in rows {
                insert.execute(params![session, covered_by, account, stanza, milliseconds(*at)])?;
            }
            Ok(())
        }
        Write::Forget { session, covered_by } => {
            // Counts wrap at 2^32.
            let delete = "DELETE FROM spool WHERE session = ?1 AND ((?2 - covered_by) & 0xFFFFFFFF) < 0x80000000";
            sql.prepare_cached(delete)?.execute(params![session, covered_by]).map(drop)
        }
        Write::End { session } => sql.prepare_cached("DELETE FROM spool WHERE session = ?1")?.execute([session]).map(drop),
    }
}

/// Moves all there is to the messages that wait for their accounts. What several sessions of one account waited for is kept once.
fn recover(sql: &Connection, domain: &Jid) -> rusqlite::Result<usize> {
    let query = "SELECT localpart, stanza, MIN(at) FROM
        (SELECT *, ROW_NUMBER() OVER (PARTITION BY session, localpart, stanza ORDER BY id) AS nth FROM spool)
        GROUP BY localpart, stanza, nth ORDER BY MIN(id)";
    let mut query = sql.prepare(query)?;
    let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let rows: Vec<(String, String, i64)> = rows.collect::<Result<_, _>>()?;
    let insert = "INSERT INTO offline (localpart, stanza) SELECT ?1, ?2 WHERE EXISTS (SELECT 1 FROM accounts WHERE localpart = ?1)";
    let mut insert = sql.prepare(insert)?;
    for (account, stanza, at) in &rows {
        let Some(Stanza::Message(message)) = stored_stanza(stanza) else { continue };
        let at = SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(*at).unwrap_or_default());
        insert.execute(params![account, stamped(message, domain, at).into_element().to_xml()])?;
    }
    sql.execute("DELETE FROM spool", [])?;
    Ok(rows.len())
}

fn milliseconds(at: SystemTime) -> i64 {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
