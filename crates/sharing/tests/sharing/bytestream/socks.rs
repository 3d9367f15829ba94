//! Both sides of a negotiation: who is dialled when, what stands in the end, and what hostile peers get out of it.

use std::time::Duration;

use balcony_sharing::transfer::Reach;
use balcony_sharing::transfer::bytestream::s5b::{Action, S5b, S5bFailed, S5bRefusal, Settings, Terms};
use balcony_sharing::transfer::bytestream::{Line, OwnCandidate, Side, SocketAction, SocketEvent, Way};
use balcony_wire::bytestreams::Mode;
use balcony_wire::jingle::{Candidate, CandidateKind, Jingle, S5bPayload, S5bTransport, Transport};
use balcony_wire::stanza::DefinedCondition;
use balcony_wire::{Element, Payload as _};

use super::world::{Door, SID, World};
use super::{Dice, dawn, jid, listener, millis, proxy};

const DIRECT: [Reach; 2] = [Reach::Direct; 2];

fn quick() -> Door {
    Door::Open(millis(5))
}

/// The transport of a listing of XEP-0260.
fn listed(example: &str) -> S5bTransport {
    let iq = Element::parse(&testing_corpus::example(&format!("xep-0260/{example}.xml")).in_stream()).unwrap();
    let jingle = iq.payload::<Jingle>().unwrap().unwrap();
    match jingle.contents.into_iter().next().unwrap().transport.unwrap() {
        Transport::S5b(transport) => transport,
        other => panic!("{other:?}"),
    }
}

/// Juliet of the XEP's listings, who answers Romeo.
fn juliet() -> S5b {
    let terms = Terms {
        side: Side::Responder,
        sid: SID.to_owned(),
        own: jid("juliet@capulet.lit/balcony"),
        peer: jid("romeo@montague.lit/orchard"),
        reach: Reach::Direct,
    };
    S5b::new(terms, Settings::default(), [1; 32])
}

fn actions(machine: &mut S5b) -> Vec<Action> {
    std::iter::from_fn(|| machine.poll_action()).collect()
}

fn dials(machine: &mut S5b) -> Vec<String> {
    let host = |action| match action {
        Action::Socket(SocketAction::Dial { host, .. }) => Some(host),
        _ => None,
    };
    actions(machine).into_iter().filter_map(host).collect()
}

/// XEP-0260 examples 1, 5, 7. `123.456.7.8` is no address, which only the driver can know.
/// Proves: S5J-2.3-1, S5J-4-1, S5J-2.2-2, S5J-2.2-7.
#[test]
fn the_candidates_of_the_listing_are_tried_from_the_highest_down_and_proxies_last() {
    let (mut now, mut juliet) = (dawn(), juliet());
    juliet.handle_transport(now, &listed("01-initiator-sends-session-initiate")).unwrap();
    juliet.handle_own_candidates(vec![]);
    assert_eq!(actions(&mut juliet), [], "nothing is dialled or said before the session is accepted");
    juliet.begin(now);
    let Some(Action::Socket(SocketAction::Dial { line, host, port, dstaddr })) = juliet.poll_action() else { panic!("no dial") };
    assert_eq!((host.as_str(), port, dstaddr.as_str()), ("24.24.24.1", 5087, "972b7bf47291ca609517f67f86b5081086052dad"));
    assert_eq!(line, Line::Theirs("hutr46fe".to_owned()));
    now += millis(199);
    juliet.handle_timeout(now);
    assert_eq!(dials(&mut juliet), [""; 0], "a fifth of a second between two");
    now += millis(1);
    juliet.handle_timeout(now);
    assert_eq!(dials(&mut juliet), ["192.168.4.1"]);
    now += millis(199);
    juliet.handle_timeout(now);
    assert_eq!(dials(&mut juliet), [""; 0]);
    now += millis(1);
    juliet.handle_timeout(now);
    assert_eq!(dials(&mut juliet), ["123.456.7.8"]);
    for cid in ["hutr46fe", "hft54dqy", "xmdh4b7i"] {
        let result = Err("connection refused".to_owned());
        juliet.handle_socket(now, SocketEvent::Dialled { line: Line::Theirs(cid.to_owned()), result });
    }
    assert_eq!(actions(&mut juliet), [Action::Say(listed("07-responder-sends-candidate-error-in-jingle-transport-info"))]);
}

