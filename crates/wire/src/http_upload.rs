//! XEP-0363 HTTP file upload, v1.2.0 <https://xmpp.org/extensions/xep-0363.html>
//!
//! Asking for the right to PUT one file, the answer, and the two errors of its own. Only three headers of a slot ever reach an
//! HTTP request, without line breaks; the rest is dropped when reading. Whether the URLs are https is judged elsewhere.

use crate::datetime::DateTime;
use crate::element::Element;
use crate::ns;
use crate::payload::{Payload, ReadError};
use crate::reading::{Dropped, filled, is_xml_space, number, push_field};

/// `<request/>`: the right to upload one file is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotRequest {
    /// Name of the file.
    pub filename: String,
    /// Bytes of what will be sent, encrypted or not. 0 can be read, so that it can be refused (decision 18).
    pub size: u64,
    /// Media type.
    pub content_type: Option<String>,
    /// What for; without one `message` is assumed.
    pub purpose: Option<Purpose>,
}

impl Payload for SlotRequest {
    const NAME: &'static str = "request";
    const NS: &'static str = ns::UPLOAD;

    fn read(element: &Element) -> Result<Self, ReadError> {
        Self::expect(element)?;
        let size = number(element.required("size")?).ok_or_else(|| ReadError::new(element, "size is not a number"))?;
        let purpose = element.children().find(|child| child.ns() == ns::UPLOAD_PURPOSE).map(Purpose::read).transpose()?;
        Ok(Self {
            filename: element.required("filename")?.to_owned(),
            size,
            content_type: filled(element, "content-type").map(str::to_owned),
            purpose,
        })
    }

    fn write(&self) -> Element {
        Self::element()
            .with_attr("filename", &self.filename)
            .with_attr("size", self.size.to_string())
            .with_attr_opt("content-type", self.content_type.as_deref())
            .with_child_opt(self.purpose.as_ref().map(Purpose::write))
    }
}

/// What an upload is for, XEP-0363 §5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To be sent in a message.
    Message,
    /// Avatars and the like: long-lived, small, few.
    Profile,
    /// Gone at that time at the latest.
    Ephemeral {
        /// When it must be gone.
        expire_before: DateTime,
    },
    /// To stay.
    Permanent,
}

impl Purpose {
    /// Name of the element, and of the feature behind `urn:xmpp:http:upload:purpose:0#`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Profile => "profile",
            Self::Ephemeral { .. } => "ephemeral",
            Self::Permanent => "permanent",
        }
    }

    /// An unknown purpose is an error: storing a file for another time than asked for is worse than not storing it.
    fn read(element: &Element) -> Result<Self, ReadError> {
        match element.name() {
            "message" => Ok(Self::Message),
            "profile" => Ok(Self::Profile),
            "permanent" => Ok(Self::Permanent),
            "ephemeral" => match DateTime::parse(element.required("expire-before")?) {
                Some(expire_before) => Ok(Self::Ephemeral { expire_before }),
                None => Err(ReadError::new(element, "expire-before is not a date and time")),
            },
            _ => Err(ReadError::new(element, "unknown purpose")),
        }
    }

    fn write(&self) -> Element {
        let expiry = match self {
            Self::Ephemeral { expire_before } => Some(expire_before.to_string()),
            _ => None,
        };
        Element::new(self.name(), ns::UPLOAD_PURPOSE).with_attr_opt("expire-before", expiry)
    }
}

/// `<slot/>`: where to PUT the file, and where it can be had afterwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Where to PUT.
    pub put_url: String,
    /// Headers of the PUT, in order, a name any number of times.
    pub headers: Vec<SlotHeader>,
    /// Where to GET.
    pub get_url: String,
    /// Headers that were dropped.
    pub dropped: Vec<Dropped>,
}

impl Slot {
    /// A slot without headers.
    pub fn new(put_url: impl Into<String>, get_url: impl Into<String>) -> Self {
        Self { put_url: put_url.into(), headers: Vec::new(), get_url: get_url.into(), dropped: Vec::new() }
    }
}

impl Payload for Slot {
    const NAME: &'static str = "slot";
    const NS: &'static str = ns::UPLOAD;

