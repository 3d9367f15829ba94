//! Streams in band over the account's connection: blocks in stanzas, several of them under way. Which block is next, and how many may be
//! under way, is for the machines to say.
//!
//! XEP-0047 In-Band Bytestreams, v2.0.1 <https://xmpp.org/extensions/xep-0047.html>

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use balcony_session::client::Ask;
use balcony_session::iq_table::RequestError;
use balcony_sharing::transfer::bytestream::ibb::{Action, IbbReceiver, IbbRefusal, IbbSender, NoAck, Terms, Window};
use balcony_wire::in_band::{Close, Data, Open};
use balcony_wire::stanza::{DefinedCondition, MessageKind};
use balcony_wire::{Element, FullJid, Iq, IqKind, Jid, Message, Payload as _, StanzaError, ns};
use bytes::{Bytes, BytesMut};
use futures_util::FutureExt as _;
use tokio::time::sleep_until;

use super::StreamError;
use super::road::Place;
use crate::account::reply::Line;
use crate::direct::{Courier, InBand, InBandMail};

/// How long one answer may take: the machines stop waiting before.
const ANSWER: Duration = Duration::from_secs(90);
/// Bytes of a piece at most.
const PIECE: usize = 256 * 1024;

fn no_ack(error: RequestError) -> NoAck {
    match error {
        RequestError::Refused { error, .. } => NoAck::Refused(Box::new(error)),
        other => NoAck::Silent(other.to_string()),
    }
}

/// What both directions share.
#[derive(Debug)]
struct Link {
    courier: Courier,
    mail: InBandMail,
    peer: Jid,
    /// What goes out next: nothing of it is lost where a future is dropped.
    out: VecDeque<Out>,
    answers: Line,
}

#[derive(Clone, Debug)]
enum Out {
    Answer(Box<Iq>),
    Ask { id: u64, payload: Element },
}

/// What a stream waits for.
enum Input {
    Mail(Box<InBand>),
    Answer(u64, Result<(), NoAck>),
    Time,
    /// The account went away, or somebody else took the name of the stream.
    Gone,
}

impl Link {
    fn new(courier: Courier, mail: InBandMail, peer: FullJid) -> Self {
        Self { courier, mail, peer: peer.into_jid(), out: VecDeque::new(), answers: Line::new() }
    }

    async fn input(&mut self, deadline: Option<Instant>) -> Input {
        tokio::select! {
            biased;
            (id, answer) = self.answers.next() => Input::Answer(id, answer.map(drop).map_err(no_ack)),
            mail = self.mail.next() => mail.map_or(Input::Gone, |mail| Input::Mail(Box::new(mail))),
            () = sleep_until(deadline.unwrap_or_else(Instant::now).into()), if deadline.is_some() => Input::Time,
        }
    }

    async fn ask(&mut self, id: u64, payload: Element) {
        self.courier.begin_for(self.answers.reply_to(id), self.peer.clone(), Ask::Set(payload), ANSWER).await;
    }

    /// In a message, which nobody answers: that it went is all there is.
    async fn tell(&mut self, id: u64, payload: Element) -> Result<(), NoAck> {
        let mut message = Message::new(MessageKind::Normal, Some(self.peer.clone()));
        message.id = Some(format!("block-{id}"));
        message.payloads.push(payload);
        self.courier.say(message).await.map_err(|error| NoAck::Silent(error.to_string()))
    }

    fn answer(&mut self, request: &Iq, result: Result<(), DefinedCondition>) {
        let answer = match result {
            Ok(()) => request.result(None),
            Err(condition) => request.refuse(StanzaError::new(condition)),
        };
        self.out.push_back(Out::Answer(Box::new(answer)));
    }

    /// Sends what waits, in order. Safe to drop.
    async fn flush(&mut self) {
        while let Some(next) = self.out.front() {
            match next.clone() {
                Out::Answer(answer) => self.courier.answer(*answer).await,
                Out::Ask { id, payload } => self.ask(id, payload).await,
            }
            self.out.pop_front();
        }
    }
}

/// What a request about a stream says.
enum Said {
    Open(Open),
    Data(Data),
    Close(Close),
    /// A block that is none.
    Unreadable,
    /// Nothing we know.
    Nonsense,
}

fn said(payload: &Element) -> Said {
    if Data::matches(payload) {
        Data::read(payload).map_or(Said::Unreadable, Said::Data)
    } else if Open::matches(payload) {
        Open::read(payload).map_or(Said::Nonsense, Said::Open)
    } else if Close::matches(payload) {
        Close::read(payload).map_or(Said::Nonsense, Said::Close)
    } else {
        Said::Nonsense
    }
}