/// Proves: S5J-4-1.
#[test]
fn where_nothing_better_is_left_proxies_need_not_wait() {
    let (now, mut juliet) = (dawn(), juliet());
    juliet.handle_transport(now, &listed("01-initiator-sends-session-initiate")).unwrap();
    juliet.begin(now);
    for cid in ["hutr46fe", "hft54dqy"] {
        let result = Err("connection refused".to_owned());
        juliet.handle_socket(now, SocketEvent::Dialled { line: Line::Theirs(cid.to_owned()), result });
    }
    assert_eq!(dials(&mut juliet), ["24.24.24.1", "192.168.4.1", "123.456.7.8"], "at once, since those before failed");
}

/// Proves: S5J-2.2-1, S5J-2.2-3, S5J-2.2-4, S5J-2.2-5.
#[test]
fn the_answer_repeats_the_stream_and_no_place() {
    let (now, mut juliet) = (dawn(), juliet());
    juliet.handle_transport(now, &listed("01-initiator-sends-session-initiate")).unwrap();
    let same = balcony_sharing::transfer::bytestream::OwnCandidate { host: "24.24.24.1".to_owned(), port: 5087, ..listener("", 1) };
    juliet.handle_own_candidates(vec![same]);
    let answer = juliet.transport();
    assert_eq!((answer.sid.as_str(), answer.mode, answer.payload.clone()), (SID, None, S5bPayload::Nothing));
    assert!(answer.write().children().next().is_none(), "a transport without candidates is an answer, too");
    juliet.handle_own_candidates(vec![
        listener("192.0.2.7", 1),
        listener("192.0.2.7", 2),
        proxy("proxy.capulet.lit"),
        proxy("proxy.capulet.lit"),
    ]);
    let answer = juliet.transport();
    let hosts: Vec<_> =
        answer.candidates().iter().map(|candidate| (candidate.host.as_str(), candidate.jid.as_str(), candidate.kind)).collect();
    let direct = ("192.0.2.7", "juliet@capulet.lit/balcony", CandidateKind::Direct);
    assert_eq!(hosts, [direct, ("proxy.capulet.lit", "proxy.capulet.lit", CandidateKind::Proxy)]);
    assert_eq!(answer.dstaddr.as_deref(), Some("1a12fb7bc625e55f3ed5b29a53dbe0e4aa7d80ba"));
}

/// Proves: S5B-1-1, S5J-2.4-1.
#[test]
fn whichever_side_can_be_reached_both_end_with_the_same_connection() {
    let own = || [vec![listener("192.0.2.1", 5)], vec![listener("192.0.2.2", 5)]];
    let mut world = World::new(own(), DIRECT);
    world.door(1, "192.0.2.1", quick()).run();
    assert_eq!(world.agreed().as_deref(), Some("192.0.2.1"));
    let mut world = World::new(own(), DIRECT);
    world.door(0, "192.0.2.2", quick()).run();
    assert_eq!(world.agreed().as_deref(), Some("192.0.2.2"));
    let mut world = World::new(own(), DIRECT);
    world.door(0, "192.0.2.2", quick()).door(1, "192.0.2.1", quick()).run();
    assert_eq!(world.agreed().as_deref(), Some("192.0.2.2"), "as good as the other: the one that the initiator chose");
    assert_eq!(world.left_open(), 1, "the other one was hung up");
    assert!(world.elapsed() < millis(40));
}

/// Decision 21.
/// Proves: S5J-2.4-2, S5J-D-1, S5B-6.3-1.
#[test]
fn the_side_that_offered_the_proxy_activates_it() {
    for (offers, dials) in [(0, 1), (1, 0)] {
        let mut own = [vec![], vec![]];
        own[offers] = vec![listener("192.0.2.1", 5), proxy("proxy.example")];
        let mut world = World::new(own, DIRECT);
        world.door(dials, "proxy.example", quick()).door(offers, "proxy.example", quick()).run();
        assert_eq!(world.agreed().as_deref(), Some("proxy.example"));
        let last = world.said.last().unwrap();
        assert!(last.0 == offers && matches!(last.1.payload, S5bPayload::Activated(_)), "{last:?}");
        assert!(
            matches!(&world.ends[offers], Some(Ok(Way::Proxy { line: Line::OwnProxy(_), proxy })) if proxy.as_str() == "proxy.example")
        );
        assert!(world.elapsed() < millis(150), "{:?}", world.elapsed());
    }
}

