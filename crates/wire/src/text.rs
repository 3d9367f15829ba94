//! XEP-0426 Character counting in message bodies, v0.3.0 <https://xmpp.org/extensions/xep-0426.html>
//!
//! Positions in a text count code points of the text as parsed, not bytes, not UTF-16 units, without normalisation;
//! a range is `begin..end` with the end exclusive. A range that leaves the text is ignored by whoever gets `None` (decision 10).

use std::ops::Range;

/// A range of code points.
pub type CodePoints = Range<usize>;

/// Code points of a text.
pub fn count(text: &str) -> usize {
    text.chars().count()
}

/// The bytes a range of code points stands for; `None` outside the text or when it ends before it begins.
pub fn byte_range(text: &str, range: &CodePoints) -> Option<Range<usize>> {
    if range.start > range.end {
        return None;
    }
    let mut offsets = text.char_indices().map(|(offset, _)| offset).chain([text.len()]);
    let start = offsets.nth(range.start)?;
    match range.end - range.start {
        0 => Some(start..start),
        more => Some(start..offsets.nth(more - 1)?),
    }
}

/// The part of a text; `None` outside the text.
pub fn slice<'a>(text: &'a str, range: &CodePoints) -> Option<&'a str> {
    byte_range(text, range).map(|bytes| &text[bytes])
}

/// What is left of a text when ranges are taken out: they may overlap and come in any order; bad ones are ignored.
pub fn without<'r>(text: &str, ranges: impl IntoIterator<Item = &'r CodePoints>) -> String {
    let mut gone: Vec<_> = ranges.into_iter().filter_map(|range| byte_range(text, range)).collect();
    gone.sort_unstable_by_key(|range| range.start);
    let mut kept = String::with_capacity(text.len());
    let mut at = 0;
    for range in gone {
        kept.push_str(&text[at..range.start.max(at)]);
        at = at.max(range.end);
    }
    kept.push_str(&text[at..]);
    kept
}
