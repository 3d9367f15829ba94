//! XEP-0428 Fallback indication, v0.2.1 <https://xmpp.org/extensions/xep-0428.html>
//!
//! Which parts of body and subject say again what another element says. What to hide is decided elsewhere: only where that
//! element's namespace is supported *and used* (decision 10).

use crate::element::Element;
use crate::ns;
use crate::payload::{Payload, ReadError};
use crate::reading::{Dropped, filled, number};
use crate::text::{self, CodePoints};

/// `<fallback for=''/>`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fallback {
    /// Namespace of the element the text stands in for; without it nothing is hidden.
    pub for_ns: Option<String>,
    /// The parts; none at all means body and subject as a whole, which is not the same as none that can be understood.
    pub regions: Vec<Region>,
    /// What was read and dropped.
    pub dropped: Vec<Dropped>,
}

/// A part of body or subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// Of which text.
    pub of: RegionOf,
    /// First code point; the beginning if not said.
    pub start: Option<usize>,
    /// Code point behind the last; the end if not said.
    pub end: Option<usize>,
}

/// The texts of a message that a region can be in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegionOf {
    /// `<body/>`
    Body,
    /// `<subject/>`
    Subject,
}

impl RegionOf {
    /// Name of the element.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Body => "body",
            Self::Subject => "subject",
        }
    }
}

impl Region {
    /// The whole of a text.
    pub fn whole(of: RegionOf) -> Self {
        Self { of, start: None, end: None }
    }

    /// The part of `text` it covers, `None` when it does not fit.
    pub fn range_in(&self, text: &str) -> Option<CodePoints> {
        let range = self.start.unwrap_or(0)..self.end.unwrap_or_else(|| text::count(text));
        text::byte_range(text, &range).map(|_| range)
    }
}

impl Fallback {
    /// The whole body stands in for `for_ns`.
    pub fn whole_body(for_ns: impl Into<String>) -> Self {
        Self { for_ns: Some(for_ns.into()), regions: vec![Region::whole(RegionOf::Body)], dropped: Vec::new() }
    }

    /// The ranges of `text`, a body or subject, that are fallback; regions that do not fit are left out.
    pub fn ranges_in(&self, of: RegionOf, text: &str) -> Vec<CodePoints> {
        if self.is_everything() {
            return std::iter::once(0..text::count(text)).collect();
        }
        self.regions.iter().filter(|region| region.of == of).filter_map(|region| region.range_in(text)).collect()
    }

    /// Whether it names no part, which means body and subject as a whole. A part that cannot be understood is a part all the same.
    pub fn is_everything(&self) -> bool {
        self.regions.is_empty() && !self.dropped.iter().any(|dropped| dropped.what == BAD_REGION)
    }

    fn read_region(&mut self, of: RegionOf, element: &Element) {
        let bound = |name| match element.attr(name) {
            None => Ok(None),
            Some(text) => number(text).map(Some).ok_or("not a number"),
        };
        match (bound("start"), bound("end")) {
            (Ok(Some(start)), Ok(Some(end))) if start > end => self.dropped.push(Dropped::new(BAD_REGION, "it ends before it begins")),
            (Ok(start), Ok(end)) => self.regions.push(Region { of, start, end }),
            (Err(why), _) | (_, Err(why)) => self.dropped.push(Dropped::new(BAD_REGION, why)),
        }
    }
}

impl Payload for Fallback {
    const NAME: &'static str = "fallback";
    const NS: &'static str = ns::FALLBACK;

    fn read(element: &Element) -> Result<Self, ReadError> {
        Self::expect(element)?;
        let mut read = Self { for_ns: filled(element, "for").map(str::to_owned), ..Self::default() };
        for child in element.children() {
            match child.name() {
                _ if read.regions.len() >= MAX_REGIONS => read.dropped.push(Dropped::new(BAD_REGION, "too many")),
                "body" if child.ns() == Self::NS => read.read_region(RegionOf::Body, child),
                "subject" if child.ns() == Self::NS => read.read_region(RegionOf::Subject, child),
                _ => read.dropped.push(Dropped::unknown(child)),
            }
        }
        Ok(read)
    }

