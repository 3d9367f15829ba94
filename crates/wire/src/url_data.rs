//! XEP-0103 URL address information, v0.4.1 <https://xmpp.org/extensions/xep-0103.html>
//! XEP-0104 HTTP scheme for URL data, v0.3.1 <https://xmpp.org/extensions/xep-0104.html>
//!
//! A place on the net, with what a sender thinks an HTTP request to it needs. That lets a stranger dictate headers, cookies and
//! credentials, so each piece says whether it may be used at all ([`HttpData::refused`], decision 17). Nothing is requested here.

use crate::element::Element;
use crate::ns;
use crate::payload::{Payload, ReadError};
use crate::reading::{Dropped, LangText, filled, is_xml_space, push_text};

/// `<url-data target=''/>`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UrlData {
    /// The URL as written, white space around it removed.
    pub target: String,
    /// Session id, with stream initiation only.
    pub sid: Option<String>,
    /// Descriptions, each in another language.
    pub descs: Vec<LangText>,
    /// What an HTTP request should carry, in order.
    pub http: Vec<HttpData>,
    /// What was read and dropped.
    pub dropped: Vec<Dropped>,
}

impl UrlData {
    /// A URL and nothing else.
    pub fn new(target: impl Into<String>) -> Self {
        Self { target: target.into(), ..Self::default() }
    }

    /// Whether a bare URL can stand for it.
    pub fn is_plain(&self) -> bool {
        self.http.is_empty()
    }

    fn has_scheme(&self, scheme: &str) -> bool {
        self.target.split_once(':').is_some_and(|(start, _)| start.eq_ignore_ascii_case(scheme))
    }

    /// As [`Payload::read`] but by local name alone: for parents whose namespace their children inherited (decision 61).
    pub(crate) fn read_inherited(element: &Element) -> Result<Self, ReadError> {
        let target = element.required("target")?.trim_matches(is_xml_space);
        if target.is_empty() {
            return Err(ReadError::new(element, "the target is empty"));
        }
        let mut data = Self { sid: filled(element, "sid").map(str::to_owned), ..Self::new(target) };
        for child in element.children() {
            if child.ns() == ns::URL_DATA_HTTP {
                match HttpData::read(child) {
                    Ok(_) if data.http.len() >= MAX_HTTP_DATA => data.dropped.push(Dropped::new(child.name(), "too many")),
                    Ok(http) => data.http.push(http),
                    Err(why) => data.dropped.push(Dropped::new(child.name(), why)),
                }
            } else if child.name() == "desc" && child.ns() == element.ns() {
                push_text(&mut data.descs, child, &mut data.dropped);
            } else {
                data.dropped.push(Dropped::unknown(child));
            }
        }
        if !data.has_scheme("http") && !data.has_scheme("https") {
            data.http.iter_mut().for_each(|http| http.refused = Some(Refusal::NotHttp));
        }
        Ok(data)
    }
}

impl Payload for UrlData {
    const NAME: &'static str = "url-data";
    const NS: &'static str = ns::URL_DATA;

    fn read(element: &Element) -> Result<Self, ReadError> {
        Self::expect(element)?;
        Self::read_inherited(element)
    }

    fn write(&self) -> Element {
        Self::element()
            .with_attr("target", &self.target)
            .with_attr_opt("sid", self.sid.as_deref())
            .with_children(self.http.iter().map(HttpData::write))
            .with_children(self.descs.iter().map(|desc| desc.write(Element::new("desc", Self::NS))))
    }
}

/// One piece of XEP-0104 data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpData {
    /// What it is.
    pub kind: HttpDataKind,
    /// Why it must not be used, if so.
    pub refused: Option<Refusal>,
}

