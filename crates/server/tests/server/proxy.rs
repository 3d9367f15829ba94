//! XEP-0065 SOCKS5 bytestreams, v1.8.2 <https://xmpp.org/extensions/xep-0065.html>
//!
//! The proxy as two clients use it: one asks where it is, both connect, one activates, bytes go both ways.

use std::time::Duration;

use balcony_server::ProxyUsers;
use balcony_wire::Element;
use sha1::{Digest as _, Sha1};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::house::{House, house, house_with};
use crate::peer::{PATIENCE, Peer, condition};

pub(crate) const PROXY: &str = "proxy.localhost";
const WHERE: &str = "<query xmlns='http://jabber.org/protocol/bytestreams'/>";
const ROMEO: &str = "romeo@localhost/balcony";
/// The other side of a stream need not be at this server.
const JULIET: &str = "juliet@capulet.example/chamber";

/// Hex of SHA-1(sid + requester + target).
pub(crate) fn dstaddr(sid: &str, requester: &str, target: &str) -> String {
    Sha1::digest(format!("{sid}{requester}{target}")).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A TCP connection to the proxy's port.
pub(crate) async fn dial(house: &House) -> TcpStream {
    TcpStream::connect(house.server.proxy_addr().unwrap()).await.unwrap()
}

/// Greeting and CONNECT; the whole answer to the latter.
pub(crate) async fn connect_to(house: &House, name: &str) -> (TcpStream, Vec<u8>) {
    ask_for(dial(house).await, name).await
}

async fn ask_for(mut tcp: TcpStream, name: &str) -> (TcpStream, Vec<u8>) {
    let mut request = vec![5, 1, 0, 5, 1, 0, 3, u8::try_from(name.len()).unwrap()];
    request.extend_from_slice(name.as_bytes());
    request.extend_from_slice(&[0, 0]);
    tcp.write_all(&request).await.unwrap();
    let mut method = [0; 2];
    within(tcp.read_exact(&mut method)).await.unwrap();
    assert_eq!(method, [5, 0]);
    let mut head = [0; 5];
    within(tcp.read_exact(&mut head)).await.unwrap();
    let mut rest = vec![0; usize::from(head[4]) + 2];
    within(tcp.read_exact(&mut rest)).await.unwrap();
    (tcp, [&head[..], &rest].concat())
}

/// One side of a stream, let in.
pub(crate) async fn side(house: &House, sid: &str, requester: &str, target: &str) -> TcpStream {
    let (tcp, answer) = connect_to(house, &dstaddr(sid, requester, target)).await;
    assert_eq!(answer[1], 0, "{answer:?}");
    tcp
}

pub(crate) async fn within<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("nothing happens")
}

pub(crate) async fn activate(peer: &mut Peer, sid: &str, target: &str) -> Element {
    let payload = format!("<query xmlns='http://jabber.org/protocol/bytestreams' sid='{sid}'><activate>{target}</activate></query>");
    peer.ask("set", PROXY, &payload).await
}

/// Two sides of a stream that runs: the requester's, the target's.
pub(crate) async fn running(house: &House, romeo: &mut Peer, sid: &str) -> (TcpStream, TcpStream) {
    let own = side(house, sid, ROMEO, JULIET).await;
    let other = side(house, sid, ROMEO, JULIET).await;
    assert_eq!(activate(romeo, sid, JULIET).await.attr("type"), Some("result"));
    (own, other)
}

/// Nothing is served any more: the connection is closed, in whatever way.
pub(crate) async fn closed(tcp: &mut TcpStream) {
    let mut buffer = [0; 4096];
    while within(tcp.read(&mut buffer)).await.is_ok_and(|count| count > 0) {}
}

/// What one side says arrives at the other.
pub(crate) async fn carried(from: &mut TcpStream, to: &mut TcpStream, words: &[u8]) {
    from.write_all(words).await.unwrap();
    let mut heard = vec![0; words.len()];
    within(to.read_exact(&mut heard)).await.unwrap();
    assert_eq!(heard, words);
}

