//! What remains of a body for people when everything that only stands in for a share is taken out.
//!
//! XEP-0428 §2.2 for marked fallback, decisions 10, 57 and 58 for the rest.
//!
//! XEP-0428 Fallback indication, v0.2.1 <https://xmpp.org/extensions/xep-0428.html>
//! Status: complete.
//! XEP-0426 Character counting in message bodies, v0.3.0 <https://xmpp.org/extensions/xep-0426.html>
//! Status: complete.

use balcony_wire::fallback::RegionOf;
use balcony_wire::ns;
use balcony_wire::text::{self, CodePoints};

use super::{Reading, Share, fold, out_of_band};
use crate::{Source, Via};

/// The text to show; `None` when nothing is left.
pub(super) fn shown(reading: &Reading) -> Option<String> {
    let body = reading.body.as_deref()?;
    if is_only_a_stand_in(body.trim(), reading) {
        return None;
    }
    let marked = reading.fallback.iter().filter(|fallback| fallback.for_ns.as_deref().is_some_and(|ns| is_used(ns, reading)));
    let mut hidden: Vec<CodePoints> = marked.flat_map(|fallback| fallback.ranges_in(RegionOf::Body, body)).collect();
    hidden.extend(reading.shares.iter().filter_map(|share| linked_range(share, body, reading)));
    let left = text::without(body, &hidden);
    if left.trim().is_empty() { None } else { Some(left) }
}

/// Whether the message says something in this namespace that we understand: only then is its fallback hidden.
fn is_used(namespace: &str, reading: &Reading) -> bool {
    let has = |via: Via| reading.offers.iter().any(|offer| offer.said_in().contains(&via));
    match namespace {
        ns::SFS => has(Via::FileSharing) || reading.attach.is_some(),
        ns::SIMS | ns::REFERENCE => has(Via::MediaSharing),
        ns::OOB => !reading.oob.is_empty(),
        ns::FILE_METADATA => has(Via::BareFile) || has(Via::FileSharing),
        ns::ATTACHING => reading.attach.is_some(),
        _ => false,
    }
}

/// Whether a body without marking is nothing but the address of a file the message speaks of (decision 57), or that and what the
/// share says anyway, as the first draft of XEP-0447 wrote it.
fn is_only_a_stand_in(body: &str, reading: &Reading) -> bool {
    if body.is_empty() {
        return false;
    }
    // an `aesgcm:` URL carries a key: it is an offer, never a text
    let spelling = fold::spelling(body);
    if urls(reading).any(|url| url == body || fold::spelling(url) == spelling) || out_of_band::aes_gcm_body(body).is_some() {
        return true;
    }
    let Some(url) = urls(reading).find(|url| body.ends_with(url)) else { return false };
    let words = plain(&body[..body.len() - url.len()]);
    let shares = reading.shares.iter().filter(|share| share.via == Via::FileSharing).filter_map(|share| share.file.as_ref());
    !words.is_empty() && shares.flat_map(|file| file.descs.iter().map(|desc| &desc.text).chain(&file.name)).any(|said| plain(said) == words)
}

/// Addresses of the files that the message speaks of, those of encrypted bytes and of folded copies too.
fn urls(reading: &Reading) -> impl Iterator<Item = &str> {
    let shared = reading.shares.iter().flat_map(|share| &share.sources);
    let attached = reading.attach.iter().flat_map(|attach| &attach.sources);
    let oob = reading.oob.iter().map(String::as_str).filter(|url| out_of_band::can_be_a_file(url));
    shared.chain(attached).flat_map(Source::addresses).chain(oob)
}

/// The range of a SIMS reference, if it covers exactly such an address, with the end read as exclusive or inclusive.
fn linked_range(share: &Share, body: &str, reading: &Reading) -> Option<CodePoints> {
    let (begin, end) = (share.begin.as_deref()?.parse().ok()?, share.end.as_deref()?.parse::<usize>().ok()?);
    let covers = |range: &CodePoints| text::slice(body, range).is_some_and(|part| urls(reading).any(|url| url == part));
    [begin..end, begin..end.checked_add(1)?].into_iter().find(covers)
}

/// Letters and digits in lower case: what is left when punctuation does not count.
fn plain(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}
