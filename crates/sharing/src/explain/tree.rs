//! The elements of a reading as plain data.
//!
//! XEP-0264 Jingle content thumbnails, v0.4.2 <https://xmpp.org/extensions/xep-0264.html>

use std::borrow::Cow;

use balcony_wire::Jid;
use balcony_wire::encrypted_source::EncryptedSource;
use balcony_wire::fallback::{Fallback, Region};
use balcony_wire::file_metadata::{FileDate, FileMetadata};
use balcony_wire::file_sharing::SourceElement;
use balcony_wire::hashes::{Digest, Hash, HashAlgo};
use balcony_wire::jingle_pub::JinglePub;
use balcony_wire::media_element::{MediaElement, MediaUri};
use balcony_wire::reading::LangText;
use balcony_wire::thumbnails::Thumbnail;
use balcony_wire::url_data::{HttpData, HttpDataKind, UrlData};

use super::value::{Value, object};
use crate::dialect::read::nobody;
use crate::dialect::{Attach, Picture, PictureAt, Share};
use crate::{Disposition, Source, UnknownSource};

pub(super) fn share(share: &Share) -> Value {
    object([
        ("via", share.via.as_str().into()),
        ("id", share.id.as_deref().into()),
        ("disposition", share.disposition.map(Disposition::as_str).into()),
        ("begin", share.begin.as_deref().into()),
        ("end", share.end.as_deref().into()),
        ("file", share.file.as_ref().map(file).into()),
        ("sources", Value::list(share.sources.iter().map(source))),
        ("pending", share.is_pending().into()),
    ])
}

pub(super) fn attach(attach: &Attach) -> Value {
    object([
        ("to", attach.to.as_str().into()),
        ("share_id", attach.share_id.as_deref().into()),
        ("sources", Value::list(attach.sources.iter().map(source))),
    ])
}

pub(super) fn file(file: &FileMetadata) -> Value {
    object([
        ("name", file.name.as_deref().into()),
        ("media_type", file.media_type.as_deref().into()),
        ("size", file.size.into()),
        ("date", file.date.as_ref().map(date).into()),
        ("desc", Value::list(file.descs.iter().map(desc))),
        ("width", file.width.into()),
        ("height", file.height.into()),
        ("length_ms", file.length.into()),
        ("from_dimension", Some(true).filter(|_| file.from_dimension).into()),
        ("hash_used", Value::list(file.hash_used.iter().map(|used| used.algo.as_str().into()))),
        ("hashes", Value::list(file.hashes.iter().map(hash))),
        ("thumbnails", Value::list(file.thumbnails.iter().map(thumbnail))),
    ])
}

fn date(date: &FileDate) -> String {
    date.written.clone()
}

fn desc(desc: &LangText) -> Value {
    object([("lang", desc.lang.as_deref().into()), ("text", desc.text.as_str().into())])
}

fn hash(hash: &Hash) -> Value {
    object([
        ("algo", hash.algo().into()),
        ("canonical", hash.canonical().map(HashAlgo::name).into()),
        ("usable", hash.is_usable().into()),
        ("digest_hex", hash.digest().map(Digest::to_hex).into()),
        ("why", hash.why().map(|why| why.to_string()).into()),
    ])
}

fn thumbnail(thumbnail: &Thumbnail) -> Value {
    object([
        ("uri", thumbnail.uri.as_str().into()),
        ("media_type", thumbnail.media_type.as_deref().into()),
        ("width", thumbnail.width.into()),
        ("height", thumbnail.height.into()),
    ])
}

fn source(source: &Source) -> Value {
    match source {
        Source::Url(source) => url(&source.target, &source.http),
        Source::Encrypted(source) => encrypted(source),
        Source::Published { from, id, applications } => {
            let named = Some(from).filter(|from| Some(*from) != nobody().as_ref());
            published(named, id, applications.iter().map(String::as_str))
        }
        Source::Session { peer, sid, content } => object([
            ("type", "session".into()),
            ("peer", peer.as_str().into()),
            ("sid", sid.as_str().into()),
            ("content", content.as_str().into()),
        ]),
        Source::Stream { peer, sid } => object([("type", "stream".into()), ("peer", peer.as_str().into()), ("sid", sid.as_str().into())]),
        Source::ByHash { uri, .. } | Source::Unknown(UnknownSource::Uri(uri)) => unknown("uri", uri),
        Source::Carried { cid } | Source::Bits { cid, .. } => unknown("uri", &cid.to_uri()),
        Source::Unknown(UnknownSource::Element(name)) => unknown("element", name),
    }
}