/// The kinds of XEP-0104 data, attributes as written.
#[derive(Clone, PartialEq, Eq)]
pub enum HttpDataKind {
    /// Credentials.
    Auth {
        /// HTTP authentication scheme.
        scheme: String,
        /// Name and value of each parameter, in order.
        params: Vec<(String, String)>,
    },
    /// A cookie.
    Cookie {
        /// Its name.
        name: String,
        /// Its value.
        value: String,
        /// Its attributes, as written.
        attributes: CookieAttributes,
    },
    /// A request header.
    Header {
        /// Its name.
        name: String,
        /// Its value.
        value: String,
    },
}

/// The attributes of a cookie beside name and value, as written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CookieAttributes {
    /// `domain`
    pub domain: Option<String>,
    /// `path`
    pub path: Option<String>,
    /// `max-age`, seconds
    pub max_age: Option<String>,
    /// `secure`, a boolean
    pub secure: Option<String>,
    /// `comment`
    pub comment: Option<String>,
    /// `version`
    pub version: Option<String>,
}

/// Why a piece of XEP-0104 data must not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A header that steers the connection and not the resource, or a line break inside.
    #[error("a sender may not set this header")]
    Header,
    /// Line breaks and other controls would smuggle in further headers.
    #[error("it has a line break or another control character in it")]
    Control,
    /// Only `basic` is understood.
    #[error("only basic authentication is used")]
    Scheme,
    /// The URL is neither http nor https.
    #[error("the address is not an http one")]
    NotHttp,
}

impl HttpData {
    /// A piece of data, judged.
    pub fn new(kind: HttpDataKind) -> Self {
        let refused = kind.judge();
        Self { kind, refused }
    }

    /// `auth`, `cookie` or `header`.
    pub fn name_of_kind(&self) -> &'static str {
        match self.kind {
            HttpDataKind::Auth { .. } => "auth",
            HttpDataKind::Cookie { .. } => "cookie",
            HttpDataKind::Header { .. } => "header",
        }
    }

    fn read(element: &Element) -> Result<Self, &'static str> {
        let own = |attribute: &str| element.attr(attribute).map(str::to_owned);
        let name = || filled(element, "name").map(str::to_owned).ok_or("no name");
        let kind = match element.name() {
            "auth" => HttpDataKind::Auth {
                scheme: filled(element, "scheme").ok_or("no scheme")?.to_owned(),
                params: element.children_named("auth-param", ns::URL_DATA_HTTP).take(MAX_HTTP_DATA).filter_map(read_param).collect(),
            },
            "cookie" => HttpDataKind::Cookie {
                name: name()?,
                value: own("value").unwrap_or_default(),
                attributes: CookieAttributes {
                    domain: own("domain"),
                    path: own("path"),
                    max_age: own("max-age"),
                    secure: own("secure"),
                    comment: own("comment"),
                    version: own("version"),
                },
            },
            // the listing of XEP-0103 has the value as text (decision 17)
            "header" => {
                let value = own("value").unwrap_or_else(|| element.text().trim_matches(is_xml_space).to_owned());
                HttpDataKind::Header { name: name()?, value }
            }
            _ => return Err("unknown element"),
        };
        Ok(Self::new(kind))
    }

    fn write(&self) -> Element {
        let element = Element::new(self.name_of_kind(), ns::URL_DATA_HTTP);
        match &self.kind {
            HttpDataKind::Auth { scheme, params } => element.with_attr("scheme", scheme).with_children(
                params
                    .iter()
                    .map(|(name, value)| Element::new("auth-param", ns::URL_DATA_HTTP).with_attr("name", name).with_attr("value", value)),
            ),
            HttpDataKind::Cookie { name, value, attributes } => element
                .with_attr("name", name)
                .with_attr("value", value)
                .with_attr_opt("domain", attributes.domain.as_deref())
                .with_attr_opt("path", attributes.path.as_deref())
                .with_attr_opt("max-age", attributes.max_age.as_deref())
                .with_attr_opt("secure", attributes.secure.as_deref())
                .with_attr_opt("comment", attributes.comment.as_deref())
                .with_attr_opt("version", attributes.version.as_deref()),
            HttpDataKind::Header { name, value } => element.with_attr("name", name).with_attr("value", value),
        }
    }
}

