//! Most of a large file goes to the disk past the page cache: it costs the processor a third less, does not push out what others keep
//! there, and leaves nothing for the sync at the end (`docs/decisions/0026-large-files-go-past-the-page-cache.md`).

use std::fs::File;
use std::os::unix::fs::FileExt;

use crate::JobId;
use crate::place::{Held, Place};

/// Where it begins: smaller files are looked at as soon as they are there.
const FROM: u64 = 32 * 1024 * 1024;
/// Less at a time is better gathered by the page cache.
const LEAST: usize = 256 * 1024;
/// What disks write at once: bytes must begin and end at multiples of it, in the file and in memory.
const BLOCK: usize = 4096;

/// The second way into a staged file.
#[derive(Debug, Default)]
pub(crate) enum PastCache {
    /// Nobody has tried.
    #[default]
    Untried,
    Open(File),
    /// Not on this file system, or not any more.
    Closed,
}

impl PastCache {
    /// Writes what can go this way at that byte of the file; says how many bytes that was. The rest is for the page cache, which says what is
    /// wrong if something is.
    pub(crate) fn write(&mut self, place: &dyn Place, job: &JobId, held: &Held, at: u64, bytes: &[u8]) -> usize {
        let whole = bytes.len() - bytes.len() % BLOCK;
        if at < FROM || !at.is_multiple_of(BLOCK as u64) || whole < LEAST || bytes.as_ptr().align_offset(BLOCK) != 0 {
            return 0;
        }
        if matches!(self, Self::Untried) {
            *self = place.past_cache(job, &held.file).map_or(Self::Closed, Self::Open);
        }
        let Self::Open(file) = self else { return 0 };
        if file.write_at(&bytes[..whole], at).is_ok_and(|written| written == whole) {
            return whole;
        }
        // The other way writes it again, and says what is wrong if that fails, too.
        *self = Self::Closed;
        0
    }
}
