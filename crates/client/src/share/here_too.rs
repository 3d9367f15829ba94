//! A file that was fetched and proved can be had here, too: said in the conversation in which it was offered, if a rule of giving says so.
//!
//! XEP-0447 Stateless file sharing, v0.3.1 <https://xmpp.org/extensions/xep-0447.html> (§3.3)
//! XEP-0358 Publishing available Jingle sessions, v0.4 <https://xmpp.org/extensions/xep-0358.html>

use std::time::SystemTime;

use balcony_sharing::dialect::{Lives, OutgoingSources, write_sources};
use balcony_sharing::give::Request;
use balcony_sharing::plan::Standing;
use balcony_sharing::{DigestSet, Offer};
use balcony_store::{BlobRef, FileRef, LiveShare, OfferState, OutboxState, Outgoing};
use balcony_wire::Payload as _;
use balcony_wire::file_metadata::FileMetadata;

use super::attach::{check_digests, stays_encrypted};
use super::lent::{Keeper, Lent, Told, life, send, source};
use super::live::LiveShares;
use super::outbox::{Guard, random_id};
use super::sending::xml;
use super::{AttachError, SentFile, ShareError};
use crate::account::Account;
use crate::blocking::blocking;
use crate::offers::CataloguedOffer;

impl Account {
    /// Says in the conversation in which a file was offered that it can be had from this device, too, as long as the result is held.
    /// `None` where no rule of giving says so (`announce …`), where the store does not have the file, or where nobody can tell who
    /// offered it. Only what matches all digests of the offer is announced.
    ///
    /// Reveals to everybody in the conversation that the file is here, and the full address of this device. Dropping the future
    /// announces nothing, or ends it soon.
    ///
    /// # Errors
    /// See [`AttachError`].
    pub async fn announce_copy(&self, offer: &CataloguedOffer) -> Result<Option<LiveShares>, AttachError> {
        if offer.state() == OfferState::Own || !says_so(self, offer).await? {
            return Ok(None);
        }
        check_digests(offer)?;
        stays_encrypted(offer)?;
        let target = offer.provenance().target_ids().first().cloned().ok_or(AttachError::NoId)?;
        let (store, digests) = (self.store().clone(), offer.digests().clone());
        let Some(blob) = blocking(move || store.find(&digests)).await? else { return Ok(None) };
        if !has_all(blob.digests(), offer) {
            return Err(AttachError::OtherFile("the copy here".to_owned()));
        }
        announce(self, offer, target, blob).await.map(Some)
    }
}

/// Whether a rule says so.
async fn says_so(account: &Account, offer: &Offer) -> Result<bool, AttachError> {
    let Some(person) = offer.provenance().person() else { return Ok(false) };
    let Some(size) = offer.size().filter(|size| *size > 0) else { return Ok(false) };
    let (giving, contacts) = (account.fetcher().giving(account.jid()).await?, account.contacts().await);
    let standing = match contacts.groups(&person) {
        _ if person == *account.jid() => Standing::Own,
        Some(groups) => Standing::Contact(groups),
        None => Standing::Stranger,
    };
    Ok(giving.announces(&Request { person: &person, standing, size, media_type: &offer.media_type(), is_offered: true }))
}

/// When it was fetched, everything that the offer says was computed.
fn has_all(computed: &DigestSet, offer: &Offer) -> bool {
    offer.digests().iter().all(|digest| computed.get(digest.algo()) == Some(digest))
}

async fn announce(account: &Account, offer: &CataloguedOffer, target: String, blob: BlobRef) -> Result<LiveShares, AttachError> {
    let _guard = Guard::sending(account.store()).await?;
    let online = account.online().await.map_err(ShareError::from)?;
    let (published, now) = (random_id(), SystemTime::now());
    let conversation = offer.provenance().conversation().clone();
    let said = FileMetadata { thumbnails: Vec::new(), dropped: Vec::new(), ..offer.file().clone() };
    let share = LiveShare {
        account: account.jid().clone(),
        published: published.clone(),
        file: FileRef::Blob(blob.sha256().clone()),
        stamp: None,
        size: blob.size(),
        description: said.write().to_xml(),
        digests: blob.digests().clone(),
        // The rules say whether somebody sees the address: nobody was asked about this file.
        reach: None,
        told: vec![conversation.clone()],
        made_at: now,
        lives_until: life(now, None),
    };
    let events = account.giver().events();
    let lent = Lent::new(account, vec![published.clone()]);
    let store = account.store().clone();
    blocking(move || store.share_live(&share)).await?;
    let attached = OutgoingSources {
        to: conversation.clone().into(),
        to_room: offer.provenance().way().is_room(),
        id: random_id(),
        target: target.clone(),
        share: offer.id().share.clone(),
        sources: vec![source(&online.jid, &published)],
        lives: Lives::Shortly,
    };
    let message = write_sources(&attached);
    let mut row = Outgoing::preparing(account.jid().clone(), attached.id.clone(), attached.to.clone(), Vec::new(), now);
    (row.stanza, row.state) = (Some(xml(message.clone())), OutboxState::Ready);
    send(account, vec![row]).await?;
    let told = Told { to: attached.to, message: target, to_room: attached.to_room, shares: vec![(attached.share, published)] };
    let keeper = Keeper::new(account, &lent, vec![told], online.jid.clone(), None);
    let file = SentFile {
        name: offer.name().to_string(),
        size: blob.size(),
        media_type: offer.media_type(),
        digests: blob.digests().clone(),
        url: None,
    };
    Ok(LiveShares::new(vec![file], vec![message], lent, events, keeper))
}
