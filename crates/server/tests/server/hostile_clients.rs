//! Clients that want more than is theirs: the addresses, lists and places of others, or all of the memory.

use std::time::{Duration, Instant};

use balcony_wire::Element;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::house::{House, house, house_with};
use crate::peer::{PATIENCE, Peer, condition};
use crate::uploads::request;

const ROSTER: &str = "<query xmlns='jabber:iq:roster'/>";
const INFO: &str = "<query xmlns='http://jabber.org/protocol/disco#info'/>";
const PING: &str = "<ping xmlns='urn:xmpp:ping'/>";

/// What comes back, with the address that was asked taken out.
fn bare_of_address(element: &Element, address: &str) -> String {
    element.to_xml().replace(address, "ADDRESS")
}

#[tokio::test]
async fn nobody_gets_a_slot_before_login_or_before_an_address_is_bound() {
    let house = house().await;
    let wanted = format!("<iq type='get' id='s' to='upload.localhost'>{}</iq>", request("a", 5, "/>"));
    let mut stranger = house.stranger().await;
    stranger.send(&wanted).await;
    assert_eq!(stranger.ending().await.as_deref(), Some("not-authorized"));
    let mut unbound = house.stranger().await;
    unbound.log_in("romeo", "romeo").await;
    unbound.send(&wanted).await;
    let answer = unbound.frame().await;
    assert!(!format!("{answer:?}").contains("token="), "{answer:?}");
}

#[tokio::test]
async fn stanzas_of_every_kind_with_a_forged_sender_end_the_stream_and_reach_nobody() {
    let house = house().await;
    let mut juliet = house.online("juliet", "chamber").await;
    for forged in [
        "<message from='nurse@localhost/x' to='juliet@localhost'><body>forged</body></message>",
        "<message from='localhost' to='juliet@localhost'><body>forged</body></message>",
        "<message from='romeo@localhost/other' to='juliet@localhost'><body>forged</body></message>",
        "<presence from='nurse@localhost' to='juliet@localhost' type='subscribed'/>",
        "<presence from='nurse@localhost' to='juliet@localhost' type='unavailable'/>",
        "<iq from='localhost' to='juliet@localhost/chamber' type='set' id='p'><query xmlns='jabber:iq:roster'><item jid='evil@localhost' \
         subscription='both'/></query></iq>",
        "<iq from='juliet@localhost' to='juliet@localhost/chamber' type='result' id='x'/>",
    ] {
        let mut romeo = house.login("romeo", "balcony").await;
        romeo.send(forged).await;
        assert_eq!(romeo.ending().await.as_deref(), Some("invalid-from"), "{forged}");
    }
    assert!(juliet.settle().await.is_empty());
}

/// Romeo asks the same of somebody who is there and of somebody who never was: every answer is the same, word for word.
#[tokio::test]
async fn a_stranger_does_not_learn_who_has_an_account() {
    let house = house().await;
    let _juliet = house.online("juliet", "chamber").await;
    let mut romeo = house.online("romeo", "balcony").await;
    for question in [ROSTER, INFO, PING, "<query xmlns='http://jabber.org/protocol/disco#items'/>", "<vCard xmlns='vcard-temp'/>"] {
        for kind in ["get", "set"] {
            let mut answers = Vec::new();
            for who in ["juliet@localhost", "nobody@localhost"] {
                answers.push(bare_of_address(&romeo.ask(kind, who, question).await, who));
            }
            assert_eq!(answers[0], answers[1], "{kind} {question}");
            assert!(answers[0].contains("type=\"error\"") || answers[0].contains("type='error'"), "{}", answers[0]);
        }
    }
    for said in [
        "<presence type='probe' to='WHO'/>",
        "<presence to='WHO'/>",
        "<presence type='subscribe' to='WHO'/>",
        "<iq type='get' id='x' to='WHO/x'><a xmlns='b'/></iq>",
    ] {
        let mut answers = Vec::new();
        for who in ["juliet@localhost", "nobody@localhost"] {
            romeo.send(&said.replace("WHO", who)).await;
            let heard: Vec<String> = romeo.settle().await.iter().map(|element| bare_of_address(element, who)).collect();
            answers.push(heard.into_iter().filter(|heard| !heard.contains("jabber:iq:roster")).collect::<Vec<_>>());
        }
        assert_eq!(answers[0], answers[1], "{said}");
    }
}

