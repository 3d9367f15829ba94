//! What a person has to agree to before a file is fetched, and what they agreed to.

use balcony_wire::Jid;

use super::{Attempt, Circumstances, Decision, LeftOut, Plan, Policy, Reason, Refusal, Rule, Unasked};
use crate::{ByteLen, Disposition, Exposure, ExposureKind, NamedBy, Offer, Proof};

/// A plan that needs a yes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    plan: Plan,
    concerns: Vec<Concern>,
}

/// One thing to agree to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Concern {
    /// The sender meant it to be saved, so nothing is fetched before the person asks (XEP-0447 §3.2).
    Attachment,
    /// Nothing is fetched unasked.
    FetchingIsOff,
    /// The sender is no contact.
    Stranger(Jid),
    /// Larger than what is fetched unasked.
    Large {
        /// bytes announced
        size: u64,
        /// bytes fetched unasked
        limit: u64,
    },
    /// The size is not known.
    UnknownSize,
    /// Bytes cost money on this network.
    Metered,
    /// Nothing can prove the bytes.
    Unproven,
    /// The fetch reveals something.
    Reveals(Exposure),
    /// Somebody else than the sender says where it is: whoever names a place can see who comes (XEP-0447 §6).
    NamedBy(Jid),
}

/// What a person agreed to, for one offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// To fetch it although the rules would not do so unasked.
    Fetch,
    /// To take it without proof.
    Unproven,
    /// To reveal so much.
    Reveal(ExposureKind),
    /// To go where others than the sender say it is.
    Others,
}

impl Question {
    /// What will happen after a yes.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What is to be agreed to.
    pub fn concerns(&self) -> &[Concern] {
        &self.concerns
    }

    /// The person agrees to everything asked.
    #[must_use]
    pub fn yes(self) -> Plan {
        self.plan
    }

    /// The agreement as data, so that it outlives this question.
    pub fn answers(&self) -> Vec<Answer> {
        let mut answers: Vec<Answer> = Vec::new();
        for answer in self.concerns.iter().map(Concern::answer) {
            if !answers.contains(&answer) {
                answers.push(answer);
            }
        }
        answers
    }
}

impl Concern {
    /// The answer that settles it.
    pub fn answer(&self) -> Answer {
        match self {
            Self::Unproven => Answer::Unproven,
            Self::Reveals(exposure) => Answer::Reveal(exposure.kind()),
            Self::NamedBy(_) => Answer::Others,
            _ => Answer::Fetch,
        }
    }
}

/// Splits a plan into what may be done now and what needs a question.
pub(super) fn weigh(plan: Plan, offer: &Offer, policy: &Policy, circumstances: &Circumstances) -> Decision {
    let answered = |answer: Answer| circumstances.answers.contains(&answer);
    let mut concerns = Vec::new();
    if !circumstances.asked && !answered(Answer::Fetch) {
        concerns.extend(unasked(offer, policy, circumstances));
    }
    // The tag of an encrypted file proves it as well as a digest does.
    let is_proven = offer.proof() == Proof::Digest || plan.attempts.iter().all(|attempt| attempt.how.proves_itself());
    if !is_proven && !answered(Answer::Unproven) {
        match policy.unproven {
            Rule::Fetch => {}
            Rule::Ask => concerns.push(Concern::Unproven),
            Rule::Never => return Decision::Refuse(refuse_all(plan, &Reason::Unproven)),
        }
    }
    let may_reveal = |exposure: &Exposure| policy.rule_for(exposure.kind()) == Rule::Fetch || answered(Answer::Reveal(exposure.kind()));
    let is_trusted = |attempt: &Attempt| answered(Answer::Others) || stranger(attempt, offer).is_none();
    let is_free = |attempt: &Attempt| is_trusted(attempt) && may_reveal(&attempt.exposure);
    let plan = match () {
        () if plan.attempts.iter().any(is_free) => without_what_needs_asking(plan, offer, is_free),
        // One question at a time: others' places only when the sender's own are used up.
        () => {
            let plan = if plan.attempts.iter().any(is_trusted) { without_what_needs_asking(plan, offer, is_trusted) } else { plan };
            let others = plan.attempts.iter().filter(|attempt| !is_trusted(attempt)).filter_map(|attempt| stranger(attempt, offer));
            others.map(|other| Concern::NamedBy(other.clone())).for_each(|concern| push(&mut concerns, concern));
            concerns.extend(plan.exposures().into_iter().filter(|exposure| !may_reveal(exposure)).cloned().map(Concern::Reveals));
            plan
        }
    };
    if concerns.is_empty() { Decision::Fetch(plan) } else { Decision::Ask(Question { plan, concerns }) }
}

