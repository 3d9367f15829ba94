//! Alice gives, bob takes, each on a thread of its own.

use std::path::Path;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use balcony_session::client::Action;
use balcony_wire::stanza::{Presence, PresenceKind};
use balcony_wire::{Jid, Stanza};
use tokio::runtime::Builder;

use crate::Result;
use crate::client::{Client, Site};

/// How long bob may take to log in.
const LOGIN: Duration = Duration::from_secs(20);

/// Runs `take` as bob and, once he is there, `give` with the address of his device; what each of them returns.
pub(crate) fn pair<G, T: Send + 'static>(
    endpoints: &Path,
    give: impl AsyncFnOnce(&Site, &Jid) -> Result<G>,
    take: impl AsyncFnOnce(Client) -> Result<T> + Send + 'static,
) -> Result<(G, T)> {
    let (ready, address) = channel();
    let site = Site::read(endpoints)?;
    let taker = std::thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let (bob, jid) = present(&site, "bob").await?;
            ready.send(jid)?;
            take(bob).await
        })
    });
    let Ok(to) = address.recv_timeout(LOGIN) else {
        return Err(match taker.join() {
            Ok(Err(error)) => error,
            _ => "bob could not log in".into(),
        });
    };
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let given = runtime.block_on(give(&Site::read(endpoints)?, &to))?;
    Ok((given, taker.join().map_err(|_| "the receiver broke")??))
}

/// A client that others can reach, and its address.
async fn present(site: &Site, user: &str) -> Result<(Client, Jid)> {
    let mut client = site.login(user).await?;
    client.stream.send(Instant::now(), Stanza::Presence(Presence::new(PresenceKind::Available, None)))?;
    loop {
        // Our own presence comes back: from now on we are there.
        if client.actions().await?.iter().any(|action| matches!(action, Action::Stanza(Stanza::Presence(_)))) {
            let jid = client.stream.jid().ok_or("not bound")?.clone();
            return Ok((client, jid.into()));
        }
        client.hear().await?;
    }
}
