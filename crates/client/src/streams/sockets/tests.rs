//! Real sockets on this machine, and peers that lead elsewhere.

use std::net::Ipv4Addr;
use std::time::Instant;

use balcony_sharing::transfer::bytestream::Side;
use balcony_sharing::transfer::bytestream::s5b::{Action, S5b, Terms};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::*;
use crate::account::Connection;

fn jid(text: &str) -> Jid {
    Jid::parse(text).unwrap()
}

fn sockets(company: Company, loopback: bool, proxy: Option<&str>) -> Sockets {
    let network = Network::new(None, proxy.map(|proxy| proxy.parse().unwrap())).unwrap();
    let (_, connection) = watch::channel(Connection::Connecting);
    // An account that is closed already: nothing gets out.
    let courier = Courier::new(tokio::sync::mpsc::channel(1).0.downgrade());
    let proxies = Proxies::new(courier.clone(), jid("montague.lit"), connection);
    Sockets::new(network, courier, proxies, Surroundings { company, loopback })
}

/// One side of a negotiation: its machine and its sockets.
struct End {
    machine: S5b,
    sockets: Sockets,
    way: Option<Way>,
}

impl End {
    async fn new(side: Side, own: &str, peer: &str) -> Self {
        let mut sockets = sockets(Company::Stranger, true, None);
        let terms = Terms { side, sid: "vj3hs98y".to_owned(), own: jid(own), peer: jid(peer), reach: Reach::Direct };
        let mut machine = S5b::new(terms, settings(&sockets.network), [u8::from(side == Side::Initiator); 32]);
        machine.handle_own_candidates(sockets.gather(Reach::Direct).await);
        Self { machine, sockets, way: None }
    }

    /// Performs what the machine wants; gives what it says.
    fn drain(&mut self) -> Vec<balcony_wire::jingle::S5bTransport> {
        let mut said = Vec::new();
        while let Some(action) = self.machine.poll_action() {
            match action {
                Action::Socket(action) => self.sockets.perform(action),
                Action::Say(transport) => said.push(transport),
                Action::Stands(way) => self.way = Some(way),
                Action::Failed(why) => panic!("{why}"),
            }
        }
        said
    }
}

/// Both machines with real sockets on this machine.
///
/// Proves: S5B-1-1.
#[tokio::test]
async fn two_sides_find_one_connection() {
    let (romeo, juliet) = ("romeo@montague.lit/orchard", "juliet@capulet.lit/balcony");
    let mut one = End::new(Side::Initiator, romeo, juliet).await;
    let mut other = End::new(Side::Responder, juliet, romeo).await;
    let now = Instant::now();
    other.machine.handle_transport(now, &one.machine.transport()).unwrap();
    one.machine.handle_transport(now, &other.machine.transport()).unwrap();
    one.machine.begin(now);
    other.machine.begin(now);
    let negotiated = async {
        while one.way.is_none() || other.way.is_none() {
            let (from_one, from_other) = (one.drain(), other.drain());
            let is_quiet = from_one.is_empty() && from_other.is_empty();
            for said in from_one {
                other.machine.handle_transport(Instant::now(), &said).unwrap();
            }
            for said in from_other {
                one.machine.handle_transport(Instant::now(), &said).unwrap();
            }
            if is_quiet && (one.way.is_none() || other.way.is_none()) {
                tokio::select! {
                    event = one.sockets.event() => one.machine.handle_socket(Instant::now(), event),
                    event = other.sockets.event() => other.machine.handle_socket(Instant::now(), event),
                }
            }
        }
    };
    timeout(Duration::from_secs(60), negotiated).await.unwrap();
    let mut streams = [&mut one, &mut other].map(|end| end.sockets.take(end.way.as_ref().unwrap()).unwrap());
    streams[0].write_all(b"the view from the summit").await.unwrap();
    let mut came = [0; 24];
    streams[1].read_exact(&mut came).await.unwrap();
    assert_eq!(&came, b"the view from the summit");
}