/// Proves: S5B-4-2.
#[tokio::test]
async fn the_proxy_is_found_by_discovery_and_tells_where_it_is() {
    let house = house().await;
    let mut romeo = house.login("romeo", "balcony").await;
    let items = romeo.ask("get", "localhost", "<query xmlns='http://jabber.org/protocol/disco#items'/>").await;
    let listed = |jid: &str| items.children().next().unwrap().children().any(|item| item.attr("jid") == Some(jid));
    assert!(listed(PROXY), "{}", items.to_xml());
    let info = romeo.ask("get", PROXY, "<query xmlns='http://jabber.org/protocol/disco#info'/>").await;
    let query = info.children().next().unwrap();
    let identity = query.children().find(|child| child.name() == "identity").unwrap();
    assert_eq!((identity.attr("category"), identity.attr("type")), (Some("proxy"), Some("bytestreams")));
    assert!(query.children().any(|child| child.attr("var") == Some("http://jabber.org/protocol/bytestreams")));
    let answer = romeo.ask("get", PROXY, WHERE).await;
    let query = answer.children().next().unwrap();
    let host = query.children().next().unwrap();
    assert_eq!((query.children().count(), host.name()), (1, "streamhost"));
    let port = house.server.proxy_addr().unwrap().port().to_string();
    assert_eq!((host.attr("jid"), host.attr("host"), host.attr("port")), (Some(PROXY), Some("127.0.0.1"), Some(port.as_str())));
}

/// On all addresses it is known by its name, and one side may come by IPv4 and the other by IPv6.
#[tokio::test]
async fn a_proxy_on_all_addresses_joins_both_families() {
    let house = house_with(|settings| settings.listen.proxy = Some("[::]:0".parse().unwrap())).await;
    let mut romeo = house.login("romeo", "balcony").await;
    let answer = romeo.ask("get", PROXY, WHERE).await;
    let host = answer.children().next().unwrap().children().next().unwrap();
    assert_eq!(host.attr("host"), Some("localhost"));
    let port = house.server.proxy_addr().unwrap().port();
    let mut sides = Vec::new();
    for address in ["127.0.0.1", "::1"] {
        let tcp = TcpStream::connect((address, port)).await.unwrap();
        let (tcp, answer) = ask_for(tcp, &dstaddr("s", ROMEO, JULIET)).await;
        assert_eq!(answer[1], 0, "{answer:?}");
        sides.push(tcp);
    }
    assert_eq!(activate(&mut romeo, "s", JULIET).await.attr("type"), Some("result"));
    let [own, other] = &mut sides[..] else { panic!("two sides") };
    carried(own, other, b"one way").await;
    carried(other, own, b"and back").await;
}

/// Proves: S5B-4-2.
#[tokio::test]
async fn who_is_not_to_use_the_proxy_hears_forbidden_and_a_full_one_says_not_allowed() {
    let house = house_with(|settings| {
        settings.proxy.users = ProxyUsers::Only(vec!["romeo".into()]);
        settings.proxy.public_host = Some("relay.example.org".into());
        settings.proxy.public_port = Some(443);
        settings.proxy.streams = 1;
    })
    .await;
    let mut nurse = house.login("nurse", "kitchen").await;
    assert_eq!(condition(&nurse.ask("get", PROXY, WHERE).await), "forbidden");
    let (_own, _other) =
        (side(&house, "s", "nurse@localhost/kitchen", JULIET).await, side(&house, "s", "nurse@localhost/kitchen", JULIET).await);
    assert_eq!(condition(&activate(&mut nurse, "s", JULIET).await), "forbidden");
    let mut romeo = house.login("romeo", "balcony").await;
    let answer = romeo.ask("get", PROXY, WHERE).await.to_xml();
    assert!(answer.contains("relay.example.org") && answer.contains("443"), "{answer}");
    let _sides = running(&house, &mut romeo, "one").await;
    assert_eq!(condition(&romeo.ask("get", PROXY, WHERE).await), "not-allowed");
}

