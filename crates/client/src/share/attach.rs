//! Further places for what was offered before, by us or by others: a link that somebody has, or a fresh upload where the old one is
//! gone. Announced is only what was checked, all of it, against every digest of the offer.
//!
//! XEP-0447 Stateless file sharing, v0.3.1 <https://xmpp.org/extensions/xep-0447.html> (§3.3)
//! XEP-0367 Message attaching, v0.3 <https://xmpp.org/extensions/xep-0367.html>

use std::time::{Duration, SystemTime};

use balcony_sharing::dialect::{Lives, OutgoingSources, write_sources};
use balcony_sharing::net_rules::check_url;
use balcony_sharing::verify::{Hashed, Hasher, SHARED_ALGOS, Verified};
use balcony_sharing::{DigestSet, Offer, Source};
use balcony_store::{Change, FileRef, OfferState, OutboxState, Outgoing, StoreError};
use balcony_wire::file_metadata::FileMetadata;
use balcony_wire::hashes::{Hash, HashAlgo};
use balcony_wire::stanza::MessageKind;
use balcony_wire::{Jid, Message};
use hyper::header::HeaderMap;
use hyper::{Method, StatusCode};
use tokio::time::timeout;
use url::Url;

use super::announced::{Kind, Promise, resume_promise};
use super::looked_at::LookedAt;
use super::outbox::{Guard, dispatch, random_id};
use super::sending::xml;
use super::{FileFrom, FileToShare, Sent, ShareError, place, reuse};
use crate::account::Account;
use crate::blocking::blocking;
use crate::error::Class;
use crate::http::exchange::{RequestBody, WebRequest, exchange};
use crate::http::lanes::Lanes;
use crate::net::connector::Moved;
use crate::offers::CataloguedOffer;
use crate::words::with_causes;

/// How long a web server that is to be checked may say nothing.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where the file of an offer can be had as well.
#[derive(Clone, Debug)]
pub enum Place {
    /// Upload our own copy: the one in the store, or the file that was sent.
    Copy,
    /// Upload this file, which must be the one that was offered.
    File(FileFrom),
    /// At this link, which must lead to the file that was offered: it is fetched to see.
    Link(String),
}

/// What was attached.
#[derive(Clone, Debug)]
pub struct AttachedSource {
    /// Where the file can be had now.
    pub url: String,
    /// The message that says so.
    pub message: Message,
}

/// Why no further place was attached. Nobody was told anything, unless the cause says otherwise.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AttachError {
    /// XEP-0447 §3.3
    #[error("the offer has no digest that proves a file, so nobody could tell whether another place has it")]
    NoDigest,
    /// Not all digests can be checked (decision 6).
    #[error("the offer names a digest that cannot be checked here ({0})")]
    Unchecked(String),
    /// XEP-0448 §3.3
    #[error("the file came encrypted, and a place where it lies open would give away what is in it")]
    Encrypted,
    /// XEP-0367 §4.1
    #[error("nothing can be attached to that message: it has no id that others know")]
    NoId,
    /// Neither in the store nor where it was.
    #[error("there is no copy of the file here")]
    NoCopy,
    /// Other bytes.
    #[error("{0} is not the file that was offered")]
    OtherFile(String),
    /// The link cannot be checked.
    #[error("{host} does not give the file: {why}")]
    Link {
        /// the web server
        host: String,
        /// what happened
        why: String,
    },
    /// There is nothing to mend.
    #[error("the file still lies where the offer says: {0}")]
    StillThere(String),
    /// The upload, or the message.
    #[error(transparent)]
    Share(#[from] ShareError),
}

impl From<StoreError> for AttachError {
    fn from(error: StoreError) -> Self {
        Self::Share(error.into())
    }
}

impl AttachError {
    /// Who can mend it.
    pub fn class(&self) -> Class {
        match self {
            Self::NoDigest | Self::Unchecked(_) | Self::Encrypted | Self::NoId | Self::StillThere(_) => Class::Usage,
            Self::NoCopy => Class::Local,
            Self::OtherFile(_) => Class::Proof,
            Self::Link { .. } => Class::Source,
            Self::Share(error) => error.class(),
        }
    }

