//! Messages on their way from the connection to whoever looks at them, and the word back that they are kept: only then the server
//! may forget them.
//!
//! XEP-0198 Stream management, v1.6.3 <https://xmpp.org/extensions/xep-0198.html>

use std::collections::VecDeque;

use balcony_wire::Message;
use tokio::sync::{mpsc, oneshot, watch};

/// Messages that may wait to be looked at.
const WAITING: usize = 32;

/// A message that came.
#[derive(Debug)]
struct Inbound {
    message: Message,
    /// On which connection: one that breaks brings again what was not kept by then.
    connection: u64,
}

/// How many messages of a connection are kept.
#[derive(Clone, Copy, Debug, Default)]
struct Kept {
    connection: u64,
    messages: usize,
}

/// The side of the connection.
pub(super) struct Inbox {
    messages: mpsc::Sender<Inbound>,
    /// Messages of the last read that there was no room for.
    backlog: VecDeque<Inbound>,
    kept: watch::Receiver<Kept>,
    connection: u64,
    /// Messages of this connection that were confirmed.
    confirmed: usize,
    /// Messages of this connection that came.
    came: usize,
    /// Who waits until so many are kept.
    waiting: Vec<(usize, oneshot::Sender<()>)>,
}

/// The side of whoever looks at them.
pub(crate) struct Arrivals {
    messages: mpsc::Receiver<Inbound>,
    kept: watch::Sender<Kept>,
    last: u64,
}

pub(super) fn inbox() -> (Inbox, Arrivals) {
    let (messages, arriving) = mpsc::channel(WAITING);
    let (keep, kept) = watch::channel(Kept::default());
    let inbox = Inbox { messages, backlog: VecDeque::new(), kept, connection: 0, confirmed: 0, came: 0, waiting: Vec::new() };
    (inbox, Arrivals { messages: arriving, kept: keep, last: 0 })
}

impl Inbox {
    /// Another connection begins.
    pub(super) fn reconnect(&mut self) {
        self.connection += 1;
        self.confirmed = 0;
        self.came = 0;
        self.waiting.clear();
    }

    /// Puts a message behind those that wait.
    pub(super) fn put(&mut self, message: Message) {
        self.came += 1;
        self.backlog.push_back(Inbound { message, connection: self.connection });
        self.hand_over();
    }

    /// Whether all were handed over: nothing is read before.
    pub(super) fn has_room(&self) -> bool {
        self.backlog.is_empty()
    }

    /// Waits until more can be handed over or confirmed. Safe to drop.
    pub(super) async fn moved(&mut self) {
        let is_full = !self.has_room();
        tokio::select! {
            permit = self.messages.reserve(), if is_full => drop(permit),
            Ok(()) = self.kept.changed() => {}
            // Nobody looks any more: the account is being dropped.
            else => std::future::pending().await,
        }
    }

    /// Gives the messages that wait to whoever looks at them, as far as there is room.
    pub(super) fn hand_over(&mut self) {
        while let Some(inbound) = self.backlog.pop_front() {
            match self.messages.try_send(inbound) {
                Ok(()) => {}
                Err(mpsc::error::TrySendError::Full(inbound)) => return self.backlog.push_front(inbound),
                Err(mpsc::error::TrySendError::Closed(_)) => self.backlog.clear(),
            }
        }
    }

    /// How many more of this connection's messages are kept than when this was asked last: the oldest.
    pub(super) fn newly_kept(&mut self) -> usize {
        let kept = *self.kept.borrow_and_update();
        let messages = if kept.connection == self.connection { kept.messages } else { 0 };
        let newly = messages - self.confirmed;
        self.confirmed = messages;
        for (_, done) in self.waiting.extract_if(.., |(until, _)| *until <= messages) {
            let _ = done.send(()); // whoever waited may be gone
        }
        newly
    }

    /// Says when every message that came so far is confirmed.
    pub(super) fn settle(&mut self, done: oneshot::Sender<()>) {
        if self.confirmed >= self.came {
            let _ = done.send(()); // as above
        } else {
            self.waiting.push((self.came, done));
        }
    }
}

impl Arrivals {
    /// The next message; `None` when there will be no more. Safe to drop.
    pub(crate) async fn next(&mut self) -> Option<Message> {
        let inbound = self.messages.recv().await?;
        self.last = inbound.connection;
        Some(inbound.message)
    }

    /// The last message is kept, as far as it is worth keeping.
    pub(crate) fn keep(&mut self) {
        let connection = self.last;
        self.kept.send_modify(|kept| {
            let before = if kept.connection == connection { kept.messages } else { 0 };
            *kept = Kept { connection, messages: before + 1 };
        });
    }
}

#[cfg(test)]
mod tests {
    use balcony_wire::stanza::MessageKind;

    use super::*;

    fn message() -> Message {
        Message::new(MessageKind::Chat, None)
    }

    #[tokio::test]
    async fn a_message_is_confirmed_once_it_is_kept_and_on_its_own_connection_only() {
        let (mut inbox, mut arrivals) = inbox();
        inbox.reconnect();
        inbox.put(message());
        inbox.put(message());
        arrivals.next().await.unwrap();
        assert_eq!(inbox.newly_kept(), 0, "looked at is not kept");
        arrivals.keep();
        inbox.moved().await;
        assert_eq!((inbox.newly_kept(), inbox.newly_kept()), (1, 0));

        // The second one comes again on the next connection; its first copy is kept meanwhile.
        inbox.reconnect();
        inbox.put(message());
        arrivals.next().await.unwrap();
        arrivals.keep();
        assert_eq!(inbox.newly_kept(), 0);
        arrivals.next().await.unwrap();
        arrivals.keep();
        assert_eq!(inbox.newly_kept(), 1);
    }

    #[tokio::test]
    async fn whoever_waits_is_told_once_what_came_before_is_kept() {
        let (mut inbox, mut arrivals) = inbox();
        inbox.reconnect();
        let ask = |inbox: &mut Inbox| {
            let (done, settled) = oneshot::channel();
            inbox.settle(done);
            settled
        };
        assert!(ask(&mut inbox).await.is_ok(), "nothing came");
        inbox.put(message());
        inbox.put(message());
        let mut both = ask(&mut inbox);
        inbox.put(message());
        for is_told in [false, true] {
            arrivals.next().await.unwrap();
            arrivals.keep();
            inbox.newly_kept();
            assert_eq!(both.try_recv().is_ok(), is_told);
        }
        let third = ask(&mut inbox);
        inbox.reconnect();
        assert!(third.await.is_err(), "the connection ended before");
    }

    #[tokio::test]
    async fn nothing_is_lost_when_there_is_no_room() {
        let (mut inbox, mut arrivals) = inbox();
        for _ in 0..WAITING + 2 {
            inbox.put(message());
        }
        assert!(!inbox.has_room());
        for _ in 0..WAITING + 2 {
            inbox.hand_over();
            arrivals.next().await.unwrap();
        }
        assert!(inbox.has_room());
    }
}
