//! What every typed element can do: be read from a tree and be written back to one.
//!
//! Reading is lenient where the requirement lists say so: a bad optional field is dropped and the rest kept. An error is
//! for an element that cannot mean anything.

use crate::element::Element;

/// A typed element: one module per XEP holds its own.
pub trait Payload: Sized {
    /// Local name of the element.
    const NAME: &'static str;
    /// Namespace written, and the one [`Payload::matches`] looks for.
    const NS: &'static str;

    /// Whether `element` is one of these. Types that read older namespaces too answer for those as well.
    fn matches(element: &Element) -> bool {
        element.is(Self::NAME, Self::NS)
    }

    /// Reads the element.
    ///
    /// # Errors
    /// When it is another element, or lacks what it cannot be understood without.
    fn read(element: &Element) -> Result<Self, ReadError>;

    /// Writes today's form of the element.
    fn write(&self) -> Element;

    /// An empty element of this type, to be filled by [`Payload::write`].
    fn element() -> Element {
        Element::new(Self::NAME, Self::NS)
    }

    /// Fails unless `element` is one of these.
    ///
    /// # Errors
    /// When [`Payload::matches`] says no.
    fn expect(element: &Element) -> Result<(), ReadError> {
        if Self::matches(element) { Ok(()) } else { Err(ReadError::new(element, format!("expected <{}/> in {}", Self::NAME, Self::NS))) }
    }
}

/// Elements with nothing in them: `empty!(Ping, "ping", ns::PING)`.
macro_rules! empty {
    ($type:ident, $name:literal, $ns:path) => {
        impl $crate::payload::Payload for $type {
            const NAME: &'static str = $name;
            const NS: &'static str = $ns;

            fn read(element: &$crate::Element) -> Result<Self, $crate::payload::ReadError> {
                Self::expect(element).map(|()| Self)
            }

            fn write(&self) -> $crate::Element {
                Self::element()
            }
        }
    };
}

/// Elements with an id that names something, and nothing else.
macro_rules! only_id {
    ($type:ident, $name:literal, $ns:path) => {
        impl $crate::payload::Payload for $type {
            const NAME: &'static str = $name;
            const NS: &'static str = $ns;

            fn read(element: &$crate::Element) -> Result<Self, $crate::payload::ReadError> {
                Self::expect(element)?;
                Ok(Self { id: $crate::reading::id(element)? })
            }

            fn write(&self) -> $crate::Element {
                Self::element().with_attr("id", &self.id)
            }
        }
    };
}

pub(crate) use {empty, only_id};

/// Why an element could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("<{name}/> cannot be read: {why}")]
pub struct ReadError {
    name: String,
    why: String,
}

impl ReadError {
    /// The element and what is wrong with it, in words that end no sentence.
    pub fn new(element: &Element, why: impl Into<String>) -> Self {
        Self { name: element.name().to_owned(), why: why.into() }
    }

    /// What is wrong, without the element's name.
    pub fn why(&self) -> &str {
        &self.why
    }
}

impl Element {
    /// The first child of type `P`, if there is one, read.
    pub fn payload<P: Payload>(&self) -> Option<Result<P, ReadError>> {
        self.children().find(|child| P::matches(child)).map(P::read)
    }

    /// A required attribute.
    ///
    /// # Errors
    /// When it is missing.
    pub fn required(&self, attribute: &str) -> Result<&str, ReadError> {
        self.attr(attribute).ok_or_else(|| ReadError::new(self, format!("attribute {attribute} is missing")))
    }
}
