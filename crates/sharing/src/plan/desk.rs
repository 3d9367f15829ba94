//! One offer with all that rules look at: asked once for each of its sources.

use balcony_wire::{BareJid, Jid};

use super::policy::{Case, Miss, Ruling, Standing, Verdict};
use super::question::concerns;
use super::vicinity::{Redirects, Vicinity};
use super::{Answer, Attempt, Circumstances, Concern, How, Policy};
use crate::offer::NamedBy;
use crate::{Exposure, ExposureKind, MediaType, Offer, Proof};

/// What is the same for every source of an offer.
pub(super) struct Desk<'a> {
    offer: &'a Offer,
    policy: &'a Policy,
    around: &'a Circumstances,
    person: Option<BareJid>,
    conversation: BareJid,
    media_type: MediaType,
    has_proof: bool,
}

impl<'a> Desk<'a> {
    pub(super) fn new(offer: &'a Offer, policy: &'a Policy, around: &'a Circumstances) -> Self {
        let provenance = offer.provenance();
        let (person, conversation) = (provenance.person(), provenance.conversation());
        let (media_type, has_proof) = (offer.media_type(), offer.proof() == Proof::Digest);
        Self { offer, policy, around, person, conversation, media_type, has_proof }
    }

    pub(super) fn offer(&self) -> &'a Offer {
        self.offer
    }

    pub(super) fn around(&self) -> &'a Circumstances {
        self.around
    }

    /// Whether the bytes are proven if they come this way: by a digest, or, for links without any, by the tag of the encryption.
    pub(super) fn is_proven(&self, how: &How) -> bool {
        self.has_proof || how.proves_itself()
    }

    /// Whether a file from there is taken without proof: by the rules, or because the person agreed.
    pub(super) fn takes_unproven(&self, exposure: ExposureKind) -> bool {
        let by_rule = self.policy.judge(&self.case(exposure, false, None)).verdict == Verdict::Fetch;
        by_rule || self.around.answers.contains(&Answer::Unproven)
    }

    /// Where answers of web servers may send us on to.
    pub(super) fn redirects(&self) -> Redirects {
        let verdict = |kind| self.policy.judge(&self.case(kind, self.has_proof, None)).verdict;
        Redirects::new(Vicinity::new(self.offer, self.around), self.around, verdict)
    }

    /// What the rules say of an attempt, and what the person would have to agree to where they say to ask.
    pub(super) fn ask_about(&self, attempt: &Attempt) -> (Ruling, Vec<Concern>) {
        let other = self.other(&attempt.named_by);
        self.ask(&self.case(attempt.exposure.kind(), self.is_proven(&attempt.how), other), &attempt.exposure, other)
    }

    /// The same for a file of which there is nothing to fetch.
    pub(super) fn ask_about_nothing(&self) -> (Ruling, Vec<Concern>) {
        self.ask(&self.case(ExposureKind::Nothing, self.has_proof, None), &Exposure::Nothing, None)
    }

    /// The rule that decided, counted from 1, and its text.
    pub(super) fn rule(&self, ruling: Ruling) -> Option<(usize, String)> {
        let at = ruling.rule?;
        Some((at + 1, self.policy.rules().get(at)?.to_string()))
    }

    /// Every rule before the one that decided, and what keeps it from being about this attempt.
    pub(super) fn passed_over(&self, attempt: &Attempt) -> Vec<Vec<Miss>> {
        let case = self.case(attempt.exposure.kind(), self.is_proven(&attempt.how), self.other(&attempt.named_by));
        let before = self.policy.judge(&case).rule.unwrap_or(self.policy.rules().len());
        self.policy.rules().iter().take(before).map(|rule| rule.misses(&case)).collect()
    }

    fn ask(&self, case: &Case<'_>, exposure: &Exposure, other: Option<&Jid>) -> (Ruling, Vec<Concern>) {
        let ruling = self.policy.judge(case);
        match ruling.verdict {
            Verdict::Ask => {
                let who = self.person.clone().map_or_else(|| self.offer.provenance().sender().clone(), Jid::from);
                (ruling, concerns(self.policy, case, ruling.rule, exposure, &who, other))
            }
            Verdict::Fetch | Verdict::Never => (ruling, Vec::new()),
        }
    }

    /// Who names a place, if it is neither the sender nor the person themself.
    fn other<'n>(&self, named_by: &'n NamedBy) -> Option<&'n Jid> {
        match named_by {
            NamedBy::Other(other) if other.bare() != *self.offer.provenance().account() => Some(other),
            NamedBy::Other(_) | NamedBy::Sender => None,
        }
    }

    fn case(&self, exposure: ExposureKind, is_proven: bool, other: Option<&Jid>) -> Case<'_> {
        let provenance = self.offer.provenance();
        let standing = match &self.person {
            Some(person) if person == provenance.account() => Standing::Own,
            Some(person) => self.around.contacts.groups(person).map_or(Standing::Stranger, Standing::Contact),
            None => Standing::Stranger,
        };
        let owner = other.map(Jid::bare).or_else(|| self.person.clone());
        let is_device = matches!(exposure, ExposureKind::Presence | ExposureKind::ViaProxy | ExposureKind::Peer);
        // Whoever is in a room with us sees us there.
        let sees_us = provenance.is_in_room() || owner.is_some_and(|owner| self.around.contacts.sees_us(&owner));
        Case {
            is_unseen: matches!(standing, Standing::Contact(_)) && is_device && !sees_us,
            person: self.person.as_ref(),
            standing,
            room: provenance.is_in_room().then_some((&self.conversation, self.around.room)),
            size: self.offer.size(),
            media_type: &self.media_type,
            exposure,
            is_proven,
            is_metered: self.around.metered,
            is_attached: other.is_some(),
        }
    }
}
