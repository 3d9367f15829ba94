//! How fast the machines are: logins and small messages through both, on one core, without sockets and TLS.
//!
//! `cargo run --release -p balcony-session --example pace`
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "a measurement reads the clock")]

use std::sync::Arc;
use std::time::Instant;

use balcony_session::client::{self, ClientConfig, ClientStream, Credentials};
use balcony_session::scram::FakeSalts;
use balcony_session::server::{self, Bound, ServerConfig, ServerStream};
use balcony_session::{ChannelBindings, ScramHash, Security, StoredKeys};
use balcony_wire::{Message, MessageKind, Stanza};

const LOGINS: u32 = 200;
const BATCHES: u32 = 2_000;
const BATCH: u32 = 50;

fn main() {
    let stored = StoredKeys::derive(ScramHash::Sha512, "secret", b"0123456789abcdef", 4096).unwrap();
    let mut config = ServerConfig::new("capulet.example".parse().unwrap(), FakeSalts::new([0; 32], 4096));
    config.security = Security::DirectTls;
    let config = Arc::new(config);
    let begin = Instant::now();
    let mut pair = None;
    for number in 0..LOGINS {
        pair = Some(log_in(&config, &stored, number as u8));
    }
    println!("login, both sides, 4096 iterations: {:.2} ms", begin.elapsed().as_secs_f64() * 1000.0 / f64::from(LOGINS));
    let Some((mut client, mut server)) = pair else { return };
    let message =
        Message::new(MessageKind::Chat, Some("juliet@capulet.example/balcony".parse().unwrap())).with_body("I hear some noise within");
    let (mut arrived, mut relayed) = (0, 0);
    let begin = Instant::now();
    for _ in 0..BATCHES {
        for _ in 0..BATCH {
            client.send(begin, Stanza::Message(message.clone())).unwrap();
        }
        while arrived < BATCH {
            step(&mut client, &mut server, &stored, &mut |stanza, server| {
                arrived += 1;
                relayed += 1;
                server.send(begin, stanza).unwrap();
            });
        }
        while step(&mut client, &mut server, &stored, &mut |_, _| {}) {}
        arrived = 0;
    }
    let micros = begin.elapsed().as_secs_f64() * 1e6 / f64::from(relayed);
    println!("a message client → server → client, acknowledged both ways: {micros:.1} µs ({relayed} messages)");
    println!("of that the server's half: about {:.1} µs", micros / 2.0);
}

fn log_in(config: &Arc<ServerConfig>, stored: &StoredKeys, number: u8) -> (ClientStream, ServerStream) {
    let now = Instant::now();
    let mut settings = ClientConfig::new("romeo@capulet.example".parse().unwrap(), Credentials::Password("secret".to_owned()));
    settings.security = Security::DirectTls;
    let (mut client, mut server) = (ClientStream::new(settings, [number; 32], now), ServerStream::new(config.clone(), [number; 32], now));
    let bindings = ChannelBindings { exporter: Some(vec![1; 32]), server_end_point: None };
    client.handle_tls(now, bindings.clone());
    server.handle_tls(now, bindings);
    while step(&mut client, &mut server, stored, &mut |_, _| {}) {}
    (client, server)
}

/// Drains both once; says whether anything happened.
fn step(client: &mut ClientStream, server: &mut ServerStream, stored: &StoredKeys, got: &mut dyn FnMut(Stanza, &mut ServerStream)) -> bool {
    let now = Instant::now();
    let mut busy = false;
    while let Some(action) = client.poll_action() {
        busy = true;
        if let client::Action::Write(bytes) = action {
            server.handle_bytes(now, &bytes);
        }
    }
    while let Some(action) = server.poll_action() {
        busy = true;
        match action {
            server::Action::Write(bytes) => client.handle_bytes(now, &bytes),
            server::Action::LookUp { .. } => server.handle_credentials(now, Some(stored.clone())),
            server::Action::Bind(request) => {
                let jid = request.account.with_resource("orchard").unwrap();
                server.handle_bound(now, Ok(Bound { jid, answers: Vec::new() }));
            }
            server::Action::Stanza(stanza) => got(stanza, server),
            _ => {}
        }
    }
    busy
}
