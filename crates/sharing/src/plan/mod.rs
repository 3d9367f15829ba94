//! Where a file is fetched from, in which order, what that reveals, and why every other source is left out.
//!
//! Pure: the same offer, rules, history and circumstances give the same plan, word for word. Speaks XEP-0447 §3.2 and §6.

mod answer;
mod contacts;
mod desk;
mod devices;
mod encrypted;
mod history;
mod policy;
mod question;
mod rank;
mod reason;
mod sessions;
mod vicinity;

pub use answer::Answer;
pub use contacts::Contacts;
pub use devices::{Abilities, Devices};
pub use history::{History, Outcome, Record};
pub use policy::{Case, MAX_RULES, Miss, Policy, RoomKind, Rule, RuleError, Rules, Ruling, Standing, TypeRange, Verdict, Who};
pub(crate) use policy::{Reader, Size, joined, read_lines};
pub use question::{Concern, Question, Relayed};
pub use reason::Reason;
pub use vicinity::Redirects;

use std::sync::Arc;
use std::time::SystemTime;

use balcony_wire::Jid;
use balcony_wire::bits_of_binary::ContentId;
use url::Url;

use crate::cipher::Secret;
use crate::net_rules::AddressRule;
use crate::transfer::SessionRequest;
use crate::{Agreement, DigestSet, Exposure, NamedBy, NetRules, Offer, Proof, SourceKey, Via};

/// What to do about an offer; `H` is the copy that is here already, by its digests unless a store gives the file itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision<H = DigestSet> {
    /// The bytes are here already.
    Have(H),
    /// Fetch it by this plan, now.
    Fetch(Plan),
    /// Ask the person first.
    Ask(Question),
    /// Nothing to do but wait.
    Wait(Wait),
    /// It cannot or must not be fetched.
    Refuse(Refusal),
}

/// What is waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Nothing says yet where the file is: a source is still to be attached (XEP-0447 §3.2).
    ForSource,
    /// Its sender asked which device takes it, and nobody answered, as they do not see when we are there: once they do, they can offer it
    /// again (XEP-0353).
    ToBeSeen,
    /// What failed may be tried again at that time.
    Until(SystemTime, Plan),
}

/// Why nothing can be done: every source with its reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.words())]
pub struct Refusal {
    /// Every source that was named.
    pub left_out: Vec<LeftOut>,
}

/// Ordered attempts, and a reason for everything else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// What to try, in this order.
    pub attempts: Vec<Attempt>,
    /// Sources that are not tried.
    pub left_out: Vec<LeftOut>,
}

/// One thing to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Which source of the offer.
    pub source: SourceKey,
    /// Who says that the file is there.
    pub named_by: NamedBy,
    /// How it is asked.
    pub how: How,
    /// What that reveals.
    pub exposure: Exposure,
}

/// How a source is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum How {
    /// By HTTP.
    Http(HttpRequest),
    /// By HTTP, and what comes is encrypted (XEP-0448).
    Encrypted {
        /// What opens it.
        cipher: Secret,
        /// Where the encrypted bytes are.
        http: HttpRequest,
        /// What is said about the encrypted bytes.
        ciphertext: DigestSet,
    },
    /// The bytes stand in the message itself (XEP-0231).
    Carried {
        /// Their name.
        cid: ContentId,
    },
    /// A device is asked for bits of binary (XEP-0231).
    Bits {
        /// Their name.
        cid: ContentId,
        /// Which device.
        from: Jid,
    },
    /// A session with a device (XEP-0166, XEP-0234).
    Session(Box<SessionRequest>),
}

/// What is asked for by HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpRequest {
    /// Where.
    pub url: Url,
    /// Request headers that the sender asks for (XEP-0104), safe to send to this origin and to no other.
    pub headers: Vec<(String, String)>,
    /// Which addresses the host may have.
    pub addresses: AddressRule,
    /// Where the answer may send us on to.
    pub redirects: Redirects,
}

/// A source that is not tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Which one.
    pub source: SourceKey,
    /// In words for people.
    pub what: String,
    /// Why.
    pub reason: Reason,
}

