//! Blocks going out.

use std::collections::VecDeque;
use std::time::Instant;

use balcony_wire::Payload as _;
use balcony_wire::in_band::{Close, Data, Open, StanzaKind};
use balcony_wire::stanza::DefinedCondition;

use super::{Action, HANDSHAKE, IbbFailed, IbbRefusal, NoAck, STALL, Terms, Window};

/// Sends one stream. Give it blocks while there is [`IbbSender::room`], then [`IbbSender::finish`].
#[derive(Debug)]
pub struct IbbSender {
    terms: Terms,
    window: Window,
    stage: Stage,
    seq: u16,
    under_way: VecDeque<(u64, Instant)>,
    ids: u64,
    /// No more blocks come.
    is_finishing: bool,
    actions: VecDeque<Action>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Stage {
    /// We asked to open it.
    Opening {
        id: u64,
        until: Instant,
    },
    /// They are to open it.
    Awaiting {
        until: Instant,
    },
    /// Nothing moved since.
    Open {
        since: Instant,
    },
    /// We asked to close it; why it failed, if it did.
    Closing {
        id: u64,
        until: Instant,
        why: Option<IbbFailed>,
    },
    Over,
}

/// Smaller blocks than this are not worth the stanzas around them.
const SMALLEST: u16 = 256;

impl IbbSender {
    /// Opens the stream, or waits until they do.
    #[must_use]
    pub fn new(now: Instant, terms: Terms, opens: bool, window: Window) -> Self {
        let stage = Stage::Awaiting { until: now + HANDSHAKE };
        let mut sender =
            Self { terms, window, stage, seq: 0, under_way: VecDeque::new(), ids: 0, is_finishing: false, actions: VecDeque::new() };
        if opens {
            sender.open(now);
        }
        sender
    }

    fn open(&mut self, now: Instant) {
        let id = self.ask(self.terms.open().write());
        self.stage = Stage::Opening { id, until: now + HANDSHAKE };
    }

