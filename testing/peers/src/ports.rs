//! Port ranges nobody else uses: below what the system hands out by itself, claimed by a locked file.

use std::fs::{File, TryLockError};
use std::net::TcpListener;
use std::path::PathBuf;

/// A claimed range; free again when dropped.
#[derive(Debug)]
pub(crate) struct PortRange {
    base: u16,
    _claim: File,
}

/// Ranges begin here and are `STEP` wide; the kit uses offsets up to 347.
const FIRST: u16 = 11_000;
const STEP: u16 = 400;
const RANGES: u16 = 52;

impl PortRange {
    /// Claims a range in which every port of the kit is free. `None` when all are taken.
    pub(crate) fn claim() -> std::io::Result<Option<Self>> {
        let folder = claims_folder();
        std::fs::create_dir_all(&folder)?;
        // Tests that run at once begin at different places, so they seldom meet.
        let start = (std::process::id() % u32::from(RANGES)) as u16;
        for n in 0..RANGES {
            let base = FIRST + (start + n) % RANGES * STEP;
            let claim = File::options().create(true).truncate(false).write(true).open(folder.join(base.to_string()))?;
            match claim.try_lock() {
                Ok(()) if all_free(base) => return Ok(Some(Self { base, _claim: claim })),
                Ok(()) | Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
        Ok(None)
    }

    /// The kit's `PORT_BASE`.
    pub(crate) fn base(&self) -> u16 {
        self.base
    }
}

fn claims_folder() -> PathBuf {
    let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).unwrap_or_else(|_| "nobody".to_owned());
    std::env::temp_dir().join(format!("balcony-ports-{user}"))
}

fn all_free(base: u16) -> bool {
    [0, 222, 223, 269, 280, 281, 347].iter().all(|offset| TcpListener::bind(("127.0.0.1", base + offset)).is_ok())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::PortRange;

    #[test]
    fn two_claims_never_share_a_port() {
        let first = PortRange::claim().unwrap().unwrap();
        let second = PortRange::claim().unwrap().unwrap();
        assert!(first.base().abs_diff(second.base()) >= super::STEP);
    }
}
