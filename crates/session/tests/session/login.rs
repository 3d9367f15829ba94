//! Logging in, the ways it goes well and the ways it must not.

use std::sync::Arc;
use std::time::Duration;

use balcony_session::client::{Advice, Cause, Credentials, UserAgent};
use balcony_session::{ChannelBindings, Mechanism, ScramHash, ScramKeys, Security};
use balcony_wire::stream::error::StreamErrorCondition;

use crate::pair::{Host, PASSWORD, Pair, client_config, keys, online, server_config};

fn log_in(
    change_client: impl FnOnce(&mut balcony_session::client::ClientConfig),
    change_server: impl FnOnce(&mut balcony_session::server::ServerConfig),
) -> Pair {
    let (mut client, mut server) = (client_config(), server_config());
    change_client(&mut client);
    change_server(&mut server);
    let mut pair = Pair::new(client, &Arc::new(server), 5);
    pair.run(&mut Host::default());
    pair
}

fn used(pair: &Pair) -> Mechanism {
    pair.seen.learned.as_ref().expect("logged in").mechanism
}

/// Proves: C6120-4.3-1, C6120-5-1, C0388-2-2, C0388-3-1, C0386-3-1, C6120-7-1.
#[test]
fn a_login_takes_the_strongest_mechanism_and_few_round_trips() {
    let pair = log_in(|_| {}, |_| {});
    assert_eq!(used(&pair), Mechanism::ScramSha512Plus);
    let learned = pair.seen.learned.as_ref().unwrap();
    assert!(learned.sasl2 && learned.acknowledged && learned.resumable.is_some() && learned.client_state);
    assert_eq!(pair.seen.online[0].0.as_str(), "romeo@capulet.example/Balcony/1");
    assert_eq!(pair.client_said().matches("<stream:stream").count(), 2, "no stream restart after SASL2");
    assert!(pair.server_said().contains("<required/>"));
    let (_clear, encrypted) = pair.server_said().split_once("<proceed").map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    assert!(!encrypted.contains("starttls"), "not offered again");
}

/// Proves: C6120-4.3-2, C6120-6-1, C6120-7-1, C0198-3-1.
#[test]
fn the_old_way_works_where_sasl2_is_not_offered() {
    let pair = log_in(|client| client.resource = Some("orchard".to_owned()), |server| server.sasl2 = false);
    assert_eq!(pair.seen.online[0].0.as_str(), "romeo@capulet.example/orchard");
    assert_eq!(pair.client_said().matches("<stream:stream").count(), 3, "a new stream after TLS and after login");
    assert_eq!(pair.client_said().matches("<enable").count(), 1);
    assert!(pair.client_said().find("<enable").unwrap() > pair.client_said().find("<bind").unwrap());
    assert!(pair.seen.learned.as_ref().unwrap().resumable.is_some());
}

#[test]
fn every_mechanism_logs_in_both_ways() {
    for mechanism in Mechanism::ALL {
        for sasl2 in [true, false] {
            let pair = log_in(
                |_| {},
                |server| {
                    server.mechanisms = vec![mechanism];
                    server.sasl2 = sasl2;
                },
            );
            assert_eq!(used(&pair), mechanism);
            let learned = pair.seen.learned.as_ref().unwrap();
            assert_eq!(learned.keys.is_some(), mechanism != Mechanism::Plain);
            assert_eq!(learned.binding.is_some(), mechanism.is_plus());
        }
    }
}

/// Proves: C0368-3-2.
#[test]
fn direct_tls_says_nothing_before_the_handshake_and_no_starttls_inside() {
    let (mut client, mut server) = (client_config(), server_config());
    (client.security, server.security) = (Security::DirectTls, Security::DirectTls);
    let mut pair = Pair::new(client, &Arc::new(server), 5);
    let mut host = Host::default();
    pair.run(&mut host);
    assert!(pair.said_by_client.is_empty() && pair.said_by_server.is_empty());
    pair.client.handle_tls(pair.now, pair.tls.clone());
    pair.server.handle_tls(pair.now, pair.tls.clone());
    pair.run(&mut host);
    assert_eq!(pair.seen.online.len(), 1);
    assert!(!pair.client_said().contains("starttls") && !pair.server_said().contains("starttls"));
}

