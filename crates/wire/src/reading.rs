//! What lenient readers share: notes of what was dropped, texts with a language, numbers and booleans as peers write them.

use crate::element::Element;
use crate::payload::ReadError;

/// Something that was read and dropped, for people who ask why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// The field or element: a plain name, or `{namespace}name` for what nobody here knows.
    pub what: String,
    /// The reason, in words that end no sentence.
    pub why: String,
}

impl Dropped {
    /// A note.
    pub fn new(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self { what: what.into(), why: why.into() }
    }

    /// A note about an element nobody here knows.
    pub fn unknown(element: &Element) -> Self {
        Self::new(element.qualified_name(), "unknown element")
    }
}

/// Text for people in a language of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LangText {
    /// `xml:lang` on the element itself.
    pub lang: Option<String>,
    /// The text.
    pub text: String,
}

impl LangText {
    /// Text without a language of its own.
    pub fn plain(text: impl Into<String>) -> Self {
        Self { lang: None, text: text.into() }
    }

    /// The text and language of an element.
    pub fn read(element: &Element) -> Self {
        Self { lang: element.lang().map(str::to_owned), text: element.text() }
    }

    /// Puts the text and its language into an element.
    pub fn write(&self, element: Element) -> Element {
        element.with_lang(self.lang.as_deref()).with_text(self.text.as_str())
    }
}

/// Adds a text, unless it is empty or its language is there already (the first counts, decision 40).
pub(crate) fn push_text(texts: &mut Vec<LangText>, element: &Element, dropped: &mut Vec<Dropped>) {
    let new = LangText::read(element);
    if new.text.is_empty() {
        dropped.push(Dropped::new(element.name(), "empty"));
    } else if texts.len() >= MAX_TEXTS {
        dropped.push(Dropped::new(element.name(), format!("more than {MAX_TEXTS}")));
    } else if texts.iter().any(|old| old.lang == new.lang) {
        dropped.push(Dropped::new(element.name(), "given twice in one language"));
    } else {
        texts.push(new);
    }
}

/// More languages than anybody writes in.
const MAX_TEXTS: usize = 64;

/// Puts `value` into a field that may be given once: the first counts (decision 40).
pub(crate) fn put_once<T>(field: &mut Option<T>, value: Option<T>, what: &str, why: &str, dropped: &mut Vec<Dropped>) {
    match value {
        None => dropped.push(Dropped::new(what, why)),
        Some(_) if field.is_some() => dropped.push(Dropped::new(what, "given twice")),
        Some(value) => *field = Some(value),
    }
}

/// Appends `<name>value</name>` if there is a value.
pub(crate) fn push_field(element: &mut Element, ns: &'static str, name: &str, value: Option<impl Into<String>>) {
    if let Some(value) = value {
        element.push(Element::new(name, ns).with_text(value));
    }
}

/// The text of an element, `None` when there is none.
pub(crate) fn text_of(element: &Element) -> Option<String> {
    Some(element.text()).filter(|text| !text.is_empty())
}

/// The text of an element without white space around it, `None` when there is none.
pub(crate) fn trimmed_text(element: &Element) -> Option<String> {
    let text = element.text();
    let trimmed = text.trim_matches(is_xml_space);
    if trimmed.len() == text.len() { Some(text) } else { Some(trimmed.to_owned()) }.filter(|text| !text.is_empty())
}

/// An attribute, `None` when it is missing or empty.
pub(crate) fn filled<'a>(element: &'a Element, attribute: &str) -> Option<&'a str> {
    element.attr(attribute).filter(|value| !value.is_empty())
}

/// The id of an element that means nothing without one.
pub(crate) fn id(element: &Element) -> Result<String, ReadError> {
    filled(element, "id").map(str::to_owned).ok_or_else(|| ReadError::new(element, "no id"))
}

/// An unsigned number with white space around it at most.
pub(crate) fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.trim_matches(is_xml_space).parse().ok()
}

/// `true`, `false`, `1` or `0` (XML Schema).
pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text.trim_matches(is_xml_space) {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

/// White space as XML knows it.
pub(crate) fn is_xml_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}