/// Proves: S5J-2.4-3.
#[test]
fn a_proxy_that_lets_us_down_is_said_to_the_other_side() {
    let own = || [vec![proxy("proxy.example")], vec![]];
    for breaks in ["unreachable", "refuses"] {
        let mut world = World::new(own(), DIRECT);
        world.door(1, "proxy.example", quick());
        if breaks == "refuses" {
            world.door(0, "proxy.example", quick());
            world.proxies_work = false;
        }
        world.run();
        assert_eq!(world.agreed(), None);
        assert!(matches!(&world.ends[0], Some(Err(S5bFailed::OwnProxy { .. }))), "{breaks}");
        assert!(matches!(&world.ends[1], Some(Err(S5bFailed::TheirProxy(_)))), "{breaks}");
        assert_eq!(world.said.last().unwrap().1.payload, S5bPayload::ProxyError);
        assert_eq!(world.left_open(), 0);
    }
}

/// Proves: S5J-2.4-1.
#[test]
fn where_no_door_is_open_both_know_soon() {
    let own = [vec![listener("192.0.2.1", 5), proxy("proxy.one")], vec![listener("192.0.2.2", 5), proxy("proxy.two")]];
    let mut world = World::new(own, DIRECT);
    world.run();
    assert_eq!(world.agreed(), None);
    assert!(world.elapsed() < millis(50), "{:?}: refused is refused", world.elapsed());
    let Some(Err(S5bFailed::NoWay(why))) = &world.ends[0] else { panic!("{:?}", world.ends[0]) };
    assert_eq!(why, "a direct connection: connection refused; a proxy: connection refused");
    assert!(!why.contains("192.0.2"), "addresses are other people's");
}

#[test]
fn doors_that_nobody_answers_are_given_up() {
    let own = [vec![listener("192.0.2.1", 5)], vec![listener("192.0.2.2", 5), proxy("proxy.two")]];
    let mut world = World::new(own.clone(), DIRECT);
    world.door(0, "192.0.2.2", Door::Silent).door(1, "192.0.2.1", Door::Silent).door(0, "proxy.two", Door::Silent).run();
    assert_eq!(world.agreed(), None);
    assert!(world.elapsed() < millis(1_300), "{:?}", world.elapsed());
    let mut world = World::new(own, DIRECT);
    world.door(0, "192.0.2.2", Door::Silent).door(1, "192.0.2.1", Door::Silent);
    world.door(0, "proxy.two", quick()).door(1, "proxy.two", quick()).run();
    assert_eq!(world.agreed().as_deref(), Some("proxy.two"), "the proxy does not wait for that");
    assert!(world.elapsed() < millis(1_500), "{:?}: nor does who was reached wait for something better", world.elapsed());
}

/// A host that answers may be far away: it is not measured like one that says nothing.
#[test]
fn who_has_answered_gets_time_to_agree() {
    let (now, mut juliet) = (dawn(), juliet());
    juliet.handle_transport(now, &listed("01-initiator-sends-session-initiate")).unwrap();
    juliet.begin(now);
    let line = Line::Theirs("hutr46fe".to_owned());
    juliet.handle_socket(now + millis(1_100), SocketEvent::Answered { line: line.clone() });
    juliet.handle_timeout(now + millis(2_500));
    let _ = actions(&mut juliet);
    juliet.handle_socket(now + millis(2_600), SocketEvent::Dialled { line, result: Ok(()) });
    let used = S5bPayload::CandidateUsed("hutr46fe".to_owned());
    assert!(actions(&mut juliet).contains(&Action::Say(S5bTransport::new(SID, used))));
}

