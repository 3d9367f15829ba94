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

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    fn read(attributes: &str, children: &str) -> Result<Query, ReadError> {
        Query::read(
            &Element::parse(&format!("<query xmlns='http://jabber.org/protocol/bytestreams' {attributes}>{children}</query>")).unwrap(),
        )
    }

    fn in_example(file: &str) -> Query {
        Element::parse(&testing_corpus::example(file).in_stream()).unwrap().payload::<Query>().unwrap().unwrap()
    }

    #[test]
    fn the_listings_ask_for_places_offer_them_name_one_and_begin() {
        assert_eq!(in_example("xep-0065/07-requester-requests-network-address-from-proxy.xml"), Query::default());
        let offered = in_example("xep-0065/11-requester-initiates-negotiation.xml");
        let [host] = offered.hosts() else { panic!("{offered:?}") };
        assert_eq!((host.jid.as_str(), host.host.as_str(), host.port), ("requester@example.com/foo", "192.168.4.1", Some(5086)));
        let used = in_example("xep-0065/20-target-notifies-requester-of-bytestream.xml").payload;
        assert!(matches!(&used, QueryPayload::Used(used) if used.jid.as_str() == "streamer.example.com"));
        let begin = in_example("xep-0065/23-requester-requests-activation-of-bytestream.xml").payload;
        assert!(matches!(&begin, QueryPayload::Activate(activate) if activate.target.as_str() == "target@example.org/bar"));
        let in_a_room = in_example("xep-0065/26-muc-room-forwards-initiation-request.xml");
        assert_eq!(in_a_room.dstaddr.as_deref(), Some("416781edf1ae50bad01cb8509ba35b43952bc345"));
    }

    /// Proves: S5B-9.2-1.
    #[test]
    fn without_a_port_1080_is_meant() {
        let query = read("sid='1'", "<streamhost jid='a@b/c' host='h'/><streamhost jid='a@b/c' host='h' port='7625'/>").unwrap();
        assert_eq!(query.hosts().iter().map(StreamHost::port).collect::<Vec<_>>(), [1080, 7625]);
    }

    /// slixmpp 1.8 offers its proxies only.
    #[test]
    fn slixmpp_offers_proxies_only() {
        let query = read("sid='1'", "<streamhost jid='proxy.lit' host='proxy.lit' port='7777'/>").unwrap();
        assert_eq!(query.hosts()[0].jid.as_str(), "proxy.lit");
        assert_eq!(Query::read(&query.write()).unwrap(), query);
    }

    #[test]
    fn places_nobody_can_use_are_left_out_and_places_without_end_cut_off() {
        let bad = "<streamhost host='h'/><streamhost jid='@' host='h'/><streamhost jid='a@b'/><streamhost jid='a@b' host='h' port='x'/>\
                   <streamhost jid='a@b' host='h\u{9}h'/><streamhost xmlns='urn:example' jid='a@b' host='h'/>";
        assert_eq!(read("sid='1'", bad).unwrap().payload, QueryPayload::Nothing);
        let twice = "<streamhost jid='a@b' host='h'/>".repeat(2);
        assert_eq!(read("sid='1'", &twice).unwrap().hosts().len(), 1);
        let many: String = (1..1000).map(|port| format!("<streamhost jid='a@b' host='h' port='{port}'/>")).collect();
        assert_eq!(read("sid='1'", &many).unwrap().hosts().len(), 64);
        assert!(read("sid='1'", &format!("<streamhost jid='a@b' host='{}'/>", "h".repeat(256))).unwrap().hosts().is_empty());
    }

    #[test]
    fn what_was_used_and_who_is_meant_have_an_address() {
        assert!(read("sid='1'", "<streamhost-used/>").is_err());
        assert!(read("sid='1'", "<streamhost-used jid='@'/>").is_err());
        assert!(read("sid='1'", "<activate/>").is_err());
        assert!(read("sid='1' mode='sctp'", "").is_err());
        assert_eq!(in_example("xep-0065/29-initiation-of-interaction-udp.xml").mode, Some(Mode::Udp));
    }

    /// Proves: S5B-9.3-1.
    #[test]
    fn places_are_written_without_text_or_children() {
        let host = StreamHost { jid: Jid::parse("a@b/c").unwrap(), host: "h".to_owned(), port: None };
        let offered = Query::new("s", QueryPayload::Hosts(vec![host.clone()])).write();
        let used = Query::new("s", QueryPayload::Used(StreamHostUsed { jid: host.jid })).write();
        for child in offered.children().chain(used.children()) {
            assert!(child.nodes().is_empty() && child.attr("jid") == Some("a@b/c"), "{child:?}");
        }
    }
}
