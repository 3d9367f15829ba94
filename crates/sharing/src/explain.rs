//! What an element says about files, as data to be printed: the reading, the offers, their plans, and what was ignored.
//!
//! Offline and pure. The shape is that of `testing/corpus/vectors/explain.md`.

mod tree;
mod value;

pub use value::Value;

use std::time::SystemTime;

use balcony_wire::reading::Dropped;
use balcony_wire::stanza::{MessageKind, Stanza};
use balcony_wire::{BareJid, Element, Jid, Message, Payload as _, ns};

use crate::dialect::{self, Reading};
use crate::plan::{Circumstances, Decision, History, LeftOut, Policy, decide};
use crate::{Offer, Received};
use value::object;

/// Explains an element: a message, an iq, or a part of one. `account` is whose view it is; without it the addressee's.
#[must_use]
pub fn explain(element: &Element, account: Option<&BareJid>, policy: &Policy, now: SystemTime) -> Value {
    let stanza = Stanza::read(element.clone());
    match stanza {
        Ok(Stanza::Message(message)) => explain_message(message, account, policy, now),
        _ => {
            let sender = element.attr("from").and_then(|from| Jid::from_server(from).ok()).or_else(nobody).into_iter();
            let reading = sender.map(|sender| tree::read(element, &sender)).next().unwrap_or_default();
            print(&reading, None, file_input(element), &[])
        }
    }
}

/// The reading and the decision for each of its offers, in the shape of `explain.md`.
#[must_use]
pub fn reading(reading: &Reading, decisions: &[Decision]) -> Value {
    print(reading, None, None, decisions)
}

fn explain_message(message: Message, account: Option<&BareJid>, policy: &Policy, now: SystemTime) -> Value {
    let addressee = message.to.as_ref().map(|to| to.bare());
    let Some(account) = account.cloned().or(addressee).or_else(|| nobody().map(|jid| jid.bare())) else { return Value::Null };
    let form = message.payloads.iter().find_map(file_input);
    let (received, wrapper, refused) = unwrapped(message, &account);
    let Some(received) = received else { return Value::Null };
    let mut reading = dialect::read(&received);
    reading.ignored.extend(refused);
    let decisions: Vec<Decision> =
        reading.offers.iter().map(|offer| decide(offer, policy, &History::default(), &Circumstances::at(now))).collect();
    print(&reading, wrapper, form, &decisions)
}

/// The message that speaks: the one inside a copy of our own account, else the one that came.
fn unwrapped(message: Message, account: &BareJid) -> (Option<Received<Message>>, Option<&'static str>, Option<Dropped>) {
    let refused = match Received::carbon(&message, account) {
        Ok(received) => {
            let wrapper = received.provenance().way().as_str();
            return (Some(received), Some(wrapper), None);
        }
        Err(crate::ProvenanceError::NoCopy) => None,
        Err(error) => Some(Dropped::new("carbon", error.to_string())),
    };
    let received = match message.kind {
        MessageKind::Groupchat => Received::room(message, account),
        _ => Received::direct(message, account),
    };
    (received.ok(), None, refused)
}

/// Stands in where nobody is named.
fn nobody() -> Option<Jid> {
    Jid::parse("nobody.invalid").ok()
}

fn print(reading: &Reading, wrapper: Option<&str>, file_input: Option<Value>, decisions: &[Decision]) -> Value {
    object([
        ("wrapper", wrapper.into()),
        ("shares", Value::list(reading.shares.iter().map(tree::share))),
        ("offers", Value::list(reading.offers.iter().enumerate().map(|(at, offer)| print_offer(offer, decisions.get(at))))),
        ("attach", reading.attach.as_ref().map(tree::attach).into()),
        ("body", reading.body.as_deref().into()),
        ("shown_body", reading.shown_body.as_deref().into()),
        ("oob", Value::list(reading.oob.iter().map(|url| url.as_str().into()))),
        ("fallback", Value::list(reading.fallback.iter().map(tree::fallback))),
        ("hints", Value::list(reading.hints.iter().map(|hint| (*hint).into()))),
        ("url_data", Value::list(reading.url_data.iter().map(tree::url_data))),
        ("metadata", reading.metadata.as_ref().map(tree::file).into()),
        ("file_input", file_input.into()),
        ("ignored", Value::list(reading.ignored.iter().map(print_dropped))),
    ])
}

fn print_dropped(dropped: &Dropped) -> Value {
    object([("what", dropped.what.as_str().into()), ("why", dropped.why.as_str().into())])
}

fn print_offer(offer: &Offer, decision: Option<&Decision>) -> Value {
    let attempts = decision.and_then(Decision::plan).into_iter().flat_map(|plan| &plan.attempts);
    let attempts = attempts
        .map(|attempt| object([("attempt", attempt.how.to_string().into()), ("exposure", attempt.exposure.kind().as_str().into())]));
    let left_out = decision.map_or(&[][..], Decision::left_out).iter().map(print_left_out);
    object([
        ("share", Value::list(offer.shares().iter().map(|index| (*index).into()))),
        ("file", offer.name().as_str().into()),
        ("via", Value::list(offer.said_in().iter().map(|via| via.as_str().into()))),
        ("provenance", offer.provenance().to_string().as_str().into()),
        ("proof", offer.proof().as_str().into()),
        ("decision", decision.map(Decision::as_str).into()),
        ("words", decision.map(ToString::to_string).as_deref().into()),
        ("plan", Value::list(attempts)),
        ("left_out", Value::list(left_out)),
    ])
}

fn print_left_out(left_out: &LeftOut) -> Value {
    object([
        ("source", left_out.what.as_str().into()),
        ("reason", left_out.reason.to_string().as_str().into()),
        ("code", left_out.reason.code().into()),
    ])
}

/// The first `file-input` in an element, with what it asks for.
fn file_input(element: &Element) -> Option<Value> {
    use balcony_wire::file_input::FileInput;
    let input = tree::find(element, &|element| element.is("file-input", ns::FILE_INPUT))?;
    let input = FileInput::read(input).ok()?;
    Some(object([
        ("multiple", input.multiple.into()),
        ("accept", Value::list(input.accept.iter().map(|accept| accept.as_str().into()))),
        ("use", Value::list(input.uses.iter().map(|jid| jid.as_str().into()))),
    ]))
}
