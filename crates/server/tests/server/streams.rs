//! From the first byte to a bound address, and how streams end.

use std::time::{Duration, Instant};

use balcony_server::{Server, Settings, StartError};
use balcony_session::client::{Action, ClientConfig, ClientStream, Credentials};
use balcony_session::{ChannelBindings, Mechanism, Security};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::house::{House, house, house_with, start_in};
use crate::peer::Peer;

/// A login by our own client machine; what it learned.
async fn client_login(house: &House, security: Security, password: &str) -> Result<(Mechanism, String), String> {
    let mut config = ClientConfig::new("romeo@localhost".parse().unwrap(), Credentials::Password(password.to_owned()));
    config.security = security;
    let address = if security == Security::DirectTls { house.server.c2s_tls_addr() } else { house.server.c2s_addr() };
    let mut tcp = Some(TcpStream::connect(address).await.unwrap());
    let mut tls = None;
    let mut stream = ClientStream::new(config, [7; 32], Instant::now());
    if security == Security::StartTls {
        stream.handle_connected(Instant::now());
    }
    let mut wants_tls = security == Security::DirectTls;
    let mut buffer = [0; 4096];
    loop {
        if std::mem::take(&mut wants_tls) {
            let encrypted =
                house.tls("xmpp-client").connect(ServerName::try_from("localhost").unwrap(), tcp.take().unwrap()).await.unwrap();
            let exporter = encrypted.get_ref().1.export_keying_material(vec![0; 32], b"EXPORTER-Channel-Binding", Some(b"")).unwrap();
            tls = Some(encrypted);
            stream.handle_tls(Instant::now(), ChannelBindings { exporter: Some(exporter), server_end_point: None });
        }
        while let Some(action) = stream.poll_action() {
            match action {
                Action::Write(bytes) => match (&mut tls, &mut tcp) {
                    (Some(tls), _) => tls.write_all(&bytes).await.unwrap(),
                    (None, Some(tcp)) => tcp.write_all(&bytes).await.unwrap(),
                    (None, None) => panic!("there is no connection"),
                },
                Action::StartTls => wants_tls = true,
                Action::Online { jid, learned, .. } => return Ok((learned.mechanism, jid.as_str().to_owned())),
                Action::Ended(end) => return Err(format!("{end:?}")),
                _ => {}
            }
        }
        if wants_tls {
            continue;
        }
        let count = match (&mut tls, &mut tcp) {
            (Some(tls), _) => tls.read(&mut buffer).await.unwrap(),
            (None, Some(tcp)) => tcp.read(&mut buffer).await.unwrap(),
            (None, None) => panic!("there is no connection"),
        };
        stream.handle_bytes(Instant::now(), &buffer[..count]);
    }
}

/// Proves: C6120-4.3-1, C6120-4.3-2, C6120-5-1, C6120-6-1, C6120-7-1.
#[tokio::test]
async fn a_client_logs_in_through_both_doors_bound_to_its_tls_connection() {
    let house = house().await;
    for security in [Security::StartTls, Security::DirectTls] {
        let (mechanism, jid) = client_login(&house, security, "romeo").await.unwrap();
        assert!(mechanism.is_plus() && mechanism.hash().is_some(), "{mechanism:?}");
        assert!(jid.starts_with("romeo@localhost/"), "{jid}");
        let refused = client_login(&house, security, "wrong").await.unwrap_err();
        assert!(refused.contains("Credentials"), "{refused}");
    }
}

