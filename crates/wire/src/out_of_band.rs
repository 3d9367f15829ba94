//! XEP-0066 Out of band data, v1.5 <https://xmpp.org/extensions/xep-0066.html>
//!
//! A URL beside a message, or handed over by iq.

use crate::element::Element;
use crate::ns;
use crate::payload::{Payload, ReadError};
use crate::reading::{push_field, text_of, trimmed_text};

/// `<x xmlns='jabber:x:oob'/>` in a message or presence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Oob {
    /// The URL, of any scheme; white space around it is removed.
    pub url: String,
    /// A description; never written beside a file, as clients would no longer show it (seed guidelines).
    pub desc: Option<String>,
}

impl Oob {
    /// A bare URL.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), desc: None }
    }
}

impl Payload for Oob {
    const NAME: &'static str = "x";
    const NS: &'static str = ns::OOB;

    fn read(element: &Element) -> Result<Self, ReadError> {
        Self::expect(element)?;
        let (url, desc) = read_fields(element)?;
        Ok(Self { url, desc })
    }

    fn write(&self) -> Element {
        write_fields(Self::element(), Self::NS, &self.url, self.desc.as_deref())
    }
}

/// `<query xmlns='jabber:iq:oob'/>` in an iq: "fetch this, and tell me when you have".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OobQuery {
    /// The URL; white space around it is removed.
    pub url: String,
    /// A description.
    pub desc: Option<String>,
    /// Session id, with stream initiation only.
    pub sid: Option<String>,
}

impl Payload for OobQuery {
    const NAME: &'static str = "query";
    const NS: &'static str = ns::OOB_IQ;

    fn read(element: &Element) -> Result<Self, ReadError> {
        Self::expect(element)?;
        let (url, desc) = read_fields(element)?;
        Ok(Self { url, desc, sid: element.attr("sid").map(str::to_owned) })
    }

    fn write(&self) -> Element {
        write_fields(Self::element().with_attr_opt("sid", self.sid.as_deref()), Self::NS, &self.url, self.desc.as_deref())
    }
}

/// The first `url` and the first `desc`.
fn read_fields(element: &Element) -> Result<(String, Option<String>), ReadError> {
    let url = element.child("url", element.ns()).and_then(trimmed_text).ok_or_else(|| ReadError::new(element, "no url"))?;
    Ok((url, element.child("desc", element.ns()).and_then(text_of)))
}

fn write_fields(mut element: Element, ns: &'static str, url: &str, desc: Option<&str>) -> Element {
    push_field(&mut element, ns, "url", Some(url));
    push_field(&mut element, ns, "desc", desc);
    element
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    fn url(ns: &'static str, text: &str) -> Element {
        Element::new("url", ns).with_text(text)
    }

    /// Proves: OOB-3-1.
    #[test]
    fn a_url_is_enough_and_is_written_alone() {
        let element = Oob::element().with_child(url(ns::OOB, "https://a.example/x.jpg"));
        let read = Oob::read(&element).unwrap();
        assert_eq!(read, Oob::new("https://a.example/x.jpg"));
        assert_eq!(read.write(), element);
    }

    /// Proves: OOB-2-1.
    #[test]
    fn the_iq_form_has_a_session_and_a_description() {
        let element = OobQuery::element()
            .with_attr("sid", "a0")
            .with_child(url(ns::OOB_IQ, "http://www.shakespeare.lit/files/letter.txt"))
            .with_text_child("desc", "A letter");
        let read = OobQuery::read(&element).unwrap();
        assert_eq!((read.sid.as_deref(), read.desc.as_deref()), (Some("a0"), Some("A letter")));
        assert_eq!(read.write(), element);
    }

    /// Proves: OOB-5-1.
    #[test]
    fn any_scheme_is_kept_and_unknown_children_are_ignored() {
        let element =
            Oob::element().with_child(Element::new("x", "urn:example")).with_child(url(ns::OOB, "\n  aesgcm://a.example/x#00 \n"));
        assert_eq!(Oob::read(&element).unwrap().url, "aesgcm://a.example/x#00");
    }

    #[test]
    fn without_a_url_it_means_nothing() {
        assert!(Oob::read(&Oob::element()).is_err());
        assert!(Oob::read(&Oob::element().with_child(url(ns::OOB, " \n "))).is_err());
        assert!(Oob::read(&Oob::element().with_child(url("urn:example", "https://a.example"))).is_err());
        assert!(Oob::read(&OobQuery::element()).is_err());
    }
}
