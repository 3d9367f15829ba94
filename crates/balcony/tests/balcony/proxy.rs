//! Everything of an account by way of one proxy: what is asked of it, and that nothing goes around it.

use std::net::TcpListener;

use crate::actors::{OwnServer, Person, patience, random_bytes};
use crate::gate::Gate;
use crate::process::run;

fn hosts(gate: &Gate) -> Vec<String> {
    let mut hosts: Vec<_> = gate.asked().into_iter().map(|(host, _)| host).collect();
    hosts.sort();
    hosts.dedup();
    hosts
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
    let (server, proxy) = (OwnServer::start(), Gate::start());
    let (alice, bob) = (Person::new(), Person::new());
    let way = proxy.url();
    login(&alice, &server, "alice", &["--proxy", &way]).ok();
    login(&bob, &server, "bob", &["--proxy", &way]).ok();
    assert_eq!(hosts(&proxy), ["server.invalid"]);
    let sent = random_bytes(100_000);
    let file = alice.file("a.bin", &sent);
    alice.run(&["send", file.to_str().unwrap(), "--to", &server.endpoints().jid("bob")]).ok();
    bob.run(&["receive", "--yes", "--count", "1", "--timeout", &patience()]).ok();
    assert!(std::fs::read(bob.folder().join("a.bin")).unwrap() == sent);
    assert_eq!(hosts(&proxy), ["localhost", "server.invalid"]);
    let https: u16 = server.endpoints().get("HTTPS_PORT").parse().unwrap();
    let of_web = proxy.asked().iter().filter(|(_, port)| *port == https).count();
    assert!(of_web >= 2, "one goes up and one comes down");

    // Without it there is no way, and nobody looks for one.
    let lost = Person::new();
    let closed = { TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap() };
    let done = login(&lost, &server, "carol", &["--proxy", &format!("socks5://{closed}")]);
    assert_ne!(done.code, 0);
    let names = proxy.asked().len();
    let mut direct =
        lost.command(&["login", &server.endpoints().jid("carol"), "--server", &server.endpoints().starttls(), "--password-stdin"]);
    direct.arg("--ca").arg(server.endpoints().ca()).args(["--proxy", "none"]);
    run(&mut direct, b"carolpw\n").ok();
    assert_eq!(proxy.asked().len(), names, "none is none");
}

#[test]
fn a_proxy_with_a_password_is_no_argument_and_its_refusal_is_said() {
    let (server, proxy) = (OwnServer::start(), Gate::with(Some(("me", "p@ss"))));
    let alice = Person::new();
    let refused = login(&alice, &server, "alice", &["--proxy", &format!("socks5://me:p%40ss@{}", proxy.address())]).exits(2);
    assert!(refused.err.contains("BALCONY_PROXY") || refused.out.contains("BALCONY_PROXY"));
    let with = |value: &str| {
        let endpoints = server.endpoints();
        let address = format!("server.invalid:{}", endpoints.get("C2S_PORT"));
        let mut command = alice.command(&["login", &endpoints.jid("alice"), "--server", &address, "--password-stdin"]);
        command.arg("--ca").arg(endpoints.ca()).env("BALCONY_PROXY", value);
        run(&mut command, b"alicepw\n")
    };
    let wrong = with(&format!("socks5://me:wrong@{}", proxy.address()));
    let said = format!("{}{}", wrong.out, wrong.err);
    assert!(wrong.code != 0 && said.contains("does not take this user name") && !said.contains("wrong@"), "{said}");
    with(&format!("socks5://me:p%40ss@{}", proxy.address())).ok();
    // It is kept with the account, and everything after needs no variable.
    let file = alice.file("b.bin", b"b");
    alice.run(&["send", file.to_str().unwrap(), "--to", &server.endpoints().jid("bob")]).ok();
    assert_eq!(hosts(&proxy), ["localhost", "server.invalid"]);
}
