//! One document at a time, for what is stored or quoted: `Element::parse` and `Element::to_xml`.

use rxml::Parse;
use rxml::error::EndOrError;

use super::builder::{Builder, Built};
use super::{FramingError, Limits, SLICE, is_space, parser, writer};
use crate::element::Element;

impl Element {
    /// Reads one XML document under the limits of what is [written anew](Limits::AS_WRITTEN).
    ///
    /// # Errors
    /// See [`FramingError`].
    pub fn parse(text: &str) -> Result<Self, FramingError> {
        Self::parse_within(text, Limits::AS_WRITTEN)
    }

    /// Reads one XML document under given limits.
    ///
    /// # Errors
    /// See [`FramingError`].
    pub fn parse_within(text: &str, limits: Limits) -> Result<Self, FramingError> {
        if text.len() > limits.stanza {
            return Err(FramingError::StanzaTooLong { limit: limits.stanza });
        }
        let text = text.as_bytes();
        let mut rest = &text[text.iter().take_while(|byte| is_space(**byte)).count()..];
        let mut parser = parser(limits.token);
        let mut builder = Builder::new(limits);
        let mut root = None;
        loop {
            let (mut slice, behind) = rest.split_at(rest.len().min(SLICE));
            let length = slice.len();
            let event = parser.parse(&mut slice, behind.is_empty());
            rest = &rest[length - slice.len()..];
            match event {
                Ok(Some(event)) => match builder.event(event)? {
                    Built::Opened(element) => builder.push(element)?,
                    Built::Complete(element) => root = Some(element),
                    Built::Nothing | Built::Text(_) | Built::Closed => {}
                },
                Ok(None) => return root.ok_or(FramingError::Incomplete),
                Err(EndOrError::NeedMoreData) if !rest.is_empty() => {}
                Err(EndOrError::NeedMoreData) => return Err(FramingError::Incomplete),
                Err(EndOrError::Error(error)) => return Err(FramingError::from_xml(error, limits.token)),
            }
        }
    }

    /// The element as a document of its own: every namespace is declared.
    #[must_use]
    pub fn to_xml(&self) -> String {
        let mut out = Vec::with_capacity(256);
        writer::write_document(self, &mut out);
        String::from_utf8(out).expect("names and values are strings, and markup is ASCII")
    }
}
