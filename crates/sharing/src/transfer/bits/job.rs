//! The machine that fetches an offer which is bits of binary: from the message they came in, or from the device that named them.

use std::collections::VecDeque;

use balcony_wire::bits_of_binary::{BitsOfBinary, ContentId};
use balcony_wire::hashes::HashAlgo;
use balcony_wire::{Element, Jid};

use super::{Bits, BitsError, request};
use crate::plan::{Attempt, How, Outcome};
use crate::transfer::fetch::{FetchFailed, Fetched};
use crate::{Claim, Hasher, SourceKey, Verdict};

/// What the driver is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Look into the message that made the offer, and answer with `handle_carried`.
    Take(ContentId),
    /// Look whether it is kept from before, and answer with `handle_kept`; else ask this device by an iq get, and answer with
    /// `handle_answer`.
    Ask {
        /// whom
        to: Jid,
        /// for what
        cid: ContentId,
        /// the payload
        payload: Element,
    },
    /// Put this into the history.
    Record(SourceKey, Outcome),
    /// The end: keep these bytes as what they are.
    Done(Fetched, Bits),
    /// The end: nobody gave the file.
    Failed(FetchFailed),
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoAnswer {
    /// The device refused: it has nothing of that name, or not for us.
    Refused,
    /// It is gone, or it did not answer in time.
    Silent(String),
}

/// Fetches bits of binary by the attempts of a plan that are such. Driven like every machine; the request that an
/// [`Action::Ask`] makes has a deadline of its own, so this machine has none.
#[derive(Debug)]
pub struct BitsJob {
    claim: Claim,
    attempts: VecDeque<Attempt>,
    outcomes: Vec<(SourceKey, Outcome)>,
    actions: VecDeque<Action>,
}

/// Whether an attempt is for a [`BitsJob`].
pub fn is_for_bits(attempt: &Attempt) -> bool {
    matches!(attempt.how, How::Carried { .. } | How::Bits { .. })
}

impl BitsJob {
    /// A job for those of the attempts that are bits of binary, in their order.
    #[must_use]
    pub fn new(attempts: &[Attempt], claim: Claim) -> Self {
        let attempts = attempts.iter().filter(|attempt| is_for_bits(attempt)).cloned().collect();
        let mut job = Self { claim, attempts, outcomes: Vec::new(), actions: VecDeque::new() };
        job.next();
        job
    }

    /// What to do; `None` until something happens.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// What the message holds under that name, if anything.
    pub fn handle_carried(&mut self, came: Option<BitsOfBinary>) {
        let Some(How::Carried { cid }) = self.attempts.front().map(|attempt| &attempt.how) else { return };
        let judged = came.ok_or(BitsError::Unknown).and_then(|came| Bits::judge(cid, came));
        self.judged(judged);
    }

    /// It was kept from before.
    pub fn handle_kept(&mut self, bits: Bits) {
        if matches!(self.attempts.front(), Some(Attempt { how: How::Bits { .. }, .. })) {
            self.judged(Ok(bits));
        }
    }

    /// The answer to what was asked. Who may give it was checked by whoever keeps the requests.
    pub fn handle_answer(&mut self, answer: Result<Option<&Element>, NoAnswer>) {
        let Some(How::Bits { cid, .. }) = self.attempts.front().map(|attempt| &attempt.how) else { return };
        match answer {
            Ok(answer) => {
                let judged = Bits::judge_answer(cid, answer);
                self.judged(judged);
            }
            Err(NoAnswer::Refused) => self.judged(Err(BitsError::Unknown)),
            Err(NoAnswer::Silent(words)) => self.failed(Outcome::Unreachable(words)),
        }
    }

    fn judged(&mut self, judged: Result<Bits, BitsError>) {
        let bits = match judged {
            Ok(bits) => bits,
            Err(BitsError::WrongBytes) => return self.failed(Outcome::WrongBytes),
            Err(BitsError::TooLarge(_)) => return self.failed(Outcome::TooLong(super::MAX_READ as u64)),
            Err(error @ (BitsError::Unknown | BitsError::OtherName | BitsError::Empty)) => {
                return self.failed(Outcome::NotGiven(error.to_string()));
            }
        };
        // SHA-256 is the store's own name for it.
        let mut hasher = Hasher::new(self.claim.algos().chain([HashAlgo::Sha256]));
        hasher.update(bits.bytes());
        match self.claim.judge(hasher.finish()) {
            Verdict::Verified(verified) => self.done(Fetched::Verified(verified), bits),
            Verdict::Unproven(unproven) => self.done(Fetched::Unproven(unproven), bits),
            Verdict::Mismatch(_) => self.failed(Outcome::WrongBytes),
        }
    }

    fn done(&mut self, fetched: Fetched, bits: Bits) {
        if let Some(attempt) = self.attempts.pop_front() {
            self.actions.push_back(Action::Record(attempt.source, Outcome::Fetched));
        }
        self.attempts.clear();
        self.actions.push_back(Action::Done(fetched, bits));
    }

    fn failed(&mut self, outcome: Outcome) {
        if let Some(attempt) = self.attempts.pop_front() {
            self.actions.push_back(Action::Record(attempt.source.clone(), outcome.clone()));
            self.outcomes.push((attempt.source, outcome));
        }
        self.next();
    }