/// Proves: C6120-6-2, C0388-3-1.
#[tokio::test]
async fn features_name_every_mechanism_inside_tls_and_none_outside() {
    let house = house().await;
    let mut peer = Peer::connect(&house).await;
    let features = peer.open().await;
    let mechanisms = features.child("mechanisms", "urn:ietf:params:xml:ns:xmpp-sasl").unwrap();
    assert!(features.child("authentication", "urn:xmpp:sasl:2").is_some());
    let names: Vec<String> = mechanisms.children().map(|mechanism| mechanism.text()).collect();
    for name in ["SCRAM-SHA-1", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-512", "SCRAM-SHA-512-PLUS", "PLAIN"] {
        assert!(names.iter().any(|offered| offered == name), "{name} in {names:?}");
    }
    assert!(features.children().all(|child| child.name() != "starttls"));
    let plain = plaintext(
        &house,
        "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='localhost' version='1.0'>",
    )
    .await;
    assert!(
        plain.contains("<starttls") && plain.contains("<required") && !plain.contains("PLAIN") && !plain.contains("urn:xmpp:sasl:2"),
        "{plain}"
    );
}

/// What the server says to something said in the clear, up to a pause.
async fn plaintext(house: &House, said: &str) -> String {
    let mut tcp = TcpStream::connect(house.server.c2s_addr()).await.unwrap();
    tcp.write_all(said.as_bytes()).await.unwrap();
    let mut heard = Vec::new();
    let mut buffer = [0; 4096];
    while !String::from_utf8_lossy(&heard).contains("</stream:features>") {
        match tokio::time::timeout(crate::peer::PATIENCE, tcp.read(&mut buffer)).await.unwrap().unwrap() {
            0 => break,
            count => heard.extend_from_slice(&buffer[..count]),
        }
    }
    String::from_utf8(heard).unwrap()
}

/// Proves: C6120-5-1.
#[tokio::test]
async fn a_line_break_behind_starttls_is_taken_and_a_stanza_is_not() {
    let house = house().await;
    for (behind, fine) in [("\n", true), ("<iq type='get' id='x'/>", false)] {
        let mut tcp = TcpStream::connect(house.server.c2s_addr()).await.unwrap();
        let header = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='localhost' version='1.0'>";
        tcp.write_all(format!("{header}<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>{behind}").as_bytes()).await.unwrap();
        let mut heard = String::new();
        let mut byte = [0];
        while !heard.contains("<proceed") || !heard.ends_with('>') {
            tcp.read_exact(&mut byte).await.unwrap();
            heard.push(char::from(byte[0]));
        }
        let mut tls = house.tls("xmpp-client").connect(ServerName::try_from("localhost").unwrap(), tcp).await.unwrap();
        tls.write_all(header.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let mut buffer = [0; 4096];
        while !["</stream:features>", "</stream:stream>"].iter().any(|end| String::from_utf8_lossy(&answer).contains(end)) {
            let count = tls.read(&mut buffer).await.unwrap();
            assert!(count > 0, "closed after {}", String::from_utf8_lossy(&answer));
            answer.extend_from_slice(&buffer[..count]);
        }
        assert_eq!(String::from_utf8_lossy(&answer).contains("<mechanism>"), fine, "{behind:?}");
    }
}

#[tokio::test]
async fn a_wrong_password_and_a_name_without_account_look_the_same() {
    let house = house().await;
    let mut answers = Vec::new();
    for name in ["romeo", "nobody", "nobody"] {
        let mut peer = house.stranger().await;
        let plain = peer.try_plain(name, "wrong").await.to_xml();
        let first = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, format!("n,,n={name},r=fyko+d2lbbFgONRv9qkxdawL"));
        peer.send(&format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-256'>{first}</auth>")).await;
        let challenge = peer.next().await;
        assert_eq!(challenge.name(), "challenge");
        let text = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, challenge.text()).unwrap();
        let text = String::from_utf8(text).unwrap();
        let salt = text.split(',').find(|part| part.starts_with("s=")).unwrap().to_owned();
        let iterations = text.split(',').find(|part| part.starts_with("i=")).unwrap().to_owned();
        answers.push((plain, salt.len(), iterations, salt));
    }
    assert_eq!((&answers[0].0, answers[0].1, &answers[0].2), (&answers[1].0, answers[1].1, &answers[1].2));
    assert_eq!(answers[1].3, answers[2].3, "the salt of an unknown name stays");
}

