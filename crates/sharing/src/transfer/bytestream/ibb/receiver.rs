//! Blocks coming in.

use std::collections::VecDeque;
use std::time::Instant;

use balcony_wire::Payload as _;
use balcony_wire::in_band::{Close, Data, Open};

use super::{Action, HANDSHAKE, IbbFailed, IbbRefusal, NoAck, STALL, Terms};

/// Receives one stream. Each block is answered by whoever drives it, once somebody has taken its bytes: that is the flow control.
#[derive(Debug)]
pub struct IbbReceiver {
    terms: Terms,
    stage: Stage,
    expected: u16,
    taken: u64,
    /// Bytes that are to come in all, if that is known.
    most: Option<u64>,
    actions: VecDeque<Action>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Stage {
    Opening { until: Instant },
    Awaiting { until: Instant },
    Open { until: Instant },
    Closing { until: Instant, why: Option<IbbFailed> },
    Over,
}

/// Our questions: one to open, one to close.
const OPEN: u64 = 1;
const CLOSE: u64 = 2;

impl IbbReceiver {
    /// Opens the stream, or waits until they do. More bytes than `most` are not taken.
    #[must_use]
    pub fn new(now: Instant, terms: Terms, opens: bool, most: Option<u64>) -> Self {
        let until = now + HANDSHAKE;
        let mut actions = VecDeque::new();
        let stage = if opens {
            actions.push_back(Action::Ask { id: OPEN, payload: terms.open().write() });
            Stage::Opening { until }
        } else {
            Stage::Awaiting { until }
        };
        Self { terms, stage, expected: 0, taken: 0, most, actions }
    }

    /// What to do; `None` until something happens.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When [`IbbReceiver::handle_timeout`] is due.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.stage {
            Stage::Opening { until } | Stage::Awaiting { until } | Stage::Open { until } | Stage::Closing { until, .. } => Some(*until),
            Stage::Over => None,
        }
    }

    /// Bytes taken so far.
    pub fn taken(&self) -> u64 {
        self.taken
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

    /// A block: its bytes are those that come next.
    ///
    /// # Errors
    /// When it is not the next one, or cannot be taken. A gap, and more bytes than announced, end the stream.
    pub fn handle_data(&mut self, now: Instant, data: Data) -> Result<Vec<u8>, IbbRefusal> {
        if data.sid != self.terms.sid || !matches!(self.stage, Stage::Open { .. }) {
            return Err(IbbRefusal::NoStream);
        }
        match data.seq.wrapping_sub(self.expected) {
            0 => {}
            // What lies behind lies in the nearer half of the circle.
            ahead if ahead <= u16::MAX / 2 => {
                self.fail(now, IbbFailed::Gap);
                return Err(IbbRefusal::Gap);
            }
            _ => return Err(IbbRefusal::UsedSeq),
        }
        if data.bytes.len() > usize::from(self.terms.block_size) {
            return Err(self.refuse(now, IbbRefusal::TooLarge));
        }
        let taken = self.taken + data.bytes.len() as u64;
        if self.most.is_some_and(|most| taken > most) {
            self.fail(now, IbbFailed::TooMuch);
            return Err(IbbRefusal::TooMuch);
        }
        self.taken = taken;
        self.expected = self.expected.wrapping_add(1);
        self.stage = Stage::Open { until: now + STALL };
        Ok(data.bytes)
    }

    /// A block that cannot be read.
    pub fn handle_unreadable(&mut self, now: Instant) -> IbbRefusal {
        match self.stage {
            Stage::Open { .. } => self.refuse(now, IbbRefusal::Unreadable),
            _ => IbbRefusal::NoStream,
        }
    }

    /// We were busy with what came before: only from now on they keep us waiting.
    pub fn handle_taken(&mut self, now: Instant) {
        if let Stage::Open { until } = &mut self.stage {
            *until = now + STALL;
        }
    }

    /// They close it.
    ///
    /// # Errors
    /// When it is not open.
    pub fn handle_close(&mut self, sid: &str) -> Result<(), IbbRefusal> {
        if sid != self.terms.sid {
            return Err(IbbRefusal::NoStream);
        }
        match self.stage.clone() {
            Stage::Open { .. } => self.over(None),
            Stage::Closing { why, .. } => self.over(why),
            Stage::Opening { .. } | Stage::Awaiting { .. } | Stage::Over => return Err(IbbRefusal::NoStream),
        }
        Ok(())
    }

    /// We have enough: closes the stream, if they did not.
    pub fn finish(&mut self, now: Instant) {
        match self.stage {
            Stage::Open { .. } => self.close(now, None),
            Stage::Opening { .. } | Stage::Awaiting { .. } => self.over(None),
            Stage::Closing { .. } | Stage::Over => {}
        }
    }

    /// The answer to an [`Action::Ask`].
    pub fn handle_answer(&mut self, now: Instant, id: u64, answer: Result<(), NoAck>) {
        match (self.stage.clone(), id) {
            (Stage::Opening { .. }, OPEN) => match answer {
                Ok(()) => self.opened(now),
                Err(why) => self.over(Some(IbbFailed::NotOpened(why.words()))),
            },
            // Gone or closed, it is over (XEP-0047 §2.3).
            (Stage::Closing { why, .. }, CLOSE) => self.over(why),
            _ => {}
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

    fn opened(&mut self, now: Instant) {
        self.stage = Stage::Open { until: now + STALL };
        self.actions.push_back(Action::Opened);
    }

    /// What was in that block is lost: nothing behind it can be used.
    fn refuse(&mut self, now: Instant, refusal: IbbRefusal) -> IbbRefusal {
        self.fail(now, IbbFailed::Broken(refusal));
        refusal
    }

    fn fail(&mut self, now: Instant, why: IbbFailed) {
        self.close(now, Some(why));
    }

    fn close(&mut self, now: Instant, why: Option<IbbFailed>) {
        self.actions.push_back(Action::Ask { id: CLOSE, payload: Close { sid: self.terms.sid.clone() }.write() });
        self.stage = Stage::Closing { until: now + HANDSHAKE, why };
    }

    fn over(&mut self, why: Option<IbbFailed>) {
        self.stage = Stage::Over;
        self.actions.push_back(why.map_or(Action::Ended, Action::Failed));
    }
}
