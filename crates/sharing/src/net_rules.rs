//! Which URLs and addresses may be asked for anything: foreign URLs must not reach into the network we live in.
//!
//! Pure functions. [`check_url`] judges before anything is looked up, [`AddressRule::check`] judges what a name was resolved to,
//! [`follow`] judges a redirect; the driver asks the last two each time, and connects to exactly the address that was judged.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// Where a user stands: what is theirs may be reached at any address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetRules {
    /// Web servers of the user's own server: of its upload service and the domain itself.
    pub own: Vec<Origin>,
    /// Whether plain http to loopback is allowed: for tests and for `try`, never by default.
    pub loopback_http: bool,
    /// Whether requests go through Tor, so that .onion names can be reached and http to them is secure.
    pub onion: bool,
}

/// A web server: a host and the port it answers at. What answers at another port of the same host may be anything.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    host: String,
    port: u16,
}

/// Why a URL, an address or a redirect is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No URL at all.
    #[error("the address is no URL")]
    NoUrl,
    /// A scheme that is not fetched.
    #[error("{0}: addresses are not fetched, only https: ones")]
    Scheme(String),
    /// Plain http.
    #[error("{0} is not reached over TLS")]
    Insecure(String),
    /// A name that only Tor knows.
    #[error("{0} can only be reached through Tor")]
    Onion(String),
    /// No host in it.
    #[error("the URL names no host")]
    NoHost,
    /// User name or password in it.
    #[error("the URL carries a user name or a password")]
    Credentials,
    /// An address in a network that foreign URLs must not reach.
    #[error("{host} is {address}, an address in {kind} network, where foreign links are not followed")]
    Address {
        /// the host as named
        host: String,
        /// what it resolved to
        address: IpAddr,
        /// which kind of network
        kind: &'static str,
    },
    /// A name that means something in a local network alone.
    #[error("{0} is a name of a local network, where foreign links are not followed")]
    LocalName(String),
    /// One redirect too many.
    #[error("the server redirects more than {MAX_REDIRECTS} times")]
    TooManyRedirects,
}

/// Redirects followed for one request.
pub const MAX_REDIRECTS: u8 = 3;

/// Which addresses a host may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressRule {
    host: String,
    reach: Reach,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    Anywhere,
    Loopback,
    Public,
}

/// Judges a URL before anything is asked of it or of the name service; the rule says which addresses its host may have.
///
/// # Errors
/// See [`Refused`].
pub fn check_url(url: &Url, rules: &NetRules) -> Result<AddressRule, Refused> {
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or(Refused::NoHost)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Refused::Credentials);
    }
    let is_onion = is_onion(host);
    if is_onion && !rules.onion {
        return Err(Refused::Onion(host.to_owned()));
    }
    let is_own = rules.is_own(url);
    let reach = match url.scheme() {
        "https" if is_own => Reach::Anywhere,
        "https" => Reach::Public,
        "http" if is_onion => Reach::Public,
        "http" if rules.loopback_http && (is_loopback_host(url) || is_own) => Reach::Loopback,
        "http" => return Err(Refused::Insecure(host.to_owned())),
        scheme => return Err(Refused::Scheme(scheme.to_owned())),
    };
    let rule = AddressRule { host: host.to_owned(), reach };
    match url.host() {
        Some(Host::Ipv4(address)) => rule.check(address.into())?,
        Some(Host::Ipv6(address)) => rule.check(address.into())?,
        _ => {}
    }
    Ok(rule)
}

impl NetRules {
    /// Whether a URL leads to a web server of the user's own server.
    pub fn is_own(&self, url: &Url) -> bool {
        self.own.iter().any(|own| own.is_of(url))
    }
}

impl Origin {
    /// A host, at the port of https.
    pub fn https(host: &str) -> Self {
        Self::new(host, 443)
    }

    fn new(host: &str, port: u16) -> Self {
        Self { host: host.trim_end_matches('.').to_ascii_lowercase(), port }
    }

    /// Where a URL leads; `None` if it names no host.
    pub fn of(url: &Url) -> Option<Self> {
        let host = url.host_str().filter(|host| !host.is_empty())?;
        Some(Self::new(host, url.port_or_known_default()?))
    }

    /// Whether a URL leads there.
    pub fn is_of(&self, url: &Url) -> bool {
        let host = url.host_str().unwrap_or_default().trim_end_matches('.');
        url.port_or_known_default() == Some(self.port) && host.eq_ignore_ascii_case(&self.host)
    }