#[tokio::test]
async fn a_server_without_a_proxy_lists_none() {
    let house = house_with(|settings| settings.listen.proxy = None).await;
    assert!(house.server.proxy_addr().is_none());
    let mut romeo = house.login("romeo", "balcony").await;
    let items = romeo.ask("get", "localhost", "<query xmlns='http://jabber.org/protocol/disco#items'/>").await;
    assert!(!items.to_xml().contains(PROXY), "{}", items.to_xml());
    assert_eq!(condition(&romeo.ask("get", PROXY, WHERE).await), "remote-server-not-found");
}

/// Proves: S5B-5.3-4.
#[tokio::test]
async fn the_port_answers_with_the_address_that_was_asked() {
    let house = house().await;
    for digits in [dstaddr("s", ROMEO, JULIET), dstaddr("t", ROMEO, JULIET).to_uppercase()] {
        let (_tcp, answer) = connect_to(&house, &digits).await;
        assert_eq!(answer[..5], [5, 0, 0, 3, 40]);
        assert_eq!(answer[5..45], *digits.as_bytes());
        assert_eq!(answer[45..], [0, 0]);
    }
}

/// A megabyte each way at the same time, then one side closes its half and the other still speaks.
/// Proves: S5B-6.3-2, S5B-10.1-1.
#[tokio::test]
async fn what_either_side_sends_reaches_the_other_whole_and_each_ends_in_its_own_time() {
    let house = house().await;
    let mut romeo = house.login("romeo", "balcony").await;
    let (own, other) = running(&house, &mut romeo, "both").await;
    let (mut own_reads, mut own_writes) = own.into_split();
    let (mut other_reads, mut other_writes) = other.into_split();
    let bytes: Vec<u8> = (0..1_000_003_u32).map(|n| (n % 251) as u8).collect();
    let (mut there, mut back) = (vec![0; bytes.len()], vec![0; bytes.len()]);
    let (a, b, c, d) = within(async {
        tokio::join!(
            own_writes.write_all(&bytes),
            other_writes.write_all(&bytes),
            other_reads.read_exact(&mut there),
            own_reads.read_exact(&mut back)
        )
    })
    .await;
    assert!(a.is_ok() && b.is_ok() && c.is_ok() && d.is_ok());
    assert!(there == bytes && back == bytes);
    drop(own_writes);
    let mut rest = Vec::new();
    within(other_reads.read_to_end(&mut rest)).await.unwrap();
    assert!(rest.is_empty());
    other_writes.write_all(b"and thank you").await.unwrap();
    drop(other_writes);
    within(own_reads.read_to_end(&mut rest)).await.unwrap();
    assert_eq!(rest, b"and thank you");
}

/// Proves: S5B-10.1-1.
#[tokio::test]
async fn what_is_sent_before_activation_is_not_carried() {
    let house = house().await;
    let mut romeo = house.login("romeo", "balcony").await;
    let mut own = side(&house, "early", ROMEO, JULIET).await;
    let mut other = side(&house, "early", ROMEO, JULIET).await;
    own.write_all(b"too early").await.unwrap();
    other.write_all(&[b'x'; 20_000]).await.unwrap();
    // Both are there for certain when a later connection has been answered and the kernel has given them to the server's sockets.
    drop(side(&house, "later", ROMEO, JULIET).await);
    assert_eq!(activate(&mut romeo, "early", JULIET).await.attr("type"), Some("result"));
    carried(&mut own, &mut other, b"first bytes of the file").await;
    carried(&mut other, &mut own, b"thank you").await;
}

