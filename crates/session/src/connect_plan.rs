//! Where to connect to: SRV records of both kinds in one order.
//!
//! RFC 6120 §3.2, RFC 2782.
//! XEP-0368 SRV records for XMPP over TLS, v1.1.0 <https://xmpp.org/extensions/xep-0368.html>

use crate::Security;

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

/// Orders the records of `_xmpp-client._tcp` and `_xmpps-client._tcp` of a domain. `entropy` decides among weights.
///
/// Without any record the domain itself is tried on 5222. A target `.` takes its kind out, and there is no fallback to the
/// domain then (XEP-0368 §5).
#[must_use]
pub fn connect_plan(_domain: &str, _starttls: SrvAnswer, _direct: SrvAnswer, _entropy: [u8; 32]) -> ConnectPlan {
    todo!()
}
