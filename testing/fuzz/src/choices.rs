//! Bytes of the fuzzer, taken as a list of choices: the same bytes, the same choices. Where they end, everything is 0.

use std::time::Duration;

/// What is left of the input.
pub(crate) struct Choices<'a>(&'a [u8]);

impl<'a> Choices<'a> {
    pub(crate) fn new(data: &'a [u8]) -> Self {
        Self(data)
    }

    /// Whether everything that follows is 0.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    pub(crate) fn yes(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let wide = if bound > 256 { usize::from(self.byte()) << 8 } else { 0 };
        (wide + usize::from(self.byte())) % bound.max(1)
    }

    pub(crate) fn one_of<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }

    /// A number near one of those at which something changes.
    pub(crate) fn number(&mut self, landmarks: &[u64]) -> u64 {
        let (landmark, off) = (self.one_of(landmarks), u64::from(self.byte() & 7));
        landmark.saturating_add(off).saturating_sub(3)
    }

    pub(crate) fn time(&mut self) -> Duration {
        Duration::from_millis(self.one_of(&[0, 1, 500, 29_999, 30_000, 60_000, 200_000]))
    }

    /// Some bytes of the input, at most `most`.
    pub(crate) fn bytes(&mut self, most: usize) -> &'a [u8] {
        let length = self.below(most + 1).min(self.0.len());
        let (bytes, rest) = self.0.split_at(length);
        self.0 = rest;
        bytes
    }

    /// Some text of the input, at most `most` bytes.
    pub(crate) fn text(&mut self, most: usize) -> String {
        String::from_utf8_lossy(self.bytes(most)).into_owned()
    }

    /// All that is left.
    pub(crate) fn rest(self) -> &'a [u8] {
        self.0
    }
}
