//! Which bytes a request wants, RFC 9110 §13 and §14: one range of bytes, `If-Range`, and conditions.
//!
//! What is malformed, of another unit, or several ranges at once is ignored, as the RFC allows: the whole file is sent.

use hyper::HeaderMap;
use hyper::header::{HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, RANGE};

/// What to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// 200
    Whole,
    /// 206: first and last byte
    Part(u64, u64),
    /// 304
    NotModified,
    /// 412
    PreconditionFailed,
    /// 416
    Unsatisfiable,
}

/// What is known of the file: its strong entity tag with quotes, its time in seconds, its length.
pub(crate) struct Validators<'a> {
    pub(crate) tag: &'a str,
    pub(crate) modified: u64,
    pub(crate) length: u64,
}

impl Validators<'_> {
    /// What these headers ask for. Ranges count for GET only.
    pub(crate) fn wanted(&self, headers: &HeaderMap, is_get: bool) -> Wanted {
        match self.conditions(headers) {
            Some(decided) => decided,
            None if is_get => self.range(headers),
            None => Wanted::Whole,
        }
    }

    /// RFC 9110 §13.2.2, in its order.
    fn conditions(&self, headers: &HeaderMap) -> Option<Wanted> {
        let since = |name: HeaderName| one(headers, name).and_then(read_date);
        if headers.contains_key(IF_MATCH) {
            if !self.listed(headers, IF_MATCH, false) {
                return Some(Wanted::PreconditionFailed);
            }
        } else if since(IF_UNMODIFIED_SINCE).is_some_and(|date| self.modified > date) {
            return Some(Wanted::PreconditionFailed);
        }
        if headers.contains_key(IF_NONE_MATCH) {
            return self.listed(headers, IF_NONE_MATCH, true).then_some(Wanted::NotModified);
        }
        since(IF_MODIFIED_SINCE).filter(|date| self.modified <= *date).map(|_| Wanted::NotModified)
    }

    /// Whether our tag is in a list of tags.
    fn listed(&self, headers: &HeaderMap, name: HeaderName, weak: bool) -> bool {
        headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).any(|tag| {
            let tag = tag.trim();
            tag == "*" || tag == self.tag || (weak && tag.strip_prefix("W/") == Some(self.tag))
        })
    }

    fn range(&self, headers: &HeaderMap) -> Wanted {
        let Some(range) = one(headers, RANGE) else { return Wanted::Whole };
        if headers.contains_key(IF_RANGE) && !one(headers, IF_RANGE).is_some_and(|value| self.still_the_same(value.trim())) {
            return Wanted::Whole;
        }
        match parse(range) {
            None => Wanted::Whole,
            Some(Asked::From(first, last)) if first < self.length => Wanted::Part(first, last.min(self.length - 1)),
            Some(Asked::Last(count)) if count > 0 && self.length > 0 => Wanted::Part(self.length.saturating_sub(count), self.length - 1),
            Some(_) => Wanted::Unsatisfiable,
        }
    }

    /// `If-Range`: a strong tag that is ours, or exactly our date.
    fn still_the_same(&self, value: &str) -> bool {
        if value.starts_with('"') { value == self.tag } else { read_date(value) == Some(self.modified) }
    }
}

enum Asked {
    /// From a byte to another, the end included.
    From(u64, u64),
    /// The last so many.
    Last(u64),
}

fn parse(value: &str) -> Option<Asked> {
    let (unit, set) = value.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (first, last) = set.trim().split_once('-')?;
    match (number(first)?, number(last)?) {
        (None, None) => None,
        (None, Some(count)) => Some(Asked::Last(count)),
        (Some(first), None) => Some(Asked::From(first, u64::MAX)),
        (Some(first), Some(last)) => (first <= last).then_some(Asked::From(first, last)),
    }
}

/// Digits, or nothing; more than 64 bits count as the largest number. `None`: something else.
fn number(text: &str) -> Option<Option<u64>> {
    if text.is_empty() {
        return Some(None);
    }
    text.bytes().all(|b| b.is_ascii_digit()).then(|| Some(text.parse().unwrap_or(u64::MAX)))
}