    /// From `host` or `host:port`; `None` if it is neither.
    pub fn parse(text: &str) -> Option<Self> {
        let url = Url::parse(&format!("https://{text}/")).ok()?;
        let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
        Self::of(&url).filter(|_| is_bare && url.password().is_none())
    }

    /// The host.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.port == 443 { f.write_str(&self.host) } else { write!(f, "{}:{}", self.host, self.port) }
    }
}

impl AddressRule {
    /// Judges an address that the host was resolved to.
    ///
    /// # Errors
    /// [`Refused::Address`]
    pub fn check(&self, address: IpAddr) -> Result<(), Refused> {
        let refusal = match self.reach {
            Reach::Anywhere => None,
            Reach::Loopback if address.is_loopback() => None,
            Reach::Loopback => Some("another"),
            Reach::Public => check_address(address).err(),
        };
        refusal.map_or(Ok(()), |kind| Err(Refused::Address { host: self.host.clone(), address, kind }))
    }

    /// Judges a name that somebody else resolves, a proxy, so that its addresses will not be seen: names that mean something in a
    /// local network alone do not pass.
    ///
    /// # Errors
    /// [`Refused::Address`], [`Refused::LocalName`]
    pub fn check_unresolved(&self, host: &str) -> Result<(), Refused> {
        let bare = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.');
        if let Ok(address) = bare.parse() {
            return self.check(address);
        }
        match self.reach {
            Reach::Public if is_local_name(bare) => Err(Refused::LocalName(host.to_owned())),
            Reach::Loopback if !ends_in(bare, "localhost") => Err(Refused::Insecure(host.to_owned())),
            Reach::Public | Reach::Loopback | Reach::Anywhere => Ok(()),
        }
    }

    /// The host that is to be resolved.
    pub fn host(&self) -> &str {
        &self.host
    }
}

/// Judges an address that a foreign URL leads to: only public ones pass.
///
/// # Errors
/// With the kind of network it is in.
pub fn check_address(address: IpAddr) -> Result<(), &'static str> {
    match address {
        IpAddr::V4(address) => check_v4(address),
        IpAddr::V6(address) => check_v6(address),
    }
}

/// Judges where a redirect of `from` leads; `count` redirects were followed before.
///
/// # Errors
/// See [`Refused`].
pub fn follow(from: &Url, location: &str, count: u8, rules: &NetRules) -> Result<(Url, AddressRule), Refused> {
    if count >= MAX_REDIRECTS {
        return Err(Refused::TooManyRedirects);
    }
    let mut to = from.join(location.trim()).map_err(|_| Refused::NoUrl)?;
    to.set_fragment(None);
    let rule = check_url(&to, rules)?;
    Ok((to, rule))
}

/// Whether what was meant for `from` may be sent to `to` as well: same scheme, host and port.
pub fn is_same_origin(from: &Url, to: &Url) -> bool {
    from.origin() == to.origin()
}

fn is_onion(host: &str) -> bool {
    let host = host.trim_end_matches('.');
    host.len() >= 6 && ends_in(host, "onion")
}

/// RFC 6761, RFC 6762, RFC 8375, and what routers and companies call their own.
const LOCAL_NAMES: &[&str] = &["localhost", "local", "home.arpa", "internal", "lan", "intranet", "private", "corp", "home"];

/// Whether a name means something in a local network alone.
pub(crate) fn is_local_name(name: &str) -> bool {
    let bare = name.trim_end_matches('.');
    !bare.contains('.') || LOCAL_NAMES.iter().any(|end| ends_in(bare, end))
}

/// Whether a name is that domain or lies below it.
fn ends_in(name: &str, domain: &str) -> bool {
    let Some(start) = name.len().checked_sub(domain.len()) else { return false };
    let before = name.get(..start);
    name.get(start..).is_some_and(|end| end.eq_ignore_ascii_case(domain))
        && before.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

fn is_loopback_host(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name.trim_end_matches('.').eq_ignore_ascii_case("localhost"),
        None => false,
    }
}

