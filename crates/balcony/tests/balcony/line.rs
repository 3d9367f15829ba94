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

#[derive(Debug, Default)]
struct State {
    server: String,
    is_closed: AtomicBool,
    is_deaf: AtomicBool,
    streams: Mutex<Vec<TcpStream>>,
    /// Bytes of clients that are still let through.
    left: Mutex<Option<usize>>,
}

impl Line {
    /// A line to a server's address.
    pub(crate) fn to(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let state = Arc::new(State { server: server.to_owned(), ..State::default() });
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

    /// Lets so many bytes more of what the client says through, then cuts.
    pub(crate) fn cut_after(&self, bytes: usize) {
        *self.state.left.lock().unwrap() = Some(bytes);
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
        let (from_client, to_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        // The state is not kept alive by a connection: the listener ends with the line.
        let (one, other) = (Arc::downgrade(self), Arc::downgrade(self));
        std::thread::spawn(move || pump(from_client, to_server, |read| one.upgrade().map_or(Some(read), |state| state.take(read))));
        std::thread::spawn(move || {
            let is_deaf = || other.upgrade().is_some_and(|state| state.is_deaf.load(Ordering::SeqCst));
            pump(server, client, |read| Some(if is_deaf() { 0 } else { read }));
        });
    }

    /// How many of so many bytes pass; `None` for the last ones.
    fn take(&self, read: usize) -> Option<usize> {
        let mut left = self.left.lock().unwrap();
        match *left {
            Some(bytes) if bytes < read => {
                *left = None;
                None
            }
            Some(bytes) => {
                *left = Some(bytes - read);
                Some(read)
            }
            None => Some(read),
        }
    }
}

/// `pass` says how many of the bytes just read go on; none at all, and the connection ends.
fn pump(mut from: TcpStream, mut to: TcpStream, pass: impl Fn(usize) -> Option<usize>) {
    let mut buffer = [0; 4 << 10];
    while let Ok(read @ 1..) = from.read(&mut buffer)
        && let Some(passes) = pass(read)
        && to.write_all(&buffer[..passes]).is_ok()
    {}
    // The other way may have ended first.
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}

impl Drop for Line {
    fn drop(&mut self) {
        self.close();
        let address = self.address.clone();
        self.state = Arc::default();
        drop(TcpStream::connect(address)); // wakes the listener, which then ends
    }
}
