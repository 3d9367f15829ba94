//! RFC 7622 §3.2 Domainparts: an IDNA2008 name in U-labels, an IPv4 address, or an IPv6 address in brackets.

use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr};

use icu_properties::CodePointMapData;
use icu_properties::props::GeneralCategory;
use idna::AsciiDenyList;
use idna::uts46::{DnsLength, Hyphens, Uts46};

use super::precis::{Class, by_category, context_holds, exception, is_ignorable, is_old_jamo};

/// The prepared domain.
pub(super) fn prepare(text: &str) -> Result<Cow<'_, str>, &'static str> {
    let text = text.strip_suffix('.').unwrap_or(text);
    if let Some(inside) = text.strip_prefix('[') {
        let address = inside.strip_suffix(']').and_then(|inside| inside.parse::<Ipv6Addr>().ok());
        return address.map(|address| Cow::Owned(format!("[{address}]"))).ok_or("it is no IPv6 address");
    }
    if is_plain(text) || text.parse::<Ipv4Addr>().is_ok() {
        return Ok(Cow::Borrowed(text));
    }
    let idna = Uts46::new();
    let (name, result) = idna.to_unicode(text.as_bytes(), AsciiDenyList::STD3, Hyphens::Check);
    if result.is_err() || idna.to_ascii(name.as_bytes(), AsciiDenyList::STD3, Hyphens::Check, DnsLength::Verify).is_err() {
        return Err("it is no domain name");
    }
    if !name.split('.').all(is_idna2008) {
        return Err("it has a character that is not allowed in domain names");
    }
    Ok(Cow::Owned(name.into_owned()))
}

/// Whether it is a lower-case ASCII name that needs no preparation.
fn is_plain(text: &str) -> bool {
    let label = |label: &str| {
        let bytes = label.as_bytes();
        (1..=63).contains(&bytes.len())
            && bytes.iter().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
            && !label.starts_with('-')
            && !label.ends_with('-')
            && bytes.get(2..4) != Some(b"--")
    };
    text.len() <= 253 && text.split('.').all(label)
}

/// RFC 5892 §3 for a label that UTS 46 has mapped already: it lets symbols pass that IDNA2008 refuses.
fn is_idna2008(label: &str) -> bool {
    label.char_indices().all(|(at, c)| match exception(c) {
        Some(Class::Valid) => true,
        Some(Class::Context) => context_holds(label, at),
        Some(_) => false,
        None if c.is_ascii() => true,
        None if matches!(c, '\u{200C}' | '\u{200D}') => context_holds(label, at),
        None => !is_ignorable(c) && !is_old_jamo(c) && !is_ignorable_block(c) && is_letter_or_digit(c),
    })
}

fn is_letter_or_digit(c: char) -> bool {
    by_category(CodePointMapData::<GeneralCategory>::new().get(c)) == Class::Valid
}

/// RFC 5892 §2.4: combining marks for symbols, musical symbols.
fn is_ignorable_block(c: char) -> bool {
    matches!(c, '\u{20D0}'..='\u{20FF}' | '\u{1D100}'..='\u{1D1FF}' | '\u{1D200}'..='\u{1D24F}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prepares_names_and_addresses() {
        for (text, expected) in [
            ("example.com", "example.com"),
            ("EXAMPLE.com.", "example.com"),
            ("xn--bcher-kva.example", "bücher.example"),
            ("BÜCHER.example", "bücher.example"),
            ("straße.example", "straße.example"),
            ("παράδειγμα.ελ", "παράδειγμα.ελ"),
            ("[2001:DB8:0::1]", "[2001:db8::1]"),
            ("192.0.2.1", "192.0.2.1"),
            ("localhost", "localhost"),
            ("日本語。example", "日本語.example"),
        ] {
            assert_eq!(prepare(text).as_deref(), Ok(expected), "{text}");
            assert_eq!(prepare(expected).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn refuses_what_no_name_server_would_know() {
        let long = format!("{}.example", "x".repeat(64));
        let longer = ["x".repeat(60).as_str(); 5].join(".");
        for text in [
            "",
            ".",
            "..",
            "a..b",
            ".a",
            "-a",
            "a-",
            "a_b",
            "a b",
            "a/b",
            "a@b",
            "ab--c",
            "xn--",
            "xn--zzzzzzz9999",
            "☃.example",
            "i❤.ws",
            "[::1",
            "[1.2.3.4]",
            "[fe80::1%eth0]",
            "a\u{200D}b",
            &long,
            &longer,
        ] {
            assert!(prepare(text).is_err(), "{text}");
        }
    }
}
