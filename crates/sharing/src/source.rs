//! One place a file can be had from, as an offer names it. What may be used, and in which order, is decided in [`crate::plan`].

use balcony_wire::bits_of_binary::ContentId;
use balcony_wire::encrypted_source::EncryptedSource;
use balcony_wire::file_sharing::SourceElement;

use balcony_wire::url_data::{HttpData, UrlData};
use balcony_wire::xmpp_uri::XmppUri;
use balcony_wire::{BareJid, Jid, ns};
use url::Url;

use crate::cipher::mark_of;
use crate::dialect::aes_gcm;

/// One place a file can be had from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A URL.
    Url(UrlSource),
    /// Encrypted bytes somewhere, and the key (XEP-0448).
    Encrypted(EncryptedSource),
    /// A session that somebody starts when asked (XEP-0358).
    Published {
        /// Whom to ask; the sender of the stanza if the offer names nobody (decision 19).
        from: Jid,
        /// What to ask for.
        id: String,
        /// Namespaces of the applications offered; empty where the form cannot say.
        applications: Vec<String>,
    },
    /// Somebody who may be asked for the file by its hash (XEP-0234; decision 33).
    ByHash {
        /// Whom to ask.
        jid: Jid,
        /// As written.
        uri: String,
    },
    /// A session that the sender opened, with the file as one of its contents (XEP-0234).
    Session {
        /// Their device.
        peer: Jid,
        /// Which session of it.
        sid: String,
        /// Which content of that.
        content: String,
    },
    /// A stream that the sender wants to open, for the file alone (XEP-0096).
    Stream {
        /// Their device.
        peer: Jid,
        /// Which stream of it.
        sid: String,
    },
    /// Bits of binary that came in the same stanza (XEP-0231).
    Carried {
        /// Their name.
        cid: ContentId,
    },
    /// Bits of binary that somebody gives out when asked (XEP-0231).
    Bits {
        /// Their name.
        cid: ContentId,
        /// Whom to ask: the sender of the stanza.
        from: Jid,
    },
    /// A kind that nobody here knows; it keeps its place (decision 56).
    Unknown(UnknownSource),
}

/// A URL and what the sender says a request to it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UrlSource {
    /// As written.
    pub target: String,
    /// What an HTTP request should carry, each judged already (XEP-0104, decision 17).
    pub http: Vec<HttpData>,
}

/// What stands where a source should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnknownSource {
    /// A URI of a scheme nobody here knows.
    Uri(String),
    /// An element, `{namespace}name`.
    Element(String),
}

/// Names a source across messages, plans and restarts: two that would ask the same of the same are equal.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceKey(String);

impl SourceKey {
    /// From the catalogue, as [`SourceKey::as_str`] gave it.
    pub fn from_record(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The host that is asked, if there is one.
    #[must_use]
    pub fn host(&self) -> Option<String> {
        let url = self.0.split_once(' ').map(|(_, target)| target)?;
        Url::parse(url).ok()?.host_str().map(str::to_owned)
    }

    /// Who is asked, for people: a host, or the device of somebody.
    #[must_use]
    pub fn whom(&self) -> Option<String> {
        let device = match self.0.split_once(' ') {
            Some(("published" | "session" | "stream" | "by-hash", rest)) => rest.lines().next(),
            Some(("bits", rest)) => rest.rsplit_once(' ').map(|(device, _)| device),
            _ => None,
        };
        device.map(str::to_owned).or_else(|| self.host())
    }

    /// Whose device it is, if it gives the file in a session.
    #[must_use]
    pub fn person(&self) -> Option<BareJid> {
        let (kind, rest) = self.0.split_once(' ')?;
        let device = rest.lines().next().filter(|_| matches!(kind, "published" | "session" | "stream" | "by-hash"))?;
        Jid::from_server(device).ok().map(|device| device.bare())
    }

    /// Whether it is a session, or a stream, that its person opened to offer the file.
    #[must_use]
    pub fn is_offered(&self) -> bool {
        matches!(self.0.split_once(' '), Some(("session" | "stream", _)))
    }

    /// For the catalogue. Holds the URL: not for logs.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Without the fragment: where links carry a key, it stands there.
impl std::fmt::Debug for SourceKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SourceKey({:?})", without_fragment(&self.0))
    }
}

/// What is asked of a server, and may be shown: fragments are neither.
fn without_fragment(url: &str) -> &str {
    url.split_once('#').map_or(url, |(place, _)| place)
}

impl UrlSource {
    /// A URL and nothing else.
    pub fn new(target: impl Into<String>) -> Self {
        Self { target: target.into(), http: Vec::new() }
    }

    /// The URL, if it is one.
    pub fn url(&self) -> Option<Url> {
        Url::parse(&self.target).ok()
    }
}

impl Source {
    /// A URL and nothing else.
    pub fn url(target: impl Into<String>) -> Self {
        Self::Url(UrlSource::new(target))
    }

    /// Reads an element of XEP-0447 `sources`; `sender` stands in where a published session names nobody.
    pub(crate) fn from_element(element: &SourceElement, sender: &Jid) -> Self {
        match element {
            SourceElement::Url(data) => match aes_gcm_link(&data.target) {
                Some(encrypted) => Self::Encrypted(encrypted),
                None => Self::Url(UrlSource { target: data.target.clone(), http: data.http.clone() }),
            },
            SourceElement::Encrypted(encrypted) => Self::Encrypted(encrypted.clone()),
            SourceElement::JinglePub(published) => Self::Published {
                from: published.from.clone().unwrap_or_else(|| sender.clone()),
                id: published.id.clone(),
                applications: published.applications().map(str::to_owned).collect(),
            },
            SourceElement::Unknown(element) => Self::Unknown(UnknownSource::Element(element.qualified_name())),
        }
    }

