//! A line between a client and its server that can be cut, closed for a while, or made deaf.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// The line. Dropped, it is cut and stays so.
#[derive(Debug)]
pub(crate) struct Line {
    address: String,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    server: String,
    is_closed: AtomicBool,
    is_deaf: AtomicBool,
    streams: Mutex<Vec<TcpStream>>,
}

impl Line {
    /// A line to a server's address.
    pub(crate) fn to(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let state = Arc::new(State {
            server: server.to_owned(),
            is_closed: AtomicBool::new(false),
            is_deaf: AtomicBool::new(false),
            streams: Mutex::default(),
        });
        let accepting = Arc::clone(&state);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if Arc::strong_count(&accepting) == 1 {
                    return;
                }
                if !accepting.is_closed.load(Ordering::SeqCst) {
                    accepting.join(client);
                }
            }
        });
        Self { address, state }
    }

    /// Where clients connect to.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Ends all connections now; new ones are let through.
    pub(crate) fn cut(&self) {
        self.state.is_deaf.store(false, Ordering::SeqCst);
        for stream in self.state.streams.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both); // it may be gone already
        }
    }

    /// Ends all connections and lets no new ones through.
    pub(crate) fn close(&self) {
        self.state.is_closed.store(true, Ordering::SeqCst);
        self.cut();
    }

    /// Lets new connections through again.
    pub(crate) fn open(&self) {
        self.state.is_closed.store(false, Ordering::SeqCst);
    }

    /// From now on what the server says is swallowed, until the next cut. What the client says arrives.
    pub(crate) fn deafen(&self) {
        self.state.is_deaf.store(true, Ordering::SeqCst);
    }
}

impl State {
    fn join(self: &Arc<Self>, client: TcpStream) {
        let Ok(server) = TcpStream::connect(&self.server) else { return };
        let mut streams = self.streams.lock().unwrap();
        streams.extend([client.try_clone().unwrap(), server.try_clone().unwrap()]);
        let state = Arc::clone(self);
        let (from_client, to_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        std::thread::spawn(move || pump(from_client, to_server, || false));
        // The state is not kept alive by a connection: the listener ends with the line.
        let state = Arc::downgrade(&state);
        std::thread::spawn(move || pump(server, client, move || state.upgrade().is_some_and(|state| state.is_deaf.load(Ordering::SeqCst))));
    }
}

fn pump(mut from: TcpStream, mut to: TcpStream, is_deaf: impl Fn() -> bool) {
    let mut buffer = [0; 16 << 10];
    loop {
        match from.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(_) if is_deaf() => {}
            Ok(read) => {
                if to.write_all(&buffer[..read]).is_err() {
                    break;
                }
            }
        }
    }
    let _ = to.shutdown(Shutdown::Both); // the other way may have ended first
}

impl Drop for Line {
    fn drop(&mut self) {
        self.close();
        let address = self.address.clone();
        self.state = Arc::new(State {
            server: String::new(),
            is_closed: AtomicBool::new(true),
            is_deaf: AtomicBool::new(false),
            streams: Mutex::default(),
        });
        drop(TcpStream::connect(address)); // wakes the listener, which then ends
    }
}