fn unknown(key: &'static str, what: &str) -> Value {
    object([("type", "unknown".into()), (key, what.into())])
}

fn url(target: &str, data: &[HttpData]) -> Value {
    object([("type", "url".into()), ("url", target.into()), ("http", Value::list(data.iter().map(http)))])
}

fn published<'a>(from: Option<&Jid>, id: &str, applications: impl Iterator<Item = &'a str>) -> Value {
    let applications = Value::list(applications.map(Into::into));
    object([("type", "jinglepub".into()), ("from", from.map(Jid::as_str).into()), ("id", id.into()), ("applications", applications)])
}

fn encrypted(source: &EncryptedSource) -> Value {
    object([
        ("type", "encrypted".into()),
        ("cipher", source.cipher.as_str().into()),
        ("key", source.key.as_str().into()),
        ("iv", source.iv.as_str().into()),
        ("hashes", Value::list(source.hashes.iter().map(hash))),
        ("sources", Value::list(source.sources.iter().flatten().map(element))),
    ])
}

fn element(source: &SourceElement) -> Value {
    match source {
        SourceElement::Url(data) => url(&data.target, &data.http),
        SourceElement::Encrypted(inner) => encrypted(inner),
        SourceElement::JinglePub(session) => published_element(session),
        SourceElement::Unknown(element) => unknown("element", &element.qualified_name()),
    }
}

fn published_element(session: &JinglePub) -> Value {
    published(session.from.as_ref(), &session.id, session.applications())
}

fn http(data: &HttpData) -> Value {
    let refused = ("refused", Some(true).filter(|_| data.refused.is_some()).into());
    let kind = ("kind", data.name_of_kind().into());
    match &data.kind {
        HttpDataKind::Auth { scheme, params } => {
            let params = params.iter().map(|(name, value)| (Cow::Owned(name.clone()), value.as_str().into())).collect();
            object([kind, ("scheme", scheme.as_str().into()), ("params", Value::Object(params)), refused])
        }
        HttpDataKind::Header { name, value } => object([kind, ("name", name.as_str().into()), ("value", value.as_str().into()), refused]),
        HttpDataKind::Cookie { name, value, attributes } => object([
            kind,
            ("name", name.as_str().into()),
            ("value", value.as_str().into()),
            ("domain", attributes.domain.as_deref().into()),
            ("path", attributes.path.as_deref().into()),
            ("max-age", attributes.max_age.as_deref().into()),
            ("secure", attributes.secure.as_deref().into()),
            ("comment", attributes.comment.as_deref().into()),
            ("version", attributes.version.as_deref().into()),
            refused,
        ]),
    }
}

pub(super) fn picture(picture: &Picture) -> Value {
    let (at, offer) = match &picture.at {
        PictureAt::Offer(index) => ("offer".to_owned(), Some(*index)),
        PictureAt::Bits(cid) => (cid.to_uri(), None),
        PictureAt::Data(data) => (format!("{} bytes in the text", data.len()), None),
        PictureAt::Url(url) => (url.to_string(), None),
        PictureAt::Nowhere => ("nowhere".to_owned(), None),
    };
    object([("at", at.into()), ("offer", offer.into()), ("alt", picture.alt.as_deref().into())])
}

pub(super) fn medium(medium: &MediaElement) -> Value {
    let uri = |uri: &MediaUri| object([("uri", uri.uri.as_str().into()), ("media_type", uri.media_type.as_deref().into())]);
    object([("width", medium.width.into()), ("height", medium.height.into()), ("uris", Value::list(medium.uris.iter().map(uri)))])
}

pub(super) fn url_data(data: &UrlData) -> Value {
    object([
        ("url", data.target.as_str().into()),
        ("sid", data.sid.as_deref().into()),
        ("desc", Value::list(data.descs.iter().map(|desc| desc.text.as_str().into()))),
        ("http", Value::list(data.http.iter().map(http))),
    ])
}

pub(super) fn fallback(fallback: &Fallback) -> Value {
    let region = |region: &Region| object([("of", region.of.as_str().into()), ("start", region.start.into()), ("end", region.end.into())]);
    object([("for", fallback.for_ns.as_deref().into()), ("regions", Value::list(fallback.regions.iter().map(region)))])
}