    /// Reads the `uri` of a SIMS source (XEP-0385 §4.1, decision 33).
    pub(crate) fn from_uri(uri: &str) -> Self {
        let scheme = uri.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
        match scheme.as_deref() {
            Some("xmpp") => match XmppUri::parse(uri) {
                Some(parsed) => match parsed.published_session() {
                    Some(id) => Self::Published { from: parsed.jid.clone(), id: id.to_owned(), applications: Vec::new() },
                    None => Self::ByHash { jid: parsed.jid, uri: uri.to_owned() },
                },
                None => Self::Unknown(UnknownSource::Uri(uri.to_owned())),
            },
            Some("http" | "https" | "ftp" | "ftps" | "sftp") => Self::url(uri),
            Some("aesgcm") => aes_gcm_link(uri).map_or_else(|| Self::Unknown(UnknownSource::Uri(uri.to_owned())), Self::Encrypted),
            _ => Self::Unknown(UnknownSource::Uri(uri.to_owned())),
        }
    }

    /// The element of XEP-0447 `sources`, where there is one.
    pub fn to_element(&self) -> Option<SourceElement> {
        match self {
            Self::Url(url) => Some(SourceElement::Url(UrlData { http: url.http.clone(), ..UrlData::new(&url.target) })),
            Self::Encrypted(encrypted) => Some(SourceElement::Encrypted(encrypted.clone())),
            Self::Published { from, id, .. } => Some(SourceElement::JinglePub(balcony_wire::jingle_pub::JinglePub::new(
                from.clone(),
                id.clone(),
                ns::JINGLE_FILE_TRANSFER_5,
            ))),
            Self::ByHash { .. }
            | Self::Session { .. }
            | Self::Stream { .. }
            | Self::Carried { .. }
            | Self::Bits { .. }
            | Self::Unknown(_) => None,
        }
    }

    /// Names it.
    pub fn key(&self) -> SourceKey {
        SourceKey(match self {
            Self::Url(source) => format!("url {}", source.target),
            // Not by place alone: who names the same place with another key must not stand in for it.
            Self::Encrypted(source) => match source.sources.as_deref() {
                Some([SourceElement::Url(first), ..]) => format!("encrypted:{} {}", mark_of(source), first.target),
                _ => format!("encrypted:{}", mark_of(source)),
            },
            // No address has a line break in it.
            Self::Published { from, id, .. } => format!("published {from}\n{id}"),
            Self::ByHash { jid, .. } => format!("by-hash {jid}"),
            Self::Session { peer, sid, content } => format!("session {peer}\n{sid}\n{content}"),
            Self::Stream { peer, sid } => format!("stream {peer}\n{sid}"),
            Self::Carried { cid } => format!("carried {}", cid.as_str()),
            Self::Bits { cid, from } => format!("bits {from} {}", cid.as_str()),
            Self::Unknown(UnknownSource::Uri(uri)) => format!("unknown {uri}"),
            Self::Unknown(UnknownSource::Element(name)) => format!("unknown {name}"),
        })
    }

    /// The URLs it names, those of encrypted bytes too.
    pub fn addresses(&self) -> Vec<&str> {
        match self {
            Self::Url(source) => vec![&source.target],
            Self::Encrypted(encrypted) => encrypted.sources.iter().flatten().flat_map(addresses_of_element).collect(),
            Self::Published { .. }
            | Self::ByHash { .. }
            | Self::Session { .. }
            | Self::Stream { .. }
            | Self::Carried { .. }
            | Self::Bits { .. }
            | Self::Unknown(_) => Vec::new(),
        }
    }

    /// The bare URL, if one can stand for the whole source.
    pub fn plain_url(&self) -> Option<&str> {
        match self {
            Self::Url(source) if source.http.is_empty() => Some(&source.target),
            _ => None,
        }
    }
}

/// An `aesgcm:` link where a source should be: it carries a key, so it is no address to be asked or told.
fn aes_gcm_link(uri: &str) -> Option<EncryptedSource> {
    let is_scheme = uri.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("aesgcm:"));
    is_scheme.then(|| aes_gcm(uri)).flatten()
}

fn addresses_of_element(element: &SourceElement) -> Vec<&str> {
    match element {
        SourceElement::Url(data) => vec![&data.target],
        SourceElement::Encrypted(inner) => inner.sources.iter().flatten().flat_map(addresses_of_element).collect(),
        SourceElement::JinglePub(_) | SourceElement::Unknown(_) => Vec::new(),
    }
}

/// For people: where it is, without secrets of its own.
impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Url(source) => f.write_str(without_fragment(&source.target)),
            Self::Encrypted(_) => f.write_str("encrypted bytes"),
            Self::Published { from, .. } => write!(f, "a session published by {from}"),
            Self::ByHash { jid, .. } => write!(f, "{jid}, asked by hash"),
            Self::Session { peer, .. } | Self::Stream { peer, .. } => write!(f, "a session with {peer}"),
            Self::Carried { .. } => f.write_str("the bytes in the message itself"),
            Self::Bits { from, .. } => write!(f, "{from}, asked for the bytes"),
            Self::Unknown(UnknownSource::Uri(uri)) => f.write_str(without_fragment(uri)),
            Self::Unknown(UnknownSource::Element(name)) => f.write_str(name),
        }
    }
}
