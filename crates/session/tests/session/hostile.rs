//! Peers that break the rules, by mistake or on purpose.

use std::sync::Arc;
use std::time::Duration;

use balcony_session::client::{Action, Advice, Ask, Cause, ClientStream, End};
use balcony_session::iq_table::RequestError;
use balcony_session::{ChannelBindings, Security, server};
use balcony_wire::stream::error::StreamErrorCondition;
use balcony_wire::{Element, Stanza};
use proptest::prelude::*;

use crate::epoch;
use crate::pair::{Host, Pair, client_config, message, online, server_config};

const HEADER: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' \
                      to='capulet.example' version='1.0'>";
const FROM_SERVER: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' \
                           from='capulet.example' id='x' version='1.0'>";

fn end_of(client: &mut ClientStream) -> Option<End> {
    std::iter::from_fn(|| client.poll_action()).find_map(|action| match action {
        Action::Ended(end) => Some(end),
        _ => None,
    })
}

/// What a client makes of a server that says just this.
fn client_hears(text: &str) -> End {
    let mut client = ClientStream::new(client_config(), [0; 32], epoch());
    client.handle_connected(epoch());
    client.handle_bytes(epoch(), text.as_bytes());
    end_of(&mut client).unwrap_or_else(|| panic!("the client goes on after {text}"))
}

/// Proves: C7590-1.
#[test]
fn stripped_starttls_is_refused_even_when_login_is_offered() {
    for features in [
        "<stream:features/>",
        "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism></mechanisms></stream:features>",
        "<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></stream:features>",
    ] {
        let end = client_hears(&format!("{FROM_SERVER}{features}"));
        assert_eq!((end.cause, end.advice()), (Cause::Downgrade, Advice::Stop));
    }
}

#[test]
fn words_injected_behind_proceed_are_noticed() {
    let mut client = ClientStream::new(client_config(), [0; 32], epoch());
    client.handle_connected(epoch());
    let injected = format!(
        "{FROM_SERVER}<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>\
         <proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>{FROM_SERVER}"
    );
    client.handle_bytes(epoch(), injected.as_bytes());
    assert!(end_of(&mut client).is_none());
    client.handle_tls(epoch(), ChannelBindings::NONE);
    assert_eq!(end_of(&mut client).unwrap().cause, Cause::Protocol);

    let mut server = server::ServerStream::new(Arc::new(server_config()), [0; 32], epoch());
    server.handle_bytes(epoch(), format!("{HEADER}<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>{HEADER}").as_bytes());
    server.handle_tls(epoch(), ChannelBindings::NONE);
    assert_eq!(server_end(&mut server).0, Some(StreamErrorCondition::PolicyViolation));
}

#[test]
fn stream_errors_end_with_their_own_cause_and_the_servers_words() {
    for (condition, cause, advice) in [
        ("host-unknown", Cause::HostUnknown, Advice::Stop),
        ("conflict", Cause::Conflict, Advice::Stop),
        ("policy-violation", Cause::PolicyViolation, Advice::Stop),
        ("system-shutdown", Cause::Server, Advice::Retry),
        ("reset", Cause::Server, Advice::Retry),
        ("something-new", Cause::Server, Advice::Retry),
    ] {
        let text = "<text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>a plague</text>";
        let error =
            format!("<stream:error><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>{text}</stream:error></stream:stream>");
        let end = client_hears(&format!("{FROM_SERVER}{error}"));
        assert_eq!((end.cause, end.advice()), (cause, advice), "{condition}");
        assert_eq!(end.server_words.as_deref(), Some("a plague"));
    }
    let moved =
        "<stream:error><see-other-host xmlns='urn:ietf:params:xml:ns:xmpp-streams'>other.example:5223</see-other-host></stream:error>";
    assert_eq!(client_hears(&format!("{FROM_SERVER}{moved}")).other_host.as_deref(), Some("other.example:5223"));
}