    /// What to try next.
    pub fn advice(&self) -> Option<&'static str> {
        match self {
            Self::NoDigest | Self::Unchecked(_) | Self::NoId => Some("send the file as one of your own"),
            Self::Encrypted => Some("ask whoever shared it to share it again"),
            Self::NoCopy => Some("fetch it first, or name the file with --file"),
            Self::Link { .. } => Some("attach a link that leads to the file itself, without redirects"),
            Self::OtherFile(_) | Self::StillThere(_) => None,
            Self::Share(error) => error.advice(),
        }
    }
}

/// Attaches a further place to an offer. Dropping the future during an upload leaves the rest to the outbox.
pub(crate) async fn attach(account: &Account, offer: &CataloguedOffer, place: Place) -> Result<AttachedSource, AttachError> {
    check_digests(offer)?;
    stays_encrypted(offer)?;
    let target = offer.provenance().target_ids().first().cloned().ok_or(AttachError::NoId)?;
    let target = Target { id: target, share: offer.id().share.clone(), to: offer.provenance().conversation().into(), kind: kind(offer) };
    let _guard = Guard::sending(account.store()).await?;
    let from = match place {
        Place::Link(url) => return attach_link(account, offer, target, url).await,
        Place::File(from) => from,
        Place::Copy => own_copy(account, offer).await?.ok_or(AttachError::NoCopy)?,
    };
    attach_file(account, offer, target, from).await
}

/// What a source is attached to.
struct Target {
    id: String,
    share: Option<String>,
    to: Jid,
    kind: MessageKind,
}

fn kind(offer: &Offer) -> MessageKind {
    if offer.provenance().way().is_room() { MessageKind::Groupchat } else { MessageKind::Chat }
}

/// All digests of the offer can be checked, and one of them proves.
pub(super) fn check_digests(offer: &Offer) -> Result<(), AttachError> {
    let unknown = offer.file().hashes.iter().find(|hash| hash.algo().is_some() && !is_known(hash));
    match unknown {
        _ if !offer.claim().can_prove() => Err(AttachError::NoDigest),
        Some(hash) => Err(AttachError::Unchecked(hash.algo().unwrap_or_default().to_owned())),
        None => Ok(()),
    }
}

/// Whoever got a file encrypted adds no place where it lies open, unless its sender named one (XEP-0448 §3.3).
pub(super) fn stays_encrypted(offer: &Offer) -> Result<(), AttachError> {
    let is_encrypted = |source: &Source| matches!(source, Source::Encrypted(_));
    if offer.sources().any(is_encrypted) && !offer.sources().any(|source| matches!(source, Source::Url(_))) {
        return Err(AttachError::Encrypted);
    }
    Ok(())
}

/// A malformed value of an algorithm that we know counts as not given (decision 3).
fn is_known(hash: &Hash) -> bool {
    hash.is_usable() || hash.canonical().is_some_and(HashAlgo::is_usable)
}

/// The copy in the store, else the file that was sent.
async fn own_copy(account: &Account, offer: &CataloguedOffer) -> Result<Option<FileFrom>, AttachError> {
    let (store, jid, digests) = (account.store().clone(), account.jid().clone(), offer.digests().clone());
    let sent = offer.id().message.clone().filter(|_| offer.state() == OfferState::Own).map(|message| (message, offer.id().index));
    Ok(blocking(move || {
        if let Some(blob) = store.find(&digests)? {
            return Ok(Some(FileFrom::Store(blob)));
        }
        let Some((message, index)) = sent else { return Ok(None) };
        let sent = store.outgoing(&jid, &message)?;
        Ok::<_, StoreError>(sent.and_then(|sent| match sent.files.get(index) {
            Some(FileRef::Path(path)) => Some(FileFrom::Path(path.clone())),
            Some(FileRef::Blob(_)) | None => None,
        }))
    })
    .await?)
}

