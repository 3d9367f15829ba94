//! XEP-0260 Jingle SOCKS5 bytestreams transport, v1.0.3 <https://xmpp.org/extensions/xep-0260.html>
//! XEP-0261 Jingle in-band bytestreams transport, v1.0 <https://xmpp.org/extensions/xep-0261.html>
//!
//! How the bytes of a content travel. A candidate that cannot be used by anybody is left out and the others kept; a transport
//! without an id is refused.

use crate::bytestreams::{Mode, read_dstaddr, read_host, read_port};
use crate::element::Element;
use crate::in_band::{StanzaKind, read_block_size};
use crate::jid::Jid;
use crate::ns;
use crate::payload::{Payload, ReadError};
use crate::reading::{filled, number};

/// `<transport/>`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    /// SOCKS5 bytestreams.
    S5b(S5bTransport),
    /// In-band bytestreams.
    Ibb(IbbTransport),
    /// Something else, as it came.
    Other(Element),
}

impl Transport {
    /// Its namespace.
    pub fn ns(&self) -> &str {
        match self {
            Self::S5b(_) => ns::JINGLE_S5B,
            Self::Ibb(_) => ns::JINGLE_IBB,
            Self::Other(element) => element.ns(),
        }
    }

    pub(super) fn read(element: &Element) -> Result<Self, ReadError> {
        Ok(match element.ns() {
            ns::JINGLE_S5B => Self::S5b(S5bTransport::read(element)?),
            ns::JINGLE_IBB => Self::Ibb(IbbTransport::read(element)?),
            _ => Self::Other(element.clone()),
        })
    }

    pub(super) fn write(&self) -> Element {
        match self {
            Self::S5b(transport) => transport.write(),
            Self::Ibb(transport) => transport.write(),
            Self::Other(element) => element.clone(),
        }
    }
}

/// `<transport/>` of SOCKS5 bytestreams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S5bTransport {
    /// Id of the stream; some write the word `None` where they have none, which is an id like others.
    pub sid: String,
    /// TCP or UDP; only the initiator says it.
    pub mode: Option<Mode>,
    /// The address that is asked for at a proxy: 40 hex digits in lower case.
    pub dstaddr: Option<String>,
    /// What is said about the stream.
    pub payload: S5bPayload,
}

/// What one transport element of SOCKS5 bytestreams says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum S5bPayload {
    /// Places to connect to, at least one.
    Candidates(Vec<Candidate>),
    /// This candidate of the other side was reached.
    CandidateUsed(String),
    /// None was.
    CandidateError,
    /// The stream at the proxy of this candidate stands.
    Activated(String),
    /// The proxy could not be reached or does not want to.
    ProxyError,
    /// Nothing: no candidates to offer.
    Nothing,
}

impl S5bTransport {
    /// A transport that says one thing.
    pub fn new(sid: impl Into<String>, payload: S5bPayload) -> Self {
        Self { sid: sid.into(), mode: None, dstaddr: None, payload }
    }

    /// The candidates in it, none where it says something else.
    pub fn candidates(&self) -> &[Candidate] {
        match &self.payload {
            S5bPayload::Candidates(candidates) => candidates,
            _ => &[],
        }
    }
}

impl S5bPayload {
    /// Candidates, or nothing if there are none.
    #[must_use]
    pub fn candidates(candidates: Vec<Candidate>) -> Self {
        if candidates.is_empty() { Self::Nothing } else { Self::Candidates(candidates) }
    }

    fn read(element: &Element) -> Result<Self, ReadError> {
        let mut candidates: Vec<Candidate> = Vec::new();
        for child in element.children().filter(|child| child.ns() == element.ns()) {
            let cid = || filled(child, "cid").map(str::to_owned).ok_or_else(|| ReadError::new(child, "no cid"));
            match child.name() {
                "candidate-used" => return Ok(Self::CandidateUsed(cid()?)),
                "candidate-error" => return Ok(Self::CandidateError),
                "activated" => return Ok(Self::Activated(cid()?)),
                "proxy-error" => return Ok(Self::ProxyError),
                "candidate" if candidates.len() < MAX_CANDIDATES => {
                    let candidate = Candidate::read(child);
                    candidates.extend(candidate.filter(|new| candidates.iter().all(|known| known.cid != new.cid)));
                }
                _ => {}
            }
        }
        Ok(Self::candidates(candidates))
    }

    fn write(&self) -> Vec<Element> {
        let child = |name: &str| Element::new(name, ns::JINGLE_S5B);
        match self {
            Self::Candidates(candidates) => candidates.iter().map(Candidate::write).collect(),
            Self::CandidateUsed(cid) => vec![child("candidate-used").with_attr("cid", cid)],
            Self::CandidateError => vec![child("candidate-error")],
            Self::Activated(cid) => vec![child("activated").with_attr("cid", cid)],
            Self::ProxyError => vec![child("proxy-error")],
            Self::Nothing => Vec::new(),
        }
    }
}

