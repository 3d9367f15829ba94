//! The machines of a stream, client's and server's, with a stranger at the other end: they end once and say so, and what they write
//! is XML.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use balcony_session::client::{self, ClientConfig, ClientStream, Credentials};
use balcony_session::scram::FakeSalts;
use balcony_session::server::{self, Bound, ServerConfig, ServerStream, WantedResource};
use balcony_session::{ChannelBindings, Mechanism, ScramHash, Security, StoredKeys};
use balcony_wire::framing::{Framing, Limits};
use balcony_wire::stanza::DefinedCondition;
use balcony_wire::{Element, Jid, Message, MessageKind, Stanza, StanzaError};

use crate::choices::Choices;

const PASSWORD: &str = "secret";

fn dawn() -> Instant {
    static DAWN: OnceLock<Instant> = OnceLock::new();
    *DAWN.get_or_init(Instant::now)
}

/// Which side, how it is encrypted and in which pieces it hears, then what the other side says; a NUL lets time pass.
pub(crate) fn run(data: &[u8]) {
    let mut choices = Choices::new(data);
    let shape = choices.byte();
    let security = if shape & 2 == 0 { Security::DirectTls } else { Security::StartTls };
    let piece = choices.one_of(&[usize::MAX, 1, 7, 60]);
    let said = choices.rest();
    if shape & 1 == 0 { hear_as_client(security, piece, said) } else { hear_as_server(security, piece, said) }
}

/// What one side wrote, to be read as its peer would.
struct Written {
    framing: Framing,
    ended: bool,
}

impl Written {
    fn new() -> Self {
        Self { framing: Framing::new(Limits::AS_WRITTEN), ended: false }
    }

    /// A header, after TLS or SASL too, begins a new document; everything else goes on with the old one.
    fn is_xml(&mut self, bytes: &[u8]) {
        assert!(!self.ended, "nothing is said after the end");
        let text = std::str::from_utf8(bytes).unwrap();
        for (at, part) in text.split("<?xml").enumerate() {
            if at > 0 {
                self.framing = Framing::new(Limits::AS_WRITTEN);
                self.framing.push(b"<?xml");
            }
            self.framing.push(part.as_bytes());
            let read = std::iter::from_fn(|| self.framing.next_frame().transpose()).collect::<Result<Vec<_>, _>>();
            assert!(read.is_ok(), "{text}: {read:?}");
        }
    }
}

fn pieces(said: &[u8], piece: usize) -> impl Iterator<Item = Option<&[u8]>> {
    said.split(|byte| *byte == 0).enumerate().flat_map(move |(at, between)| {
        let pass = (at > 0).then_some(None);
        pass.into_iter().chain(between.chunks(piece.min(between.len().max(1))).map(Some))
    })
}

fn hear_as_client(security: Security, piece: usize, said: &[u8]) {
    let account = "romeo@capulet.lit".parse().unwrap();
    let config = ClientConfig { security, ..ClientConfig::new(account, Credentials::Password(PASSWORD.to_owned())) };
    let mut now = dawn();
    let mut stream = ClientStream::new(config, [7; 32], now);
    let mut written = Written::new();
    match security {
        Security::StartTls => stream.handle_connected(now),
        Security::DirectTls => stream.handle_tls(now, bindings()),
    }
    let mut drain = |stream: &mut ClientStream, now: Instant| {
        while let Some(action) = stream.poll_action() {
            // What is asked of a stream that has ended already is answered all the same.
            let is_late = matches!(action, client::Action::Answer { result: Err(_), .. });
            assert!(!written.ended || is_late, "nothing is done after the end: {action:?}");
            match action {
                client::Action::Write(bytes) => written.is_xml(&bytes),
                client::Action::StartTls => stream.handle_tls(now, bindings()),
                client::Action::Online { .. } => {
                    let greeting = Message::new(MessageKind::Chat, Some("juliet@capulet.lit".parse().unwrap())).with_body("hi");
                    let _may_be_too_large = stream.send(now, Stanza::Message(greeting));
                    stream.request(now, None, client::Ask::Get(Element::new("ping", "urn:xmpp:ping")), Duration::from_secs(10));
                }
                client::Action::Stanza(Stanza::Iq(iq)) => {
                    let refused = iq.refuse(StanzaError::new(DefinedCondition::ServiceUnavailable));
                    let _may_not_fit = stream.answer(now, refused);
                }
                client::Action::Ended(_) => written.ended = true,
                _ => {}
            }
        }
        if let Some(deadline) = stream.deadline() {
            assert!(!written.ended, "who is over waits for nothing: {deadline:?}");
        }
    };
    drain(&mut stream, now);
    for bytes in pieces(said, piece) {
        match bytes {
            Some(bytes) => stream.handle_bytes(now, bytes),
            None => {
                now = stream.deadline().unwrap_or(now).max(now);
                stream.handle_timeout(now);
            }
        }
        drain(&mut stream, now);
    }
    stream.handle_closed(now);
    drain(&mut stream, now);
    assert!(written.ended, "a stream that is closed is over");
}

