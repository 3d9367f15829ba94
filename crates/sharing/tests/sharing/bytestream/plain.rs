//! SOCKS5 byte streams by themselves, as stream initiation uses them.

use std::time::Instant;

use balcony_sharing::transfer::Reach;
use balcony_sharing::transfer::bytestream::s5b::{S5bFailed, Settings};
use balcony_sharing::transfer::bytestream::socks5::{Action, Requester, Stream, Target};
use balcony_sharing::transfer::bytestream::{Line, OwnCandidate, SocketAction, SocketEvent, Way};
use balcony_wire::bytestreams::{Mode, Query, QueryPayload};
use balcony_wire::stanza::DefinedCondition;
use balcony_wire::{Element, Payload as _};

use super::{dawn, jid, listener, millis, proxy};

/// Of XEP-0065 §6.3.
const SID: &str = "vxf9n471bn46";
const DSTADDR: &str = "98b8d688d0f5d895fd41c5e7309a2e9e33ba32ff";

fn stream(is_requester: bool, reach: Reach) -> Stream {
    let (requester, target) = (jid("requester@example.com/foo"), jid("target@example.org/bar"));
    let (own, peer) = if is_requester { (requester, target) } else { (target, requester) };
    Stream { sid: SID.to_owned(), own, peer, reach }
}

fn requester(own: Vec<OwnCandidate>, reach: Reach) -> Requester {
    Requester::new(dawn(), stream(true, reach), Settings::default(), own)
}

/// The query of a listing of XEP-0065.
fn listed(example: &str) -> Query {
    let iq = Element::parse(&testing_corpus::example(&format!("xep-0065/{example}.xml")).in_stream()).unwrap();
    iq.payload::<Query>().unwrap().unwrap()
}

fn target(now: Instant, query: &Query) -> Result<Target, DefinedCondition> {
    Target::new(now, stream(false, Reach::Direct), Settings::default(), &[], query)
}

fn asked(requester: &mut Requester) -> Element {
    loop {
        match requester.poll_action().unwrap() {
            Action::Ask(element) => return element,
            Action::Socket(SocketAction::Expect { dstaddr }) => assert_eq!(dstaddr, DSTADDR),
            other => panic!("{other:?}"),
        }
    }
}

/// XEP-0065 examples 17 and 20.
/// Proves: S5B-5.3-1, S5B-5.3-3, S5B-5.3-5, S5B-9.2-1, S5B-9.3-1.
#[test]
fn a_target_tries_the_hosts_in_their_order_and_names_the_one_it_reached() {
    let now = dawn();
    let query = listed("17-requester-initiates-negotiation");
    let mut target = target(now, &query).unwrap();
    let Some(Action::Socket(SocketAction::Dial { line, host, port, dstaddr })) = target.poll_action() else { panic!("no dial") };
    assert_eq!((host.as_str(), port, dstaddr.as_str()), (query.hosts()[0].host.as_str(), query.hosts()[0].port.unwrap_or(1080), DSTADDR));
    target.handle_socket(now, SocketEvent::Dialled { line: line.clone(), result: Ok(()) });
    let Some(Action::Answer(Ok(answer))) = target.poll_action() else { panic!("no answer") };
    let used = answer.children().next().unwrap();
    assert_eq!((used.attr("jid"), used.children().count(), used.text().as_ref()), (Some(query.hosts()[0].jid.as_str()), 0, ""));
    assert!(matches!(target.poll_action(), Some(Action::Stands(_))));
    assert_eq!((target.poll_action(), target.deadline()), (None, None));
}

/// Proves: S5B-5.3-2.
#[test]
fn a_target_says_what_is_wrong() {
    let now = dawn();
    let good = listed("17-requester-initiates-negotiation");
    let refused = |query: &Query| target(now, query).err();
    assert_eq!(refused(&Query { sid: None, ..good.clone() }), Some(DefinedCondition::BadRequest));
    assert_eq!(refused(&Query { payload: QueryPayload::Nothing, ..good.clone() }), Some(DefinedCondition::BadRequest));
    assert_eq!(refused(&Query { mode: Some(Mode::Udp), ..good.clone() }), Some(DefinedCondition::NotAcceptable));
    let mut target = target(now, &good).unwrap();
    let mut clock = now;
    let mut last = Vec::new();
    while let Some(deadline) = target.deadline() {
        clock = deadline;
        target.handle_timeout(clock);
    }
    while let Some(action) = target.poll_action() {
        last.push(action);
    }
    assert!(clock - now < std::time::Duration::from_secs(10));
    assert!(last.contains(&Action::Answer(Err(DefinedCondition::ItemNotFound))), "{last:?}");
    assert!(matches!(last.last(), Some(Action::Failed(S5bFailed::NoWay(_)))));
}

