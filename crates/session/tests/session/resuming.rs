//! Connections that break, sessions that go on: nothing lost, nothing twice.

use std::sync::Arc;
use std::time::Duration;

use balcony_session::client::{Activity, Advice, Cause, ClientConfig, Credentials, ResumeState};
use balcony_session::scram::ScramHash;
use balcony_session::server::{Detached, ServerConfig};
use balcony_wire::stream::error::StreamErrorCondition;

use crate::pair::{Host, Pair, Seed, client_config, keys, message, online, server_config};

fn quick_client() -> ClientConfig {
    let mut config = client_config();
    config.credentials = Credentials::Keys(keys(ScramHash::Sha256));
    config
}

fn server(sasl2: bool) -> Arc<ServerConfig> {
    let mut config = server_config();
    config.sasl2 = sasl2;
    Arc::new(config)
}

fn names(side: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{side}{number}")).collect()
}

/// What each side still has to say: the client as soon as it is online, the server as soon as it heard the client once.
struct Script {
    client: Vec<String>,
    server: Vec<String>,
}

impl Script {
    fn act(&mut self, pair: &mut Pair, heard_before: bool) {
        if !pair.seen.online.is_empty() && pair.seen.end.is_none() {
            for text in self.client.drain(..) {
                pair.client.send(pair.now, message(&text)).unwrap();
            }
        }
        if (heard_before || !pair.served.stanzas.is_empty()) && pair.served.end.is_none() && pair.server.jid().is_some() {
            for text in self.server.drain(..) {
                pair.server.send(pair.now, message(&text)).unwrap();
            }
        }
    }
}

/// Connections cut after so many bytes each, then one that is not. Returns the length of the last.
fn run_cut(sasl2: bool, cuts: &[usize], seed: u64) -> usize {
    let config = server(sasl2);
    let mut host = Host::default();
    let mut script = Script { client: names("c", 4), server: names("s", 4) };
    let (mut at_client, mut at_server) = (Vec::new(), Vec::new());
    let mut resume: Option<ResumeState> = None;
    let mut length = 0;
    for connection in 0..=cuts.len() {
        let mut client = quick_client();
        client.resume = resume.take();
        let resuming = client.resume.is_some();
        let mut pair = Pair::new(client, &config, seed * 10 + connection as u64);
        pair.cut_at = cuts.get(connection).copied();
        pair.piece = if seed.is_multiple_of(2) { usize::MAX } else { 40 };
        let heard = !at_server.is_empty();
        pair.run_with(&mut host, &mut |pair| script.act(pair, heard));
        if resuming && !pair.is_cut {
            assert!(pair.seen.online[0].1, "resumed: {:?}", pair.seen.end);
        }
        assert!(pair.seen.lost.is_empty());
        at_client.extend(pair.seen.bodies());
        at_server.extend(pair.served.bodies());
        let was_cut = pair.is_cut;
        length = pair.said_by_client.len() + pair.said_by_server.len();
        let (state, ..) = pair.part(&mut host);
        resume = state;
        if !was_cut {
            break;
        }
    }
    assert_eq!(at_server, names("c", 4), "cut at {cuts:?}, seed {seed}");
    assert_eq!(at_client, names("s", 4), "cut at {cuts:?}, seed {seed}");
    length
}

/// Proves: C0198-4-1, C0198-5-1.
#[test]
fn a_connection_cut_at_any_byte_loses_nothing_and_doubles_nothing_with_bind_2() {
    let length = run_cut(true, &[], 0);
    assert!(length > 2000);
    for cut_at in 1..=length {
        run_cut(true, &[cut_at], cut_at as u64);
    }
}

/// Proves: C0198-5-1.
#[test]
fn a_connection_cut_at_any_byte_loses_nothing_and_doubles_nothing_the_old_way() {
    let length = run_cut(false, &[], 0);
    for cut_at in 1..=length {
        run_cut(false, &[cut_at], cut_at as u64);
    }
}

#[test]
fn connections_cut_again_and_again_lose_nothing_and_double_nothing() {
    for seed in 1..400 {
        let mut chance = Seed::new(seed);
        let cuts: Vec<usize> = (0..1 + chance.below(6)).map(|_| 1 + chance.below(4500)).collect();
        run_cut(seed % 3 != 0, &cuts, seed);
    }
}

