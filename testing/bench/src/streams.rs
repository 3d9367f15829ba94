//! Logins, and messages from one client to another, by the stream machine that Balcony uses.

use std::path::Path;
use std::time::Instant;

use balcony_session::client::{Action, SendError};
use balcony_wire::stanza::{Message, MessageKind};
use balcony_wire::{Jid, Stanza};
use tokio::runtime::Builder;

use crate::Result;
use crate::client::{Client, Site};
use crate::pair::pair;

/// The median of `count` logins, one after the other, in milliseconds.
pub(crate) fn login(count: usize, endpoints: &Path) -> Result<f64> {
    let site = Site::read(endpoints)?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut times = Vec::with_capacity(count);
        for _ in 0..count {
            let started = Instant::now();
            let client = site.login("alice").await?;
            times.push(started.elapsed());
            log_out(client).await?;
        }
        times.sort_unstable();
        times.get(count / 2).map(|median| median.as_secs_f64() * 1e3).ok_or_else(|| "COUNT must not be 0".into())
    })
}

async fn log_out(mut client: Client) -> Result<()> {
    client.stream.close(Instant::now());
    // It ends with `Ended`, which `actions` takes for an error, or with the connection: both are what was asked for.
    while client.actions().await.is_ok() {
        if client.hear().await.is_err() {
            break;
        }
    }
    Ok(())
}

/// Sends `count` messages from alice to bob; how many a second arrived, from the first one sent to the last one read.
pub(crate) fn messages(count: usize, endpoints: &Path) -> Result<f64> {
    let (started, ended) = pair(endpoints, async |site, to| send(site, count, to).await, async move |bob| receive(bob, count).await)?;
    Ok(count as f64 / ended.duration_since(started).as_secs_f64())
}

/// Sends as fast as the server reads; stays until it has acknowledged all. When it began.
async fn send(site: &Site, count: usize, to: &Jid) -> Result<Instant> {
    let mut client = site.login("alice").await?;
    let started = Instant::now();
    let (mut sent, mut acknowledged) = (0, 0);
    while acknowledged < count {
        let burst = count.min(sent + 64);
        while sent < burst {
            let message = Message::new(MessageKind::Chat, Some(to.clone())).with_body(sent.to_string());
            match client.stream.send(Instant::now(), Stanza::Message(message)) {
                Ok(_) => sent += 1,
                Err(SendError::QueueFull) => break,
                Err(error) => return Err(error.into()),
            }
        }
        for action in client.actions().await? {
            if let Action::Acknowledged(stanzas) = action {
                acknowledged += stanzas.len();
            }
        }
        if sent < burst || sent == count {
            if acknowledged < count {
                client.stream.probe(Instant::now());
                client.actions().await?.iter().for_each(|action| {
                    if let Action::Acknowledged(stanzas) = action {
                        acknowledged += stanzas.len();
                    }
                });
                client.hear().await?;
            }
        } else {
            // Whatever came meanwhile; a full pipe on the other side must not stop us from reading.
            tokio::select! {
                biased;
                heard = client.hear() => heard?,
                () = std::future::ready(()) => {}
            }
        }
    }
    log_out(client).await?;
    Ok(started)
}

/// Reads `count` messages and checks their order. When the last one was read.
async fn receive(mut client: Client, count: usize) -> Result<Instant> {
    let mut next = 0;
    loop {
        for action in client.actions().await? {
            if let Action::Stanza(Stanza::Message(message)) = action {
                let body = message.body().unwrap_or_default();
                if body != next.to_string() {
                    return Err(format!("message {next} should have come, `{body}` came").into());
                }
                next += 1;
            }
        }
        if next == count {
            let ended = Instant::now();
            log_out(client).await?;
            return Ok(ended);
        }
        client.hear().await?;
    }
}
