//! `balcony policy`: shows and changes the rules by which files are fetched, asked about or left alone. Offline.

use std::fs;
use std::path::Path;

use balcony_client::{Fetcher, Policy, Wish};
use balcony_sharing::plan::RoomKind;
use balcony_sharing::{Received, dialect};
use balcony_wire::{BareJid, Element, Stanza};
use serde_json::json;

use super::rules::Edit;
use super::{offers, rules, why};
use crate::cli::{self, PolicyAction, RoomArg, RuleAction};
use crate::connect;
use crate::console::Console;
use crate::exit::{Class, Failure};
use crate::fetching;
use crate::home::Home;
use crate::safe::Safe;

/// More than any server lets through.
const LARGEST: u64 = 4 << 20;

/// Runs the command.
pub(crate) async fn run(console: &Console, home: &Home, named: Option<&str>, args: &cli::Policy) -> Result<(), Failure> {
    let (entry, store) = connect::store(home, named)?;
    let (account, fetcher) = (entry.jid()?, connect::fetcher(&entry, store)?);
    let action = match args.action.as_ref().unwrap_or(&PolicyAction::Rules(RuleAction::Show)) {
        PolicyAction::Rules(action) => action,
        PolicyAction::Test(test) => return self::test(console, home, named, &fetcher, &account, test).await,
    };
    if let Some(edit) = Edit::read(console, action)? {
        let (_, removed) = fetcher.change_policy(&account, |policy| edit.apply(policy)).await?;
        rules::tell_removed(console, removed);
    }
    show(console, &fetcher.policy());
    Ok(())
}

/// Every rule, and what holds where there is none.
fn show(console: &Console, policy: &Policy) {
    rules::show(console, policy);
    let rest = match policy.rules() {
        [] => "there are no rules, so you are asked about every file; `balcony policy add --help` says how to make one",
        _ => {
            "the first rule that is about a file decides; what no rule is about is asked about\n\
             a fetch rule leaves alone what no hash proves, what costs money, and places that others than the sender name, unless it says \
             \"even\"\n\
             what everybody on the way could read is never fetched"
        }
    };
    console.step("rules", json!({"count": policy.rules().len(), "fetches_unasked": policy.fetches()}), rest);
}

/// Which rule decides about an offer of the catalogue, or about those in a message.
async fn test(
    console: &Console,
    home: &Home,
    named: Option<&str>,
    fetcher: &Fetcher,
    account: &BareJid,
    args: &cli::PolicyTest,
) -> Result<(), Failure> {
    let room = match args.room {
        Some(RoomArg::Private) => RoomKind::Private,
        Some(RoomArg::Public) | None => RoomKind::Public,
    };
    let wish = Wish { metered: args.metered, room, ..Wish::default() };
    let policy = fetcher.policy();
    if let Ok(number) = args.what.parse() {
        let (fetcher, offer) = offers::find(home, named, number)?;
        console.result("offer", fetching::fields(&offer), fetching::words(&offer));
        let why = fetcher.why(&offer, &policy, wish).await.map_err(|error| Failure::from_error(Class::Local, &error))?;
        why::show(console, &why, &policy);
        return Ok(());
    }
    let offers = offered(Path::new(&args.what), account)?;
    if offers.is_empty() {
        console.step("empty", json!({}), "no file is offered here");
    }
    for offer in offers {
        let name = offer.name();
        let from = offer.provenance().to_string();
        console.result("offer", json!({"name": name.as_str(), "from": from}), format!("{} {}", Safe(name.as_str()), Safe(&from)));
        why::show(console, &fetcher.why_of(&offer, &policy, wish.clone()), &policy);
    }
    Ok(())
}

/// The offers in a message that a file holds, as if it came to the account just now.
fn offered(path: &Path, account: &BareJid) -> Result<Vec<balcony_sharing::Offer>, Failure> {
    let shown = path.display();
    let unreadable = |why: &dyn std::fmt::Display| Failure::new(Class::Local, format!("cannot read {shown}: {why}"));
    let length =
        fs::metadata(path).map_err(|error| unreadable(&error).advise("give the number of an offer, or a file with one message"))?.len();
    if length > LARGEST {
        return Err(Failure::new(Class::Usage, format!("{shown} is larger than any message")));
    }
    let text = fs::read_to_string(path).map_err(|error| unreadable(&error))?;
    let no_message =
        || Failure::new(Class::Usage, format!("{shown} holds no message")).advise("give one whole <message/>, as it stands in the stream");
    let element = Element::parse_listing(text.trim()).map_err(|error| Failure::from_error(Class::Usage, &error))?;
    let Ok(Stanza::Message(message)) = Stanza::read(element) else { return Err(no_message()) };
    let facts = |room| balcony_sharing::RoomFacts::unknown(room);
    let received = match message.from.clone() {
        Some(from) if message.kind == balcony_wire::stanza::MessageKind::Groupchat => Received::room(message, account, &facts(from.bare())),
        _ => Received::direct(message, account),
    };
    let received = received.map_err(|error| Failure::from_error(Class::Usage, &error))?;
    Ok(dialect::read(&received).offers)
}
