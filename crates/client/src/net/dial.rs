//! Opens a TCP connection to the first address that answers.
//!
//! RFC 8305 §5 Happy Eyeballs: the families take turns, the next address is tried when the last one failed or after a quarter of a second.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};

use super::NetError;

/// Head start of each address over the next.
const HEAD_START: Duration = Duration::from_millis(250);
/// How long all of it may take.
const DEADLINE: Duration = Duration::from_secs(15);

/// Connects to one of the addresses of `host`. Dropping the future closes what was begun.
pub(crate) async fn dial(host: &str, addresses: Vec<SocketAddr>) -> Result<TcpStream, NetError> {
    let port = addresses.first().map_or(0, SocketAddr::port);
    match timeout(DEADLINE, race(interleave(addresses))).await {
        Ok(Ok(stream)) => {
            // Small stanzas must not wait for each other; a socket that cannot do it is slower, not broken.
            let _ = stream.set_nodelay(true);
            Ok(stream)
        }
        Ok(Err(source)) => Err(NetError::Unreachable { host: host.to_owned(), port, source }),
        Err(_) => Err(NetError::TimedOut { host: host.to_owned() }),
    }
}

async fn race(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut waiting = addresses.into_iter();
    let mut under_way = FuturesUnordered::new();
    let mut last = io::Error::new(io::ErrorKind::NotFound, "there is no address to connect to");
    let mut next_at = Instant::now();
    loop {
        tokio::select! {
            biased;
            Some(done) = under_way.next(), if !under_way.is_empty() => match done {
                Ok(stream) => return Ok(stream),
                Err(error) => {
                    last = error;
                    next_at = Instant::now();
                }
            },
            () = sleep_until(next_at), if waiting.len() > 0 => {
                if let Some(address) = waiting.next() {
                    under_way.push(TcpStream::connect(address));
                }
                next_at = Instant::now() + HEAD_START;
            }
            else => return Err(last),
        }
    }
}

/// IPv6, IPv4, IPv6, …: beginning with the family the system put first.
fn interleave(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (mut preferred, mut other): (Vec<_>, Vec<_>) = addresses.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
    let mut ordered = Vec::with_capacity(preferred.len() + other.len());
    while !preferred.is_empty() || !other.is_empty() {
        for family in [&mut preferred, &mut other] {
            if !family.is_empty() {
                ordered.push(family.remove(0));
            }
        }
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn families_take_turns() {
        let parse = |text: &str| text.parse::<SocketAddr>().expect("address");
        let mixed = ["[::1]:1", "[::2]:1", "10.0.0.1:1", "[::3]:1"].map(parse).to_vec();
        let ordered = ["[::1]:1", "10.0.0.1:1", "[::2]:1", "[::3]:1"].map(parse).to_vec();
        assert_eq!(interleave(mixed), ordered);
    }

    #[tokio::test]
    async fn goes_on_to_the_next_address_when_one_refuses() {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("port");
        let open = listener.local_addr().expect("address");
        let closed = {
            let other = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("port");
            other.local_addr().expect("address")
        };
        let stream = dial("localhost", vec![closed, open]).await.expect("connects");
        assert_eq!(stream.peer_addr().expect("peer"), open);
        let refused = dial("localhost", vec![closed]).await.expect_err("nobody listens");
        assert!(matches!(refused, NetError::Unreachable { .. }), "{refused}");
    }
}
