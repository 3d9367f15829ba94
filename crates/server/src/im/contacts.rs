//! The roster in the database. Both sides of a subscription change in one transaction, so they never disagree.

use balcony_wire::roster::RosterItem;
use balcony_wire::{Jid, PresenceKind};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::subscription::Contact;
use crate::database::{Database, DatabaseError};

/// Between group names in the database; names with it are refused.
const BETWEEN: char = '\u{1f}';

/// A changed item and the version of the roster after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Push {
    pub(crate) item: RosterItem,
    pub(crate) version: i64,
}

/// What a subscription stanza did.
#[derive(Clone, Debug, Default)]
pub(crate) struct Changed {
    /// To the sender's sessions.
    pub(crate) to_user: Vec<Push>,
    /// To the addressee's sessions.
    pub(crate) to_contact: Vec<Push>,
    /// The stanza goes to the addressee's sessions.
    pub(crate) deliver: bool,
    /// The addressee's server says this back, and it is delivered to the user's sessions.
    pub(crate) reply: Option<PresenceKind>,
    /// The addressee has so many contacts that no request fits.
    pub(crate) full: bool,
}

/// The answer to a roster get.
#[derive(Clone, Debug)]
pub(crate) struct Listing {
    pub(crate) version: i64,
    pub(crate) items: Vec<RosterItem>,
}

/// The contacts of all accounts.
#[derive(Clone, Debug)]
pub(crate) struct Contacts {
    database: Database,
    domain: String,
    most: usize,
    most_bytes: usize,
}

impl Contacts {
    pub(crate) fn new(database: Database, domain: &str, most: usize, most_bytes: usize) -> Self {
        Self { database, domain: domain.to_owned(), most, most_bytes }
    }

    /// The whole roster, or its version alone if that is `known`.
    pub(crate) async fn list(&self, user: &str, known: Option<String>) -> Result<Listing, DatabaseError> {
        let user = user.to_owned();
        self.database
            .call(move |sql| {
                let version = version(sql, &user)?;
                if known.is_some_and(|known| known == version.to_string()) {
                    return Ok(Listing { version, items: Vec::new() });
                }
                let items = rows(sql, "listed = 1", &user)?.into_iter().filter_map(|(jid, contact)| item(&jid, &contact)).collect();
                Ok(Listing { version, items })
            })
            .await
    }

    /// Sets name and groups of an item, or makes it. `None`: there are too many.
    pub(crate) async fn set(&self, user: &str, item: RosterItem) -> Result<Option<Push>, DatabaseError> {
        let (user, most, most_bytes) = (user.to_owned(), self.most, self.most_bytes);
        self.database
            .call(move |sql| {
                let jid = item.jid.bare();
                let old = load(sql, &user, jid.as_str())?;
                let before = old.as_ref().map_or(0, Contact::weight);
                let is_new = old.is_none();
                let contact = Contact { listed: true, name: item.name.unwrap_or_default(), groups: item.groups, ..old.unwrap_or_default() };
                let grows = contact.weight().saturating_sub(before);
                if (is_new && count(sql, &user)? >= most) || (grows > 0 && weight(sql, &user)?.saturating_add(grows) > most_bytes) {
                    return Ok(None);
                }
                save(sql, &user, jid.as_str(), &contact)?;
                push(sql, &user, jid.as_str(), &contact)
            })
            .await
    }

    /// Takes a contact out of the roster; subscriptions end on both sides. `None`: it is not there.
    pub(crate) async fn remove(&self, user: &str, contact: &Jid) -> Result<Option<Removed>, DatabaseError> {
        let (user, jid, domain) = (user.to_owned(), contact.bare(), self.domain.clone());
        self.database
            .call(move |sql| {
                let Some(mut contact) = load(sql, &user, jid.as_str())?.filter(|contact| contact.listed) else { return Ok(None) };
                let unsubscribe = contact.send(PresenceKind::Unsubscribe).route;
                let unsubscribed = contact.send(PresenceKind::Unsubscribed).route;
                delete(sql, &user, jid.as_str())?;
                let mut removed = Removed { version: raise(sql, &user)?, ended: Vec::new() };
                let me = format!("{user}@{domain}");
                for (kind, send) in [(PresenceKind::Unsubscribe, unsubscribe), (PresenceKind::Unsubscribed, unsubscribed)] {
                    if send {
                        let mut changed = Changed::default();
                        let arrival = Arrival { from: &me, to: jid.as_str(), kind, words: "", most: usize::MAX };
                        arrive(sql, &domain, &arrival, &mut changed)?;
                        removed.ended.push((kind, changed));
                    }
                }
                Ok(Some(removed))
            })
            .await
    }