/// Proves: C6120-11-1.
#[test]
fn a_client_survives_servers_that_speak_no_xmpp() {
    for text in [
        "HTTP/1.1 400 Bad Request\r\n\r\n<html>",
        "<html><body/></html>",
        "<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a 'b'>]>",
        "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' from='capulet.example' id='x'>",
        "<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' from='capulet.example' version='1.0'>",
        "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' from='montague.example' version='1.0'>",
        &format!("{FROM_SERVER}<message xmlns='jabber:client'/>"),
        &format!(
            "{FROM_SERVER}<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features><failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
        ),
        &format!("{FROM_SERVER}<x xmlns='{}'", "a".repeat(100_000)),
        &format!("{FROM_SERVER}{}", "<a>".repeat(1000)),
        &format!("{FROM_SERVER}</stream:stream>"),
        "\u{0}\u{1}\u{2}",
    ] {
        assert_eq!(client_hears(text).advice(), Advice::Retry, "{}", &text[..text.len().min(80)]);
    }
}

fn server_end(server: &mut server::ServerStream) -> (Option<StreamErrorCondition>, String) {
    let mut said = Vec::new();
    while let Some(action) = server.poll_action() {
        match action {
            server::Action::Write(bytes) => said.extend(bytes),
            server::Action::Ended(end) => return (end.condition, String::from_utf8(said).unwrap()),
            _ => {}
        }
    }
    panic!("the server goes on; it said {}", String::from_utf8_lossy(&said));
}

/// What a server makes of a client that says this inside TLS.
fn server_hears(text: &str) -> (Option<StreamErrorCondition>, String) {
    let mut config = server_config();
    config.security = Security::DirectTls;
    let mut server = server::ServerStream::new(Arc::new(config), [0; 32], epoch());
    server.handle_tls(epoch(), crate::pair::bindings());
    server.handle_bytes(epoch(), text.as_bytes());
    server_end(&mut server)
}

/// Proves: C6120-4-1, C6120-4.9-1, C6120-11-1.
#[test]
fn a_server_names_what_is_wrong_with_a_stream_and_closes_it() {
    use StreamErrorCondition as Condition;
    let wrong_domain = HEADER.replace("capulet", "montague");
    let deep = format!("{HEADER}{}", "<a>".repeat(100));
    let giant = format!("{HEADER}<a b='{}'/>", "x".repeat(300_000));
    let wide = format!("{HEADER}<a {}/>", (0..100).map(|n| format!("a{n}='' ")).collect::<String>());
    let long = format!("{HEADER}<a>{}</a>", "<b/>".repeat(50_000));
    for (text, condition) in [
        (wrong_domain.as_str(), Condition::HostUnknown),
        (&HEADER.replace(" to='capulet.example'", ""), Condition::ImproperAddressing),
        (&HEADER.replace(" version='1.0'>", ">"), Condition::UnsupportedVersion),
        (&HEADER.replace("'jabber:client'", "'jabber:server'"), Condition::InvalidNamespace),
        (&HEADER.replace("etherx", "ethery"), Condition::InvalidNamespace),
        (&format!("{HEADER}<a></b>"), Condition::NotWellFormed),
        (&format!("{HEADER}<!-- hello -->"), Condition::RestrictedXml),
        (&format!("{HEADER}<?php ?>"), Condition::RestrictedXml),
        (&format!("{HEADER}<a>&nbsp;</a>"), Condition::RestrictedXml),
        ("<!DOCTYPE stream [<!ENTITY a 'a'>]>", Condition::RestrictedXml),
        (&format!("{HEADER}hello"), Condition::BadFormat),
        (&format!("{HEADER}<x:a/>"), Condition::BadNamespacePrefix),
        (&deep, Condition::PolicyViolation),
        (&giant, Condition::PolicyViolation),
        (&wide, Condition::PolicyViolation),
        (&long, Condition::PolicyViolation),
        (&format!("{HEADER}<message to='juliet@capulet.example'/>"), Condition::NotAuthorized),
        (&format!("{HEADER}<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>"), Condition::NotAuthorized),
    ] {
        let (said_condition, said) = server_hears(text);
        let shown = &text[..text.len().min(200)];
        assert_eq!(said_condition, Some(condition), "{shown}");
        assert!(said.starts_with("<?xml version='1.0'?><stream:stream"), "a header comes first: {shown}");
        assert_eq!(said.matches("<stream:stream").count(), 1);
        assert!(said.contains(&format!("<{}", condition.as_str())), "{said}");
        assert!(said.ends_with("</stream:stream>"));
    }
    let mut not_utf8 = HEADER.as_bytes().to_vec();
    not_utf8.extend(b"<a>\xff</a>");
    let mut config = server_config();
    config.security = Security::DirectTls;
    let mut server = server::ServerStream::new(Arc::new(config), [0; 32], epoch());
    server.handle_tls(epoch(), ChannelBindings::NONE);
    server.handle_bytes(epoch(), &not_utf8);
    assert_eq!(server_end(&mut server).0, Some(Condition::UnsupportedEncoding));
}

