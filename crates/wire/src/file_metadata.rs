//! XEP-0446 File metadata element, v0.2.0 <https://xmpp.org/extensions/xep-0446.html>
//!
//! What a file is called, how large it is, what its bytes hash to. Every field is optional; one that does not parse is dropped
//! with a note and the rest kept (decision 40). The name is as the sender wrote it: it never goes near a file system like that.
//! The same fields are read from the `file` elements of XEP-0234 ([`crate::jingle_file`]), so reading works in any namespace.

use crate::datetime::DateTime;
use crate::element::Element;
use crate::hashes::{Hash, HashUsed, contradiction};
use crate::ns;
use crate::payload::{Payload, ReadError};
use crate::reading::{Dropped, LangText, number, push_field, push_text, put_once, text_of, trimmed_text};
use crate::thumbnails::Thumbnail;

/// `<file/>`: what is said about a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileMetadata {
    /// Name as the sender wrote it, separators and all.
    pub name: Option<String>,
    /// Media type; without one the content counts as `application/octet-stream`.
    pub media_type: Option<String>,
    /// Bytes of the (plain) content.
    pub size: Option<u64>,
    /// Last change.
    pub date: Option<FileDate>,
    /// Descriptions, each in another language.
    pub descs: Vec<LangText>,
    /// Pixels from left to right.
    pub width: Option<u64>,
    /// Pixels from top to bottom.
    pub height: Option<u64>,
    /// Milliseconds of audio or video.
    pub length: Option<u64>,
    /// Hashes of the content, usable or not; no two usable ones contradict each other.
    pub hashes: Vec<Hash>,
    /// Algorithms of hashes still to come.
    pub hash_used: Vec<HashUsed>,
    /// Small pictures of it.
    pub thumbnails: Vec<Thumbnail>,
    /// Whether width and height were read from the old `dimension` (decision 4).
    pub from_dimension: bool,
    /// What was read and dropped.
    pub dropped: Vec<Dropped>,
}

/// The date of a file as it was written and as it was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileDate {
    /// As written by the sender.
    pub written: String,
    /// The moment; approximate when the text named no zone (decision 52). This is what is written.
    pub time: DateTime,
}

impl From<DateTime> for FileDate {
    fn from(time: DateTime) -> Self {
        Self { written: time.to_string(), time }
    }
}

impl FileMetadata {
    /// Reads the fields of a `file` element whose plain children are in its own namespace.
    pub(crate) fn read_fields(element: &Element) -> Result<Self, ReadError> {
        Self::read_fields_and(element, |_| false)
    }

    /// As [`FileMetadata::read_fields`]; children that `taken` says yes to are somebody else's.
    pub(crate) fn read_fields_and(element: &Element, mut taken: impl FnMut(&Element) -> bool) -> Result<Self, ReadError> {
        let mut file = Self::default();
        let mut dimension = None;
        for child in element.children() {
            match child.ns() {
                ns::HASHES_2 | ns::HASHES_1 => file.read_hash(child),
                ns::THUMBS_1 | ns::THUMBS_0 => file.read_thumbnail(child),
                SCHEMA_ORG | SCHEMA_ORG_INSECURE => file.read_schema_org(child),
                own if own == element.ns() => match child.name() {
                    "dimension" | "dimensions" => {
                        put_once(&mut dimension, read_dimension(child), child.name(), "not WxH", &mut file.dropped)
                    }
                    _ if taken(child) => {}
                    _ => file.read_field(child),
                },
                _ => file.dropped.push(Dropped::unknown(child)),
            }
        }
        if let (Some((width, height)), None, None) = (dimension, file.width, file.height) {
            (file.width, file.height, file.from_dimension) = (Some(width), Some(height), true);
        }
        match contradiction(&file.hashes) {
            Some(algo) => Err(ReadError::new(element, format!("two different {algo} hashes"))),
            None => Ok(file),
        }
    }

    fn read_field(&mut self, child: &Element) {
        let dropped = &mut self.dropped;
        match child.name() {
            "name" => put_once(&mut self.name, text_of(child), "name", "empty", dropped),
            // COMPAT(Dino 0.4): media_type beside media-type; COMPAT(Conversations 2.12): mediaType
            "media-type" | "media_type" | "mediaType" => match trimmed_text(child) {
                again if again.is_some() && again == self.media_type => {}
                text => put_once(&mut self.media_type, text, child.name(), "empty", dropped),
            },
            "size" => put_once(&mut self.size, number(&child.text()), "size", "not a number", dropped),
            "date" => put_once(&mut self.date, read_date(child), "date", "not a date and time", dropped),
            "desc" => push_text(&mut self.descs, child, dropped),
            "width" => put_once(&mut self.width, number(&child.text()), "width", "not a number", dropped),
            "height" => put_once(&mut self.height, number(&child.text()), "height", "not a number", dropped),
            "length" => match number(&child.text()) {
                Some(UNKNOWN_LENGTH) => dropped.push(Dropped::new("length", "stands for unknown")),
                length => put_once(&mut self.length, length, "length", "not a number", dropped),
            },
            _ => dropped.push(Dropped::unknown(child)),
        }
    }

    fn read_hash(&mut self, child: &Element) {
        if Hash::matches(child) {
            match Hash::read(child) {
                Ok(hash) => self.push_hash(hash),
                Err(error) => self.dropped.push(Dropped::new("hash", error.why())),
            }
        } else if child.name() == HashUsed::NAME {
            match child.attr("algo") {
                Some(algo) => self.hash_used.push(HashUsed { algo: algo.to_owned() }),
                None => self.dropped.push(Dropped::new("hash-used", "no algorithm is named")),
            }
        } else {
            self.dropped.push(Dropped::unknown(child));
        }
    }

