//! Stanzas: what is read, what is refused and with what to answer, and that relaying loses nothing.

use balcony_wire::stanza::{DefinedCondition, ErrorKind, StanzaReadError};
use balcony_wire::{Element, Iq, IqKind, Jid, Message, MessageKind, Payload, Presence, PresenceKind, Stanza, StanzaError, ns};

fn stanza(xml: &str) -> Result<Stanza, StanzaReadError> {
    Stanza::read(Element::parse(xml).unwrap())
}

fn client(xml: &str) -> Result<Stanza, StanzaReadError> {
    let end = xml.find([' ', '>', '/']).unwrap();
    stanza(&format!("{} xmlns='jabber:client'{}", &xml[..end], &xml[end..]))
}

fn message(xml: &str) -> Message {
    match client(xml) {
        Ok(Stanza::Message(message)) => message,
        other => panic!("{xml}: {other:?}"),
    }
}

fn presence(xml: &str) -> Presence {
    match client(xml) {
        Ok(Stanza::Presence(presence)) => presence,
        other => panic!("{xml}: {other:?}"),
    }
}

fn iq(xml: &str) -> Iq {
    match client(xml) {
        Ok(Stanza::Iq(iq)) => iq,
        other => panic!("{xml}: {other:?}"),
    }
}

fn jid(text: &str) -> Jid {
    text.parse().unwrap()
}

#[test]
fn a_message_is_relayed_whole() {
    let xml = "<message from='juliet@example.com/balcony' to='romeo@example.net' type='chat' id='x' xml:lang='en' odd='1'><body>a</body><body xml:lang='cz'>b</body>\
               <unknown xmlns='urn:x' k='v'>text<y/></unknown></message>";
    let read = message(xml);
    assert_eq!(
        (read.kind, read.id.as_deref(), read.lang.as_deref(), read.body().as_deref()),
        (MessageKind::Chat, Some("x"), Some("en"), Some("a"))
    );
    assert_eq!(read.from, Some(jid("juliet@example.com/balcony")));
    assert_eq!(read.payloads.len(), 3);
    let again = Stanza::Message(read.clone()).into_element();
    assert_eq!(Stanza::read(again.clone()), Ok(Stanza::Message(read)));
    assert_eq!(again.attr("odd"), Some("1"));
    assert_eq!(again.children().nth(2).unwrap().to_xml(), "<unknown xmlns='urn:x' k='v'>text<y/></unknown>");
}

/// RFC 6121 §5.2.2: an unknown type counts as normal.
#[test]
fn types_of_messages() {
    for (kind, expected) in [
        ("chat", MessageKind::Chat),
        ("groupchat", MessageKind::Groupchat),
        ("made-up", MessageKind::Normal),
        ("normal", MessageKind::Normal),
    ] {
        assert_eq!(message(&format!("<message type='{kind}'/>")).kind, expected);
    }
    assert_eq!(message("<message/>").kind, MessageKind::Normal);
    assert_eq!(message("<message/>").body(), None);
    assert_eq!(message("<message><body/></message>").body().as_deref(), Some(""));
}

#[test]
fn presence_types_and_priority() {
    assert_eq!(presence("<presence/>").kind, PresenceKind::Available);
    for (text, expected) in [("5", 5), (" -1 ", -1), ("128", 0), ("x", 0), ("", 0)] {
        assert_eq!(presence(&format!("<presence><priority>{text}</priority></presence>")).priority(), expected);
    }
    for kind in ["unavailable", "subscribe", "subscribed", "unsubscribe", "unsubscribed", "probe", "error"] {
        let read = presence(&format!("<presence type='{kind}'/>"));
        assert_eq!(read.into_element().attr("type"), Some(kind));
    }
    assert!(matches!(client("<presence type='made-up'/>"), Err(StanzaReadError::Malformed { .. })));
}