/// What a peer names must not lead into this machine or its network.
#[tokio::test]
async fn no_candidate_of_a_peer_leads_to_this_machine() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    for proxy in [None, Some("socks5://127.0.0.1:1")] {
        let mut sockets = sockets(Company::Contact, false, proxy);
        for host in [
            "127.0.0.1",
            "localhost",
            "[::1]",
            "::ffff:127.0.0.1",
            "169.254.169.254",
            "0.0.0.0",
            "no-such-name",
            "64:ff9b::7f00:1",
            "[2002:7f00:1::1]",
            "fe80::1%lo",
            "::1%1.lo",
            "[::1",
            "127.1",
            "0x7f000001",
            "127.0.0.1.",
        ] {
            let line = Line::Theirs(host.to_owned());
            sockets.perform(SocketAction::Dial { line: line.clone(), host: host.to_owned(), port, dstaddr: "0".repeat(40) });
            let SocketEvent::Dialled { line: dialled, result } = timeout(Duration::from_secs(60), sockets.event()).await.unwrap() else {
                panic!("no answer")
            };
            assert_eq!(dialled, line);
            let why = result.unwrap_err();
            assert!(!why.contains("127.0"), "addresses are not told: {why}");
        }
    }
    assert!(timeout(Duration::from_millis(50), listener.accept()).await.is_err(), "nobody came");
}

/// What is said to the person about their address counts what was tried, not only what was told.
#[tokio::test]
async fn whoever_comes_to_a_place_of_the_peer_is_seen_there_unless_a_proxy_comes_for_them() {
    let theirs = Line::Theirs("c0".to_owned());
    let table =
        [(theirs.clone(), None, true), (theirs, Some("socks5://127.0.0.1:1"), false), (Line::OwnProxy("p0".to_owned()), None, false)];
    for (line, proxy, expected) in table {
        let mut sockets = sockets(Company::Contact, true, proxy);
        assert!(!sockets.came_to_them());
        let (host, dstaddr) = ("127.0.0.1".to_owned(), "0".repeat(40));
        sockets.perform(SocketAction::Dial { line: line.clone(), host, port: 1, dstaddr });
        assert_eq!(sockets.came_to_them(), expected, "{line:?} {proxy:?}");
    }
}

/// Proves: S5J-6.1-1.
#[tokio::test]
async fn who_hides_and_who_goes_through_a_proxy_opens_no_port() {
    assert_eq!(sockets(Company::Contact, true, None).gather(Reach::Relay).await, []);
    assert_eq!(sockets(Company::Contact, true, Some("tor")).gather(Reach::Direct).await, []);
    let own = sockets(Company::Stranger, true, None).gather(Reach::Direct).await;
    assert!(own.iter().any(|own| own.host == "127.0.0.1" && own.port != 0), "{own:?}");
    let own = sockets(Company::Stranger, false, None).gather(Reach::Direct).await;
    assert!(own.iter().all(|own| own.host != "127.0.0.1" && own.host != "::1"), "{own:?}");
}

#[tokio::test]
async fn a_host_that_never_answers_is_hung_up_on() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let mut sockets = sockets(Company::Stranger, true, None);
    let line = Line::Theirs("silent".to_owned());
    let (host, port) = ("127.0.0.1".to_owned(), listener.local_addr().unwrap().port());
    sockets.perform(SocketAction::Dial { line: line.clone(), host, port, dstaddr: "0".repeat(40) });
    let (mut silent, _) = listener.accept().await.unwrap();
    let mut said = [0; 3];
    silent.read_exact(&mut said).await.unwrap();
    assert_eq!(said, [5, 1, 0]);
    assert_eq!(sockets.event().await, SocketEvent::Answered { line: line.clone() });
    sockets.perform(SocketAction::HangUp { line: line.clone() });
    assert!(timeout(Duration::from_millis(50), sockets.event()).await.is_err(), "what was given up is not told");
    let mut more = Vec::new();
    silent.read_to_end(&mut more).await.unwrap();
    assert_eq!(more, b"", "nothing but the greeting was said");
    assert!(sockets.take(&Way::Dialled(line)).is_none());
}
