//! Blocks of an in-band stream from one client to another, by the stream machine that Balcony uses: what server, session and framing
//! let through, without a file and without Jingle.

use std::collections::VecDeque;
use std::path::Path;
use std::time::{Duration, Instant};

use balcony_session::client::{Action, Ask};
use balcony_session::iq_table::RequestId;
use balcony_wire::in_band::Data;
use balcony_wire::{IqKind, Jid, Payload as _, Stanza};

use crate::Result;
use crate::client::{Client, Site};
use crate::pair::pair;

/// What everybody uses.
const BLOCK: usize = 4096;
const PATIENCE: Duration = Duration::from_secs(60);

/// Sends `size` bytes from alice to bob with `window` blocks unanswered at most; MB/s from the first block sent to the last answer.
pub(crate) fn blocks(size: usize, window: usize, endpoints: &Path) -> Result<f64> {
    let count = size.div_ceil(BLOCK);
    let (took, ()) = pair(endpoints, async |site, to| send(site, count, window, to).await, async move |bob| receive(bob, count).await)?;
    Ok((count * BLOCK) as f64 / 1e6 / took.as_secs_f64())
}

async fn send(site: &Site, count: usize, window: usize, to: &Jid) -> Result<Duration> {
    let mut client = site.login("alice").await?;
    let started = Instant::now();
    let mut open: VecDeque<RequestId> = VecDeque::with_capacity(window);
    let mut sent = 0;
    while sent < count || !open.is_empty() {
        while sent < count && open.len() < window {
            let data = Data { sid: "bench".to_owned(), seq: (sent % 65_536) as u16, bytes: vec![sent as u8; BLOCK] };
            open.push_back(client.stream.request(Instant::now(), Some(to.clone()), Ask::Set(data.write()), PATIENCE));
            sent += 1;
        }
        let mut answered = false;
        for action in client.actions().await? {
            if let Action::Answer { request, result } = action {
                result?;
                if open.pop_front() != Some(request) {
                    return Err("answers came in another order".into());
                }
                answered = true;
            }
        }
        if !answered {
            client.hear().await?;
        }
    }
    Ok(started.elapsed())
}

/// Takes `count` blocks, and checks that none is missing.
async fn receive(mut client: Client, count: usize) -> Result<()> {
    let mut next = 0;
    loop {
        for action in client.actions().await? {
            let Action::Stanza(Stanza::Iq(iq)) = action else { continue };
            if let IqKind::Set(payload) = &iq.kind {
                let data = Data::read(payload)?;
                if usize::from(data.seq) != next % 65_536 || data.bytes != [next as u8; BLOCK] {
                    return Err(format!("block {next} should have come, {} came", data.seq).into());
                }
                next += 1;
            }
            client.stream.answer(Instant::now(), iq.result(None))?;
        }
        client.actions().await?;
        if next == count {
            return Ok(());
        }
        client.hear().await?;
    }
}
