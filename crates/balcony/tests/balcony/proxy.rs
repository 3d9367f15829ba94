//! Everything of an account by way of one proxy: what is asked of it, and that nothing goes around it.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use crate::actors::{OwnServer, Person, patience, random_bytes};
use crate::process::run;

/// A SOCKS5 proxy that leads every name to this machine, and remembers what it was asked for.
struct Proxy {
    address: String,
    asked: Arc<Mutex<Vec<(String, u16)>>>,
}

impl Proxy {
    /// With `login` it takes nobody without.
    fn start(login: Option<(&'static str, &'static str)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, asked) = (listener.local_addr().unwrap().to_string(), Arc::<Mutex<Vec<_>>>::default());
        let seen = asked.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let seen = seen.clone();
                std::thread::spawn(move || serve(client, login, &seen));
            }
        });
        Self { address, asked }
    }

    fn hosts(&self) -> Vec<String> {
        let mut hosts: Vec<_> = self.asked.lock().unwrap().iter().map(|(host, _)| host.clone()).collect();
        hosts.sort();
        hosts.dedup();
        hosts
    }
}

fn take(client: &mut TcpStream, count: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; count];
    client.read_exact(&mut bytes).ok().map(|()| bytes)
}

fn serve(mut client: TcpStream, login: Option<(&str, &str)>, asked: &Mutex<Vec<(String, u16)>>) -> Option<()> {
    let methods = take(&mut client, 2)?[1];
    let offered = take(&mut client, methods.into())?;
    let method = if login.is_some() { 2 } else { 0 };
    client.write_all(&[5, if offered.contains(&method) { method } else { 0xff }]).ok()?;
    if let Some((name, password)) = login {
        let length = take(&mut client, 2)?[1];
        let said_name = take(&mut client, length.into())?;
        let length = take(&mut client, 1)?[0];
        let said_password = take(&mut client, length.into())?;
        let right = said_name == name.as_bytes() && said_password == password.as_bytes();
        client.write_all(&[1, u8::from(!right)]).ok().filter(|()| right)?;
    }
    let host = match take(&mut client, 4)?[3] {
        1 => take(&mut client, 4)?.iter().map(u8::to_string).collect::<Vec<_>>().join("."),
        3 => {
            let length = take(&mut client, 1)?[0];
            String::from_utf8(take(&mut client, length.into())?).ok()?
        }
        _ => return None,
    };
    let port = u16::from_be_bytes(take(&mut client, 2)?.try_into().ok()?);
    asked.lock().unwrap().push((host, port));
    let server = TcpStream::connect(("127.0.0.1", port)).ok()?;
    client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).ok()?;
    let (mut from, mut to) = (client.try_clone().ok()?, server.try_clone().ok()?);
    let up = std::thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to); // the other side ends it
        let _ = to.shutdown(Shutdown::Write);
    });
    let _ = std::io::copy(&mut &server, &mut &client);
    let _ = client.shutdown(Shutdown::Both);
    up.join().ok()
}

fn login(person: &Person, server: &OwnServer, user: &str, proxy: &[&str]) -> crate::process::Done {
    let endpoints = server.endpoints();
    // Nobody but the proxy knows this name.
    let address = format!("server.invalid:{}", endpoints.get("C2S_PORT"));
    person.login_with(&endpoints.jid(user), endpoints.password(user), &address, &endpoints.ca(), proxy)
}

/// Proves: USER-5-6.
#[test]
fn all_of_an_account_goes_through_its_proxy_names_included_and_nothing_around_it() {
    let (server, proxy) = (OwnServer::start(), Proxy::start(None));
    let (alice, bob) = (Person::new(), Person::new());
    let way = format!("socks5://{}", proxy.address);
    login(&alice, &server, "alice", &["--proxy", &way]).ok();
    login(&bob, &server, "bob", &["--proxy", &way]).ok();
    assert_eq!(proxy.hosts(), ["server.invalid"]);
    let sent = random_bytes(100_000);
    let file = alice.file("a.bin", &sent);
    alice.run(&["send", file.to_str().unwrap(), "--to", &server.endpoints().jid("bob")]).ok();
    bob.run(&["receive", "--yes", "--count", "1", "--timeout", &patience()]).ok();
    assert!(std::fs::read(bob.folder().join("a.bin")).unwrap() == sent);
    assert_eq!(proxy.hosts(), ["localhost", "server.invalid"]);
    let https: u16 = server.endpoints().get("HTTPS_PORT").parse().unwrap();
    let of_web = proxy.asked.lock().unwrap().iter().filter(|(_, port)| *port == https).count();
    assert!(of_web >= 2, "one goes up and one comes down");

    // Without it there is no way, and nobody looks for one.
    let lost = Person::new();
    let closed = { TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap() };
    let done = login(&lost, &server, "carol", &["--proxy", &format!("socks5://{closed}")]);
    assert_ne!(done.code, 0);
    let names = proxy.asked.lock().unwrap().len();
    let mut direct =
        lost.command(&["login", &server.endpoints().jid("carol"), "--server", &server.endpoints().starttls(), "--password-stdin"]);
    direct.arg("--ca").arg(server.endpoints().ca()).args(["--proxy", "none"]);
    run(&mut direct, b"carolpw\n").ok();
    assert_eq!(proxy.asked.lock().unwrap().len(), names, "none is none");
}

#[test]
fn a_proxy_with_a_password_is_no_argument_and_its_refusal_is_said() {
    let (server, proxy) = (OwnServer::start(), Proxy::start(Some(("me", "p@ss"))));
    let alice = Person::new();
    let refused = login(&alice, &server, "alice", &["--proxy", &format!("socks5://me:p%40ss@{}", proxy.address)]).exits(2);
    assert!(refused.err.contains("BALCONY_PROXY") || refused.out.contains("BALCONY_PROXY"));
    let with = |value: &str| {
        let endpoints = server.endpoints();
        let address = format!("server.invalid:{}", endpoints.get("C2S_PORT"));
        let mut command = alice.command(&["login", &endpoints.jid("alice"), "--server", &address, "--password-stdin"]);
        command.arg("--ca").arg(endpoints.ca()).env("BALCONY_PROXY", value);
        run(&mut command, b"alicepw\n")
    };
    let wrong = with(&format!("socks5://me:wrong@{}", proxy.address));
    let said = format!("{}{}", wrong.out, wrong.err);
    assert!(wrong.code != 0 && said.contains("does not take this user name") && !said.contains("wrong@"), "{said}");
    with(&format!("socks5://me:p%40ss@{}", proxy.address)).ok();
    // It is kept with the account, and everything after needs no variable.
    let file = alice.file("b.bin", b"b");
    alice.run(&["send", file.to_str().unwrap(), "--to", &server.endpoints().jid("bob")]).ok();
    assert_eq!(proxy.hosts(), ["localhost", "server.invalid"]);
}
