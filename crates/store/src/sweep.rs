//! Makes room: takes whole files that nobody wants kept, bytes that nobody knows, and transfers that nobody goes on with.
//!
//! Never takes what is pinned, what a message of the outbox speaks of, what somebody reads, exports or commits, or what was used a
//! moment ago, whichever process does. Copies that were exported are their owner's and stay. Offers whose file went are
//! [`OfferState::Swept`]: they can be fetched again, and are not unasked.

use std::time::{Duration, SystemTime};

use crate::catalogue::removals::{Kept, Victim};
use crate::place::Hold;
use crate::{FileUse, JobId, OfferKey, OfferState, Retention, Store, StoreError};

/// Who found a file a moment ago is about to open it.
const MOMENT: Duration = Duration::from_secs(60);
/// A transfer that nobody touched for so long may be nobody's.
const ABANDONED: Duration = Duration::from_secs(24 * 60 * 60);
/// Others wait while files are removed: not for more than these.
const AT_ONCE: (usize, u64) = (64, 4 << 30);

/// What a sweep took, or would take.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Files taken, the longest unused first.
    pub files: Vec<FileUse>,
    /// Their bytes.
    pub bytes: u64,
    /// Files that it would have taken, but for these reasons.
    pub kept: KeptBack,
    /// Files of which the catalogue knew nothing, left by crashes and damage, and their bytes.
    pub strays: (u64, u64),
    /// Transfers that nobody goes on with, and their bytes.
    pub transfers: (u64, u64),
    /// Bytes of the files that are left.
    pub left: u64,
}

/// How many files were kept back, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeptBack {
    /// A person pinned them.
    pub pinned: u64,
    /// A message that is not out speaks of them.
    pub wanted: u64,
    /// Somebody reads, exports or commits them.
    pub in_use: u64,
    /// They were used within the last minute.
    pub recent: u64,
}

/// Whether to do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Take,
    Look,
}

impl KeptBack {
    fn count(&mut self, why: Kept) {
        *match why {
            Kept::Pinned => &mut self.pinned,
            Kept::Wanted => &mut self.wanted,
            Kept::InUse => &mut self.in_use,
            Kept::Recent => &mut self.recent,
        } += 1;
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        self.pinned + self.wanted + self.in_use + self.recent
    }
}

impl Store {
    /// Takes what need not be kept. Transfers count as unfinished files: they go when they are too old for the retention, or their
    /// offer is gone. A crash in the middle is repaired by the next [`Store::open`]; a second sweep meanwhile is fine.
    ///
    /// # Errors
    /// When the disk or the catalogue fails; what was taken until then is taken.
    pub fn sweep(&self, retention: &Retention, now: SystemTime) -> Result<Swept, StoreError> {
        self.sweep_or_look(retention, now, Mode::Take)
    }

    /// What [`Store::sweep`] would take.
    ///
    /// # Errors
    /// When the disk or the catalogue fails.
    pub fn would_sweep(&self, retention: &Retention, now: SystemTime) -> Result<Swept, StoreError> {
        self.sweep_or_look(retention, now, Mode::Look)
    }

    fn sweep_or_look(&self, retention: &Retention, now: SystemTime, mode: Mode) -> Result<Swept, StoreError> {
        let mut swept = Swept { left: self.total_bytes()?, ..Swept::default() };
        self.sweep_files(retention, now, mode, &mut swept)?;
        self.sweep_strays(mode, &mut swept)?;
        self.sweep_transfers(retention, now, mode, &mut swept)?;
        Ok(swept)
    }

    fn sweep_files(&self, retention: &Retention, now: SystemTime, mode: Mode, swept: &mut Swept) -> Result<(), StoreError> {
        if retention.keeps_all() {
            return Ok(());
        }
        let used_before = now.checked_sub(MOMENT).unwrap_or(now);
        let mut batch = Batch { store: self, used_before, mode, files: Vec::new(), bytes: 0 };
        let mut last: Option<FileUse> = None;
        loop {
            let page = self.longest_unused(last.as_ref())?;
            let Some(newest) = page.last().cloned() else { break };
            for file in page {
                let is_too_much = retention.max_bytes.is_some_and(|most| swept.left.saturating_sub(batch.bytes) > most);
                if is_too_much || retention.is_too_old(file.size, file.used_at, now) {
                    batch.add(file, swept)?;
                }
            }
            last = Some(newest);
        }
        batch.take(swept)
    }