/// What is known at the moment of deciding.
#[derive(Clone, Debug)]
pub struct Circumstances {
    /// The time, for back-off.
    pub now: SystemTime,
    /// What is ours on the net.
    pub rules: NetRules,
    /// Whom the person knows.
    pub contacts: Arc<Contacts>,
    /// Which devices are there; `None` while the account is not connected, or where there is none.
    pub devices: Option<Arc<Devices>>,
    /// Who may enter the room it was said in, if it was said in one.
    pub room: RoomKind,
    /// Digests of a copy that the store has: under one of the offer's digests, or because this very offer was fetched before.
    pub have: Option<DigestSet>,
    /// Whether that copy came by this offer: then no digest of the offer has to name it.
    pub came_by_it: bool,
    /// Whether the person asks for this file now.
    pub asked: bool,
    /// Whether bytes cost money on this network.
    pub metered: bool,
    /// What the person has agreed to for this offer.
    pub answers: Vec<Answer>,
    /// Whether the person has said no to it.
    pub declined: bool,
}

impl Circumstances {
    /// Nothing known but the time: a stranger's offer that nobody asked for.
    #[must_use]
    pub fn at(now: SystemTime) -> Self {
        Self {
            now,
            rules: NetRules::default(),
            contacts: Arc::default(),
            devices: None,
            room: RoomKind::Public,
            have: None,
            came_by_it: false,
            asked: false,
            metered: false,
            answers: Vec::new(),
            declined: false,
        }
    }
}

/// Decides what to do about an offer.
#[must_use]
pub fn decide(offer: &Offer, policy: &Policy, history: &History, circumstances: &Circumstances) -> Decision {
    let is_it = |copy: &&DigestSet| match copy.agreement(offer.digests()) {
        Agreement::Same => true,
        Agreement::Alike | Agreement::Unknown => circumstances.came_by_it,
        Agreement::Different => false,
    };
    if let Some(copy) = circumstances.have.as_ref().filter(is_it) {
        return Decision::Have(copy.clone());
    }
    if is_nothing(offer) {
        return question::weigh_nothing(offer, policy, circumstances);
    }
    if offer.is_pending() && offer.said_in().iter().any(|via| matches!(via, Via::Jingle | Via::StreamInitiation)) {
        return Decision::Refuse(Refusal { left_out: vec![session(offer)] });
    }
    let laid = rank::lay(offer, policy, history, circumstances);
    // Whoever announced it says soon where it is; a person who asks need not wait for that.
    if offer.is_pending() && (laid.candidates.is_empty() || !circumstances.asked) {
        return Decision::Wait(if offer.is_proposal() { Wait::ToBeSeen } else { Wait::ForSource });
    }
    if laid.candidates.is_empty() {
        let left_out = laid.left_out;
        return match left_out.iter().filter_map(|left_out| left_out.reason.until()).min() {
            Some(until) => Decision::Wait(Wait::Until(until, Plan { attempts: Vec::new(), left_out })),
            None => Decision::Refuse(Refusal { left_out }),
        };
    }
    if circumstances.declined && !circumstances.asked {
        return Decision::Refuse(question::declined(laid));
    }
    let decision = question::weigh(laid);
    match decision {
        Decision::Ask(question) if question.shows_address() && !sessions::hides(circumstances) => {
            let mut hiding = circumstances.clone();
            hiding.answers.push(Answer::RelayOnly);
            Decision::Ask(question.or_else_relayed(decide(offer, policy, history, &hiding)))
        }
        decision => decision,
    }
}

/// The plan as `why` shows it: every attempt the rules do not forbid, whether or not a person must be asked, and the reason for the rest.
#[must_use]
pub fn lay_out(offer: &Offer, policy: &Policy, history: &History, circumstances: &Circumstances) -> Plan {
    let laid = rank::lay(offer, policy, history, circumstances);
    Plan { attempts: laid.candidates.into_iter().map(|candidate| *candidate.attempt).collect(), left_out: laid.left_out }
}

/// Which rule decides about an attempt of such a plan, and what it says.
#[must_use]
pub fn ruling(offer: &Offer, policy: &Policy, circumstances: &Circumstances, attempt: &Attempt) -> Ruling {
    desk::Desk::new(offer, policy, circumstances).ask_about(attempt).0
}

/// Every rule before the one that decides about such an attempt, and what keeps it from being about it.
#[must_use]
pub fn passed_over(offer: &Offer, policy: &Policy, circumstances: &Circumstances, attempt: &Attempt) -> Vec<Vec<Miss>> {
    desk::Desk::new(offer, policy, circumstances).passed_over(attempt)
}

/// Whether the file is empty and provably so: then there is nothing to fetch.
fn is_nothing(offer: &Offer) -> bool {
    offer.size() == Some(0) && offer.proof() == Proof::Digest
}

