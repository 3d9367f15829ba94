//! What all accept loops share.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::error::StartError;
use crate::gate::Gate;

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;

/// Opens a port. `[::]` is all addresses of this machine, those of IPv4 as well.
pub(crate) fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let opened = match open(address) {
        // Without IPv6 in the kernel those of IPv4 are all.
        Err(error) if is_any_v6(address) && is_of_no_family(&error) => open((Ipv4Addr::UNSPECIFIED, address.port()).into()),
        opened => opened,
    };
    opened.map_err(|source| StartError::Listen { address, source })
}

fn open(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let socket = if address.is_ipv6() { TcpSocket::new_v6()? } else { TcpSocket::new_v4()? };
    socket.set_reuseaddr(true)?;
    if is_any_v6(address) {
        // Systems and their settings differ in what it is otherwise.
        rustix::net::sockopt::set_ipv6_v6only(&socket, false)?;
    }
    socket.bind(address)?;
    let listener = socket.listen(BACKLOG)?;
    let bound = listener.local_addr()?;
    Ok((listener, bound))
}

fn is_any_v6(address: SocketAddr) -> bool {
    address.is_ipv6() && address.ip().is_unspecified()
}

fn is_of_no_family(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error())
}

/// Takes connections in until the end, then lets those that are there go on for `grace`; gives how many were cut off. Who does not get
/// through the gate is handed to `turn_away`.
pub(crate) async fn take_in<S: Future<Output = ()> + Send + 'static>(
    listener: TcpListener,
    gate: &Arc<Gate>,
    mut ending: watch::Receiver<bool>,
    grace: Duration,
    serve: impl Fn(TcpStream, IpAddr) -> S,
    turn_away: impl Fn(TcpStream),
) -> usize {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => match gate.enter(peer.ip()) {
                    Some(pass) => {
                        let served = serve(stream, peer.ip());
                        connections.spawn(async move {
                            served.await;
                            drop(pass);
                        });
                    }
                    None => turn_away(stream),
                },
                Err(error) => pause_after(&error).await,
            },
            Some(_) = connections.join_next() => {}
            () = ended(&mut ending) => break,
        }
    }
    drop(listener);
    // What is not over by then is counted below.
    let _ = tokio::time::timeout(grace, async { while connections.join_next().await.is_some() {} }).await;
    connections.len()
}

/// After a failed accept: a connection that was gone already is nothing, a lack of file handles wants a pause.
pub(crate) async fn pause_after(error: &io::Error) {
    if !matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) {
        tracing::warn!(%error, "cannot accept connections for a moment");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Resolves when the server is to end, or its handle is gone.
pub(crate) async fn ended(ending: &mut watch::Receiver<bool>) {
    // An error means that the handle was dropped: the end as well.
    let _ = ending.wait_for(|over| *over).await;
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    #[tokio::test]
    async fn all_addresses_are_those_of_both_families_and_one_is_one() {
        let loopback = [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()];
        for (at, reached) in
            [("[::]:0", [true, true]), ("0.0.0.0:0", [true, false]), ("[::1]:0", [false, true]), ("127.0.0.1:0", [true, false])]
        {
            let (_listener, bound) = listen(at.parse().unwrap()).unwrap();
            assert_ne!(bound.port(), 0);
            for (address, expected) in loopback.into_iter().zip(reached) {
                let came = TcpStream::connect((address, bound.port())).await.is_ok();
                assert_eq!(came, expected, "{address} of {at}");
            }
        }
    }

    #[test]
    fn a_machine_without_ipv6_says_so_by_this_error() {
        let no_family = io::Error::from(rustix::io::Errno::AFNOSUPPORT);
        assert!(is_of_no_family(&no_family) && !is_of_no_family(&io::Error::from(rustix::io::Errno::ADDRINUSE)));
    }
}