fn check_v4(address: Ipv4Addr) -> Result<(), &'static str> {
    let [a, b, c, _] = address.octets();
    match (a, b, c) {
        (0, ..) => Err("the unspecified"),
        (10, ..) | (172, 16..=31, _) | (192, 168, _) => Err("a private"),
        (100, 64..=127, _) => Err("a carrier's private"),
        (127, ..) => Err("the loopback"),
        (169, 254, _) => Err("a link-local"),
        (192, 0, 0) | (192, 0, 2) | (198, 51, 100) | (203, 0, 113) | (198, 18..=19, _) => Err("a documentation or test"),
        (192, 88, 99) => Err("a relay"),
        (224..=239, ..) => Err("a multicast"),
        (240.., ..) => Err("a reserved"),
        _ => Ok(()),
    }
}

fn check_v6(address: Ipv6Addr) -> Result<(), &'static str> {
    if let Some(inner) = embedded_v4(address) {
        return check_v4(inner);
    }
    if let Some(inner) = tunnelled_v4(address) {
        check_v4(inner)?;
    }
    let segments = address.segments();
    match segments {
        [0, 0, 0, 0, 0, 0, 0, 0] => Err("the unspecified"),
        [0, 0, 0, 0, 0, 0, 0, 1] => Err("the loopback"),
        [0x64, 0xff9b, 1, ..] => Err("a local translation"),
        [0x100, 0, 0, 0, ..] => Err("a discarding"),
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0x0fff, ..] | [0x2001, 2, 0, ..] => Err("a documentation or test"),
        [0x2001, 0..=0x1ff, ..] => Err("a special"),
        [0xfc00..=0xfdff, ..] => Err("a private"),
        [0xfe80..=0xfebf, ..] => Err("a link-local"),
        [0xfec0..=0xfeff, ..] => Err("a site-local"),
        [0xff00..=0xffff, ..] => Err("a multicast"),
        [0x2000..=0x3fff, ..] => Ok(()),
        _ => Err("a reserved"),
    }
}

/// The IPv4 address that an IPv6 one stands for: mapped, compatible, NAT64, 6to4 and Teredo.
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let s = address.segments();
    let v4 = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    match s {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0xffff | 0, high, low] | [0, 0, 0, 0, 0xffff, 0, high, low] => Some(v4(high, low)),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(v4(high, low)),
        [0x2002, high, low, ..] => Some(v4(high, low)),
        [0x2001, 0, _, _, _, _, high, low] => Some(v4(!high, !low)),
        _ => None,
    }
}