/// XEP-0260 §2.3.
/// Proves: S5J-2.3-2.
#[test]
fn behind_the_peers_choice_only_better_places_are_tried() {
    let now = dawn();
    for goes_on in [false, true] {
        let mut juliet = juliet();
        juliet.handle_transport(now, &listed("01-initiator-sends-session-initiate")).unwrap();
        // Ours have 8257600, and 655360.
        juliet.handle_own_candidates(vec![listener("192.0.2.9", 64), proxy("proxy.capulet.lit")]);
        let ours = juliet.transport();
        juliet.begin(now);
        assert_eq!(dials(&mut juliet), ["24.24.24.1"]);
        let cid = ours.candidates()[usize::from(goes_on)].cid.clone();
        juliet.handle_transport(now, &S5bTransport::new(SID, S5bPayload::CandidateUsed(cid))).unwrap();
        juliet.handle_timeout(now + millis(200));
        let is_tried = dials(&mut juliet).contains(&"192.168.4.1".to_owned());
        assert!(is_tried, "8257636 is more than either");
        juliet.handle_timeout(now + millis(800));
        assert_eq!(dials(&mut juliet).contains(&"123.456.7.8".to_owned()), goes_on, "7878787 is more than 655360 alone");
    }
}

/// Proves: S5J-2.3-2.
#[test]
fn where_nothing_better_is_left_we_say_so_at_once() {
    let own = [vec![listener("192.0.2.1", 5)], vec![listener("192.0.2.2", 500)]];
    let mut world = World::new(own, DIRECT);
    // Romeo reaches the better place while Juliet waits for an answer from the other.
    world.door(0, "192.0.2.2", quick()).door(1, "192.0.2.1", Door::Silent).run();
    assert_eq!(world.agreed().as_deref(), Some("192.0.2.2"));
    assert!(world.elapsed() < millis(40), "{:?}", world.elapsed());
    assert!(world.said.iter().any(|(who, said)| *who == 1 && said.payload == S5bPayload::CandidateError));
}

/// Proves: S5J-6.1-1.
#[test]
fn who_hides_the_address_shows_only_proxies_and_dials_only_those_of_the_own_server() {
    let own = [vec![listener("192.0.2.1", 5), proxy("proxy.mine")], vec![listener("192.0.2.2", 5), proxy("proxy.hers")]];
    let mut world = World::new(own, [Reach::Relay, Reach::Direct]);
    for host in ["192.0.2.1", "192.0.2.2", "proxy.mine", "proxy.hers"] {
        world.door(0, host, quick()).door(1, host, quick());
    }
    let offered: Vec<_> = world.machines[0].transport().candidates().iter().map(|candidate| candidate.host.clone()).collect();
    assert_eq!(offered, ["proxy.mine"]);
    world.run();
    assert_eq!(world.agreed().as_deref(), Some("proxy.mine"));
    let romeos: Vec<_> = world.dialled.iter().filter(|(_, who, _)| *who == 0).map(|(_, _, host)| host.as_str()).collect();
    assert_eq!(romeos, ["proxy.mine"], "what Juliet calls a proxy may be her own machine");
}

#[test]
fn a_proxy_of_both_servers_is_used_by_who_hides_whoever_offers_it() {
    let own = [vec![proxy("proxy.both")], vec![proxy("proxy.both")]];
    let mut world = World::new(own, [Reach::Direct, Reach::Relay]);
    world.door(0, "proxy.both", quick()).door(1, "proxy.both", quick());
    assert_eq!(world.machines[1].transport().candidates(), [], "the initiator offered it");
    world.run();
    assert_eq!(world.agreed().as_deref(), Some("proxy.both"));
}

