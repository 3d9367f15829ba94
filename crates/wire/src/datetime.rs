//! XEP-0082 XMPP date and time profiles, v1.1.1 <https://xmpp.org/extensions/xep-0082.html>
//! Status: complete.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use time::{Date, Month, OffsetDateTime, PrimitiveDateTime, Time, UtcOffset};

/// A moment. Written in UTC with `Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DateTime {
    moment: OffsetDateTime,
    approximate: bool,
}

impl DateTime {
    /// Reads a DateTime that has a zone, as XEP-0082 §3.2 wants it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (date, rest) = text.split_at_checked(10)?;
        let rest = rest.strip_prefix('T')?;
        let zone = rest.find(['Z', '+', '-'])?;
        let offset = parse_offset(&rest[zone..])?;
        let moment = PrimitiveDateTime::new(parse_date(date)?, parse_time_of_day(&rest[..zone])?).assume_offset(offset);
        Some(Self { moment: moment.checked_to_offset(UtcOffset::UTC)?, approximate: false })
    }

    /// Reads what is found in metadata of files (decision 52): without zone, as Psi and slixmpp write it, or with an
    /// offset *and* `Z`, as Gajim does, counts as UTC and is marked as approximate. White space around it is forgiven.
    #[must_use]
    pub fn parse_lenient(text: &str) -> Option<Self> {
        let text = text.trim();
        Self::parse(text).or_else(|| {
            let without_zone = text.strip_suffix("+00:00Z").unwrap_or(text);
            let read = Self::parse(&format!("{without_zone}Z"))?;
            Some(Self { approximate: true, ..read })
        })
    }

    /// Reads the old form of `jabber:x:delay` (`20020910T23:08:25`, always UTC), accepted nowhere else.
    #[must_use]
    pub fn parse_legacy(text: &str) -> Option<Self> {
        let (date, time) = text.trim().split_once('T')?;
        if date.len() != 8 || !date.is_ascii() {
            return None;
        }
        Self::parse(&format!("{}-{}-{}T{time}Z", &date[..4], &date[4..6], &date[6..]))
    }

    /// The moment so many seconds after (before, if negative) the start of 1970; `None` beyond the year 9999.
    #[must_use]
    pub fn from_unix(seconds: i64) -> Option<Self> {
        // Whoever is out of range is no moment we can write.
        OffsetDateTime::from_unix_timestamp(seconds).ok().filter(|moment| moment.year() >= 0).map(Self::exactly)
    }

    fn exactly(moment: OffsetDateTime) -> Self {
        Self { moment, approximate: false }
    }

    /// Whole seconds since the start of 1970.
    #[must_use]
    pub fn unix(&self) -> i64 {
        self.moment.unix_timestamp()
    }

    /// Nanoseconds within the second.
    #[must_use]
    pub fn nanosecond(&self) -> u32 {
        self.moment.nanosecond()
    }

    /// Whether the text named no zone, so that the moment may be hours off.
    #[must_use]
    pub fn is_approximate(&self) -> bool {
        self.approximate
    }

    /// The moment as the standard library has it.
    #[must_use]
    pub fn to_system_time(&self) -> SystemTime {
        let since = Duration::from_secs(self.unix().unsigned_abs());
        let seconds = if self.unix() < 0 { UNIX_EPOCH - since } else { UNIX_EPOCH + since };
        seconds + Duration::from_nanos(u64::from(self.nanosecond()))
    }
}

impl From<SystemTime> for DateTime {
    /// To the second; what lies beyond the year 9999 becomes the start of 1970.
    fn from(time: SystemTime) -> Self {
        let seconds = match time.duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_secs()).ok(),
            Err(before) => i64::try_from(before.duration().as_secs()).ok().map(|seconds| -seconds),
        };
        seconds.and_then(Self::from_unix).unwrap_or(Self::exactly(OffsetDateTime::UNIX_EPOCH))
    }
}

impl std::fmt::Display for DateTime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (date, time) = (self.moment.date(), self.moment.time());
        write!(f, "{:04}-{:02}-{:02}", date.year(), u8::from(date.month()), date.day())?;
        write!(f, "T{:02}:{:02}:{:02}", time.hour(), time.minute(), time.second())?;
        match time.nanosecond() {
            0 => f.write_str("Z"),
            nanos => write!(f, ".{}Z", format!("{nanos:09}").trim_end_matches('0')),
        }
    }
}

/// Whether a text is a Date of XEP-0082 §3.1: `1776-07-04`.
#[must_use]
pub fn is_date(text: &str) -> bool {
    parse_date(text).is_some()
}