#[test]
fn every_way_of_cutting_the_bytes_into_pieces_logs_in() {
    for sasl2 in [true, false] {
        let mut config = server_config();
        config.sasl2 = sasl2;
        let config = Arc::new(config);
        for seed in 0..60 {
            let mut client = client_config();
            client.credentials = Credentials::Keys(keys(ScramHash::Sha256));
            let mut pair = Pair::new(client, &config, seed);
            pair.piece = 1 + (seed as usize % 30) * (seed as usize % 3);
            pair.run(&mut Host::default());
            assert_eq!(pair.seen.online.len(), 1, "seed {seed}: {:?}", pair.seen.end);
        }
    }
}

#[test]
fn a_wrong_password_stops_and_says_so() {
    for sasl2 in [true, false] {
        let pair = log_in(|client| client.credentials = Credentials::Password("rosaline".to_owned()), |server| server.sasl2 = sasl2);
        let end = pair.seen.end.unwrap();
        assert_eq!((end.cause, end.advice()), (Cause::Credentials, Advice::Stop));
        assert_eq!(end.to_string(), "wrong user name or password");
    }
}

#[test]
fn a_wrong_password_by_plain_stops_too() {
    let pair = log_in(
        |client| client.credentials = Credentials::Password("rosaline".to_owned()),
        |server| server.mechanisms = vec![Mechanism::Plain],
    );
    assert_eq!(pair.seen.cause(), Cause::Credentials);
}

#[test]
fn an_unknown_user_cannot_be_told_from_a_wrong_password() {
    let said = |name: &str| {
        let mut host = Host::default();
        let mut client = client_config();
        client.account = format!("{name}@capulet.example").parse().unwrap();
        client.credentials = Credentials::Password("rosaline".to_owned());
        let mut pair = Pair::new(client, &Arc::new(server_config()), 5);
        pair.run(&mut host);
        assert_eq!(host.looked_up, [name]);
        assert_eq!(pair.seen.cause(), Cause::Credentials);
        pair.server_said().len()
    };
    assert_eq!(said("romeo"), said("paris"), "the same messages of the same length");
}

#[test]
fn saved_keys_log_in_and_outdated_ones_ask_for_the_password() {
    let pair = log_in(|client| client.credentials = Credentials::Keys(keys(ScramHash::Sha256)), |_| {});
    assert_eq!(used(&pair), Mechanism::ScramSha256Plus);
    let other_salt = ScramKeys::derive(ScramHash::Sha256, PASSWORD, b"another salt 123", 4096).unwrap();
    let pair = log_in(|client| client.credentials = Credentials::Keys(other_salt), |_| {});
    assert_eq!((pair.seen.cause(), pair.seen.cause().advice()), (Cause::KeysOutdated, Advice::Stop));
    let pair = log_in(
        |client| client.credentials = Credentials::Keys(keys(ScramHash::Sha512)),
        |server| server.mechanisms = vec![Mechanism::ScramSha1Plus, Mechanism::ScramSha1],
    );
    assert_eq!(pair.seen.cause(), Cause::KeysOutdated);
}

/// Proves: SEC-5-4.
#[test]
fn nothing_below_the_floor_is_taken() {
    let with = |floor, offered: &[Mechanism]| log_in(|client| client.floor = Some(floor), |server| server.mechanisms = offered.to_vec());
    for (floor, offered) in [
        (Mechanism::ScramSha1, vec![Mechanism::Plain]),
        (Mechanism::ScramSha256, vec![Mechanism::ScramSha1, Mechanism::Plain]),
        (Mechanism::ScramSha256Plus, vec![Mechanism::ScramSha512, Mechanism::ScramSha256]),
    ] {
        let pair = with(floor, &offered);
        assert_eq!((pair.seen.cause(), pair.seen.cause().advice()), (Cause::Downgrade, Advice::Stop), "{floor}");
        assert!(!pair.client_said().contains("authenticate"), "nothing was tried");
    }
    assert_eq!(used(&with(Mechanism::ScramSha256, &[Mechanism::ScramSha256, Mechanism::Plain])), Mechanism::ScramSha256);
    assert_eq!(used(&with(Mechanism::Plain, &[Mechanism::Plain])), Mechanism::Plain);
}