/// Why nobody fetches this without being told to.
fn unasked(offer: &Offer, policy: &Policy, circumstances: &Circumstances) -> Vec<Concern> {
    let mut concerns = Vec::new();
    if offer.disposition() == Some(Disposition::Attachment) {
        concerns.push(Concern::Attachment);
    }
    match policy.unasked {
        Unasked::Nobody => concerns.push(Concern::FetchingIsOff),
        Unasked::Contacts if !circumstances.is_contact && !offer.provenance().is_own() => {
            concerns.push(Concern::Stranger(offer.provenance().sender().clone()));
        }
        Unasked::Contacts | Unasked::Everybody => {}
    }
    match offer.size() {
        None => concerns.push(Concern::UnknownSize),
        Some(size) if size > policy.unasked_limit => concerns.push(Concern::Large { size, limit: policy.unasked_limit }),
        Some(_) => {}
    }
    if circumstances.metered && !policy.unasked_when_metered {
        concerns.push(Concern::Metered);
    }
    concerns
}

/// Who named a place, if it is neither the sender nor one of our own devices.
fn stranger<'a>(attempt: &'a Attempt, offer: &Offer) -> Option<&'a Jid> {
    match &attempt.named_by {
        NamedBy::Other(other) if other.bare() != *offer.provenance().account() => Some(other),
        NamedBy::Other(_) | NamedBy::Sender => None,
    }
}

fn push(concerns: &mut Vec<Concern>, concern: Concern) {
    if !concerns.contains(&concern) {
        concerns.push(concern);
    }
}

/// Where something can be done without a question, what needs one waits until that has failed.
fn without_what_needs_asking(plan: Plan, offer: &Offer, is_free: impl Fn(&Attempt) -> bool) -> Plan {
    let (attempts, asking): (Vec<_>, Vec<_>) = plan.attempts.into_iter().partition(is_free);
    let why = |attempt: &Attempt| match stranger(attempt, offer) {
        Some(other) => Reason::NamedByOther(other.clone()),
        None => Reason::NeedsAnswer(attempt.exposure.clone()),
    };
    let mut left_out = plan.left_out;
    left_out.extend(asking.into_iter().map(|attempt| attempt.left_out(why)));
    Plan { attempts, left_out }
}

fn refuse_all(plan: Plan, reason: &Reason) -> Refusal {
    let mut left_out: Vec<LeftOut> = plan.attempts.into_iter().map(|attempt| attempt.left_out(|_| reason.clone())).collect();
    left_out.extend(plan.left_out);
    Refusal { left_out }
}

/// For people: what they agree to.
impl std::fmt::Display for Question {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("fetch it? ")?;
        for (at, concern) in self.concerns.iter().enumerate() {
            write!(f, "{}{concern}", if at == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

impl std::fmt::Display for Concern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Attachment => f.write_str("the sender meant it to be saved, so it waits for you"),
            Self::FetchingIsOff => f.write_str("your rules fetch nothing unasked"),
            Self::Stranger(sender) => write!(f, "{sender} is not among your contacts"),
            Self::Large { size, limit } => {
                write!(f, "it has {}, and your rules fetch up to {} unasked", ByteLen(*size), ByteLen(*limit))
            }
            Self::UnknownSize => f.write_str("its size is not known"),
            Self::Metered => f.write_str("bytes cost money on this network"),
            Self::Unproven => f.write_str("the offer has no hash that could prove the bytes are the sender's"),
            Self::Reveals(exposure) => write!(f, "{exposure}"),
            Self::NamedBy(other) => write!(f, "{other}, who does not offer it, says where it is"),
        }
    }
}