    /// A user's subscription stanza: changes the user's side, and the contact's if it is one of ours. `words` is the
    /// stanza as text, kept for a contact who is not there.
    pub(crate) async fn subscribe(&self, user: &str, contact: &Jid, kind: PresenceKind, words: String) -> Result<Changed, DatabaseError> {
        let (user, jid, domain, most) = (user.to_owned(), contact.bare(), self.domain.clone(), self.most);
        self.database
            .call(move |sql| {
                let mut changed = Changed::default();
                let old = load(sql, &user, jid.as_str())?;
                if old.is_none() && count(sql, &user)? >= most {
                    changed.full = true;
                    return Ok(changed);
                }
                let mut mine = old.unwrap_or_default();
                let sent = mine.send(kind);
                save(sql, &user, jid.as_str(), &mine)?;
                if sent.push {
                    changed.to_user.extend(push(sql, &user, jid.as_str(), &mine)?);
                }
                if sent.route {
                    let me = format!("{user}@{domain}");
                    arrive(sql, &domain, &Arrival { from: &me, to: jid.as_str(), kind, words: &words, most }, &mut changed)?;
                }
                Ok(changed)
            })
            .await
    }

    /// Contacts who see the user's presence.
    pub(crate) async fn watchers(&self, user: &str) -> Result<Vec<Jid>, DatabaseError> {
        self.addresses(user, "seen = 1").await
    }

    /// Contacts whose presence the user sees.
    pub(crate) async fn watched(&self, user: &str) -> Result<Vec<Jid>, DatabaseError> {
        self.addresses(user, "sees = 1").await
    }

    /// Whether `viewer` sees the user's presence.
    pub(crate) async fn may_see(&self, user: &str, viewer: &Jid) -> Result<bool, DatabaseError> {
        let (user, viewer) = (user.to_owned(), viewer.bare());
        let contact = self.database.call(move |sql| load(sql, &user, viewer.as_str())).await?;
        Ok(contact.is_some_and(|contact| contact.seen))
    }

    /// Requests that wait for the user's answer, as text.
    pub(crate) async fn requests(&self, user: &str) -> Result<Vec<String>, DatabaseError> {
        let user = user.to_owned();
        let rows = self.database.call(move |sql| rows(sql, "request <> ''", &user)).await?;
        Ok(rows.into_iter().filter_map(|(_, contact)| contact.request).collect())
    }

    async fn addresses(&self, user: &str, which: &'static str) -> Result<Vec<Jid>, DatabaseError> {
        let user = user.to_owned();
        let rows = self.database.call(move |sql| rows(sql, which, &user)).await?;
        Ok(rows.into_iter().filter_map(|(jid, _)| Jid::from_server(&jid).ok()).collect())
    }
}

/// What a removal did.
#[derive(Clone, Debug)]
pub(crate) struct Removed {
    pub(crate) version: i64,
    /// Stanzas that went to the contact on the way.
    pub(crate) ended: Vec<(PresenceKind, Changed)>,
}

/// A subscription stanza on its way from one bare address to another.
struct Arrival<'a> {
    from: &'a str,
    to: &'a str,
    kind: PresenceKind,
    words: &'a str,
    /// Contacts that its addressee may have.
    most: usize,
}

/// A subscription stanza arrives at a contact of this domain; elsewhere, or without account, nothing happens.
fn arrive(sql: &Connection, domain: &str, arrival: &Arrival<'_>, changed: &mut Changed) -> rusqlite::Result<()> {
    let Arrival { from, to, kind, words, most } = *arrival;
    let Some(contact) = localpart(to, domain) else { return Ok(()) };
    if !sql.prepare_cached("SELECT 1 FROM accounts WHERE localpart = ?1")?.exists([contact])? {
        return Ok(());
    }
    let old = load(sql, contact, from)?;
    if old.is_none() && kind == PresenceKind::Subscribe && count(sql, contact)? >= most {
        changed.full = true;
        return Ok(());
    }
    let mut theirs = old.unwrap_or_default();
    let came = theirs.receive(kind, words);
    save(sql, contact, from, &theirs)?;
    if came.push {
        changed.to_contact.extend(push(sql, contact, from, &theirs)?);
    }
    changed.deliver |= came.deliver;
    if let (Some(reply), Some(user)) = (came.reply, localpart(from, domain)) {
        let mut mine = load(sql, user, to)?.unwrap_or_default();
        let answered = mine.receive(reply, "");
        save(sql, user, to, &mine)?;
        if answered.push {
            changed.to_user.extend(push(sql, user, to, &mine)?);
        }
        changed.reply = answered.deliver.then_some(reply);
    }
    Ok(())
}