    fn write(&self) -> Element {
        let region = |region: &Region| {
            Element::new(region.of.as_str(), Self::NS)
                .with_attr_opt("start", region.start.map(|at| at.to_string()))
                .with_attr_opt("end", region.end.map(|at| at.to_string()))
        };
        Self::element().with_attr_opt("for", self.for_ns.as_deref()).with_children(self.regions.iter().map(region))
    }
}

/// More parts than any text needs.
const MAX_REGIONS: usize = 64;

/// What a region is called that was dropped.
const BAD_REGION: &str = "fallback region";

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::single_range_in_vec_init)]
mod tests {
    use super::*;

    fn read(xml: &str) -> Fallback {
        Fallback::read(&Element::parse(xml).unwrap()).unwrap()
    }

    /// Proves: FB-2.2-1, FB-2.2-2, FB-2.2-3, FB-2.2-4.
    #[test]
    fn what_the_vectors_hide_is_hidden_and_nothing_else() {
        for case in testing_corpus::vector("text-ranges")["fallbacks"].as_array().unwrap() {
            let mut element = Fallback::element().with_attr("for", case["for"].as_str().unwrap());
            for region in case["fallback"].as_array().into_iter().flatten() {
                let bound = |name| region[name].as_u64().map(|at| at.to_string());
                let body = Element::new("body", ns::FALLBACK);
                element.push(body.with_attr_opt("start", bound("start")).with_attr_opt("end", bound("end")));
            }
            let fallback = Fallback::read(&element).unwrap();
            assert_eq!(fallback.write(), element);
            let body = case["body"].as_str().unwrap();
            let supported = case["supported"].as_array().unwrap().iter().any(|ns| ns.as_str() == fallback.for_ns.as_deref());
            let hidden = if supported { fallback.ranges_in(RegionOf::Body, body) } else { Vec::new() };
            assert_eq!(text::without(body, &hidden), case["shown"].as_str().unwrap(), "{case}");
        }
    }

    #[test]
    fn without_children_body_and_subject_are_fallback() {
        let all = read("<fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:sfs:0'/>");
        assert!(all.is_everything() && all.regions.is_empty());
        assert_eq!(all.ranges_in(RegionOf::Subject, "ab"), [0..2]);
        let subject = read("<fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:sfs:0'><subject/></fallback>");
        assert_eq!(subject.ranges_in(RegionOf::Body, "ab"), []);
        assert_eq!(subject.ranges_in(RegionOf::Subject, "ab"), [0..2]);
    }

    /// Proves: FB-D-1.
    #[test]
    fn the_first_version_had_no_for() {
        assert_eq!(read("<fallback xmlns='urn:xmpp:fallback:0'/>").for_ns, None);
    }

    /// Decision 10.
    #[test]
    fn a_region_that_cannot_be_understood_hides_nothing() {
        for region in ["start='x'", "end='-1'", "start='3' end='1'", "start='99999999999999999999999'"] {
            let bad = read(&format!("<fallback xmlns='urn:xmpp:fallback:0' for='a'><body {region}/></fallback>"));
            assert_eq!(bad.ranges_in(RegionOf::Body, "abcdef"), [], "{region}");
            assert_eq!(bad.dropped.len(), 1);
        }
    }

    #[test]
    fn hostile_numbers_of_regions_stay_bounded_and_unknown_children_are_ignored() {
        let bodies = "<body/>".repeat(1000);
        assert_eq!(read(&format!("<fallback xmlns='urn:xmpp:fallback:0'>{bodies}</fallback>")).regions.len(), MAX_REGIONS);
        let odd = read("<fallback xmlns='urn:xmpp:fallback:0' for='a'><html/><body start='0' end='1'/></fallback>");
        assert_eq!(odd.ranges_in(RegionOf::Body, "ab"), [0..1]);
        assert!(Fallback::read(&Element::new("fallback", "urn:xmpp:fallback:1")).is_err());
    }
}
