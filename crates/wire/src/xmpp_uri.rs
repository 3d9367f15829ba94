//! RFC 5122 §2
//! XEP-0147 XMPP URI scheme query components, v1.2.1 <https://xmpp.org/extensions/xep-0147.html>

use crate::jid::Jid;

/// What an `xmpp:` URI says. Nothing is done because of it until a person agrees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct XmppUri {
    /// The account that is to act, of `xmpp://ACCOUNT/…`.
    pub account: Option<Jid>,
    /// Whom it is about.
    pub jid: Jid,
    /// What to do; `Some("")` for a query that has only parameters.
    pub query: Option<String>,
    /// Parameters in order, decoded.
    pub params: Vec<(String, String)>,
}

impl XmppUri {
    /// A URI of an address alone.
    #[must_use]
    pub fn new(jid: Jid) -> Self {
        Self { account: None, jid, query: None, params: Vec::new() }
    }

    /// This URI with a query.
    #[must_use]
    pub fn with_query(mut self, query: impl Into<String>) -> Self {
        self.query = Some(query.into());
        self
    }

    /// This URI with a parameter (and a query, if only an empty one).
    #[must_use]
    pub fn with_param(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.query.get_or_insert_default();
        self.params.push((name.into(), value.into()));
        self
    }

    /// Reads a URI or IRI; `None` if it is none, or its address is malformed.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once(':')?;
        if !scheme.eq_ignore_ascii_case("xmpp") {
            return None;
        }
        let rest = rest.split_once('#').map_or(rest, |(before, _)| before);
        let (path, query) = match rest.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (rest, None),
        };
        let (account, path) = match path.strip_prefix("//").map(|both| both.split_once('/')) {
            None => (None, path),
            Some(both) => both.map(|(account, path)| (Some(account), path))?,
        };
        let account = match account {
            None => None,
            Some(account) => Some(address(account)?),
        };
        let (query, params) = query.map_or(Some((None, Vec::new())), read_query)?;
        Some(Self { account, jid: address(path)?, query, params })
    }

    /// The id of a published Jingle session (XEP-0358 §2.3).
    #[must_use]
    pub fn published_session(&self) -> Option<&str> {
        if self.query.as_deref() == Some("jingle") { self.param("id").filter(|id| !id.is_empty()) } else { None }
    }

    /// The value of a parameter.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// More parameters than any query type has.
const MAX_PARAMS: usize = 32;

type Query = (Option<String>, Vec<(String, String)>);

fn read_query(text: &str) -> Option<Query> {
    let mut parts = text.split(';');
    let query = decode(parts.next()?)?;
    let param = |part: &str| {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        Some((decode(name)?, decode(value)?))
    };
    // A parameter that cannot be read is left out, not the rest with it.
    let params = parts.filter(|part| !part.is_empty()).filter_map(param).take(MAX_PARAMS).collect();
    Some((Some(query), params))
}

/// Splits before it decodes: an encoded `/` or `@` is a part of what it stands in.
fn address(text: &str) -> Option<Jid> {
    let (bare, resource) = match text.split_once('/') {
        Some((bare, resource)) => (bare, Some(decode(resource)?)),
        None => (text, None),
    };
    let (local, domain) = match bare.split_once('@') {
        Some((local, domain)) => (Some(decode(local)?), domain),
        None => (None, bare),
    };
    Jid::from_foreign_parts(local.as_deref(), &decode(domain)?, resource.as_deref()).ok() // what is wrong with it matters to nobody
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, behind)) = rest.split_first() {
        rest = behind;
        if *byte != b'%' {
            bytes.push(*byte);
            continue;
        }
        let digit = |at: usize| rest.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        let value = digit(0)? * 16 + digit(1)?;
        bytes.push(u8::try_from(value).ok()?);
        rest = &rest[2..];
    }
    String::from_utf8(bytes).ok() // encoded bytes that are no UTF-8: no URI of ours
}

fn encode(text: &str, also: &str, out: &mut String) {
    for c in text.chars() {
        if c.is_ascii_alphanumeric() || "-._~".contains(c) || also.contains(c) {
            out.push(c);
        } else {
            let mut buffer = [0; 4];
            out.extend(c.encode_utf8(&mut buffer).bytes().map(|byte| format!("%{byte:02X}")));
        }
    }
}