/// Proves: C6120-4.9-1, C6120-11-1, C6120-4-1.
#[tokio::test]
async fn broken_streams_end_by_name_and_the_next_client_is_served() {
    let house = house().await;
    let deep = format!("<message><a xmlns='x'>{}", "<b>".repeat(100));
    let long = format!("<message><body>{}", "x".repeat(300 * 1024));
    let wide = format!("<message {}/>", (0..300).map(|n| format!("a{n}='x' ")).collect::<String>());
    let large = format!("<message>{}", format!("<body>{}</body>", "x".repeat(200 * 1024)).repeat(4));
    let cases = [
        ("<message><body></message>", "not-well-formed"),
        ("<!-- hello -->", "restricted-xml"),
        ("<message><body><?target data?></body></message>", "restricted-xml"),
        ("<message><body>&bomb;</body></message>", "restricted-xml"),
        ("<!DOCTYPE a [<!ENTITY b 'c'>]>", "restricted-xml"),
        ("<message xmlns='jabber:server'/>", ""),
        ("<message xmlns='urn:example'/>", "unsupported-stanza-type"),
        ("<x:message/>", "bad-namespace-prefix"),
        ("text between stanzas", "bad-format"),
        ("<message from='juliet@localhost/x' to='nurse@localhost'/>", "invalid-from"),
        (&deep, "policy-violation"),
        (&long, "policy-violation"),
        (&wide, "policy-violation"),
        (&large, "policy-violation"),
    ];
    for (said, expected) in cases.into_iter().filter(|(_, expected)| !expected.is_empty()) {
        let mut peer = house.login("romeo", "balcony").await;
        peer.try_send(said).await;
        assert_eq!(peer.ending().await.as_deref(), Some(expected), "{}", &said[..said.len().min(60)]);
    }
    house.online("romeo", "balcony").await.log_out().await;
}

/// Proves: C6120-4-1.
#[tokio::test]
async fn wrong_headers_end_by_name() {
    let house = house().await;
    let header = |to: &str, ns: &str, stream: &str| format!("<stream:stream xmlns='{ns}' xmlns:stream='{stream}' {to} version='1.0'>");
    let streams = "http://etherx.jabber.org/streams";
    for (said, expected) in [
        (header("to='elsewhere.example'", "jabber:client", streams), "host-unknown"),
        (header("to='localhost'", "jabber:server", streams), "invalid-namespace"),
        (header("to='localhost'", "jabber:client", "urn:example"), "invalid-namespace"),
        ("<html>".to_owned(), "invalid-namespace"),
    ] {
        let heard = plaintext_until_closed(&house, &said).await;
        assert!(heard.contains(&format!("<{expected} ")), "{said}: {heard}");
    }
}

async fn plaintext_until_closed(house: &House, said: &str) -> String {
    let mut tcp = TcpStream::connect(house.server.c2s_addr()).await.unwrap();
    tcp.write_all(said.as_bytes()).await.unwrap();
    let mut heard = String::new();
    let read = tokio::time::timeout(crate::peer::PATIENCE, tcp.read_to_string(&mut heard)).await;
    assert!(read.is_ok_and(|read| read.is_ok()), "{said}: not closed after {heard}");
    heard
}

/// Proves: C6120-13.12-1.
#[tokio::test]
async fn the_limit_on_stanzas_is_announced_and_no_lower_than_allowed() {
    let house = house().await;
    let mut peer = house.stranger().await;
    let features = peer.log_in("romeo", "romeo").await;
    let limits = features.child("limits", "urn:xmpp:stream-limits:0").unwrap();
    let most: usize = limits.child_text("max-bytes").unwrap().parse().unwrap();
    assert!(most >= 10_000);
    peer.bind("balcony").await;
    peer.send("<presence/>").await;
    let text = "x".repeat(200_000);
    peer.send(&format!("<message type='chat' to='romeo@localhost'><body>{text}</body></message>")).await;
    let came = peer.until(|element| element.name() == "message").await;
    assert_eq!(came.child_text("body"), Some(text));
}

