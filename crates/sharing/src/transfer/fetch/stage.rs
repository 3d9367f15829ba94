//! What is known about the bytes in staging: how many, from whom, of which version.

use balcony_wire::BareJid;

use super::ResumePoint;
use crate::SourceKey;

/// The bytes in staging and where they came from.
#[derive(Clone, Debug, Default)]
pub(super) struct Stage {
    len: u64,
    givers: Vec<SourceKey>,
    validator: Option<String>,
    from_earlier: bool,
    /// Which envelope they came in; `None` for plain bytes.
    mark: Option<String>,
}

impl Stage {
    /// As an earlier job left it.
    pub(super) fn resumed(point: ResumePoint) -> Self {
        Self {
            len: point.len,
            from_earlier: point.len > 0,
            givers: point.source.into_iter().collect(),
            validator: point.validator,
            mark: point.envelope,
        }
    }

    /// Bytes that cannot be gone on behind are left out.
    pub(super) fn cut(&mut self, len: u64) {
        self.len = self.len.min(len);
    }

    /// Which envelope the bytes came in, or will come in.
    pub(super) fn mark(&self) -> Option<&str> {
        self.mark.as_deref()
    }

    /// The first byte is still to come, in this envelope.
    pub(super) fn enter(&mut self, mark: Option<&str>) {
        self.mark = mark.map(str::to_owned);
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Takes bytes of a source.
    pub(super) fn grow(&mut self, source: &SourceKey, bytes: u64) {
        self.len += bytes;
        if bytes > 0 && !self.givers.contains(source) {
            self.givers.push(source.clone());
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Remembers what a source calls the version it gives; mixed bytes have none.
    pub(super) fn set_validator(&mut self, source: &SourceKey, validator: Option<&str>) {
        self.validator = if self.is_only(source) { validator.map(str::to_owned) } else { None };
    }

    /// The version of the bytes, if all are this source's.
    pub(super) fn validator_of(&self, source: &SourceKey) -> Option<&str> {
        self.validator.as_deref().filter(|_| self.len > 0 && self.givers.as_slice() == std::slice::from_ref(source))
    }

    /// Whether no byte is somebody else's.
    pub(super) fn is_only(&self, source: &SourceKey) -> bool {
        self.len == 0 || self.givers.as_slice() == std::slice::from_ref(source)
    }

    /// Whether every byte came from devices of this person.
    pub(super) fn is_of(&self, person: &BareJid) -> bool {
        let is_theirs = |giver: &SourceKey| giver.person().is_some_and(|giver| giver == *person);
        self.len == 0 || (!self.givers.is_empty() && self.givers.iter().all(is_theirs))
    }

    /// Whether nobody gave a byte, neither in this job nor in an earlier one.
    pub(super) fn is_blank(&self) -> bool {
        self.givers.is_empty() && !self.from_earlier
    }

    /// Whom to blame for wrong bytes: one source that gave all of them in this job. Nobody otherwise.
    pub(super) fn culprit(&self) -> Option<&SourceKey> {
        match &self.givers[..] {
            [only] if !self.from_earlier => Some(only),
            _ => None,
        }
    }

    pub(super) fn givers(&self) -> &[SourceKey] {
        &self.givers
    }

    /// As [`Stage::resume_point`], once the next bytes of a source are there as well. Sessions with one person are one source to whoever
    /// goes on: each has a name of its own, the last stands for all.
    pub(super) fn resume_point_with(&self, source: &SourceKey, validator: Option<&str>) -> ResumePoint {
        match self.is_only(source) || source.person().is_some_and(|person| self.is_of(&person)) {
            true => ResumePoint {
                len: self.len,
                source: Some(source.clone()),
                validator: validator.map(str::to_owned),
                envelope: self.mark.clone(),
            },
            false => ResumePoint { len: self.len, source: None, validator: None, envelope: self.mark.clone() },
        }
    }

    pub(super) fn resume_point(&self) -> ResumePoint {
        let source = match &self.givers[..] {
            [only] => Some(only.clone()),
            [.., last] if last.person().is_some_and(|person| self.is_of(&person)) => Some(last.clone()),
            _ => None,
        };
        let validator = self.validator.clone().filter(|_| source.is_some());
        ResumePoint { len: self.len, validator, source, envelope: self.mark.clone() }
    }
}
