//! `balcony policy`: shows and changes the rules by which files are fetched, asked about or left alone. Offline.

use std::fs;
use std::path::Path;

use balcony_client::{Fetcher, Policy, Rule, RuleError, Wish};
use balcony_sharing::plan::RoomKind;
use balcony_sharing::{Received, dialect};
use balcony_wire::{BareJid, Element, Stanza};
use serde_json::json;

use super::{offers, why};
use crate::cli::{self, PolicyAction, RoomArg};
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
    let mut policy = fetcher.policy();
    match args.action.as_ref().unwrap_or(&PolicyAction::Show) {
        PolicyAction::Show => {
            show(console, &policy);
            return Ok(());
        }
        PolicyAction::Test(test) => return self::test(console, home, named, &fetcher, &account, test).await,
        PolicyAction::Add { rule, at } => add(console, &mut policy, rule, *at)?,
        PolicyAction::Remove { number } => {
            let removed = policy.remove(place(*number, &policy)?).ok_or_else(|| unknown(*number, &policy))?;
            console.step(
                "removed",
                json!({"number": number, "rule": removed.to_string()}),
                format!("removed: {}", Safe(&removed.to_string())),
            );
        }
        PolicyAction::Move { number, to } => {
            let (from, to) = (place(*number, &policy)?, place(*to, &policy)?);
            let rule = policy.remove(from).ok_or_else(|| unknown(*number, &policy))?;
            let _ = policy.insert(to, rule); // there is room: one was just taken out
        }
        PolicyAction::Reset => policy = Policy::default(),
    }
    fetcher.set_policy(&account, policy.clone()).await.map_err(|error| Failure::from_error(Class::Local, &error))?;
    show(console, &policy);
    Ok(())
}

/// Every rule with its number, as written and in a sentence.
fn show(console: &Console, policy: &Policy) {
    for (at, rule) in policy.rules().iter().enumerate() {
        let (number, text, words) = (at + 1, rule.to_string(), rule.words());
        let fields = json!({"number": number, "rule": text, "verdict": rule.verdict.as_str(), "words": words});
        console.result("rule", fields, format!("{number:>3}. {}\n     {}", Safe(&text), Safe(&words)));
    }
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

fn add(console: &Console, policy: &mut Policy, words: &[String], at: Option<usize>) -> Result<(), Failure> {
    let text = joined(words);
    let rule: Rule =
        text.parse().map_err(|error| misread(console, &text, &error, "`balcony policy add --help` shows rules to begin with"))?;
    let at = at.map_or(0, |at| at.saturating_sub(1));
    if !policy.insert(at, rule) {
        return Err(Failure::new(Class::Usage, "there are too many rules already").advise("remove one with `balcony policy remove N`"));
    }
    Ok(())
}

/// What the shell took apart, as one line again: the name of a group is one word, whatever is in it.
pub(super) fn joined(words: &[String]) -> String {
    let quoted = |at: usize| {
        let names_a_group = at > 0 && words[at - 1].eq_ignore_ascii_case("group");
        match words[at].contains(char::is_whitespace) && names_a_group {
            true => format!("\"{}\"", words[at].replace('\\', "\\\\").replace('"', "\\\"")),
            false => words[at].clone(),
        }
    };
    (0..words.len()).map(quoted).collect::<Vec<_>>().join(" ")
}

/// Shows the rule with a mark where it cannot be understood.
pub(super) fn misread(console: &Console, text: &str, error: &RuleError, advice: &str) -> Failure {
    let fields = json!({"rule": text, "column": error.column, "near": error.near, "problem": error.problem});
    let mark = format!("{:>width$}", "^", width = error.column);
    console.step("misread", fields, format!("  {}\n  {mark}", Safe(text)));
    Failure::new(
        Class::Usage,
        format!("the rule cannot be understood at \"{}\" (character {}): {}", error.near, error.column, error.problem),
    )
    .advise(advice)
}

fn place(number: usize, policy: &Policy) -> Result<usize, Failure> {
    let is_there = number >= 1 && number <= policy.rules().len();
    if is_there { Ok(number - 1) } else { Err(unknown(number, policy)) }
}

fn unknown(number: usize, policy: &Policy) -> Failure {
    let count = policy.rules().len();
    let rules = if count == 1 { "is one rule" } else { "are rules" };
    let up_to = if count == 1 { String::new() } else { format!(", 1 to {count}") };
    Failure::new(Class::Usage, format!("there is no rule {number}: there {rules}{up_to}"))
        .advise("`balcony policy` shows them with their numbers")
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
