//! The comma-separated attributes of SCRAM messages, RFC 5802 §5.1 and §7.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The attributes of a message, in order. Refuses what is no `letter=value`.
pub(super) struct Attributes<'a>(std::str::Split<'a, char>);

impl<'a> Attributes<'a> {
    pub(super) fn of(message: &'a str) -> Self {
        Self(message.split(','))
    }

    /// The value of the next attribute, which must have this letter.
    pub(super) fn expect(&mut self, letter: char) -> Option<&'a str> {
        let part = self.0.next()?;
        part.strip_prefix(letter)?.strip_prefix('=')
    }

    /// Whether everything left is an optional extension: `letter=value`, and not `m=`, which must be understood.
    pub(super) fn rest_is_optional(self) -> bool {
        self.0.into_iter().all(|part| {
            let mut chars = part.chars();
            matches!(chars.next(), Some(letter) if letter.is_ascii_alphabetic() && letter != 'm') && chars.next() == Some('=')
        })
    }
}

/// `=2C` and `=3D` for comma and equals sign.
pub(super) fn escape_name(name: &str) -> String {
    name.replace('=', "=3D").replace(',', "=2C")
}

/// The name as it was; `None` when a `=` is followed by anything else, which RFC 5802 tells servers to refuse.
pub(super) fn unescape_name(text: &str) -> Option<String> {
    let mut name = String::with_capacity(text.len());
    let mut parts = text.split('=');
    name.push_str(parts.next()?);
    for part in parts {
        let (character, rest) = if let Some(rest) = part.strip_prefix("2C") { (',', rest) } else { ('=', part.strip_prefix("3D")?) };
        name.push(character);
        name.push_str(rest);
    }
    Some(name)
}

pub(super) fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// Whether a nonce may stand in a message: printable ASCII without comma, of a sane length.
pub(super) fn is_nonce(text: &str) -> bool {
    (1..=512).contains(&text.len()) && text.bytes().all(|byte| (0x21..=0x7e).contains(&byte) && byte != b',')
}