#[tokio::test]
async fn the_list_and_the_sessions_of_others_are_theirs() {
    let house = house().await;
    let mut juliet = house.online("juliet", "chamber").await;
    let own = "<query xmlns='jabber:iq:roster'><item jid='nurse@localhost' name='Nurse'/></query>";
    assert_eq!(juliet.ask("set", "", own).await.attr("type"), Some("result"));
    let mut romeo = house.online("romeo", "balcony").await;
    for (kind, payload) in [
        ("get", ROSTER),
        ("set", "<query xmlns='jabber:iq:roster'><item jid='romeo@localhost' subscription='both'/></query>"),
        ("set", "<query xmlns='jabber:iq:roster'><item jid='nurse@localhost' subscription='remove'/></query>"),
        ("set", "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>chamber</resource></bind>"),
    ] {
        let answer = romeo.ask(kind, "juliet@localhost", payload).await;
        assert_eq!(answer.attr("type"), Some("error"), "{payload}");
    }
    // Nobody grants themselves what only the other may grant.
    for forced in [
        "<item jid='juliet@localhost' subscription='both'/>",
        "<item jid='juliet@localhost' subscription='from' approved='true' ask='subscribe'/>",
    ] {
        romeo.ask("set", "", &format!("<query xmlns='jabber:iq:roster'>{forced}</query>")).await;
        let list = romeo.ask("get", "", ROSTER).await;
        assert!(list.to_xml().contains("subscription=\"none\"") || list.to_xml().contains("subscription='none'"), "{}", list.to_xml());
    }
    romeo.send("<presence type='subscribed' to='juliet@localhost'/><presence type='probe' to='juliet@localhost/chamber'/>").await;
    let seen = romeo.settle().await;
    assert!(seen.iter().all(|element| element.attr("from") != Some("juliet@localhost/chamber")), "{seen:?}");
    let list = juliet.ask("get", "", ROSTER).await;
    assert!(list.to_xml().contains("nurse@localhost") && !list.to_xml().contains("romeo@localhost"), "{}", list.to_xml());
}

/// Names that look or compare alike are one account or two, and never somebody else's.
#[tokio::test]
async fn spellings_of_a_name_are_one_account_and_look_alikes_are_others() {
    let house = house().await;
    for spelling in ["ROMEO", "Romeo", "\u{ff52}\u{ff4f}\u{ff4d}\u{ff45}\u{ff4f}"] {
        let mut peer = house.stranger().await;
        peer.log_in(spelling, "romeo").await;
        peer.bind("x").await;
        assert_eq!(peer.jid, "romeo@localhost/x", "{spelling}");
        assert!(house.server.add_account(spelling, "mine now").await.is_err(), "{spelling}");
    }
    // The second letter is Cyrillic.
    let alike = "r\u{43e}meo";
    house.server.add_account(alike, "alike").await.unwrap();
    let mut peer = house.stranger().await;
    assert_eq!(peer.try_plain(alike, "romeo").await.name(), "failure");
    let mut romeo = house.online("romeo", "balcony").await;
    let mut juliet = house.login("juliet", "chamber").await;
    juliet.send(&format!("<message type='chat' to='{alike}@localhost'><body>for the other</body></message>")).await;
    juliet.settle().await;
    assert!(romeo.settle().await.iter().all(|element| element.name() != "message"));
    for odd in [
        "romeo ",
        " romeo",
        "ro\u{ad}meo",
        "romeo\u{200b}",
        "romeo@localhost/x",
        "romeo@evil.example",
        "\u{0}romeo",
        "ro\\20meo",
        "romeo\u{202e}",
    ] {
        let mut peer = house.stranger().await;
        peer.try_send(&format!(
            "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{}</auth>",
            base64::Engine::encode(&base64::engine::general_purpose::STANDARD, format!("\0{odd}\0romeo"))
        ))
        .await;
        let answer = peer.next().await;
        if answer.name() == "success" {
            peer.open().await;
            peer.bind("x").await;
            assert_eq!(peer.jid, "romeo@localhost/x", "{odd:?}");
        } else {
            assert_eq!(answer.name(), "failure", "{odd:?}");
        }
    }
}

