//! Puts sources into an order: the sender's own before others', untried before failed, proven before unproven, servers before people's
//! devices, less revealing before more revealing, as named.
//!
//! XEP-0447 Stateless file sharing, v0.3.1 <https://xmpp.org/extensions/xep-0447.html>
//! XEP-0103 URL address information, v0.4.1 <https://xmpp.org/extensions/xep-0103.html>
//! Status: partial: targets of http and https; data for other schemes is left alone.
//! XEP-0104 HTTP scheme for URL data, v0.3.1 <https://xmpp.org/extensions/xep-0104.html>
//! Status: partial: headers, cookies and credentials of others are sent with the request; none is written.

use std::collections::BTreeSet;

use balcony_wire::url_data::{HttpData, HttpDataKind};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::Url;

use super::desk::Desk;
use super::history::{Past, back_off};
use super::policy::Verdict;
use super::sessions::{self, Pair};
use super::vicinity::{Redirects, is_onion};
use super::{Attempt, Circumstances, Concern, History, How, HttpRequest, LeftOut, Policy, Reason, encrypted, question};
use crate::exposure::is_within;
use crate::net_rules::check_url;
use crate::offer::{NamedBy, Place};
use crate::{Exposure, ExposureKind, Offer, Proof, Source, SourceKey, UrlSource};

/// Something that may be tried, and what a person would have to agree to before.
pub(super) struct Candidate {
    /// Boxed: it is large, and is sorted and sorted out.
    pub(super) attempt: Box<Attempt>,
    /// Nothing where the rules say to fetch it, or where all was agreed to.
    pub(super) concerns: Vec<Concern>,
    /// The same without showing our address, where that asks for other things.
    pub(super) relayed: Option<Box<Candidate>>,
    pub(super) rank: Rank,
}

/// By which candidates are put into their order, the weightiest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    is_others: bool,
    has_failed: bool,
    is_unproven: bool,
    order: u8,
    exposure: ExposureKind,
    /// As named.
    at: usize,
}

impl Candidate {
    /// It was named as this one.
    fn placed(mut self, at: usize) -> Self {
        self.rank.at = at;
        self.relayed = self.relayed.map(|relayed| Box::new(relayed.placed(at)));
        self
    }
}

/// Every source of an offer: something to try, or a reason why not.
#[derive(Default)]
pub(super) struct Laid {
    pub(super) candidates: Vec<Candidate>,
    pub(super) left_out: Vec<LeftOut>,
}

/// Judges every source and puts those that may be tried into their order.
pub(super) fn lay(offer: &Offer, policy: &Policy, history: &History, around: &Circumstances) -> Laid {
    let desk = Desk::new(offer, policy, around);
    let (redirects, pasts) = (desk.redirects(), history.pasts());
    let mut laid = Laid::default();
    let mut found = Vec::new();
    for place in offer.places() {
        ways(place, offer, &redirects, around, &mut found);
    }
    found.extend(sessions::implied(offer, around).into_iter().map(|pair| Ok(Way::Device(Box::new(pair)))));
    for (at, way) in once(found).into_iter().enumerate() {
        let past = way.as_ref().ok().and_then(|way| pasts.get(way.source()));
        match way.and_then(|way| way.judge(&desk, past)) {
            Ok(candidate) => laid.candidates.push(candidate.placed(at)),
            Err(left_out) => laid.left_out.push(left_out),
        }
    }
    laid.candidates.sort_by_key(|candidate| candidate.rank);
    laid
}

/// What a source comes to: one attempt, several where encrypted bytes lie at several places, or why there is none.
fn ways(place: &Place, offer: &Offer, redirects: &Redirects, around: &Circumstances, found: &mut Vec<Result<Way, LeftOut>>) {
    let left_out = |reason| LeftOut { source: place.source.key(), what: place.source.to_string(), reason };
    let proven = offer.proof() == Proof::Digest;
    if !proven && place.named_by != NamedBy::Sender {
        return found.push(Err(left_out(Reason::NotTheSenders)));
    }
    if let Some(devices) = sessions::named(place, offer, around) {
        return found.extend(devices.into_iter().map(|pair| pair.map(|pair| Way::Device(Box::new(pair)))));
    }
    let one = match &place.source {
        Source::Url(source) => {
            http_request(source, proven, redirects, around).map(|(request, exposure)| attempt(place, How::Http(request), exposure))
        }
        Source::Encrypted(source) => {
            let inner = encrypted::inner(source, offer).into_iter();
            let attempts = inner.map(|inner| inner.and_then(|inner| encrypted_attempt(place, inner, proven, redirects, around)));
            return found.extend(attempts.map(|attempt| attempt.map(|attempt| Way::One(Box::new(attempt)))));
        }
        Source::Carried { cid } => Ok(attempt(place, How::Carried { cid: cid.clone() }, Exposure::Nothing)),
        Source::Bits { from, .. } if from.resource().is_none() => Err(Reason::NoDevice),
        Source::Bits { cid, from } => {
            let how = How::Bits { cid: cid.clone(), from: from.clone() };
            // That reveals to the sender's device that we are there (XEP-0231 §2.3).
            Ok(attempt(place, how, Exposure::Presence(from.clone())))
        }
        Source::Published { .. } | Source::ByHash { .. } | Source::Session { .. } | Source::Stream { .. } | Source::Unknown(_) => {
            Err(Reason::UnknownKind)
        }
    };
    found.push(one.map(|attempt| Way::One(Box::new(attempt))).map_err(left_out));
}

