//! Which of somebody's devices gets the files: the one that was named, the only one that is there, else the one that says that it takes
//! them; and which one after a break.

use std::collections::BTreeSet;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use balcony_sharing::plan::{Abilities, Devices};
use balcony_wire::file_metadata::FileMetadata;
use balcony_wire::jingle_file::JingleFile;
use balcony_wire::{FullJid, Jid};
use tokio::time::{sleep, timeout};

use super::{DirectEvent, Work};
use crate::direct::proposing::{self, Agreed};
use crate::direct::{DirectError, Stage};
use crate::share::LookedAt;

/// How long to wait before all devices are asked again.
const BETWEEN: Duration = Duration::from_secs(5);
/// How long a device that went away may take to come back.
const BACK: Duration = Duration::from_secs(120);
/// How long the server may take to tell who is there, right after login.
const PRESENT: Duration = Duration::from_secs(3);

impl Work {
    /// Looks for the device it goes to: the one that was named, the only one that is there, else the one that says that it takes it.
    pub(super) async fn choose(&self, first: Option<&LookedAt>) -> Result<Option<Agreed>, DirectError> {
        let nobody = || DirectError::NoDevice { jid: self.to.clone() };
        match self.device().await {
            Err(DirectError::NoDevice { .. }) => {}
            Err(error) => return Err(error),
            // One that had to be asked what it can do is not counted, and is alone as well.
            Ok(_) if !self.to.is_bare() || self.takers() <= 1 => return Ok(None),
            Ok(_) => {}
        }
        let file = JingleFile::from(first.ok_or_else(nobody)?.outgoing(None, None).file);
        self.events.tell(DirectEvent::Looking { person: self.to.bare().into() }).await;
        match proposing::propose(&self.desk, &self.to.bare(), &file).await {
            Ok(agreed) => Ok(Some(agreed)),
            // None of them knows proposals: the first will do.
            Err(DirectError::NoDevice { .. }) if self.takers() > 0 => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Option<Agreed>> {
        self.agreed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Taken out at the end.
    pub(super) fn agreed(&self) -> Option<Agreed> {
        self.lock().take()
    }

    /// Devices of theirs that are there and take files.
    fn takers(&self) -> usize {
        self.desk.devices.borrow().of(&self.to.bare()).filter(|(_, abilities)| takes_files(*abilities)).count()
    }

    /// Whether one of them is to be asked by message.
    fn hears_proposals(&self) -> bool {
        self.desk.devices.borrow().of(&self.to.bare()).any(|(_, abilities)| abilities.message_initiation)
    }

    /// A device that is there and takes files, or the one that was named.
    pub(super) async fn device(&self) -> Result<FullJid, DirectError> {
        if let Ok(named) = self.to.clone().into_full() {
            return Ok(named);
        }
        let nobody = || DirectError::NoDevice { jid: self.to.clone() };
        timeout(PRESENT, self.taker()).await.map_err(|_| nobody())?
    }

    /// The first of their devices that takes files; Jingle counts more than what was before. Old programs announce nothing, so they are
    /// asked.
    async fn taker(&self) -> Result<FullJid, DirectError> {
        let person = self.to.bare();
        let (mut devices, mut asked) = (self.desk.devices.clone(), BTreeSet::new());
        loop {
            let there = Arc::clone(&devices.borrow_and_update());
            let takers = || there.of(&person).filter(|(_, abilities)| takes_files(*abilities));
            let best = takers().find(|(_, abilities)| abilities.gives_files()).or_else(|| takers().next());
            if let Some(best) = best.and_then(|(device, _)| device.clone().into_full().ok()) {
                return Ok(best);
            }
            let silent = there.of(&person).find(|(device, abilities)| *abilities == Abilities::default() && !asked.contains(*device));
            match silent.and_then(|(device, _)| device.clone().into_full().ok()) {
                Some(silent) => {
                    asked.insert(Jid::from(silent.clone()));
                    if self.account.abilities(&silent).await.is_some_and(takes_files) {
                        return Ok(silent);
                    }
                }
                None => devices.changed().await.map_err(|_| DirectError::Offline)?,
            }
        }
    }

    /// Waits for a device of theirs after one went away, and for ourselves. They are asked by message: a server may take a device that is
    /// gone for one that is there.
    pub(super) async fn back(&self, gone: &FullJid, file: &FileMetadata) -> Result<FullJid, DirectError> {
        if !self.desk.is_back(BACK).await {
            return Err(DirectError::Offline);
        }
        if !self.to.is_bare() {
            return Ok(gone.clone());
        }
        // An old program knows no proposals, and shows when it is there.
        let is_old = |devices: &Arc<Devices>| devices.get(gone).is_some_and(|abilities| abilities == Abilities::default());
        if is_old(&self.desk.devices.borrow()) {
            return Ok(gone.clone());
        }
        let until = Instant::now() + BACK;
        loop {
            match proposing::propose(&self.desk, &self.to.bare(), &JingleFile::from(file.clone())).await {
                Ok(agreed) => {
                    let device = agreed.device.clone();
                    *self.lock() = Some(agreed);
                    return Ok(device);
                }
                // None of those that are there knows proposals.
                Err(DirectError::NoDevice { .. }) if self.takers() > 0 && !self.hears_proposals() => return self.device().await,
                Err(DirectError::NoDevice { .. }) if Instant::now() < until => sleep(BETWEEN).await,
                Err(DirectError::NoDevice { .. }) => return Err(DirectError::Silent { peer: gone.clone().into(), stage: Stage::Moving }),
                Err(error) => return Err(error),
            }
        }
    }
}

/// Whether a device takes files that are offered to it, by whatever way.
fn takes_files(abilities: Abilities) -> bool {
    abilities.gives_files() || abilities.stream_initiation
}