    fn sweep_strays(&self, mode: Mode, swept: &mut Swept) -> Result<(), StoreError> {
        for sha256 in self.place().blob_names()? {
            if self.is_catalogued(&sha256)? {
                continue;
            }
            let Hold::Held(file) = self.place().hold_blob(&sha256)? else { continue };
            let len = file.metadata().map_err(|error| StoreError::of_file("look at", sha256.to_hex(), error))?.len();
            if mode == Mode::Look || self.take_stray(&sha256, &file)? {
                swept.strays = (swept.strays.0 + 1, swept.strays.1 + len);
            }
        }
        Ok(())
    }

    fn sweep_transfers(&self, retention: &Retention, now: SystemTime, mode: Mode, swept: &mut Swept) -> Result<(), StoreError> {
        for staged in self.staged()? {
            let Some(used_at) = self.place().staged_at(&staged.job)? else { continue };
            let offer = staged.sidecar.as_ref().and_then(|sidecar| sidecar.offer.parse().ok()).map(OfferKey::from_number);
            let is_gone = match offer {
                Some(offer) => self.offer(offer)?.is_none(),
                None => false,
            };
            let is_left = now.duration_since(used_at).is_ok_and(|age| age > ABANDONED);
            // unfinished bytes are kept as long as finished ones
            let is_unwanted = is_gone || retention.is_too_old(staged.len, used_at, now);
            if is_left && is_unwanted && self.end_transfer(&staged.job, mode)? {
                swept.transfers = (swept.transfers.0 + 1, swept.transfers.1 + staged.len);
                if let (Some(offer), Mode::Take, false) = (offer, mode, is_gone) {
                    self.set_offer_state(offer, OfferState::Swept)?;
                }
            }
        }
        Ok(())
    }

    /// Says whether it is nobody's.
    fn end_transfer(&self, job: &JobId, mode: Mode) -> Result<bool, StoreError> {
        let _held = match self.place().hold(job) {
            Ok(Some(held)) => held,
            Ok(None) | Err(StoreError::Busy(_)) => return Ok(false),
            Err(error) => return Err(error),
        };
        // its bytes are whole: the next start finishes what died in the middle of a commit
        if self.moves()?.iter().any(|moving| moving.job == *job) {
            return Ok(false);
        }
        if mode == Mode::Take {
            self.place().discard(job)?;
        }
        Ok(true)
    }
}

/// Files to be taken together, held by us.
struct Batch<'a> {
    store: &'a Store,
    used_before: SystemTime,
    mode: Mode,
    files: Vec<(Victim, FileUse)>,
    bytes: u64,
}

impl Batch<'_> {
    /// What is kept back makes no room: it must not count before the next file is looked at.
    fn add(&mut self, file: FileUse, swept: &mut Swept) -> Result<(), StoreError> {
        if let Some(why) = self.store.reason_to_keep(&file.sha256, self.used_before)? {
            swept.kept.count(why);
            return Ok(());
        }
        let held = match self.store.place().hold_blob(&file.sha256)? {
            Hold::InUse => {
                swept.kept.count(Kept::InUse);
                return Ok(());
            }
            Hold::Absent => None,
            Hold::Held(held) => Some(held),
        };
        self.bytes = self.bytes.saturating_add(file.size);
        self.files.push((Victim { sha256: file.sha256.clone(), held }, file));
        if self.files.len() >= AT_ONCE.0 || self.bytes >= AT_ONCE.1 { self.take(swept) } else { Ok(()) }
    }

    fn take(&mut self, swept: &mut Swept) -> Result<(), StoreError> {
        self.bytes = 0;
        let (victims, files): (Vec<_>, Vec<_>) = std::mem::take(&mut self.files).into_iter().unzip();
        let kept = match self.mode {
            _ if victims.is_empty() => return Ok(()),
            Mode::Take => self.store.take_blobs(&victims, self.used_before)?,
            Mode::Look => vec![None; victims.len()],
        };
        for (file, kept) in files.into_iter().zip(kept) {
            match kept {
                Some(why) => swept.kept.count(why),
                None => {
                    swept.bytes += file.size;
                    swept.left = swept.left.saturating_sub(file.size);
                    swept.files.push(file);
                }
            }
        }
        Ok(())
    }
}
