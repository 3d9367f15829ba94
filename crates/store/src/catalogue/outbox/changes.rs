//! Several changes of the outbox at once: all of them, or none after a crash. One sync of the disk for a whole group of messages.

use std::time::SystemTime;

use balcony_wire::BareJid;
use rusqlite::{Transaction, params};

use super::{OutboxState, Outgoing, batches};
use crate::catalogue::to_millis;
use crate::{Store, StoreError};

/// One change of a message in the outbox. What it needs is the state before; in any other it changes nothing.
#[derive(Clone, Debug)]
pub enum Change<'a> {
    /// A new message. Not if there is one of that origin-id.
    Add {
        /// the message
        outgoing: &'a Outgoing,
        /// which sending it belongs to
        batch: Option<&'a str>,
    },
    /// A new message in the same sending as another one.
    AddBeside {
        /// the message
        outgoing: &'a Outgoing,
        /// origin-id of the other one
        of: &'a str,
    },
    /// It is whole: as [`Store::make_ready`]. Those that follow it come with it, into the same batch, unless they are there already.
    Ready {
        /// its origin-id
        id: &'a str,
        /// the message
        stanza: &'a str,
        /// messages that go after it
        followers: &'a [Outgoing],
    },
    /// As [`Store::claim`].
    Claim(&'a str),
    /// As [`Store::unclaim`].
    Unclaim(&'a str),
    /// As [`Store::mark_sent`].
    Sent(&'a str),
    /// As [`Store::mark_failed`].
    Failed {
        /// its origin-id
        id: &'a str,
        /// why
        why: &'a str,
    },
    /// As [`Store::mark_returned`].
    Returned {
        /// its origin-id
        id: &'a str,
        /// why
        why: &'a str,
    },
    /// As [`Store::retry_outgoing`].
    Retry(&'a str),
    /// It speaks of these of its files only, counted from 0, and its draft is another. Not once it is sent.
    Keep {
        /// its origin-id
        id: &'a str,
        /// which files, in order
        files: &'a [usize],
        /// the message without the others
        stanza: &'a str,
    },
    /// It is not needed any more. Not while it is being sent, nor after.
    Remove(&'a str),
}

impl Store {
    /// Makes changes in order, in one transaction; says of each whether the message was in a state that allows it.
    ///
    /// # Errors
    /// When the disk is full or the catalogue fails: then nothing is changed.
    pub fn change_outbox(&self, account: &BareJid, changes: &[Change<'_>]) -> Result<Vec<bool>, StoreError> {
        let now = to_millis(SystemTime::now());
        self.catalogue().change(|transaction| changes.iter().map(|change| make(transaction, account, change, now)).collect())
    }

    /// As [`Store::change_outbox`], but only if all of them can be made; else nothing is changed, and the answer is `false`.
    ///
    /// # Errors
    /// When the disk is full or the catalogue fails: then nothing is changed.
    pub fn change_outbox_together(&self, account: &BareJid, changes: &[Change<'_>]) -> Result<bool, StoreError> {
        let now = to_millis(SystemTime::now());
        self.catalogue().change(|transaction| {
            transaction.execute_batch("SAVEPOINT together")?;
            for change in changes {
                if !make(transaction, account, change, now)? {
                    transaction.execute_batch("ROLLBACK TO together; RELEASE together")?;
                    return Ok(false);
                }
            }
            transaction.execute_batch("RELEASE together")?;
            Ok(true)
        })
    }
}

fn make(transaction: &Transaction<'_>, account: &BareJid, change: &Change<'_>, now: i64) -> rusqlite::Result<bool> {
    use OutboxState::{Failed, Preparing, Ready, Sending, Sent};
    match change {
        Change::Add { outgoing, batch } => {
            let is_new = add(transaction, outgoing, now)?;
            if let (true, Some(batch)) = (is_new, batch) {
                batches::put(transaction, account, &outgoing.origin_id, batch)?;
            }
            Ok(is_new)
        }
        Change::AddBeside { outgoing, of } => {
            let is_new = add(transaction, outgoing, now)?;
            if is_new {
                batches::follow(transaction, account, &outgoing.origin_id, of)?;
            }
            Ok(is_new)
        }
        Change::Ready { id, stanza, followers } => ready(transaction, account, (id, stanza), followers, now),
        Change::Claim(id) => shift(transaction, account, id, (Ready, Sending, None), now),
        Change::Unclaim(id) => shift(transaction, account, id, (Sending, Ready, None), now),
        Change::Sent(id) => shift(transaction, account, id, (Sending, Sent, None), now),
        Change::Returned { id, why } => shift(transaction, account, id, (Sent, Failed, Some(why)), now),
        Change::Retry(id) => shift(transaction, account, id, (Failed, Preparing, None), now),
        Change::Failed { id, why } => {
            const SQL: &str = "UPDATE outbox SET state = 'failed', why = ?3, changed_at = ?4
                WHERE account = ?1 AND origin_id = ?2 AND state NOT IN ('sent', 'failed')";
            Ok(transaction.prepare_cached(SQL)?.execute(params![account.as_str(), id, why, now])? == 1)
        }
        Change::Keep { id, files, stanza } => keep(transaction, account, (id, stanza), files),
        Change::Remove(id) => remove(transaction, account, id),
    }
}

fn ready(
    transaction: &Transaction<'_>,
    account: &BareJid,
    (id, stanza): (&str, &str),
    followers: &[Outgoing],
    now: i64,
) -> rusqlite::Result<bool> {
    const SQL: &str = "UPDATE outbox SET stanza = ?3, state = 'ready', why = NULL, changed_at = ?4
        WHERE account = ?1 AND origin_id = ?2 AND state IN ('preparing', 'ready')";
    if transaction.prepare_cached(SQL)?.execute(params![account.as_str(), id, stanza, now])? == 0 {
        return Ok(false);
    }
    for follower in followers {
        if add(transaction, follower, now)? {
            batches::follow(transaction, account, &follower.origin_id, id)?;
        }
    }
    Ok(true)
}

fn add(transaction: &Transaction<'_>, outgoing: &Outgoing, now: i64) -> rusqlite::Result<bool> {
    const SQL: &str = "INSERT INTO outbox (account, origin_id, addressee, stanza, state, why, created_at, changed_at)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING";
    let Outgoing { account, origin_id, to, stanza, state, why, .. } = outgoing;
    let created = to_millis(outgoing.created_at);
    let values = params![account.as_str(), origin_id, to.as_str(), stanza, state.as_str(), why, created, now];
    if transaction.prepare_cached(SQL)?.execute(values)? == 0 {
        return Ok(false);
    }
    add_files(transaction, outgoing)?;
    Ok(true)
}

fn add_files(transaction: &Transaction<'_>, outgoing: &Outgoing) -> rusqlite::Result<()> {
    const SQL: &str = "INSERT INTO outbox_files (account, origin_id, position, kind, value) VALUES (?1, ?2, ?3, ?4, ?5)";
    for (position, file) in (0_i64..).zip(&outgoing.files) {
        let (kind, value) = file.to_columns();
        transaction.execute(SQL, params![outgoing.account.as_str(), outgoing.origin_id, position, kind, value])?;
    }
    Ok(())
}

fn shift(
    transaction: &Transaction<'_>,
    account: &BareJid,
    id: &str,
    (from, to, why): (OutboxState, OutboxState, Option<&str>),
    now: i64,
) -> rusqlite::Result<bool> {
    const SQL: &str = "UPDATE outbox SET state = ?4, why = ?5, changed_at = ?6 WHERE account = ?1 AND origin_id = ?2 AND state = ?3";
    let values = params![account.as_str(), id, from.as_str(), to.as_str(), why, now];
    Ok(transaction.prepare_cached(SQL)?.execute(values)? == 1)
}

fn keep(transaction: &Transaction<'_>, account: &BareJid, (id, stanza): (&str, &str), files: &[usize]) -> rusqlite::Result<bool> {
    const DRAFT: &str = "UPDATE outbox SET stanza = ?3 WHERE account = ?1 AND origin_id = ?2 AND state IN ('preparing', 'ready')";
    const COUNT: &str = "SELECT ifnull(max(position), -1) FROM outbox_files WHERE account = ?1 AND origin_id = ?2";
    const DELETE: &str = "DELETE FROM outbox_files WHERE account = ?1 AND origin_id = ?2 AND position = ?3";
    const MOVE: &str = "UPDATE outbox_files SET position = ?4 WHERE account = ?1 AND origin_id = ?2 AND position = ?3";
    if transaction.prepare_cached(DRAFT)?.execute(params![account.as_str(), id, stanza])? == 0 {
        return Ok(false);
    }
    let last: i64 = transaction.query_row(COUNT, params![account.as_str(), id], |row| row.get(0))?;
    let mut next = 0_i64;
    for position in 0..=last {
        let is_kept = usize::try_from(position).is_ok_and(|position| files.contains(&position));
        if is_kept {
            transaction.prepare_cached(MOVE)?.execute(params![account.as_str(), id, position, next])?;
            next += 1;
        } else {
            transaction.prepare_cached(DELETE)?.execute(params![account.as_str(), id, position])?;
        }
    }
    Ok(true)
}

fn remove(transaction: &Transaction<'_>, account: &BareJid, id: &str) -> rusqlite::Result<bool> {
    const FILES: &str = "DELETE FROM outbox_files WHERE account = ?1 AND origin_id = ?2
        AND EXISTS (SELECT 1 FROM outbox WHERE account = ?1 AND origin_id = ?2 AND state NOT IN ('sending', 'sent'))";
    const ROW: &str = "DELETE FROM outbox WHERE account = ?1 AND origin_id = ?2 AND state NOT IN ('sending', 'sent')";
    transaction.prepare_cached(FILES)?.execute(params![account.as_str(), id])?;
    let is_gone = transaction.prepare_cached(ROW)?.execute(params![account.as_str(), id])? == 1;
    if is_gone {
        batches::leave(transaction, account, id)?;
    }
    Ok(is_gone)
}

#[cfg(test)]
mod tests {
    use balcony_wire::Jid;

    use super::*;
    use crate::FileRef;

    fn account() -> BareJid {
        "romeo@montague.example".parse().unwrap()
    }

    fn outgoing(id: &str) -> Outgoing {
        let files = ["/a", "/b", "/c"].map(|path| FileRef::Path(path.into())).to_vec();
        Outgoing::preparing(account(), id.to_owned(), Jid::parse("juliet@capulet.example").unwrap(), files, SystemTime::now())
    }

    fn new(outgoing: &Outgoing) -> Change<'_> {
        Change::Add { outgoing, batch: Some("b1") }
    }

    fn state(store: &Store, id: &str) -> Option<OutboxState> {
        store.outgoing(&account(), id).unwrap().map(|outgoing| outgoing.state)
    }

    #[test]
    fn each_change_says_whether_it_was_made() {
        let (store, one) = (Store::in_memory().unwrap(), outgoing("m1"));
        let changes = [
            new(&one),
            new(&one),
            Change::Claim("m1"),
            Change::Ready { id: "m1", stanza: "<message/>", followers: &[] },
            Change::Claim("m1"),
            Change::Claim("m1"),
            Change::Remove("m1"),
            Change::Sent("m1"),
            Change::Failed { id: "m1", why: "too late" },
        ];
        let made = store.change_outbox(&account(), &changes).unwrap();
        assert_eq!(made, [true, false, false, true, true, false, false, true, false]);
        assert_eq!(state(&store, "m1"), Some(OutboxState::Sent));
    }

    #[test]
    fn together_means_all_or_nothing() {
        let (store, one, two) = (Store::in_memory().unwrap(), outgoing("m1"), outgoing("m2"));
        store.change_outbox(&account(), &[new(&one), new(&two)]).unwrap();
        let ready = Change::Ready { id: "m1", stanza: "<message/>", followers: &[] };
        assert!(!store.change_outbox_together(&account(), &[ready.clone(), Change::Claim("m2")]).unwrap());
        assert_eq!(state(&store, "m1"), Some(OutboxState::Preparing));
        assert!(store.change_outbox_together(&account(), &[ready, Change::Remove("m2")]).unwrap());
        assert_eq!((state(&store, "m1"), state(&store, "m2")), (Some(OutboxState::Ready), None));
    }

    #[test]
    fn a_message_can_be_left_with_some_of_its_files() {
        let (store, one) = (Store::in_memory().unwrap(), outgoing("m1"));
        let keep = |id, files| Change::Keep { id, files, stanza: "<message/>" };
        let changes = [new(&one), keep("m1", &[0, 2]), keep("m2", &[0])];
        assert_eq!(store.change_outbox(&account(), &changes).unwrap(), [true, true, false]);
        let kept = store.outgoing(&account(), "m1").unwrap().unwrap();
        assert_eq!(kept.stanza.as_deref(), Some("<message/>"));
        assert_eq!(kept.files, [FileRef::Path("/a".into()), FileRef::Path("/c".into())]);
    }

    #[test]
    fn a_batch_is_unfinished_until_all_of_it_is_sent_with_those_that_follow() {
        let (store, one, two) = (Store::in_memory().unwrap(), outgoing("m1"), outgoing("m1.1"));
        let account = account();
        let unfinished = || store.unfinished_batch(&account, "b").unwrap();
        assert_eq!(unfinished(), None);
        store.change_outbox(&account, &[new(&one)]).unwrap();
        assert_eq!(unfinished().as_deref(), Some("b1"));
        let followers = [Outgoing { stanza: Some("<message/>".to_owned()), state: OutboxState::Ready, ..two }];
        let ready = Change::Ready { id: "m1", stanza: "<message/>", followers: &followers };
        store.change_outbox(&account, &[ready.clone(), ready, Change::Claim("m1"), Change::Sent("m1")]).unwrap();
        assert_eq!(unfinished().as_deref(), Some("b1"), "what follows is not out");
        assert_eq!(store.unfinished_batch(&account, "c").unwrap(), None);
        let ids: Vec<_> = store.of_batch(&account, "b1", "", 10).unwrap().into_iter().map(|outgoing| outgoing.origin_id).collect();
        assert_eq!(ids, ["m1", "m1.1"]);
        assert_eq!(store.of_batch(&account, "b1", "m1", 10).unwrap().len(), 1);
        store.change_outbox(&account, &[Change::Claim("m1.1"), Change::Sent("m1.1")]).unwrap();
        assert_eq!(unfinished(), None);
    }
}
