//! Passwords before they are hashed: SASLprep (RFC 4013), which servers of today still use for SCRAM.
//!
//! Non-ASCII spaces become spaces, invisible characters vanish, the rest is put into NFKC. Control characters are refused;
//! the bidi rule is not applied: it would lock people out of accounts whose servers never applied it.

use std::borrow::Cow;

use icu_normalizer::ComposingNormalizerBorrowed;

/// Why a password cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Nothing is left of it.
    #[error("the password is empty")]
    Empty,
    /// More than 1024 bytes.
    #[error("the password is longer than 1024 bytes")]
    TooLong,
    /// A control character in it.
    #[error("the password has a control character in it")]
    Control,
}

/// The form of a password that is hashed.
///
/// # Errors
/// When nothing is left, it is too long, or it has control characters.
pub fn prepare_password(password: &str) -> Result<Cow<'_, str>, PasswordError> {
    if password.len() > 1024 {
        return Err(PasswordError::TooLong);
    }
    let prepared = if password.is_ascii() {
        Cow::Borrowed(password)
    } else {
        let mapped: String = password.chars().filter(|c| !vanishes(*c)).map(|c| if is_space(c) { ' ' } else { c }).collect();
        Cow::Owned(ComposingNormalizerBorrowed::new_nfkc().normalize(&mapped).into_owned())
    };
    match prepared.chars().any(char::is_control) {
        _ if prepared.is_empty() => Err(PasswordError::Empty),
        true => Err(PasswordError::Control),
        false => Ok(prepared),
    }
}

/// Table C.1.2 of RFC 3454.
fn is_space(c: char) -> bool {
    matches!(c, '\u{A0}' | '\u{1680}' | '\u{2000}'..='\u{200B}' | '\u{202F}' | '\u{205F}' | '\u{3000}')
}

/// Table B.1 of RFC 3454: commonly mapped to nothing. U+200B is in both tables and maps to a space (RFC 4013 §2.1 comes first).
fn vanishes(c: char) -> bool {
    matches!(
        c,
        '\u{AD}' | '\u{34F}' | '\u{1806}' | '\u{180B}'..='\u{180D}' | '\u{200C}' | '\u{200D}' | '\u{2060}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}'
    )
}
