//! `balcony outbox`: messages that are not out yet, because they were stopped, or the network was. `send` and `receive` take them
//! up by themselves.

use std::path::PathBuf;

use balcony_client::{Account, Availability, Sent};
use balcony_store::{FileRef, OutboxState, Outgoing, Store};
use balcony_wire::BareJid;
use serde_json::json;

use crate::cli::{self, OutboxAction};
use crate::connect;
use crate::console::Console;
use crate::exit::{Class, Failure};
use crate::home::Home;
use crate::safe::Safe;

/// More than anybody leaves lying.
const MOST: usize = 500;
/// What is still to go.
const OPEN: [OutboxState; 3] = [OutboxState::Preparing, OutboxState::Ready, OutboxState::Sending];

/// Runs the command.
pub(crate) async fn run(console: &Console, home: &Home, named: Option<&str>, args: &cli::Outbox) -> Result<(), Failure> {
    match args.action.as_ref().unwrap_or(&OutboxAction::List) {
        OutboxAction::List => list(console, home, named),
        OutboxAction::Resume => {
            let account = connect::account(home, named, Availability::Hidden).await?;
            let taken_up = take_up(console, &account).await;
            account.close().await;
            taken_up.map(drop)
        }
        OutboxAction::Retry { id } => retry(console, home, named, id).await,
        OutboxAction::Drop { id } => give_up(console, home, named, id),
    }
}

/// Sends what an earlier run left. What fails for good is told, and is no reason to stop.
pub(crate) async fn take_up(console: &Console, account: &Account) -> Result<(), Failure> {
    tell_unreadable(console, account.store(), account.jid())?;
    let left = open(account.store(), account.jid())?;
    if left.is_empty() {
        return Ok(());
    }
    console.step("outbox", json!({"messages": left.len()}), format!("going on with {} left in the outbox", count(left.len())));
    let resumed = account.resume_outbox().await.map_err(|error| connect::share_failure(&error))?;
    if resumed.busy {
        console.step("outbox-busy", json!({}), "another balcony is sending them just now");
        return Ok(());
    }
    for (to, error) in &resumed.failed {
        let failure = connect::share_failure(error);
        console.failure(&Failure { what: format!("to {}: {}", Safe(to.as_str()), failure.what), ..failure });
    }
    for sent in &resumed.sent {
        tell(console, sent);
    }
    Ok(())
}

fn tell(console: &Console, sent: &Sent) {
    let files: Vec<_> = sent.files.iter().map(|file| json!({"name": file.name, "size": file.size, "url": file.url})).collect();
    let links = sent.files.iter().filter_map(|file| Some(format!(": {} lies at {}", Safe(&file.name), Safe(file.url.as_deref()?))));
    let links = links.collect::<String>();
    for message in &sent.messages {
        let to = message.to.as_ref().map_or("", |to| to.as_str());
        let words = format!("sent what waited for {}{links}", Safe(to));
        console.result("sent-now", json!({"to": to, "id": message.id, "files": files}), words);
    }
}

fn paths(outgoing: &Outgoing) -> Vec<PathBuf> {
    let path = |file: &FileRef| match file {
        FileRef::Path(path) => Some(path.clone()),
        FileRef::Blob(_) => None,
    };
    outgoing.files.iter().filter_map(path).collect()
}

fn open(store: &Store, jid: &BareJid) -> Result<Vec<Outgoing>, Failure> {
    let mut rows = Vec::new();
    for state in OPEN {
        rows.extend(store.outbox(jid, state, MOST).map_err(|error| Failure::from_error(Class::Local, &error))?);
    }
    Ok(rows)
}

/// What nobody can send is no reason to leave the others, and is told.
fn tell_unreadable(console: &Console, store: &Store, jid: &BareJid) -> Result<(), Failure> {
    for id in store.unreadable_outgoing(jid).map_err(|error| Failure::from_error(Class::Local, &error))? {
        let words = format!("message {} in the outbox cannot be read, and is left out; `balcony outbox drop` gives it up", Safe(&id));
        console.step("unreadable", json!({"id": id}), words);
    }
    Ok(())
}

fn list(console: &Console, home: &Home, named: Option<&str>) -> Result<(), Failure> {
    let (entry, store) = connect::store(home, named)?;
    let jid = entry.jid()?;
    tell_unreadable(console, &store, &jid)?;
    let mut rows = open(&store, &jid)?;
    rows.extend(store.outbox(&jid, OutboxState::Failed, MOST).map_err(|error| Failure::from_error(Class::Local, &error))?);
    for id in store.unreadable_outgoing(&jid).map_err(|error| Failure::from_error(Class::Local, &error))? {
        let words = format!("{}  unreadable: another program changed it; it stays behind, and the others go", Safe(&id));
        console.result("unreadable", json!({"id": id}), words);
    }
    if rows.is_empty() {
        console.step("empty", json!({}), "the outbox is empty: everything is sent");
    }
    for row in rows {
        let files = paths(&row).iter().map(|path| path.display().to_string()).collect::<Vec<_>>();
        let why = row.why.as_deref().map_or_else(String::new, |why| format!(": {}", Safe(why)));
        console.result(
            "outgoing",
            json!({"id": row.origin_id, "to": row.to.as_str(), "state": row.state.as_str(), "files": files, "why": row.why}),
            format!("{}  {:<9} to {}: {}{why}", row.origin_id, row.state.as_str(), Safe(row.to.as_str()), Safe(&files.join(", "))),
        );
    }
    Ok(())
}

async fn retry(console: &Console, home: &Home, named: Option<&str>, id: &str) -> Result<(), Failure> {
    let (entry, store) = connect::store(home, named)?;
    let again = store.retry_outgoing(&entry.jid()?, id).map_err(|error| Failure::from_error(Class::Local, &error))?;
    if !again {
        return Err(Failure::new(Class::Usage, format!("no message {} failed", Safe(id))).advise("`balcony outbox` lists those that did"));
    }
    console.step("retrying", json!({"id": id}), "trying it once more");
    drop(store);
    let account = connect::account(home, named, Availability::Hidden).await?;
    let taken_up = take_up(console, &account).await;
    let row = account.store().outgoing(account.jid(), id).map_err(|error| Failure::from_error(Class::Local, &error));
    account.close().await;
    taken_up?;
    match row? {
        Some(row) if row.state == OutboxState::Failed => {
            Err(Failure::new(Class::Server, format!("it failed again: {}", row.why.unwrap_or_default())))
        }
        _ => Ok(()),
    }
}

fn give_up(console: &Console, home: &Home, named: Option<&str>, id: &str) -> Result<(), Failure> {
    let (entry, store) = connect::store(home, named)?;
    let given_up = store.mark_failed(&entry.jid()?, id, "given up").map_err(|error| Failure::from_error(Class::Local, &error))?;
    if !given_up {
        return Err(Failure::new(Class::Usage, format!("no message {} waits in the outbox", Safe(id)))
            .advise("`balcony outbox` lists those that do"));
    }
    console.result("dropped", json!({"id": id}), "given up; an upload that was begun runs out by itself");
    Ok(())
}

fn count(messages: usize) -> String {
    if messages == 1 { "1 message".to_owned() } else { format!("{messages} messages") }
}
