//! The parser's events to elements, with limits. Nothing here recurses: open elements are kept on a stack.

use rxml::Namespace;
use rxml::parser::{RawEvent, RawQName};
use rxml::strings::CompactString;

use super::scope::{MAX_DECLARATIONS, Scope};
use super::{FramingError, Limits};
use crate::element::{Attribute, Element, XML_NS};

/// What came of one event.
pub(super) enum Built {
    /// Nothing yet.
    Nothing,
    /// An element was opened; nothing of it is kept unless [`Builder::push`] is called.
    Opened(Element),
    /// The outermost kept element is complete.
    Complete(Element),
    /// Text outside any kept element.
    Text(String),
    /// The end of an element that was not kept: the stream itself.
    Closed,
}

#[derive(Debug)]
struct Tag {
    prefix: Option<CompactString>,
    name: CompactString,
    attributes: Vec<Attribute>,
    /// Attributes (by place) whose prefix waits for the end of the tag: its declaration may come later.
    prefixed: Vec<(usize, CompactString)>,
    /// Attributes and declarations so far.
    count: usize,
}

#[derive(Debug)]
pub(super) struct Builder {
    pub(super) limits: Limits,
    pub(super) scope: Scope,
    tag: Option<Tag>,
    open: Vec<Element>,
    /// Declarations that each open element needs when it is written, and all of them together.
    needed: Vec<usize>,
    needed_in_all: usize,
    /// Bytes of the namespaces that this stanza needs when it is written.
    namespaces: usize,
    /// How many elements are open, those that are not kept included.
    depth: usize,
}

impl Builder {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, scope: Scope::default(), tag: None, open: Vec::new(), needed: Vec::new(), needed_in_all: 0, namespaces: 0, depth: 0 }
    }

    /// Whether no element is being built.
    pub(super) fn is_idle(&self) -> bool {
        self.open.is_empty() && self.tag.is_none()
    }

    /// Keeps an element that was opened: its content is collected.
    pub(super) fn push(&mut self, element: Element) -> Result<(), FramingError> {
        if self.open.len() >= self.limits.depth.min(Limits::MAX_DEPTH) {
            return Err(FramingError::TooDeep { limit: self.limits.depth.min(Limits::MAX_DEPTH) });
        }
        self.weigh(&element)?;
        self.open.push(element);
        Ok(())
    }

    /// One declaration may serve thousands of elements as it comes, and is written with each of them: bounded as if it came
    /// that way, or a short stanza would grow without bound when it is relayed.
    fn weigh(&mut self, element: &Element) -> Result<(), FramingError> {
        if self.open.is_empty() {
            self.namespaces = 0;
        }
        let attributes = element.attributes();
        let foreign = |attribute: &Attribute| !attribute.ns().is_empty() && attribute.ns() != XML_NS;
        let is_first = |at: usize| attributes[..at].iter().all(|other| other.ns() != attributes[at].ns());
        let prefixes = (0..attributes.len()).filter(|at| foreign(&attributes[*at]) && is_first(*at)).map(|at| attributes[at].ns().len());
        let changes = self.open.last().is_none_or(|parent| parent.ns() != element.ns());
        let (needed, bytes) =
            prefixes.chain(changes.then(|| element.ns().len())).fold((0, 0), |(count, sum), length| (count + 1, sum + length));
        self.namespaces += bytes;
        if self.namespaces > self.limits.stanza {
            return Err(FramingError::StanzaTooLong { limit: self.limits.stanza });
        }
        if self.needed_in_all + needed > MAX_DECLARATIONS / 2 {
            return Err(FramingError::TooManyNamespaces { limit: MAX_DECLARATIONS / 2 });
        }
        self.needed.push(needed);
        self.needed_in_all += needed;
        Ok(())
    }

    pub(super) fn event(&mut self, event: RawEvent) -> Result<Built, FramingError> {
        match event {
            RawEvent::XmlDeclaration(..) => Ok(Built::Nothing),
            RawEvent::ElementHeadOpen(_, (prefix, name)) => {
                self.depth += 1;
                let (prefix, name) = (prefix.map(CompactString::from), CompactString::from(name));
                self.bounded(name.len())?;
                self.tag = Some(Tag { prefix, name, attributes: Vec::new(), prefixed: Vec::new(), count: 0 });
                Ok(Built::Nothing)
            }
            RawEvent::Attribute(_, name, value) => self.attribute(name, value).map(|()| Built::Nothing),
            RawEvent::ElementHeadClose(_) => self.finish_tag(),
            RawEvent::Text(_, text) => self.text(text),
            RawEvent::ElementFoot(_) => Ok(self.leave()),
        }
    }

    fn bounded(&self, length: usize) -> Result<(), FramingError> {
        if length > self.limits.token { Err(FramingError::TokenTooLong { limit: self.limits.token }) } else { Ok(()) }
    }

    fn attribute(&mut self, (prefix, name): RawQName, value: String) -> Result<(), FramingError> {
        self.bounded(name.len().max(value.len()))?;
        let depth = self.depth;
        let Some(tag) = &mut self.tag else { return Ok(()) };
        tag.count += 1;
        if tag.count > self.limits.attributes {
            return Err(FramingError::TooManyAttributes { limit: self.limits.attributes });
        }
        let (prefix, name) = (prefix.map(CompactString::from), CompactString::from(name));
        match prefix {
            None if name == "xmlns" => self.scope.declare(None, value, depth),
            None => {
                tag.attributes.push(Attribute::from_parts(Namespace::NONE, name, value));
                Ok(())
            }
            Some(prefix) if prefix == "xmlns" => self.scope.declare(Some(name), value, depth),
            Some(prefix) => {
                tag.prefixed.push((tag.attributes.len(), prefix));
                tag.attributes.push(Attribute::from_parts(Namespace::NONE, name, value));
                Ok(())
            }
        }
    }

    fn finish_tag(&mut self) -> Result<Built, FramingError> {
        let Some(mut tag) = self.tag.take() else { return Ok(Built::Nothing) };
        for (at, prefix) in &tag.prefixed {
            tag.attributes[*at].set_ns(self.scope.resolve(prefix)?);
        }
        let names = |attribute: &Attribute, other: &Attribute| attribute.name() == other.name() && attribute.ns() == other.ns();
        if tag.attributes.iter().enumerate().any(|(at, attribute)| tag.attributes[..at].iter().any(|other| names(attribute, other))) {
            return Err(FramingError::NotWellFormed("an attribute is there twice".to_owned()));
        }
        let ns = match &tag.prefix {
            None => self.scope.default_ns(),
            Some(prefix) => self.scope.resolve(prefix)?,
        };
        let element = Element::from_parts(ns, tag.name, tag.attributes);
        if self.open.is_empty() {
            return Ok(Built::Opened(element));
        }
        self.push(element)?;
        Ok(Built::Nothing)
    }

    fn text(&mut self, text: String) -> Result<Built, FramingError> {
        let Some(element) = self.open.last_mut() else { return Ok(Built::Text(text)) };
        element.push_text(text);
        let length = element.last_text_len();
        self.bounded(length)?;
        Ok(Built::Nothing)
    }

    fn leave(&mut self) -> Built {
        self.scope.leave(self.depth);
        self.depth = self.depth.saturating_sub(1);
        let Some(element) = self.open.pop() else { return Built::Closed };
        self.needed_in_all -= self.needed.pop().unwrap_or_default();
        match self.open.last_mut() {
            Some(parent) => {
                parent.push(element);
                Built::Nothing
            }
            None => Built::Complete(element),
        }
    }
}
