//! Puts sources into an order: less revealing before more revealing, untried before failed, the sender's own before others', as named.
//!
//! XEP-0447 Stateless file sharing, v0.3.1 <https://xmpp.org/extensions/xep-0447.html>
//! XEP-0103 URL address information, v0.4.1 <https://xmpp.org/extensions/xep-0103.html>
//! Status: partial: targets of http and https; data for other schemes is left alone.
//! XEP-0104 HTTP scheme for URL data, v0.3.1 <https://xmpp.org/extensions/xep-0104.html>
//! Status: partial: headers, cookies and credentials of others are sent with the request; none is written.
//! XEP-0448 Encryption for stateless file sharing, v0.2.0 <https://xmpp.org/extensions/xep-0448.html>
//! Status: partial: encrypted sources are read and named as a reason for leaving them out; nothing is encrypted or decrypted.

use std::time::SystemTime;

use balcony_wire::url_data::{HttpData, HttpDataKind};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::{Host, Url};

use super::history::back_off;
use super::{Attempt, Circumstances, History, How, LeftOut, Plan, Policy, Reason, Rule};
use crate::exposure::is_within;
use crate::net_rules::check_url;
use crate::offer::{NamedBy, Place};
use crate::{Exposure, Offer, Proof, Source, UrlSource};

/// Every source of the offer: an attempt or a reason.
pub(super) fn lay_out(offer: &Offer, policy: &Policy, history: &History, circumstances: &Circumstances) -> Plan {
    let mut plan = Plan::default();
    let mut ranked = Vec::new();
    for place in offer.places() {
        match judge(place, offer, policy, history, circumstances) {
            Ok((failures, attempt)) => ranked.push(((failures > 0, attempt.exposure.kind(), place.named_by != NamedBy::Sender), attempt)),
            Err(reason) => plan.left_out.push(LeftOut { source: place.source.key(), what: place.source.to_string(), reason }),
        }
    }
    ranked.sort_by_key(|(rank, _)| *rank); // stable: the sender's order decides what is equal
    plan.attempts = ranked.into_iter().map(|(_, attempt)| attempt).collect();
    plan
}

/// An attempt and how often it failed in a row before, or why there is none.
fn judge(place: &Place, offer: &Offer, policy: &Policy, history: &History, around: &Circumstances) -> Result<(u32, Attempt), Reason> {
    let proven = offer.proof() == Proof::Digest;
    if !proven && place.named_by != NamedBy::Sender {
        return Err(Reason::NotTheSenders);
    }
    let attempt = match &place.source {
        Source::Url(source) => http_attempt(place, source, offer, proven, around)?,
        Source::Carried { cid } => bits_attempt(place, How::Carried { cid: cid.clone() }, Exposure::Nothing),
        Source::Bits { from, .. } if from.resource().is_none() => return Err(Reason::NoDevice),
        Source::Bits { cid, from } => {
            let how = How::Bits { cid: cid.clone(), from: from.clone() };
            bits_attempt(place, how, Exposure::Presence(from.clone()))
        }
        Source::Encrypted(_) => return Err(Reason::Unsupported("encrypted sources")),
        Source::Published { .. } => return Err(Reason::Unsupported("published sessions")),
        Source::ByHash { .. } => return Err(Reason::Unsupported("devices asked by hash")),
        Source::Unknown(_) => return Err(Reason::UnknownKind),
    };
    if policy.rule_for(attempt.exposure.kind()) == Rule::Never {
        return Err(Reason::Forbidden(attempt.exposure));
    }
    let failures = failures(&attempt, history, around)?;
    Ok((failures, attempt))
}

fn http_attempt(place: &Place, source: &UrlSource, offer: &Offer, proven: bool, around: &Circumstances) -> Result<Attempt, Reason> {
    let mut url = source.url().ok_or(crate::net_rules::Refused::NoUrl)?;
    url.set_fragment(None);
    if !proven && url.scheme() == "http" && !is_onion(&url) {
        return Err(Reason::InsecureUnproven);
    }
    let addresses = check_url(&url, &around.rules)?;
    let headers = request_headers(source, &url, proven)?;
    let exposure = exposure(&url, offer, around);
    Ok(Attempt { source: place.source.key(), how: How::Http { url, headers, addresses }, exposure })
}

