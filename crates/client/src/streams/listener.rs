//! Where others come to us: a port on each address that we told them, open as long as one stream is being negotiated. Who does not ask
//! for exactly that stream is turned away; how many may knock at once, how long each may take and how many may be wrong is bounded.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::socks;

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(8);
/// Handshakes at once, on one address.
const AT_ONCE: usize = 32;
/// Wrong visitors on one address, after which nobody is let in any more.
const WRONG: usize = 256;
/// Right visitors on one address: a peer needs one.
const RIGHT: usize = 4;

/// Somebody who asked for the stream.
#[derive(Debug)]
pub(super) struct Visitor {
    /// Where they came to.
    pub(super) at: SocketAddr,
    pub(super) stream: TcpStream,
}

/// Ports that are open. Dropping it closes them, and ends what knocks.
#[derive(Debug)]
pub(super) struct Listeners {
    expected: Arc<OnceLock<String>>,
    tasks: JoinSet<()>,
}

impl Listeners {
    /// Opens a port on each of the addresses where that can be done; tells which. Visitors are turned away before [`Listeners::expect`].
    pub(super) async fn open(addresses: impl IntoIterator<Item = IpAddr>, visitors: mpsc::Sender<Visitor>) -> (Self, Vec<SocketAddr>) {
        let mut listeners = Self { expected: Arc::default(), tasks: JoinSet::new() };
        let mut open = Vec::new();
        for address in addresses {
            // An address that went meanwhile is none of ours any more.
            let Ok(listener) = TcpListener::bind((address, 0)).await else { continue };
            let Ok(at) = listener.local_addr() else { continue };
            open.push(at);
            let door = Door {
                at,
                expected: Arc::clone(&listeners.expected),
                visitors: visitors.clone(),
                right: Arc::default(),
                wrong: Arc::default(),
            };
            listeners.tasks.spawn(door.keep(listener));
        }
        (listeners, open)
    }

    /// Visitors are to ask for this from now on.
    pub(super) fn expect(&self, dstaddr: String) {
        // Said again, it is the same: one stream has one address.
        let _ = self.expected.set(dstaddr);
    }
}

/// What everybody who knocks at one address shares.
#[derive(Clone)]
struct Door {
    at: SocketAddr,
    expected: Arc<OnceLock<String>>,
    visitors: mpsc::Sender<Visitor>,
    right: Arc<AtomicUsize>,
    wrong: Arc<AtomicUsize>,
}

impl Door {
    async fn keep(self, listener: TcpListener) {
        let places = Arc::new(Semaphore::new(AT_ONCE));
        // Ends with this future.
        let mut knocking = JoinSet::new();
        while self.wrong.load(Ordering::Relaxed) < WRONG && !self.visitors.is_closed() {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            let Ok((stream, _)) = listener.accept().await else {
                // Out of files, most likely: it does not get better by asking at once.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let door = self.clone();
            knocking.spawn(async move {
                door.answer(stream).await;
                drop(place);
            });
            while knocking.try_join_next().is_some() {}
        }
        while knocking.join_next().await.is_some() {}
    }

    async fn answer(self, mut stream: TcpStream) {
        let is_expected = |asked: &str| self.expected.get().is_some_and(|expected| asked.eq_ignore_ascii_case(expected));
        let is_right = matches!(timeout(HANDSHAKE, socks::hear(&mut stream, is_expected)).await, Ok(Ok(())));
        if !is_right {
            self.wrong.fetch_add(1, Ordering::Relaxed);
        } else if self.right.fetch_add(1, Ordering::Relaxed) < RIGHT {
            // Small answers must not wait; a socket that cannot do it is slower, not broken.
            let _ = stream.set_nodelay(true);
            let _ = self.visitors.send(Visitor { at: self.at, stream }).await; // nobody waits any more
        }
    }
}