/// The localpart of a bare address of our domain.
fn localpart<'a>(jid: &'a str, domain: &str) -> Option<&'a str> {
    jid.strip_suffix(domain)?.strip_suffix('@')
}

fn item(jid: &str, contact: &Contact) -> Option<RosterItem> {
    let mut item = RosterItem::new(Jid::from_server(jid).ok()?);
    item.name = Some(contact.name.clone()).filter(|name| !name.is_empty());
    item.groups = contact.groups.clone();
    item.subscription = contact.subscription();
    item.ask = contact.asked;
    item.approved = contact.approved;
    Some(item)
}

fn version(sql: &Connection, user: &str) -> rusqlite::Result<i64> {
    sql.prepare_cached("SELECT roster_version FROM accounts WHERE localpart = ?1")?.query_row([user], |row| row.get(0))
}

/// Counts the version up and returns it.
fn raise(sql: &Connection, user: &str) -> rusqlite::Result<i64> {
    sql.prepare_cached("UPDATE accounts SET roster_version = roster_version + 1 WHERE localpart = ?1")?.execute([user])?;
    version(sql, user)
}

fn push(sql: &Connection, user: &str, jid: &str, contact: &Contact) -> rusqlite::Result<Option<Push>> {
    let version = raise(sql, user)?;
    Ok(item(jid, contact).map(|item| Push { item, version }))
}

fn count(sql: &Connection, user: &str) -> rusqlite::Result<usize> {
    let count: u32 = sql.prepare_cached("SELECT COUNT(*) FROM contacts WHERE localpart = ?1")?.query_row([user], |row| row.get(0))?;
    Ok(count as usize)
}

/// Bytes of all names and groups.
fn weight(sql: &Connection, user: &str) -> rusqlite::Result<usize> {
    let query = "SELECT IFNULL(SUM(octet_length(name) + octet_length(groups)), 0) FROM contacts WHERE localpart = ?1";
    let bytes: i64 = sql.prepare_cached(query)?.query_row([user], |row| row.get(0))?;
    Ok(usize::try_from(bytes).unwrap_or(usize::MAX))
}

fn load(sql: &Connection, user: &str, jid: &str) -> rusqlite::Result<Option<Contact>> {
    let query =
        "SELECT contact, listed, name, groups, sees, seen, asked, approved, request FROM contacts WHERE localpart = ?1 AND contact = ?2";
    sql.prepare_cached(query)?.query_row([user, jid], |row| Ok(read(row)?.1)).optional()
}

fn rows(sql: &Connection, which: &'static str, user: &str) -> rusqlite::Result<Vec<(String, Contact)>> {
    let columns = "contact, listed, name, groups, sees, seen, asked, approved, request";
    let query = format!("SELECT {columns} FROM contacts WHERE localpart = ?1 AND {which} ORDER BY contact");
    sql.prepare_cached(&query)?.query_map([user], read)?.collect()
}

fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<(String, Contact)> {
    let (groups, request): (String, String) = (row.get("groups")?, row.get("request")?);
    let contact = Contact {
        listed: row.get("listed")?,
        name: row.get("name")?,
        groups: groups.split(BETWEEN).filter(|group| !group.is_empty()).map(str::to_owned).collect(),
        sees: row.get("sees")?,
        seen: row.get("seen")?,
        asked: row.get("asked")?,
        approved: row.get("approved")?,
        request: Some(request).filter(|request| !request.is_empty()),
    };
    Ok((row.get("contact")?, contact))
}

fn save(sql: &Connection, user: &str, jid: &str, contact: &Contact) -> rusqlite::Result<()> {
    if contact.is_nothing() {
        return delete(sql, user, jid);
    }
    let insert = "INSERT OR REPLACE INTO contacts (localpart, contact, listed, name, groups, sees, seen, asked, approved, request)
                  VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    let groups = contact.groups.join(&BETWEEN.to_string());
    let request = contact.request.as_deref().unwrap_or_default();
    let Contact { listed, name, sees, seen, asked, approved, .. } = contact;
    sql.prepare_cached(insert)?.execute(params![user, jid, listed, name, groups, sees, seen, asked, approved, request])?;
    Ok(())
}

fn delete(sql: &Connection, user: &str, jid: &str) -> rusqlite::Result<()> {
    sql.prepare_cached("DELETE FROM contacts WHERE localpart = ?1 AND contact = ?2")?.execute([user, jid])?;
    Ok(())
}
