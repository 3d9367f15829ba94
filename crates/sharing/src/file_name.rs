//! Names of files that are safe to save under, made from names that peers chose.
//!
//! XEP-0446 §2 and §3: what a file system could read as structure is percent-encoded. The result is one path component of at
//! most 255 bytes, on any system. Opening it below a directory handle is the store's business all the same.
//!
//! XEP-0446 File metadata element, v0.2.0 <https://xmpp.org/extensions/xep-0446.html>

use std::fmt;

use icu_normalizer::ComposingNormalizerBorrowed;
use url::Url;

use crate::Source;

/// A name without separators, "..", controls, device names and the like.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileName(String);

impl FileName {
    /// Makes a `name` field safe. It is never percent-decoded (decision 63). An empty one becomes `file`.
    #[must_use]
    pub fn from_peer(name: &str) -> Self {
        let bounded = name.char_indices().nth(MAX_CHARS).map_or(name, |(end, _)| &name[..end]);
        let name = ComposingNormalizerBorrowed::new_nfc().normalize(bounded);
        if name.is_empty() {
            return Self::default();
        }
        let trailing = name.len() - name.trim_end_matches(['.', ' ']).len();
        let tail_at = name.len() - trailing;
        let is_device = is_device_name(&name);
        let pieces = name.char_indices().map(|(at, c)| {
            let at_start = at == 0 && (is_device || c == '.' || c == '-');
            if at_start || at >= tail_at || is_forbidden(c) { escaped(c) } else { c.to_string() }
        });
        Self(cut(pieces.collect()))
    }

    /// The last segment of the path, percent-decoded once, then made safe (decision 63). `None` without such a segment.
    #[must_use]
    pub fn from_url(url: &Url) -> Option<Self> {
        let segment = url.path_segments()?.next_back().filter(|segment| !segment.is_empty())?;
        Some(Self::from_peer(&percent_decoded(segment)))
    }

