//! URLs of others, and where they lead: nothing but https, no credentials, no private network, no smuggled header.

use std::net::IpAddr;

use balcony_sharing::net_rules::{MAX_REDIRECTS, check_address, check_url, follow, is_same_origin};
use balcony_sharing::{FileName, NetRules, Origin, Source};
use balcony_wire::http_upload::SlotHeader;
use balcony_wire::url_data::{HttpDataKind, UrlData};
use balcony_wire::{Element, Payload, ns};
use url::{Host, Url};

use crate::choices::Choices;
use crate::offered::is_safe;

/// Where we stand, an address, then lines: a URL, where it redirects to, the name and value of a header.
pub(crate) fn run(data: &[u8]) {
    let mut choices = Choices::new(data);
    let own = choices.one_of(&["", "own.lit", "localhost", "127.0.0.1", "[::1]"]);
    let own = Origin::parse(own).into_iter().collect();
    let rules = NetRules { own, ..NetRules::default() };
    let address = address(&mut choices);
    let Ok(text) = std::str::from_utf8(choices.rest()) else { return };
    let mut lines = text.split('\n');
    let [first, location, name, value] = [(); 4].map(|()| lines.next().unwrap_or_default());
    let _either = check_address(address);
    header(name, value);
    asked_for(first, name, value);
    let Ok(url) = Url::parse(first) else { return };
    if let Ok(rule) = check_url(&url, &rules) {
        is_reachable(&url, &rules);
        if !is_own(&url, &rules) {
            assert_eq!(rule.check(address).is_ok(), check_address(address).is_ok());
            assert!(rule.check(IpAddr::from([127, 0, 0, 1])).is_err() && rule.check(IpAddr::from([192, 168, 0, 1])).is_err());
        }
    }
    for count in [0, MAX_REDIRECTS - 1] {
        if let Ok((to, _)) = follow(&url, location, count, &rules) {
            is_reachable(&to, &rules);
            assert!(to.fragment().is_none(), "a fragment may be a key: {to}");
            assert_eq!(
                is_same_origin(&url, &to),
                (url.scheme(), url.host(), url.port_or_known_default()) == (to.scheme(), to.host(), to.port_or_known_default())
            );
        }
    }
    assert!(follow(&url, location, MAX_REDIRECTS, &rules).is_err());
    if let Some(name) = FileName::from_url(&url) {
        is_safe(&name);
    }
}

fn address(choices: &mut Choices<'_>) -> IpAddr {
    let mut octets = [0; 16];
    octets.fill_with(|| choices.byte());
    match choices.byte() & 3 {
        0 => IpAddr::from([octets[0], octets[1], octets[2], octets[3]]),
        1 => IpAddr::from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, octets[0], octets[1], octets[2], octets[3]]),
        _ => IpAddr::from(octets),
    }
}

fn is_own(url: &Url, rules: &NetRules) -> bool {
    let (host, port) = (url.host_str().unwrap_or_default().trim_end_matches('.'), url.port_or_known_default());
    rules.own.iter().any(|own| own.host() == host && Some(own.port()) == port)
}

/// What may be asked for, said anew and not by the code that is tested.
fn is_reachable(url: &Url, rules: &NetRules) {
    assert_eq!(url.scheme(), "https", "{url}");
    assert!(url.username().is_empty() && url.password().is_none(), "{url}");
    assert!(!url.as_str().contains(['\r', '\n', ' ']), "{url}");
    let inside = match url.host().unwrap() {
        Host::Ipv4(v4) => {
            v4.is_loopback() || v4.is_private() || v4.is_link_local() || v4.is_unspecified() || v4.is_broadcast() || v4.is_multicast()
        }
        Host::Ipv6(v6) => {
            v6.is_loopback()
                || v6.is_unspecified()
                || v6.is_unique_local()
                || v6.is_unicast_link_local()
                || v6.to_ipv4_mapped().is_some_and(|v4| v4.is_loopback() || v4.is_private())
        }
        Host::Domain(name) => name.trim_end_matches('.').ends_with(".onion"),
    };
    assert!(!inside || is_own(url, rules), "{url}");
}

/// A header of an upload slot.
fn header(name: &str, value: &str) {
    if let Some(header) = SlotHeader::new(name, value) {
        assert!(["Authorization", "Cookie", "Expires"].contains(&header.name()));
        assert!(!header.value().contains(['\r', '\n']), "{:?}", header.value());
    }
}

/// A header that a sender wants to go along with a request.
fn asked_for(url: &str, name: &str, value: &str) {
    let header = Element::new("header", ns::URL_DATA_HTTP).with_attr("name", name).with_attr("value", value);
    let data = Element::new("url-data", ns::URL_DATA).with_attr("target", url).with_child(header);
    let Ok(data) = UrlData::read(&data) else { return };
    let again = UrlData::read(&data.write()).map(|again| (again.target, again.http));
    assert_eq!(again, Ok((data.target.clone(), data.http.clone())));
    for http in data.http.iter().filter(|http| http.refused.is_none()) {
        let HttpDataKind::Header { name, value } = &http.kind else { panic!("a header became {http:?}") };
        assert!(!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':'), "{name:?}");
        assert!(!value.chars().any(|c| c.is_control() && c != '\t'), "{value:?}");
        let steering =
            ["host", "content-length", "transfer-encoding", "connection", "upgrade", "range", "if-range", "accept-encoding", "expect"];
        assert!(!steering.contains(&name.to_ascii_lowercase().as_str()), "{name}");
    }
    let source = Source::url(url);
    assert!(!source.key().as_str().is_empty());
}
