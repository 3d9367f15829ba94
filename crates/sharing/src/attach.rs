//! Sources that come in a message of their own, for a file that another message offers: which offer they belong to, and what they
//! change. Pure, and blind to the order in which messages came.
//!
//! Anybody in a conversation may attach a source (XEP-0447 §3.3). What the sender of the offer attaches counts as theirs; what
//! others attach stays named by them, comes last, and is used only where a digest proves the bytes and the rules allow it ([`crate::plan`]).
//!
//! XEP-0447 Stateless file sharing, v0.3.1 <https://xmpp.org/extensions/xep-0447.html>
//! XEP-0367 Message attaching, v0.3 <https://xmpp.org/extensions/xep-0367.html>

use std::collections::BTreeSet;
use std::time::SystemTime;

use crate::dialect::Reading;
use crate::provenance::is_usable_id;
use crate::{NamedBy, Offer, Provenance, Source, SourceKey, Via};

/// Sources that the sender of an offer may attach beside those in it; of more the newest count.
pub const MAX_ATTACHED: usize = 32;
/// Sources that all others together may attach to an offer.
pub const MAX_FROM_OTHERS: usize = 16;
/// Sources that one of the others may attach to an offer.
pub const MAX_FROM_ONE: usize = 8;

/// Sources for a file that another message offers, and who names them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    by: Provenance,
    target: String,
    share: Option<String>,
    sources: Vec<Source>,
    at: SystemTime,
}

/// Why sources are not added to an offer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotJoined {
    /// It was said to somebody else.
    #[error("the message it is attached to belongs to another conversation")]
    OtherConversation,
    /// It names another message.
    #[error("it is attached to another message")]
    OtherMessage,
    /// Nothing is shared there.
    #[error("the message it is attached to shares no file")]
    NoShare,
    /// No share of that message has the id (decision 7).
    #[error("the message it is attached to has no share of that id")]
    NoSuchShare,
    /// It could mean several (decision 7).
    #[error("the message it is attached to shares several files, and it does not tell which one is meant")]
    Ambiguous,
}

impl Attachment {
    /// What a message attaches, and when it came. `None` if it attaches no source (decision 58), or to a message that cannot be named.
    #[must_use]
    pub fn of(reading: &Reading, by: &Provenance, at: SystemTime) -> Option<Self> {
        let attach = reading.attach.as_ref().filter(|attach| !attach.sources.is_empty() && is_usable_id(&attach.to))?;
        let (target, share, sources) = (attach.to.clone(), attach.share_id.clone(), attach.sources.clone());
        Some(Self { by: by.clone(), target, share, sources, at })
    }

    /// Who attaches.
    pub fn provenance(&self) -> &Provenance {
        &self.by
    }

    /// By which id it names the message it belongs to ([`Provenance::target_ids`]).
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Which share of that message it means.
    pub fn share(&self) -> Option<&str> {
        self.share.as_deref()
    }

    /// The sources, in order.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// Whether the sender of an offer attached it.
    pub fn is_of(&self, offer: &Offer) -> bool {
        self.by.is_same_sender(offer.provenance())
    }

    /// Puts attachments into an order that does not depend on who hands them over.
    fn rank(&self) -> (SystemTime, &str, Vec<SourceKey>, String) {
        (self.at, self.by.sender().as_str(), self.sources.iter().map(Source::key).collect(), self.by.to_record())
    }
}

/// Which of the offers of one message an attachment belongs to.
///
/// # Errors
/// Why it belongs to none of them.
pub fn joins(attachment: &Attachment, offers: &[Offer]) -> Result<usize, NotJoined> {
    let first = offers.first().ok_or(NotJoined::NoShare)?;
    if !attachment.by.is_same_conversation(first.provenance()) {
        return Err(NotJoined::OtherConversation);
    }
    if !first.provenance().target_ids().contains(&attachment.target) {
        return Err(NotJoined::OtherMessage);
    }
    let shares = || offers.iter().enumerate().filter(|(_, offer)| offer.said_in().contains(&Via::FileSharing));
    match &attachment.share {
        Some(id) => only(shares().filter(|(_, offer)| offer.id().share.as_ref() == Some(id)), NotJoined::NoSuchShare),
        None if shares().next().is_some() => only(shares(), NotJoined::NoShare),
        // A fresh link to a file that was offered without a share: it cannot be meant otherwise.
        None => only(offers.iter().enumerate(), NotJoined::NoShare),
    }
}

/// Adds to the offers of one message what belongs to them. In whatever order and however often attachments are given, the offers
/// become the same. Says which were left out, by their place in the list, and why.
pub fn join(offers: &mut [Offer], attachments: &[Attachment]) -> Vec<(usize, NotJoined)> {
    let mut left_out = Vec::new();
    let mut joined: Vec<Vec<&Attachment>> = vec![Vec::new(); offers.len()];
    for (at, attachment) in attachments.iter().enumerate() {
        match joins(attachment, offers) {
            Ok(index) => joined[index].push(attachment),
            Err(why) => left_out.push((at, why)),
        }
    }
    for (offer, mut attachments) in offers.iter_mut().zip(joined) {
        attachments.sort_by_cached_key(|attachment| attachment.rank());
        let (own, others): (Vec<_>, Vec<_>) = attachments.into_iter().partition(|attachment| attachment.is_of(offer));
        let own: Vec<_> = own.iter().flat_map(|attachment| attachment.sources.iter().map(|source| (source, &attachment.by))).collect();
        let others = others.iter().flat_map(|attachment| attachment.sources.iter().map(|source| (source, &attachment.by)));
        let own = newest(&own, offer);
        own.into_iter().chain(others).for_each(|(source, by)| offer.add_source(source.clone(), by));
    }
    left_out
}

/// Those of the sender for which there is room, in the order they came: where there are too many the old ones go, which are the first
/// to expire.
fn newest<'a>(sources: &[(&'a Source, &'a Provenance)], offer: &Offer) -> Vec<(&'a Source, &'a Provenance)> {
    let senders = offer.places().iter().filter(|place| place.named_by == NamedBy::Sender);
    let mut known: BTreeSet<SourceKey> = senders.map(|place| place.source.key()).collect();
    let fresh = sources.iter().rev().filter(|(source, _)| known.insert(source.key()));
    let mut kept: Vec<_> = fresh.take(MAX_ATTACHED).copied().collect();
    kept.reverse();
    kept
}

/// The one there is.
fn only<'a>(mut found: impl Iterator<Item = (usize, &'a Offer)>, none: NotJoined) -> Result<usize, NotJoined> {
    let (index, _) = found.next().ok_or(none)?;
    if found.next().is_some() { Err(NotJoined::Ambiguous) } else { Ok(index) }
}