/// Bytes coming in.
#[derive(Debug)]
pub(super) struct InBandReader {
    link: Link,
    machine: IbbReceiver,
    /// Blocks that were taken and not handed out yet.
    blocks: VecDeque<Vec<u8>>,
    /// How it ended.
    over: Option<Result<(), StreamError>>,
}

impl InBandReader {
    pub(super) fn new(courier: Courier, mail: InBandMail, peer: FullJid, terms: Terms, opens: bool, most: Option<u64>) -> Self {
        let machine = IbbReceiver::new(Instant::now(), terms, opens, most);
        Self { link: Link::new(courier, mail, peer), machine, blocks: VecDeque::new(), over: None }
    }

    /// See [`super::Reader::next`].
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, StreamError> {
        // What came while nobody asked was not late.
        self.machine.handle_taken(Instant::now());
        loop {
            self.drain();
            self.link.flush().await;
            if !self.blocks.is_empty() {
                return Ok(Some(self.piece()));
            }
            match &mut self.over {
                Some(Ok(())) => return Ok(None),
                Some(over) => return std::mem::replace(over, Err(StreamError::Gone)).map(|()| None),
                None => {}
            }
            match self.link.input(self.machine.deadline()).await {
                Input::Mail(mail) => self.take_all(*mail),
                Input::Answer(id, answer) => self.machine.handle_answer(Instant::now(), id, answer),
                Input::Time => self.machine.handle_timeout(Instant::now()),
                Input::Gone => self.over = Some(Err(StreamError::Gone)),
            }
        }
    }

    /// Takes what came, and what is there behind it: one large piece costs less than many small ones.
    fn take_all(&mut self, first: InBand) {
        let mut next = Some(first);
        while let Some(mail) = next {
            self.take(mail);
            let is_full = self.piece_len() >= PIECE / 2;
            next = if is_full { None } else { self.link.mail.next().now_or_never().flatten() };
        }
    }

    fn piece_len(&self) -> usize {
        self.blocks.iter().map(Vec::len).sum()
    }

    fn piece(&mut self) -> Bytes {
        if self.blocks.len() == 1 {
            return self.blocks.pop_front().unwrap_or_default().into();
        }
        let mut piece = BytesMut::with_capacity(self.piece_len());
        for block in self.blocks.drain(..) {
            piece.extend_from_slice(&block);
        }
        piece.freeze()
    }

    pub(super) fn take(&mut self, mail: InBand) {
        let now = Instant::now();
        match mail {
            InBand::Request(request) => {
                let payload = match &request.kind {
                    IqKind::Set(payload) => payload,
                    _ => return self.link.answer(&request, Err(DefinedCondition::BadRequest)),
                };
                let result = match said(payload) {
                    Said::Open(open) => self.machine.handle_open(now, &open),
                    Said::Data(data) => self.machine.handle_data(now, data).map(|block| self.blocks.push_back(block)),
                    Said::Close(close) => self.machine.handle_close(&close.sid),
                    Said::Unreadable => Err(self.machine.handle_unreadable(now)),
                    Said::Nonsense => return self.link.answer(&request, Err(DefinedCondition::BadRequest)),
                };
                self.link.answer(&request, result.map_err(IbbRefusal::condition));
            }
            // Nothing of ours can come back: we send no blocks here.
            InBand::Message(message) if message.kind == MessageKind::Error => {}
            InBand::Message(message) => {
                for payload in message.payloads.iter().filter(|payload| payload.is("data", ns::IBB)) {
                    // Nobody is told what is wrong with it; the machine closes the stream where it has to.
                    match said(payload) {
                        Said::Data(data) => drop(self.machine.handle_data(now, data).map(|block| self.blocks.push_back(block))),
                        _ => drop(self.machine.handle_unreadable(now)),
                    }
                }
            }
        }
    }

    fn drain(&mut self) {
        while let Some(action) = self.machine.poll_action() {
            match action {
                Action::Ask { id, payload } | Action::Tell { id, payload } => self.link.out.push_back(Out::Ask { id, payload }),
                Action::Opened => {}
                Action::Ended => self.over = Some(Ok(())),
                Action::Failed(why) => self.over = Some(Err(why.into())),
            }
        }
    }
}

/// Bytes going out.
#[derive(Debug)]
pub(super) struct InBandWriter {
    link: Link,
    machine: IbbSender,
    place: Place,
    /// Bytes that do not make a block yet.
    rest: Vec<u8>,
    over: Option<Result<(), StreamError>>,
}

