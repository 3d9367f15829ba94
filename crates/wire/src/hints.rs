//! XEP-0334 Message processing hints, v1.0.0 <https://xmpp.org/extensions/xep-0334.html>
//!
//! Wishes of a sender to servers on the way; nobody relies on them.

use crate::element::Element;
use crate::ns;
use crate::payload::{Payload, ReadError};

/// One hint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hint {
    /// `no-permanent-store`: not into archives.
    NoPermanentStore,
    /// `no-store`: not stored at all.
    NoStore,
    /// `no-copy`: no carbons; only on messages to full addresses.
    NoCopy,
    /// `store`: into archives even without a body.
    Store,
}

impl Hint {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::NoPermanentStore, Self::NoStore, Self::NoCopy, Self::Store];

    /// Name of the element.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoPermanentStore => "no-permanent-store",
            Self::NoStore => "no-store",
            Self::NoCopy => "no-copy",
            Self::Store => "store",
        }
    }
}

impl Payload for Hint {
    /// The hint that is written most; all four are read.
    const NAME: &'static str = "store";
    const NS: &'static str = ns::HINTS;

    fn matches(element: &Element) -> bool {
        element.ns() == Self::NS && Self::ALL.iter().any(|hint| hint.name() == element.name())
    }

    fn read(element: &Element) -> Result<Self, ReadError> {
        Self::expect(element)?;
        Self::ALL.into_iter().find(|hint| hint.name() == element.name()).ok_or_else(|| ReadError::new(element, "unknown hint"))
    }

    fn write(&self) -> Element {
        Element::new(self.name(), Self::NS)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn each_hint_is_read_and_written_back() {
        for hint in Hint::ALL {
            assert_eq!(Hint::read(&hint.write()).unwrap(), hint);
            let odd = hint.write().with_attr("x", "y").with_child(Element::new("x", "urn:example"));
            assert_eq!(Hint::read(&odd).unwrap(), hint);
        }
    }

    #[test]
    fn other_elements_of_the_namespace_are_no_hints() {
        assert!(!Hint::matches(&Element::new("store-for-ever", ns::HINTS)));
        assert!(Hint::read(&Element::new("store", "urn:example")).is_err());
    }
}