/// Proves: S5B-6.3-2.
#[tokio::test]
async fn activation_needs_both_sides_and_the_one_who_asked_for_the_stream() {
    let house = house().await;
    let mut romeo = house.login("romeo", "balcony").await;
    let mut on_the_phone = house.login("romeo", "phone").await;
    let mut nurse = house.login("nurse", "kitchen").await;
    assert_eq!(condition(&activate(&mut romeo, "none", JULIET).await), "item-not-found");
    let mut own = side(&house, "s", ROMEO, "nurse@localhost/kitchen").await;
    assert_eq!(condition(&activate(&mut romeo, "s", "nurse@localhost/kitchen").await), "not-allowed");
    let mut other = side(&house, "s", ROMEO, "nurse@localhost/kitchen").await;
    // Other words than those that both have hashed: another sid, another target, the other side, another device, somebody else.
    assert_eq!(condition(&activate(&mut romeo, "t", "nurse@localhost/kitchen").await), "item-not-found");
    assert_eq!(condition(&activate(&mut romeo, "s", JULIET).await), "item-not-found");
    assert_eq!(condition(&activate(&mut nurse, "s", ROMEO).await), "not-authorized");
    assert_eq!(condition(&activate(&mut on_the_phone, "s", "nurse@localhost/kitchen").await), "not-authorized");
    let mut juliet = house.login("juliet", "chamber").await;
    assert_eq!(condition(&activate(&mut juliet, "s", "nurse@localhost/kitchen").await), "item-not-found");
    assert_eq!(activate(&mut romeo, "s", "nurse@localhost/kitchen").await.attr("type"), Some("result"));
    carried(&mut own, &mut other, b"here you are").await;
    // Again, as after a lost answer: it runs.
    assert_eq!(activate(&mut romeo, "s", "nurse@localhost/kitchen").await.attr("type"), Some("result"));
    carried(&mut other, &mut own, b"thank you").await;
}

#[tokio::test]
async fn a_request_without_sid_or_target_is_refused_as_malformed() {
    let house = house().await;
    let mut romeo = house.login("romeo", "balcony").await;
    for payload in [
        "<query xmlns='http://jabber.org/protocol/bytestreams'><activate>juliet@localhost/x</activate></query>",
        "<query xmlns='http://jabber.org/protocol/bytestreams' sid='s'/>",
        "<query xmlns='http://jabber.org/protocol/bytestreams' sid='s'><activate/></query>",
        "<query xmlns='http://jabber.org/protocol/bytestreams' sid='s'><activate>@@</activate></query>",
    ] {
        assert_eq!(condition(&romeo.ask("set", PROXY, payload).await), "bad-request", "{payload}");
    }
}

/// The same client twice: a download and an upload, or two files at a time.
#[tokio::test]
async fn a_user_has_several_streams_at_once_and_an_address_can_be_used_again() {
    let house = house().await;
    let mut romeo = house.login("romeo", "balcony").await;
    let mut streams = Vec::new();
    for n in 0..20 {
        streams.push(running(&house, &mut romeo, &format!("s{n}")).await);
    }
    for (n, (own, other)) in streams.iter_mut().enumerate() {
        carried(own, other, format!("file {n}").as_bytes()).await;
    }
    drop(streams);
    let until = tokio::time::Instant::now() + PATIENCE;
    loop {
        let (mut own, answer) = connect_to(&house, &dstaddr("s0", ROMEO, JULIET)).await;
        if answer[1] == 0 {
            let mut other = side(&house, "s0", ROMEO, JULIET).await;
            assert_eq!(activate(&mut romeo, "s0", JULIET).await.attr("type"), Some("result"));
            return carried(&mut own, &mut other, b"again").await;
        }
        assert!(tokio::time::Instant::now() < until, "the address is never free again");
    }
}

/// A lost XMPP connection is no reason to lose a file that is on its way; a deleted account is.
#[tokio::test]
async fn a_stream_goes_on_without_the_session_that_began_it_and_ends_with_the_account() {
    let house = house().await;
    let mut romeo = house.login("romeo", "balcony").await;
    let (mut own, mut other) = running(&house, &mut romeo, "long").await;
    romeo.log_out().await;
    carried(&mut own, &mut other, b"the rest of the file").await;
    house.server.remove_account("romeo").await.unwrap();
    closed(&mut own).await;
    closed(&mut other).await;
}

/// What runs may finish for a short while when the server goes down; what waits may not.
#[tokio::test]
async fn a_server_that_ends_lets_streams_finish() {
    let house = house().await;
    let mut romeo = house.login("romeo", "balcony").await;
    let (mut own, mut other) = running(&house, &mut romeo, "last").await;
    let mut waiting = side(&house, "waits", ROMEO, JULIET).await;
    let address = house.server.proxy_addr().unwrap();
    let House { server, folder } = house;
    let down = tokio::spawn(server.shutdown());
    closed(&mut waiting).await;
    carried(&mut own, &mut other, b"last words").await;
    drop(own);
    closed(&mut other).await;
    drop(other);
    within(down).await.unwrap();
    assert!(TcpStream::connect(address).await.is_err());
    drop(folder);
}