    /// The name in the URL of a source.
    pub(crate) fn from_source(source: &Source) -> Option<Self> {
        Self::from_url(&Url::parse(source.addresses().first()?).ok()?)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same name with a number before its ending: `summit (2).jpg`.
    #[must_use]
    pub fn numbered(&self, number: u32) -> Self {
        let (stem, ending) = split_ending(&self.0);
        let mark = format!(" ({number})");
        let mut room = MAX_BYTES.saturating_sub(ending.len() + mark.len()).min(stem.len());
        while !stem.is_char_boundary(room) {
            room -= 1;
        }
        Self(format!("{}{mark}{ending}", &stem[..room]))
    }
}

impl Default for FileName {
    fn default() -> Self {
        Self("file".to_owned())
    }
}

impl AsRef<std::path::Path> for FileName {
    fn as_ref(&self) -> &std::path::Path {
        self.0.as_ref()
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// What every file system of today takes.
const MAX_BYTES: usize = 255;

/// More than can be kept is not even looked at.
const MAX_CHARS: usize = 1024;

/// A longer ending is none.
const MAX_ENDING: usize = 32;

fn is_forbidden(c: char) -> bool {
    c.is_control() || matches!(c, '/' | '\\' | ':' | '%' | '*' | '?' | '"' | '<' | '>' | '|') || turns_text(c)
}

/// Bidirectional controls and line separators: what is read would not be what is there.
fn turns_text(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}' | '\u{feff}')
}

/// Names that Windows keeps for devices, with any ending.
fn is_device_name(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().trim_end_matches(' ').to_ascii_lowercase();
    let numbered = |prefix: &str| {
        stem.strip_prefix(prefix).is_some_and(|n| matches!(n, "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9" | "¹" | "²" | "³"))
    };
    matches!(stem.as_str(), "con" | "prn" | "aux" | "nul" | "conin$" | "conout$") || numbered("com") || numbered("lpt")
}

fn escaped(c: char) -> String {
    let mut buffer = [0; 4];
    c.encode_utf8(&mut buffer).bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// Joins escaped characters, at most [`MAX_BYTES`], keeping the ending and cutting between characters.
fn cut(pieces: Vec<String>) -> String {
    let total: usize = pieces.iter().map(String::len).sum();
    if total <= MAX_BYTES {
        return pieces.concat();
    }
    let bytes_from = |at: usize| pieces[at..].iter().map(String::len).sum::<usize>();
    let ending_at = pieces.iter().rposition(|piece| piece == ".").filter(|at| *at > 0 && bytes_from(*at) <= MAX_ENDING);
    let ending_at = ending_at.unwrap_or(pieces.len());
    let mut room = MAX_BYTES - bytes_from(ending_at);
    let kept = pieces[..ending_at].iter().take_while(|piece| room.checked_sub(piece.len()).map(|left| room = left).is_some()).count();
    let stem = pieces[..kept].concat();
    if ending_at == pieces.len() {
        // Nothing but blanks may be left of a name that was longer.
        let stem = stem.trim_end_matches(['.', ' ']);
        return if stem.is_empty() { FileName::default().0 } else { stem.to_owned() };
    }
    stem + &pieces[ending_at..].concat()
}

fn split_ending(name: &str) -> (&str, &str) {
    match name.rfind('.') {
        Some(at) if at > 0 && name.len() - at <= MAX_ENDING => name.split_at(at),
        _ => (name, ""),
    }
}

/// Percent-decoded once; what is no UTF-8 then becomes U+FFFD.
fn percent_decoded(text: &str) -> String {
    let hex = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let pair = match bytes[at..] {
            [b'%', high, low, ..] => hex(high).zip(hex(low)),
            _ => None,
        };
        match pair {
            Some((high, low)) => decoded.push(high << 4 | low),
            None => decoded.push(bytes[at]),
        }
        at += if pair.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    /// Proves: FMD-2-11, FMD-3-1, SFS-6-7, SEC-2-1.
    #[test]
    fn makes_names_safe_exactly_as_the_vectors_say() {
        for case in testing_corpus::cases("file-names") {
            let name = case["name"].as_str().unwrap();
            assert_eq!(FileName::from_peer(name).as_str(), case["safe"].as_str().unwrap(), "{case}");
        }
    }

    /// Decision 63.
    /// Proves: SEC-2-2.
    #[test]
    fn a_name_in_a_url_is_decoded_once_and_a_name_field_never() {
        let name = |url: &str| FileName::from_url(&Url::parse(url).unwrap()).map(|name| name.to_string());
        assert_eq!(name("https://h/x/tr%C3%A8s%20cool.jpg").as_deref(), Some("très cool.jpg"));
        assert_eq!(name("https://h/a%252Fb").as_deref(), Some("a%252Fb"));
        assert_eq!(name("https://h/..%2F..%2Fetc%2Fpasswd").as_deref(), Some("%2E.%2F..%2Fetc%2Fpasswd"));
        assert_eq!(name("https://h/%FF.jpg?name=x#y").as_deref(), Some("\u{fffd}.jpg"));
        assert_eq!((name("https://h/"), name("https://h/x/"), name("mailto:x@y")), (None, None, None));
        assert_eq!(FileName::from_peer("tr%C3%A8s").as_str(), "tr%25C3%25A8s");
    }

    #[test]
    fn hostile_names_stay_one_short_component() {
        let long_ending = format!("a.{}", "b".repeat(400));
        let escapes = "/".repeat(400);
        let clusters = "é".repeat(400) + ".jpg";
        let blanks = " ".repeat(300) + "a";
        for name in
            [&long_ending, &escapes, &clusters, &blanks, "\u{1b}]0;x\u{7}", "com1", "LPT9.txt", "aux .c", "a\u{2066}b", "?*\"<>|", "\u{85}"]
        {
            let safe = FileName::from_peer(name);
            assert!(safe.as_str().len() <= 255 && !safe.as_str().is_empty(), "{safe}");
            assert_eq!(safe.as_ref().components().count(), 1, "{safe}");
            assert!(!safe.as_str().chars().any(is_control_or_separator), "{safe}");
            assert!(!is_device_name(safe.as_str()), "{safe}");
        }
        assert!(FileName::from_peer(&clusters).as_str().ends_with("é.jpg"));
        assert_eq!(FileName::from_peer("tre\u{300}s").as_str(), "très");
    }

    fn is_control_or_separator(c: char) -> bool {
        c.is_control() || matches!(c, '/' | '\\' | ':') || turns_text(c)
    }

    #[test]
    fn a_second_file_of_one_name_gets_a_number_before_its_ending() {
        assert_eq!(FileName::from_peer("summit.jpg").numbered(2).as_str(), "summit (2).jpg");
        assert_eq!(FileName::from_peer("summit").numbered(3).as_str(), "summit (3)");
        let long = FileName::from_peer(&("é".repeat(200) + ".jpg")).numbered(7);
        assert!(long.as_str().len() <= 255 && long.as_str().ends_with("é (7).jpg"));
    }
}
