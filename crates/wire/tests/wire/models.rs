//! The readings that `vectors/models.json` expects, as far as single elements go: files with their hashes, sources, fallback.

use balcony_wire::fallback::{Fallback, Region};
use balcony_wire::file_metadata::FileMetadata;
use balcony_wire::file_sharing::{FileSharing, SourceElement};
use balcony_wire::hashes::{Digest, Hash, HashAlgo};
use balcony_wire::media_sharing::MediaSource;
use balcony_wire::out_of_band::Oob;
use balcony_wire::references::Reference;
use balcony_wire::url_data::{HttpData, HttpDataKind, UrlData};
use balcony_wire::{Element, Payload, ReadError};
use serde_json::{Value, json};

use super::corpus::each_element;

fn hash(hash: &Hash) -> Value {
    json!({
        "algo": hash.algo(),
        "canonical": hash.canonical().map(HashAlgo::name),
        "usable": hash.is_usable(),
        "digest_hex": hash.digest().map(Digest::to_hex),
        "why": hash.why().map(|why| why.to_string()),
    })
}

fn file(file: &FileMetadata) -> Value {
    json!({
        "name": file.name,
        "media_type": file.media_type,
        "size": file.size,
        "date": file.date.as_ref().map(|date| &date.written),
        "desc": file.descs.iter().map(|desc| json!({ "lang": desc.lang, "text": desc.text })).collect::<Vec<_>>(),
        "width": file.width,
        "height": file.height,
        "length_ms": file.length,
        "from_dimension": file.from_dimension,
        "hash_used": file.hash_used.iter().map(|used| &used.algo).collect::<Vec<_>>(),
        "hashes": file.hashes.iter().map(hash).collect::<Vec<_>>(),
        "thumbnails": file.thumbnails.iter().map(|thumbnail| json!({
            "uri": thumbnail.uri, "media_type": thumbnail.media_type, "width": thumbnail.width, "height": thumbnail.height,
        })).collect::<Vec<_>>(),
    })
}

fn http(data: &HttpData) -> Value {
    let refused = data.refused.is_some().then_some(true);
    match &data.kind {
        HttpDataKind::Auth { scheme, params } => {
            let params: serde_json::Map<_, _> = params.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
            json!({ "kind": "auth", "scheme": scheme, "params": params, "refused": refused })
        }
        HttpDataKind::Cookie { name, value, attributes } => json!({
            "kind": "cookie", "name": name, "value": value, "domain": attributes.domain, "path": attributes.path, "max-age": attributes.max_age,
            "secure": attributes.secure, "comment": attributes.comment, "version": attributes.version, "refused": refused,
        }),
        HttpDataKind::Header { name, value } => json!({ "kind": "header", "name": name, "value": value, "refused": refused }),
    }
}

fn source(element: &SourceElement) -> Value {
    match element {
        SourceElement::Url(url) => json!({ "type": "url", "url": url.target, "http": url.http.iter().map(http).collect::<Vec<_>>() }),
        SourceElement::Encrypted(encrypted) => json!({
            "type": "encrypted", "cipher": encrypted.cipher, "key": encrypted.key, "iv": encrypted.iv,
            "hashes": encrypted.hashes.iter().map(hash).collect::<Vec<_>>(),
            "sources": encrypted.sources.iter().flatten().map(source).collect::<Vec<_>>(),
        }),
        SourceElement::JinglePub(session) => json!({
            "type": "jinglepub", "from": session.from.as_ref().map(|jid| jid.as_str()), "id": session.id,
            "applications": session.applications().collect::<Vec<_>>(),
        }),
        SourceElement::Unknown(element) => json!({ "type": "unknown", "element": element.qualified_name() }),
    }
}