#[test]
fn nothing_but_starttls_is_taken_in_the_clear() {
    for (text, expected) in [
        ("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AHJvbWVvAHg=</auth>", "encryption-required"),
        ("<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'/>", "encryption-required"),
        ("<message/>", "policy-violation"),
    ] {
        let mut server = server::ServerStream::new(Arc::new(server_config()), [0; 32], epoch());
        server.handle_bytes(epoch(), format!("{HEADER}{}", text.repeat(3)).as_bytes());
        assert!(server_end(&mut server).1.contains(expected), "{text}");
    }
}

/// SASL abuse inside TLS: every message three times ends the connection, none gets in, none panics.
#[test]
fn sasl_abuse_ends_in_a_failure_never_in_a_login() {
    let b64 = |text: &str| balcony_wire::base64::encode(text);
    let auth =
        |mechanism: &str, data: &str| format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='{mechanism}'>{data}</auth>");
    let response = "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>biws</response>";
    let abort = "<abort xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>";
    for (text, condition) in [
        (auth("SCRAM-SHA-1", &b64("n,,")), "malformed-request"),
        (auth("SCRAM-SHA-1", "="), "malformed-request"),
        (auth("SCRAM-SHA-1-PLUS", &b64("n,,n=romeo,r=abc")), "not-authorized"),
        (auth("SCRAM-SHA-1", &b64("y,,n=romeo,r=abc")), "not-authorized"),
        (auth("SCRAM-SHA-1", &b64("n,a=juliet,n=romeo,r=abc")), "invalid-authzid"),
        (auth("SCRAM-SHA-1", "%%%"), "incorrect-encoding"),
        (auth("PLAIN", &b64("romeo")), "malformed-request"),
        (auth("PLAIN", &b64("\0\0")), "malformed-request"),
        (auth("PLAIN", &b64("\0romeo\0a\0b")), "malformed-request"),
        (auth("PLAIN", &b64("juliet@capulet.example\0romeo\0a")), "invalid-authzid"),
        (auth("PLAIN", &b64("\0ro/meo\0a")), "not-authorized"),
        (auth("PLAIN", &b64("\0romeo@montague.example\0a")), "not-authorized"),
        (auth("PLAIN", &balcony_wire::base64::encode(b"\0romeo\0\xff")), "malformed-request"),
        (auth("DIGEST-MD5", ""), "invalid-mechanism"),
        (auth("", ""), "invalid-mechanism"),
        ("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>".to_owned(), "invalid-mechanism"),
        (response.to_owned(), "malformed-request"),
        (abort.to_owned(), "aborted"),
        (format!("{}{abort}", auth("SCRAM-SHA-1", "")), "aborted"),
        (format!("{}{response}", auth("SCRAM-SHA-1", "")), "malformed-request"),
        (format!("{}<message/>", auth("SCRAM-SHA-1", "")), "not-authorized"),
        ("<authenticate xmlns='urn:xmpp:sasl:2'/>".to_owned(), "malformed-request"),
        ("<authenticate xmlns='urn:xmpp:sasl:2' mechanism='X'/>".to_owned(), "invalid-mechanism"),
    ] {
        let (end, said) = server_hears(&format!("{HEADER}{}", text.repeat(3)));
        assert!(said.contains(&format!("<{condition}")), "{text}: {said}");
        assert!(matches!(end, Some(StreamErrorCondition::PolicyViolation | StreamErrorCondition::NotAuthorized)), "{text}");
    }
}