/// A session that was cut with things under way on both sides.
fn cut_session(host: &mut Host) -> ResumeState {
    let mut pair = online(host);
    pair.client.send(pair.now, message("c0")).unwrap();
    pair.run(host);
    pair.client.send(pair.now, message("c1")).unwrap();
    pair.server.send(pair.now, message("s0")).unwrap();
    pair.cut();
    pair.run(host);
    assert_eq!(pair.seen.cause().advice(), Advice::Retry);
    let (resume, ..) = pair.part(host);
    resume.unwrap()
}

/// Proves: C0198-5-2.
#[test]
fn after_resumption_the_client_says_nothing_of_its_own() {
    let mut host = Host::default();
    let resume = cut_session(&mut host);
    assert_eq!(resume.waiting(), 1);
    let mut client = quick_client();
    client.resume = Some(resume);
    let mut pair = Pair::new(client, &server(true), 9);
    pair.run(&mut host);
    assert!(pair.seen.online[0].1);
    assert_eq!((pair.served.bodies(), pair.seen.bodies()), (vec!["c1".to_owned()], vec!["s0".to_owned()]));
    assert_eq!(pair.served.stanzas.len(), 1, "no presence, no roster request");
    assert_eq!(host.resources, 1, "binding asked for along with resuming is not done as well");
    assert_eq!(pair.served.activity, [Activity::Active], "a resumed stream starts active");
}

#[test]
fn a_failed_resumption_reports_what_may_be_lost_and_goes_on_with_a_new_session() {
    for sasl2 in [true, false] {
        let mut host = Host::default();
        let resume = cut_session(&mut host);
        host.detached.clear();
        let mut client = quick_client();
        client.resume = Some(resume);
        let mut pair = Pair::new(client, &server(sasl2), 9);
        pair.run(&mut host);
        assert_eq!(pair.seen.online.len(), 1);
        assert!(!pair.seen.online[0].1);
        let lost: Vec<_> = pair.seen.lost.iter().filter_map(|sent| crate::pair::body(&sent.stanza)).collect();
        assert_eq!(lost, ["c1"]);
        assert!(pair.served.bodies().is_empty(), "what may be doubled is not resent by the machine");
    }
}

#[test]
fn a_failed_resumption_with_a_count_loses_only_what_it_does_not_cover() {
    let mut host = Host::default();
    let resume = cut_session(&mut host);
    let mut client = quick_client();
    client.resume = Some(resume);
    let mut pair = Pair::new(client, &server(false), 9);
    // The server knows that it had handled two, but has the session no more.
    pair.run_with(&mut host, &mut |pair| {
        let text = String::from_utf8(pair.to_client.iter().copied().collect()).unwrap();
        let text = match text.find("<resumed") {
            Some(_) => {
                "<failed xmlns='urn:xmpp:sm:3' h='2'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>".to_owned()
            }
            None => text,
        };
        pair.to_client = text.into_bytes().into();
    });
    assert!(pair.seen.lost.is_empty());
    assert_eq!(pair.seen.acknowledged.len(), 1);
}

#[test]
fn requests_survive_a_resumption_and_fail_with_a_lost_session() {
    use balcony_session::client::Ask;
    use balcony_session::iq_table::RequestError;
    for keeps in [true, false] {
        let mut host = Host::default();
        let mut pair = online(&mut host);
        let ping = balcony_wire::Element::new("ping", "urn:xmpp:ping");
        let request = pair.client.request(pair.now, None, Ask::Get(ping), Duration::from_secs(600));
        pair.run(&mut host);
        pair.cut();
        pair.run(&mut host);
        assert!(pair.seen.answers.is_empty(), "the answer may still come");
        let balcony_wire::Stanza::Iq(iq) = pair.served.stanzas[0].clone() else { panic!("no iq") };
        let (resume, ..) = pair.part(&mut host);
        if !keeps {
            host.detached.clear();
        }
        let mut client = quick_client();
        client.resume = resume;
        let mut pair = Pair::new(client, &server(true), 9);
        pair.run(&mut host);
        if keeps {
            let mut answer = iq.result(None);
            answer.from = None;
            pair.server.send(pair.now, answer.into()).unwrap();
            pair.run(&mut host);
            assert_eq!(pair.seen.answers, [(request, Ok(None))]);
        } else {
            assert_eq!(pair.seen.answers, [(request, Err(RequestError::Disconnected))]);
        }
    }
}