#[tokio::test]
async fn the_same_resource_again_ends_the_older_session_and_tells_who_saw_it() {
    let house = house().await;
    let mut old = house.online("romeo", "balcony").await;
    let mut other = house.online("romeo", "garden").await;
    other.settle().await;
    let new = house.login("romeo", "balcony").await;
    assert_eq!(new.jid, "romeo@localhost/balcony");
    assert_eq!(old.ending().await.as_deref(), Some("conflict"));
    let gone = other.until(|element| element.attr("from") == Some("romeo@localhost/balcony")).await;
    assert_eq!(gone.attr("type"), Some("unavailable"));
}

/// Proves: C7622-4-1.
#[tokio::test]
async fn resources_that_precis_refuses_are_refused() {
    let house = house().await;
    let mut peer = house.stranger().await;
    peer.log_in("romeo", "romeo").await;
    let refused = peer.try_bind("heart \u{2764}\u{fe0f}").await;
    assert_eq!(crate::peer::condition(&refused), "jid-malformed");
    peer.bind("heart \u{1f914}").await;
}

#[tokio::test]
async fn a_server_that_ends_says_so_and_starts_again_with_all_it_had() {
    let house = house().await;
    let mut peer = house.online("romeo", "balcony").await;
    let ca = house.server.ca_pem().unwrap().to_owned();
    let house = house.restart().await;
    assert_eq!(peer.ending().await.as_deref(), Some("system-shutdown"));
    assert_eq!(house.server.ca_pem(), Some(ca.as_str()));
    assert_eq!(house.server.accounts().await.unwrap(), ["juliet", "nurse", "romeo"]);
    house.online("romeo", "balcony").await.log_out().await;
}

#[tokio::test]
async fn two_servers_do_not_share_a_folder_and_a_bad_domain_is_refused() {
    let house = house().await;
    let again = Server::start(Settings::new("localhost", house.folder.path().join("data"))).await;
    assert!(matches!(again, Err(StartError::InUse(_))));
    for domain in ["", "a@b", "a/b", "a b"] {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(Server::start(Settings::new(domain, folder.path())).await, Err(StartError::Domain { .. })), "{domain:?}");
    }
}