/// Proves: SEC-5-6.
#[tokio::test]
async fn a_flood_of_presence_is_bounded_and_others_are_served() {
    let house = house_with(|settings| settings.limits.directed_presences = 50).await;
    let mut romeo = house.online("romeo", "balcony").await;
    let mut juliet = house.online("juliet", "chamber").await;
    let addresses: String = (0..60).map(|n| format!("<presence to='juliet@localhost/{n}' id='{n}'/>")).collect();
    romeo.send(&addresses).await;
    let refused = romeo.settle().await;
    assert_eq!(refused.iter().filter(|element| element.attr("type") == Some("error")).count(), 10);
    assert!(refused.iter().all(|element| condition(element) == "resource-constraint"));
    let flood = async {
        for _ in 0..20 {
            romeo.send(&"<presence><status>x</status></presence>".repeat(100)).await;
            romeo.settle().await;
        }
    };
    let served = async {
        for _ in 0..20 {
            let began = Instant::now();
            juliet.settle().await;
            assert!(began.elapsed() < Duration::from_secs(20), "others wait behind a flood");
        }
    };
    tokio::join!(flood, served);
}

/// A list of contacts is one answer: it must stay small enough to be made and to be taken.
#[tokio::test]
async fn a_list_of_contacts_is_bounded_in_number_and_in_bytes() {
    let house = house_with(|settings| settings.limits.roster_items = 30).await;
    let mut romeo = house.login("romeo", "balcony").await;
    let item = |n: usize, rest: &str| format!("<query xmlns='jabber:iq:roster'><item jid='c{n}@elsewhere.example' {rest}</item></query>");
    let groups: String = (0..64).map(|n| format!("<group>{n}{}</group>", "g".repeat(1000))).collect();
    let mut refused = 0;
    for n in 0..40 {
        let answer = romeo.ask("set", "", &item(n, &format!("name='{}'>{groups}", "n".repeat(1000)))).await;
        refused += usize::from(answer.attr("type") == Some("error"));
    }
    assert!(refused >= 10, "{refused} of 40");
    let list = romeo.ask("get", "", ROSTER).await.to_xml();
    assert!(list.len() < 1 << 20, "{} bytes of contacts", list.len());
    for bad in
        ["name='a&#10;b'>", "><group></group>", &format!("name='{}'>", "x".repeat(1024)), &format!(">{}", "<group>g</group>".repeat(2))]
    {
        assert_eq!(romeo.ask("set", "", &item(99, bad)).await.attr("type"), Some("error"), "{bad}");
    }
}

/// What waits for somebody is bounded in bytes as well: all of it is read when they come.
#[tokio::test]
async fn what_waits_for_somebody_is_bounded_in_bytes_and_the_senders_are_told() {
    let house = house().await;
    let mut romeo = house.login("romeo", "balcony").await;
    let text = "x".repeat(200_000);
    let mut kept = 0_usize;
    for n in 0..400 {
        romeo.send(&format!("<message type='chat' id='{n}' to='juliet@localhost'><body>{text}</body></message>")).await;
        let refused = romeo.settle().await.iter().any(|element| element.name() == "message" && condition(element) == "service-unavailable");
        if refused {
            break;
        }
        kept += text.len();
    }
    assert!((1 << 20..32 << 20).contains(&kept), "{kept} bytes were taken in for one account");
    // Short ones of others still find no room, and the nurse is not concerned.
    romeo.send("<message type='chat' id='n' to='nurse@localhost'><body>short</body></message>").await;
    assert!(romeo.settle().await.is_empty());
    let mut juliet = house.online("juliet", "chamber").await;
    for _ in 0..kept / text.len() {
        juliet.until(|element| element.name() == "message").await;
    }
}