fn hear_as_server(security: Security, piece: usize, said: &[u8]) {
    let config = ServerConfig { security, ..ServerConfig::new("capulet.lit".parse().unwrap(), FakeSalts::new([3; 32], 4096)) };
    let mut now = dawn();
    let mut stream = ServerStream::new(Arc::new(config), [9; 32], now);
    let mut written = Written::new();
    if security == Security::DirectTls {
        stream.handle_tls(now, bindings());
    }
    let mut drain = |stream: &mut ServerStream, now: Instant| {
        while let Some(action) = stream.poll_action() {
            assert!(!written.ended, "nothing is done after the end");
            match action {
                server::Action::Write(bytes) => written.is_xml(&bytes),
                server::Action::StartTls => stream.handle_tls(now, bindings()),
                server::Action::LookUp { username, mechanism } => {
                    stream.handle_credentials(now, (username == "romeo").then(|| keys(mechanism)));
                }
                server::Action::Bind(request) => {
                    let resource = match request.wanted {
                        WantedResource::Any => "any".to_owned(),
                        WantedResource::Named(name) => name,
                        WantedResource::Tagged(tag) => format!("{tag}/1"),
                    };
                    let jid = request.account.with_resource(&resource).or_else(|_| request.account.with_resource("any")).unwrap();
                    stream.handle_bound(now, Ok(Bound { jid, answers: Vec::new() }));
                }
                server::Action::Resume { .. } => stream.handle_resume(now, Err(None)),
                server::Action::Stanza(stanza) => {
                    let from = stream.jid().cloned().map(Into::into);
                    assert_eq!(sender(&stanza), from.as_ref(), "a client speaks for itself");
                    let _may_not_fit = stream.send(now, stanza);
                }
                server::Action::Ended(_) => written.ended = true,
                server::Action::Resumable { .. } | server::Action::Activity(_) => {}
            }
        }
    };
    drain(&mut stream, now);
    for bytes in pieces(said, piece) {
        match bytes {
            Some(bytes) => stream.handle_bytes(now, bytes),
            None => {
                now = stream.deadline().unwrap_or(now).max(now);
                stream.handle_timeout(now);
            }
        }
        drain(&mut stream, now);
    }
    stream.handle_closed(now);
    drain(&mut stream, now);
    assert!(written.ended, "a stream that is closed is over");
}

fn bindings() -> ChannelBindings {
    ChannelBindings { exporter: Some(vec![7; 32]), server_end_point: None }
}

fn sender(stanza: &Stanza) -> Option<&Jid> {
    match stanza {
        Stanza::Message(message) => message.from.as_ref(),
        Stanza::Presence(presence) => presence.from.as_ref(),
        Stanza::Iq(iq) => iq.from.as_ref(),
    }
}

/// Derived once; few rounds, as nothing here is a secret.
fn keys(mechanism: Mechanism) -> StoredKeys {
    static KEYS: OnceLock<Vec<StoredKeys>> = OnceLock::new();
    let keys = KEYS.get_or_init(|| ScramHash::ALL.map(|hash| StoredKeys::derive(hash, PASSWORD, b"0123456789abcdef", 1).unwrap()).to_vec());
    let wanted = mechanism.hash().unwrap_or(ScramHash::Sha256);
    keys.iter().find(|keys| keys.hash() == wanted).unwrap().clone()
}