    fn next(&mut self) {
        let action = match self.attempts.front().map(|attempt| &attempt.how) {
            Some(How::Carried { cid }) => Action::Take(cid.clone()),
            Some(How::Bits { cid, from }) => Action::Ask { to: from.clone(), cid: cid.clone(), payload: request(cid) },
            // None are left; any other kind was never taken in.
            _ => Action::Failed(FetchFailed { outcomes: std::mem::take(&mut self.outcomes), kept: 0 }),
        };
        self.actions.push_back(action);
    }
}

#[cfg(test)]
mod tests {
    use balcony_wire::Payload as _;

    use super::*;
    use crate::{DigestSet, Exposure, MediaType, NamedBy};

    fn romeo() -> Jid {
        Jid::parse("romeo@montague.lit/orchard").unwrap()
    }

    fn picture() -> Bits {
        Bits::of_ours(b"a small picture".to_vec(), MediaType::from_peer("image/png")).unwrap()
    }

    fn carried() -> Attempt {
        let (source, cid) = (SourceKey::from_record("carried x"), picture().cid().clone());
        Attempt { source, named_by: NamedBy::Sender, how: How::Carried { cid }, exposure: Exposure::Nothing }
    }

    fn asked() -> Attempt {
        let (source, cid) = (SourceKey::from_record("bits x"), picture().cid().clone());
        Attempt { source, named_by: NamedBy::Sender, how: How::Bits { cid, from: romeo() }, exposure: Exposure::Presence(romeo()) }
    }

    fn claim(algo: HashAlgo) -> Claim {
        let mut hasher = Hasher::new([algo]);
        hasher.update(picture().bytes());
        Claim { size: Some(15), digests: hasher.finish().digests().clone() }
    }

    fn drained(job: &mut BitsJob) -> Vec<Action> {
        std::iter::from_fn(|| job.poll_action()).collect()
    }

    /// Proves: BOB-2.3-1, BOB-2.1-1.
    #[test]
    fn the_device_is_asked_with_an_empty_element_and_its_answer_is_the_file() {
        let mut job = BitsJob::new(&[asked()], claim(HashAlgo::Sha256));
        let Some(Action::Ask { to, payload, .. }) = job.poll_action() else { panic!("nobody is asked") };
        assert_eq!((to, payload.attr("cid"), payload.nodes().len()), (romeo(), Some(picture().cid().as_str()), 0));
        job.handle_answer(Ok(Some(&picture().to_element())));
        let done = drained(&mut job);
        assert!(matches!(&done[..], [Action::Record(_, Outcome::Fetched), Action::Done(Fetched::Verified(_), bits)] if *bits == picture()));
    }

    #[test]
    fn a_name_of_sha_1_alone_proves_nothing() {
        let mut job = BitsJob::new(&[carried()], claim(HashAlgo::Sha1));
        job.poll_action();
        job.handle_carried(Some(BitsOfBinary::read(&picture().to_element()).unwrap()));
        assert!(matches!(drained(&mut job).last(), Some(Action::Done(Fetched::Unproven(_), _))));
    }

    #[test]
    fn bytes_that_are_not_those_of_the_offer_are_nothing_whatever_their_name_says() {
        let mut job = BitsJob::new(&[carried()], Claim { size: None, digests: other_digest() });
        job.poll_action();
        job.handle_carried(Some(BitsOfBinary::read(&picture().to_element()).unwrap()));
        let done = drained(&mut job);
        assert!(matches!(&done[..], [Action::Record(_, Outcome::WrongBytes), Action::Failed(_)]));
    }

    fn other_digest() -> DigestSet {
        let mut hasher = Hasher::new([HashAlgo::Sha256]);
        hasher.update(b"another picture");
        hasher.finish().digests().clone()
    }

    #[test]
    fn what_fails_is_told_and_the_next_is_tried() {
        let mut job = BitsJob::new(&[carried(), asked()], claim(HashAlgo::Sha256));
        assert_eq!(job.poll_action(), Some(Action::Take(picture().cid().clone())));
        job.handle_answer(Ok(Some(&picture().to_element()))); // nobody was asked: no answer
        assert_eq!(job.poll_action(), None);
        job.handle_carried(None);
        assert!(matches!(drained(&mut job).last(), Some(Action::Ask { .. })));
        for (answer, outcome) in [
            (Err(NoAnswer::Refused), Outcome::NotGiven(BitsError::Unknown.to_string())),
            (Err(NoAnswer::Silent("no answer in time".to_owned())), Outcome::Unreachable("no answer in time".to_owned())),
            (Ok(None), Outcome::NotGiven(BitsError::Empty.to_string())),
        ] {
            let mut job = BitsJob::new(&[asked()], claim(HashAlgo::Sha256));
            job.poll_action();
            job.handle_answer(answer);
            let done = drained(&mut job);
            assert!(matches!(&done[..], [Action::Record(_, told), Action::Failed(_)] if *told == outcome), "{done:?}");
        }
    }

    #[test]
    fn a_plan_without_bits_ends_at_once() {
        assert!(matches!(drained(&mut BitsJob::new(&[], Claim::default()))[..], [Action::Failed(_)]));
    }
}
