//! `balcony contacts`: whose files the rules for contacts are about.

use balcony_client::{Account, Availability, BareJid, ContactError};
use balcony_wire::roster::{RosterItem, Subscription};
use serde_json::json;

use crate::cli::{self, ContactsAction};
use crate::connect;
use crate::console::Console;
use crate::exit::{Class, Failure};
use crate::home::Home;
use crate::safe::Safe;

/// Runs the command.
pub(crate) async fn run(console: &Console, home: &Home, named: Option<&str>, args: &cli::Contacts) -> Result<(), Failure> {
    let action = args.action.as_ref().unwrap_or(&ContactsAction::List);
    let person = match action {
        ContactsAction::List => None,
        ContactsAction::Add { jid, .. } | ContactsAction::Remove { jid } => {
            Some(jid.parse::<BareJid>().map_err(|error| Failure::from_error(Class::Usage, &error))?)
        }
    };
    let account = connect::account(home, named, Availability::Hidden).await?;
    let done = match (action, &person) {
        (ContactsAction::Add { group, name, one_sided, .. }, Some(jid)) => {
            add(console, &account, jid, name.clone(), group.clone(), !one_sided).await
        }
        (ContactsAction::Remove { .. }, Some(jid)) => remove(console, &account, jid).await,
        _ => list(console, &account).await,
    };
    account.close().await;
    done
}

async fn list(console: &Console, account: &Account) -> Result<(), Failure> {
    let mut items = account.roster().await.map_err(|error| failure(&error))?;
    items.sort_by(|one, other| one.jid.cmp(&other.jid));
    if items.is_empty() {
        console.step("empty", json!({}), "no contacts yet; `balcony contacts add JID` makes somebody one");
    }
    for item in &items {
        let (jid, groups) = (item.jid.as_str(), item.groups.join(", "));
        let name = item.name.as_deref().map_or_else(String::new, |name| format!("  \"{name}\""));
        let in_groups = if groups.is_empty() { String::new() } else { format!("  in {groups}") };
        let words = format!("{}{}{}  ({})", Safe(jid), Safe(&name), Safe(&in_groups), seen(item));
        let fields = json!({
            "jid": jid, "name": item.name, "groups": item.groups, "subscription": item.subscription.as_str(), "asked": item.ask
        });
        console.result("contact", fields, words);
    }
    Ok(())
}

/// Who sees whose presence, in words.
fn seen(item: &RosterItem) -> &'static str {
    match item.subscription {
        Subscription::Both => "you see each other",
        Subscription::To => "you see when they are there",
        Subscription::From if item.ask => "they see when you are there; they have not answered yet",
        Subscription::From => "they see when you are there",
        Subscription::None | Subscription::Remove if item.ask => "they have not answered yet",
        Subscription::None | Subscription::Remove => "neither sees when the other is there",
    }
}

async fn add(
    console: &Console,
    account: &Account,
    jid: &BareJid,
    name: Option<String>,
    groups: Vec<String>,
    mutual: bool,
) -> Result<(), Failure> {
    account.add_contact(jid, name, groups, mutual).await.map_err(|error| failure(&error))?;
    let groups = account.contacts().await.groups(jid).map(<[String]>::to_vec).unwrap_or_default();
    let asked = if mutual { "; they are asked to show when they are there" } else { "" };
    let words = format!("{} is a contact now{asked}; `balcony policy` shows what that means for their files", Safe(jid.as_str()));
    console.result("contact-added", json!({"jid": jid.as_str(), "groups": groups, "mutual": mutual}), words);
    Ok(())
}

async fn remove(console: &Console, account: &Account, jid: &BareJid) -> Result<(), Failure> {
    if !account.remove_contact(jid).await.map_err(|error| failure(&error))? {
        return Err(Failure::new(Class::Usage, format!("{jid} is no contact")).advise("`balcony contacts` lists those that are"));
    }
    console.result("contact-removed", json!({"jid": jid.as_str()}), format!("{} is no contact any more", Safe(jid.as_str())));
    Ok(())
}

fn failure(error: &ContactError) -> Failure {
    Failure::from_error(connect::class_of(error.class()), error)
}
