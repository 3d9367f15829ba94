//! A way to the server that can be cut.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Passes bytes on until it is cut.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    passing: Arc<Mutex<Vec<JoinHandle<()>>>>,
    accepting: JoinHandle<()>,
    /// Whether new connections are passed on.
    open: watch::Sender<bool>,
}

impl Proxy {
    pub(crate) async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let passing: Arc<Mutex<Vec<JoinHandle<()>>>> = Arc::default();
        let kept = passing.clone();
        let (open, is_open) = watch::channel(true);
        let accepting = tokio::spawn(async move {
            loop {
                let (mut client, _) = listener.accept().await.unwrap();
                let mut is_open = is_open.clone();
                let task = tokio::spawn(async move {
                    if is_open.wait_for(|open| *open).await.is_err() {
                        return; // the test is over
                    }
                    let mut server = TcpStream::connect(server).await.unwrap();
                    // However it ends, both sides are closed.
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                });
                kept.lock().unwrap().push(task);
            }
        });
        Self { address, passing, accepting, open }
    }

    /// Cuts all connections; new ones wait at the door.
    pub(crate) fn hold(&self) {
        self.open.send_replace(false);
        self.cut();
    }

    /// Passes on who waits at the door.
    pub(crate) fn pass(&self) {
        self.open.send_replace(true);
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