/// Prosody does this when a connection died in the middle of a stanza.
#[test]
fn a_resumed_session_that_swallows_everything_is_left_for_a_new_one() {
    let mut host = Host::default();
    let resume = cut_session(&mut host);
    let mut client = quick_client();
    client.resume = Some(resume);
    let mut pair = Pair::new(client, &server(true), 9);
    pair.run_with(&mut host, &mut |pair| {
        pair.deaf |= !pair.seen.online.is_empty();
        if pair.deaf {
            pair.to_server.clear();
        }
    });
    assert!(pair.seen.online[0].1);
    // The server still speaks (it asks for acknowledgement after a while), it only does not listen.
    pair.pass(&mut host, Duration::from_secs(35));
    assert_eq!((pair.seen.cause(), pair.seen.cause().advice()), (Cause::ResumedDeaf, Advice::Retry));
    assert_eq!(pair.seen.lost.len(), 1, "what was swallowed is known");
    let (resume, ..) = pair.part(&mut host);
    assert!(resume.is_none(), "the next session is a new one");
}

#[test]
fn a_server_that_falls_silent_is_noticed_and_its_session_kept() {
    let mut host = Host::default();
    let mut pair = online(&mut host);
    pair.client.send(pair.now, message("c0")).unwrap();
    pair.run(&mut host);
    pair.deaf = true;
    pair.pass(&mut host, Duration::from_secs(119));
    assert!(pair.seen.end.is_none());
    pair.pass(&mut host, Duration::from_secs(40));
    assert_eq!((pair.seen.cause(), pair.seen.cause().advice()), (Cause::Silent, Advice::Retry));
    assert!(pair.part(&mut host).0.is_some());
}

#[test]
fn a_client_that_falls_silent_is_noticed_and_its_session_kept() {
    let mut host = Host::default();
    let mut pair = online(&mut host);
    pair.server.send(pair.now, message("s0")).unwrap();
    pair.run(&mut host);
    pair.deaf = true;
    pair.pass(&mut host, Duration::from_secs(500));
    assert_eq!(pair.served.end.as_ref().unwrap().condition, Some(StreamErrorCondition::ConnectionTimeout));
    pair.part(&mut host);
    assert_eq!(host.detached.len(), 1);
}

#[test]
fn two_idle_machines_stay_connected_for_a_day() {
    let mut host = Host::default();
    let mut pair = online(&mut host);
    pair.pass(&mut host, Duration::from_secs(24 * 3600));
    assert!(pair.seen.end.is_none() && pair.served.end.is_none());
    assert!(pair.said_by_client.len() < 100_000, "{}", pair.said_by_client.len());
}

/// Proves: C6120-4.4-1.
#[test]
fn closing_waits_for_the_other_side_and_acknowledges_what_was_sent() {
    let mut host = Host::default();
    let mut pair = online(&mut host);
    pair.client.send(pair.now, message("c0")).unwrap();
    pair.client.close(pair.now);
    pair.run(&mut host);
    assert_eq!(pair.seen.cause(), Cause::Closed);
    assert_eq!(pair.seen.acknowledged.len(), 1);
    assert!(pair.seen.lost.is_empty());
    assert!(pair.client_said().ends_with("</stream:stream>") && pair.server_said().ends_with("</stream:stream>"));
    let (resume, ..) = pair.part(&mut host);
    assert!(resume.is_none() && host.detached.is_empty(), "a closed session is over");
}

#[test]
fn a_session_taken_over_by_another_connection_ends_the_first_with_conflict() {
    let mut host = Host::default();
    let mut pair = online(&mut host);
    pair.server.send(pair.now, message("s0")).unwrap();
    let detached: Detached = pair.server.take_over(pair.now).unwrap();
    assert_eq!(detached.jid().as_str(), "romeo@capulet.example/Balcony/1");
    pair.run(&mut host);
    assert_eq!((pair.seen.cause(), pair.seen.cause().advice()), (Cause::Conflict, Advice::Stop));
    assert!(pair.server.send(pair.now, message("s1")).is_err());
}

/// A host that mixes up its sessions: the machine checks whose it is.
#[test]
fn a_session_of_somebody_else_is_not_handed_out() {
    for sasl2 in [true, false] {
        let mut host = Host::default();
        let resume = cut_session(&mut host);
        let (id, _) = host.detached.pop_first().unwrap();
        let mut juliet = quick_client();
        juliet.account = "juliet@capulet.example".parse().unwrap();
        let mut pair = Pair::new(juliet, &server(true), 4);
        pair.run(&mut host);
        pair.server.send(pair.now, message("a secret")).unwrap();
        pair.cut();
        pair.run(&mut host);
        pair.part(&mut host);
        let (_, of_juliet) = host.detached.pop_first().unwrap();
        assert!(of_juliet.jid().as_str().starts_with("juliet@"));
        host.detached.insert(id, of_juliet);

        let mut client = quick_client();
        client.resume = Some(resume);
        let mut pair = Pair::new(client, &server(sasl2), 9);
        pair.run(&mut host);
        assert_eq!(pair.seen.online.len(), 1);
        assert!(!pair.seen.online[0].1 && pair.seen.stanzas.is_empty());
    }
}

