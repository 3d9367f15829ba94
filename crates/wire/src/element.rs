//! A tree of XML elements: what the framing hands out and what every typed payload is read from and written to.
//!
//! Names are kept with their namespace, never with a prefix. Two trees are equal when names, attributes (in any order)
//! and nodes are. Depth is bounded where trees are made from bytes ([`crate::framing`]), so recursion here is bounded too.

pub use rxml::Namespace;
use rxml::strings::CompactString;

/// The namespace of `xml:lang`.
pub const XML_NS: &str = "http://www.w3.org/XML/1998/namespace";

/// One attribute with its namespace (empty for ordinary ones).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    ns: Namespace<'static>,
    name: CompactString,
    value: String,
}

impl Attribute {
    /// An attribute in a namespace; pass `""` for none.
    pub fn new(ns: impl Into<Namespace<'static>>, name: impl AsRef<str>, value: impl Into<String>) -> Self {
        Self { ns: ns.into(), name: CompactString::from(name.as_ref()), value: value.into() }
    }

    /// As [`Attribute::new`], from what the parser has checked already.
    pub(crate) fn from_parts(ns: Namespace<'static>, name: CompactString, value: String) -> Self {
        Self { ns, name, value }
    }

    /// Puts the attribute into a namespace, once its prefix is resolved.
    pub(crate) fn set_ns(&mut self, ns: Namespace<'static>) {
        self.ns = ns;
    }

    /// The namespace, empty for ordinary attributes.
    pub fn ns(&self) -> &str {
        &self.ns
    }

    /// The name without prefix.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value, references expanded.
    pub fn value(&self) -> &str {
        &self.value
    }
}

/// A child of an element: an element or character data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// A child element.
    Element(Element),
    /// Character data, references expanded; never empty, never two in a row.
    Text(String),
}

/// An XML element with everything below it.
#[derive(Clone, Debug, Eq)]
pub struct Element {
    ns: Namespace<'static>,
    name: CompactString,
    attributes: Vec<Attribute>,
    nodes: Vec<Node>,
}

impl PartialEq for Element {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
            && self.ns == other.ns
            && self.attributes.len() == other.attributes.len()
            && self.attributes.iter().all(|a| other.attributes.contains(a))
            && self.nodes == other.nodes
    }
}

impl Element {
    /// An empty element. `name` must be an XML name without a colon; names from peers come through the parser only.
    pub fn new(name: impl AsRef<str>, ns: impl Into<Namespace<'static>>) -> Self {
        Self { ns: ns.into(), name: CompactString::from(name.as_ref()), attributes: Vec::new(), nodes: Vec::new() }
    }

    /// As [`Element::new`], from what the parser has checked already.
    pub(crate) fn from_parts(ns: Namespace<'static>, name: CompactString, attributes: Vec<Attribute>) -> Self {
        Self { ns, name, attributes, nodes: Vec::new() }
    }

    /// The local name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The namespace name.
    pub fn ns(&self) -> &str {
        &self.ns
    }

    /// Whether this is `{ns}name`.
    pub fn is(&self, name: &str, ns: &str) -> bool {
        self.name == name && &*self.ns == ns
    }

    /// `{namespace}name`, for messages and reasons.
    pub fn qualified_name(&self) -> String {
        format!("{{{}}}{}", self.ns(), self.name())
    }

    /// Gives the element, and every descendant that has namespace `from`, the namespace `to`.
    pub fn rename_ns(&mut self, from: &str, to: &'static str) {
        if self.ns() == from {
            self.ns = Namespace::from(to);
        }
        for node in &mut self.nodes {
            if let Node::Element(child) = node {
                child.rename_ns(from, to);
            }
        }
    }

    /// The value of an attribute without namespace.
    pub fn attr(&self, name: &str) -> Option<&str> {
        self.attr_ns("", name)
    }

    /// The value of an attribute in a namespace.
    pub fn attr_ns(&self, ns: &str, name: &str) -> Option<&str> {
        self.attributes.iter().find(|a| a.name == name && &*a.ns == ns).map(Attribute::value)
    }

    /// `xml:lang` of this element itself.
    pub fn lang(&self) -> Option<&str> {
        self.attr_ns(XML_NS, "lang")
    }

    /// All attributes, in document order.
    pub fn attributes(&self) -> &[Attribute] {
        &self.attributes
    }

    /// Sets or replaces an attribute without namespace.
    pub fn set_attr(&mut self, name: &str, value: impl Into<String>) {
        self.put_attribute(Attribute::new("", name, value));
    }

    /// Sets or replaces an attribute.
    pub fn put_attribute(&mut self, attribute: Attribute) {
        match self.attributes.iter_mut().find(|a| a.name == attribute.name && a.ns == attribute.ns) {
            Some(old) => *old = attribute,
            None => self.attributes.push(attribute),
        }
    }

    /// Removes an attribute without namespace and returns its value.
    pub fn remove_attr(&mut self, name: &str) -> Option<String> {
        let at = self.attributes.iter().position(|a| a.name == name && a.ns.is_none())?;
        Some(self.attributes.remove(at).value)
    }

