//! XEP-0065 SOCKS5 bytestreams, v1.8.2 <https://xmpp.org/extensions/xep-0065.html>
//! Status: partial: TCP; the optional UDP mode is not built.
//!
//! The service `proxy.DOMAIN`: carries a stream between two clients that cannot reach each other. Both connect to it with SOCKS5
//! ([`handshake`]) and wait ([`lobby`]) until the one that asked for the stream, a user of this server, has it activated over XMPP
//! ([`service`]); then bytes go in both directions ([`relay`], [`pipe`]). Nothing that is carried is looked at or kept.
//!
//! Anybody may connect, so what connections cost before activation is bounded in number, time and bytes ([`port`]), and what streams
//! cost after it is bounded for each account ([`shares`]).

mod handshake;
mod lobby;
mod pipe;
mod port;
mod relay;
mod service;
mod shares;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use balcony_wire::Jid;
use sha1::{Digest as _, Sha1};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};

use self::handshake::Address;
use self::lobby::{Lobby, NotBoth, Running};
pub(crate) use self::port::Port;
pub(crate) use self::service::Relays;
use self::shares::{Share, Shares};
use crate::certificates::ascii;
use crate::refusal::Reason;
use crate::settings::{ProxySettings, ProxyUsers};

/// The service, both sides of it.
#[derive(Debug)]
pub(crate) struct Proxy {
    settings: ProxySettings,
    jid: Jid,
    /// What clients are told to connect to.
    host: String,
    port: u16,
    lobby: Arc<Lobby<TcpStream>>,
    shares: Arc<Shares>,
    carry: mpsc::Sender<Activated>,
}

/// A stream with both its ends.
#[derive(Debug)]
struct Activated {
    sides: [TcpStream; 2],
    share: Share,
    running: Running<TcpStream>,
}

impl Proxy {
    /// The service behind a port that is open at `listening`; what is activated goes to `carry`.
    fn new(settings: ProxySettings, jid: Jid, domain: &str, listening: SocketAddr, carry: mpsc::Sender<Activated>) -> Self {
        Self {
            jid,
            host: settings.public_host.as_deref().map_or_else(|| public_host(domain, listening), |host| bare(host).to_owned()),
            port: settings.public_port.unwrap_or(listening.port()),
            lobby: Arc::default(),
            shares: Shares::new(&settings),
            carry,
            settings,
        }
    }

    /// Its address in XMPP.
    pub(crate) fn jid(&self) -> &Jid {
        &self.jid
    }

    /// Ends all streams of an account.
    pub(crate) fn end_streams_of(&self, account: &str) {
        self.shares.end(account);
    }

    /// Whether an account of this server may have streams carried.
    fn serves(&self, account: &str) -> bool {
        match &self.settings.users {
            ProxyUsers::Everybody => true,
            ProxyUsers::Only(accounts) => accounts.iter().any(|name| name == account),
        }
    }

    /// Whether two wait, or one, at an address that somebody else has the right to.
    fn is_known(&self, address: Address) -> bool {
        self.lobby.is_known(address)
    }

    /// Brings both sides together. When it returns without a refusal, what either of them sends reaches the other one.
    async fn activate(&self, account: &str, address: Address) -> Result<(), Reason> {
        let share = self.shares.take(Instant::now(), account)?;
        let (running, [first, second]) = match self.lobby.call(address) {
            Ok(called) => called,
            Err(NotBoth::Nobody) => return Err(Reason::NoSuchStream),
            Err(NotBoth::OnlyOne) => return Err(Reason::OneSideMissing),
            // Asked again, by who did not get the answer: it is as they want it.
            Err(NotBoth::Running) => return Ok(()),
        };
        let gone = |_: oneshot::error::RecvError| Reason::OneSideMissing;
        let sides = [first.await.map_err(gone)?, second.await.map_err(gone)?];
        // Nobody takes it up only when the server goes down.
        self.carry.send(Activated { sides, share, running }).await.map_err(|_| Reason::Broken)
    }
}

/// What both sides connect to (§5.3.2). The addresses are those of the iq, prepared.
fn address_of(sid: &str, requester: &str, target: &str) -> Address {
    let mut sha1 = Sha1::new();
    for part in [sid, requester, target] {
        sha1.update(part.as_bytes());
    }
    Address(sha1.finalize().into())
}

/// Where the port is reached, unless settings say otherwise: at the address it listens on, or by name.
fn public_host(domain: &str, listening: SocketAddr) -> String {
    let ip = listening.ip().to_canonical();
    let is_nameless = domain == "localhost" || domain.starts_with('[') || domain.parse::<std::net::IpAddr>().is_ok();
    match (ip.is_unspecified(), is_nameless) {
        (false, _) => ip.to_string(),
        (true, true) => bare(domain).to_owned(),
        (true, false) => format!("proxy.{}", ascii(domain)),
    }
}

/// An address of IPv6 as XEP-0065 has it, without the brackets of URLs.
fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_announced_where_it_is_reached() {
        for (domain, listening, host) in [
            ("localhost", "127.0.0.1:7777", "127.0.0.1"),
            ("example.org", "192.0.2.7:7777", "192.0.2.7"),
            ("example.org", "[::ffff:192.0.2.7]:7777", "192.0.2.7"),
            ("example.org", "0.0.0.0:7777", "proxy.example.org"),
            ("bücher.example", "[::]:7777", "proxy.xn--bcher-kva.example"),
            ("localhost", "0.0.0.0:7777", "localhost"),
            ("localhost", "[::]:7777", "localhost"),
            ("localhost", "[::1]:7777", "::1"),
            ("example.org", "[2001:db8::7]:7777", "2001:db8::7"),
            ("[2001:db8::1]", "[::]:7777", "2001:db8::1"),
        ] {
            assert_eq!(public_host(domain, listening.parse().unwrap()), host, "{domain} at {listening}");
        }
    }
}