    fn read(element: &Element) -> Result<Self, ReadError> {
        Self::expect(element)?;
        let child = |name| element.child(name, Self::NS).ok_or_else(|| ReadError::new(element, format!("no {name}")));
        let url = |child: &Element| match child.required("url")?.trim_matches(is_xml_space) {
            "" => Err(ReadError::new(element, format!("the url of {} is empty", child.name()))),
            url => Ok(url.to_owned()),
        };
        let (put, get) = (child("put")?, child("get")?);
        let mut slot = Self::new(url(put)?, url(get)?);
        for header in put.children_named("header", Self::NS) {
            match SlotHeader::new(header.attr("name").unwrap_or_default(), &header.text()) {
                Some(_) if slot.headers.len() >= MAX_HEADERS => slot.dropped.push(Dropped::new("header", "too many")),
                Some(header) => slot.headers.push(header),
                None => slot.dropped.push(Dropped::new("header", "only Authorization, Cookie and Expires are sent")),
            }
        }
        Ok(slot)
    }

    fn write(&self) -> Element {
        let element = |name, url: &str| Element::new(name, Self::NS).with_attr("url", url);
        let header = |header: &SlotHeader| Element::new("header", Self::NS).with_attr("name", header.name()).with_text(header.value());
        let put = element("put", &self.put_url).with_children(self.headers.iter().map(header));
        Self::element().with_child(put).with_child(element("get", &self.get_url))
    }
}

/// A header of a slot that may be sent: one of three names, no line breaks.
#[derive(Clone, PartialEq, Eq)]
pub struct SlotHeader {
    name: &'static str,
    value: String,
}

impl SlotHeader {
    /// Removes line breaks, then looks at the name without case; `None` for other headers (XEP-0363 §4, §9.2).
    pub fn new(name: &str, value: &str) -> Option<Self> {
        let unbroken = |text: &str| text.replace(['\r', '\n'], "");
        let name = unbroken(name);
        let name = ALLOWED_HEADERS.into_iter().find(|allowed| allowed.eq_ignore_ascii_case(&name))?;
        Some(Self { name, value: unbroken(value) })
    }

    /// The name, in the usual spelling.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The value: opaque, and often a secret.
    pub fn value(&self) -> &str {
        &self.value
    }
}

/// Values are secrets.
impl std::fmt::Debug for SlotHeader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: …", self.name)
    }
}

/// The only headers of a slot that are sent.
const ALLOWED_HEADERS: [&str; 3] = ["Authorization", "Cookie", "Expires"];

/// More headers than any service needs.
const MAX_HEADERS: usize = 32;

/// `<file-too-large/>` in an error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileTooLarge {
    /// The limit in bytes, if told.
    pub max_file_size: Option<u64>,
}

impl Payload for FileTooLarge {
    const NAME: &'static str = "file-too-large";
    const NS: &'static str = ns::UPLOAD;

    fn read(element: &Element) -> Result<Self, ReadError> {
        Self::expect(element)?;
        Ok(Self { max_file_size: element.child_text("max-file-size").and_then(|text| number(&text)) })
    }

    fn write(&self) -> Element {
        let mut element = Self::element();
        push_field(&mut element, Self::NS, "max-file-size", self.max_file_size.map(|size| size.to_string()));
        element
    }
}

/// `<retry/>` in an error: ask again after that time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// When to ask again.
    pub stamp: DateTime,
}

impl Payload for Retry {
    const NAME: &'static str = "retry";
    const NS: &'static str = ns::UPLOAD;

    fn read(element: &Element) -> Result<Self, ReadError> {
        Self::expect(element)?;
        let stamp = DateTime::parse(element.required("stamp")?);
        Ok(Self { stamp: stamp.ok_or_else(|| ReadError::new(element, "stamp is not a date and time"))? })
    }

