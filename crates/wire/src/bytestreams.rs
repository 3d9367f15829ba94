//! XEP-0065 SOCKS5 bytestreams, v1.8.2 <https://xmpp.org/extensions/xep-0065.html>
//!
//! What is said about streams in stanzas: places to connect to, the one that was used, and the start at a proxy. The SOCKS5 part
//! itself is no XML and not here; neither is UDP mode, beyond its name.

use crate::element::Element;
use crate::jid::Jid;
use crate::ns;
use crate::payload::{Payload, ReadError};
use crate::reading::{filled, number, trimmed_text};

/// The port where none is named (§9.2).
pub const DEFAULT_PORT: u16 = 1080;

/// What the bytes travel in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// A TCP connection; what no word means.
    #[default]
    Tcp,
    /// UDP packets.
    Udp,
}

impl Mode {
    /// The attribute value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }

    pub(crate) fn read(element: &Element) -> Result<Option<Self>, ReadError> {
        match filled(element, "mode") {
            None => Ok(None),
            Some("tcp") => Ok(Some(Self::Tcp)),
            Some("udp") => Ok(Some(Self::Udp)),
            Some(_) => Err(ReadError::new(element, "mode is neither tcp nor udp")),
        }
    }
}

/// `<query/>`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// Id of the stream.
    pub sid: Option<String>,
    /// TCP or UDP.
    pub mode: Option<Mode>,
    /// The address to ask for where it cannot be worked out, as in rooms (§7): 40 hex digits in lower case.
    pub dstaddr: Option<String>,
    /// What is said.
    pub payload: QueryPayload,
}

/// What one `query` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum QueryPayload {
    /// Nothing: "where are you?" to a proxy.
    #[default]
    Nothing,
    /// Places to connect to, at least one.
    Hosts(Vec<StreamHost>),
    /// The place that was reached.
    Used(StreamHostUsed),
    /// To a proxy: begin.
    Activate(Activate),
}

/// `<streamhost/>`: a place to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamHost {
    /// Whose it is: the offering side itself, or a proxy.
    pub jid: Jid,
    /// Address or name of the host, as written: not empty, without white space and controls.
    pub host: String,
    /// Port, if it is not the usual one.
    pub port: Option<u16>,
}

/// `<streamhost-used/>`: the place that was reached; empty in the answer of some proxies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamHostUsed {
    /// Whose it is.
    pub jid: Jid,
}

/// `<activate/>`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activate {
    /// The other end of the stream.
    pub target: Jid,
}

impl Query {
    /// Something about a stream.
    pub fn new(sid: impl Into<String>, payload: QueryPayload) -> Self {
        Self { sid: Some(sid.into()), mode: None, dstaddr: None, payload }
    }

    /// The places in it, none where it says something else.
    pub fn hosts(&self) -> &[StreamHost] {
        match &self.payload {
            QueryPayload::Hosts(hosts) => hosts,
            _ => &[],
        }
    }
}

impl StreamHost {
    /// The port, 1080 if none is given.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(DEFAULT_PORT)
    }

    /// `None` for one nobody can use.
    fn read(element: &Element) -> Option<Self> {
        Some(Self { jid: Jid::from_server(element.attr("jid")?).ok()?, host: read_host(element)?, port: read_port(element)? })
    }

    fn write(&self) -> Element {
        Element::new("streamhost", ns::BYTESTREAMS)
            .with_attr("jid", self.jid.as_str())
            .with_attr("host", &self.host)
            .with_attr_opt("port", self.port.map(|port| port.to_string()))
    }
}

impl QueryPayload {
    fn read(element: &Element) -> Result<Self, ReadError> {
        let address = |child: &Element, text: Option<&str>| {
            let jid = text.ok_or_else(|| ReadError::new(child, "no address"))?;
            Jid::from_server(jid).map_err(|error| ReadError::new(child, error.to_string()))
        };
        let mut hosts = Vec::new();
        for child in element.children().filter(|child| child.ns() == element.ns()) {
            match child.name() {
                "streamhost" if hosts.len() < MAX_HOSTS => hosts.extend(StreamHost::read(child).filter(|new| !hosts.contains(new))),
                "streamhost-used" => return Ok(Self::Used(StreamHostUsed { jid: address(child, child.attr("jid"))? })),
                "activate" => return Ok(Self::Activate(Activate { target: address(child, trimmed_text(child).as_deref())? })),
                _ => {}
            }
        }
        Ok(if hosts.is_empty() { Self::Nothing } else { Self::Hosts(hosts) })
    }

    fn write(&self) -> Vec<Element> {
        let child = |name: &str| Element::new(name, ns::BYTESTREAMS);
        match self {
            Self::Nothing => Vec::new(),
            Self::Hosts(hosts) => hosts.iter().map(StreamHost::write).collect(),
            Self::Used(used) => vec![child("streamhost-used").with_attr("jid", used.jid.as_str())],
            Self::Activate(activate) => vec![child("activate").with_text(activate.target.as_str())],
        }
    }
}

impl Payload for Query {
    const NAME: &'static str = "query";
    const NS: &'static str = ns::BYTESTREAMS;

    fn read(element: &Element) -> Result<Self, ReadError> {
        Self::expect(element)?;
        Ok(Self {
            sid: filled(element, "sid").map(str::to_owned),
            mode: Mode::read(element)?,
            dstaddr: read_dstaddr(element),
            payload: QueryPayload::read(element)?,
        })
    }

    fn write(&self) -> Element {
        Self::element()
            .with_attr_opt("sid", self.sid.as_deref())
            .with_attr_opt("mode", self.mode.map(Mode::as_str))
            .with_attr_opt("dstaddr", self.dstaddr.as_deref())
            .with_children(self.payload.write())
    }
}

/// More places than anybody has.
const MAX_HOSTS: usize = 64;

/// Characters of a host name, and some to spare.
const MAX_HOST: usize = 255;

/// A host that can be looked up at all.
pub(crate) fn read_host(element: &Element) -> Option<String> {
    let host = filled(element, "host")?;
    let fits = host.len() <= MAX_HOST && !host.contains(|c: char| c.is_whitespace() || c.is_control());
    fits.then(|| host.to_owned())
}

/// A port: `Some(None)` if none is given, `None` if it is none.
pub(crate) fn read_port(element: &Element) -> Option<Option<u16>> {
    match filled(element, "port") {
        None => Some(None),
        Some(text) => number(text).filter(|port| *port != 0).map(Some),
    }
}

/// The address that is asked for at a host, if it is one.
pub(crate) fn read_dstaddr(element: &Element) -> Option<String> {
    let text = filled(element, "dstaddr")?;
    let is_hash = text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hash.then(|| text.to_ascii_lowercase())
}
