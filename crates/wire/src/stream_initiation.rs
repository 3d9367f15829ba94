//! XEP-0095 Stream initiation, v1.2 <https://xmpp.org/extensions/xep-0095.html>
//! XEP-0096 SI file transfer, v1.3.1 <https://xmpp.org/extensions/xep-0096.html>
//! XEP-0020 Feature negotiation, v1.6.1 <https://xmpp.org/extensions/xep-0020.html>
//! Status: partial: the form that stream initiation has in it.
//!
//! What was spoken before Jingle: a file is offered with ways to stream it, and the answer names one of them.

use crate::data_form::{DataForm, Field, FieldKind, FieldOption, FormKind};
use crate::datetime::DateTime;
use crate::element::Element;
use crate::file_metadata::FileDate;
use crate::ns;
use crate::payload::{Payload, ReadError};
use crate::reading::{filled, number, text_of};
use crate::stanza::{DefinedCondition, ErrorKind, StanzaError};

/// `<si/>`: an offer, or its answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Si {
    /// Id of the stream; in an offer.
    pub id: Option<String>,
    /// Media type of what is offered.
    pub mime_type: Option<String>,
    /// Namespace of the profile: what sort of thing is offered.
    pub profile: Option<String>,
    /// The file, where it is one; an answer may have one that only names a range.
    pub file: Option<SiFile>,
    /// Ways to stream it, or the one that was chosen.
    pub feature: Option<FeatureNeg>,
    /// Other children, as they came.
    pub others: Vec<Element>,
}

/// `<file/>`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SiFile {
    /// Name as the sender wrote it, separators and all.
    pub name: Option<String>,
    /// Bytes.
    pub size: Option<u64>,
    /// MD5 of the content as 32 hex digits in lower case: may show damage, proves nothing.
    pub md5: Option<String>,
    /// Last change.
    pub date: Option<FileDate>,
    /// A description; in an offer only.
    pub desc: Option<String>,
    /// "Ranges are understood" in an offer, the part that is wanted in an answer.
    pub range: Option<SiRange>,
}

/// `<range/>`: a part of a file, all of it without attributes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SiRange {
    /// First byte; 0 if not said.
    pub offset: Option<u64>,
    /// Bytes; to the end if not said.
    pub length: Option<u64>,
}

/// `<feature/>`: a form of choices, or the choice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeatureNeg {
    /// The form.
    pub form: DataForm,
}

/// The field of the form that names ways to stream.
const STREAM_METHOD: &str = "stream-method";

impl FeatureNeg {
    /// Ways to stream, to choose from; the best first.
    pub fn offer<'m>(methods: impl IntoIterator<Item = &'m str>) -> Self {
        let option = |method: &str| FieldOption { label: None, value: method.to_owned() };
        let mut field = Field::new(STREAM_METHOD).with_kind(FieldKind::ListSingle);
        field.options = methods.into_iter().map(option).collect();
        Self { form: DataForm::new(FormKind::Form).with(field) }
    }

    /// The chosen way.
    #[must_use]
    pub fn choice(method: &str) -> Self {
        Self { form: DataForm::new(FormKind::Submit).with(Field::new(STREAM_METHOD).with_value(method)) }
    }

    /// The ways to choose from, in order.
    pub fn methods(&self) -> impl Iterator<Item = &str> {
        let options = self.form.field(STREAM_METHOD).map(|field| field.options.as_slice()).unwrap_or_default();
        options.iter().take(MAX_METHODS).map(|option| option.value.trim())
    }

    /// The chosen way: exactly one, or none was chosen.
    #[must_use]
    pub fn chosen(&self) -> Option<&str> {
        match self.form.field(STREAM_METHOD)?.values.as_slice() {
            [method] => Some(method.trim()).filter(|method| !method.is_empty()),
            _ => None,
        }
    }
}

impl Payload for FeatureNeg {
    const NAME: &'static str = "feature";
    const NS: &'static str = ns::FEATURE_NEG;

    fn read(element: &Element) -> Result<Self, ReadError> {
        Self::expect(element)?;
        let form = element.payload::<DataForm>().ok_or_else(|| ReadError::new(element, "no form"))??;
        Ok(Self { form })
    }

    fn write(&self) -> Element {
        Self::element().with_child(self.form.write())
    }
}

impl SiRange {
    fn read(element: &Element) -> Result<Self, ReadError> {
        let field = |name: &str| match filled(element, name) {
            None => Ok(None),
            Some(text) => number(text).map(Some).ok_or_else(|| ReadError::new(element, format!("{name} is no number"))),
        };
        Ok(Self { offset: field("offset")?, length: field("length")? })
    }

    fn write(&self) -> Element {
        Element::new("range", ns::SI_FILE_TRANSFER)
            .with_attr_opt("offset", self.offset.map(|offset| offset.to_string()))
            .with_attr_opt("length", self.length.map(|length| length.to_string()))
    }
}