    /// Takes all attributes out.
    pub fn take_attributes(&mut self) -> Vec<Attribute> {
        std::mem::take(&mut self.attributes)
    }

    /// This element with an attribute.
    #[must_use]
    pub fn with_attr(mut self, name: &str, value: impl Into<String>) -> Self {
        self.set_attr(name, value);
        self
    }

    /// This element with an attribute if there is a value.
    #[must_use]
    pub fn with_attr_opt(self, name: &str, value: Option<impl Into<String>>) -> Self {
        match value {
            Some(value) => self.with_attr(name, value),
            None => self,
        }
    }

    /// This element with `xml:lang` if there is a value.
    #[must_use]
    pub fn with_lang(mut self, lang: Option<&str>) -> Self {
        if let Some(lang) = lang {
            self.put_attribute(Attribute::new(XML_NS, "lang", lang));
        }
        self
    }

    /// This element with text appended.
    #[must_use]
    pub fn with_text(mut self, text: impl Into<String>) -> Self {
        self.push_text(text);
        self
    }

    /// This element with a child appended.
    #[must_use]
    pub fn with_child(mut self, child: Element) -> Self {
        self.push(child);
        self
    }

    /// This element with a child appended if there is one.
    #[must_use]
    pub fn with_child_opt(mut self, child: Option<Element>) -> Self {
        self.extend(child);
        self
    }

    /// This element with children appended.
    #[must_use]
    pub fn with_children(mut self, children: impl IntoIterator<Item = Element>) -> Self {
        self.extend(children);
        self
    }

    /// Appends `<name>text</name>` in this element's own namespace.
    #[must_use]
    pub fn with_text_child(self, name: &str, text: impl Into<String>) -> Self {
        let child = Element::new(name, self.ns.clone()).with_text(text);
        self.with_child(child)
    }

    /// About how many bytes of memory the tree takes, for those who bound what they keep.
    pub fn weight(&self) -> usize {
        let attributes: usize = self.attributes.iter().map(|a| 64 + a.name.len() + a.value.len()).sum();
        let inside = self.nodes.iter().map(|node| match node {
            Node::Text(text) => text.len(),
            Node::Element(child) => child.weight(),
        });
        128 + attributes + inside.sum::<usize>()
    }

    /// Appends a child element.
    pub fn push(&mut self, child: Element) {
        self.nodes.push(Node::Element(child));
    }

    /// Appends child elements.
    pub fn extend(&mut self, children: impl IntoIterator<Item = Element>) {
        self.nodes.extend(children.into_iter().map(Node::Element));
    }

    /// Appends character data, joined to text that ends the element already.
    pub fn push_text(&mut self, text: impl Into<String>) {
        let text = text.into();
        if text.is_empty() {
            return;
        }
        match self.nodes.last_mut() {
            Some(Node::Text(last)) => last.push_str(&text),
            _ => self.nodes.push(Node::Text(text)),
        }
    }

    /// Bytes of the text that ends the element so far, 0 if a child does.
    pub(crate) fn last_text_len(&self) -> usize {
        match self.nodes.last() {
            Some(Node::Text(text)) => text.len(),
            _ => 0,
        }
    }

    /// Child elements and text, in order.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Child elements, in order.
    pub fn children(&self) -> impl DoubleEndedIterator<Item = &Element> {
        self.nodes.iter().filter_map(|node| match node {
            Node::Element(child) => Some(child),
            Node::Text(_) => None,
        })
    }

    /// Takes the element apart and returns its child elements; text is dropped.
    pub fn into_children(self) -> impl Iterator<Item = Element> {
        self.nodes.into_iter().filter_map(|node| match node {
            Node::Element(child) => Some(child),
            Node::Text(_) => None,
        })
    }

    /// The first child `{ns}name`.
    pub fn child<'a>(&'a self, name: &'a str, ns: &'a str) -> Option<&'a Element> {
        self.children_named(name, ns).next()
    }

    /// All children `{ns}name`.
    pub fn children_named<'a>(&'a self, name: &'a str, ns: &'a str) -> impl Iterator<Item = &'a Element> {
        self.children().filter(move |child| child.is(name, ns))
    }

    /// The text of the first child `name` in this element's own namespace.
    pub fn child_text(&self, name: &str) -> Option<String> {
        self.child(name, self.ns()).map(Element::text)
    }

    /// Removes the child elements for which `matches` holds and returns them.
    pub fn take_children(&mut self, mut matches: impl FnMut(&Element) -> bool) -> Vec<Element> {
        let (taken, kept) =
            std::mem::take(&mut self.nodes).into_iter().partition(|node| matches!(node, Node::Element(child) if matches(child)));
        self.nodes = kept;
        Vec::into_iter(taken)
            .filter_map(|node| match node {
                Node::Element(child) => Some(child),
                Node::Text(_) => None,
            })
            .collect()
    }

    /// The character data directly in this element, joined.
    pub fn text(&self) -> String {
        self.nodes
            .iter()
            .filter_map(|node| match node {
                Node::Text(text) => Some(text.as_str()),
                Node::Element(_) => None,
            })
            .collect()
    }
}
