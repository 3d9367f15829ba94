//! The SOCKS5 port: who comes, what they may do until their stream is activated, and the streams that run.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use balcony_wire::{BareJid, Jid};
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use super::handshake::{self, Answer};
use super::lobby::Call;
use super::pipe::Carrier;
use super::relay::{Terms, relay};
use super::{Activated, Proxy};
use crate::error::StartError;
use crate::gate::Gate;
use crate::listener::{ended, listen, pause_after};
use crate::settings::{ProxySettings, Settings};

/// Bytes that somebody may send before the stream is activated; they are dropped.
const EARLY: usize = 64 * 1024;

/// Streams that were activated and wait to be taken up by the task that carries them.
const HANDED_OVER: usize = 64;

/// The open port, and the service behind it.
#[derive(Debug)]
pub(crate) struct Port {
    listener: TcpListener,
    address: SocketAddr,
    proxy: Arc<Proxy>,
    activated: mpsc::Receiver<Activated>,
}

impl Port {
    /// Opens the port; `None` where there is to be no proxy.
    pub(crate) fn open(settings: &Settings, domain: &BareJid) -> Result<Option<Self>, StartError> {
        let Some(address) = settings.listen.proxy else { return Ok(None) };
        let Ok(jid) = Jid::parse(&format!("proxy.{domain}")) else {
            tracing::warn!("there is no proxy: below an IP address there are no names");
            return Ok(None);
        };
        let (listener, address) = listen(address)?;
        let (carry, activated) = mpsc::channel(HANDED_OVER);
        let proxy = Arc::new(Proxy::new(settings.proxy.clone(), jid, domain.as_str(), address, carry));
        Ok(Some(Self { listener, address, proxy, activated }))
    }

    pub(crate) fn proxy(&self) -> Arc<Proxy> {
        self.proxy.clone()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes clients in and carries their streams until `ending` turns true; streams that run may go on for `grace`.
    pub(crate) async fn serve(self, mut ending: watch::Receiver<bool>, grace: Duration) {
        let Self { listener, proxy, mut activated, .. } = self;
        let gate = Gate::new(proxy.settings.connections, proxy.settings.connections_per_address);
        let (mut guests, mut streams) = (JoinSet::new(), JoinSet::new());
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, peer)) => match gate.enter(peer.ip()) {
                        Some(pass) => {
                            let proxy = proxy.clone();
                            guests.spawn(async move {
                                let _pass = pass;
                                receive(stream, &proxy).await;
                            });
                        }
                        None => tracing::debug!("too many wait for a stream, a connection was turned away"),
                    },
                    Err(error) => pause_after(&error).await,
                },
                Some(stream) = activated.recv() => {
                    streams.spawn(carry(stream, proxy.settings.clone()));
                }
                Some(_) = guests.join_next() => {}
                Some(_) = streams.join_next() => {}
                () = ended(&mut ending) => break,
            }
        }
        drop(listener);
        activated.close();
        guests.shutdown().await;
        let finished = tokio::time::timeout(grace, async { while streams.join_next().await.is_some() {} }).await;
        if finished.is_err() {
            tracing::info!(streams = streams.len(), "streams were cut off at the end");
        }
    }
}

/// One connection until its stream is activated, or until there will be none.
async fn receive(mut stream: TcpStream, proxy: &Proxy) {
    let _ = stream.set_nodelay(true);
    let wish = match tokio::time::timeout(proxy.settings.handshake, handshake::read(&mut stream)).await {
        Ok(Ok(wish)) => wish,
        Ok(Err(error)) => return tracing::debug!(%error, "a SOCKS5 handshake came to nothing"),
        Err(_) => return tracing::debug!("a SOCKS5 handshake took too long"),
    };
    // Seated before the answer: whoever hears it may ask for activation at once.
    let seat = proxy.lobby.sit(wish.address);
    let answer = if seat.is_some() { Answer::Granted } else { Answer::NotAllowed };
    // The first words to a fresh socket: there is room for them.
    if wish.answer(&mut stream, answer).await.is_err() {
        return;
    }
    let Some((_sitting, called)) = seat else { return tracing::debug!("a third connection to one stream was refused") };
    match tokio::time::timeout(proxy.settings.waiting, wait(&mut stream, called)).await {
        // Whoever called may have given up meanwhile: then the connection ends here.
        Ok(Some(call)) => drop(call.send(stream)),
        Ok(None) => tracing::debug!("somebody left before their stream was activated"),
        Err(_) => tracing::debug!("a stream was never activated"),
    }
}

/// Waits for the call; what is sent meanwhile is dropped (§10.1). `None` when the client leaves, or sends more than can be a mistake.
async fn wait(stream: &mut TcpStream, mut called: oneshot::Receiver<Call<TcpStream>>) -> Option<Call<TcpStream>> {
    let mut early = 0;
    let mut buffer = [0; 4096];
    loop {
        tokio::select! {
            biased;
            call = &mut called => {
                let call = call.ok()?;
                return drop_early(stream, &mut buffer, early).then_some(call);
            }
            read = stream.read(&mut buffer) => match read {
                Ok(count) if count > 0 => early += count,
                _ => return None,
            },
        }
        if early > EARLY {
            return None;
        }
    }
}

/// Reads away what has come until now. Asks the kernel itself: the runtime may not have heard of it yet.
fn drop_early(stream: &TcpStream, buffer: &mut [u8], mut early: usize) -> bool {
    loop {
        match rustix::io::read(stream, &mut *buffer) {
            Ok(0) => return false,
            Ok(count) => early += count,
            Err(error) if io::Error::from(error).kind() == io::ErrorKind::WouldBlock => return true,
            Err(_) => return false,
        }
        if early > EARLY {
            return false;
        }
    }
}

async fn carry(stream: Activated, settings: ProxySettings) {
    let Activated { sides: [one, other], mut share, running } = stream;
    let pace = share.pace.clone();
    let terms = Terms { idle: settings.idle, stall: settings.stall, pace: &pace, carrier: Carrier::new };
    tokio::select! {
        (bytes, end) = relay(one, other, terms) => tracing::debug!(bytes, why = %end, "a stream is over"),
        () = ended(&mut share.end) => tracing::debug!("a stream ends with its account"),
    }
    drop((share, running));
}