/// Values are secrets of somebody: only kind and names are shown.
impl std::fmt::Debug for HttpDataKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Auth { scheme, .. } => write!(f, "auth {scheme:?}"),
            Self::Cookie { name, .. } => write!(f, "cookie {name:?}"),
            Self::Header { name, .. } => write!(f, "header {name:?}"),
        }
    }
}

impl HttpDataKind {
    fn judge(&self) -> Option<Refusal> {
        let smuggles = |text: &String| text.chars().any(|c| c.is_control() && c != '\t');
        match self {
            Self::Header { name, value } if smuggles(name) || smuggles(value) => Some(Refusal::Control),
            Self::Header { name, .. } if !may_be_set(name) => Some(Refusal::Header),
            Self::Cookie { name, value, .. } if smuggles(name) || smuggles(value) => Some(Refusal::Control),
            Self::Auth { params, .. } if params.iter().any(|(name, value)| smuggles(name) || smuggles(value)) => Some(Refusal::Control),
            Self::Auth { scheme, .. } if !scheme.eq_ignore_ascii_case("basic") => Some(Refusal::Scheme),
            _ => None,
        }
    }
}

/// More pieces than any request has.
const MAX_HTTP_DATA: usize = 32;

/// Headers that steer the connection (RFC 9110 §7.6.1, RFC 9112), or which part of the file comes and in which form (§13, §14, §12.5.3):
/// never a sender's business (decision 17).
const REFUSED_HEADERS: [&str; 17] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "upgrade",
    "te",
    "trailer",
    "keep-alive",
    "expect",
    "range",
    "if-range",
    "if-match",
    "if-none-match",
    "if-modified-since",
    "if-unmodified-since",
    "accept-encoding",
    "content-encoding",
];

fn may_be_set(name: &str) -> bool {
    let is_token = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte));
    let is_proxy = name.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("proxy-"));
    is_token && !is_proxy && !REFUSED_HEADERS.iter().any(|refused| name.eq_ignore_ascii_case(refused))
}

