//! What is known about the bytes in staging: how many, from whom, of which version.

use balcony_wire::BareJid;

use super::{Base, ResumePoint};
use crate::SourceKey;

/// The bytes in staging and where they came from.
#[derive(Clone, Debug, Default)]
pub(super) struct Stage {
    len: u64,
    givers: Vec<SourceKey>,
    validator: Option<String>,
    /// How many of them an earlier job left.
    earlier: u64,
    /// Some of those came from nobody knows whom.
    is_mixed: bool,
    /// Which envelope they came in; `None` for plain bytes.
    mark: Option<String>,
    /// Those at the front that are of the person who offers the file.
    base: Option<Base>,
}

impl Stage {
    /// As an earlier job left it.
    pub(super) fn resumed(point: ResumePoint) -> Self {
        let whole = point.source.clone().filter(SourceKey::is_offered).map(|source| Base { source, len: point.len });
        // What was written last may be lost: then less is there than was noted.
        let noted = point.base.map(|base| Base { len: base.len.min(point.len), ..base }).filter(|base| base.len > 0);
        let base = whole.or(noted);
        // Whoever was to give bytes behind it gave none.
        let source = base.as_ref().filter(|base| base.len == point.len).map(|base| base.source.clone()).or(point.source);
        Self {
            len: point.len,
            earlier: point.len,
            is_mixed: point.len > 0 && source.is_none(),
            base,
            givers: source.into_iter().collect(),
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
        let goes_on = self.base.as_ref().is_some_and(|base| base.source == *source && base.len == self.len);
        let is_theirs = goes_on || (source.is_offered() && source.person().is_some_and(|person| self.is_of(&person)));
        self.len += bytes;
        match &mut self.base {
            Some(base) if goes_on => base.len = self.len,
            base if is_theirs => *base = Some(Base { source: source.clone(), len: self.len }),
            _ => {}
        }
        if bytes > 0 && !self.givers.contains(source) {
            self.givers.push(source.clone());
        }
    }

    /// How many bytes at the front are of the person who offers the file, if they began to give it in a session.
    pub(super) fn base(&self) -> u64 {
        self.base.as_ref().map_or(0, |base| base.len)
    }

    /// The person who gave them.
    pub(super) fn offerer(&self) -> Option<BareJid> {
        self.base.as_ref()?.source.person()
    }

    /// Forgets what stands behind the base.
    pub(super) fn cut_to_base(&mut self) {
        let Some(base) = self.base.take() else { return self.clear() };
        let earlier = self.earlier.min(base.len);
        *self = Self { len: base.len, givers: vec![base.source.clone()], earlier, base: Some(base), ..Self::default() };
    }

    /// Whether somebody else gave bytes behind the base.
    pub(super) fn has_others(&self) -> bool {
        self.is_mixed || self.others().next().is_some()
    }

    /// Whether this source, and nobody else, gave what stands behind the base.
    pub(super) fn is_alone_behind_base(&self, source: &SourceKey) -> bool {
        !self.is_mixed && self.others().all(|other| other == source)
    }

    /// Who gave, in this job and alone, what stands behind the base. A device of the same person that did not offer it may have added to that.
    pub(super) fn intruder(&self) -> Option<&SourceKey> {
        let (base, offerer) = (self.base.as_ref()?, self.offerer());
        let may_add = |giver: &SourceKey| giver.person() == offerer && *giver != base.source && !giver.is_offered();
        if self.givers.iter().any(may_add) {
            return None;
        }
        let mut others = self.others();
        let first = others.next().filter(|_| self.earlier <= self.base())?;
        others.next().is_none().then_some(first)
    }

    fn others(&self) -> impl Iterator<Item = &SourceKey> {
        let offerer = self.offerer();
        self.givers.iter().filter(move |giver| giver.person() != offerer)
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
        self.len == 0 || (!self.is_mixed && self.givers.as_slice() == std::slice::from_ref(source))
    }

    /// Whether every byte came from devices of this person.
    pub(super) fn is_of(&self, person: &BareJid) -> bool {
        let is_theirs = |giver: &SourceKey| giver.person().is_some_and(|giver| giver == *person);
        self.len == 0 || (!self.is_mixed && !self.givers.is_empty() && self.givers.iter().all(is_theirs))
    }

    /// Whether nobody gave a byte, neither in this job nor in an earlier one.
    pub(super) fn is_blank(&self) -> bool {
        self.givers.is_empty() && self.earlier == 0
    }

    /// Whom to blame for wrong bytes: one source that gave all of them in this job. Nobody otherwise.
    pub(super) fn culprit(&self) -> Option<&SourceKey> {
        match &self.givers[..] {
            [only] if self.earlier == 0 => Some(only),
            _ => None,
        }
    }

    pub(super) fn givers(&self) -> &[SourceKey] {
        &self.givers
    }

    /// As [`Stage::resume_point`], once the next bytes of a source are there as well. Sessions with one person are one source to whoever
    /// goes on: each has a name of its own, the last stands for all.
    pub(super) fn resume_point_with(&self, source: &SourceKey, validator: Option<&str>) -> ResumePoint {
        let is_theirs = self.is_only(source) || source.person().is_some_and(|person| self.is_of(&person));
        self.point(Some(source).filter(|_| is_theirs), validator)
    }

    pub(super) fn resume_point(&self) -> ResumePoint {
        let source = match &self.givers[..] {
            _ if self.is_mixed => None,
            [only] => Some(only),
            [.., last] if last.person().is_some_and(|person| self.is_of(&person)) => Some(last),
            _ => None,
        };
        self.point(source, self.validator.as_deref())
    }

    fn point(&self, source: Option<&SourceKey>, validator: Option<&str>) -> ResumePoint {
        let validator = validator.filter(|_| source.is_some()).map(str::to_owned);
        ResumePoint { len: self.len, source: source.cloned(), validator, envelope: self.mark.clone(), base: self.base.clone() }
    }
}
