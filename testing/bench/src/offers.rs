//! From the bytes of a message to what it offers: framing, typed elements, who said it, all copies folded into one offer.

use std::time::Instant;

use balcony_sharing::{Received, dialect};
use balcony_wire::framing::{Frame, Framing, Limits};
use balcony_wire::{BareJid, Jid, Stanza};

use crate::Result;

/// SFS and SIMS, out-of-band data, body and fallback, as Balcony and others write them in one message: 2.7 KB.
const MESSAGE: &str = include_str!("message.xml");
const HEADER: &str = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0' id='1'>";

/// How many such messages are understood in a second, by one thread.
pub(crate) fn measure(count: usize) -> Result<f64> {
    let account: BareJid = Jid::parse("juliet@shakespeare.lit")?.into_bare()?;
    let mut framing = Framing::new(Limits::AFTER_LOGIN);
    framing.push(HEADER.as_bytes());
    framing.next_frame()?;
    let started = Instant::now();
    for _ in 0..count {
        framing.push(MESSAGE.as_bytes());
        let reading = loop {
            match framing.next_frame()? {
                Some(Frame::Element(element)) => match Stanza::read(element).map_err(|error| format!("{error:?}"))? {
                    Stanza::Message(message) => break dialect::read(&Received::direct(message, &account)?),
                    _ => return Err("the message is none".into()),
                },
                Some(_) => {}
                None => return Err("the message is not whole".into()),
            }
        };
        if reading.offers.len() != 1 || reading.shares.len() != 2 || reading.shown_body.is_some() {
            return Err(format!("the message was misunderstood: {reading:?}").into());
        }
    }
    Ok(count as f64 / started.elapsed().as_secs_f64())
}