/// The IPv4 address at which a tunnel of ISATAP ends (RFC 5214 §6.1), in whatever network.
fn tunnelled_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    match address.segments() {
        [_, _, _, _, 0 | 0x200, 0x5efe, high, low] => Some(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low))),
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    fn check(url: &str, rules: &NetRules) -> Result<AddressRule, Refused> {
        check_url(&Url::parse(url).unwrap(), rules)
    }

    #[test]
    fn refuses_every_network_that_is_not_the_public_one() {
        for address in [
            "0.0.0.0",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.8.8.8",
            "169.254.169.254",
            "192.0.0.8",
            "192.0.2.1",
            "198.51.100.1",
            "203.0.113.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "240.0.0.1",
            "::",
            "::1",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "fc00::1",
            "fdff::1",
            "ff02::1",
            "2001:db8::1",
            "100::1",
            "::ffff:127.0.0.1",
            "::ffff:192.168.0.1",
            "::10.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2002:c0a8:1::1",
            "2001:0:0:0:0:0:80ff:fffe",
            "::ffff:0:10.0.0.1",
            "2a01:4f8::5efe:10.0.0.1",
            "2a01:4f8::200:5efe:192.168.1.1",
            "fe80::5efe:1.1.1.1",
            "4000::1",
        ] {
            assert!(check_address(address.parse().unwrap()).is_err(), "{address}");
        }
        for address in [
            "1.1.1.1",
            "172.32.0.1",
            "100.128.0.1",
            "193.0.0.1",
            "2606:4700::1111",
            "2a00:1450::1",
            "64:ff9b::1.1.1.1",
            "::ffff:1.1.1.1",
            "2a01:4f8::5efe:1.1.1.1",
        ] {
            assert_eq!(check_address(address.parse().unwrap()), Ok(()), "{address}");
        }
    }

    /// Decision 41.
    /// Proves: SFS-6-D4, SFS-3.2-9, SEC-3-1.
    #[test]
    fn only_https_is_fetched_and_never_a_private_address() {
        let rules = NetRules::default();
        assert!(check("https://download.montague.lit/x", &rules).is_ok());
        assert!(matches!(check("http://download.montague.lit/x", &rules), Err(Refused::Insecure(_))));
        assert!(matches!(check("ftp://download.montague.lit/x", &rules), Err(Refused::Scheme(_))));
        assert!(matches!(check("file:///etc/passwd", &rules), Err(Refused::NoHost)));
        assert!(matches!(check("https://romeo:secret@download.montague.lit/x", &rules), Err(Refused::Credentials)));
        for url in [
            "https://127.0.0.1/",
            "https://[::1]/",
            "https://0x7f.1/",
            "https://2130706433/",
            "https://192.168.0.1:8443/",
            "http://127.0.0.1/",
        ] {
            assert!(check(url, &rules).is_err(), "{url}");
        }
        let rule = check("https://download.montague.lit/x", &rules).unwrap();
        assert!(rule.check("10.0.0.1".parse().unwrap()).is_err());
        assert_eq!(rule.check("93.184.216.34".parse().unwrap()), Ok(()));
    }

    #[test]
    fn the_own_server_may_be_anywhere_and_is_named_exactly() {
        let rules = NetRules { own: vec![Origin::https("upload.home.lit")], ..NetRules::default() };
        assert_eq!(check("https://Upload.Home.lit./x", &rules).unwrap().check("192.168.1.2".parse().unwrap()), Ok(()));
        // Whatever answers at another port of the same machine is not the upload service.
        assert!(check("https://upload.home.lit:8443/x", &rules).unwrap().check("192.168.1.2".parse().unwrap()).is_err());
        let announced = NetRules { own: vec![Origin::parse("Upload.Home.lit.:5281").unwrap()], ..NetRules::default() };
        assert_eq!(check("https://upload.home.lit:5281/x", &announced).unwrap().check("192.168.1.2".parse().unwrap()), Ok(()));
        assert!(check("https://upload.home.lit/x", &announced).unwrap().check("192.168.1.2".parse().unwrap()).is_err());
        assert!(check("https://other.home.lit/x", &rules).unwrap().check("192.168.1.2".parse().unwrap()).is_err());
        assert!(matches!(check("http://upload.home.lit/x", &rules), Err(Refused::Insecure(_))));
    }

    #[test]
    fn plain_http_needs_the_test_mode_and_loopback_or_tor_and_an_onion() {
        let loopback = NetRules { loopback_http: true, ..NetRules::default() };
        let rule = check("http://127.0.0.1:5280/x", &loopback).unwrap();
        assert!(rule.check("127.0.0.1".parse().unwrap()).is_ok() && rule.check("10.0.0.1".parse().unwrap()).is_err());
        assert!(check("http://localhost:5280/x", &loopback).unwrap().check("10.0.0.1".parse().unwrap()).is_err());
        assert!(check("http://localhost.evil.example/", &loopback).is_err());
        let tor = NetRules { onion: true, ..NetRules::default() };
        assert!(check("http://abcdefghij.onion/x", &tor).is_ok());
        assert!(matches!(check("https://abcdefghij.onion/x", &NetRules::default()), Err(Refused::Onion(_))));
        // A name of nothing below it is nobody's, and must not be asked of the name service either.
        assert!(matches!(check("https://.onion./x", &NetRules::default()), Err(Refused::Onion(_))));
        assert!(check("http://abcdefghij.onion.evil.example/", &tor).is_err());
    }

    /// Decision 41.
    #[test]
    fn redirects_are_judged_like_urls_and_counted() {
        let from = Url::parse("https://download.montague.lit/a/b").unwrap();
        let rules = NetRules::default();
        assert_eq!(follow(&from, "../c#frag", 0, &rules).unwrap().0.as_str(), "https://download.montague.lit/c");
        assert!(matches!(follow(&from, "http://download.montague.lit/c", 0, &rules), Err(Refused::Insecure(_))));
        assert!(matches!(follow(&from, "https://127.0.0.1/", 2, &rules), Err(Refused::Address { .. })));
        assert_eq!(follow(&from, "/c", MAX_REDIRECTS, &rules), Err(Refused::TooManyRedirects));
        assert_eq!(follow(&from, "https://[oops", 0, &rules), Err(Refused::NoUrl));
        let same = |to: &str| is_same_origin(&from, &Url::parse(to).unwrap());
        assert!(same("https://download.montague.lit:443/x"));
        assert!(!same("https://download.montague.lit:8443/x") && !same("https://evil.example/x"));
    }
}