/// Proves: C6120-8.2-3, C6120-8.2-2.
#[test]
fn answers_from_anybody_but_the_one_asked_are_not_taken() {
    let mut host = Host::default();
    let mut pair = online(&mut host);
    let ask = |pair: &mut Pair, to: Option<&str>| {
        let ping = Element::new("ping", "urn:xmpp:ping");
        let request = pair.client.request(pair.now, to.map(|to| to.parse().unwrap()), Ask::Get(ping), Duration::from_secs(30));
        pair.run(&mut Host::default());
        let Some(Stanza::Iq(iq)) = pair.served.stanzas.last() else { panic!("no iq") };
        (request, iq.id.clone())
    };
    let answer = |pair: &mut Pair, id: &str, from: &str, kind: &str| {
        let from = if from.is_empty() { String::new() } else { format!("from='{from}'") };
        pair.client.handle_bytes(pair.now, format!("<iq xmlns='jabber:client' {from} type='{kind}' id='{id}'/>").as_bytes());
        pair.run(&mut Host::default());
        pair.seen.answers.len()
    };
    let own = "romeo@capulet.example";
    let full = pair.client.jid().unwrap().as_str().to_owned();
    for (to, wrong, right) in [
        (
            None,
            vec!["juliet@capulet.example", "romeo@montague.example", "romeo@capulet.example/other"],
            vec!["", own, "capulet.example", &full],
        ),
        (
            Some("juliet@capulet.example/balcony"),
            vec!["", own, "juliet@capulet.example", "capulet.example"],
            vec!["juliet@capulet.example/balcony"],
        ),
        (Some("capulet.example"), vec![own, "juliet@capulet.example", "montague.example"], vec!["", "capulet.example"]),
        (Some(own), vec!["capulet.example", "juliet@capulet.example"], vec!["", own]),
    ] {
        for right in right {
            let before = pair.seen.answers.len();
            let (request, id) = ask(&mut pair, to);
            for from in &wrong {
                assert_eq!(answer(&mut pair, &id, from, "result"), before, "to {to:?}, forged by {from:?}");
                assert_eq!(answer(&mut pair, &id, from, "error"), before);
            }
            assert_eq!(answer(&mut pair, &id, right, "result"), before + 1, "to {to:?}, answered by {right:?}");
            assert_eq!(pair.seen.answers.last().unwrap(), &(request, Ok(None)));
            assert_eq!(answer(&mut pair, &id, right, "result"), before + 1, "a second answer is nobody's");
        }
    }
    assert!(pair.seen.stanzas.is_empty(), "forgeries are not handed up");
    assert!(!pair.client_said().contains("type='error'"), "and never answered");
}

#[test]
fn requests_run_out_of_time_one_by_one() {
    let mut host = Host::default();
    let mut pair = online(&mut host);
    let ping = || Ask::Get(Element::new("ping", "urn:xmpp:ping"));
    let slow = pair.client.request(pair.now, None, ping(), Duration::from_secs(20));
    let quick = pair.client.request(pair.now, None, ping(), Duration::from_secs(10));
    let cancelled = pair.client.request(pair.now, None, ping(), Duration::from_secs(5));
    pair.client.cancel(cancelled);
    pair.pass(&mut host, Duration::from_secs(15));
    assert_eq!(pair.seen.answers, [(quick, Err(RequestError::TimedOut))]);
    pair.pass(&mut host, Duration::from_secs(15));
    assert_eq!(pair.seen.answers[1], (slow, Err(RequestError::TimedOut)));
}

#[test]
fn a_request_without_login_fails_at_once() {
    let mut client = ClientStream::new(client_config(), [0; 32], epoch());
    let request = client.request(epoch(), None, Ask::Get(Element::new("ping", "urn:xmpp:ping")), Duration::from_secs(1));
    let Some(Action::Answer { request: answered, result }) = client.poll_action() else { panic!("no answer") };
    assert_eq!((answered, result), (request, Err(RequestError::NotOnline)));
}