/// The peer need not write an address of IPv6 as our server does.
#[test]
fn a_proxy_of_ours_in_another_spelling_is_still_ours_and_no_place_is_told_or_dialled_twice() {
    let now = dawn();
    let ours = OwnCandidate { host: "2001:db8::7".to_owned(), ..proxy("proxy.example") };
    let candidate = |host: &str| Candidate {
        cid: host.to_owned(),
        host: host.to_owned(),
        jid: jid("proxy.example"),
        port: Some(ours.port),
        priority: 5,
        kind: CandidateKind::Proxy,
    };
    let theirs = ["2001:DB8:0:0::7", "[2001:db8::7]", "2001:db8::8"].map(candidate).to_vec();
    let terms = Terms {
        side: Side::Responder,
        sid: SID.to_owned(),
        own: jid("juliet@capulet.lit/balcony"),
        peer: jid("romeo@montague.lit/orchard"),
        reach: Reach::Relay,
    };
    let mut hidden = S5b::new(terms, Settings::default(), [1; 32]);
    hidden.handle_transport(now, &S5bTransport::new(SID, S5bPayload::candidates(theirs))).unwrap();
    hidden.handle_own_candidates(vec![ours]);
    assert_eq!(hidden.transport().candidates(), [], "they named it already");
    hidden.begin(now);
    hidden.handle_timeout(now + millis(1_000));
    assert_eq!(dials(&mut hidden), ["2001:DB8:0:0::7"]);
}

/// Dino lists the same proxy twice.
#[test]
fn a_place_that_is_named_twice_is_dialled_once_and_endless_lists_are_cut() {
    let (now, mut juliet) = (dawn(), juliet());
    let candidate = |at: usize, kind, host: &str| Candidate {
        cid: format!("c{at}"),
        host: host.to_owned(),
        jid: jid("proxy.example"),
        port: Some(1000),
        priority: u32::try_from(at).unwrap(),
        kind,
    };
    let mut many: Vec<Candidate> = (0..60).map(|at| candidate(at, CandidateKind::Direct, &format!("192.0.2.{at}"))).collect();
    many.extend((60..64).map(|at| candidate(at, CandidateKind::Proxy, "proxy.example")));
    many.extend((64..74).map(|at| candidate(at, CandidateKind::Proxy, &format!("proxy{at}.example"))));
    juliet.handle_transport(now, &S5bTransport::new(SID, S5bPayload::candidates(many))).unwrap();
    juliet.begin(now);
    let mut dialled = Vec::new();
    for at in 0..200 {
        juliet.handle_timeout(now + millis(at * 200));
        dialled.extend(dials(&mut juliet));
    }
    assert_eq!(dialled.len(), 16, "{dialled:?}");
    assert_eq!((dialled[0].as_str(), dialled[12].as_str()), ("192.0.2.59", "proxy73.example"));
    assert!(dialled.iter().enumerate().all(|(at, host)| !dialled[..at].contains(host)));
}

/// Proves: S5J-2.2-3, S5B-8-1.
#[test]
fn what_is_about_other_streams_candidates_or_datagrams_is_refused_and_changes_nothing() {
    let (now, mut juliet) = (dawn(), juliet());
    let udp = S5bTransport { mode: Some(Mode::Udp), ..listed("01-initiator-sends-session-initiate") };
    assert_eq!(juliet.handle_transport(now, &udp), Err(S5bRefusal::Datagrams));
    juliet.handle_transport(now, &listed("01-initiator-sends-session-initiate")).unwrap();
    juliet.handle_own_candidates(vec![listener("192.0.2.9", 1)]);
    juliet.begin(now);
    let _ = actions(&mut juliet);
    let said = |juliet: &mut S5b, sid: &str, payload| juliet.handle_transport(now, &S5bTransport::new(sid, payload));
    assert_eq!(said(&mut juliet, "other", S5bPayload::CandidateError), Err(S5bRefusal::OtherStream));
    // The id of a candidate of Romeo's own.
    assert_eq!(said(&mut juliet, SID, S5bPayload::CandidateUsed("hutr46fe".into())), Err(S5bRefusal::NoCandidate));
    assert_eq!(said(&mut juliet, SID, S5bPayload::Activated("hutr46fe".into())), Err(S5bRefusal::NoCandidate));
    assert_eq!(said(&mut juliet, SID, S5bPayload::CandidateError), Ok(()));
    assert_eq!(said(&mut juliet, SID, S5bPayload::CandidateError), Ok(()), "said twice is said once");
    let ours = juliet.transport().candidates()[0].cid.clone();
    assert_eq!(said(&mut juliet, SID, S5bPayload::CandidateUsed(ours)), Err(S5bRefusal::SaidOtherwise));
    assert_eq!(actions(&mut juliet), []);
    assert_eq!(S5bRefusal::NoCandidate.condition(), DefinedCondition::ItemNotFound);
}

