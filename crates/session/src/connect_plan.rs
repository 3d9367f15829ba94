//! Where to connect to: SRV records of both kinds in one order.
//!
//! RFC 6120 §3.2, RFC 2782.
//! XEP-0368 SRV records for XMPP over TLS, v1.1.0 <https://xmpp.org/extensions/xep-0368.html>

use crate::Security;
use crate::entropy::Entropy;

/// One SRV record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SrvRecord {
    /// Lower is tried first.
    pub priority: u16,
    /// Share of first tries among equals.
    pub weight: u16,
    /// Port.
    pub port: u16,
    /// Host; `.` says that the service is not offered.
    pub target: String,
}

/// What the look-up of one SRV name gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SrvAnswer {
    /// There are records.
    Records(Vec<SrvRecord>),
    /// There are none.
    None,
    /// The look-up failed; nothing is known.
    Failed,
}

/// One place to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Host to resolve; never the name the certificate is checked against, that is always the account's domain.
    pub host: String,
    /// Port.
    pub port: u16,
    /// How it is encrypted.
    pub security: Security,
}

/// Where to try, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectPlan {
    /// These, one after the other. Never empty.
    Try(Vec<Endpoint>),
    /// The domain says that it offers no XMPP to clients.
    NotOffered,
}

/// Most places worth trying.
const MOST: usize = 16;

/// Orders the records of `_xmpp-client._tcp` and `_xmpps-client._tcp` of a domain. `entropy` decides among weights.
///
/// Without any record the domain itself is tried on 5222. A target `.` takes its kind out, and there is no fallback to the
/// domain then (XEP-0368 §5).
#[must_use]
pub fn connect_plan(domain: &str, starttls: SrvAnswer, direct: SrvAnswer, entropy: [u8; 32]) -> ConnectPlan {
    let mut refused = false;
    let mut records = Vec::new();
    for (answer, security) in [(starttls, Security::StartTls), (direct, Security::DirectTls)] {
        let SrvAnswer::Records(found) = answer else { continue };
        refused |= found.iter().any(is_refusal);
        records.extend(found.into_iter().filter(|record| !is_refusal(record)).map(|record| (record, security)));
    }
    if records.is_empty() && refused {
        return ConnectPlan::NotOffered;
    }
    let mut endpoints: Vec<Endpoint> = in_order(records, &mut Entropy::new(entropy))
        .into_iter()
        .map(|(record, security)| Endpoint { host: record.target.trim_end_matches('.').to_owned(), port: record.port, security })
        .collect();
    endpoints.truncate(MOST);
    if endpoints.is_empty() {
        endpoints.push(Endpoint { host: domain.to_owned(), port: 5222, security: Security::StartTls });
    }
    ConnectPlan::Try(endpoints)
}

/// `.` or nothing as target: not offered.
fn is_refusal(record: &SrvRecord) -> bool {
    record.target.trim_end_matches('.').is_empty()
}

/// By priority; among equals drawn by weight, as RFC 2782 says (weight 0 in front, so that it has a small chance).
fn in_order(mut records: Vec<(SrvRecord, Security)>, entropy: &mut Entropy) -> Vec<(SrvRecord, Security)> {
    records.sort_by_key(|(record, _)| (record.priority, record.weight != 0));
    let mut ordered = Vec::with_capacity(records.len());
    while let Some(priority) = records.first().map(|(record, _)| record.priority) {
        let equals = records.iter().take_while(|(record, _)| record.priority == priority).count();
        let total: u64 = records[..equals].iter().map(|(record, _)| u64::from(record.weight)).sum();
        let mut drawn = entropy.number() % (total + 1);
        let at = records[..equals].iter().position(|(record, _)| match drawn.checked_sub(u64::from(record.weight)) {
            Some(0) | None => true,
            Some(left) => {
                drawn = left;
                false
            }
        });
        ordered.push(records.remove(at.unwrap_or(0)));
    }
    ordered
}