/// A file of a session that nobody opened: a message speaks of it.
fn session(offer: &Offer) -> LeftOut {
    let peer = offer.provenance().sender();
    LeftOut {
        source: SourceKey::from_record(format!("session {peer}")),
        what: format!("a session with {peer}"),
        reason: Reason::SessionOver,
    }
}

impl Plan {
    /// What the whole plan reveals at most, the least first.
    pub fn exposures(&self) -> Vec<&Exposure> {
        let mut exposures: Vec<_> = self.attempts.iter().map(|attempt| &attempt.exposure).collect();
        exposures.sort();
        exposures.dedup();
        exposures
    }
}

impl Refusal {
    /// Whether it is the person's own no to this file.
    pub fn is_declined(&self) -> bool {
        self.left_out.iter().any(|left_out| left_out.reason == Reason::Declined)
    }

    fn words(&self) -> String {
        match &self.left_out[..] {
            [] => "the offer names no place to fetch the file from".to_owned(),
            _ if self.is_declined() => Reason::Declined.to_string(),
            [only] => format!("{} cannot be used: {}", only.what, only.reason),
            [first, ..] => format!("none of {} sources can be used; the first: {}", self.left_out.len(), first.reason),
        }
    }
}

impl<H> Decision<H> {
    /// The same with another kind of copy.
    pub fn map<T>(self, copy: impl FnOnce(H) -> T) -> Decision<T> {
        match self {
            Self::Have(have) => Decision::Have(copy(have)),
            Self::Fetch(plan) => Decision::Fetch(plan),
            Self::Ask(question) => Decision::Ask(question),
            Self::Wait(wait) => Decision::Wait(wait),
            Self::Refuse(refusal) => Decision::Refuse(refusal),
        }
    }

    /// The word that `explain` uses.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Have(_) => "have",
            Self::Fetch(_) => "fetch",
            Self::Ask(_) => "ask",
            Self::Wait(_) => "wait",
            Self::Refuse(_) => "refuse",
        }
    }

    /// The plan in it, if there is one.
    pub fn plan(&self) -> Option<&Plan> {
        match self {
            Self::Fetch(plan) | Self::Wait(Wait::Until(_, plan)) => Some(plan),
            Self::Ask(question) => Some(question.plan()),
            Self::Have(_) | Self::Wait(Wait::ForSource | Wait::ToBeSeen) | Self::Refuse(_) => None,
        }
    }

    /// The sources left out.
    pub fn left_out(&self) -> &[LeftOut] {
        match self {
            Self::Refuse(refusal) => &refusal.left_out,
            other => other.plan().map_or(&[], |plan| &plan.left_out),
        }
    }
}

impl How {
    /// Whether the bytes bear a proof of their own: the tag of the cipher whose key the offer holds, or the hash that the sender says
    /// behind them.
    pub fn proves_itself(&self) -> bool {
        match self {
            Self::Encrypted { cipher, .. } => cipher.cipher().has_tag(),
            Self::Session(request) => request.promises_hash(),
            Self::Http(_) | Self::Carried { .. } | Self::Bits { .. } => false,
        }
    }
}

impl std::fmt::Display for How {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Http(request) => f.write_str(request.url.as_str()),
            Self::Encrypted { cipher, http, .. } => write!(f, "{}, encrypted with {}", http.url, cipher.cipher()),
            Self::Carried { .. } => f.write_str("the bytes in the message itself"),
            Self::Bits { from, .. } => write!(f, "{from}, asked for the bytes"),
            Self::Session(request) => request.fmt(f),
        }
    }
}

/// For people: what will happen and why.
impl<H> std::fmt::Display for Decision<H> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Have(_) => f.write_str("the file is here already"),
            Self::Fetch(plan) => match plan.attempts.first() {
                Some(first) => write!(f, "it is fetched now: {}", first.exposure),
                None => f.write_str("the file is empty: there is nothing to fetch"),
            },
            Self::Ask(question) => write!(f, "{question}"),
            Self::Wait(Wait::ForSource) => f.write_str("the sender has not said yet where the file is"),
            Self::Wait(Wait::ToBeSeen) => {
                f.write_str("the sender asked which device takes it, and nobody answered, as they did not see that you were there")
            }
            Self::Wait(Wait::Until(..)) => f.write_str("its sources failed a short while ago and are tried again later"),
            Self::Refuse(refusal) => write!(f, "{refusal}"),
        }
    }
}
