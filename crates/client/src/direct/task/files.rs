//! The files of a session, one by one: who waits for them, what moves them, how far they are.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use balcony_sharing::transfer::jingle::{ContentId, EndReason};
use balcony_wire::Jid;
use tokio::sync::{mpsc, oneshot, watch};

use crate::direct::body::{Feed, Piece};
use crate::direct::give::Gift;
use crate::direct::pump::Pump;
use crate::direct::switchboard::Key;
use crate::direct::{DirectError, GiveEvent, Stage};

/// A file that comes.
pub(super) struct Taking {
    pub(super) feed: Feed,
    /// Up to which byte bytes were handed on; nothing before the first ones flowed.
    pub(super) fed: Option<Arc<AtomicU64>>,
    pub(super) pump: Option<Pump>,
    pub(super) stage: Stage,
    /// It is kept already, since whoever takes the bytes may count faster than we do; where to say that the other side was told.
    pub(super) kept: Option<oneshot::Sender<()>>,
}

/// A file that goes.
pub(in crate::direct) struct Giving {
    pub(super) gift: Gift,
    pub(super) events: Option<mpsc::Sender<GiveEvent>>,
    pub(super) pump: Option<Pump>,
    pub(super) stage: Stage,
    pub(super) sent: u64,
    /// Whether the other side, or we, hold it.
    pub(super) held: watch::Sender<bool>,
    pub(super) why: Option<String>,
}

impl Giving {
    pub(in crate::direct) fn new(gift: Gift, events: Option<mpsc::Sender<GiveEvent>>) -> Self {
        Self { gift, events, pump: None, stage: Stage::Asking, sent: 0, held: watch::channel(false).0, why: None }
    }

    pub(super) async fn tell(&self, event: GiveEvent) {
        if let Some(events) = &self.events {
            let _ = events.send(event).await; // nobody watches any more
        }
    }
}

impl Taking {
    /// Behind the bytes that wait to be taken; nobody waits here for that.
    pub(super) fn say(&self, piece: Piece) {
        let pieces = self.feed.pieces.clone();
        tokio::spawn(async move { pieces.send(piece).await });
    }

    pub(super) fn ended(mut self, key: &Key, reason: &EndReason) {
        let error = DirectError::Ended { peer: Jid::from(key.peer.clone()), stage: self.stage, reason: reason.clone() };
        match self.feed.stands.take() {
            Some(stands) => drop(stands.send(Err(error))),
            None if reason.is_done() => {}
            None => self.say(Piece::Failed(error)),
        }
    }
}

impl Giving {
    pub(super) async fn ended(self, key: &Key, reason: &EndReason) {
        let peer = Jid::from(key.peer.clone());
        let end = match (reason, &self.why) {
            (EndReason::Done, _) => Ok(()),
            (_, Some(why)) => Err(DirectError::File(why.clone())),
            (reason, None) => Err(DirectError::Ended { peer, stage: self.stage, reason: reason.clone() }),
        };
        self.tell(GiveEvent::Ended(end)).await;
    }
}

/// Which file of a session somebody means by a name. Where none has it and there is only one, that is meant: a session that takes the
/// place of one that broke has names of its own. One of several is never taken for another one: the bytes would be wrong.
pub(super) fn meant<'a>(contents: impl Iterator<Item = &'a ContentId>, name: Option<&str>) -> Option<&'a ContentId> {
    let contents: Vec<_> = contents.collect();
    let named = contents.iter().find(|id| name == Some(id.name.as_str())).copied();
    named.or(contents.first().copied().filter(|_| contents.len() == 1))
}

#[cfg(test)]
mod tests {
    use balcony_wire::jingle::Creator;

    use super::*;

    #[test]
    fn one_of_several_files_is_never_taken_for_another_one() {
        let content = |name: &str| ContentId { creator: Creator::Initiator, name: name.to_owned() };
        let (several, alone) = ([content("a"), content("b")], [content("x")]);
        assert_eq!(meant(several.iter(), Some("b")), Some(&several[1]));
        assert_eq!(meant(several.iter(), Some("c")), None);
        assert_eq!(meant(several.iter(), None), None);
        assert_eq!((meant(alone.iter(), Some("a")), meant(alone.iter(), None)), (Some(&alone[0]), Some(&alone[0])));
        assert_eq!(meant([].iter(), Some("a")), None);
    }
}