fn encode_address(jid: &Jid, out: &mut String) {
    if let Some(local) = jid.local() {
        encode(local, "!$()*+,;=", out);
        out.push('@');
    }
    encode(jid.domain(), "[]:", out);
    if let Some(resource) = jid.resource() {
        out.push('/');
        encode(resource, "!$&'()*+,:=@", out);
    }
}

impl std::fmt::Display for XmppUri {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = "xmpp:".to_owned();
        if let Some(account) = &self.account {
            text.push_str("//");
            encode_address(account, &mut text);
            text.push('/');
        }
        encode_address(&self.jid, &mut text);
        if let Some(query) = &self.query {
            text.push('?');
            encode(query, "/", &mut text);
            for (name, value) in &self.params {
                text.push(';');
                encode(name, "", &mut text);
                text.push('=');
                encode(value, "/:@!$*+,", &mut text);
            }
        }
        f.write_str(&text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Proves: JPUB-2.3-1.
    #[test]
    fn every_uri_of_the_vectors_is_taken_apart_as_they_say() {
        for case in testing_corpus::cases("xmpp-uris") {
            let read = XmppUri::parse(case["uri"].as_str().unwrap());
            let Some(jid) = case["jid"].as_str() else {
                assert_eq!(read, None, "{case}");
                continue;
            };
            let read = read.unwrap();
            assert_eq!(XmppUri::parse(&read.to_string()).as_ref(), Some(&read), "{case}");
            assert_eq!(read.jid.as_str(), jid, "{case}");
            assert_eq!(read.account.as_ref().map(Jid::as_str), case["account"].as_str(), "{case}");
            assert_eq!(read.query.as_deref(), case["query"].as_str(), "{case}");
            let params: serde_json::Map<_, _> = read.params.into_iter().map(|(key, value)| (key, value.into())).collect();
            assert_eq!(params, *case["params"].as_object().unwrap(), "{case}");
        }
    }

    /// Decision 33.
    #[test]
    fn only_the_jingle_query_with_an_id_is_a_published_session() {
        let session = |uri: &str| XmppUri::parse(uri).unwrap().published_session().map(str::to_owned);
        assert_eq!(session("xmpp:romeo@montague.lit/r?jingle;id=95"), Some("95".to_owned()));
        assert_eq!(session("xmpp:romeo@montague.lit/r?jingle;id="), None);
        assert_eq!(session("xmpp:romeo@montague.lit/r?jingle-ft"), None); // Psi
        assert_eq!(session("xmpp:romeo@montague.lit/r"), None);
    }

    #[test]
    fn hostile_uris_are_none() {
        for uri in [
            "",
            "xmpp",
            "xmpp:",
            "xmpp:%",
            "xmpp:%zz",
            "xmpp:%ff",
            "xmpp:%ff@b",
            "xmpp:a@",
            "xmpp:a@b/%C3",
            "xmpp://",
            "xmpp://a",
            "xmpp:///",
            "xmpp://a@b/c/",
            "xmpp:a%40b@c",
            "http://a.example",
            "xmpp:?;;;;=;",
        ] {
            assert_eq!(XmppUri::parse(uri), None, "{uri}");
        }
        assert_eq!(XmppUri::parse(&format!("xmpp:b?x{}", ";a=b".repeat(1000))).unwrap().params.len(), 32);
        assert_eq!(XmppUri::parse("xmpp:b?x;%zz=1;a=%ff;c=d").unwrap().params, [("c".to_owned(), "d".to_owned())]);
    }

    #[test]
    fn what_is_encoded_does_not_split_an_address() {
        assert_eq!(XmppUri::parse("XMPP:a@b#part").unwrap().jid.as_str(), "a@b");
        assert_eq!(XmppUri::parse("xmpp:b/x%2Fy%40z").unwrap().jid.resource(), Some("x/y@z"));
        assert_eq!(XmppUri::parse("xmpp:b%2Fx"), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back_equal(local in "[a-z\\\\%é]{1,5}", resource in "\\PC{1,6}", query in "[ -~]{0,5}", value in "\\PC{0,6}") {
            if let Ok(jid) = Jid::from_parts(Some(&local), "example.com", Some(&resource)) {
                let uri = XmppUri::new(jid).with_query(query).with_param("näme;=", value);
                prop_assert_eq!(XmppUri::parse(&uri.to_string()), Some(uri));
            }
        }

        #[test]
        fn random_text_does_no_harm(text in "(xmpp:)?\\PC{0,30}") {
            let _ = XmppUri::parse(&text);
        }
    }
}
