//! What a person has to agree to before a file is fetched.

use balcony_wire::Jid;

use super::desk::Desk;
use super::policy::{Case, Miss, Rule, Size, Standing, Verdict};
use super::rank::{Candidate, Laid};
use super::{Answer, Circumstances, Decision, LeftOut, Plan, Policy, Reason, Refusal};
use crate::{ByteLen, DigestSet, Disposition, Exposure, ExposureKind, MediaType, Offer, SourceKey};

/// A plan that needs a yes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    plan: Plan,
    concerns: Vec<Concern>,
    relayed: Option<Box<Relayed>>,
}

/// The other answer to a question about showing one's address: not to show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relayed {
    plan: Plan,
    answers: Vec<Answer>,
}

/// One thing to agree to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Concern {
    /// The sender meant it to be saved, so nothing is fetched before the person asks (XEP-0447 §3.2).
    Attachment,
    /// Nothing is fetched unasked.
    FetchingIsOff,
    /// A rule says to ask.
    Rule {
        /// which, counted from 1
        number: usize,
        /// as written
        rule: String,
    },
    /// No rule fetches such a file unasked.
    NoRule,
    /// The sender is no contact.
    Stranger(Jid),
    /// The sender is none of those whose files are fetched unasked.
    Person(Jid),
    /// Larger than what is fetched unasked.
    Large {
        /// bytes announced
        size: u64,
        /// bytes fetched unasked
        limit: u64,
    },
    /// The size is not known.
    UnknownSize,
    /// Files of this type are not fetched unasked.
    Type(MediaType),
    /// Bytes cost money on this network.
    Metered,
    /// Nothing can prove the bytes.
    Unproven,
    /// The fetch reveals something.
    Reveals(Exposure),
    /// Somebody else than the sender says where it is: whoever names a place can see who comes (XEP-0447 §6).
    NamedBy(Jid),
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

    /// The other answer, where there is one: to fetch it without showing one's address to people's devices.
    pub fn relayed(&self) -> Option<&Relayed> {
        self.relayed.as_deref()
    }

    /// Whether a yes shows a person's device where we are.
    pub fn shows_address(&self) -> bool {
        self.plan.attempts.iter().any(|attempt| attempt.exposure.kind() == ExposureKind::Peer)
    }

    /// `hiding` is what would be done if the person wanted nobody's device to see their address.
    pub(super) fn or_else_relayed(mut self, hiding: Decision<DigestSet>) -> Self {
        let (plan, mut answers) = match hiding {
            Decision::Fetch(plan) => (plan, Vec::new()),
            Decision::Ask(question) => (question.plan.clone(), question.answers()),
            Decision::Have(_) | Decision::Wait(_) | Decision::Refuse(_) => return self,
        };
        if !plan.attempts.is_empty() {
            answers.push(Answer::RelayOnly);
            self.relayed = Some(Box::new(Relayed { plan, answers }));
        }
        self
    }

    /// The agreement as data, so that it outlives this question.
    pub fn answers(&self) -> Vec<Answer> {
        let mut answers: Vec<Answer> = self.concerns.iter().map(Concern::answer).collect();
        answers.sort();
        answers.dedup();
        answers
    }
}

impl Relayed {
    /// What will happen after this answer.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The answer as data, so that it outlives the question.
    pub fn answers(&self) -> &[Answer] {
        &self.answers
    }
}

impl Concern {
    /// The answer that settles it.
    pub fn answer(&self) -> Answer {
        match self {
            Self::Unproven => Answer::Unproven,
            Self::Reveals(exposure) => Answer::Reveal(exposure.clone()),
            Self::NamedBy(other) => Answer::NamedBy(other.clone()),
            _ => Answer::Fetch,
        }
    }

    /// What is asked in the same breath: two hosts that neither side's server vouches for are one question.
    fn sort(&self) -> Sort {
        match self {
            Self::Reveals(exposure) => Sort::Reveals(exposure.kind()),
            Self::Unproven => Sort::Unproven,
            Self::NamedBy(_) => Sort::NamedBy,
            _ => Sort::Unasked,
        }
    }
}

/// [`Concern`] without the details.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sort {
    Unasked,
    Unproven,
    Reveals(ExposureKind),
    NamedBy,
}

