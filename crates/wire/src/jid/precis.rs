//! RFC 8264, RFC 8265 PRECIS: the classes of characters by today's Unicode, and the two profiles of addresses.
//!
//! The rules of context (RFC 5892 appendix A) and of direction (RFC 5893 §2) are those of IDNA.

use std::borrow::Cow;

use icu_normalizer::{ComposingNormalizer, DecomposingNormalizer};
use icu_properties::props::{
    BidiClass, CanonicalCombiningClass, DefaultIgnorableCodePoint, GeneralCategory, HangulSyllableType, JoiningType, NoncharacterCodePoint,
    Script,
};
use icu_properties::{CodePointMapData, CodePointSetData};

/// What PRECIS says of one character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// Valid everywhere.
    Valid,
    /// Valid in free text, not in identifiers.
    FreeOnly,
    /// Valid where the rule of context holds.
    Context,
    /// Never valid.
    Disallowed,
    /// Not in this Unicode.
    Unassigned,
}

/// The class of a character by RFC 8264 §8, step by step.
pub(super) fn class(c: char) -> Class {
    if let Some(class) = exception(c) {
        return class;
    }
    let category = CodePointMapData::<GeneralCategory>::new().get(c);
    let noncharacter = CodePointSetData::new::<NoncharacterCodePoint>().contains(c);
    if category == GeneralCategory::Unassigned && !noncharacter {
        return Class::Unassigned;
    }
    if ('!'..='~').contains(&c) {
        return Class::Valid;
    }
    if matches!(c, '\u{200C}' | '\u{200D}') {
        return Class::Context;
    }
    if noncharacter || is_ignorable(c) || is_old_jamo(c) || category == GeneralCategory::Control {
        return Class::Disallowed;
    }
    if has_compatibility_form(c) {
        return Class::FreeOnly;
    }
    by_category(category)
}

/// RFC 5892 §2.6.
pub(super) fn exception(c: char) -> Option<Class> {
    Some(match c {
        '\u{DF}' | '\u{3C2}' | '\u{6FD}' | '\u{6FE}' | '\u{F0B}' | '\u{3007}' => Class::Valid,
        '\u{B7}' | '\u{375}' | '\u{5F3}' | '\u{5F4}' | '\u{30FB}' | '\u{660}'..='\u{669}' | '\u{6F0}'..='\u{6F9}' => Class::Context,
        '\u{640}' | '\u{7FA}' | '\u{302E}' | '\u{302F}' | '\u{3031}'..='\u{3035}' | '\u{303B}' => Class::Disallowed,
        _ => return None,
    })
}

pub(super) fn is_ignorable(c: char) -> bool {
    CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
}

pub(super) fn is_old_jamo(c: char) -> bool {
    use HangulSyllableType as Type;
    matches!(CodePointMapData::<Type>::new().get(c), Type::LeadingJamo | Type::VowelJamo | Type::TrailingJamo)
}

fn has_compatibility_form(c: char) -> bool {
    let mut buffer = [0; 4];
    !ComposingNormalizer::new_nfkc().is_normalized(c.encode_utf8(&mut buffer))
}

/// Letters and digits are valid (RFC 8264 §9.1), whatever else is said of single characters.
pub(super) fn by_category(category: GeneralCategory) -> Class {
    use GeneralCategory as Category;
    match category {
        Category::LowercaseLetter
        | Category::UppercaseLetter
        | Category::OtherLetter
        | Category::DecimalNumber
        | Category::ModifierLetter
        | Category::NonspacingMark
        | Category::SpacingMark => Class::Valid,
        Category::TitlecaseLetter | Category::LetterNumber | Category::OtherNumber | Category::EnclosingMark => Class::FreeOnly,
        Category::SpaceSeparator => Class::FreeOnly,
        Category::MathSymbol | Category::CurrencySymbol | Category::ModifierSymbol | Category::OtherSymbol => Class::FreeOnly,
        Category::ConnectorPunctuation
        | Category::DashPunctuation
        | Category::OpenPunctuation
        | Category::ClosePunctuation
        | Category::InitialPunctuation
        | Category::FinalPunctuation
        | Category::OtherPunctuation => Class::FreeOnly,
        _ => Class::Disallowed,
    }
}