impl InBandWriter {
    pub(super) fn new(courier: Courier, mail: InBandMail, peer: FullJid, terms: Terms, opens: bool, window: Window) -> Self {
        let window = if mail.is_slow() { Window::one() } else { window };
        let machine = IbbSender::new(Instant::now(), terms, opens, window);
        let place = courier.road().enter();
        Self { link: Link::new(courier, mail, peer), machine, place, rest: Vec::new(), over: None }
    }

    /// How many blocks may go: the peer, and whoever else uses the connection, have a say.
    fn room(&self) -> usize {
        self.machine.room().min(self.place.room())
    }

    fn put(&mut self, block: &[u8]) {
        self.machine.handle_block(Instant::now(), block);
        self.place.holds(self.machine.under_way());
    }

    /// See [`super::Writer::send`].
    pub(super) async fn send(&mut self, mut bytes: &[u8]) -> Result<(), StreamError> {
        loop {
            self.drain().await;
            self.look_at_end()?;
            if bytes.is_empty() {
                return Ok(());
            }
            if self.room() == 0 {
                self.step().await;
                continue;
            }
            // Blocks may have become smaller when the stream was opened.
            let size = self.machine.block_size();
            if self.rest.is_empty() && bytes.len() >= size {
                let (block, behind) = bytes.split_at(size);
                self.put(block);
                bytes = behind;
                continue;
            }
            let wanted = size.saturating_sub(self.rest.len()).min(bytes.len());
            let (more, behind) = bytes.split_at(wanted);
            self.rest.extend_from_slice(more);
            bytes = behind;
            if self.rest.len() >= size {
                let block = std::mem::take(&mut self.rest);
                self.put(&block);
            }
        }
    }

    /// See [`super::Writer::finish`].
    pub(super) async fn finish(&mut self) -> Result<(), StreamError> {
        while !self.rest.is_empty() {
            self.drain().await;
            self.look_at_end()?;
            if self.room() > 0 {
                let block = std::mem::take(&mut self.rest);
                self.put(&block);
            } else {
                self.step().await;
            }
        }
        self.machine.finish(Instant::now());
        loop {
            self.drain().await;
            match &mut self.over {
                Some(Ok(())) => return Ok(()),
                Some(over) => return std::mem::replace(over, Err(StreamError::Gone)),
                None => self.step().await,
            }
        }
    }

    /// They may end it only with an error before we do.
    fn look_at_end(&mut self) -> Result<(), StreamError> {
        match self.over.take() {
            None => Ok(()),
            Some(over) => {
                self.over = Some(Err(StreamError::Gone));
                Err(over.err().unwrap_or(StreamError::Gone))
            }
        }
    }

    async fn step(&mut self) {
        match self.link.input(self.machine.deadline()).await {
            Input::Mail(mail) => self.take(*mail),
            Input::Answer(id, answer) => self.machine.handle_answer(Instant::now(), id, answer),
            Input::Time => self.machine.handle_timeout(Instant::now()),
            Input::Gone => self.over = Some(Err(StreamError::Gone)),
        }
    }

    fn take(&mut self, mail: InBand) {
        let now = Instant::now();
        let request = match mail {
            InBand::Request(request) => request,
            InBand::Message(message) => {
                if message.kind == MessageKind::Error {
                    self.machine.handle_bounce(now, "a message came back".to_owned());
                }
                return;
            }
        };
        let payload = match &request.kind {
            IqKind::Set(payload) => payload,
            _ => return self.link.answer(&request, Err(DefinedCondition::BadRequest)),
        };
        let result = match said(payload) {
            Said::Open(open) => self.machine.handle_open(now, &open),
            Said::Data(_) | Said::Unreadable => Err(self.machine.handle_data()),
            Said::Close(close) => self.machine.handle_close(&close.sid),
            Said::Nonsense => return self.link.answer(&request, Err(DefinedCondition::BadRequest)),
        };
        self.link.answer(&request, result.map_err(IbbRefusal::condition));
    }

    async fn drain(&mut self) {
        self.link.flush().await;
        while let Some(action) = self.machine.poll_action() {
            match action {
                Action::Ask { id, payload } => self.link.ask(id, payload).await,
                Action::Tell { id, payload } => {
                    let result = self.link.tell(id, payload).await;
                    self.machine.handle_answer(Instant::now(), id, result);
                }
                Action::Opened => {}
                Action::Ended => self.over = Some(Ok(())),
                Action::Failed(why) => {
                    if why.may_go_slowly() {
                        self.link.mail.remember_slow();
                    }
                    self.over = Some(Err(why.into()));
                }
            }
        }
        self.place.holds(self.machine.under_way());
    }
}

#[cfg(test)]
mod tests;