/// What a person would have to agree to for a case that the rules do not simply fetch: what keeps the nearest fetching rule from
/// covering it, and whatever they should know anyhow.
pub(super) fn concerns(
    policy: &Policy,
    case: &Case<'_>,
    rule: Option<usize>,
    exposure: &Exposure,
    who: &Jid,
    other: Option<&Jid>,
) -> Vec<Concern> {
    let nearest = policy.nearest(case);
    let mut concerns: Vec<Concern> = match nearest {
        None => vec![Concern::FetchingIsOff],
        Some(nearest) => nearest.missing(case).filter_map(|miss| missed(miss, nearest, case, who)).collect(),
    };
    if let (Some(at), Some(_)) = (rule, nearest.filter(|nearest| nearest.covers(case))) {
        concerns.extend(policy.rules().get(at).map(|rule| Concern::Rule { number: at + 1, rule: rule.to_string() }));
    }
    concerns.extend(other.map(|other| Concern::NamedBy(other.clone())));
    if !case.is_proven {
        concerns.push(Concern::Unproven);
    }
    let is_told_to_strangers = (case.standing == Standing::Stranger || case.is_unseen)
        && matches!(case.exposure, ExposureKind::Presence | ExposureKind::ViaProxy | ExposureKind::SendersServer);
    let is_missing_place = nearest.is_some_and(|nearest| nearest.missing(case).any(|miss| miss == Miss::Place));
    let is_misplaced = case.exposure > ExposureKind::OwnServer && is_missing_place;
    if is_told_to_strangers || is_misplaced || case.exposure >= ExposureKind::ThirdHost {
        concerns.push(Concern::Reveals(exposure.clone()));
    }
    if concerns.is_empty() {
        concerns.push(Concern::NoRule);
    }
    concerns
}

/// The words for what keeps a fetching rule from covering a case; proof and places are spoken of apart from rules.
fn missed(miss: Miss, rule: &Rule, case: &Case<'_>, who: &Jid) -> Option<Concern> {
    match miss {
        Miss::Who if case.standing == Standing::Stranger => Some(Concern::Stranger(who.clone())),
        Miss::Who => Some(Concern::Person(who.clone())),
        Miss::Size => Some(match (case.size, rule.up_to) {
            (None, _) => Concern::UnknownSize,
            (Some(size), Some(limit)) if size > limit => Concern::Large { size, limit },
            (Some(_), _) => Concern::NoRule,
        }),
        Miss::Type => Some(Concern::Type(case.media_type.clone())),
        Miss::Network => Some(Concern::Metered),
        Miss::Place | Miss::Proof | Miss::NamedBy => None,
    }
}

/// Splits what may be tried into what may be done now and what needs a question.
pub(super) fn weigh(laid: Laid) -> Decision<DigestSet> {
    let Laid { candidates, mut left_out } = laid;
    let (free, asking): (Vec<_>, Vec<_>) = candidates.into_iter().partition(|candidate| candidate.concerns.is_empty());
    if !free.is_empty() {
        left_out.extend(asking.into_iter().map(later));
        return Decision::Fetch(Plan { attempts: free.into_iter().map(|candidate| *candidate.attempt).collect(), left_out });
    }
    // The least revealing comes first: only what asks for no more than that is asked for along with it.
    let sorts: Vec<_> = asking.first().map_or(Vec::new(), |candidate| candidate.concerns.iter().map(Concern::sort).collect());
    let is_asked_now = |candidate: &Candidate| candidate.concerns.iter().all(|concern| sorts.contains(&concern.sort()));
    let mut now = Vec::with_capacity(asking.len());
    for mut candidate in asking {
        match candidate.relayed.take() {
            _ if is_asked_now(&candidate) => now.push(candidate),
            Some(relayed) if is_asked_now(&relayed) => now.push(*relayed),
            _ => left_out.push(later(candidate)),
        }
    }
    now.sort_by_key(|candidate| candidate.rank); // relayed they stand elsewhere
    let mut concerns: Vec<Concern> = Vec::new();
    let mut attempts = Vec::with_capacity(now.len());
    for candidate in now {
        for concern in candidate.concerns {
            if !concerns.contains(&concern) {
                concerns.push(concern);
            }
        }
        attempts.push(*candidate.attempt);
    }
    Decision::Ask(Question { plan: Plan { attempts, left_out }, concerns, relayed: None })
}

