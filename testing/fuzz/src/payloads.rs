//! Every typed element: whatever can be read is written in a form that reads the same.

use balcony_wire::framing::Limits;
use balcony_wire::{Element, Payload, ReadError, Stanza, *};

type RoundTrip = fn(&Element) -> Option<Result<Element, ReadError>>;

fn round_trip<P: Payload>(element: &Element) -> Option<Result<Element, ReadError>> {
    P::matches(element).then(|| P::read(element).map(|read| read.write()))
}

macro_rules! types {
    ($($path:path),* $(,)?) => { &[$((stringify!($path), round_trip::<$path> as RoundTrip)),*] };
}

/// Every payload type of the crate.
const TYPES: &[(&str, RoundTrip)] = types![
    archive::ArchiveResult,
    attaching::AttachTo,
    bits_of_binary::BitsOfBinary,
    caps::Caps,
    caps2::Caps2,
    carbons::Sent,
    carbons::Received,
    carbons::Enable,
    carbons::Disable,
    data_form::DataForm,
    delay::Delay,
    disco::DiscoInfo,
    disco::DiscoItems,
    encrypted_source::EncryptedSource,
    fallback::Fallback,
    file_input::FileInput,
    file_metadata::FileMetadata,
    file_sharing::FileSharing,
    file_sharing::Sources,
    forwarding::Forwarded,
    hashes::Hash,
    hashes::HashUsed,
    hints::Hint,
    http_upload::SlotRequest,
    http_upload::Slot,
    http_upload::FileTooLarge,
    http_upload::Retry,
    jingle::Jingle,
    jingle_file::JingleFile,
    jingle_pub::JinglePub,
    media_element::MediaElement,
    media_sharing::MediaSharing,
    occupant_id::OccupantId,
    out_of_band::Oob,
    out_of_band::OobQuery,
    ping::Ping,
    references::Reference,
    result_set::ResultSet,
    roster::Roster,
    stanza::StanzaError,
    stanza_ids::OriginId,
    stanza_ids::StanzaId,
    stanza_ids::ReferencedStanza,
    stream::bind::Bind,
    stream::bind::LegacySession,
    stream::bind2::BindRequest,
    stream::bind2::Bound,
    stream::csi::Active,
    stream::csi::Inactive,
    stream::error::StreamError,
    stream::features::StreamFeatures,
    stream::features::StreamLimits,
    stream::sasl::Auth,
    stream::sasl::Challenge,
    stream::sasl::Response,
    stream::sasl::Success,
    stream::sasl::Failure,
    stream::sasl::Abort,
    stream::sasl2::Authenticate,
    stream::sasl2::Challenge,
    stream::sasl2::Response,
    stream::sasl2::Success,
    stream::sasl2::Sasl2Failure,
    stream::sasl2::Continue,
    stream::sasl2::Next,
    stream::sasl2::Abort,
    stream::sasl2::UserAgent,
    stream::sm::Enable,
    stream::sm::Enabled,
    stream::sm::Resume,
    stream::sm::Resumed,
    stream::sm::Failed,
    stream::sm::Ack,
    stream::sm::Request,
    stream::sm::HandledCountTooHigh,
    stream::starttls::StartTls,
    stream::starttls::Proceed,
    stream::starttls::TlsFailure,
    thumbnails::Thumbnail,
    url_data::UrlData,
];

/// XML as a listing.
pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(strict) = Element::parse_within(text, Limits::AFTER_LOGIN) {
        let written = strict.to_xml();
        assert_eq!(Element::parse(&written).as_ref(), Ok(&strict), "{written}");
        assert_eq!(Element::parse_listing(&written).map(|listed| listed.name().to_owned()), Ok(strict.name().to_owned()));
    }
    let Ok(listed) = Element::parse_listing(text) else { return };
    each(&listed, &mut settles);
    if let Ok(stanza) = Stanza::read(listed) {
        let element = stanza.clone().into_element();
        assert_eq!(Stanza::read(element.clone()).as_ref(), Ok(&stanza), "{}", element.to_xml());
    }
}

fn each(element: &Element, see: &mut impl FnMut(&Element)) {
    see(element);
    element.children().for_each(|child| each(child, see));
}

/// What a reader makes of it reads the same again, from the tree and from the wire.
pub(crate) fn settles(element: &Element) {
    for (name, round_trip) in TYPES {
        let Some(Ok(written)) = round_trip(element) else { continue };
        let on_the_wire = Element::parse(&written.to_xml());
        let on_the_wire = on_the_wire.unwrap_or_else(|error| panic!("{name}: {error}: {}", written.to_xml()));
        for tree in [&written, &on_the_wire] {
            let again = round_trip(tree);
            assert_eq!(again, Some(Ok(written.clone())), "{name} does not settle: {}", element.to_xml());
        }
    }
}
