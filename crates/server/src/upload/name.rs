//! Names of uploads: a random one for the object, and the person's own behind it in the URL.
//!
//! Only the object's name ever reaches the file system, and only after [`ObjectName::parse`] found nothing but letters,
//! digits, `-` and `_` in it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The random name of an object: 128 bits that nobody guesses.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ObjectName(String);

impl ObjectName {
    const LENGTH: usize = 22;

    /// A fresh one.
    pub(crate) fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        Ok(Self(URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// The name in a path, if it can be one.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (text.len() == Self::LENGTH && text.bytes().all(plain)).then(|| Self(text.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// The longest name kept, in bytes.
const LONGEST: usize = 200;

/// What the person calls the file, fit for a URL and a header: no separators, no controls, not too long, the ending kept.
/// `None` when nothing is left.
pub(crate) fn display_name(given: &str) -> Option<String> {
    let clean: String = given
        .trim()
        .chars()
        .map(|c| if c.is_control() || matches!(c, '/' | '\\' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') { '_' } else { c })
        .collect();
    if clean.is_empty() || clean.chars().all(|c| c == '.') {
        return None;
    }
    if clean.len() <= LONGEST {
        return Some(clean);
    }
    let (stem, ending) = match clean.rfind('.') {
        Some(dot) if clean.len() - dot <= 32 => clean.split_at(dot),
        _ => (clean.as_str(), ""),
    };
    let cut = floor_char_boundary(stem, LONGEST - ending.len());
    Some(format!("{}{ending}", &stem[..cut]))
}

fn floor_char_boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// Everything but unreserved characters percent-encoded (RFC 3986 §2.3).
pub(crate) fn percent_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// One pass of percent-decoding; `None` when the escapes or the text are broken.
pub(crate) fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
            let value = digit(rest.next())? * 16 + digit(rest.next())?;
            bytes.push(u8::try_from(value).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn object_names_are_random_and_nothing_else_is_one() {
        let (one, two) = (ObjectName::random().unwrap(), ObjectName::random().unwrap());
        assert_ne!(one, two);
        assert_eq!(ObjectName::parse(one.as_str()), Some(one));
        for bad in ["", "..", "../../../../etc/passwd", "AAAAAAAAAAAAAAAAAAAA/.", "AAAAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAA\0"] {
            assert_eq!(ObjectName::parse(bad), None, "{bad:?}");
        }
    }

    /// Proves: HUP-4-5, HUP-4-7.
    #[test]
    fn the_name_and_its_ending_survive_and_nothing_dangerous_does() {
        assert_eq!(display_name("très cool.jpg").as_deref(), Some("très cool.jpg"));
        assert_eq!(percent_encode("très cool.jpg"), "tr%C3%A8s%20cool.jpg");
        assert_eq!(percent_decode("tr%C3%A8s%20cool.jpg").as_deref(), Some("très cool.jpg"));
        assert_eq!(display_name("../../x\r\n.sh").as_deref(), Some(".._.._x__.sh"));
        assert_eq!(display_name(".."), None);
        assert_eq!(display_name(" \t"), None);
        let long = display_name(&format!("{}.jpeg", "ü".repeat(500))).unwrap();
        assert!(long.ends_with(".jpeg") && long.len() <= LONGEST);
        assert_eq!(percent_decode("%zz"), None);
        assert_eq!(percent_decode("%ff"), None);
        assert_eq!(percent_decode("a%2"), None);
    }
}