#[tokio::test]
async fn a_dropped_handle_ends_the_server_and_frees_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let first = start_in(&folder, |_| {}).await;
    let address = first.c2s_addr();
    drop(first);
    let until = Instant::now() + crate::peer::PATIENCE;
    let settings = Settings::new("localhost", folder.path().join("data"));
    loop {
        match Server::start(settings.clone()).await {
            Ok(second) => break second.shutdown().await,
            Err(StartError::InUse(_)) if Instant::now() < until => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    }
    // Its port is free as well, and by now may be anybody's for a moment.
    while TcpStream::connect(address).await.is_ok() {
        assert!(Instant::now() < until, "it still listens");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_deleted_account_is_logged_out_and_cannot_come_back() {
    let house = house().await;
    let mut peer = house.online("nurse", "x").await;
    house.server.remove_account("nurse").await.unwrap();
    assert_eq!(peer.ending().await.as_deref(), Some("not-authorized"));
    let mut again = house.stranger().await;
    assert_eq!(again.try_plain("nurse", "nurse").await.name(), "failure");
}

#[tokio::test]
async fn who_does_not_log_in_and_who_comes_too_often_is_turned_away() {
    let house = house_with(|settings| {
        settings.limits.login_deadline = Duration::from_secs(2);
        settings.limits.connections_per_address = 2;
    })
    .await;
    let mut first = house.stranger().await;
    let second = TcpStream::connect(house.server.c2s_addr()).await.unwrap();
    let mut third = TcpStream::connect(house.server.c2s_addr()).await.unwrap();
    let mut words = String::new();
    third.read_to_string(&mut words).await.unwrap();
    assert!(words.contains("resource-constraint"), "{words}");
    assert_eq!(first.ending().await.as_deref(), Some("connection-timeout"));
    drop((first, second));
    // The places are free once the server has noticed.
    let until = Instant::now() + crate::peer::PATIENCE;
    while plaintext_until_closed(&house, "").await.contains("resource-constraint") {
        assert!(Instant::now() < until, "places are not given back");
    }
}

/// One step from the header to a bound address.
async fn sasl2(house: &House, agent: &str) -> (Peer, balcony_wire::Element) {
    let mut peer = house.stranger().await;
    let secret = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, "\0romeo\0romeo");
    peer.send(&format!(
        "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'><initial-response>{secret}</initial-response>\
         <user-agent id='{agent}'><software>test</software></user-agent>\
         <bind xmlns='urn:xmpp:bind:0'><tag>Balcony</tag><enable xmlns='urn:xmpp:sm:3' resume='true'/></bind></authenticate>"
    ))
    .await;
    let success = peer.next().await;
    (peer, success)
}

/// Proves: C0386-3-1, C0386-3-2, C0386-3-3, C0388-2-1, C0388-2-2, C0388-2-3.
#[tokio::test]
async fn one_step_logs_in_binds_and_replaces_the_older_session_of_the_same_installation() {
    let house = house().await;
    let (one, two) = ("d4565fa7-4d72-4749-b3d3-740edbf87770", "e4565fa7-4d72-4749-b3d3-740edbf87770");
    let (mut first, success) = sasl2(&house, one).await;
    assert!(success.is("success", "urn:xmpp:sasl:2"), "{}", success.to_xml());
    let jid = success.child_text("authorization-identifier").unwrap();
    assert!(jid.starts_with("romeo@localhost/Balcony/") && jid.len() > "romeo@localhost/Balcony/".len() + 8, "{jid}");
    let bound = success.child("bound", "urn:xmpp:bind:0").unwrap();
    assert!(bound.child("enabled", "urn:xmpp:sm:3").is_some_and(|enabled| enabled.attr("id").is_some()));
    assert_eq!(first.next().await.name(), "features", "features follow at once, without a new stream");
    let (mut other, _) = sasl2(&house, two).await;
    let (mut again, success) = sasl2(&house, one).await;
    assert_ne!(success.child_text("authorization-identifier"), Some(jid));
    assert_eq!(first.ending().await.as_deref(), Some("conflict"));
    other.settle().await;
    again.settle().await;
}

/// Proves: C6120-4.4-1, C6120-4.6-1.
#[tokio::test]
async fn blanks_keep_the_stream_alive_and_a_closing_tag_is_answered_by_one() {
    use balcony_wire::framing::Frame;
    let house = house().await;
    let mut peer = house.online("romeo", "balcony").await;
    peer.send(" \n ").await;
    peer.settle().await;
    peer.send("</stream:stream>").await;
    assert_eq!(peer.frame().await, Some(Frame::Close));
    assert_eq!(peer.frame().await, None);
}

#[tokio::test]
async fn keys_and_certificates_can_be_given_as_files() {
    let first = house().await;
    let data = first.folder.path().join("data");
    let folder = tempfile::tempdir().unwrap();
    let files = balcony_server::TlsSource::Files { certificate: data.join("server.crt"), key: data.join("server.key") };
    let second = start_in(&folder, |settings| settings.tls = files).await;
    assert_eq!(second.ca_pem(), None);
    let mut peer = Peer::connect_to(second.c2s_tls_addr(), &first.tls("xmpp-client")).await;
    peer.open().await;
}

#[tokio::test]
async fn a_handshake_that_never_comes_is_not_waited_for() {
    let house = house_with(|settings| settings.limits.login_deadline = Duration::from_millis(200)).await;
    for address in [house.server.c2s_addr(), house.server.c2s_tls_addr()] {
        let mut silent = TcpStream::connect(address).await.unwrap();
        let mut heard = Vec::new();
        tokio::time::timeout(crate::peer::PATIENCE, silent.read_to_end(&mut heard)).await.unwrap().unwrap();
    }
}
