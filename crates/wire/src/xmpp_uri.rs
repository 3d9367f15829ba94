//! RFC 5122 §2 and XEP-0147 XMPP URI scheme query components, v1.2.1 <https://xmpp.org/extensions/xep-0147.html>
//! Status: partial: reading.

use crate::bits_of_binary::percent_decode;
use crate::jid::Jid;

/// An `xmpp:` URI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct XmppUri {
    /// The account that is to act, of `xmpp://ACCOUNT/…`.
    pub account: Option<Jid>,
    /// Whom it is about.
    pub jid: Jid,
    /// What is to be done; `Some("")` if the query has parameters only.
    pub query: Option<String>,
    /// Keys and values, in order.
    pub params: Vec<(String, String)>,
}

impl XmppUri {
    /// Reads a URI; `None` for other schemes, without an address, or with a malformed one.
    pub fn parse(uri: &str) -> Option<Self> {
        let (scheme, rest) = uri.split_once(':')?;
        if !scheme.eq_ignore_ascii_case("xmpp") {
            return None;
        }
        let rest = rest.split_once('#').map_or(rest, |(before, _)| before);
        let (address, query) = rest.split_once('?').map_or((rest, None), |(address, query)| (address, Some(query)));
        let (account, address) = match address.strip_prefix("//") {
            Some(both) => both.split_once('/').map(|(account, address)| (Some(account), address))?,
            None => (None, address),
        };
        let account = account.map(|text| Jid::parse(&percent_decode(text)?).ok()).map_or(Some(None), |jid| jid.map(Some))?;
        let jid = Jid::from_server(&percent_decode(address).filter(|address| !address.is_empty())?).ok()?;
        let mut parts = query.into_iter().flat_map(|query| query.split(';'));
        let query = parts.next().map(percent_decode).map_or(Some(None), |query| query.map(Some))?;
        let params = parts.take(MAX_PARAMS).filter_map(read_param).collect();
        Some(Self { account, jid, query, params })
    }

    /// The value of a parameter.
    pub fn param(&self, key: &str) -> Option<&str> {
        self.params.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// The id of a published Jingle session (XEP-0358 §2.3).
    pub fn published_session(&self) -> Option<&str> {
        if self.query.as_deref() == Some("jingle") { self.param("id").filter(|id| !id.is_empty()) } else { None }
    }
}

/// More parameters than any query type has.
const MAX_PARAMS: usize = 32;

fn read_param(text: &str) -> Option<(String, String)> {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    Some((percent_decode(key)?, percent_decode(value)?))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
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
            assert_eq!(read.jid.as_str(), jid, "{case}");
            assert_eq!(read.account.as_ref().map(Jid::as_str), case["account"].as_str(), "{case}");
            assert_eq!(read.query.as_deref(), case["query"].as_str(), "{case}");
            let params: serde_json::Map<_, _> = read.params.into_iter().map(|(key, value)| (key, value.into())).collect();
            assert_eq!(params, *case["params"].as_object().unwrap(), "{case}");
        }
    }

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
        for uri in ["", "xmpp", "xmpp:", "xmpp:%", "xmpp:%ff", "xmpp://", "xmpp://a", "xmpp:///", "http://a.example", "xmpp:?;;;;=;"] {
            assert_eq!(XmppUri::parse(uri), None, "{uri}");
        }
    }
}
