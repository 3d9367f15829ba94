//! XEP-0106 JID escaping, v1.1.1 <https://xmpp.org/extensions/xep-0106.html>
//!
//! Addresses are compared escaped; unescaping is for showing them only.

/// The ten characters and their sequences.
const SEQUENCES: [(char, &str); 10] = [
    (' ', "\\20"),
    ('"', "\\22"),
    ('&', "\\26"),
    ('\'', "\\27"),
    ('/', "\\2f"),
    (':', "\\3a"),
    ('<', "\\3c"),
    ('>', "\\3e"),
    ('@', "\\40"),
    ('\\', "\\5c"),
];

/// Why a text cannot be a localpart even when escaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a name before the @ cannot begin or end with a space")]
pub struct EscapeError;

fn sequence_at(text: &str) -> Option<char> {
    SEQUENCES.iter().find(|(_, sequence)| text.starts_with(sequence)).map(|(c, _)| *c)
}

/// Makes a localpart out of any text without leading or trailing space.
///
/// # Errors
/// When there is such a space.
pub fn escape(text: &str) -> Result<String, EscapeError> {
    if text.starts_with(' ') || text.ends_with(' ') {
        return Err(EscapeError);
    }
    let mut escaped = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        // A backslash is written as a sequence only where it would be read as the start of one.
        let literal = c == '\\' && sequence_at(&text[at..]).is_none();
        match SEQUENCES.iter().find(|(special, _)| *special == c) {
            Some((_, sequence)) if !literal => escaped.push_str(sequence),
            _ => escaped.push(c),
        }
    }
    Ok(escaped)
}

/// The text to show for a localpart. Anything that is none of the ten sequences in lower case stays as it is.
#[must_use]
pub fn unescape(localpart: &str) -> String {
    let mut text = String::with_capacity(localpart.len());
    let mut rest = localpart;
    while let Some(c) = rest.chars().next() {
        match sequence_at(rest) {
            Some(special) => {
                text.push(special);
                rest = &rest[3..];
            }
            None => {
                text.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    text
}

/// Whether a localpart may be the result of escaping: no escaped space at either end.
#[must_use]
pub fn is_escaped_localpart(localpart: &str) -> bool {
    !localpart.starts_with("\\20") && !localpart.ends_with("\\20")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Proves: C0106-1.
    #[test]
    fn escapes_and_unescapes_the_table() {
        for case in testing_corpus::cases("jid-escape") {
            let (plain, escaped) = (case["unescaped"].as_str().unwrap(), case["escaped"].as_str().unwrap());
            assert_eq!(escape(plain).as_deref(), Ok(escaped));
            assert_eq!(unescape(escaped), plain);
        }
        let table = testing_corpus::vector("jid-escape");
        for case in table["edge"].as_array().unwrap() {
            let text = case["text"].as_str().unwrap();
            if let Some(expected) = case["unescape"].as_str() {
                assert_eq!(unescape(text), expected);
            }
            assert_eq!(is_escaped_localpart(text), case["valid_localpart"].as_bool().unwrap_or(true), "{text}");
        }
        assert_eq!(escape(" a"), Err(EscapeError));
        assert_eq!(escape("a "), Err(EscapeError));
    }

    #[test]
    fn addresses_are_compared_escaped() {
        let (one, other): (crate::Jid, crate::Jid) =
            ("d\\27artagnan@example.com".parse().unwrap(), "d\\2727artagnan@example.com".parse().unwrap());
        assert_ne!(one, other);
        assert_ne!(one, "d\\5c27artagnan@example.com".parse().unwrap());
    }
}