/// Each source once: a device may be named, and be one of those of a person who is named.
fn once(found: Vec<Result<Way, LeftOut>>) -> Vec<Result<Way, LeftOut>> {
    let is_attempt = |way: &Result<Way, LeftOut>| way.as_ref().ok().map(|way| way.source().clone());
    let attempts: BTreeSet<SourceKey> = found.iter().filter_map(is_attempt).collect();
    let mut seen = BTreeSet::new();
    let is_first = |way: &Result<Way, LeftOut>| match way {
        Ok(way) => seen.insert(way.source().clone()),
        Err(left_out) => !attempts.contains(&left_out.source),
    };
    found.into_iter().filter(is_first).collect()
}

/// Something that may be tried, in one or in two manners.
enum Way {
    One(Box<Attempt>),
    Device(Box<Pair>),
}

impl Way {
    fn source(&self) -> &SourceKey {
        match self {
            Self::One(attempt) => &attempt.source,
            Self::Device(pair) => &pair.direct.source,
        }
    }

    /// Of the two manners the direct one, which is the fast one, unless it needs an answer that the other does not.
    fn judge(self, desk: &Desk<'_>, past: Option<&Past<'_>>) -> Result<Candidate, LeftOut> {
        let (direct, relayed) = match self {
            Self::One(attempt) => return judge(*attempt, desk, past),
            Self::Device(pair) => (pair.direct, pair.relayed),
        };
        let Some(relayed) = relayed else { return judge(direct, desk, past) };
        if sessions::hides(desk.around()) {
            return judge(relayed, desk, past);
        }
        match (judge(direct, desk, past), judge(relayed, desk, past)) {
            (Ok(direct), Ok(relayed)) => Ok(match () {
                () if direct.concerns.is_empty() => direct,
                () if relayed.concerns.is_empty() => relayed,
                () => Candidate { relayed: Some(Box::new(relayed)), ..direct },
            }),
            (Err(_), relayed) => relayed,
            (direct, Err(_)) => direct,
        }
    }
}

/// What may be tried, or why nothing.
fn judge(mut attempt: Attempt, desk: &Desk<'_>, past: Option<&Past<'_>>) -> Result<Candidate, LeftOut> {
    if let How::Session(request) = &mut attempt.how {
        request.takes_unproven = desk.takes_unproven(attempt.exposure.kind());
    }
    let (ruling, mut concerns) = desk.ask_about(&attempt);
    if ruling.verdict == Verdict::Never {
        let rule = desk.rule(ruling);
        return Err(attempt.left_out(|attempt| Reason::Forbidden { exposure: attempt.exposure.clone(), rule }));
    }
    question::leave_open(&mut concerns, desk.offer(), desk.around());
    match failures(past, &attempt.how, desk.around()) {
        Ok(failures) => {
            let Attempt { how, exposure, named_by, .. } = &attempt;
            let (is_others, is_unproven) = (*named_by != NamedBy::Sender, !desk.is_proven(how));
            let (has_failed, order, exposure) = (failures > 0, sessions::order(how), exposure.kind());
            let rank = Rank { is_others, has_failed, is_unproven, order, exposure, at: 0 };
            Ok(Candidate { attempt: Box::new(attempt), concerns, relayed: None, rank })
        }
        Err(reason) => Err(attempt.left_out(|_| reason)),
    }
}

fn http_request(
    source: &UrlSource,
    proven: bool,
    redirects: &Redirects,
    around: &Circumstances,
) -> Result<(HttpRequest, Exposure), Reason> {
    let mut url = source.url().ok_or(crate::net_rules::Refused::NoUrl)?;
    url.set_fragment(None);
    if !proven && url.scheme() == "http" && !is_onion(&url) {
        return Err(Reason::InsecureUnproven);
    }
    let addresses = check_url(&url, &around.rules)?;
    let headers = request_headers(source, &url, proven)?;
    let exposure = redirects.vicinity().exposure(&url);
    Ok((HttpRequest { url, headers, addresses, redirects: redirects.clone() }, exposure))
}

fn encrypted_attempt(
    place: &Place,
    inner: encrypted::Inner,
    proven: bool,
    redirects: &Redirects,
    around: &Circumstances,
) -> Result<Attempt, LeftOut> {
    match http_request(&inner.source, proven, redirects, around) {
        Ok((http, exposure)) => {
            let how = How::Encrypted { cipher: inner.secret, http, ciphertext: inner.ciphertext };
            Ok(Attempt { source: inner.key, ..attempt(place, how, exposure) })
        }
        Err(reason) => Err(LeftOut { source: inner.key, what: format!("{}, encrypted", inner.source.target), reason }),
    }
}

fn attempt(place: &Place, how: How, exposure: Exposure) -> Attempt {
    Attempt { source: place.source.key(), named_by: place.named_by.clone(), how, exposure }
}

/// How often it failed in a row, or why it is left alone for now or for good. Whoever offers it in a session again has waited as long as
/// they thought right, and waits for the answer now.
fn failures(past: Option<&Past<'_>>, how: &How, around: &Circumstances) -> Result<u32, Reason> {
    let Some(past) = past else { return Ok(0) };
    if let Some(fatal) = past.fatal {
        return Err(Reason::Failed(fatal.outcome.clone()));
    }
    let until = past.last.at + back_off(past.failures);
    let is_offered = matches!(how, How::Session(request) if request.is_offered());
    if past.failures > 0 && !is_offered && !around.asked && around.now < until {
        return Err(Reason::Later { outcome: past.last.outcome.clone(), until });
    }
    Ok(past.failures)
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