/// Proves: C0198-4-2.
#[test]
fn what_the_client_never_acknowledged_is_handed_back_for_storing() {
    let mut host = Host::default();
    let mut pair = online(&mut host);
    pair.server.send(pair.now, message("s0")).unwrap();
    pair.cut();
    pair.run(&mut host);
    pair.part(&mut host);
    let (_, mut detached) = host.detached.pop_first().unwrap();
    detached.push(crate::epoch(), message("s1")).unwrap();
    let left: Vec<_> = detached.give_up().iter().filter_map(|sent| crate::pair::body(&sent.stanza)).collect();
    assert_eq!(left, ["s0", "s1"]);
}

#[test]
fn a_full_queue_hands_stanzas_back_instead_of_growing() {
    let mut host = Host::default();
    let mut config = server_config();
    config.queue = 3;
    let mut client = quick_client();
    client.queue = 2;
    let mut pair = Pair::new(client, &Arc::new(config), 1);
    pair.run(&mut host);
    pair.deaf = true; // no acknowledgement arrives
    for number in 0..3 {
        pair.server.send(pair.now, message(&format!("s{number}"))).unwrap();
    }
    assert_eq!(crate::pair::body(&pair.server.send(pair.now, message("s3")).unwrap_err()), Some("s3".to_owned()));
    for number in 0..2 {
        pair.client.send(pair.now, message(&format!("c{number}"))).unwrap();
    }
    assert_eq!(pair.client.send(pair.now, message("c2")), Err(balcony_session::client::SendError::QueueFull));
}

#[test]
fn what_can_wait_is_held_back_while_there_is_room_for_what_cannot() {
    let mut host = Host::default();
    let mut client = quick_client();
    client.queue = 8;
    let mut pair = Pair::new(client, &Arc::new(server_config()), 1);
    pair.run(&mut host);
    for number in 0..8 {
        assert_eq!(pair.client.has_room(), number < 6, "{number}");
        pair.client.send(pair.now, message(&format!("c{number}"))).unwrap();
    }
    assert!(!pair.client.has_room());
    pair.run(&mut host);
    assert!(pair.client.has_room(), "acknowledged");
}

/// Proves: C6120-4.6-1.
#[test]
fn spaces_keep_a_connection_alive() {
    let mut host = Host::default();
    let mut pair = online(&mut host);
    let before = pair.said_by_server.len();
    for _ in 0..20 {
        pair.pass(&mut host, Duration::from_secs(100));
        pair.server.handle_bytes(pair.now, b" ");
        pair.client.handle_bytes(pair.now, b" ");
    }
    assert!(pair.seen.end.is_none() && pair.served.end.is_none());
    let said = String::from_utf8_lossy(&pair.said_by_server[before..]).into_owned();
    assert!(!said.contains("<r "), "the server did not have to ask: {said}");
}

/// What a server sends before `<enabled/>` is handed up, but the counting begins with that.
#[test]
fn stanzas_that_come_before_the_counting_are_not_counted() {
    let mut host = Host::default();
    let mut pair = Pair::new(quick_client(), &server(false), 2);
    pair.run_with(&mut host, &mut |pair| {
        let text = String::from_utf8(pair.to_client.iter().copied().collect()).unwrap();
        let early = text.replace("<enabled", "<message xmlns='jabber:client'><body>early</body></message><enabled");
        pair.to_client = early.into_bytes().into();
    });
    assert_eq!(pair.seen.bodies(), ["early"]);
    pair.server.send(pair.now, message("s0")).unwrap();
    pair.pass(&mut host, Duration::from_secs(10));
    assert!(pair.served.end.is_none(), "a count that is too high would have ended the stream");
    assert!(pair.client_said().ends_with("<a xmlns='urn:xmpp:sm:3' h='1'/>"));
}

