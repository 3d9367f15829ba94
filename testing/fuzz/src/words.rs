//! Small things that peers write: media types, hash names, dates, base64, content ids.

use balcony_sharing::MediaType;
use balcony_wire::bits_of_binary::ContentId;
use balcony_wire::datetime::{self, DateTime};
use balcony_wire::ni::NiUri;
use balcony_wire::{base64, caps2, text};

/// A word.
pub(crate) fn run(data: &[u8]) {
    let encoded = base64::encode(data);
    assert_eq!(base64::decode(&encoded).as_deref(), Ok(data));
    if let Some(name) = NiUri::from_binary(data) {
        names_the_same(&name);
    }
    let Ok(word) = std::str::from_utf8(data) else { return };
    let media_type = MediaType::from_peer(word);
    assert_eq!(MediaType::from_peer(media_type.as_str()), media_type);
    assert!(media_type.as_str().bytes().all(|byte| byte.is_ascii_graphic()) && media_type.as_str().len() <= 255, "{media_type}");
    assert!(media_type.is_accepted_by("*/*") && media_type.is_accepted_by(media_type.as_str()));
    let _either = media_type.is_accepted_by(word);
    for date in [DateTime::parse(word), DateTime::parse_lenient(word), DateTime::parse_legacy(word)].into_iter().flatten() {
        assert_eq!(DateTime::parse(&date.to_string()).map(|date| (date.unix(), date.nanosecond())), Some((date.unix(), date.nanosecond())));
        let _in_range = date.to_system_time();
    }
    let _either = (datetime::is_date(word), datetime::is_time(word), caps2::parse_node(word));
    if let Some(name) = NiUri::parse(word) {
        names_the_same(&name);
    }
    if let Ok(bytes) = base64::decode(word) {
        assert_eq!(base64::decode(&base64::encode(&bytes)), Ok(bytes));
    }
    for cid in [ContentId::from_uri(word), Some(ContentId::new(word))].into_iter().flatten().filter(|cid| !cid.as_str().is_empty()) {
        assert_eq!(ContentId::from_uri(&cid.to_uri()).as_ref(), Some(&cid), "{}", cid.to_uri());
        let _either = cid.digest();
    }
    ranges(word);
}

fn names_the_same(name: &NiUri) {
    assert_eq!(NiUri::parse(&name.to_string()).as_ref(), Some(name), "{name}");
    let spoken = NiUri::parse(&name.to_speakable()).unwrap();
    assert_eq!((spoken.algo(), spoken.digest()), (name.algo(), name.digest()));
    let _either = name.well_known("https");
}

fn ranges(word: &str) {
    let length = text::count(word);
    assert_eq!(text::slice(word, &(0..length)), Some(word));
    assert_eq!(text::slice(word, &(0..length + 1)), None);
    let half = length / 2;
    let both = [text::slice(word, &(0..half)), text::slice(word, &(half..length))].map(Option::unwrap_or_default).concat();
    assert_eq!(both, word);
    assert_eq!(text::without(word, &[0..half, half..length]), "");
}
