//! Numbers of bytes as people read them.

use std::fmt;

/// A number of bytes; shown with at most four digits and a unit, in steps of a thousand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteLen(pub u64);

impl fmt::Display for ByteLen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut unit = 1;
        let mut names = ["kB", "MB", "GB", "TB", "PB", "EB"].into_iter();
        let mut name = None;
        while self.0 / unit >= 1000 {
            unit *= 1000;
            name = names.next();
        }
        match name {
            None if self.0 == 1 => f.write_str("1 byte"),
            None => write!(f, "{} bytes", self.0),
            Some(name) => {
                let (whole, tenths) = (self.0 / unit, self.0 % unit * 10 / unit);
                if whole < 100 && tenths > 0 { write!(f, "{whole}.{tenths} {name}") } else { write!(f, "{whole} {name}") }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ByteLen;

    #[test]
    fn large_numbers_are_rounded_down_to_what_people_read() {
        let shown = |bytes| ByteLen(bytes).to_string();
        assert_eq!((shown(0), shown(1), shown(999)), ("0 bytes".into(), "1 byte".into(), "999 bytes".into()));
        assert_eq!((shown(1000), shown(3_032_449), shown(16 << 20)), ("1 kB".into(), "3 MB".into(), "16.7 MB".into()));
        assert_eq!((shown(999_999), shown(123_456_789), shown(u64::MAX)), ("999 kB".into(), "123 MB".into(), "18.4 EB".into()));
    }
}
