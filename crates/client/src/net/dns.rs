//! Looks up SRV records and addresses, each once and with a deadline.
//!
//! SRV by hickory, as the system's resolver has no call for it; addresses by the system's own resolver, so that hosts
//! files, search domains and split DNS of a VPN hold as they do for every other program.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use balcony_session::connect_plan::{SrvAnswer, SrvRecord};
use hickory_resolver::TokioResolver;
use hickory_resolver::proto::rr::RData;
use tokio::time::timeout;

use super::NetError;

/// How long one look-up may take.
const DEADLINE: Duration = Duration::from_secs(8);
/// Addresses of one name that are worth trying.
const MOST_ADDRESSES: usize = 16;

/// The SRV records of both kinds, STARTTLS first. Reveals the domain to the resolver of this machine.
pub(crate) async fn srv(domain: &str) -> (SrvAnswer, SrvAnswer) {
    if !has_srv(domain) {
        return (SrvAnswer::None, SrvAnswer::None);
    }
    let Ok(resolver) = TokioResolver::builder_tokio().and_then(|builder| builder.build()) else {
        tracing::debug!("the resolver's configuration cannot be read, going on without SRV records");
        return (SrvAnswer::Failed, SrvAnswer::Failed);
    };
    tokio::join!(look_up(&resolver, "_xmpp-client._tcp", domain), look_up(&resolver, "_xmpps-client._tcp", domain))
}

/// Addresses in the place of a domain, and names that never leave the machine, have no SRV records.
fn has_srv(domain: &str) -> bool {
    let is_address = domain.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
    !is_address && !is_localhost(domain)
}

/// Whether a name means this machine (RFC 6761 §6.3).
fn is_localhost(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

async fn look_up(resolver: &TokioResolver, service: &str, domain: &str) -> SrvAnswer {
    let name = format!("{service}.{domain}.");
    match timeout(DEADLINE, resolver.srv_lookup(name)).await {
        Ok(Ok(found)) => {
            let records = found.answers().iter().filter_map(|record| match &record.data {
                RData::SRV(srv) => {
                    Some(SrvRecord { priority: srv.priority, weight: srv.weight, port: srv.port, target: srv.target.to_ascii() })
                }
                _ => None,
            });
            let records: Vec<SrvRecord> = records.collect();
            if records.is_empty() { SrvAnswer::None } else { SrvAnswer::Records(records) }
        }
        Ok(Err(error)) if error.is_no_records_found() => SrvAnswer::None,
        Ok(Err(_)) | Err(_) => {
            // The words of the error hold the domain.
            tracing::debug!(service, "the SRV look-up failed");
            SrvAnswer::Failed
        }
    }
}

/// The addresses of a host, in the order the system prefers. An address as name is itself.
pub(crate) async fn addresses(host: &str, port: u16) -> Result<Vec<SocketAddr>, NetError> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    // RFC 6761 §6.3: this machine, whatever a hosts file or a name service says, or if there is neither.
    if is_localhost(bare) {
        return Ok(vec![SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port), SocketAddr::new(Ipv6Addr::LOCALHOST.into(), port)]);
    }
    let unknown = |source| NetError::Unknown { host: host.to_owned(), source };
    let found = match timeout(DEADLINE, tokio::net::lookup_host((bare, port))).await {
        Ok(found) => found.map_err(unknown)?,
        Err(_) => return Err(NetError::TimedOut { host: host.to_owned() }),
    };
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for address in found {
        if !addresses.contains(&address) && addresses.len() < MOST_ADDRESSES {
            addresses.push(address);
        }
    }
    if addresses.is_empty() {
        return Err(unknown(io::Error::new(io::ErrorKind::NotFound, "the name has no address")));
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asks_no_srv_for_addresses_and_this_machine() {
        for domain in ["127.0.0.1", "[::1]", "localhost", "a.localhost"] {
            assert!(!has_srv(domain), "{domain}");
        }
        assert!(has_srv("montague.example"));
    }

    #[tokio::test]
    async fn this_machine_has_an_address_without_a_hosts_file() {
        for name in ["localhost", "LOCALHOST.", "upload.localhost"] {
            let found = addresses(name, 80).await.expect("no look-up");
            assert!(found.iter().all(|address| address.ip().is_loopback()) && found[0].is_ipv4(), "{name}");
        }
    }

    #[tokio::test]
    async fn an_address_is_its_own_name() {
        let found = addresses("[::1]", 80).await.expect("no look-up");
        assert_eq!(found, ["[::1]:80".parse().expect("address")]);
    }
}