async fn attach_file(account: &Account, offer: &CataloguedOffer, target: Target, from: FileFrom) -> Result<AttachedSource, AttachError> {
    let wanted = FileToShare::new(from.clone()).name(offer.name().as_str());
    let store = account.store().clone();
    let looked = blocking(move || LookedAt::look(wanted, &store)).await?;
    let hashed = place::hash(account.store(), &looked, algos(offer)).await?;
    let shared: DigestSet = hashed.digests().iter().filter(|digest| SHARED_ALGOS.contains(&digest.algo())).cloned().collect();
    prove(offer, hashed, &from.path().display().to_string())?;
    still_there(account, offer, looked.size).await?;
    let file = FileMetadata {
        name: Some(looked.name.clone()),
        media_type: Some(looked.media_type.to_string()),
        size: Some(looked.size),
        hashes: shared.iter().cloned().map(Hash::from).collect(),
        ..FileMetadata::default()
    };
    let promise = Promise { target: target.id, share: target.share, kind: Kind::Asked(Box::new(file), target.kind) };
    let id = random_id();
    let mut row = Outgoing::preparing(account.jid().clone(), id.clone(), target.to.clone(), vec![from.to_record()], SystemTime::now());
    row.stanza = Some(xml(promise.to_message(&target.to, &id)));
    put(account, row.clone()).await?;
    attached(resume_promise(account, row, &promise, from).await?)
}

/// What goes through the outbox survives a crash.
async fn put(account: &Account, row: Outgoing) -> Result<(), StoreError> {
    let (store, jid) = (account.store().clone(), account.jid().clone());
    blocking(move || store.change_outbox(&jid, &[Change::Add { outgoing: &row, batch: None }])).await.map(drop)
}

fn attached(sent: Sent) -> Result<AttachedSource, AttachError> {
    let message = sent.messages.into_iter().next().ok_or(ShareError::Broken)?;
    let url = message.body().ok_or(ShareError::Broken)?;
    Ok(AttachedSource { url, message })
}

/// A link of ours in the offer that works is no reason for another one.
async fn still_there(account: &Account, offer: &Offer, size: u64) -> Result<(), AttachError> {
    for url in offer.sources().filter_map(Source::plain_url) {
        if reuse::is_live(account, url, size).await {
            return Err(AttachError::StillThere(url.to_owned()));
        }
    }
    Ok(())
}

/// What is to be computed of a copy: what the offer names, and what we say of files ourselves.
fn algos(offer: &Offer) -> Vec<HashAlgo> {
    let claim = offer.claim();
    SHARED_ALGOS.into_iter().chain(claim.algos().filter(|algo| !SHARED_ALGOS.contains(algo))).collect()
}

fn prove(offer: &Offer, hashed: Hashed, what: &str) -> Result<Verified, AttachError> {
    Verified::check(hashed, &offer.claim()).map_err(|_| AttachError::OtherFile(what.to_owned()))
}

async fn attach_link(account: &Account, offer: &CataloguedOffer, target: Target, url: String) -> Result<AttachedSource, AttachError> {
    let hashed = fetch_to_check(account, offer, &url).await?;
    prove(offer, hashed, "what lies there")?;
    let id = random_id();
    let message = write_sources(&OutgoingSources {
        to: target.to.clone(),
        to_room: target.kind == MessageKind::Groupchat,
        id: id.clone(),
        target: target.id,
        share: target.share,
        sources: vec![Source::url(url.as_str())],
        lives: Lives::Long,
    });
    let mut row = Outgoing::preparing(account.jid().clone(), id.clone(), target.to, Vec::new(), SystemTime::now());
    (row.stanza, row.state) = (Some(xml(message.clone())), OutboxState::Ready);
    put(account, row).await?;
    dispatch(account, &[id]).await?.into_iter().collect::<Result<Vec<()>, _>>()?;
    Ok(AttachedSource { url, message })
}