/// A header that is there once.
fn one(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    if values.next().is_some() { None } else { first.to_str().ok() }
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// Unix time as HTTP writes it.
pub(crate) fn write_date(seconds: u64) -> String {
    let at = i64::try_from(seconds).ok().and_then(|seconds| time::OffsetDateTime::from_unix_timestamp(seconds).ok());
    let at = at.unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
    let (day, month) = (DAYS[usize::from(at.weekday().number_days_from_monday())], MONTHS[usize::from(u8::from(at.month())) - 1]);
    format!("{day}, {:02} {month} {:04} {:02}:{:02}:{:02} GMT", at.day(), at.year(), at.hour(), at.minute(), at.second())
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`; the two obsolete forms are not read.
fn read_date(text: &str) -> Option<u64> {
    let mut words = text.trim().split([' ', ':']);
    let (_day_name, day, month, year) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let month = u8::try_from(MONTHS.iter().position(|known| *known == month)? + 1).ok()?;
    let date = time::Date::from_calendar_date(year.parse().ok()?, time::Month::try_from(month).ok()?, day.parse().ok()?).ok()?;
    let clock = time::Time::from_hms(words.next()?.parse().ok()?, words.next()?.parse().ok()?, words.next()?.parse().ok()?).ok()?;
    if words.next() != Some("GMT") || words.next().is_some() {
        return None;
    }
    u64::try_from(time::PrimitiveDateTime::new(date, clock).assume_utc().unix_timestamp()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODIFIED: u64 = 784_111_777; // the example of RFC 9110 §5.6.7

    fn ask(pairs: &[(HeaderName, &str)]) -> Wanted {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name, value.parse().unwrap());
        }
        Validators { tag: "\"abc\"", modified: MODIFIED, length: 10_000 }.wanted(&headers, true)
    }

    #[test]
    fn ranges_are_read_as_the_examples_of_rfc_9110_say() {
        assert_eq!(ask(&[(RANGE, "bytes=0-499")]), Wanted::Part(0, 499));
        assert_eq!(ask(&[(RANGE, "bytes=500-999")]), Wanted::Part(500, 999));
        assert_eq!(ask(&[(RANGE, "bytes=-500")]), Wanted::Part(9500, 9999));
        assert_eq!(ask(&[(RANGE, "bytes=9500-")]), Wanted::Part(9500, 9999));
        assert_eq!(ask(&[(RANGE, "bytes=9999-20000")]), Wanted::Part(9999, 9999));
        assert_eq!(ask(&[(RANGE, "bytes=-20000")]), Wanted::Part(0, 9999));
        assert_eq!(ask(&[(RANGE, "bytes=0-99999999999999999999999")]), Wanted::Part(0, 9999));
    }

    #[test]
    fn what_cannot_be_met_is_416_and_what_is_not_understood_is_ignored() {
        for beyond in ["bytes=10000-", "bytes=10000-10001", "bytes=-0", "bytes=99999999999999999999999-"] {
            assert_eq!(ask(&[(RANGE, beyond)]), Wanted::Unsatisfiable, "{beyond}");
        }
        for other in ["bytes=5-2", "bytes=a-b", "bytes=", "bytes", "bytes=-", "chars=0-5", "bytes=0-1,5-6", "bytes=+1-2"] {
            assert_eq!(ask(&[(RANGE, other)]), Wanted::Whole, "{other}");
        }
        assert_eq!(ask(&[(RANGE, "bytes=0-1"), (RANGE, "bytes=2-3")]), Wanted::Whole);
    }

    #[test]
    fn if_range_gives_the_whole_file_unless_it_is_the_same() {
        let date = write_date(MODIFIED);
        assert_eq!(date, "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(ask(&[(RANGE, "bytes=5-"), (IF_RANGE, "\"abc\"")]), Wanted::Part(5, 9999));
        assert_eq!(ask(&[(RANGE, "bytes=5-"), (IF_RANGE, &date)]), Wanted::Part(5, 9999));
        for other in ["\"abd\"", "W/\"abc\"", "Sun, 06 Nov 1994 08:49:38 GMT", "yesterday"] {
            assert_eq!(ask(&[(RANGE, "bytes=5-"), (IF_RANGE, other)]), Wanted::Whole, "{other}");
        }
    }

    #[test]
    fn conditions_come_before_ranges() {
        assert_eq!(ask(&[(IF_NONE_MATCH, "\"x\", W/\"abc\"")]), Wanted::NotModified);
        assert_eq!(ask(&[(IF_NONE_MATCH, "\"x\""), (RANGE, "bytes=0-0")]), Wanted::Part(0, 0));
        assert_eq!(ask(&[(IF_MODIFIED_SINCE, &write_date(MODIFIED))]), Wanted::NotModified);
        assert_eq!(ask(&[(IF_MODIFIED_SINCE, &write_date(MODIFIED - 1))]), Wanted::Whole);
        assert_eq!(ask(&[(IF_MATCH, "\"x\""), (RANGE, "bytes=0-0")]), Wanted::PreconditionFailed);
        assert_eq!(ask(&[(IF_MATCH, "*")]), Wanted::Whole);
        assert_eq!(ask(&[(IF_UNMODIFIED_SINCE, &write_date(MODIFIED - 1))]), Wanted::PreconditionFailed);
    }

    #[test]
    fn head_has_no_ranges() {
        let mut headers = HeaderMap::new();
        headers.insert(RANGE, "bytes=0-0".parse().unwrap());
        assert_eq!(Validators { tag: "\"a\"", modified: 1, length: 5 }.wanted(&headers, false), Wanted::Whole);
    }
}