impl Payload for S5bTransport {
    const NAME: &'static str = "transport";
    const NS: &'static str = ns::JINGLE_S5B;

    fn read(element: &Element) -> Result<Self, ReadError> {
        Self::expect(element)?;
        Ok(Self { sid: sid(element)?, mode: Mode::read(element)?, dstaddr: read_dstaddr(element), payload: S5bPayload::read(element)? })
    }

    fn write(&self) -> Element {
        Self::element()
            .with_attr("sid", &self.sid)
            .with_attr_opt("mode", self.mode.map(Mode::as_str))
            .with_attr_opt("dstaddr", self.dstaddr.as_deref())
            .with_children(self.payload.write())
    }
}

/// More places than anybody has.
const MAX_CANDIDATES: usize = 64;

/// `<candidate/>`: a place to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its id, which only means something together with the stream and the side that offered it.
    pub cid: String,
    /// Address or name of the host, as written: not empty, without white space and controls.
    pub host: String,
    /// Whose host it is: the offering side itself, or a proxy.
    pub jid: Jid,
    /// Port, if it is not the usual one.
    pub port: Option<u16>,
    /// What is tried first has more.
    pub priority: u32,
    /// What sort of place it is, if said.
    pub kind: CandidateKind,
}

impl Candidate {
    /// The port, 1080 if none is given (XEP-0065 §9.2).
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(crate::bytestreams::DEFAULT_PORT)
    }

    /// `None` for one that lacks what is required, and for a sort of place nobody here knows.
    fn read(element: &Element) -> Option<Self> {
        Some(Self {
            cid: filled(element, "cid")?.to_owned(),
            host: read_host(element)?,
            jid: Jid::from_server(element.attr("jid")?).ok()?,
            port: read_port(element)?,
            priority: number(element.attr("priority")?)?,
            kind: match filled(element, "type") {
                None => CandidateKind::Direct,
                Some(text) => CandidateKind::ALL.into_iter().find(|kind| kind.as_str() == text)?,
            },
        })
    }

    fn write(&self) -> Element {
        Element::new("candidate", ns::JINGLE_S5B)
            .with_attr("cid", &self.cid)
            .with_attr("host", &self.host)
            .with_attr("jid", self.jid.as_str())
            .with_attr_opt("port", self.port.map(|port| port.to_string()))
            .with_attr("priority", self.priority.to_string())
            .with_attr("type", self.kind.as_str())
    }
}

/// What sort of place a candidate is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CandidateKind {
    /// An address of the offering side; what no word means.
    #[default]
    Direct,
    /// An address of a NAT in front of it.
    Assisted,
    /// An address of a tunnel.
    Tunnel,
    /// A proxy, which has to be told to begin.
    Proxy,
}

impl CandidateKind {
    const ALL: [Self; 4] = [Self::Direct, Self::Assisted, Self::Tunnel, Self::Proxy];

    /// The attribute value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Assisted => "assisted",
            Self::Tunnel => "tunnel",
            Self::Proxy => "proxy",
        }
    }

    /// Preference among the sorts (§2.2): 65,536 times this, and a local preference, make the priority.
    #[must_use]
    pub fn preference(self) -> u32 {
        match self {
            Self::Direct => 126,
            Self::Assisted => 120,
            Self::Tunnel => 110,
            Self::Proxy => 10,
        }
    }

    /// The priority of a candidate of this sort.
    #[must_use]
    pub fn priority(self, local: u16) -> u32 {
        self.preference() * 65_536 + u32::from(local)
    }
}

/// `<transport/>` of in-band bytestreams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IbbTransport {
    /// Id of the stream.
    pub sid: String,
    /// Bytes of a block at most, before base64; never 0 (decision 24).
    pub block_size: u16,
    /// What blocks travel in.
    pub stanza: StanzaKind,
}

impl Payload for IbbTransport {
    const NAME: &'static str = "transport";
    const NS: &'static str = ns::JINGLE_IBB;

    fn read(element: &Element) -> Result<Self, ReadError> {
        Self::expect(element)?;
        Ok(Self { sid: sid(element)?, block_size: read_block_size(element)?, stanza: StanzaKind::read(element)? })
    }

    fn write(&self) -> Element {
        Self::element()
            .with_attr("sid", &self.sid)
            .with_attr("block-size", self.block_size.to_string())
            .with_attr_opt("stanza", Some(self.stanza).filter(|kind| *kind != StanzaKind::Iq).map(StanzaKind::as_str))
    }
}

fn sid(element: &Element) -> Result<String, ReadError> {
    filled(element, "sid").map(str::to_owned).ok_or_else(|| ReadError::new(element, "no sid"))
}
