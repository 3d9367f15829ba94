//! What using a source reveals, and to whom. Pure: decided from host names and addresses alone (XEP-0447 §6).

use balcony_wire::Jid;

/// What using a source reveals; ordered, the less revealing before the more revealing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exposure {
    /// Nothing to anybody.
    Nothing,
    /// Our address, to our own server, which knows it anyway.
    OwnServer(String),
    /// That we are there just now and by which device, to whoever is asked over XMPP. No address: servers stand in between.
    Presence(Jid),
    /// The same to a person's own device, and the bytes to the servers in between. No address: a proxy or the servers pass the bytes on.
    ViaProxy(Jid),
    /// Our address and the time, to the sender's server.
    SendersServer(String),
    /// Our address and the time, to a host that neither side's server vouches for.
    ThirdHost(String),
    /// Our address, to a person's own device.
    Peer(Jid),
    /// All of it, and the file, to everybody on the way: no TLS (SFS-6-6).
    Everybody(String),
}

/// [`Exposure`] without the names: what rules are made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ExposureKind {
    /// See [`Exposure::Nothing`].
    Nothing,
    /// See [`Exposure::OwnServer`].
    OwnServer,
    /// See [`Exposure::Presence`].
    Presence,
    /// See [`Exposure::ViaProxy`].
    ViaProxy,
    /// See [`Exposure::SendersServer`].
    SendersServer,
    /// See [`Exposure::ThirdHost`].
    ThirdHost,
    /// See [`Exposure::Peer`].
    Peer,
    /// See [`Exposure::Everybody`].
    Everybody,
}

impl Exposure {
    /// The kind, without names.
    pub fn kind(&self) -> ExposureKind {
        match self {
            Self::Nothing => ExposureKind::Nothing,
            Self::OwnServer(_) => ExposureKind::OwnServer,
            Self::Presence(_) => ExposureKind::Presence,
            Self::ViaProxy(_) => ExposureKind::ViaProxy,
            Self::SendersServer(_) => ExposureKind::SendersServer,
            Self::ThirdHost(_) => ExposureKind::ThirdHost,
            Self::Peer(_) => ExposureKind::Peer,
            Self::Everybody(_) => ExposureKind::Everybody,
        }
    }
}

impl Exposure {
    /// Who learns of it, without words around.
    pub fn to_whom(&self) -> &str {
        match self {
            Self::Nothing => "nobody",
            Self::Presence(jid) | Self::ViaProxy(jid) | Self::Peer(jid) => jid.as_str(),
            Self::OwnServer(host) | Self::SendersServer(host) | Self::ThirdHost(host) | Self::Everybody(host) => host,
        }
    }
}

impl ExposureKind {
    /// The word that `explain` and settings use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::OwnServer => "own-server",
            Self::Presence => "presence",
            Self::ViaProxy => "via-proxy",
            Self::SendersServer => "senders-server",
            Self::ThirdHost => "third-host",
            Self::Peer => "peer",
            Self::Everybody => "everybody",
        }
    }
}

/// Whether `host` is `domain` or lies below it.
pub(crate) fn is_within(host: &str, domain: &str) -> bool {
    let (host, domain) = (host.trim_end_matches('.').as_bytes(), domain.trim_end_matches('.').as_bytes());
    if domain.is_empty() || host.len() < domain.len() {
        return false;
    }
    let (above, end) = host.split_at(host.len() - domain.len());
    end.eq_ignore_ascii_case(domain) && (above.is_empty() || above.ends_with(b"."))
}

/// For people: who learns what.
impl std::fmt::Display for Exposure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Nothing => f.write_str("nobody learns anything"),
            Self::OwnServer(host) => write!(f, "{host}, which is your own server's, sees the fetch"),
            Self::Presence(jid) => write!(f, "{jid} sees that you are online, and not your IP address"),
            Self::ViaProxy(jid) => {
                write!(f, "{jid} sees that you are online, and not your IP address; the servers in between pass the bytes on")
            }
            Self::SendersServer(host) => write!(f, "{host}, which is the sender's server's, sees your IP address and the time"),
            Self::ThirdHost(host) => write!(f, "{host}, which is neither your server nor the sender's, sees your IP address and the time"),
            Self::Peer(jid) => write!(f, "{jid} sees your IP address"),
            Self::Everybody(host) => write!(f, "{host} and everybody on the way there see your IP address and the file"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_within_a_domain_at_a_dot_only() {
        assert!(is_within("upload.montague.lit", "montague.lit"));
        assert!(is_within("MONTAGUE.lit.", "montague.lit"));
        assert!(!is_within("evilmontague.lit", "montague.lit"));
        assert!(!is_within("montague.lit.evil.example", "montague.lit"));
        assert!(!is_within("montague.lit", ""));
        assert!(!is_within("é", "xé"));
    }

    #[test]
    fn less_revealing_sorts_before_more_revealing() {
        let host = String::from("h");
        assert!(Exposure::Nothing < Exposure::OwnServer(host.clone()));
        let peer: Jid = Jid::parse("romeo@montague.lit/orchard").unwrap();
        assert!(Exposure::OwnServer(host.clone()) < Exposure::Presence(peer.clone()));
        assert!(Exposure::Presence(peer.clone()) < Exposure::ViaProxy(peer.clone()));
        assert!(Exposure::ViaProxy(peer) < Exposure::SendersServer(host.clone()));
        assert!(Exposure::SendersServer(host.clone()) < Exposure::ThirdHost(host.clone()));
        assert!(Exposure::ThirdHost(host.clone()) < Exposure::Everybody(host));
    }
}