fn read_param(element: &Element) -> Option<(String, String)> {
    Some((filled(element, "name")?.to_owned(), element.attr("value").unwrap_or_default().to_owned()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    fn read(attributes: &str, children: &str) -> UrlData {
        let xml = format!(
            "<url-data xmlns='http://jabber.org/protocol/url-data' xmlns:http='http://jabber.org/protocol/url-data/scheme/http' \
             {attributes}>{children}</url-data>"
        );
        UrlData::read(&Element::parse(&xml).unwrap()).unwrap()
    }

    fn refused(children: &str) -> Option<Refusal> {
        read("target='https://a.example/x'", children).http[0].refused
    }

    /// Proves: URLD-5.1-1, URLD-5.2-1, HURL-5.2-1, HURL-5.3-1, HURL-5.4-1, HURL-5.5-1.
    #[test]
    fn all_http_data_is_read_and_written_back() {
        let data = read(
            "target='http://www.jabber.org/members/index.php' sid='a0'",
            "<http:auth scheme='basic'><http:auth-param name='realm' value=''/><http:auth-param name='username' value='u'/></http:auth>\
             <http:cookie name='jsessionid' domain='jabber.org' max-age='1234000' path='/members' comment='Web Session Identifier' \
             version='1.0' secure='false' value='1243asd234190sa32ds'/><http:header name='Custom-Data' value='some custom data'/>\
             <desc>one</desc><desc xml:lang='de'>eins</desc>",
        );
        assert_eq!((data.http.len(), data.descs.len(), data.sid.as_deref()), (3, 2, Some("a0")));
        assert!(data.http.iter().all(|http| http.refused.is_none()));
        assert_eq!(UrlData::read(&data.write()).unwrap(), data);
        assert!(!data.is_plain());
    }

    /// Proves: URLD-4.1-1, URLD-4.1-2, HURL-2-1.
    #[test]
    fn prefixes_do_not_matter_namespaces_do_and_nothing_need_be_there() {
        let data = |declared: &str, name: &str| {
            let xml = format!(
                "<u:url-data xmlns:u='http://jabber.org/protocol/url-data' {declared} target='https://a.example/'><{name} name='A' value='b'/></u:url-data>"
            );
            UrlData::read(&Element::parse(&xml).unwrap()).unwrap()
        };
        let ours = "http://jabber.org/protocol/url-data/scheme/http";
        assert_eq!(data(&format!("xmlns:x='{ours}'"), "x:header").http.len(), 1);
        assert_eq!(data(&format!("xmlns='{ours}'"), "header").http.len(), 1);
        let other = data("xmlns:http='urn:example'", "http:header");
        assert!(other.is_plain() && other.dropped.len() == 1);
        assert!(UrlData::read(&UrlData::new("https://a.example/").write()).unwrap().is_plain());
    }

    /// Decision 17.
    /// Proves: HURL-D-1.
    #[test]
    fn the_listing_of_0103_has_the_value_as_text() {
        let data = read("target='http://a.example/'", "<http:header name='Cookie'>jsessionid=1324</http:header>");
        assert_eq!(data.http[0].kind, HttpDataKind::Header { name: "Cookie".to_owned(), value: "jsessionid=1324".to_owned() });
    }

    /// Decision 17.
    /// Proves: HURL-D-2, SEC-3-5.
    #[test]
    fn headers_that_steer_the_connection_are_refused() {
        for name in [
            "Host",
            "content-length",
            "Transfer-Encoding",
            "Connection",
            "Upgrade",
            "Proxy-Authorization",
            "TE",
            "Trailer",
            "Range",
            "If-Range",
            "Accept-Encoding",
            "Expect",
        ] {
            assert_eq!(refused(&format!("<http:header name='{name}' value='x'/>")), Some(Refusal::Header), "{name}");
        }
        assert_eq!(refused("<http:header name='X:y' value='x'/>"), Some(Refusal::Header));
        assert_eq!(refused("<http:header name='Accept' value='a&#13;&#10;Host: b'/>"), Some(Refusal::Control));
        assert_eq!(refused("<http:cookie name='a' value='b&#10;c'/>"), Some(Refusal::Control));
        assert_eq!(
            refused("<http:auth scheme='basic'><http:auth-param name='username' value='&#10;'/></http:auth>"),
            Some(Refusal::Control)
        );
        assert_eq!(refused("<http:auth scheme='Digest'/>"), Some(Refusal::Scheme));
        assert_eq!(refused("<http:auth scheme='Basic'/>"), None);
        assert_eq!(refused("<http:header name='Cookie' value='a=b'/>"), None);
    }

    /// Proves: HURL-5.1-1.
    #[test]
    fn http_data_counts_for_http_urls_only() {
        let data = read("target='ftp://a.example/x'", "<http:cookie name='a' value='b'/>");
        assert_eq!(data.http[0].refused, Some(Refusal::NotHttp));
    }

    #[test]
    fn incomplete_unknown_and_surplus_data_is_dropped() {
        let data = read("target=' https://a.example/x '", "<http:cookie/><http:auth/><http:body/><x xmlns='urn:example'/><desc/>");
        assert_eq!((data.target.as_str(), data.http.len(), data.dropped.len()), ("https://a.example/x", 0, 5));
        let many = read("target='https://a.example/x'", &"<http:header name='A' value='b'/>".repeat(1000));
        assert_eq!(many.http.len(), MAX_HTTP_DATA);
        assert!(UrlData::read(&UrlData::element()).is_err());
        assert!(UrlData::read(&UrlData::element().with_attr("target", " ")).is_err());
    }

    #[test]
    fn secrets_never_show_in_debug() {
        let data = read("target='https://a.example/x'", "<http:header name='Authorization' value='hunter2'/>");
        assert!(!format!("{data:?}").contains("hunter2"));
    }
}