/// A request to see somebody is kept until it is answered: its words are few.
#[tokio::test]
async fn a_request_to_see_somebody_is_kept_without_its_luggage() {
    let house = house().await;
    let mut romeo = house.login("romeo", "balcony").await;
    romeo.send(&format!("<presence type='subscribe' to='juliet@localhost'><status>{}</status></presence>", "x".repeat(200_000))).await;
    romeo.settle().await;
    let mut juliet = house.online("juliet", "chamber").await;
    let request = juliet.until(|element| element.attr("type") == Some("subscribe")).await;
    assert!(request.to_xml().len() < 10_000, "{} bytes", request.to_xml().len());
    assert_eq!(request.attr("from"), Some("romeo@localhost"));
}

/// The stamp of the own server is believed by clients: nobody else may set it.
#[tokio::test]
async fn a_stamp_in_the_name_of_the_server_is_the_servers_own() {
    let house = house().await;
    let mut romeo = house.login("romeo", "balcony").await;
    let forged = "<delay xmlns='urn:xmpp:delay' from='localhost' stamp='1999-01-01T00:00:00Z'/>";
    romeo.send(&format!("<message type='chat' to='juliet@localhost'><body>late</body>{forged}</message>")).await;
    romeo.settle().await;
    let mut juliet = house.online("juliet", "chamber").await;
    let late = juliet.until(|element| element.name() == "message").await;
    let stamps: Vec<_> = late.children().filter(|child| child.name() == "delay").filter_map(|delay| delay.attr("stamp")).collect();
    assert_eq!(stamps.len(), 1, "{}", late.to_xml());
    assert!(!stamps[0].starts_with("1999"), "{}", late.to_xml());
    romeo.send(&format!("<message type='chat' to='juliet@localhost'><body>now</body>{forged}</message>")).await;
    let now = juliet.until(|element| element.name() == "message").await;
    assert!(now.children().all(|child| child.name() != "delay"), "{}", now.to_xml());
}

async fn until_closed(mut tcp: TcpStream) {
    let mut heard = Vec::new();
    let read = tokio::time::timeout(PATIENCE, tcp.read_to_end(&mut heard)).await;
    assert!(read.is_ok(), "never closed");
}