/// Proves: S5B-5.3-1.
#[test]
fn a_requester_names_each_place_once_and_takes_who_comes_to_it() {
    let now = dawn();
    let own = vec![listener("192.0.2.1", 1), listener("192.0.2.1", 1), proxy("streamer.example.com"), proxy("streamer.example.com")];
    let mut requester = requester(own, Reach::Direct);
    let query = Query::read(&asked(&mut requester)).unwrap();
    let hosts: Vec<_> = query.hosts().iter().map(|host| (host.jid.as_str(), host.host.as_str(), host.port)).collect();
    let direct = ("requester@example.com/foo", "192.0.2.1", Some(5086));
    assert_eq!(hosts, [direct, ("streamer.example.com", "streamer.example.com", Some(7777))]);
    assert_eq!((query.sid.as_deref(), query.mode), (Some(SID), Some(Mode::Tcp)));
    // Whoever comes first: the word, or the visitor.
    requester.handle_socket(now, SocketEvent::Connected);
    let used = "<query xmlns='http://jabber.org/protocol/bytestreams' sid='vxf9n471bn46'><streamhost-used jid='requester@example.com/foo'/></query>";
    requester.handle_answer(now, Ok(Some(&Element::parse(used).unwrap())));
    assert_eq!(requester.poll_action(), Some(Action::Stands(Way::Listener { at: None })));
}

/// XEP-0065 examples 20, 23.
/// Proves: S5B-6.3-1, S5B-5.3-3.
#[test]
fn a_requester_connects_to_the_proxy_too_and_activates_it() {
    let now = dawn();
    let mut requester = requester(vec![proxy("streamer.example.com")], Reach::Relay);
    asked(&mut requester);
    let used =
        "<query xmlns='http://jabber.org/protocol/bytestreams' sid='vxf9n471bn46'><streamhost-used jid='streamer.example.com'/></query>";
    requester.handle_answer(now, Ok(Some(&Element::parse(used).unwrap())));
    let Some(Action::Socket(SocketAction::Dial { line, host, dstaddr, .. })) = requester.poll_action() else { panic!("no dial") };
    assert_eq!((host.as_str(), dstaddr.as_str()), ("streamer.example.com", DSTADDR));
    requester.handle_socket(now, SocketEvent::Dialled { line: line.clone(), result: Ok(()) });
    let activate =
        SocketAction::Activate { proxy: jid("streamer.example.com"), sid: SID.to_owned(), target: jid("target@example.org/bar") };
    assert_eq!(requester.poll_action(), Some(Action::Socket(activate)));
    requester.handle_socket(now, SocketEvent::Activated(Ok(())));
    assert_eq!(requester.poll_action(), Some(Action::Stands(Way::Proxy { line, proxy: jid("streamer.example.com") })));
}

#[test]
fn a_requester_ends_whatever_the_other_side_does() {
    let now = dawn();
    let query = |inner: &str| Element::parse(&format!("<query xmlns='http://jabber.org/protocol/bytestreams'>{inner}</query>")).unwrap();
    for answer in
        ["", "<streamhost-used jid='mallory@evil.example/x'/>", "<streamhost-used/>", "<streamhost-used jid='requester@example.com/foo'/>"]
    {
        let mut requester = requester(vec![proxy("streamer.example.com")], Reach::Relay);
        asked(&mut requester);
        requester.handle_answer(now, Ok(Some(&query(answer))));
        assert!(matches!(requester.poll_action(), Some(Action::Failed(_))), "{answer}");
    }
    let mut silent = requester(vec![listener("192.0.2.1", 1)], Reach::Direct);
    asked(&mut silent);
    silent.handle_timeout(silent.deadline().unwrap());
    assert_eq!(silent.poll_action(), Some(Action::Failed(S5bFailed::Silent)));
    let mut hidden = requester(vec![listener("192.0.2.1", 1)], Reach::Relay);
    assert!(matches!(hidden.poll_action(), Some(Action::Failed(S5bFailed::NoWay(_)))), "an address that is hidden is not offered");
}

#[test]
fn a_target_that_hides_connects_to_proxies_of_its_own_server_alone() {
    let now = dawn();
    let query = listed("17-requester-initiates-negotiation");
    let hidden = |own: &[OwnCandidate]| Target::new(now, stream(false, Reach::Relay), Settings::default(), own, &query).unwrap();
    assert_eq!(hidden(&[]).poll_action(), Some(Action::Answer(Err(DefinedCondition::ItemNotFound))));
    let known =
        OwnCandidate { host: query.hosts()[0].host.clone(), port: query.hosts()[0].port.unwrap_or(1080), ..proxy("streamer.example.com") };
    // However it is written.
    for host in [known.host.clone(), format!("[::ffff:{}]", known.host)] {
        let known = OwnCandidate { host, ..known.clone() };
        assert!(matches!(hidden(&[known]).poll_action(), Some(Action::Socket(SocketAction::Dial { line: Line::Theirs(_), .. }))));
    }
    let mut target = hidden(&[known]);
    assert!(target.poll_action().is_some());
    target.handle_timeout(now + millis(1));
    assert_eq!(target.poll_action(), None);
}
