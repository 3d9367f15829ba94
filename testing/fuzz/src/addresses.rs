//! Addresses of people: prepared once, they stay as they are.

use balcony_wire::jid::escape;
use balcony_wire::xmpp_uri::XmppUri;
use balcony_wire::{Element, Jid};

/// An address, or a URI of one.
pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let strict = Jid::parse(text);
    if let Ok(jid) = &strict {
        assert_eq!(Jid::from_server(text).as_ref(), Ok(jid), "what is strict is lenient too");
    }
    for jid in strict.into_iter().chain(Jid::from_server(text)) {
        stays(&jid);
    }
    if let Some(uri) = XmppUri::parse(text) {
        stays(&uri.jid);
        assert_eq!(XmppUri::parse(&uri.to_string()), Some(uri));
    }
    let unescaped = escape::unescape(text);
    if let Ok(escaped) = escape::escape(&unescaped) {
        assert_eq!(escape::unescape(&escaped), unescaped, "{escaped}");
    }
}

fn stays(jid: &Jid) {
    assert!(jid.as_str().len() <= 3071 && !jid.domain().is_empty());
    assert_eq!(Jid::from_server(jid.as_str()).as_ref(), Ok(jid));
    assert!(!jid.as_str().chars().any(char::is_control), "{jid:?}");
    let stanza = Element::new("message", "jabber:client").with_attr("to", jid.as_str());
    assert_eq!(Element::parse(&stanza.to_xml()).as_ref(), Ok(&stanza), "an address can be written");
    assert!(jid.local().is_none_or(|local| !local.contains(['"', '&', '\'', '/', ':', '<', '>', '@', ' '])), "{jid}");
    assert_eq!(jid.bare().as_str(), jid.bare_str());
    assert_eq!(Jid::from_server(jid.bare_str()).as_ref().map(Jid::as_str), Ok(jid.bare_str()));
}