/// Proves: C6120-8.1-1.
#[test]
fn the_server_stamps_the_sender_and_ends_the_stream_of_a_liar() {
    let mut host = Host::default();
    let say = |pair: &mut Pair, from: &str, host: &mut Host| {
        let from = if from.is_empty() { String::new() } else { format!(" from='{from}'") };
        pair.server.handle_bytes(pair.now, format!("<message xmlns='jabber:client'{from}><body>x</body></message>").as_bytes());
        pair.run(host);
    };
    let mut pair = online(&mut host);
    let full = pair.server.jid().unwrap().as_str().to_owned();
    for from in ["", "romeo@capulet.example", &full] {
        say(&mut pair, from, &mut host);
        assert_eq!(pair.served.stanzas.last().unwrap().from().unwrap().as_str(), full);
    }
    for from in ["juliet@capulet.example", "capulet.example", "romeo@capulet.example/other", "@@@"] {
        let mut pair = online(&mut host);
        say(&mut pair, from, &mut host);
        assert_eq!(pair.served.end.as_ref().unwrap().condition, Some(StreamErrorCondition::InvalidFrom), "{from}");
        assert!(pair.served.stanzas.is_empty());
    }
}

/// Proves: C6120-8.2-1, C6120-8.3-1.
#[test]
fn a_malformed_stanza_is_answered_and_the_stream_goes_on() {
    let mut host = Host::default();
    let mut pair = online(&mut host);
    for (text, condition) in [
        ("<iq type='get' xmlns='jabber:client'><a xmlns='b'/></iq>", "bad-request"),
        ("<iq type='get' id='1' xmlns='jabber:client'/>", "bad-request"),
        ("<iq type='get' id='2' xmlns='jabber:client'><a xmlns='b'/><a xmlns='b'/></iq>", "bad-request"),
        ("<iq type='steal' id='3' xmlns='jabber:client'><a xmlns='b'/></iq>", "bad-request"),
        ("<message id='4' to='@@@' xmlns='jabber:client'/>", "jid-malformed"),
        ("<presence id='5' type='odd' xmlns='jabber:client'/>", "bad-request"),
    ] {
        let before = pair.said_by_server.len();
        pair.server.handle_bytes(pair.now, text.as_bytes());
        pair.run(&mut host);
        let said = String::from_utf8_lossy(&pair.said_by_server[before..]).into_owned();
        assert!(said.contains(&format!("<{condition}")), "{text}: {said}");
    }
    for text in ["<message type='error' to='@@@' xmlns='jabber:client'/>", "<iq type='result' to='@@@' id='6' xmlns='jabber:client'/>"] {
        let before = pair.said_by_server.len();
        pair.server.handle_bytes(pair.now, text.as_bytes());
        pair.run(&mut host);
        assert!(!String::from_utf8_lossy(&pair.said_by_server[before..]).contains("type='error'"), "errors are not answered");
    }
    assert!(pair.served.end.is_none() && pair.served.stanzas.is_empty());
    pair.client.send(pair.now, message("still here")).unwrap();
    pair.run(&mut host);
    assert_eq!(pair.served.bodies(), ["still here"]);
}

#[test]
fn a_malformed_stanza_does_not_end_the_client_and_is_counted_as_handled() {
    let mut host = Host::default();
    let mut pair = online(&mut host);
    for text in
        ["<iq from='a@b' type='get' id='1' xmlns='jabber:client'/>", "<message from='@@@' xmlns='jabber:client'/>", "<x xmlns='y'/>"]
    {
        pair.client.handle_bytes(pair.now, text.as_bytes());
    }
    pair.client.handle_bytes(pair.now, b"<r xmlns='urn:xmpp:sm:3'/>");
    let mut said = Vec::new();
    while let Some(action) = pair.client.poll_action() {
        match action {
            Action::Write(bytes) => said.extend(bytes),
            other => panic!("{other:?}"),
        }
    }
    let said = String::from_utf8(said).unwrap();
    assert!(said.contains("<bad-request") && said.contains("h='2'"), "{said}");
    pair.server.send(pair.now, message("s0")).unwrap();
}

