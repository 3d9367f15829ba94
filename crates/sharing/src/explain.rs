//! What an element says about files, as data to be printed: the reading, the offers, their plans, and what was ignored.
//!
//! Offline and pure. The shape is that of `testing/corpus/vectors/explain.md`.

mod form;
mod speaker;
mod tree;
mod value;

pub use value::Value;

use std::time::SystemTime;

use balcony_wire::reading::Dropped;
use balcony_wire::stanza::Stanza;
use balcony_wire::{BareJid, Element};

use crate::Offer;
use crate::dialect::{self, Reading};
use crate::plan::{Circumstances, Decision, History, LeftOut, Policy, decide};
use speaker::Speaker;
use value::object;

/// Through whose eyes a stanza is looked at.
#[derive(Clone, Copy, Debug, Default)]
pub struct View<'a> {
    /// The account it came to. Without it the addressee's, and nobody judges who hands us carbons and results of archives.
    pub account: Option<&'a BareJid>,
    /// The archive query that is open. Without it any.
    pub query: Option<&'a str>,
}

/// Explains an element: a message, an iq, or a part of one.
#[must_use]
pub fn explain(element: &Element, view: &View<'_>, policy: &Policy, now: SystemTime) -> Value {
    let mut notes = Vec::new();
    let element = speaker::without_bad_addresses(element.clone(), &mut notes);
    let decided = |reading: &Reading| -> Vec<Decision> {
        let around = Circumstances::at(now);
        reading.offers.iter().map(|offer| decide(offer, policy, &History::default(), &around)).collect()
    };
    match Stanza::read(element.clone()) {
        Ok(Stanza::Message(message)) => {
            let Some(speaker) = Speaker::of(message, view, &mut notes) else { return Value::Null };
            let reading = dialect::read(&speaker.received);
            let form = form::first(&speaker.received.inner().payloads, &mut notes);
            Printed { decisions: &decided(&reading), wrapper: speaker.wrapper, judged: speaker.judged, form, notes, reading: &reading }
                .print()
        }
        _ => {
            let reading = dialect::read::read_element(&element, view.account);
            let form = form::first(std::slice::from_ref(&element), &mut notes);
            Printed { decisions: &decided(&reading), wrapper: None, judged: true, form, notes, reading: &reading }.print()
        }
    }
}

/// The reading and the decision for each of its offers, in the shape of `explain.md`.
#[must_use]
pub fn reading(reading: &Reading, decisions: &[Decision]) -> Value {
    Printed { reading, decisions, wrapper: None, judged: true, form: None, notes: Vec::new() }.print()
}

/// What is printed.
struct Printed<'a> {
    reading: &'a Reading,
    decisions: &'a [Decision],
    wrapper: Option<&'static str>,
    judged: bool,
    form: Option<Value>,
    notes: Vec<Dropped>,
}

impl Printed<'_> {
    fn print(self) -> Value {
        let reading = self.reading;
        let offers = reading.offers.iter().enumerate().map(|(at, offer)| print_offer(offer, self.decisions.get(at), self.judged));
        object([
            ("wrapper", self.wrapper.into()),
            ("shares", Value::list(reading.shares.iter().map(tree::share))),
            ("offers", Value::list(offers)),
            ("attach", reading.attach.as_ref().map(tree::attach).into()),
            ("body", reading.body.as_deref().into()),
            ("shown_body", reading.shown_body.as_deref().into()),
            ("oob", Value::list(reading.oob.iter().map(|url| url.as_str().into()))),
            ("fallback", Value::list(reading.fallback.iter().map(tree::fallback))),
            ("hints", Value::list(reading.hints.iter().map(|hint| (*hint).into()))),
            ("url_data", Value::list(reading.url_data.iter().map(tree::url_data))),
            ("metadata", reading.metadata.as_ref().map(tree::file).into()),
            ("file_input", self.form.into()),
            ("pictures", Value::list(reading.pictures.iter().map(tree::picture))),
            ("media", Value::list(reading.form_media.iter().map(tree::medium))),
            ("ignored", Value::list(self.notes.iter().chain(&reading.ignored).map(print_dropped))),
        ])
    }
}

fn print_dropped(dropped: &Dropped) -> Value {
    object([("what", dropped.what.as_str().into()), ("why", dropped.why.as_str().into())])
}

fn print_offer(offer: &Offer, decision: Option<&Decision>, judged: bool) -> Value {
    let provenance = offer.provenance().to_string();
    let provenance = if Some(offer.provenance().sender()) == dialect::read::nobody().as_ref() {
        "nobody says who sent it".to_owned()
    } else if judged {
        provenance
    } else {
        format!("not judged, as nobody said whose account this is; it says: {provenance}")
    };
    let attempts = decision.and_then(Decision::plan).into_iter().flat_map(|plan| &plan.attempts);
    let attempts = attempts
        .map(|attempt| object([("attempt", attempt.how.to_string().into()), ("exposure", attempt.exposure.kind().as_str().into())]));
    let left_out = decision.map_or(&[][..], Decision::left_out).iter().map(print_left_out);
    object([
        ("share", Value::list(offer.shares().iter().map(|index| (*index).into()))),
        ("file", offer.name().as_str().into()),
        ("via", Value::list(offer.said_in().iter().map(|via| via.as_str().into()))),
        ("provenance", provenance.into()),
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
