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
                Some(_) if self.hash_used.len() >= MAX_HASHES => {
                    self.dropped.push(Dropped::new("hash-used", format!("more than {MAX_HASHES}")))
                }
                Some(algo) => self.hash_used.push(HashUsed { algo: algo.to_owned() }),
                None => self.dropped.push(Dropped::new("hash-used", "no algo attribute")),
            }
        } else {
            self.dropped.push(Dropped::unknown(child));
        }
    }

    fn push_hash(&mut self, hash: Hash) {
        if hash.is_announcement() && self.hash_used.len() < MAX_HASHES {
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
            Ok(thumbnail) => {
                for (what, read) in [("width", thumbnail.width), ("height", thumbnail.height)] {
                    if read.is_none() && child.attr(what).is_some() {
                        self.dropped.push(Dropped::new(format!("thumbnail {what}"), "not a number"));
                    }
                }
                self.thumbnails.push(thumbnail);
            }
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

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    fn read(children: &str) -> FileMetadata {
        FileMetadata::read(&Element::parse(&format!("<file xmlns='urn:xmpp:file:metadata:0'>{children}</file>")).unwrap()).unwrap()
    }

    /// What was dropped, without the reasons.
    fn dropped(file: &FileMetadata) -> Vec<&str> {
        file.dropped.iter().map(|dropped| dropped.what.as_str()).collect()
    }

    /// Proves: FMD-2-4, FMD-2-8, FMD-2-12.
    #[test]
    fn the_listing_is_read() {
        let file = FileMetadata::read(&Element::parse(&testing_corpus::example("xep-0446/c01-file.xml").xml).unwrap()).unwrap();
        assert_eq!((file.name.as_deref(), file.media_type.as_deref(), file.size), (Some("test.txt"), Some("text/plain"), Some(6144)));
        let date = file.date.unwrap();
        assert_eq!((date.written.as_str(), date.time.unix()), ("2015-07-26T21:46:00+01:00", 1_437_943_560));
        assert_eq!(file.hashes[0].digest().unwrap().to_hex(), "c3499c2729730a7f807efb8676a92dcb6f8a3f8f");
        assert_eq!(file.dropped, []);
    }

    /// Proves: FMD-2-2, FMD-2-3, FMD-2-5, FMD-2-6, FMD-2-7, FMD-2-13.
    #[test]
    fn every_field_is_written_and_read_again() {
        let file = FileMetadata {
            name: Some("très cool.jpg".to_owned()),
            media_type: Some("image/jpeg".to_owned()),
            size: Some(u64::MAX),
            date: DateTime::parse("2025-06-15T10:00:00Z").map(FileDate::from),
            descs: vec![LangText::plain("The view"), LangText { lang: Some("de".to_owned()), text: "Die Aussicht".to_owned() }],
            width: Some(4096),
            height: Some(2160),
            length: Some(1500),
            hashes: vec![Hash::from(crate::hashes::Digest::new(crate::hashes::HashAlgo::Sha256, [7; 32]).unwrap())],
            hash_used: vec![HashUsed { algo: "sha3-256".to_owned() }],
            thumbnails: vec![Thumbnail { uri: "cid:a@b".to_owned(), media_type: None, width: Some(128), height: None }],
            ..FileMetadata::default()
        };
        assert_eq!(FileMetadata::read(&file.write()).unwrap(), file);
        assert_eq!(FileMetadata::read(&Element::parse(&file.write().to_xml()).unwrap()).unwrap(), file);
    }

    /// Proves: FMD-2-1, FMD-D-3.
    #[test]
    fn everything_may_be_absent_and_unknown_children_are_ignored() {
        assert_eq!(read(""), FileMetadata::default());
        let file = read("<color>red</color><x xmlns='urn:example'><name>no</name></x><size>1</size>");
        assert_eq!((file.size, file.name.as_deref()), (Some(1), None));
        assert_eq!(dropped(&file), ["{urn:xmpp:file:metadata:0}color", "{urn:example}x"]);
    }

    /// Decision 40.
    /// Proves: FMD-D-2.
    #[test]
    fn a_bad_field_costs_only_itself() {
        let file = read(
            "<name/><size>-1</size><date>yesterday</date><width>1.5</width><height>0x10</height><length></length><media-type> </media-type>\
             <hash xmlns='urn:xmpp:hashes:2'>AAAA</hash><hash-used xmlns='urn:xmpp:hashes:2'/><thumbnail xmlns='urn:xmpp:thumbs:1'/><desc>d</desc>",
        );
        assert_eq!(dropped(&file), ["name", "size", "date", "width", "height", "length", "media-type", "hash-used", "thumbnail"]);
        assert_eq!((file.descs.len(), file.hashes.len()), (1, 1));
        assert!(!file.hashes[0].is_usable());
    }

    /// Decisions 40 and 60.
    /// Proves: FMD-D-4.
    #[test]
    fn of_a_repeated_field_the_first_counts() {
        let file = read("<name>a</name><name>b</name><size>1</size><size>2</size><desc>a</desc><desc>b</desc><desc xml:lang='de'>c</desc>");
        assert_eq!((file.name.as_deref(), file.size), (Some("a"), Some(1)));
        assert_eq!(file.descs.iter().map(|desc| desc.text.as_str()).collect::<Vec<_>>(), ["a", "c"]);
        assert_eq!(dropped(&file), ["name", "size", "desc"]);
    }

    /// Decision 4.
    /// Proves: FMD-D-1.
    #[test]
    fn the_first_drafts_had_a_dimension() {
        for name in ["dimension", "dimensions"] {
            let file = read(&format!("<{name}>4096x2160</{name}>"));
            assert_eq!((file.width, file.height, file.from_dimension), (Some(4096), Some(2160), true));
            assert!(file.write().children().all(|child| child.name() != name));
        }
        let both = read("<width>1</width><height>2</height><dimension>4096x2160</dimension>");
        assert_eq!((both.width, both.height, both.from_dimension), (Some(1), Some(2), false));
        assert_eq!(dropped(&read("<dimension>big</dimension>")), ["dimension"]);
    }

    /// Decision 59.
    #[test]
    fn dino_writes_media_type_twice_and_an_unknown_length() {
        let file = read("<media-type>image/png</media-type><media_type>image/png</media_type><length>4294967295</length>");
        assert_eq!((file.media_type.as_deref(), file.length), (Some("image/png"), None));
        assert_eq!(dropped(&file), ["length"]);
    }

    #[test]
    fn conversations_writes_media_type_in_camel_case() {
        assert_eq!(read("<mediaType>image/png</mediaType>").media_type.as_deref(), Some("image/png"));
    }

    /// Decision 52.
    #[test]
    fn psi_and_slixmpp_write_dates_without_a_zone_and_gajim_with_two() {
        for (text, approximate) in [
            ("2024-05-01T10:20:30", true),        // Psi
            ("2024-05-01T10:20:30.123456", true), // slixmpp
            ("2024-05-01T10:20:30+00:00Z", true), // Gajim
            ("2024-05-01T12:20:30+02:00", false),
        ] {
            let date = read(&format!("<date>{text}</date>")).date.unwrap();
            assert_eq!((date.written.as_str(), date.time.unix(), date.time.is_approximate()), (text, 1_714_558_830, approximate));
        }
    }

    #[test]
    fn old_cheogram_measures_in_schema_org() {
        let file = read(
            "<width xmlns='https://schema.org/'>640</width><height xmlns='https://schema.org/'>480</height>\
             <duration xmlns='https://schema.org/'>PT1M2.5S</duration>",
        );
        assert_eq!((file.width, file.height, file.length), (Some(640), Some(480), Some(62_500)));
        for (text, ms) in [("PT12S", Some(12_000)), ("P1DT1H", Some(90_000_000)), ("PT0.0009S", Some(0)), ("P1M", None), ("12", None)] {
            assert_eq!(iso_duration_ms(text), ms, "{text}");
        }
        assert_eq!(iso_duration_ms("PT99999999999999999999S"), None);
        assert_eq!(iso_duration_ms(&format!("PT{}H", u64::MAX)), None);
    }

    #[test]
    fn kaidan_sends_thumbnails_of_no_pixels() {
        let file = read("<thumbnail xmlns='urn:xmpp:thumbs:1' uri='cid:a@b' width='0' height='0'/>");
        assert_eq!((file.thumbnails.len(), dropped(&file)), (0, vec!["thumbnail"]));
    }

    #[test]
    fn an_empty_hash_of_older_offers_announces_its_algorithm() {
        let file = read("<hash xmlns='urn:xmpp:hashes:1' algo='sha-1'/>");
        assert_eq!(file.hash_used, [HashUsed { algo: "sha-1".to_owned() }]);
        assert!(file.write().child("hash-used", ns::HASHES_2).is_some());
    }

    /// Proves: HASH-3-2.
    #[test]
    fn two_values_of_one_algorithm_make_the_file_unreadable() {
        let hash = |algo, byte: u8| Hash::from(crate::hashes::Digest::new(algo, [byte; 32]).unwrap()).write();
        let (sha, other) = (hash(crate::hashes::HashAlgo::Sha256, 1), hash(crate::hashes::HashAlgo::Sha256, 2));
        let twice = FileMetadata::element().with_child(sha.clone()).with_child(sha.clone());
        assert_eq!(FileMetadata::read(&twice).unwrap().hashes.len(), 1);
        let error = FileMetadata::read(&FileMetadata::element().with_child(sha).with_child(other)).unwrap_err();
        assert_eq!(error.why(), "two different sha-256 hashes");
    }

    #[test]
    fn hostile_numbers_of_children_stay_bounded() {
        let hashes: String = (0..200).map(|n| format!("<hash xmlns='urn:xmpp:hashes:2' algo='x{n}'>A</hash>")).collect();
        let thumbnails = "<thumbnail xmlns='urn:xmpp:thumbs:1' uri='cid:a@b'/>".repeat(200);
        let used = "<hash-used xmlns='urn:xmpp:hashes:2' algo='a'/>".repeat(200);
        let descs: String = (0..200).map(|n| format!("<desc xml:lang='l{n}'>x</desc>")).collect();
        let file = read(&(hashes + &thumbnails + &used + &descs));
        assert_eq!(
            (file.hashes.len(), file.thumbnails.len(), file.hash_used.len(), file.descs.len()),
            (MAX_HASHES, MAX_THUMBNAILS, MAX_HASHES, 64)
        );
        assert!(FileMetadata::read(&Element::new("file", "urn:example")).is_err());
    }
}
