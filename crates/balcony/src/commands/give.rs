//! `balcony give`: shows and changes the rules by which this device gives files to others, and shows what is shared live. Offline.

use balcony_client::Giving;
use balcony_sharing::ByteLen;
use balcony_sharing::transfer::Reach;
use balcony_store::Store;
use balcony_wire::BareJid;
use serde_json::json;

use super::rules::{self, Edit};
use crate::cli::{self, RuleAction};
use crate::connect;
use crate::console::Console;
use crate::exit::{Class, Failure};
use crate::home::Home;
use crate::safe::Safe;

/// Live shares that are listed.
const SHARES: usize = 1_000;

/// Runs the command.
pub(crate) async fn run(console: &Console, home: &Home, named: Option<&str>, args: &cli::Give) -> Result<(), Failure> {
    let (entry, store) = connect::store(home, named)?;
    let (account, fetcher) = (entry.jid()?, connect::fetcher(&entry, store.clone())?);
    let Some(edit) = Edit::read(console, args.action.as_ref().unwrap_or(&RuleAction::Show))? else {
        show(console, &fetcher.giving(&account).await?);
        return shares(console, &store, &account);
    };
    let (giving, removed) = fetcher.change_giving(&account, |giving| edit.apply(giving)).await?;
    rules::tell_removed(console, removed);
    show(console, &giving);
    Ok(())
}

/// Every rule, and what holds where there is none.
fn show(console: &Console, giving: &Giving) {
    rules::show(console, giving);
    let rest = match giving.rules() {
        [] => "there are no rules, so nothing is given to anybody; `balcony give add --help` says how to make one",
        _ => {
            "the first rule that is about who asks and what they ask for decides; where none is, they get nothing\n\
             who may not have a file hears the same as for a file that is not here"
        }
    };
    console.step("rules", json!({"count": giving.rules().len()}), rest);
}

/// What is shared live just now, by whichever program of this account.
fn shares(console: &Console, store: &Store, account: &BareJid) -> Result<(), Failure> {
    let shares = store.live_shares(account, SHARES).map_err(|error| Failure::from_error(Class::Local, &error))?;
    for share in shares {
        let told: Vec<&str> = share.told.iter().map(|jid| jid.as_str()).collect();
        let place = match &share.file {
            balcony_store::FileRef::Path(path) => path.display().to_string(),
            balcony_store::FileRef::Blob(_) => "a file of the store".to_owned(),
        };
        let to = told.join(", ");
        let way = match share.reach {
            Some(Reach::Direct) => "directly",
            Some(Reach::Relay) => "by relay only",
            None => "by relay, unless a rule says directly",
        };
        let fields = json!({"path": place, "size": share.size, "to": told, "relay_only": share.reach == Some(Reach::Relay)});
        console.result("shared", fields, format!("shared live: {} ({}) with {}, {way}", Safe(&place), ByteLen(share.size), Safe(&to)));
    }
    Ok(())
}
