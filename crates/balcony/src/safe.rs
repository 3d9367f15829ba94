//! Text from others, made safe for a terminal: no escape codes, no reordering of what is read.

use std::fmt::{self, Display, Formatter, Write as _};

/// Shows text with control characters and bidirectional overrides escaped.
pub(crate) struct Safe<'a>(pub(crate) &'a str);

impl Display for Safe<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| if is_harmful(c) { write!(f, "{}", c.escape_unicode()) } else { f.write_char(c) })
    }
}

/// An address in a command that the person may paste into a shell. Whoever has it chose it: where a shell would read more in it than a
/// name, it is left to the person to write it.
pub(crate) fn in_command(jid: &str) -> &str {
    let is_plain = jid.chars().all(|c| c.is_alphanumeric() || "@.-_+".contains(c)) && !jid.starts_with('-');
    if is_plain { jid } else { "JID" }
}

/// C0 and C1 controls, bidirectional controls, and characters that end a line without looking like it.
fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
}

/// As [`Safe`], for text of several lines (XML that is shown): line feeds and tabs stay.
pub(crate) fn lines(text: &str) -> String {
    text.split('\n')
        .map(|line| line.split('\t').map(|part| Safe(part).to_string()).collect::<Vec<_>>().join("\t"))
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_codes_of_others_do_not_reach_the_terminal() {
        assert_eq!(Safe("a\x1b[31mb\u{202e}c\u{9b}").to_string(), "a\\u{1b}[31mb\\u{202e}c\\u{9b}");
        assert_eq!(Safe("très cool 🎉.jpg").to_string(), "très cool 🎉.jpg");
        assert_eq!(lines("a\n\tb\r"), "a\n\tb\\u{d}");
    }

    #[test]
    fn in_a_command_stands_no_address_that_a_shell_would_run() {
        assert_eq!(in_command("romeo.m-1@montague.example"), "romeo.m-1@montague.example");
        for chosen in ["x;{id,}|sh;#@evil.example", "$(id)@evil.example", "`id`@evil.example", "a b@evil.example", "-f@evil.example"] {
            assert_eq!(in_command(chosen), "JID");
        }
    }
}