/// Proves: C6120-8.2-1.
#[test]
fn an_iq_keeps_its_rules() {
    let request = iq("<iq type='get' id='1' from='a@b/c' to='d.e'><ping xmlns='urn:xmpp:ping'/></iq>");
    assert!(request.request().unwrap().is("ping", ns::PING));
    let result = request.result(None);
    assert_eq!((result.id.as_str(), result.to.clone(), result.from.clone()), ("1", Some(jid("a@b/c")), Some(jid("d.e"))));
    assert_eq!(iq("<iq type='result' id='1' from='d.e' to='a@b/c'/>"), result);
    for xml in [
        "<iq type='get'><a xmlns='urn:x'/></iq>",
        "<iq type='get' id=''><a xmlns='urn:x'/></iq>",
        "<iq type='get' id='1'/>",
        "<iq type='set' id='1'><a xmlns='urn:x'/><b xmlns='urn:x'/></iq>",
        "<iq type='result' id='1'><a xmlns='urn:x'/><b xmlns='urn:x'/></iq>",
        "<iq id='1'><a xmlns='urn:x'/></iq>",
        "<iq type='made-up' id='1'><a xmlns='urn:x'/></iq>",
    ] {
        match client(xml) {
            Err(StanzaReadError::Malformed { element, .. }) => assert!(element.is("iq", ns::CLIENT), "{xml}"),
            other => panic!("{xml}: {other:?}"),
        }
    }
}

/// Proves: C6120-8.3-1.
#[test]
fn errors_have_a_type_and_a_condition_whatever_is_in_them() {
    let error = |inside: &str| match iq(&format!("<iq type='error' id='1'><query xmlns='urn:echoed'/>{inside}</iq>")).kind {
        IqKind::Error(error) => error,
        other => panic!("{other:?}"),
    };
    let full = error(
        "<error type='modify' by='example.com'><policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/><text xml:lang='en' xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>no</text>\
         <file-too-large xmlns='urn:xmpp:http:upload:0'/></error>",
    );
    assert_eq!(
        (full.kind, full.condition, full.text.as_deref(), full.by.as_deref()),
        (ErrorKind::Modify, DefinedCondition::PolicyViolation, Some("no"), Some("example.com"))
    );
    assert!(full.application.as_ref().unwrap().is("file-too-large", ns::UPLOAD));
    assert_eq!(StanzaError::read(&full.write()), Ok(full));
    assert_eq!(error("").condition, DefinedCondition::UndefinedCondition);
    let odd = error("<error type='made-up'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>");
    assert_eq!((odd.kind, odd.condition), (ErrorKind::Cancel, DefinedCondition::ItemNotFound));
    let gone = error("<error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>xmpp:a@b</gone></error>");
    assert_eq!(gone.new_address.as_deref(), Some("xmpp:a@b"));
    let refused =
        iq("<iq type='get' id='1' from='a@b/c'><a xmlns='urn:x'/></iq>").refuse(StanzaError::new(DefinedCondition::ServiceUnavailable));
    assert_eq!(refused.to, Some(jid("a@b/c")));
}

#[test]
fn malformed_addresses_are_handed_back_with_the_stanza() {
    for (xml, expected) in [("<message to='@'/>", "to"), ("<iq from='a@' type='result' id='1'/>", "from"), ("<presence to=''/>", "to")] {
        match client(xml) {
            Err(StanzaReadError::Address { attribute, element, .. }) => {
                assert_eq!(attribute, expected);
                assert!(element.attr(expected).is_some(), "the stanza is whole");
            }
            other => panic!("{xml}: {other:?}"),
        }
    }
    assert_eq!(message("<message from='a@b/❤\u{FE0F}'/>").from.unwrap().resource(), Some("❤\u{FE0F}"));
}

#[test]
fn what_is_no_stanza_is_named() {
    for xml in ["<message xmlns='jabber:server'/>", "<stream xmlns='jabber:client'/>", "<message/>"] {
        assert!(matches!(stanza(xml), Err(StanzaReadError::NoStanza(_))), "{xml}");
    }
}