impl Payload for SiFile {
    const NAME: &'static str = "file";
    const NS: &'static str = ns::SI_FILE_TRANSFER;

    fn read(element: &Element) -> Result<Self, ReadError> {
        Self::expect(element)?;
        let range = element.child("range", Self::NS).map(SiRange::read).transpose()?;
        Ok(Self {
            name: filled(element, "name").map(str::to_owned),
            size: element.attr("size").and_then(number),
            md5: element.attr("hash").and_then(read_md5),
            date: filled(element, "date").and_then(read_date),
            desc: element.child("desc", Self::NS).and_then(text_of),
            range,
        })
    }

    fn write(&self) -> Element {
        Self::element()
            .with_attr_opt("name", self.name.as_deref())
            .with_attr_opt("size", self.size.map(|size| size.to_string()))
            .with_attr_opt("hash", self.md5.as_deref())
            .with_attr_opt("date", self.date.as_ref().map(|date| date.time.to_string()))
            .with_child_opt(self.desc.as_ref().map(|desc| Element::new("desc", Self::NS).with_text(desc)))
            .with_child_opt(self.range.as_ref().map(SiRange::write))
    }
}

impl Payload for Si {
    const NAME: &'static str = "si";
    const NS: &'static str = ns::SI;

    fn read(element: &Element) -> Result<Self, ReadError> {
        Self::expect(element)?;
        let own = |attribute| filled(element, attribute).map(str::to_owned);
        let mut read = Self { id: own("id"), mime_type: own("mime-type"), profile: own("profile"), ..Self::default() };
        for child in element.children() {
            if SiFile::matches(child) && read.file.is_none() {
                read.file = Some(SiFile::read(child)?);
            } else if FeatureNeg::matches(child) && read.feature.is_none() {
                read.feature = Some(FeatureNeg::read(child)?);
            } else if read.others.len() < MAX_OTHERS {
                read.others.push(child.clone());
            }
        }
        Ok(read)
    }

    fn write(&self) -> Element {
        Self::element()
            .with_attr_opt("id", self.id.as_deref())
            .with_attr_opt("mime-type", self.mime_type.as_deref())
            .with_attr_opt("profile", self.profile.as_deref())
            .with_child_opt(self.file.as_ref().map(Payload::write))
            .with_child_opt(self.feature.as_ref().map(Payload::write))
            .with_children(self.others.iter().cloned())
    }
}

/// Why an offer is refused (XEP-0095 §4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SiError {
    /// No way to stream fits.
    NoValidStreams,
    /// The profile is not known.
    BadProfile,
    /// The person, or their rules, do not want it.
    Declined,
}

impl SiError {
    /// What a stanza error says about an offer, if it says something.
    #[must_use]
    pub fn of(error: &StanzaError) -> Option<Self> {
        match &error.application {
            Some(application) if application.is("no-valid-streams", ns::SI) => Some(Self::NoValidStreams),
            Some(application) if application.is("bad-profile", ns::SI) => Some(Self::BadProfile),
            _ => (error.condition == DefinedCondition::Forbidden).then_some(Self::Declined),
        }
    }
}

impl From<SiError> for StanzaError {
    fn from(error: SiError) -> Self {
        let bad_request =
            |kind, name: &str| Self::new(DefinedCondition::BadRequest).with_kind(kind).with_application(Element::new(name, ns::SI));
        match error {
            SiError::NoValidStreams => bad_request(ErrorKind::Cancel, "no-valid-streams"),
            SiError::BadProfile => bad_request(ErrorKind::Modify, "bad-profile"),
            SiError::Declined => Self::new(DefinedCondition::Forbidden).with_kind(ErrorKind::Cancel).with_text("Offer declined"),
        }
    }
}

/// More ways than there are.
const MAX_METHODS: usize = 16;

/// More than profiles add.
const MAX_OTHERS: usize = 16;

fn read_md5(text: &str) -> Option<String> {
    let is_md5 = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_md5.then(|| text.to_ascii_lowercase())
}