fn shares(root: &Element) -> Vec<Value> {
    let mut shares = Vec::new();
    each_element(root, &mut |element| {
        if let Some(Ok(share)) = read::<FileSharing>(element) {
            shares.push(json!({
                "via": "sfs", "id": share.id, "disposition": share.disposition.map(|disposition| disposition.as_str()),
                "file": share.file.as_ref().map(file),
                "sources": share.sources.iter().flatten().map(source).collect::<Vec<_>>(),
                "pending": share.sources.as_ref().is_none_or(Vec::is_empty),
            }));
        }
        if let Some(Ok(Reference { media_sharing: Some(share), begin, end, .. })) = read::<Reference>(element) {
            let uris = |source: &MediaSource| match source {
                MediaSource::Uri(uri) if uri.starts_with("xmpp:") => json!({ "type": "jinglepub" }),
                MediaSource::Uri(uri) => json!({ "type": "url", "url": uri, "http": [] }),
                MediaSource::Unknown(element) => json!({ "type": "unknown", "element": element.qualified_name() }),
            };
            shares.push(json!({
                "via": "sims", "begin": begin, "end": end, "file": share.file.map(|shared| file(&shared.metadata)),
                "sources": share.sources.iter().flatten().map(uris).collect::<Vec<_>>(),
                "pending": share.sources.as_ref().is_none_or(Vec::is_empty),
            }));
        }
    });
    shares
}

fn read<P: Payload>(element: &Element) -> Option<Result<P, ReadError>> {
    P::matches(element).then(|| P::read(element))
}

/// Whether every value of `expected` is in `found`; absent and null are the same.
fn covers(found: &Value, expected: &Value) -> bool {
    match expected {
        Value::Null => found.is_null(),
        Value::Object(fields) => fields.iter().all(|(key, value)| covers(&found[key], value)),
        Value::Array(items) => {
            found.as_array().is_some_and(|found| found.len() == items.len() && found.iter().zip(items).all(|(f, e)| covers(f, e)))
        }
        scalar => found == scalar,
    }
}

/// What comes from an `xmpp:` URI is worked out where sources are ranked, not here.
fn without_sessions(expected: &Value) -> Value {
    let mut expected = expected.clone();
    for source in expected["sources"].as_array_mut().into_iter().flatten() {
        if source["type"] == "jinglepub" && source["applications"] == json!([]) {
            *source = json!({ "type": "jinglepub" });
        }
    }
    expected
}

/// Proves: SFS-3.1-4, SFS-3.1-6, SIMS-4.1-3, FMD-2-3, FMD-2-6.
#[test]
fn elements_are_read_as_the_models_expect() {
    for (path, model) in testing_corpus::models() {
        let root = Element::parse_listing(&testing_corpus::text(&path)).unwrap();
        let expected: Vec<_> =
            model["shares"].as_array().unwrap().iter().filter(|share| share["via"] == "sfs" || share["via"] == "sims").collect();
        let found = shares(&root);
        assert_eq!(found.len(), expected.len(), "{path}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(covers(found, &without_sessions(expected)), "{path}\n{found:#}\n{expected:#}");
        }
        if !model["metadata"].is_null() {
            assert!(covers(&file(&FileMetadata::read(&root).unwrap()), &model["metadata"]), "{path}");
        }
        let urls: Vec<_> = all::<Oob>(&root).into_iter().map(|oob| oob.url).collect();
        assert_eq!(json!(urls), model.get("oob").cloned().unwrap_or(json!([])), "{path}");
        let fallbacks: Vec<_> = all::<Fallback>(&root).iter().map(fallback).collect();
        assert_eq!(json!(fallbacks), model.get("fallback").cloned().unwrap_or(json!([])), "{path}");
        let url_data: Vec<_> = all::<UrlData>(&root).iter().map(url_data).collect();
        assert!(covers(&json!(url_data), model.get("url_data").unwrap_or(&json!([]))), "{path}");
    }
}

/// All children of the root that are of a type.
fn all<P: Payload>(root: &Element) -> Vec<P> {
    root.children().filter_map(read::<P>).map(Result::unwrap).collect()
}

fn fallback(fallback: &Fallback) -> Value {
    let region = |region: &Region| json!({ "of": region.of.as_str(), "start": region.start, "end": region.end });
    json!({ "for": fallback.for_ns, "regions": fallback.regions.iter().map(region).collect::<Vec<_>>() })
}

fn url_data(data: &UrlData) -> Value {
    json!({
        "url": data.target, "sid": data.sid, "http": data.http.iter().map(http).collect::<Vec<_>>(),
        "desc": data.descs.iter().map(|desc| &desc.text).collect::<Vec<_>>(),
    })
}
