//! What happens while files are given to those who ask, for showing.

use std::time::{Duration, Instant};

use balcony_wire::Jid;
use tokio::sync::mpsc;

use super::{Gift, Giver};
use crate::direct::{GiveEvent, WayTaken};

/// How often progress is told.
const EVERY: Duration = Duration::from_millis(100);
/// What a session says and nobody has told yet.
const WAITING: usize = 16;

/// Something happened to a file that somebody asked for.
#[derive(Clone, Debug)]
pub struct GivingEvent {
    /// Who gets it.
    pub to: Jid,
    /// The name it was offered under.
    pub name: Option<String>,
    /// Bytes of the whole file.
    pub size: u64,
    /// What happened.
    pub step: GivingStep,
    /// The live share it belongs to.
    pub(crate) share: Option<String>,
}

/// How far it is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum GivingStep {
    /// They may have it; a way for the bytes is looked for.
    Began,
    /// Bytes go by this way, from this byte on.
    Going {
        /// which way
        way: WayTaken,
        /// how many they had before
        from: u64,
    },
    /// Bytes went out.
    Progress {
        /// how far in the file
        sent: u64,
    },
    /// They have all they wanted.
    Done,
    /// It ended before.
    Failed {
        /// why
        why: String,
    },
}

impl Giver {
    /// What the session says to which this leads is told to everybody who watches.
    pub(crate) fn watch(&self, to: &Jid, gift: &Gift) -> mpsc::Sender<GiveEvent> {
        let (sender, mut events) = mpsc::channel(WAITING);
        let told = |step| GivingEvent { to: to.clone(), name: gift.file.name.clone(), size: gift.size, step, share: gift.share.clone() };
        let (giver, began) = (self.clone(), told(GivingStep::Began));
        tokio::spawn(async move {
            giver.tell(began.clone());
            let mut last: Option<Instant> = None;
            while let Some(event) = events.recv().await {
                let step = match event {
                    GiveEvent::Accepted | GiveEvent::FellBack { .. } => continue,
                    GiveEvent::Begins { way, from_byte, .. } => GivingStep::Going { way, from: from_byte },
                    GiveEvent::Sent { .. } if last.is_some_and(|last| last.elapsed() < EVERY) => continue,
                    GiveEvent::Sent { to_byte } => {
                        last = Some(Instant::now());
                        GivingStep::Progress { sent: to_byte }
                    }
                    GiveEvent::Ended(Ok(())) => GivingStep::Done,
                    GiveEvent::Ended(Err(error)) => GivingStep::Failed { why: error.to_string() },
                };
                giver.tell(GivingEvent { step, ..began.clone() });
            }
        });
        sender
    }

    pub(super) fn tell(&self, event: GivingEvent) {
        let _ = self.events.send(event); // nobody watches
    }
}