/// A server that resends first and says its features later.
#[test]
fn a_resumed_session_goes_on_even_when_the_features_come_late() {
    let mut host = Host::default();
    let resume = cut_session(&mut host);
    let mut client = quick_client();
    client.resume = Some(resume);
    let mut pair = Pair::new(client, &server(true), 9);
    pair.run_with(&mut host, &mut |pair| {
        let text = String::from_utf8(pair.to_client.iter().copied().collect()).unwrap();
        if let (Some(from), Some(to)) = (text.find("</success><stream:features>"), text.find("</stream:features><message")) {
            let (from, to) = (from + "</success>".len(), to + "</stream:features>".len());
            let late = format!("{}{}{}", &text[..from], &text[to..], &text[from..to]);
            pair.to_client = late.into_bytes().into();
        }
    });
    let said = pair.server_said();
    assert!(said.find("<body>s0").unwrap() < said.rfind("<stream:features>").unwrap());
    assert!(pair.seen.online[0].1);
    assert_eq!((pair.served.bodies(), pair.seen.bodies()), (vec!["c1".to_owned()], vec!["s0".to_owned()]));
}

/// A client whose driver says what it kept, and two messages for it.
fn confirming(host: &mut Host) -> Pair {
    let client = ClientConfig { confirms: true, ..quick_client() };
    let mut pair = Pair::new(client, &server(true), 3);
    pair.run(host);
    for text in ["s0", "s1"] {
        pair.server.send(pair.now, message(text)).unwrap();
    }
    pair.run(host);
    assert_eq!(pair.seen.bodies(), ["s0", "s1"]);
    pair
}

#[test]
fn what_the_driver_did_not_keep_comes_again_on_the_next_connection() {
    for (kept, again) in [(0, vec!["s0", "s1"]), (1, vec!["s1"]), (2, vec![]), (9, vec![])] {
        let mut host = Host::default();
        let mut pair = confirming(&mut host);
        pair.client.confirm(pair.now, kept);
        pair.run(&mut host);
        pair.cut();
        pair.run(&mut host);
        let (resume, ..) = pair.part(&mut host);
        let client = ClientConfig { confirms: true, resume, ..quick_client() };
        let mut pair = Pair::new(client, &server(true), 4);
        pair.run(&mut host);
        assert!(pair.seen.online[0].1);
        assert_eq!(pair.seen.bodies(), again, "{kept} were kept");
    }
}

#[test]
fn a_server_that_asked_too_early_hears_of_what_is_kept_later() {
    let mut host = Host::default();
    let mut pair = confirming(&mut host);
    let acknowledged = |pair: &Pair| pair.client_said().rsplit_once("<a ").map(|(_, last)| last.contains("h='2'"));
    pair.pass(&mut host, Duration::from_secs(90));
    assert_eq!(acknowledged(&pair), Some(false), "asked, and told that nothing is kept");
    pair.client.confirm(pair.now, 2);
    pair.run(&mut host);
    assert_eq!(acknowledged(&pair), Some(true));
    assert!(pair.seen.end.is_none());
}

/// What a server acknowledged before it had it on its disk was lost when it was killed in between.
#[test]
fn a_server_acknowledges_only_what_its_driver_brought_where_it_belongs() {
    let mut host = Host::default();
    let config = ServerConfig { confirms: true, ..ServerConfig::clone(&server(true)) };
    let mut pair = Pair::new(quick_client(), &Arc::new(config), 5);
    pair.run(&mut host);
    for text in ["c0", "c1"] {
        pair.client.send(pair.now, message(text)).unwrap();
    }
    pair.client.probe(pair.now);
    pair.run(&mut host);
    assert_eq!(pair.served.bodies(), ["c0", "c1"]);
    assert!(pair.seen.acknowledged.is_empty(), "asked, and told that nothing is done");
    pair.server.confirm(pair.now, usize::MAX);
    pair.run(&mut host);
    assert_eq!(pair.seen.acknowledged.len(), 2);
    assert!(pair.seen.end.is_none());
}

#[test]
fn what_a_server_did_not_get_done_is_said_again() {
    for done in [false, true] {
        let mut host = Host::default();
        let config = Arc::new(ServerConfig { confirms: true, ..ServerConfig::clone(&server(true)) });
        let mut pair = Pair::new(quick_client(), &config, 6);
        pair.run(&mut host);
        pair.client.send(pair.now, message("c0")).unwrap();
        pair.run(&mut host);
        pair.cut();
        pair.run(&mut host);
        let (resume, ..) = pair.part(&mut host);
        if done {
            host.detached.values_mut().for_each(|detached| detached.confirm(usize::MAX));
        }
        let mut pair = Pair::new(ClientConfig { resume, ..quick_client() }, &config, 7);
        pair.run(&mut host);
        assert!(pair.seen.online[0].1);
        assert_eq!(pair.served.bodies().len(), usize::from(!done));
    }
}