#[test]
fn a_floor_with_binding_does_not_lock_out_a_connection_that_cannot_bind() {
    let mut client = client_config();
    client.floor = Some(Mechanism::ScramSha256Plus);
    let mut pair = Pair::new(client, &Arc::new(server_config()), 5);
    pair.tls = ChannelBindings::NONE;
    pair.run(&mut Host::default());
    assert_eq!(used(&pair), Mechanism::ScramSha512);
}

#[test]
fn a_server_without_any_common_mechanism_is_named() {
    let pair = log_in(|_| {}, |server| server.mechanisms = Vec::new());
    assert_eq!(pair.seen.cause().advice(), Advice::Stop);
}

/// The machine in between takes `-PLUS` off the list; both ends can bind.
#[test]
fn a_stripped_list_of_mechanisms_is_noticed_by_the_server() {
    let mut pair = Pair::new(client_config(), &Arc::new(server_config()), 5);
    let mut host = Host::default();
    pair.run_with(&mut host, &mut |pair| {
        let text = String::from_utf8(pair.to_client.iter().copied().collect()).unwrap();
        let stripped = text.replace("<mechanism>SCRAM-SHA-512-PLUS</mechanism>", "");
        let stripped = stripped.replace("<mechanism>SCRAM-SHA-256-PLUS</mechanism>", "");
        pair.to_client = stripped.replace("<mechanism>SCRAM-SHA-1-PLUS</mechanism>", "").into_bytes().into();
    });
    assert!(pair.seen.online.is_empty());
    assert_eq!(pair.seen.cause(), Cause::Credentials);
    assert!(host.looked_up.is_empty(), "refused before any key was asked for");
}

#[test]
fn two_tls_connections_with_somebody_in_between_cannot_log_in() {
    for mechanism in [Mechanism::ScramSha1Plus, Mechanism::ScramSha256Plus, Mechanism::ScramSha512Plus] {
        let mut server = server_config();
        server.mechanisms = vec![mechanism];
        let mut pair = Pair::new(client_config(), &Arc::new(server), 5);
        pair.tls_at_server = Some(ChannelBindings { exporter: Some(vec![1; 32]), server_end_point: Some(vec![2; 32]) });
        pair.run(&mut Host::default());
        assert!(pair.seen.online.is_empty());
        assert_eq!(pair.seen.cause(), Cause::Credentials);
    }
}

#[test]
fn a_server_that_does_not_know_the_password_is_not_believed() {
    for sasl2 in [true, false] {
        let mut config = server_config();
        config.sasl2 = sasl2;
        let mut pair = Pair::new(client_config(), &Arc::new(config), 5);
        let end = if sasl2 { "</additional-data>" } else { "</success>" };
        pair.run_with(&mut Host::default(), &mut |pair| {
            let text = String::from_utf8(pair.to_client.iter().copied().collect()).unwrap();
            let Some(at) = text.find(end) else { return };
            let begin = text[..at].rfind('>').unwrap() + 1;
            let forged = balcony_wire::base64::encode(format!("v={}", balcony_wire::base64::encode([9; 64])).as_bytes());
            pair.to_client = format!("{}{forged}{}", &text[..begin], &text[at..]).into_bytes().into();
        });
        assert!(pair.seen.online.is_empty());
        assert_eq!((pair.seen.cause(), pair.seen.cause().advice()), (Cause::Downgrade, Advice::Stop), "sasl2 {sasl2}");
    }
}

#[test]
fn three_wrong_logins_close_the_connection() {
    let mut host = Host::default();
    let mut pair = Pair::new(client_config(), &Arc::new(server_config()), 5);
    let mut tries = 0;
    pair.run_with(&mut host, &mut |pair| {
        // Another client speaks: it has got its features and tries PLAIN again and again.
        if pair.server_said().contains("SCRAM") && tries < 5 && pair.served.end.is_none() {
            tries += 1;
            pair.to_server.clear();
            pair.server.handle_bytes(pair.now, b"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AHJvbWVvAHdyb25n</auth>");
        }
    });
    assert_eq!(tries, 3);
    assert_eq!(pair.served.end.unwrap().condition, Some(StreamErrorCondition::PolicyViolation));
}

