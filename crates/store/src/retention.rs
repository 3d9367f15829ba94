//! What a person wants kept: how much in all, how long, and how long by size. A store keeps everything until it is told otherwise,
//! and takes nothing unasked.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::{Store, StoreError};

/// The setting.
const SETTING: &str = "retention";

/// What is kept. `None` is no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    /// Bytes of all files together: the longest unused go first.
    pub max_bytes: Option<u64>,
    /// How long a file is kept that nobody uses.
    pub max_age: Option<Duration>,
    /// The same for large files; the shortest time that fits counts.
    pub classes: Vec<SizeClass>,
}

/// How long files are kept that are larger than so many bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SizeClass {
    /// Bytes; larger ones belong to it.
    pub larger_than: u64,
    /// How long one is kept that nobody uses.
    pub max_age: Duration,
}

impl Retention {
    /// Whether everything is kept.
    pub fn keeps_all(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a file was unused for too long.
    pub(crate) fn is_too_old(&self, size: u64, used_at: SystemTime, now: SystemTime) -> bool {
        let classes = self.classes.iter().filter(|class| size > class.larger_than).map(|class| class.max_age);
        let longest = self.max_age.into_iter().chain(classes).min();
        // a use in the future is no age
        longest.is_some_and(|longest| now.duration_since(used_at).is_ok_and(|age| age > longest))
    }
}

impl Store {
    /// What is to be kept, as the person said.
    ///
    /// # Errors
    /// When the catalogue fails, or holds a setting that this program did not write.
    pub fn retention(&self) -> Result<Retention, StoreError> {
        let unreadable = |_| StoreError::Record { what: "setting for what is kept" };
        self.setting(SETTING)?.map_or_else(|| Ok(Retention::default()), |text| serde_json::from_str(&text).map_err(unreadable))
    }

    /// Remembers what is to be kept. Takes nothing: [`Store::sweep`] does.
    ///
    /// # Errors
    /// When the disk is full or the catalogue fails.
    pub fn set_retention(&self, retention: &Retention) -> Result<(), StoreError> {
        let unwritable = |_| StoreError::Record { what: "setting for what is kept" };
        let text = serde_json::to_string(retention).map_err(unwritable)?;
        self.set_setting(SETTING, (!retention.keeps_all()).then_some(text.as_str()))
    }
}
