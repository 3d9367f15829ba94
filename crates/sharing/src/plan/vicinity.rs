//! Whose a host is, seen from one offer: what asking it reveals, and where its answer may send us on to.

use std::sync::Arc;

use url::{Host, Url};

use super::policy::Verdict;
use super::{Answer, Circumstances};
use crate::exposure::is_within;
use crate::{Exposure, ExposureKind, Offer, Origin};

/// Whose hosts are whose.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Vicinity {
    own: Vec<Origin>,
    own_domain: String,
    /// Empty where nobody can tell who the sender is.
    senders_domain: String,
}

impl Vicinity {
    pub(super) fn new(offer: &Offer, around: &Circumstances) -> Self {
        let provenance = offer.provenance();
        Self {
            own: around.rules.own.clone(),
            own_domain: provenance.account().domain().to_owned(),
            senders_domain: provenance.person().map_or_else(String::new, |person| person.domain().to_owned()),
        }
    }

    /// What a request to this URL reveals, and to whom.
    pub(super) fn exposure(&self, url: &Url) -> Exposure {
        let host = url.host_str().unwrap_or_default();
        let is_announced = self.own.iter().any(|own| own.is_of(url));
        // What answers at another port of the own domain need not be the own server's.
        let is_own = is_announced || (url.port_or_known_default() == Some(443) && is_within(host, &self.own_domain));
        let is_loopback = match url.host() {
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            _ => host.eq_ignore_ascii_case("localhost"),
        };
        if url.scheme() == "http" && !is_loopback && !is_onion(url) {
            Exposure::Everybody(host.to_owned())
        } else if is_own || is_loopback {
            Exposure::OwnServer(host.to_owned())
        } else if is_within(host, &self.senders_domain) {
            Exposure::SendersServer(host.to_owned())
        } else {
            Exposure::ThirdHost(host.to_owned())
        }
    }
}

pub(super) fn is_onion(url: &Url) -> bool {
    is_within(url.host_str().unwrap_or_default(), "onion")
}

/// Where answers may send us on to: hosts that reveal no more than the plan does already, or than a rule or an answer of the
/// person allows (`docs/decisions/0012-redirects-and-exposure.md`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirects(Arc<Known>);

#[derive(Debug, PartialEq, Eq)]
struct Known {
    vicinity: Vicinity,
    /// What the rules fetch unasked.
    allowed: Vec<ExposureKind>,
    /// What the person agreed to, unless a rule forbids it.
    answered: Vec<Answer>,
}

const KINDS: [ExposureKind; 4] = [ExposureKind::OwnServer, ExposureKind::SendersServer, ExposureKind::ThirdHost, ExposureKind::Everybody];

impl Redirects {
    /// `verdict` says what the rules say of places that reveal so much.
    pub(super) fn new(vicinity: Vicinity, around: &Circumstances, verdict: impl Fn(ExposureKind) -> Verdict) -> Self {
        let allowed = KINDS.into_iter().filter(|kind| verdict(*kind) == Verdict::Fetch).collect();
        let is_forbidden = |answer: &Answer| match answer {
            Answer::Reveal(exposure) => verdict(exposure.kind()) == Verdict::Never,
            Answer::RevealAny(kind) => verdict(*kind) == Verdict::Never,
            Answer::Fetch | Answer::Unproven | Answer::NamedBy(_) | Answer::RelayOnly => true,
        };
        let answered = around.answers.iter().filter(|answer| !is_forbidden(answer)).cloned().collect();
        Self(Arc::new(Known { vicinity, allowed, answered }))
    }

    /// Only to hosts that reveal what the plan reveals anyway, where nothing is known about whose they are.
    #[must_use]
    pub fn within_the_plan() -> Self {
        Self(Arc::new(Known { vicinity: Vicinity::default(), allowed: Vec::new(), answered: Vec::new() }))
    }

    /// What following a redirect would reveal, if that is more than `planned` and more than the person allows.
    #[must_use]
    pub fn refusal(&self, to: &Url, planned: &[ExposureKind]) -> Option<Exposure> {
        let exposure = self.vicinity().exposure(to);
        let kind = exposure.kind();
        let is_allowed = self.0.allowed.contains(&kind)
            || self.0.answered.iter().any(|answer| answer.settles(&Answer::Reveal(exposure.clone())))
            || planned.iter().any(|planned| kind <= *planned);
        (!is_allowed).then_some(exposure)
    }

    pub(super) fn vicinity(&self) -> &Vicinity {
        &self.0.vicinity
    }
}