#[test]
fn half_open_handshakes_are_cut_off_at_their_deadline() {
    let config = Arc::new(server_config());
    let mut host = Host::default();
    let mut pair = Pair::new(client_config(), &config, 5);
    pair.deaf = true; // the client's words never arrive
    pair.pass(&mut host, Duration::from_secs(29));
    assert!(pair.seen.end.is_none() && pair.served.end.is_none());
    pair.pass(&mut host, Duration::from_secs(2));
    assert_eq!((pair.seen.cause(), pair.seen.cause().advice()), (Cause::Silent, Advice::Retry));
    pair.pass(&mut host, Duration::from_secs(60));
    assert_eq!(pair.served.end.as_ref().unwrap().condition, Some(StreamErrorCondition::ConnectionTimeout));
}

#[test]
fn a_refused_certificate_stops_and_an_unreachable_server_is_tried_again() {
    use balcony_session::client::{ClientStream, Failure};
    for (failure, cause, advice) in [
        (Failure::Certificate("the certificate is for another name".to_owned()), Cause::Certificate, Advice::Stop),
        (Failure::Connect("connection refused".to_owned()), Cause::Unreachable, Advice::Retry),
        (Failure::Tls("handshake failed".to_owned()), Cause::Tls, Advice::Retry),
        (Failure::Io("broken pipe".to_owned()), Cause::ConnectionLost, Advice::Retry),
    ] {
        let mut client = ClientStream::new(client_config(), [0; 32], crate::epoch());
        client.handle_failure(crate::epoch(), failure);
        let Some(balcony_session::client::Action::Ended(end)) = client.poll_action() else { panic!("no end") };
        assert_eq!((end.cause, end.advice()), (cause, advice));
        assert!(client.poll_action().is_none() && client.deadline().is_none());
    }
}

#[test]
fn carbons_are_switched_on_with_the_login_where_that_is_offered() {
    let mut host = Host::default();
    let mut server = server_config();
    server.bind2_features = vec!["urn:xmpp:carbons:2".to_owned()];
    let mut pair = Pair::new(client_config(), &Arc::new(server), 5);
    pair.run(&mut host);
    assert!(pair.seen.learned.as_ref().unwrap().carbons);
    assert!(host.enabled[0].is("enable", "urn:xmpp:carbons:2"));
    assert!(!online(&mut host).seen.learned.unwrap().carbons, "not where it is not offered");
}

/// Proves: C0386-4-1.
#[test]
fn the_tag_and_the_first_header_tell_nothing_private() {
    let pair = online(&mut Host::default());
    let said = pair.client_said();
    let (clear, _encrypted) = said.split_once("<starttls").unwrap();
    assert!(!clear.contains("romeo"), "who logs in is said inside TLS only");
    assert!(said.contains("<tag>Balcony</tag>"));
}

/// Proves: C0388-2-1, C0388-2-3.
#[test]
fn the_installation_names_itself_inside_tls_and_the_server_answers_with_the_address() {
    let id = "d4565fa7-4d72-4749-b3d3-740edbf87770";
    let mut host = Host::default();
    let mut client = client_config();
    client.user_agent = Some(UserAgent { id: id.to_owned(), software: "Balcony".to_owned(), device: None });
    let mut pair = Pair::new(client, &Arc::new(server_config()), 5);
    pair.run(&mut host);
    assert_eq!(host.user_agents, [Some(id.to_owned())]);
    let said = pair.client_said();
    assert!(said.find("<user-agent").unwrap() > said.find("<starttls").unwrap());
    let identifier = "<authorization-identifier>romeo@capulet.example/Balcony/1</authorization-identifier>";
    assert!(pair.server_said().contains(identifier));
}

#[test]
fn secrets_do_not_show_in_debug_output() {
    let mut server = server_config();
    server.mechanisms = vec![Mechanism::Plain];
    let mut pair = Pair::new(client_config(), &Arc::new(server), 5);
    let secret = balcony_wire::base64::encode(format!("\0romeo\0{PASSWORD}"));
    let mut shown = String::new();
    pair.run_with(&mut Host::default(), &mut |pair| shown.push_str(&format!("{:?} {:?}", pair.client, pair.server)));
    assert!(pair.client_said().contains(&secret), "PLAIN was used");
    assert!(!shown.contains(PASSWORD) && !shown.contains(&secret) && !shown.contains(&format!("{:?}", secret.as_bytes())));
}