/// Whether the rule of context of the character at byte `at` holds.
pub(super) fn context_holds(text: &str, at: usize) -> bool {
    let (before, rest) = text.split_at(at);
    let mut rest = rest.chars();
    let c = rest.next();
    let (previous, next) = (before.chars().next_back(), rest.clone().next());
    let script = |c: Option<char>, script: Script| c.is_some_and(|c| CodePointMapData::<Script>::new().get(c) == script);
    let after_virama =
        || previous.is_some_and(|c| CodePointMapData::<CanonicalCombiningClass>::new().get(c) == CanonicalCombiningClass::Virama);
    match c {
        Some('\u{200C}') => after_virama() || joins(before.chars().rev(), true) && joins(rest, false),
        Some('\u{200D}') => after_virama(),
        Some('\u{B7}') => previous == Some('l') && next == Some('l'),
        Some('\u{375}') => script(next, Script::Greek),
        Some('\u{5F3}' | '\u{5F4}') => script(previous, Script::Hebrew),
        Some('\u{30FB}') => {
            text.chars().any(|c| [Script::Hiragana, Script::Katakana, Script::Han].into_iter().any(|wanted| script(Some(c), wanted)))
        }
        Some('\u{660}'..='\u{669}') => !text.chars().any(|c| ('\u{6F0}'..='\u{6F9}').contains(&c)),
        Some('\u{6F0}'..='\u{6F9}') => !text.chars().any(|c| ('\u{660}'..='\u{669}').contains(&c)),
        _ => false,
    }
}

/// Whether the next character that is not transparent joins towards a zero width non-joiner.
fn joins(characters: impl Iterator<Item = char>, before: bool) -> bool {
    let types = CodePointMapData::<JoiningType>::new();
    let next = characters.map(|c| types.get(c)).find(|kind| *kind != JoiningType::Transparent);
    let towards = if before { JoiningType::LeftJoining } else { JoiningType::RightJoining };
    next.is_some_and(|kind| kind == JoiningType::DualJoining || kind == towards)
}

/// The bidi rule, RFC 5893 §2; holds for what has no right-to-left character.
fn direction_holds(text: &str) -> bool {
    use BidiClass as Class;
    let classes: Vec<Class> = text.chars().map(|c| CodePointMapData::<Class>::new().get(c)).collect();
    let has = |wanted: &[Class]| classes.iter().any(|class| wanted.contains(class));
    if !has(&[Class::RightToLeft, Class::ArabicLetter, Class::ArabicNumber]) {
        return true;
    }
    let common = [
        Class::EuropeanNumber,
        Class::EuropeanSeparator,
        Class::CommonSeparator,
        Class::EuropeanTerminator,
        Class::OtherNeutral,
        Class::BoundaryNeutral,
        Class::NonspacingMark,
    ];
    let only = |own: &[Class]| classes.iter().all(|class| common.contains(class) || own.contains(class));
    let last = classes.iter().rev().find(|class| **class != Class::NonspacingMark);
    let ends = |wanted: &[Class]| last.is_some_and(|class| wanted.contains(class));
    match classes.first() {
        Some(&Class::RightToLeft | &Class::ArabicLetter) => {
            only(&[Class::RightToLeft, Class::ArabicLetter, Class::ArabicNumber])
                && ends(&[Class::RightToLeft, Class::ArabicLetter, Class::EuropeanNumber, Class::ArabicNumber])
                && !(has(&[Class::EuropeanNumber]) && has(&[Class::ArabicNumber]))
        }
        Some(&Class::LeftToRight) => only(&[Class::LeftToRight]) && ends(&[Class::LeftToRight, Class::EuropeanNumber]),
        _ => false,
    }
}

pub(super) fn nfc(text: &str) -> Cow<'_, str> {
    ComposingNormalizer::new_nfc().normalize(text)
}

/// Full-width and half-width characters to their usual forms. Half-width Hangul stays: its usual forms are refused as well.
fn map_width(text: &str) -> String {
    let wide = |c: char| matches!(c, '\u{3000}' | '\u{FF01}'..='\u{FF9F}' | '\u{FFE0}'..='\u{FFE6}' | '\u{FFE8}'..='\u{FFEE}');
    let decompose = DecomposingNormalizer::new_nfkd();
    let mut mapped = String::with_capacity(text.len());
    for c in text.chars() {
        if wide(c) {
            mapped.extend(decompose.normalize_iter(std::iter::once(c)));
        } else {
            mapped.push(c);
        }
    }
    mapped
}

