//! Where others come to us: a port on each address that we told them, open as long as one stream is being negotiated. Who does not ask
//! for exactly that stream is turned away; how many may knock at once, how long each may take and how many may be wrong is bounded.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
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
        // Ends with this future.
        let mut knocking = JoinSet::new();
        let mut in_turn: VecDeque<AbortHandle> = VecDeque::new();
        while self.wrong.load(Ordering::Relaxed) < WRONG && !self.visitors.is_closed() {
            let Ok((stream, _)) = listener.accept().await else {
                // Out of files, most likely: it does not get better by asking at once.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            while knocking.try_join_next().is_some() {}
            in_turn.retain(|knock| !knock.is_finished());
            // Who stands there saying nothing makes room: the right one says everything at once.
            if in_turn.len() >= AT_ONCE
                && let Some(oldest) = in_turn.pop_front()
            {
                oldest.abort();
            }
            in_turn.push_back(knocking.spawn(self.clone().answer(stream)));
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

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const DSTADDR: &str = "972b7bf47291ca609517f67f86b5081086052dad";

    async fn open() -> (Listeners, SocketAddr, mpsc::Receiver<Visitor>) {
        let (tell, visitors) = mpsc::channel(32);
        let (listeners, at) = Listeners::open([Ipv4Addr::LOCALHOST.into()], tell).await;
        (listeners, at[0], visitors)
    }

    async fn knock(at: SocketAddr, dstaddr: &str) -> Result<TcpStream, String> {
        let mut stream = TcpStream::connect(at).await.map_err(|error| error.to_string())?;
        socks::ask_for(&mut stream, dstaddr).await.map(|()| stream)
    }

    #[tokio::test]
    async fn only_who_asks_for_the_stream_comes_in_and_nobody_before_it_is_expected() {
        let (listeners, at, mut visitors) = open().await;
        assert!(knock(at, DSTADDR).await.is_err());
        listeners.expect(DSTADDR.to_owned());
        assert!(knock(at, "1a12fb7bc625e55f3ed5b29a53dbe0e4aa7d80ba").await.is_err());
        let mut theirs = knock(at, &DSTADDR.to_uppercase()).await.unwrap();
        let mut visitor = visitors.recv().await.unwrap();
        assert_eq!(visitor.at, at);
        theirs.write_all(b"x").await.unwrap();
        assert_eq!(visitor.stream.read_u8().await.unwrap(), b'x');
        assert!(visitors.try_recv().is_err());
    }

    #[tokio::test]
    async fn silent_sockets_do_not_keep_the_right_one_out() {
        let (listeners, at, mut visitors) = open().await;
        listeners.expect(DSTADDR.to_owned());
        let mut silent = Vec::new();
        for _ in 0..AT_ONCE * 3 {
            silent.push(TcpStream::connect(at).await.unwrap());
        }
        let _theirs = timeout(Duration::from_secs(60), knock(at, DSTADDR)).await.unwrap().unwrap();
        assert!(timeout(Duration::from_secs(60), visitors.recv()).await.unwrap().is_some());
    }

    #[tokio::test]
    async fn after_many_wrong_visitors_the_door_stays_shut() {
        let (listeners, at, _visitors) = open().await;
        listeners.expect(DSTADDR.to_owned());
        let mut refused = false;
        for _ in 0..WRONG + 8 {
            let Ok(mut stream) = TcpStream::connect(at).await else {
                refused = true;
                break;
            };
            let _ = stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await; // it may be shut already
            let _ = stream.read(&mut [0; 8]).await;
        }
        assert!(refused || knock(at, DSTADDR).await.is_err());
    }

    #[tokio::test]
    async fn one_who_comes_again_and_again_gets_a_few_connections_and_dropping_closes_the_port() {
        let (listeners, at, mut visitors) = open().await;
        listeners.expect(DSTADDR.to_owned());
        for _ in 0..RIGHT {
            knock(at, DSTADDR).await.unwrap();
            visitors.recv().await.unwrap();
        }
        let mut surplus = knock(at, DSTADDR).await.unwrap();
        assert_eq!(surplus.read(&mut [0]).await.unwrap_or(0), 0, "closed again");
        assert!(visitors.try_recv().is_err());
        drop(listeners);
        tokio::task::yield_now().await;
        let closed = timeout(Duration::from_secs(60), async {
            while TcpStream::connect(at).await.is_ok() {
                tokio::task::yield_now().await;
            }
        });
        closed.await.unwrap();
    }
}
