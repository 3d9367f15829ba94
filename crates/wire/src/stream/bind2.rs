//! XEP-0386 Bind 2, v1.1.0 <https://xmpp.org/extensions/xep-0386.html>

use super::sm;
use crate::element::Element;
use crate::ns;
use crate::payload::{Payload, ReadError};

/// Asks for a resource inside `<authenticate/>`, together with what shall be switched on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BindRequest {
    /// Name of the software, a part of the resource the server makes.
    pub tag: Option<String>,
    /// Switches stream management on.
    pub enable_sm: Option<sm::Enable>,
    /// Switches carbons on.
    pub enable_carbons: bool,
    /// Says that nobody looks at the client.
    pub inactive: bool,
    /// Other requests, as they are.
    pub others: Vec<Element>,
}

impl Payload for BindRequest {
    const NAME: &'static str = "bind";
    const NS: &'static str = ns::BIND2;

    fn read(element: &Element) -> Result<Self, ReadError> {
        Self::expect(element)?;
        let mut request = Self::default();
        for child in element.children() {
            match (child.ns(), child.name()) {
                (ns::BIND2, "tag") => request.tag = Some(child.text().trim().to_owned()).filter(|tag| !tag.is_empty()),
                (ns::SM, "enable") => request.enable_sm = Some(sm::Enable::read(child)?),
                (ns::CARBONS, "enable") => request.enable_carbons = true,
                (ns::CSI, "inactive") => request.inactive = true,
                (ns::CSI, "active") => request.inactive = false,
                _ => request.others.push(child.clone()),
            }
        }
        Ok(request)
    }

    fn write(&self) -> Element {
        Self::element()
            .with_child_opt(self.tag.as_ref().map(|tag| Element::new("tag", ns::BIND2).with_text(tag)))
            .with_child_opt(self.enable_carbons.then(|| Element::new("enable", ns::CARBONS)))
            .with_child_opt(self.enable_sm.as_ref().map(Payload::write))
            .with_child_opt(self.inactive.then(|| Element::new("inactive", ns::CSI)))
            .with_children(self.others.iter().cloned())
    }
}

/// A resource was bound, inside `<success/>`; the address is in the authorization identifier beside it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bound {
    /// Stream management is on.
    pub sm_enabled: Option<sm::Enabled>,
    /// Stream management could not be switched on.
    pub sm_failed: Option<sm::Failed>,
    /// Other answers, as they are.
    pub others: Vec<Element>,
}

impl Payload for Bound {
    const NAME: &'static str = "bound";
    const NS: &'static str = ns::BIND2;

    fn read(element: &Element) -> Result<Self, ReadError> {
        Self::expect(element)?;
        let mut bound = Self::default();
        for child in element.children() {
            if sm::Enabled::matches(child) {
                bound.sm_enabled = Some(sm::Enabled::read(child)?);
            } else if sm::Failed::matches(child) {
                bound.sm_failed = Some(sm::Failed::read(child)?);
            } else {
                bound.others.push(child.clone());
            }
        }
        Ok(bound)
    }

    fn write(&self) -> Element {
        Self::element()
            .with_child_opt(self.sm_enabled.as_ref().map(Payload::write))
            .with_child_opt(self.sm_failed.as_ref().map(Payload::write))
            .with_children(self.others.iter().cloned())
    }
}