    fn push_hash(&mut self, hash: Hash) {
        if hash.is_announcement() {
            // old form of hash-used
            self.hash_used.extend(hash.algo().map(|algo| HashUsed { algo: algo.to_owned() }));
        }
        if self.hashes.len() >= MAX_HASHES {
            self.dropped.push(Dropped::new("hash", format!("more than {MAX_HASHES}")));
        } else if self.hashes.contains(&hash) {
            self.dropped.push(Dropped::new("hash", "given twice"));
        } else {
            self.hashes.push(hash);
        }
    }

    fn read_thumbnail(&mut self, child: &Element) {
        match Thumbnail::read(child) {
            Ok(_) if self.thumbnails.len() >= MAX_THUMBNAILS => {
                self.dropped.push(Dropped::new("thumbnail", format!("more than {MAX_THUMBNAILS}")));
            }
            Ok(thumbnail) => self.thumbnails.push(thumbnail),
            Err(error) => self.dropped.push(Dropped::new("thumbnail", error.why())),
        }
    }

    /// COMPAT(Cheogram 2.12): width, height and duration of schema.org inside SIMS.
    fn read_schema_org(&mut self, child: &Element) {
        let dropped = &mut self.dropped;
        match child.name() {
            "width" => put_once(&mut self.width, number(&child.text()), "width", "not a number", dropped),
            "height" => put_once(&mut self.height, number(&child.text()), "height", "not a number", dropped),
            "duration" => put_once(&mut self.length, iso_duration_ms(&child.text()), "duration", "not a duration", dropped),
            _ => dropped.push(Dropped::unknown(child)),
        }
    }

    /// Appends the fields that every `file` element has, with namespace `ns`.
    pub(crate) fn write_fields(&self, element: &mut Element, ns: &'static str) {
        push_field(element, ns, "media-type", self.media_type.as_deref());
        push_field(element, ns, "name", self.name.as_deref());
        push_field(element, ns, "date", self.date.as_ref().map(|date| date.time.to_string()));
        push_field(element, ns, "size", self.size.map(|size| size.to_string()));
        element.extend(self.hashes.iter().filter(|hash| !hash.is_announcement()).map(Payload::write));
        element.extend(self.hash_used.iter().map(Payload::write));
        element.extend(self.descs.iter().map(|desc| desc.write(Element::new("desc", ns))));
        element.extend(self.thumbnails.iter().map(Payload::write));
    }
}

impl Payload for FileMetadata {
    const NAME: &'static str = "file";
    const NS: &'static str = ns::FILE_METADATA;

    fn read(element: &Element) -> Result<Self, ReadError> {
        Self::expect(element)?;
        Self::read_fields(element)
    }

    fn write(&self) -> Element {
        let mut element = Self::element();
        self.write_fields(&mut element, Self::NS);
        push_field(&mut element, Self::NS, "width", self.width.map(|width| width.to_string()));
        push_field(&mut element, Self::NS, "height", self.height.map(|height| height.to_string()));
        push_field(&mut element, Self::NS, "length", self.length.map(|length| length.to_string()));
        element
    }
}

/// Namespaces of schema.org as clients write them.
const SCHEMA_ORG: &str = "https://schema.org/";
const SCHEMA_ORG_INSECURE: &str = "http://schema.org/";

/// What Dino writes when it does not know the length (decision 59).
const UNKNOWN_LENGTH: u64 = u32::MAX as u64;

/// More hashes than there are algorithms help nobody.
const MAX_HASHES: usize = 32;

/// More thumbnails than anybody shows.
const MAX_THUMBNAILS: usize = 16;

fn read_date(element: &Element) -> Option<FileDate> {
    let written = trimmed_text(element)?;
    let time = DateTime::parse_lenient(&written)?;
    Some(FileDate { written, time })
}

/// `4096x2160` of XEP-0446 v0.1 and the first SFS drafts.
fn read_dimension(element: &Element) -> Option<(u64, u64)> {
    let text = element.text();
    let (width, height) = text.split_once(['x', 'X', '×'])?;
    Some((number(width)?, number(height)?))
}

/// Milliseconds of `PT1H2M3.5S` (ISO 8601 without years and months, which have no length).
fn iso_duration_ms(text: &str) -> Option<u64> {
    let text = text.trim().strip_prefix('P')?;
    let (days, time) = text.split_once('T').unwrap_or((text, ""));
    let mut total: u64 = 0;
    for (part, units) in [(days, &[('D', 86_400_000)][..]), (time, &[('H', 3_600_000), ('M', 60_000), ('S', 1000)])] {
        let mut rest = part;
        for (unit, ms) in units {
            if let Some((count, behind)) = rest.split_once(*unit) {
                total = total.checked_add(scaled(count, *ms)?)?;
                rest = behind;
            }
        }
        if !rest.is_empty() {
            return None;
        }
    }
    Some(total)
}

/// A decimal number times `unit`, fractions of a millisecond cut off.
fn scaled(text: &str, unit: u64) -> Option<u64> {
    let (whole, fraction) = text.split_once(['.', ',']).unwrap_or((text, ""));
    let is_decimal = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_decimal(whole) || !is_decimal(fraction) {
        return None;
    }
    let fraction = &fraction[..fraction.len().min(9)];
    let part = fraction.bytes().rev().fold(0, |sum, digit| (sum + u64::from(digit - b'0') * unit * 1000) / 10) / 1000;
    whole.parse::<u64>().ok()?.checked_mul(unit)?.checked_add(part)
}
