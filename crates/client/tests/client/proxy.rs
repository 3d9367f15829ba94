//! A way to the server that can be cut.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Passes bytes on until it is cut.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    passing: Arc<Mutex<Vec<JoinHandle<()>>>>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    pub(crate) async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let passing: Arc<Mutex<Vec<JoinHandle<()>>>> = Arc::default();
        let kept = passing.clone();
        let accepting = tokio::spawn(async move {
            loop {
                let (mut client, _) = listener.accept().await.unwrap();
                let task = tokio::spawn(async move {
                    let mut server = TcpStream::connect(server).await.unwrap();
                    // However it ends, both sides are closed.
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                });
                kept.lock().unwrap().push(task);
            }
        });
        Self { address, passing, accepting }
    }

    /// Cuts all connections; new ones are passed on again.
    pub(crate) fn cut(&self) {
        for task in self.passing.lock().unwrap().drain(..) {
            task.abort();
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}
