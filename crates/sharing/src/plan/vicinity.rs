//! Whose a host is, seen from one offer: what asking it reveals, and where its answer may send us on to.

use std::sync::Arc;

use url::{Host, Url};

use super::{Circumstances, Policy, Rule};
use crate::exposure::is_within;
use crate::{Exposure, ExposureKind, Offer};

/// Whose hosts are whose.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Vicinity {
    own: Vec<String>,
    own_domain: String,
    senders: Vec<String>,
    senders_domain: String,
}

impl Vicinity {
    pub(super) fn new(offer: &Offer, around: &Circumstances) -> Self {
        let provenance = offer.provenance();
        Self {
            own: around.rules.own_hosts.clone(),
            own_domain: provenance.account().domain().to_owned(),
            senders: around.senders_hosts.clone(),
            senders_domain: provenance.sender().domain().to_owned(),
        }
    }

    /// What a request to this URL reveals, and to whom.
    pub(super) fn exposure(&self, url: &Url) -> Exposure {
        let host = url.host_str().unwrap_or_default();
        let named = |hosts: &[String]| hosts.iter().any(|known| known.eq_ignore_ascii_case(host));
        let is_loopback = match url.host() {
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            _ => host.eq_ignore_ascii_case("localhost"),
        };
        if url.scheme() == "http" && !is_loopback && !is_onion(url) {
            Exposure::Everybody(host.to_owned())
        } else if named(&self.own) || is_within(host, &self.own_domain) || is_loopback {
            Exposure::OwnServer(host.to_owned())
        } else if named(&self.senders) || is_within(host, &self.senders_domain) {
            Exposure::SendersServer(host.to_owned())
        } else {
            Exposure::ThirdHost(host.to_owned())
        }
    }
}

pub(super) fn is_onion(url: &Url) -> bool {
    is_within(url.host_str().unwrap_or_default(), "onion")
}

/// Where answers may send us on to: hosts that reveal no more than the plan does already, or than a rule or an answer of the person
/// allows (`docs/decisions/0012-redirects-and-exposure.md`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirects(Arc<Known>);

#[derive(Debug, PartialEq, Eq)]
struct Known {
    vicinity: Vicinity,
    allowed: Vec<ExposureKind>,
}

const KINDS: [ExposureKind; 4] = [ExposureKind::OwnServer, ExposureKind::SendersServer, ExposureKind::ThirdHost, ExposureKind::Everybody];

impl Redirects {
    pub(super) fn new(vicinity: Vicinity, policy: &Policy, around: &Circumstances) -> Self {
        let is_allowed = |kind: &ExposureKind| {
            let agreed = around.answers.contains(&super::Answer::Reveal(*kind)) && policy.rule_for(*kind) != Rule::Never;
            agreed || policy.rule_for(*kind) == Rule::Fetch
        };
        let allowed = KINDS.into_iter().filter(is_allowed).collect();
        Self(Arc::new(Known { vicinity, allowed }))
    }

    /// Only to hosts that reveal what the plan reveals anyway, where nothing is known about whose they are.
    #[must_use]
    pub fn within_the_plan() -> Self {
        Self(Arc::new(Known { vicinity: Vicinity::default(), allowed: Vec::new() }))
    }

    /// What following a redirect would reveal, if that is more than `planned` and more than the person allows.
    #[must_use]
    pub fn refusal(&self, to: &Url, planned: &[ExposureKind]) -> Option<Exposure> {
        let exposure = self.vicinity().exposure(to);
        let kind = exposure.kind();
        let is_allowed = self.0.allowed.contains(&kind) || planned.iter().any(|planned| kind <= *planned);
        (!is_allowed).then_some(exposure)
    }

    pub(super) fn vicinity(&self) -> &Vicinity {
        &self.0.vicinity
    }
}
