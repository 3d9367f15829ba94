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

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::single_range_in_vec_init)]
mod tests {
    use super::*;

    /// Proves: CNT-2-1.
    #[test]
    fn texts_of_the_vectors_have_as_many_code_points_as_they_say() {
        for case in testing_corpus::cases("text-ranges") {
            assert_eq!(count(case["text"].as_str().unwrap()) as u64, case["code_points"].as_u64().unwrap(), "{case}");
        }
    }

    /// Proves: CNT-3-1, CNT-D-1, REF-3.1-2.
    #[test]
    fn ranges_of_the_vectors_cut_what_they_say() {
        for case in testing_corpus::vector("text-ranges")["references"].as_array().unwrap() {
            let (Some(begin), Some(end)) = (case["begin"].as_u64(), case["end"].as_u64()) else { continue };
            let range = usize::try_from(begin).unwrap()..usize::try_from(end).unwrap();
            assert_eq!(slice(case["body"].as_str().unwrap(), &range), case["text"].as_str(), "{case}");
        }
    }

    /// Proves: CNT-2.1-1.
    #[test]
    fn a_range_may_end_inside_a_grapheme() {
        assert_eq!(slice("e\u{301}!", &(0..1)), Some("e"));
        assert_eq!(slice("🇺🇳", &(1..2)), Some("🇳"));
    }

    #[test]
    fn empty_ranges_and_the_very_end_are_inside_the_text() {
        assert_eq!(slice("ab", &(2..2)), Some(""));
        assert_eq!(slice("", &(0..0)), Some(""));
        assert_eq!(slice("ab", &(3..3)), None);
        assert_eq!(slice("ab", &(0..usize::MAX)), None);
    }

    #[test]
    fn overlapping_and_bad_ranges_are_taken_out_once_or_not_at_all() {
        assert_eq!(without("a😀bcd", &[1..3, 2..4, 9..10, 0..0]), "ad");
        assert_eq!(without("abc", &[0..3, 1..2]), "");
        assert_eq!(without("abc", &[]), "abc");
    }
}
