//! What an encrypted source of an offer gives: an attempt for each place of its encrypted bytes, or the reason why there is none.
//!
//! XEP-0448 Encryption for stateless file sharing, v0.2.0 <https://xmpp.org/extensions/xep-0448.html>

use balcony_wire::encrypted_source::EncryptedSource;
use balcony_wire::file_sharing::SourceElement;

use super::{LeftOut, Reason};
use crate::cipher::{Secret, mark_of};
use crate::offer::Via;
use crate::{DigestSet, Offer, Proof, SourceKey, UrlSource};

/// One place of encrypted bytes.
pub(super) struct Inner {
    pub(super) key: SourceKey,
    pub(super) source: UrlSource,
    pub(super) secret: Secret,
    pub(super) ciphertext: DigestSet,
}

/// Every place of the encrypted bytes, in the sender's order.
pub(super) fn inner(source: &EncryptedSource, offer: &Offer) -> Vec<Result<Inner, LeftOut>> {
    let mark = mark_of(source);
    let name = |what: &str| SourceKey::from_record(format!("encrypted:{mark} {what}"));
    let left_out = |what: &str, reason: Reason| LeftOut { source: name(what), what: format!("{what}, encrypted"), reason };
    let places = source.sources.as_deref().unwrap_or_default();
    if places.is_empty() {
        return vec![Err(left_out("bytes at no place", Reason::NoPlace))];
    }
    let secret = usable_secret(source, offer);
    let ciphertext: DigestSet = source.hashes.iter().filter_map(|hash| hash.digest().cloned()).collect();
    let judge = |place: &SourceElement| match place {
        SourceElement::Url(data) => match &secret {
            Ok(secret) => Ok(Inner {
                key: name(&data.target),
                source: UrlSource { target: data.target.clone(), http: data.http.clone() },
                secret: secret.clone(),
                ciphertext: ciphertext.clone(),
            }),
            Err(reason) => Err(left_out(&data.target, reason.clone())),
        },
        SourceElement::Encrypted(_) => Err(left_out("bytes in a further envelope", Reason::Unsupported("bytes that are encrypted twice"))),
        SourceElement::JinglePub(_) => Err(left_out("a published session", Reason::Unsupported("published sessions"))),
        SourceElement::Unknown(element) => Err(left_out(&element.qualified_name(), Reason::UnknownKind)),
    };
    places.iter().map(judge).collect()
}

/// Without size and usable hash nothing is opened (decision 11); the exception are `aesgcm:` links, which have neither, and a tag that
/// must be right (XEP-0454 §3).
fn usable_secret(source: &EncryptedSource, offer: &Offer) -> Result<Secret, Reason> {
    let secret = Secret::from_source(source).map_err(Reason::Secret)?;
    let by_hash = offer.size().is_some() && offer.proof() == Proof::Digest;
    let by_tag = offer.said_in().contains(&Via::AesGcm) && secret.cipher().has_tag();
    if by_hash || by_tag { Ok(secret) } else { Err(Reason::EncryptedUnproven) }
}