/// Bits of binary reveal nothing where they came along, else to the sender's device that we are there (XEP-0231 §2.3).
fn bits_attempt(place: &Place, how: How, exposure: Exposure) -> Attempt {
    Attempt { source: place.source.key(), how, exposure }
}

fn failures(attempt: &Attempt, history: &History, around: &Circumstances) -> Result<u32, Reason> {
    if let Some(record) = history.last_final(&attempt.source) {
        return Err(Reason::Failed(record.outcome.clone()));
    }
    let Some((last, failures)) = history.of(&attempt.source) else { return Ok(0) };
    if last.outcome.is_success() {
        return Ok(0);
    }
    let until: SystemTime = last.at + back_off(failures);
    if !around.asked && around.now < until {
        return Err(Reason::Later { outcome: last.outcome.clone(), until });
    }
    Ok(failures)
}

/// What a request to this URL reveals, and to whom.
fn exposure(url: &Url, offer: &Offer, around: &Circumstances) -> Exposure {
    let host = url.host_str().unwrap_or_default();
    let provenance = offer.provenance();
    let (account, sender) = (provenance.account().domain(), provenance.sender().domain());
    let named = |hosts: &[String]| hosts.iter().any(|known| known.eq_ignore_ascii_case(host));
    let is_own = named(&around.rules.own_hosts) || is_within(host, account);
    let is_loopback = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        _ => host.eq_ignore_ascii_case("localhost"),
    };
    if url.scheme() == "http" && !is_loopback && !is_onion(url) {
        Exposure::Everybody(host.to_owned())
    } else if is_own || is_loopback {
        Exposure::OwnServer(host.to_owned())
    } else if named(&around.senders_hosts) || is_within(host, sender) {
        Exposure::SendersServer(host.to_owned())
    } else {
        Exposure::ThirdHost(host.to_owned())
    }
}

fn is_onion(url: &Url) -> bool {
    is_within(url.host_str().unwrap_or_default(), "onion")
}

/// The headers a sender asks for (XEP-0104), encoded here as its §4.1 wants; one that is refused makes the source useless.
fn request_headers(source: &UrlSource, url: &Url, proven: bool) -> Result<Vec<(String, String)>, Reason> {
    if source.http.is_empty() {
        return Ok(Vec::new());
    }
    if !proven {
        return Err(Reason::RequestDataUnproven);
    }
    let mut headers = Vec::new();
    let mut cookies = Vec::new();
    for data in &source.http {
        if let Some(why) = data.refused {
            return Err(Reason::RequestData(why.to_string()));
        }
        match header_of(data, url) {
            Some((name, value)) if name == "Cookie" => cookies.push(value),
            header => headers.extend(header),
        }
    }
    if !cookies.is_empty() {
        headers.push(("Cookie".to_owned(), cookies.join("; ")));
    }
    Ok(headers)
}

/// `None` for a cookie of another host, path or way, and for credentials that say nothing.
fn header_of(data: &HttpData, url: &Url) -> Option<(String, String)> {
    match &data.kind {
        HttpDataKind::Header { name, value } => Some((name.clone(), value.clone())),
        HttpDataKind::Cookie { name, value, attributes } => {
            let secure = matches!(attributes.secure.as_deref(), Some("true" | "1"));
            let domain = attributes.domain.as_deref().map(|domain| domain.trim_start_matches('.'));
            let for_us = domain.is_none_or(|domain| is_within(url.host_str().unwrap_or_default(), domain))
                && attributes.path.as_deref().is_none_or(|path| url.path().starts_with(path))
                && (!secure || url.scheme() == "https");
            let value: String = value.chars().filter(|c| !matches!(c, ';' | ',' | ' ')).collect();
            for_us.then(|| ("Cookie".to_owned(), format!("{name}={value}")))
        }
        HttpDataKind::Auth { params, .. } => {
            let param = |wanted: &str| params.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
            let credentials = STANDARD.encode(format!("{}:{}", param("username")?, param("password").unwrap_or_default()));
            Some(("Authorization".to_owned(), format!("Basic {credentials}")))
        }
    }
}

impl Attempt {
    /// This attempt as a source that is left out.
    pub(super) fn left_out(self, reason: impl FnOnce(&Self) -> Reason) -> LeftOut {
        let what = self.how.to_string();
        LeftOut { reason: reason(&self), source: self.source, what }
    }
}