/// UsernameCaseMapped (RFC 8265 §3.3), enforced until nothing changes (RFC 8264 §7).
pub(super) fn enforce_username(text: &str) -> Result<String, &'static str> {
    let mut text = text.to_owned();
    for _ in 0..4 {
        let mapped = map_width(&text);
        check(&mapped, |class| class == Class::Valid)?;
        let normal = nfc(&mapped.to_lowercase()).into_owned();
        check(&normal, |class| class == Class::Valid)?;
        if normal == text {
            return if direction_holds(&normal) { Ok(normal) } else { Err("it mixes writing directions") };
        }
        text = normal;
    }
    Err("it has no stable form")
}

/// OpaqueString (RFC 8265 §4.2), enforced until nothing changes.
pub(super) fn enforce_opaque(text: &str) -> Result<String, &'static str> {
    let mut text = text.to_owned();
    for _ in 0..4 {
        let normal = map_spaces_and_compose(&text);
        check(&normal, |class| matches!(class, Class::Valid | Class::FreeOnly))?;
        if normal == text {
            return Ok(normal);
        }
        text = normal;
    }
    Err("it has no stable form")
}

fn map_spaces_and_compose(text: &str) -> String {
    let categories = CodePointMapData::<GeneralCategory>::new();
    let is_space = |c: char| categories.get(c) == GeneralCategory::SpaceSeparator;
    let spaced: String = text.chars().map(|c| if is_space(c) { ' ' } else { c }).collect();
    nfc(&spaced).into_owned()
}

fn check(text: &str, valid: impl Fn(Class) -> bool) -> Result<(), &'static str> {
    for (at, c) in text.char_indices() {
        match class(c) {
            class if valid(class) => {}
            Class::Context if context_holds(text, at) => {}
            Class::Context => return Err("it has a character that is allowed only beside certain others"),
            Class::Unassigned => return Err("it has a character that is not in Unicode"),
            _ => return Err("it has a character that is not allowed there"),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_follow_the_rule_and_not_a_list() {
        for (c, expected) in [
            ('a', Class::Valid),
            ('é', Class::Valid),
            ('ß', Class::Valid),
            ('Ⅳ', Class::FreeOnly),
            ('🤔', Class::FreeOnly),
            ('♚', Class::FreeOnly),
            (' ', Class::FreeOnly),
            ('ｱ', Class::FreeOnly),
            ('\u{AD}', Class::Disallowed),
            ('\u{FE0F}', Class::Disallowed),
            ('\u{1100}', Class::Disallowed),
            ('\u{0}', Class::Disallowed),
            ('\u{FDD0}', Class::Disallowed),
            ('\u{E000}', Class::Disallowed),
            ('\u{378}', Class::Unassigned),
            ('\u{200D}', Class::Context),
            ('٣', Class::Context),
        ] {
            assert_eq!(class(c), expected, "{c:?}");
        }
    }

    /// RFC 5892 appendix A, one line for each side of each rule.
    #[test]
    fn rules_of_context() {
        for (text, c, expected) in [
            ("क्\u{200D}ष", '\u{200D}', true),
            ("a\u{200D}b", '\u{200D}', false),
            ("क्\u{200C}ष", '\u{200C}', true),
            ("نامه\u{200C}ای", '\u{200C}', true),
            ("a\u{200C}b", '\u{200C}', false),
            ("l·l", '·', true),
            ("l·k", '·', false),
            ("·l", '·', false),
            ("\u{375}α", '\u{375}', true),
            ("\u{375}a", '\u{375}', false),
            ("א\u{5F3}", '\u{5F3}', true),
            ("a\u{5F4}", '\u{5F4}', false),
            ("ア・", '・', true),
            ("a・b", '・', false),
            ("٣٤", '٣', true),
            ("٣۴", '٣', false),
            ("۴٣", '۴', false),
        ] {
            let at = text.find(c).unwrap();
            assert_eq!(context_holds(text, at), expected, "{text:?}");
        }
    }

    /// RFC 5893 §2, and names of its §4.
    #[test]
    fn rules_of_direction() {
        for (text, expected) in [
            ("abc", true),
            ("1abc", true),
            ("אבג", true),
            ("אבג1", true),
            ("1אבג", false),
            ("אabc", false),
            ("aא", false),
            ("אב-", false),
            ("ا1٣", false),
            ("ا٣", true),
            ("דּ", true),
        ] {
            assert_eq!(direction_holds(text), expected, "{text:?}");
        }
    }
}