/// Bytes that drip, a header that never ends, a handshake that stops: each has its end, and the next client is served.
#[tokio::test]
async fn who_drips_bytes_into_a_login_is_cut_off() {
    let house = house_with(|settings| settings.limits.login_deadline = Duration::from_secs(2)).await;
    let drip = async {
        let mut tcp = TcpStream::connect(house.server.c2s_addr()).await.unwrap();
        let began = Instant::now();
        for byte in b"<?xml version='1.0'?><stream:stream to='".iter().copied().chain(std::iter::repeat(b'x')) {
            if tcp.write_all(&[byte]).await.is_err() {
                break;
            }
            assert!(began.elapsed() < PATIENCE, "a header that drips is waited for without end");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let endless = async {
        let mut tcp = TcpStream::connect(house.server.c2s_addr()).await.unwrap();
        let began = Instant::now();
        while tcp.write_all(&[b' '; 16_384]).await.is_ok() {
            assert!(began.elapsed() < PATIENCE, "blanks without end are read");
        }
    };
    let silent = async { until_closed(TcpStream::connect(house.server.c2s_addr()).await.unwrap()).await };
    let slow_login = async {
        let mut peer = house.stranger().await;
        while peer.try_send(" ").await && !matches!(tokio::time::timeout(Duration::from_millis(20), peer.frame()).await, Ok(None)) {}
    };
    tokio::join!(drip, endless, silent, slow_login);
    served(&house).await;
}

async fn served(house: &House) {
    house.online("romeo", "balcony").await.log_out().await;
}

/// More connections than are allowed, all at once: those beyond the bound are turned away, and the places come back.
#[tokio::test]
async fn hundreds_of_connections_at_once_are_bounded() {
    let house = house_with(|settings| {
        settings.limits.connections = 60;
        // None of them goes by itself.
        settings.limits.login_deadline = 4 * PATIENCE;
    })
    .await;
    let mut held = Vec::new();
    for n in 0..400 {
        let address = if n % 2 == 0 { house.server.c2s_addr() } else { house.server.c2s_tls_addr() };
        held.push(TcpStream::connect(address).await.unwrap());
    }
    let mut ends: FuturesUnordered<_> = held.iter_mut().map(async |tcp| tcp.read(&mut [0; 1024]).await.is_ok()).collect();
    for closed in 0..340 {
        let end = tokio::time::timeout(PATIENCE, ends.next()).await;
        assert!(end.is_ok(), "only {closed} of 400 were turned away");
    }
    drop(ends);
    drop(held);
    let until = Instant::now() + PATIENCE;
    loop {
        let mut tcp = TcpStream::connect(house.server.c2s_addr()).await.unwrap();
        tcp.write_all(
            b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='localhost' version='1.0'>",
        )
        .await
        .ok();
        let mut heard = vec![0; 4096];
        let count = tokio::time::timeout(PATIENCE, tcp.read(&mut heard)).await.unwrap().unwrap_or(0);
        if count > 0 && !String::from_utf8_lossy(&heard[..count]).contains("resource-constraint") {
            break;
        }
        assert!(Instant::now() < until, "places are not given back");
    }
    served(&house).await;
}

/// Logged in or not, the parser is the same: what is no XMPP ends the stream by name, and nothing is expanded.
/// Proves: SEC-5-1.
#[tokio::test]
async fn entities_and_declarations_are_refused_before_and_after_login() {
    let house = house().await;
    let bombs = [
        "<!DOCTYPE lolz [<!ENTITY lol 'lol'><!ENTITY lol2 '&lol;&lol;&lol;&lol;'>]><message><body>&lol2;</body></message>",
        "<message><body>&xxe;</body></message>",
        "<message><body>&#0;</body></message>",
        "<message><body>&#xd800;</body></message>",
        "<message><body><![CDATA[]]]]></message>",
        "<?xml version='1.0'?><message/>",
        "<message><!-- x --></message>",
    ];
    for bomb in bombs {
        for logged_in in [false, true] {
            let mut peer: Peer = if logged_in { house.login("romeo", "balcony").await } else { house.stranger().await };
            peer.try_send(bomb).await;
            let ended = peer.ending().await;
            assert!(matches!(ended.as_deref(), Some("restricted-xml" | "not-well-formed")), "{bomb}: {ended:?}");
        }
    }
    served(&house).await;
}

/// Passwords are guessed over many connections: the address is counted, and the true password waits a minute like the rest.
#[tokio::test]
async fn passwords_are_not_guessed_by_the_thousand() {
    let house = house_with(|settings| settings.limits.wrong_logins_per_minute = 10).await;
    for _ in 0..5 {
        house.online("romeo", "balcony").await.log_out().await;
    }
    let mut refusals = Vec::new();
    for _ in 0..6 {
        let mut peer = house.stranger().await;
        for _ in 0..2 {
            refusals.push(peer.try_plain("romeo", "wrong").await.children().next().unwrap().name().to_owned());
        }
    }
    assert_eq!(refusals.iter().filter(|refusal| *refusal == "not-authorized").count(), 10, "{refusals:?}");
    assert_eq!(refusals[10..], ["temporary-auth-failure", "temporary-auth-failure"]);
    let mut peer = house.stranger().await;
    let answer = peer.try_plain("romeo", "romeo").await;
    assert!(answer.to_xml().contains("temporary-auth-failure"), "{}", answer.to_xml());
}

/// Half a megabyte that would be gigabytes in the mailbox of whoever it is for.
/// Proves: SEC-5-1.
#[tokio::test]
async fn a_bomb_of_namespaces_ends_its_sender_and_reaches_nobody() {
    let house = house().await;
    let mut juliet = house.online("juliet", "chamber").await;
    let mut romeo = house.login("romeo", "balcony").await;
    let bomb =
        format!("<message to='juliet@localhost' type='chat' xmlns:x='{}'>{}</message>", "u".repeat(100_000), "<x:a/>".repeat(60_000));
    romeo.try_send(&bomb).await;
    assert_eq!(romeo.ending().await.as_deref(), Some("policy-violation"));
    assert!(juliet.settle().await.is_empty());
    served(&house).await;
}
