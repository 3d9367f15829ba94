//! XEP-0059 Result set management, v1.0 <https://xmpp.org/extensions/xep-0059.html>

use crate::element::Element;
use crate::ns;
use crate::payload::{Payload, ReadError};

/// Which page is wanted, or which one this is. Numbers that are none are read as absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResultSet {
    /// Asked: at most so many.
    pub max: Option<u64>,
    /// Asked: those after this id.
    pub after: Option<String>,
    /// Asked: those before this id; empty for the last page.
    pub before: Option<String>,
    /// Asked: those from this place on.
    pub index: Option<u64>,
    /// Answered: id of the first.
    pub first: Option<String>,
    /// Answered: place of the first.
    pub first_index: Option<u64>,
    /// Answered: id of the last.
    pub last: Option<String>,
    /// Answered: how many there are in all.
    pub count: Option<u64>,
}

impl ResultSet {
    /// Asks for the last so many.
    #[must_use]
    pub fn last_page(max: u64) -> Self {
        Self { max: Some(max), before: Some(String::new()), ..Self::default() }
    }

    /// Asks for the first so many, or those after an id.
    #[must_use]
    pub fn page_after(max: u64, after: Option<String>) -> Self {
        Self { max: Some(max), after, ..Self::default() }
    }
}

impl Payload for ResultSet {
    const NAME: &'static str = "set";
    const NS: &'static str = ns::RESULT_SET;

    fn read(element: &Element) -> Result<Self, ReadError> {
        Self::expect(element)?;
        let number = |name: &str| element.child_text(name).and_then(|text| text.trim().parse().ok());
        let first_index = element.child("first", ns::RESULT_SET).and_then(|first| first.attr("index"));
        Ok(Self {
            max: number("max"),
            after: element.child_text("after"),
            before: element.child_text("before"),
            index: number("index"),
            first: element.child_text("first"),
            first_index: first_index.and_then(|index| index.trim().parse().ok()),
            last: element.child_text("last"),
            count: number("count"),
        })
    }

    fn write(&self) -> Element {
        let child = |name: &str, text: &String| Element::new(name, ns::RESULT_SET).with_text(text);
        let number = |name: &str, value: Option<u64>| value.map(|value| child(name, &value.to_string()));
        let first =
            self.first.as_ref().map(|first| child("first", first).with_attr_opt("index", self.first_index.map(|at| at.to_string())));
        Self::element()
            .with_child_opt(number("max", self.max))
            .with_child_opt(self.after.as_ref().map(|id| child("after", id)))
            .with_child_opt(self.before.as_ref().map(|id| child("before", id)))
            .with_child_opt(number("index", self.index))
            .with_child_opt(first)
            .with_child_opt(self.last.as_ref().map(|id| child("last", id)))
            .with_child_opt(number("count", self.count))
    }
}