/// Proves: C0198-6-1.
#[test]
fn a_count_that_is_too_high_ends_the_stream_by_name() {
    let ack = b"<a xmlns='urn:xmpp:sm:3' h='7'/>";
    let mut host = Host::default();
    let mut pair = online(&mut host);
    pair.server.handle_bytes(pair.now, ack);
    pair.run(&mut host);
    assert_eq!(pair.served.end.as_ref().unwrap().condition, Some(StreamErrorCondition::UndefinedCondition));
    assert!(pair.server_said().contains("<handled-count-too-high xmlns='urn:xmpp:sm:3' h='7' send-count='0'/>"));

    let mut pair = online(&mut host);
    pair.client.handle_bytes(pair.now, ack);
    pair.run(&mut host);
    assert_eq!(pair.seen.cause(), Cause::Protocol);
    assert!(pair.client_said().contains("handled-count-too-high"));
    assert!(pair.part(&mut host).0.is_none(), "counters that differ are no base to go on from");
}

#[test]
fn stream_management_out_of_place_is_refused_and_the_stream_goes_on() {
    let mut host = Host::default();
    let mut pair = online(&mut host);
    for text in ["<enable xmlns='urn:xmpp:sm:3'/>", "<resume xmlns='urn:xmpp:sm:3' previd='x' h='0'/>"] {
        let before = pair.said_by_server.len();
        pair.server.handle_bytes(pair.now, text.as_bytes());
        pair.run(&mut host);
        assert!(String::from_utf8_lossy(&pair.said_by_server[before..]).contains("unexpected-request"), "{text}");
    }
    assert!(pair.served.end.is_none());
    pair.server.handle_bytes(pair.now, b"<unheard xmlns='of'/>");
    pair.run(&mut host);
    assert_eq!(pair.served.end.unwrap().condition, Some(StreamErrorCondition::UnsupportedStanzaType));
}

#[test]
fn a_client_that_does_not_wait_for_answers_is_bounded() {
    let mut config = server_config();
    config.security = Security::DirectTls;
    let mut server = server::ServerStream::new(Arc::new(config), [0; 32], epoch());
    server.handle_tls(epoch(), ChannelBindings::NONE);
    let plain = balcony_wire::base64::encode("\0romeo\0x");
    let auth = format!("{HEADER}<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{plain}</auth>");
    server.handle_bytes(epoch(), auth.as_bytes());
    assert!(server.is_waiting());
    for _ in 0..100 {
        server.handle_bytes(epoch(), &[b' '; 1024]);
    }
    assert_eq!(server_end(&mut server).0, Some(StreamErrorCondition::PolicyViolation));
}

#[test]
fn bytes_in_the_middle_of_a_handshake_are_not_collected() {
    let mut server = server::ServerStream::new(Arc::new(server_config()), [0; 32], epoch());
    server.handle_bytes(epoch(), format!("{HEADER}<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>").as_bytes());
    let mut client = ClientStream::new(client_config(), [0; 32], epoch());
    for _ in 0..1000 {
        server.handle_bytes(epoch(), &[b'x'; 100_000]);
        client.handle_bytes(epoch(), &[b'x'; 100_000]);
    }
    server.handle_tls(epoch(), ChannelBindings::NONE);
    assert_eq!(server_end(&mut server).0, Some(StreamErrorCondition::PolicyViolation));
}

/// A server's limit on stanzas is kept by the client, before the server has to end the stream over it.
#[test]
fn a_stanza_that_the_server_would_refuse_is_not_sent() {
    let mut host = Host::default();
    let mut pair = online(&mut host);
    let long = "x".repeat(600_000);
    let refused = pair.client.send(pair.now, message(&long));
    assert!(matches!(refused, Err(balcony_session::client::SendError::TooLarge { limit: 524_288, .. })), "{refused:?}");
    pair.client.send(pair.now, message("short")).unwrap();
    pair.run(&mut host);
    assert_eq!(pair.served.bodies(), ["short"]);
}

