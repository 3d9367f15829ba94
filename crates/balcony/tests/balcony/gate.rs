//! A SOCKS5 proxy that leads every name to this machine, remembers what it was asked for, and holds up files in the middle when told to:
//! whoever is killed then is killed in the middle, however fast the file and however slow the test.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};

use testing_peers::Endpoints;

use crate::actors::Person;

/// The proxy.
#[derive(Debug)]
pub(crate) struct Gate {
    address: String,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    login: Option<(&'static str, &'static str)>,
    asked: Mutex<Vec<(String, u16)>>,
    hold: Mutex<Option<Hold>>,
    opened: Condvar,
}

/// What passes to and from a port until all is held up.
#[derive(Debug)]
struct Hold {
    port: u16,
    left: usize,
}

impl Gate {
    pub(crate) fn start() -> Self {
        Self::with(None)
    }

    /// With `login` it takes nobody without.
    pub(crate) fn with(login: Option<(&'static str, &'static str)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let state = Arc::new(State { login, ..State::default() });
        let all = Arc::clone(&state);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let state = Arc::clone(&all);
                std::thread::spawn(move || state.serve(client));
            }
        });
        Self { address, state }
    }

    /// Where it is, as `--proxy` wants it.
    pub(crate) fn url(&self) -> String {
        format!("socks5://{}", self.address)
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Somebody who has logged in by way of it.
    #[track_caller]
    pub(crate) fn behind(&self, server: &Endpoints, user: &str) -> Person {
        self.behind_at(&server.starttls(), server, user)
    }

    /// The same where the server is reached at another address of this machine.
    #[track_caller]
    pub(crate) fn behind_at(&self, address: &str, server: &Endpoints, user: &str) -> Person {
        let person = Person::new();
        person.login_with(&server.jid(user), server.password(user), address, &server.ca(), &["--proxy", &self.url()]).ok();
        person
    }

    /// What it was asked for so far.
    pub(crate) fn asked(&self) -> Vec<(String, u16)> {
        self.state.asked.lock().unwrap().clone()
    }

    /// Of all files from and to this server together, so many bytes more pass, and the rest waits.
    pub(crate) fn hold_after(&self, bytes: usize, server: &Endpoints) {
        let port = server.get("HTTPS_PORT").parse().unwrap();
        *self.state.hold.lock().unwrap() = Some(Hold { port, left: bytes });
    }

    /// All passes again.
    pub(crate) fn open(&self) {
        *self.state.hold.lock().unwrap() = None;
        self.state.opened.notify_all();
    }
}

impl State {
    fn serve(self: Arc<Self>, mut client: TcpStream) -> Option<()> {
        let (host, port) = self.greet(&mut client)?;
        self.asked.lock().unwrap().push((host, port));
        let server = TcpStream::connect(("127.0.0.1", port)).ok()?;
        client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).ok()?;
        let (from, to) = (client.try_clone().ok()?, server.try_clone().ok()?);
        let state = Arc::clone(&self);
        let up = std::thread::spawn(move || {
            state.pump(port, &from, &to);
            let _ = to.shutdown(Shutdown::Write); // the other side may have ended first
        });
        self.pump(port, &server, &client);
        let _ = client.shutdown(Shutdown::Both);
        up.join().ok()
    }

    /// Whom the client wants.
    fn greet(&self, client: &mut TcpStream) -> Option<(String, u16)> {
        let methods = take(client, 2)?[1];
        let offered = take(client, methods.into())?;
        let method = if self.login.is_some() { 2 } else { 0 };
        client.write_all(&[5, if offered.contains(&method) { method } else { 0xff }]).ok()?;
        if let Some((name, password)) = self.login {
            let length = take(client, 2)?[1];
            let said_name = take(client, length.into())?;
            let length = take(client, 1)?[0];
            let said_password = take(client, length.into())?;
            let right = said_name == name.as_bytes() && said_password == password.as_bytes();
            client.write_all(&[1, u8::from(!right)]).ok().filter(|()| right)?;
        }
        let host = match take(client, 4)?[3] {
            1 => take(client, 4)?.iter().map(u8::to_string).collect::<Vec<_>>().join("."),
            3 => {
                let length = take(client, 1)?[0];
                String::from_utf8(take(client, length.into())?).ok()?
            }
            _ => return None,
        };
        Some((host, u16::from_be_bytes(take(client, 2)?.try_into().ok()?)))
    }

    fn pump(&self, port: u16, mut from: &TcpStream, mut to: &TcpStream) {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            self.wait(port, read);
            if to.write_all(&buffer[..read]).is_err() {
                return;
            }
        }
    }

    /// Returns when so many bytes may pass.
    fn wait(&self, port: u16, bytes: usize) {
        let mut hold = self.hold.lock().unwrap();
        while let Some(held) = hold.as_mut().filter(|held| held.port == port) {
            if held.left >= bytes {
                held.left -= bytes;
                return;
            }
            hold = self.opened.wait(hold).unwrap();
        }
    }
}

fn take(client: &mut TcpStream, count: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; count];
    client.read_exact(&mut bytes).ok().map(|()| bytes)
}
