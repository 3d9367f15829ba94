//! Logins, and messages from one client to another, by the stream machine that Balcony uses.

use std::path::Path;
use std::time::{Duration, Instant};

use balcony_session::client::{Action, SendError};
use balcony_wire::stanza::{Message, MessageKind, Presence, PresenceKind};
use balcony_wire::{Jid, Stanza};
use tokio::runtime::Builder;

use crate::Result;
use crate::client::{Client, Site};

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
    let (ready, address) = std::sync::mpsc::channel();
    let path = endpoints.to_owned();
    let receiver = std::thread::spawn(move || -> Result<Instant> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(receive(&Site::read(&path)?, count, &ready))
    });
    let Ok(to) = address.recv_timeout(Duration::from_secs(20)) else {
        return Err(match receiver.join() {
            Ok(Err(error)) => error,
            _ => "bob could not log in".into(),
        });
    };
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let site = Site::read(endpoints)?;
    let started = runtime.block_on(send(&site, count, &to))?;
    let ended = receiver.join().map_err(|_| "the receiver broke")??;
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
async fn receive(site: &Site, count: usize, ready: &std::sync::mpsc::Sender<Jid>) -> Result<Instant> {
    let mut client = site.login("bob").await?;
    client.stream.send(Instant::now(), Stanza::Presence(Presence::new(PresenceKind::Available, None)))?;
    let mut next = 0;
    let mut told = false;
    loop {
        for action in client.actions().await? {
            match action {
                // Our own presence comes back: from now on we are there.
                Action::Stanza(Stanza::Presence(_)) if !told => {
                    told = true;
                    let jid = client.stream.jid().ok_or("not bound")?.clone();
                    ready.send(jid.into())?;
                }
                Action::Stanza(Stanza::Message(message)) => {
                    let body = message.body().unwrap_or_default();
                    if body != next.to_string() {
                        return Err(format!("message {next} should have come, `{body}` came").into());
                    }
                    next += 1;
                }
                _ => {}
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