/// A file of no bytes: nobody is asked for it, and the rules say whether the person is.
pub(super) fn weigh_nothing(offer: &Offer, policy: &Policy, circumstances: &Circumstances) -> Decision<DigestSet> {
    let desk = Desk::new(offer, policy, circumstances);
    let (ruling, mut concerns) = desk.ask_about_nothing();
    leave_open(&mut concerns, offer, circumstances);
    match ruling.verdict {
        Verdict::Never => {
            let reason = Reason::Forbidden { exposure: Exposure::Nothing, rule: desk.rule(ruling) };
            let nothing = LeftOut { source: SourceKey::from_record("nothing"), what: "the empty file".to_owned(), reason };
            Decision::Refuse(Refusal { left_out: vec![nothing] })
        }
        _ if concerns.is_empty() => Decision::Fetch(Plan::default()),
        _ => Decision::Ask(Question { plan: Plan::default(), concerns, relayed: None }),
    }
}

/// Leaves what is still to be agreed to before a way is tried.
pub(super) fn leave_open(concerns: &mut Vec<Concern>, offer: &Offer, circumstances: &Circumstances) {
    if offer.disposition() == Some(Disposition::Attachment) {
        concerns.insert(0, Concern::Attachment);
    }
    if circumstances.answers.is_empty() && !circumstances.asked {
        return;
    }
    let answered = |answer: Answer| {
        circumstances.answers.iter().any(|given| given.settles(&answer)) || (circumstances.asked && answer == Answer::Fetch)
    };
    concerns.retain(|concern| !answered(concern.answer()));
}

fn later(candidate: Candidate) -> LeftOut {
    let Candidate { attempt, concerns, .. } = candidate;
    let other = concerns.iter().find_map(|concern| match concern {
        Concern::NamedBy(other) => Some(other.clone()),
        _ => None,
    });
    attempt.left_out(|_| other.map_or(Reason::NeedsAnswer(concerns), Reason::NamedByOther))
}

/// The person said no, so nothing is done until they ask for the file.
pub(super) fn declined(laid: Laid) -> Refusal {
    let mut left_out: Vec<_> = laid.candidates.into_iter().map(|candidate| candidate.attempt.left_out(|_| Reason::Declined)).collect();
    left_out.extend(laid.left_out);
    Refusal { left_out }
}

/// For people: what they agree to.
impl std::fmt::Display for Question {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "fetch it? {}", joined(&self.concerns))?;
        match &self.relayed {
            Some(_) => f.write_str("; it can go by way of servers as well, which is slower and shows nobody's device your IP address"),
            None => Ok(()),
        }
    }
}

/// Several concerns in one line.
pub(super) fn joined(concerns: &[Concern]) -> String {
    concerns.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl std::fmt::Display for Concern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Attachment => f.write_str("the sender meant it to be saved, so it waits for you"),
            Self::FetchingIsOff => f.write_str("your rules fetch nothing unasked"),
            Self::Rule { number, rule } => write!(f, "your rule {number} says so ({rule})"),
            Self::NoRule => f.write_str("none of your rules fetches such a file unasked"),
            Self::Stranger(sender) => write!(f, "{sender} is not among your contacts"),
            Self::Person(sender) => write!(f, "your rules do not fetch files of {sender} unasked"),
            Self::Large { size, limit } => {
                write!(f, "it has {}, and your rules fetch up to {} unasked", ByteLen(*size), Size(*limit))
            }
            Self::UnknownSize => f.write_str("its size is not known"),
            Self::Type(media_type) => write!(f, "your rules do not fetch files of type {media_type} unasked"),
            Self::Metered => f.write_str("bytes cost money on this network"),
            Self::Unproven => f.write_str("the offer has no hash that could prove the bytes are the sender's"),
            Self::Reveals(exposure) => write!(f, "{exposure}"),
            Self::NamedBy(other) => write!(f, "{other}, who does not offer it, says where it is"),
        }
    }
}