/// The pace is the account's, however many streams it has.
#[tokio::test]
async fn an_account_is_carried_as_fast_as_it_may_be_and_no_faster() {
    let house = house_with(|settings| settings.proxy.rate = std::num::NonZeroU64::new(1_000_000)).await;
    let mut romeo = house.login("romeo", "balcony").await;
    let (mut first, mut first_end) = running(&house, &mut romeo, "one").await;
    let (mut second, mut second_end) = running(&house, &mut romeo, "two").await;
    let bytes = vec![7; 400_000];
    let mut heard = (vec![0; bytes.len()], vec![0; bytes.len()]);
    let began = tokio::time::Instant::now();
    let (a, b, c, d) = within(async {
        tokio::join!(
            first.write_all(&bytes),
            second.write_all(&bytes),
            first_end.read_exact(&mut heard.0),
            second_end.read_exact(&mut heard.1)
        )
    })
    .await;
    assert!(a.is_ok() && b.is_ok() && c.is_ok() && d.is_ok());
    assert!(heard.0 == bytes && heard.1 == bytes);
    // 800 kB at 1 MB/s, less what may go at once after a rest and the last piece, which is waited for afterwards.
    assert!(began.elapsed() >= Duration::from_millis(400), "{:?}", began.elapsed());
}

/// Whoever knows an address before its parties come, and sits down on it, gets nobody's bytes: the stream cannot be brought together, and
/// is free again when they leave. A party that sits down twice talks to itself.
#[tokio::test]
async fn who_takes_a_seat_before_the_parties_keeps_them_out_no_longer_than_they_stay() {
    let house = house().await;
    let mut romeo = house.login("romeo", "balcony").await;
    let first = side(&house, "s", ROMEO, JULIET).await;
    let second = side(&house, "s", ROMEO, JULIET).await;
    let (mut third, answer) = connect_to(&house, &dstaddr("s", ROMEO, JULIET)).await;
    assert_eq!(answer[1], 2, "not allowed");
    closed(&mut third).await;
    drop((first, second));
    // They have left when nobody is known at that address any more.
    within(async {
        while condition(&activate(&mut romeo, "s", JULIET).await) != "item-not-found" {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    let (mut own, mut other) = running(&house, &mut romeo, "s").await;
    let (mut late, answer) = connect_to(&house, &dstaddr("s", ROMEO, JULIET)).await;
    assert_eq!(answer[1], 2, "nobody joins a stream that runs");
    closed(&mut late).await;
    carried(&mut own, &mut other, b"first bytes of the file").await;
}

/// The proxy carries nothing to anywhere: it only ever joins those who came to it.
#[tokio::test]
async fn nobody_is_connected_to_a_place_of_their_choice() {
    let house = house().await;
    let inside = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = inside.local_addr().unwrap().port();
    let [high, low] = port.to_be_bytes();
    let named = |name: &str| [&[5, 1, 0, 3, u8::try_from(name.len()).unwrap()][..], name.as_bytes(), &[high, low]].concat();
    let hash = dstaddr("s", ROMEO, JULIET);
    let six = [&[5, 1, 0, 4][..], &[0; 15], &[1, high, low]].concat();
    for request in [
        vec![5, 1, 0, 1, 127, 0, 0, 1, high, low],
        six,
        named("localhost"),
        named("127.0.0.1"),
        named(&hash),
        vec![5, 2, 0, 1, 127, 0, 0, 1, high, low],
    ] {
        let mut tcp = dial(&house).await;
        tcp.write_all(&[5, 1, 0]).await.unwrap();
        within(tcp.read_exact(&mut [0; 2])).await.unwrap();
        tcp.write_all(&request).await.unwrap();
        let mut head = [0; 2];
        within(tcp.read_exact(&mut head)).await.unwrap();
        assert_ne!(head[1], 0, "{request:?}");
        closed(&mut tcp).await;
    }
    let came = tokio::time::timeout(Duration::from_millis(50), inside.accept()).await;
    assert!(came.is_err(), "somebody was sent there");
}