    /// What to do; `None` until something happens.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When [`IbbSender::handle_timeout`] is due. Where nothing is under way it is up to us, and there is none.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.stage {
            Stage::Opening { until, .. } | Stage::Awaiting { until } | Stage::Closing { until, .. } => Some(*until),
            Stage::Open { since } if !self.under_way.is_empty() => Some(*since + STALL),
            Stage::Open { .. } | Stage::Over => None,
        }
    }

    /// Bytes of a block; every block but the last should have as many.
    pub fn block_size(&self) -> usize {
        usize::from(self.terms.block_size)
    }

    /// How many blocks are wanted.
    pub fn room(&self) -> usize {
        match self.stage {
            Stage::Open { .. } if !self.is_finishing => self.window.size().saturating_sub(self.under_way.len()),
            _ => 0,
        }
    }

    /// How many blocks wait for their answer.
    pub fn under_way(&self) -> usize {
        self.under_way.len()
    }

    /// The next bytes, no more than a block. Without room they are not wanted, and the stream fails: the driver is wrong.
    pub fn handle_block(&mut self, now: Instant, bytes: &[u8]) {
        if self.room() == 0 || bytes.len() > self.block_size() {
            return self.fail(now, IbbFailed::Broken(IbbRefusal::TooLarge));
        }
        if bytes.is_empty() {
            return;
        }
        let payload = Data { sid: self.terms.sid.clone(), seq: self.seq, bytes: bytes.to_vec() }.write();
        self.seq = self.seq.wrapping_add(1);
        if self.under_way.is_empty() {
            self.stage = Stage::Open { since: now };
        }
        let id = self.next_id();
        self.under_way.push_back((id, now));
        self.actions.push_back(match self.terms.stanza {
            StanzaKind::Iq => Action::Ask { id, payload },
            StanzaKind::Message => Action::Tell { id, payload },
        });
    }

    /// All bytes were given: closes the stream once they arrived.
    pub fn finish(&mut self, now: Instant) {
        self.is_finishing = true;
        self.close_if_done(now);
    }

    /// We stop in the middle.
    pub fn abort(&mut self, now: Instant) {
        match self.stage {
            Stage::Open { .. } => self.close(now, Some(IbbFailed::ClosedEarly)),
            Stage::Opening { .. } | Stage::Awaiting { .. } => self.over(Some(IbbFailed::ClosedEarly)),
            Stage::Closing { .. } | Stage::Over => {}
        }
    }

    /// They open the stream.
    ///
    /// # Errors
    /// When it is another one, or not what was agreed on.
    pub fn handle_open(&mut self, now: Instant, open: &Open) -> Result<(), IbbRefusal> {
        self.terms.judge(open)?;
        if !matches!(self.stage, Stage::Awaiting { .. }) {
            return Err(IbbRefusal::Uncalled);
        }
        self.opened(now);
        Ok(())
    }

    /// They close it.
    ///
    /// # Errors
    /// When it is not open.
    pub fn handle_close(&mut self, sid: &str) -> Result<(), IbbRefusal> {
        if sid != self.terms.sid || !matches!(self.stage, Stage::Open { .. } | Stage::Closing { .. }) {
            return Err(IbbRefusal::NoStream);
        }
        let why = match &self.stage {
            Stage::Closing { why, .. } => why.clone(),
            // All bytes were taken: closed is closed, whoever says it.
            _ if self.is_finishing && self.under_way.is_empty() => None,
            _ => Some(IbbFailed::ClosedEarly),
        };
        self.over(why);
        Ok(())
    }

    /// They send bytes, where nothing but ours goes.
    pub fn handle_data(&self) -> IbbRefusal {
        if matches!(self.stage, Stage::Open { .. }) { IbbRefusal::WrongWay } else { IbbRefusal::NoStream }
    }

    /// The answer to an [`Action::Ask`] or [`Action::Tell`].
    pub fn handle_answer(&mut self, now: Instant, id: u64, answer: Result<(), NoAck>) {
        match self.stage.clone() {
            Stage::Opening { id: asked, .. } if asked == id => match answer {
                Ok(()) => self.opened(now),
                Err(why) => self.not_opened(now, &why),
            },
            // Gone or closed, it is over (XEP-0047 §2.3).
            Stage::Closing { id: asked, why, .. } if asked == id => self.over(why),
            Stage::Open { .. } => self.handle_block_answer(now, id, answer),
            Stage::Opening { .. } | Stage::Awaiting { .. } | Stage::Closing { .. } | Stage::Over => {}
        }
    }

    fn handle_block_answer(&mut self, now: Instant, id: u64, answer: Result<(), NoAck>) {
        let Some(at) = self.under_way.iter().position(|(other, _)| *other == id) else { return };
        let in_company = self.under_way.len() > 1;
        let Some((_, sent)) = self.under_way.remove(at) else { return };
        if let Err(why) = answer {
            let why = why.words();
            return self.fail(now, IbbFailed::BlockRefused { why, in_company });
        }
        self.stage = Stage::Open { since: now };
        if at == 0 {
            self.window.answered(now.saturating_duration_since(sent));
        } else {
            self.window.out_of_turn();
        }
        self.close_if_done(now);
    }

    /// A message of ours came back: the other side has a gap, perhaps at the very end.
    pub fn handle_bounce(&mut self, now: Instant, refusal: String) {
        let refused = IbbFailed::BlockRefused { why: refusal, in_company: self.under_way.len() > 1 };
        match &mut self.stage {
            Stage::Open { .. } => self.fail(now, refused),
            Stage::Closing { why, .. } => drop(why.get_or_insert(refused)),
            Stage::Opening { .. } | Stage::Awaiting { .. } | Stage::Over => {}
        }
    }

    /// Time passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return;
        }
        match self.stage.clone() {
            Stage::Opening { .. } => self.over(Some(IbbFailed::NotOpened("no answer in time".to_owned()))),
            Stage::Awaiting { .. } => self.over(Some(IbbFailed::NotOpened("it did not come in time".to_owned()))),
            Stage::Open { .. } => self.fail(now, IbbFailed::Stalled(STALL)),
            Stage::Closing { why, .. } => self.over(why),
            Stage::Over => {}
        }
    }

    /// XEP-0047 §2.1: smaller blocks may be all it takes.
    fn not_opened(&mut self, now: Instant, why: &NoAck) {
        let wants_smaller = matches!(why, NoAck::Refused(error) if error.condition == DefinedCondition::ResourceConstraint);
        if wants_smaller && self.terms.block_size / 2 >= SMALLEST {
            self.terms.block_size /= 2;
            return self.open(now);
        }
        self.over(Some(IbbFailed::NotOpened(why.words())));
    }

    fn opened(&mut self, now: Instant) {
        self.stage = Stage::Open { since: now };
        self.actions.push_back(Action::Opened);
        self.close_if_done(now);
    }

    fn close_if_done(&mut self, now: Instant) {
        if self.is_finishing && self.under_way.is_empty() && matches!(self.stage, Stage::Open { .. }) {
            self.close(now, None);
        }
    }

    fn fail(&mut self, now: Instant, why: IbbFailed) {
        self.close(now, Some(why));
    }

    fn close(&mut self, now: Instant, why: Option<IbbFailed>) {
        self.under_way.clear();
        let id = self.ask(Close { sid: self.terms.sid.clone() }.write());
        self.stage = Stage::Closing { id, until: now + HANDSHAKE, why };
    }

    fn over(&mut self, why: Option<IbbFailed>) {
        self.stage = Stage::Over;
        self.under_way.clear();
        self.actions.push_back(why.map_or(Action::Ended, Action::Failed));
    }

    fn ask(&mut self, payload: balcony_wire::Element) -> u64 {
        let id = self.next_id();
        self.actions.push_back(Action::Ask { id, payload });
        id
    }

    fn next_id(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }
}
