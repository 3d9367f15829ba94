//! What to do about an offer with as many places as a long-lived one gathers: 50, of every kind, some of which failed before.

use std::time::{Duration, Instant, SystemTime};

use balcony_sharing::plan::{Circumstances, History, Outcome, Policy, Record, decide};
use balcony_sharing::{Offer, Received, dialect};
use balcony_wire::{BareJid, Element, Jid, Stanza};

use crate::Result;

/// How long one plan takes, in microseconds.
pub(crate) fn measure(count: usize) -> Result<f64> {
    let offer = offer()?;
    if offer.sources().count() != SOURCES {
        return Err(format!("the offer has {} sources", offer.sources().count()).into());
    }
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let failed = offer.sources().take(10).map(|source| Record {
        source: source.key(),
        at: now - Duration::from_secs(30),
        outcome: Outcome::ServerFailed(503),
    });
    let history = History::new(failed.collect());
    let (policy, around) = (Policy::default(), Circumstances::at(now));
    let started = Instant::now();
    for _ in 0..count {
        let decision = decide(&offer, &policy, &history, &around);
        let accounted = decision.plan().map_or(0, |plan| plan.attempts.len()) + decision.left_out().len();
        if accounted < SOURCES {
            return Err(format!("{accounted} sources are in the plan or have a reason").into());
        }
    }
    Ok(started.elapsed().as_secs_f64() * 1e6 / count as f64)
}

const SOURCES: usize = 50;

fn offer() -> Result<Offer> {
    let url = |at: usize| match at {
        0..40 => format!("https://host{}.lit/{at}/summit.jpg", at % 20),
        40..46 => format!("https://upload.montague.lit/{at}/summit.jpg"),
        _ => format!("http://192.168.0.{at}/summit.jpg"),
    };
    let sources: String =
        (0..SOURCES).map(|at| format!("<url-data xmlns='http://jabber.org/protocol/url-data' target='{}'/>", url(at))).collect();
    let xml = format!(
        "<message xmlns='jabber:client' from='romeo@montague.lit/x' to='juliet@capulet.lit' id='m'><file-sharing xmlns='urn:xmpp:sfs:0' id='s'>\
         <file xmlns='urn:xmpp:file:metadata:0'><name>summit.jpg</name><size>3032449</size><media-type>image/jpeg</media-type>\
         <hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>2XarmwTlNxDAMkvymloX3S5+VbylNrJt/l5QyPa+YoU=</hash></file>\
         <sources>{sources}</sources></file-sharing></message>"
    );
    let account: BareJid = Jid::parse("juliet@capulet.lit")?.into_bare()?;
    let Stanza::Message(message) = Stanza::read(Element::parse(&xml)?).map_err(|error| error.to_string())? else {
        return Err("no message".into());
    };
    dialect::read(&Received::direct(message, &account)?).offers.pop().ok_or_else(|| "the message offers nothing".into())
}