    fn write(&self) -> Element {
        Self::element().with_attr("stamp", self.stamp.to_string())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    fn request() -> Element {
        SlotRequest::element().with_attr("filename", "très cool.jpg").with_attr("size", "23456").with_attr("content-type", "image/jpeg")
    }

    fn slot(headers: impl IntoIterator<Item = (String, String)>) -> Element {
        let header = |(name, value)| Element::new("header", ns::UPLOAD).with_attr("name", name).with_text(value);
        let put = Element::new("put", ns::UPLOAD).with_attr("url", "https://upload.montague.tld/4a/tr%C3%A8s%20cool.jpg");
        let get = Element::new("get", ns::UPLOAD).with_attr("url", "https://download.montague.tld/4a/tr%C3%A8s%20cool.jpg");
        Slot::element().with_child(put.with_children(headers.into_iter().map(header))).with_child(get)
    }

    /// Proves: HUP-4-2, HUP-4-3, HUP-5-1, HUP-5.3-1.
    #[test]
    fn a_request_is_read_and_written_back_with_every_purpose() {
        let expire_before = DateTime::parse("2025-09-10T23:08:25Z").unwrap();
        for purpose in [Purpose::Message, Purpose::Profile, Purpose::Ephemeral { expire_before }, Purpose::Permanent] {
            let element = request().with_child(purpose.write());
            let read = SlotRequest::read(&element).unwrap();
            assert_eq!(read.purpose, Some(purpose));
            assert_eq!(read.write(), element);
        }
        let plain = SlotRequest::element().with_attr("filename", "a").with_attr("size", "1").with_child(Element::new("x", "urn:example"));
        let read = SlotRequest::read(&plain).unwrap();
        assert_eq!((read.content_type, read.purpose), (None, None));
    }

    /// Proves: HUP-4-4, HUP-4-9, HUP-4-11, HUP-4-12, HUP-4-13, SEC-3-5.
    #[test]
    fn headers_of_the_vectors_are_sent_exactly_as_they_say() {
        let pair = |pair: &serde_json::Value| (pair[0].as_str().unwrap().to_owned(), pair[1].as_str().unwrap().to_owned());
        for case in testing_corpus::cases("upload-headers") {
            let given: Vec<_> = case["slot_headers"].as_array().unwrap().iter().map(pair).collect();
            let sent: Vec<_> = case["sent_headers"].as_array().unwrap().iter().map(pair).collect();
            let read = Slot::read(&slot(given.clone())).unwrap();
            let kept: Vec<_> = read.headers.iter().map(|header| (header.name().to_owned(), header.value().to_owned())).collect();
            assert_eq!(kept, sent, "{case}");
            assert_eq!(read.dropped.len(), given.len() - sent.len());
            assert_eq!(Slot::read(&read.write()).unwrap().headers, read.headers);
        }
    }

    /// Proves: HUP-6-1, HUP-6-4.
    #[test]
    fn errors_name_the_limit_and_the_time_to_come_back() {
        let large = FileTooLarge::element().with_text_child("max-file-size", "20000");
        assert_eq!(FileTooLarge::read(&large).unwrap().write(), large);
        assert_eq!(FileTooLarge::read(&FileTooLarge::element().with_text_child("max-file-size", "a lot")).unwrap().max_file_size, None);
        assert_eq!(FileTooLarge::read(&FileTooLarge::element()).unwrap().max_file_size, None);
        let retry = Retry::element().with_attr("stamp", "2017-12-03T23:42:05Z");
        assert_eq!(Retry::read(&retry).unwrap().write(), retry);
        assert!(Retry::read(&Retry::element()).is_err());
        assert!(Retry::read(&Retry::element().with_attr("stamp", "soon")).is_err());
    }

    #[test]
    fn a_request_that_cannot_be_kept_is_refused() {
        let without = |attribute: &str| {
            let mut element = request();
            element.remove_attr(attribute);
            element
        };
        assert!(SlotRequest::read(&without("size")).is_err());
        assert!(SlotRequest::read(&without("filename")).is_err());
        for size in ["-1", "", "1e9", "18446744073709551616"] {
            assert!(SlotRequest::read(&request().with_attr("size", size)).is_err(), "{size}");
        }
        let purpose = |name: &str| request().with_child(Element::new(name, ns::UPLOAD_PURPOSE));
        assert!(SlotRequest::read(&purpose("ephemeral")).is_err());
        assert!(SlotRequest::read(&purpose("eternal")).is_err());
        assert_eq!(SlotRequest::read(&request().with_attr("size", "0")).unwrap().size, 0);
    }

    #[test]
    fn a_slot_without_both_urls_is_none() {
        assert!(Slot::read(&Slot::element()).is_err());
        let mut half = slot([]);
        half.take_children(|child| child.name() == "get");
        assert!(Slot::read(&half).is_err());
        assert!(
            Slot::read(&Slot::element().with_child(Element::new("put", ns::UPLOAD)).with_child(Element::new("get", ns::UPLOAD))).is_err()
        );
        let many = slot((0..1000).map(|n| ("Cookie".to_owned(), format!("a={n}"))));
        assert_eq!(Slot::read(&many).unwrap().headers.len(), MAX_HEADERS);
    }

    #[test]
    fn values_of_headers_never_show_in_debug() {
        assert!(!format!("{:?}", SlotHeader::new("authorization", "secret")).contains("secret"));
    }
}