fn read_date(text: &str) -> Option<FileDate> {
    let time = DateTime::parse_lenient(text).or_else(|| DateTime::parse_legacy(text))?;
    Some(FileDate { written: text.to_owned(), time })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    fn in_example<P: Payload>(file: &str) -> P {
        Element::parse(&testing_corpus::example(file).in_stream()).unwrap().payload::<P>().unwrap().unwrap()
    }

    fn file(attributes: &str, children: &str) -> Result<SiFile, ReadError> {
        let ns = ns::SI_FILE_TRANSFER;
        SiFile::read(&Element::parse(&format!("<file xmlns='{ns}' {attributes}>{children}</file>")).unwrap())
    }

    #[test]
    fn an_offer_has_a_file_and_ways_to_stream_it() {
        let si: Si = in_example("xep-0096/03-complete-profile-usage-in-stream-initiation-offer.xml");
        assert_eq!(
            (si.id.as_deref(), si.profile.as_deref(), si.mime_type.as_deref()),
            (Some("a0"), Some(ns::SI_FILE_TRANSFER), Some("text/plain"))
        );
        let file = si.file.clone().unwrap();
        assert_eq!(
            (file.name.as_deref(), file.size, file.md5.as_deref()),
            (Some("test.txt"), Some(1022), Some("552da749930852c69ae5d2141d3766b1"))
        );
        assert_eq!(file.date.map(|date| date.time.unix()), Some(-14_159_025));
        assert_eq!(si.feature.as_ref().unwrap().methods().collect::<Vec<_>>(), [ns::BYTESTREAMS, ns::IBB]);
        assert_eq!(si.feature, Some(FeatureNeg::offer([ns::BYTESTREAMS, ns::IBB])));
    }

    #[test]
    fn an_answer_names_one_way() {
        let si: Si = in_example("xep-0096/02-simple-profile-usage-in-stream-initiation-result.xml");
        assert_eq!((si.id, si.file), (None, None));
        assert_eq!(si.feature.as_ref().and_then(FeatureNeg::chosen), Some(ns::BYTESTREAMS));
        assert_eq!(si.feature, Some(FeatureNeg::choice(ns::BYTESTREAMS)));
        let other_profile: Si = in_example("xep-0095/05-accept-stream-initiation-with-profile.xml");
        assert_eq!((other_profile.file, other_profile.others.len()), (None, 1));
        let mut two = FeatureNeg::choice(ns::IBB);
        two.form.fields[0].values.push(ns::BYTESTREAMS.to_owned());
        assert_eq!((two.chosen(), FeatureNeg::choice("").chosen()), (None, None));
    }

    #[test]
    fn ranges_of_the_listings_have_what_they_say() {
        let ranges = [(5, None, Some(256)), (6, Some(128), Some(256)), (7, Some(128), None), (8, None, None)];
        for (number, offset, length) in ranges {
            let xml = testing_corpus::example(&format!("xep-0096/0{number}-range.xml")).xml;
            assert_eq!(file("", &xml).unwrap().range, Some(SiRange { offset, length }), "{xml}");
        }
        assert!(file("", "<range offset='-1'/>").is_err() && file("", "<range length='all'/>").is_err());
    }

    #[test]
    fn what_is_broken_about_a_file_counts_as_not_said() {
        let read = file("name='' size='many' hash='abc' date='long ago'", "<desc/><surprise/>").unwrap();
        assert_eq!(read, SiFile::default());
        let old_date = file("date='20060723T02:56:15'", "").unwrap().date;
        assert!(old_date.is_some(), "the form of XEP-0091 is still in use");
    }

    #[test]
    fn refusals_are_those_of_the_document() {
        let of = |file: &str| in_example::<StanzaError>(file);
        let no_streams = of("xep-0095/06-no-valid-streams.xml");
        assert_eq!((StanzaError::from(SiError::NoValidStreams), SiError::of(&no_streams)), (no_streams, Some(SiError::NoValidStreams)));
        let bad_profile = of("xep-0095/07-profile-not-understood.xml");
        assert_eq!(SiError::of(&bad_profile), Some(SiError::BadProfile));
        // §4.2 says modify, the listing cancel
        assert_eq!(StanzaError::from(SiError::BadProfile), bad_profile.with_kind(ErrorKind::Modify));
        let declined = of("xep-0095/08-rejecting-stream-initiation.xml");
        assert_eq!(SiError::of(&declined), Some(SiError::Declined));
        let ours = StanzaError::from(SiError::Declined);
        assert_eq!((ours.condition, ours.kind), (declined.condition, declined.kind));
        assert_eq!(SiError::of(&StanzaError::new(DefinedCondition::ServiceUnavailable)), None);
    }

    #[test]
    fn an_offer_without_a_form_is_refused_and_surplus_children_are_cut_off() {
        let read = |children: &str| Si::read(&Element::parse(&format!("<si xmlns='{}' id='1'>{children}</si>", ns::SI)).unwrap());
        assert!(read(&format!("<feature xmlns='{}'/>", ns::FEATURE_NEG)).is_err());
        assert_eq!(read(&"<surprise xmlns='urn:example'/>".repeat(100)).unwrap().others.len(), MAX_OTHERS);
        let many: Vec<String> = (0..100).map(|method| format!("urn:example:{method}")).collect();
        assert_eq!(FeatureNeg::offer(many.iter().map(String::as_str)).methods().count(), MAX_METHODS);
    }
}
