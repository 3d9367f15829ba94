//! Names of transfers, and the note that lies beside staged bytes.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Names one transfer: 1 to 64 of `a-z`, `0-9`, `-`. Ours, never a peer's, so it may be a file name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(String);

impl JobId {
    /// A name nobody had before.
    ///
    /// # Panics
    /// When the system has no random bytes to give.
    #[must_use]
    pub fn random() -> Self {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).expect("the system gives random bytes");
        Self(hex(&bytes))
    }

    /// A name from a record; `None` for one that is none.
    pub fn from_record(text: &str) -> Option<Self> {
        let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        ((1..=64).contains(&text.len()) && text.bytes().all(is_name)).then(|| Self(text.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What must be known to go on with staged bytes. The digests are not in it: whoever resumes reads the bytes again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sidecar {
    /// What is fetched: a reference that the caller understands, such as the row of an offer.
    pub offer: String,
    /// The key of the source that gave the last bytes.
    pub source: Option<String>,
    /// Which state of that source (`If-Range`).
    pub validator: Option<String>,
    /// Whether all bytes came from that source.
    pub is_pure: bool,
    /// Which secret opened them, by a mark that does not give it away; `None` for bytes that came as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub envelope: Option<String>,
    /// Of bytes by several sources, how many at the front are of which one, whatever becomes of the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<(String, u64)>,
}

/// The sidecar as it lies on the disk.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Note {
    #[serde(flatten)]
    pub(crate) sidecar: Sidecar,
    /// Bytes that survive a loss of power.
    pub(crate) synced: u64,
    /// The boot in which it was written: in the same one all bytes are there, after another one only the synced ones.
    pub(crate) boot: Option<String>,
}

impl Note {
    /// How many staged bytes can be relied on.
    pub(crate) fn reliable(&self, len: u64, boot: Option<&str>) -> u64 {
        let is_same_boot = boot.is_some() && self.boot.as_deref() == boot;
        if is_same_boot { len } else { len.min(self.synced) }
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // a String takes all
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_transfers_are_never_paths() {
        for bad in ["", ".", "..", "a/b", "a.json", "A", "ä", "a\0", &"a".repeat(65)] {
            assert_eq!(JobId::from_record(bad), None, "{bad:?}");
        }
        let random = JobId::random();
        assert_eq!(JobId::from_record(random.as_str()), Some(random.clone()));
        assert_ne!(random, JobId::random());
    }

    #[test]
    fn after_another_boot_only_synced_bytes_are_relied_on() {
        let note = Note { sidecar: Sidecar::default(), synced: 10, boot: Some("a".to_owned()) };
        assert_eq!(note.reliable(25, Some("a")), 25);
        assert_eq!(note.reliable(25, Some("b")), 10);
        assert_eq!(note.reliable(25, None), 10);
        assert_eq!(note.reliable(5, Some("b")), 5);
    }
}