/// Fetches a link once, to see whether it gives the file; keeps nothing of it.
async fn fetch_to_check(account: &Account, offer: &Offer, url: &str) -> Result<Hashed, AttachError> {
    let refused = |host: &str, why: String| AttachError::Link { host: host.to_owned(), why };
    let url = Url::parse(url).map_err(|_| refused("that", "it is no URL".to_owned()))?;
    let host = url.host_str().unwrap_or_default().to_owned();
    let failed = |why: String| refused(&host, why);
    account.locate_own([url.as_str()].into_iter()).await;
    let rule = check_url(&url, &account.fetcher().rules()).map_err(|error| failed(error.to_string()))?;
    let (headers, body) = (HeaderMap::new(), RequestBody::none());
    let request = WebRequest { method: Method::GET, url: &url, headers, body, rule: &rule, moved: Moved::default() };
    let late = |_| failed(format!("it said nothing for {} seconds", PATIENCE.as_secs()));
    let answer = timeout(PATIENCE, exchange(request, account.network())).await.map_err(late)?;
    let mut answer = answer.map_err(|error| failed(with_causes(&error)))?;
    if answer.status != StatusCode::OK {
        return Err(failed(format!("it answered {}", answer.status.as_u16())));
    }
    let most = offer.size().unwrap_or(u64::MAX);
    let lanes = Lanes::start(Hasher::new(algos(offer)));
    let mut read = 0_u64;
    while let Some(bytes) = timeout(PATIENCE, answer.next()).await.map_err(late)?.map_err(|error| failed(with_causes(&error)))? {
        read += bytes.len() as u64;
        if read > most {
            return Err(failed(format!("it gives more than the {most} bytes of the offer")));
        }
        lanes.update(&bytes).await.map_err(|_| ShareError::Broken)?;
    }
    Ok(lanes.finish().await.map_err(|_| ShareError::Broken)?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use balcony_sharing::{Received, dialect};
    use balcony_wire::{Element, Stanza};

    use super::*;

    fn offer(sources: &str) -> Offer {
        let xml = format!(
            "<message xmlns='jabber:client' from='romeo@montague.lit/x' type='chat' id='m'><file-sharing xmlns='urn:xmpp:sfs:0'>\
             <file xmlns='urn:xmpp:file:metadata:0'><size>1</size></file><sources>{sources}</sources></file-sharing></message>"
        );
        let Stanza::Message(message) = Stanza::read(Element::parse(&xml).unwrap()).unwrap() else { panic!("no message") };
        dialect::read(&Received::direct(message, &"juliet@capulet.lit".parse().unwrap()).unwrap()).offers.remove(0)
    }

    /// Decision 6.
    /// Proves: SFS-3.3-2.
    #[test]
    fn a_digest_that_cannot_be_checked_here_forbids_to_attach_and_one_that_is_none_does_not() {
        let hash = |algo: &str, text: &str| format!("<hash xmlns='urn:xmpp:hashes:2' algo='{algo}'>{text}</hash>");
        let sha256 = hash("sha-256", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
        let check = |hashes: &str| {
            let xml = format!(
                "<message xmlns='jabber:client' from='romeo@montague.lit/x' type='chat' id='m'><file-sharing xmlns='urn:xmpp:sfs:0'>\
                 <file xmlns='urn:xmpp:file:metadata:0'><size>1</size>{hashes}</file></file-sharing></message>"
            );
            let Stanza::Message(message) = Stanza::read(Element::parse(&xml).unwrap()).unwrap() else { panic!("no message") };
            let received = Received::direct(message, &"juliet@capulet.lit".parse().unwrap()).unwrap();
            check_digests(&dialect::read(&received).offers[0])
        };
        assert!(check(&sha256).is_ok());
        assert!(matches!(check(&(sha256.clone() + &hash("whirlpool", "AAAA"))), Err(AttachError::Unchecked(algo)) if algo == "whirlpool"));
        assert!(matches!(check(&(sha256.clone() + &hash("md5", "1B2M2Y8AsgTpgAmY7PhCfg=="))), Err(AttachError::Unchecked(_))));
        assert!(check(&(sha256 + &hash("sha-512", "AAAA"))).is_ok(), "a malformed value counts as not given");
        assert!(matches!(check(""), Err(AttachError::NoDigest)));
    }

    /// Proves: ESFS-3.3-1.
    #[test]
    fn a_file_that_came_encrypted_gets_no_place_where_it_lies_open() {
        let url = "<url-data xmlns='http://jabber.org/protocol/url-data' target='https://montague.lit/x'/>";
        let encrypted = format!(
            "<encrypted xmlns='urn:xmpp:esfs:0' cipher='urn:xmpp:ciphers:aes-256-gcm-nopadding:0'><key>AA==</key><iv>AA==</iv>\
             <sources xmlns='urn:xmpp:sfs:0'>{url}</sources></encrypted>"
        );
        assert!(matches!(stays_encrypted(&offer(&encrypted)), Err(AttachError::Encrypted)));
        assert!(stays_encrypted(&offer(url)).is_ok());
        let open = url.replace("/x'", "/open'");
        assert!(stays_encrypted(&offer(&(encrypted + &open))).is_ok(), "its sender shows it to everybody anyway");
    }
}