#[test]
fn whoever_says_that_they_came_and_did_not_keeps_us_waiting_for_a_moment_only() {
    let (now, mut juliet) = (dawn(), juliet());
    juliet.handle_own_candidates(vec![listener("192.0.2.9", 1)]);
    let ours = juliet.transport().candidates()[0].cid.clone();
    juliet.begin(now);
    juliet.handle_transport(now, &S5bTransport::new(SID, S5bPayload::CandidateUsed(ours))).unwrap();
    let _ = actions(&mut juliet);
    let deadline = juliet.deadline().unwrap();
    assert!(deadline <= now + Duration::from_secs(5));
    juliet.handle_timeout(deadline);
    assert_eq!(actions(&mut juliet), [Action::Failed(S5bFailed::NobodyCame)]);
    assert_eq!(juliet.deadline(), None);
}

#[test]
fn who_says_nothing_any_more_is_given_up() {
    let own = [vec![listener("192.0.2.1", 5), proxy("proxy.one")], vec![]];
    let mut world = World::new(own, DIRECT);
    world.door(1, "proxy.one", quick()).door(0, "proxy.one", quick());
    world.post = Box::new(|| None);
    world.run();
    assert_eq!(world.ends, [Some(Err(S5bFailed::Silent)), Some(Err(S5bFailed::Silent))]);
    assert_eq!(world.left_open(), 0, "what was reached is hung up");
    assert!(world.elapsed() < Duration::from_secs(40));
}

/// In rooms only the other side knows what it is called there.
///
/// Proves: S5B-7-1.
#[test]
fn an_address_that_the_peer_says_is_asked_for() {
    let (now, mut juliet) = (dawn(), juliet());
    let said = "416781edf1ae50bad01cb8509ba35b43952bc345";
    let offer = S5bTransport { dstaddr: Some(said.to_owned()), ..listed("01-initiator-sends-session-initiate") };
    juliet.handle_transport(now, &offer).unwrap();
    juliet.begin(now);
    let first = actions(&mut juliet).into_iter().next();
    assert!(matches!(first, Some(Action::Socket(SocketAction::Dial { dstaddr, .. })) if dstaddr == said));
}

/// Whatever is reachable for whom, however long everything takes, and whichever messages come twice or out of order: both end, and if
/// all that is said arrives, they mean the same.
///
/// Proves: S5J-2.4-1, S5J-2.4-2, S5J-2.4-3.
#[test]
fn both_sides_always_agree() {
    let hosts = [["192.0.2.1", "192.0.2.2", "proxy.one", "proxy.both"], ["198.51.100.1", "198.51.100.2", "proxy.two", "proxy.both"]];
    let mut stood = 0;
    for seed in 0..3_000 {
        let mut dice = Dice(seed);
        let mut own = || {
            let mut who = 0;
            hosts.map(|hosts| {
                who += 1;
                let candidate = |host: &&str| if host.starts_with("proxy") { proxy(host) } else { listener(host, who * 3) };
                hosts.iter().filter(|_| dice.below(3) > 0).map(candidate).collect::<Vec<_>>()
            })
        };
        let own = own();
        let reach = [Reach::Direct, Reach::Direct, Reach::Direct, Reach::Relay];
        let reach = [reach[dice.below(4) as usize], reach[dice.below(4) as usize]];
        let mut world = World::new(own, reach);
        for who in [0, 1] {
            for host in hosts.iter().flatten() {
                let after = millis(dice.below(1500));
                let door = match dice.below(4) {
                    0 => Door::Silent,
                    1 => Door::Refused(after),
                    _ => Door::Open(after),
                };
                world.door(who, host, door);
            }
        }
        world.proxies_work = dice.below(5) > 0;
        let loses = dice.below(4) == 0;
        world.post = Box::new(move || if loses && dice.below(3) == 0 { None } else { Some(millis(dice.below(400))) });
        world.run();
        if loses {
            assert!(world.ends.iter().all(Option::is_some), "seed {seed}");
        } else {
            stood += usize::from(
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.agreed()))
                    .unwrap_or_else(|_| panic!("seed {seed}"))
                    .is_some(),
            );
        }
    }
    assert!(stood > 1_000, "{stood}");
}
