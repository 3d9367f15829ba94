//! The bounded queue in front of a session. Its bound is in bytes, so that many small stanzas fit and few large ones do.
//!
//! Taking a place costs one atomic operation, no task switch. Who finds no place waits or gives up; what was put in is
//! taken out in order.

use std::sync::Arc;

use balcony_wire::{Element, IqKind, Stanza};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::receipt::Receipt;

/// What a stanza costs beside its text.
const OVERHEAD: usize = 256;

/// A stanza for a client.
#[derive(Debug)]
pub(crate) struct Mail {
    pub(crate) stanza: Stanza,
    /// For a message: to be dropped when it is safe.
    pub(crate) receipt: Option<Receipt>,
}

/// The end to put stanzas into. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Mailbox {
    stanzas: mpsc::UnboundedSender<Waiting>,
    room: Arc<Semaphore>,
    bound: usize,
}

/// The end to take them out of.
#[derive(Debug)]
pub(crate) struct Inbox {
    stanzas: mpsc::UnboundedReceiver<Waiting>,
    room: Arc<Semaphore>,
}

#[derive(Debug)]
struct Waiting {
    mail: Mail,
    weight: u32,
}

/// Why a stanza was not put in; it is handed back.
#[derive(Debug)]
pub(crate) enum PutError {
    /// No room now.
    Full(Box<Mail>),
    /// Nobody takes from it any more.
    Closed(Box<Mail>),
}

/// An empty mailbox for about so many bytes.
pub(crate) fn mailbox(bytes: usize) -> (Mailbox, Inbox) {
    let bound = bytes.clamp(OVERHEAD, u32::MAX as usize / 2);
    let (put, take) = mpsc::unbounded_channel();
    let room = Arc::new(Semaphore::new(bound));
    (Mailbox { stanzas: put, room: room.clone(), bound }, Inbox { stanzas: take, room })
}

impl Mailbox {
    /// Puts a stanza in if there is room.
    pub(crate) fn try_put(&self, mail: Mail) -> Result<(), PutError> {
        let weight = self.weight(&mail.stanza);
        match self.room.try_acquire_many(weight) {
            Ok(permit) => {
                permit.forget();
                self.push(mail, weight)
            }
            Err(tokio::sync::TryAcquireError::NoPermits) => Err(PutError::Full(mail.into())),
            Err(tokio::sync::TryAcquireError::Closed) => Err(PutError::Closed(mail.into())),
        }
    }

    /// Waits until there is room for `stanza`, and keeps it free for the call of [`Place::put`].
    pub(crate) async fn place_for(self, weight: u32) -> Option<Place> {
        let permit = self.room.clone().acquire_many_owned(weight).await.ok()?;
        Some(Place { mailbox: self, weight, permit })
    }

    /// About how much memory a stanza takes; never more than the whole mailbox, so that each fits some time.
    pub(crate) fn weight(&self, stanza: &Stanza) -> u32 {
        let payloads = match stanza {
            Stanza::Message(message) => message.payloads.iter().map(Element::weight).sum(),
            Stanza::Presence(presence) => presence.payloads.iter().map(Element::weight).sum(),
            Stanza::Iq(iq) => match &iq.kind {
                IqKind::Get(payload) | IqKind::Set(payload) | IqKind::Result(Some(payload)) => payload.weight(),
                IqKind::Result(None) | IqKind::Error(_) => 0,
            },
        };
        // Bounded by `bound`, which fits.
        u32::try_from((OVERHEAD + payloads).min(self.bound)).unwrap_or(u32::MAX / 2)
    }

    fn push(&self, mail: Mail, weight: u32) -> Result<(), PutError> {
        self.stanzas.send(Waiting { mail, weight }).map_err(|refused| PutError::Closed(refused.0.mail.into()))
    }
}

/// A place kept free; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    mailbox: Mailbox,
    weight: u32,
    permit: OwnedSemaphorePermit,
}

impl Place {
    /// Puts in the stanza it was kept for.
    pub(crate) fn put(self, mail: Mail) -> Result<(), PutError> {
        self.permit.forget();
        self.mailbox.push(mail, self.weight)
    }
}

impl Inbox {
    /// The next stanza; `None` never, as the session itself keeps the other end.
    pub(crate) async fn take(&mut self) -> Option<Mail> {
        let waiting = self.stanzas.recv().await?;
        Some(self.release(waiting))
    }

    /// The next stanza if there is one.
    pub(crate) fn try_take(&mut self) -> Option<Mail> {
        let waiting = self.stanzas.try_recv().ok()?;
        Some(self.release(waiting))
    }

    /// Nothing may be put in from now on; what is in can still be taken out.
    pub(crate) fn close(&mut self) {
        self.room.close();
        self.stanzas.close();
    }

    fn release(&self, waiting: Waiting) -> Mail {
        self.room.add_permits(waiting.weight as usize);
        waiting.mail
    }
}

#[cfg(test)]
mod tests {
    use balcony_wire::{Message, MessageKind};

    use super::*;

    fn message(text: &str) -> Mail {
        Mail { stanza: Message::new(MessageKind::Chat, None).with_body(text).into(), receipt: None }
    }

    fn text(mail: Option<Mail>) -> Option<String> {
        match mail.map(|mail| mail.stanza) {
            Some(Stanza::Message(message)) => message.body(),
            _ => None,
        }
    }

    #[tokio::test]
    async fn a_full_mailbox_hands_the_stanza_back_and_takes_it_when_there_is_room() {
        let (mailbox, mut inbox) = mailbox(1000);
        mailbox.try_put(message("one")).unwrap();
        mailbox.try_put(message("two")).unwrap();
        let Err(PutError::Full(third)) = mailbox.try_put(message("three")) else { panic!("it was full") };
        let weight = mailbox.weight(&third.stanza);
        let waiting = tokio::spawn(mailbox.clone().place_for(weight));
        assert_eq!(text(inbox.take().await).as_deref(), Some("one"));
        waiting.await.unwrap().unwrap().put(*third).unwrap();
        assert_eq!(text(inbox.try_take()).as_deref(), Some("two"));
        assert_eq!(text(inbox.try_take()).as_deref(), Some("three"));
    }

    #[tokio::test]
    async fn a_stanza_larger_than_the_mailbox_fits_when_it_is_alone() {
        let (mailbox, mut inbox) = mailbox(1000);
        mailbox.try_put(message(&"x".repeat(100_000))).unwrap();
        assert!(matches!(mailbox.try_put(message("y")), Err(PutError::Full(_))));
        assert!(inbox.take().await.is_some());
        mailbox.try_put(message("y")).unwrap();
    }

    #[tokio::test]
    async fn a_closed_mailbox_takes_nothing_and_still_gives_what_it_has() {
        let (mailbox, mut inbox) = mailbox(1000);
        mailbox.try_put(message("one")).unwrap();
        inbox.close();
        assert!(matches!(mailbox.try_put(message("two")), Err(PutError::Closed(_))));
        assert_eq!(text(inbox.try_take()).as_deref(), Some("one"));
        assert!(mailbox.place_for(1).await.is_none());
    }
}