/// Whether a text is a Time of XEP-0082 §3.3: `16:00:00`, with or without a zone.
#[must_use]
pub fn is_time(text: &str) -> bool {
    let zone = text.find(['Z', '+', '-']).unwrap_or(text.len());
    parse_time_of_day(&text[..zone]).is_some() && (zone == text.len() || parse_offset(&text[zone..]).is_some())
}

/// Exactly so many digits, nothing else.
fn digits(text: &str, count: usize) -> Option<u32> {
    if text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

fn small(text: &str) -> Option<u8> {
    digits(text, 2).and_then(|number| u8::try_from(number).ok())
}

fn parse_date(text: &str) -> Option<Date> {
    let mut parts = text.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let year = i32::try_from(digits(year, 4)?).ok()?;
    Date::from_calendar_date(year, Month::try_from(small(month)?).ok()?, small(day)?).ok()
}

fn parse_time_of_day(text: &str) -> Option<Time> {
    let (whole, fraction) = match text.split_once('.') {
        None => (text, "0"),
        Some((whole, fraction)) => (whole, fraction),
    };
    if fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let mut parts = whole.split(':');
    let (hour, minute, second) = (small(parts.next()?)?, small(parts.next()?)?, small(parts.next()?)?);
    if parts.next().is_some() {
        return None;
    }
    // A leap second counts as the second before it; digits beyond the nanosecond are cut.
    let second = if second == 60 { 59 } else { second };
    let nanos = format!("{:0<9}", &fraction[..fraction.len().min(9)]).parse().ok()?;
    Time::from_hms_nano(hour, minute, second, nanos).ok()
}

fn parse_offset(text: &str) -> Option<UtcOffset> {
    if text == "Z" {
        return Some(UtcOffset::UTC);
    }
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let (hours, minutes) = text.get(1..)?.split_once(':')?;
    let (hours, minutes) = (i8::try_from(small(hours)?).ok()?, i8::try_from(small(minutes)?).ok()?);
    if hours > 14 || minutes > 59 {
        return None;
    }
    UtcOffset::from_hms(sign * hours, sign * minutes, 0).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Proves: C0082-1.
    #[test]
    fn reads_what_the_table_allows_and_nothing_else() {
        for case in testing_corpus::cases("datetime") {
            let text = case["text"].as_str().unwrap();
            let valid = match case["profile"].as_str().unwrap() {
                "DateTime" => {
                    let read = DateTime::parse(text);
                    if let (Some(read), Some(unix)) = (read, case["unix"].as_i64()) {
                        assert_eq!(read.unix(), unix, "{text}");
                        let fraction = format!("{:09}", read.nanosecond());
                        assert_eq!(fraction.trim_end_matches('0'), case["fraction"].as_str().unwrap(), "{text}");
                        assert_eq!(DateTime::parse(&read.to_string()), Some(read), "{text}");
                    }
                    read.is_some()
                }
                "Date" => is_date(text),
                _ => is_time(text),
            };
            // `null` in the table: either is fine as long as nothing breaks.
            assert_eq!(case["valid"].as_bool().unwrap_or(valid), valid, "{text}");
        }
    }

    /// Psi and slixmpp leave the zone out, Gajim writes two.
    /// Decision 52.
    #[test]
    fn reads_dates_without_zone_as_approximate_utc() {
        for text in ["2015-07-26T21:46:00", "2015-07-26T21:46:00.123456", "2015-07-26T21:46:00+00:00Z", " 2015-07-26T21:46:00 "] {
            let read = DateTime::parse_lenient(text).unwrap();
            assert_eq!(read.unix(), 1_437_947_160, "{text}");
            assert!(read.is_approximate(), "{text}");
            assert_eq!(DateTime::parse(text), None, "{text}");
        }
        assert!(!DateTime::parse_lenient("2015-07-26T21:46:00Z").unwrap().is_approximate());
        for text in ["", "yesterday", "2015-07-26", "2015-07-26T21:46:00ZZ", "2015-07-26T21:46:00+01:00Z", "Ⅳ015-07-26T21:46:00"] {
            assert_eq!(DateTime::parse_lenient(text), None, "{text}");
        }
    }

    #[test]
    fn reads_the_old_form_of_delays_only_where_asked() {
        assert_eq!(DateTime::parse_legacy("20020910T23:08:25").unwrap().unix(), 1_031_699_305);
        assert_eq!(DateTime::parse_legacy("2002é910T23:08:25"), None);
        assert_eq!(DateTime::parse_lenient("20020910T23:08:25"), None);
    }

    #[test]
    fn turns_into_system_time_and_back() {
        for text in ["1969-07-21T02:56:15Z", "2015-07-26T21:46:00Z"] {
            let read = DateTime::parse(text).unwrap();
            assert_eq!(DateTime::from(read.to_system_time()), read);
            assert_eq!(read.to_string(), text);
        }
    }
}
