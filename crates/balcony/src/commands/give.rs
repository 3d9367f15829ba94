//! `balcony give`: shows and changes the rules by which this device gives files to others, and shows what is shared live. Offline.

use balcony_client::{Giving, GivingRule};
use balcony_sharing::ByteLen;
use balcony_sharing::transfer::Reach;
use balcony_store::Store;
use balcony_wire::BareJid;
use serde_json::json;

use super::policy::{joined, misread};
use crate::cli::{self, GiveAction};
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
    let local = |error: balcony_client::StoreError| Failure::from_error(Class::Local, &error);
    let mut giving = fetcher.giving(&account).await.map_err(local)?;
    match args.action.as_ref().unwrap_or(&GiveAction::Show) {
        GiveAction::Show => {
            show(console, &giving);
            return shares(console, &store, &account);
        }
        GiveAction::Add { rule, at } => add(console, &mut giving, rule, *at)?,
        GiveAction::Remove { number } => {
            let removed = giving.remove(place(*number, &giving)?).ok_or_else(|| unknown(*number, &giving))?;
            let fields = json!({"number": number, "rule": removed.to_string()});
            console.step("removed", fields, format!("removed: {}", Safe(&removed.to_string())));
        }
        GiveAction::Move { number, to } => {
            let (from, to) = (place(*number, &giving)?, place(*to, &giving)?);
            let rule = giving.remove(from).ok_or_else(|| unknown(*number, &giving))?;
            let _ = giving.insert(to, rule); // there is room: one was just taken out
        }
        GiveAction::Reset => giving = Giving::default(),
    }
    fetcher.set_giving(&account, giving.clone()).await.map_err(local)?;
    show(console, &giving);
    Ok(())
}

/// Every rule with its number, as written and in a sentence.
fn show(console: &Console, giving: &Giving) {
    for (at, rule) in giving.rules().iter().enumerate() {
        let (number, text, words) = (at + 1, rule.to_string(), rule.words());
        let fields = json!({"number": number, "rule": text, "verdict": rule.verdict.as_str(), "words": words});
        console.result("rule", fields, format!("{number:>3}. {}\n     {}", Safe(&text), Safe(&words)));
    }
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

fn add(console: &Console, giving: &mut Giving, words: &[String], at: Option<usize>) -> Result<(), Failure> {
    let text = joined(words);
    let rule: GivingRule =
        text.parse().map_err(|error| misread(console, &text, &error, "`balcony give add --help` shows rules to begin with"))?;
    if !giving.insert(at.map_or(0, |at| at.saturating_sub(1)), rule) {
        return Err(Failure::new(Class::Usage, "there are too many rules already").advise("remove one with `balcony give remove N`"));
    }
    Ok(())
}

fn place(number: usize, giving: &Giving) -> Result<usize, Failure> {
    let is_there = number >= 1 && number <= giving.rules().len();
    if is_there { Ok(number - 1) } else { Err(unknown(number, giving)) }
}

fn unknown(number: usize, giving: &Giving) -> Failure {
    let there = match giving.rules().len() {
        0 => "there are no rules".to_owned(),
        1 => "there is one rule, 1".to_owned(),
        count => format!("there are rules 1 to {count}"),
    };
    Failure::new(Class::Usage, format!("there is no rule {number}: {there}")).advise("`balcony give` shows them with their numbers")
}
