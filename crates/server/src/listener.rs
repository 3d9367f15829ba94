//! What all accept loops share.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::error::StartError;

/// Opens a port.
pub(crate) async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |source| StartError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
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