/// A message that grew on its way through the server must not end the client: it would be there again after the next login.
#[test]
fn a_message_that_grew_at_the_server_does_not_throw_its_addressee_out() {
    let mut host = Host::default();
    let mut pair = online(&mut host);
    let grown =
        format!("<message xmlns='jabber:client' from='a@b'>{}</message>", format!("<body>{}</body>", "&amp;".repeat(200_000)).repeat(2));
    assert!(grown.len() > 3 * 512 * 1024);
    pair.client.handle_bytes(pair.now, grown.as_bytes());
    pair.run(&mut host);
    assert_eq!(pair.seen.stanzas.len(), 1);
    assert!(pair.client.jid().is_some());
}

/// Proves: C0352-4-1.
#[test]
fn client_state_is_told_and_gets_no_answer() {
    use balcony_session::client::Activity;
    let mut host = Host::default();
    let mut pair = online(&mut host);
    pair.client.set_activity(pair.now, Activity::Inactive);
    pair.client.set_activity(pair.now, Activity::Active);
    pair.run(&mut host);
    assert_eq!(pair.served.activity, [Activity::Inactive, Activity::Active]);
    assert!(pair.server_said().ends_with("</stream:features>"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn arbitrary_bytes_never_panic_a_machine(bytes in proptest::collection::vec(any::<u8>(), 0..300), at in 0_usize..3) {
        let mut host = Host::default();
        match at {
            0 => {
                let mut client = ClientStream::new(client_config(), [0; 32], epoch());
                client.handle_connected(epoch());
                client.handle_bytes(epoch(), &bytes);
                while client.poll_action().is_some() {}
            }
            1 => {
                let mut server = server::ServerStream::new(Arc::new(server_config()), [0; 32], epoch());
                server.handle_bytes(epoch(), &bytes);
                while server.poll_action().is_some() {}
            }
            _ => {
                let mut pair = online(&mut host);
                pair.client.handle_bytes(epoch(), &bytes);
                pair.server.handle_bytes(epoch(), &bytes);
                pair.run(&mut host);
            }
        }
    }

    /// Words of the protocol in any order, at any time: answers or an end, never a panic, never a login.
    #[test]
    fn words_in_any_order_never_log_in(words in proptest::collection::vec(0_usize..12, 1..12)) {
        const WORDS: [&str; 12] = [
            "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
            "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-1'>bixhPSxuPXJvbWVvLHI9YWJj</auth>",
            "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-1'>biwsbj1yb21lbyxyPWFiYw==</auth>",
            "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>Yz1iaXdzLHI9YWJjLHA9QUFBQQ==</response>",
            "<response xmlns='urn:xmpp:sasl:2'/>",
            "<abort xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>",
            "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='SCRAM-SHA-1'><bind xmlns='urn:xmpp:bind:0'/></authenticate>",
            "<iq type='set' id='1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>",
            "<enable xmlns='urn:xmpp:sm:3' resume='true'/>",
            "<resume xmlns='urn:xmpp:sm:3' previd='x' h='0'/>",
            "<a xmlns='urn:xmpp:sm:3' h='4294967295'/>",
            "<message to='juliet@capulet.example'/>",
        ];
        let mut config = server_config();
        config.security = Security::DirectTls;
        let mut server = server::ServerStream::new(Arc::new(config), [0; 32], epoch());
        server.handle_tls(epoch(), ChannelBindings::NONE);
        server.handle_bytes(epoch(), HEADER.as_bytes());
        for word in words {
            server.handle_bytes(epoch(), WORDS[word].as_bytes());
            while let Some(action) = server.poll_action() {
                match action {
                    server::Action::LookUp { .. } => {
                        let keys = crate::pair::keys(balcony_session::ScramHash::Sha1).stored();
                        server.handle_credentials(epoch(), Some(keys));
                    }
                    server::Action::Bind(_) | server::Action::Stanza(_) | server::Action::Resume { .. } => prop_assert!(false, "logged in"),
                    _ => {}
                }
            }
        }
        prop_assert!(server.jid().is_none());
    }
}
