//! The person's rules and what is decided by them.

use balcony_sharing::plan::{Policy, Question, Relayed};
use balcony_sharing::{Plan, Source, ThumbnailAt};
use balcony_store::StoreError;
use balcony_wire::BareJid;

use super::Account;
use crate::bits::{NoThumbnail, ThumbnailBytes};
use crate::blocking::blocking;
use crate::fetch::{Fetch, Wish, standing};
use crate::offers::{CataloguedOffer, Decision};

impl Account {
    /// The person's rules.
    pub fn policy(&self) -> Policy {
        self.fetcher().policy()
    }

    /// Other rules from here on; they are kept. Dropping the future may or may not change them.
    ///
    /// # Errors
    /// When they could not be written; the old ones hold.
    pub async fn set_policy(&self, policy: Policy) -> Result<(), StoreError> {
        self.fetcher().set_policy(self.jid(), policy).await
    }

    /// Other rules for this account object and its clones; they are kept nowhere.
    pub fn use_policy(&self, policy: Policy) {
        self.fetcher().use_policy(policy);
    }

    /// Decides what to do about an offer that nobody asked for. May ask the server for the contacts and its services, nobody else. Safe to
    /// drop.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn decide(&self, offer: &CataloguedOffer) -> Result<Decision, StoreError> {
        self.decide_for(offer, Wish::default()).await
    }

    /// As [`Account::decide`], with what the person wants.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn decide_for(&self, offer: &CataloguedOffer, wish: Wish) -> Result<Decision, StoreError> {
        // Which servers are ours and who is known; offline, as it was the last time.
        let _ = self.services().await;
        self.locate_own(offer.sources().flat_map(Source::addresses)).await;
        self.contacts().await;
        self.fetcher().decide(offer, &self.policy(), wish).await
    }

    /// Keeps what the person agrees to: see [`crate::Fetcher::agree`].
    ///
    /// # Errors
    /// When the store fails.
    pub async fn agree(&self, offer: &CataloguedOffer, question: &Question) -> Result<(), StoreError> {
        self.fetcher().agree(offer, question).await
    }

    /// Keeps that the person agrees, and shows nobody's device their address: see [`crate::Fetcher::agree_relayed`].
    ///
    /// # Errors
    /// When the store fails.
    pub async fn agree_relayed(&self, offer: &CataloguedOffer, relayed: &Relayed) -> Result<(), StoreError> {
        self.fetcher().agree_relayed(offer, relayed).await
    }

    /// Keeps a no: see [`crate::Fetcher::decline`].
    ///
    /// # Errors
    /// When the store fails.
    pub async fn decline(&self, offer: &CataloguedOffer) -> Result<(), StoreError> {
        self.fetcher().decline(offer).await
    }

    /// Fetches what was offered: await it, or watch its progress. See [`crate::Fetcher::fetch`].
    pub fn fetch(&self, offer: &CataloguedOffer, plan: Plan) -> Fetch {
        self.fetcher().fetch(offer, plan)
    }

    /// A small picture of an offered file, if it has one that may be had: see [`crate::Fetcher::thumbnail`].
    ///
    /// # Errors
    /// Why there is none.
    pub async fn thumbnail(&self, offer: &CataloguedOffer, wish: Wish) -> Result<ThumbnailBytes, NoThumbnail> {
        let _ = self.services().await;
        self.locate_own(offer.thumbnails().iter().filter_map(|thumbnail| match &thumbnail.at {
            ThumbnailAt::Url(url) => Some(url.as_str()),
            ThumbnailAt::Bits(_) | ThumbnailAt::Data(_) => None,
        }))
        .await;
        self.contacts().await;
        self.fetcher().thumbnail(offer, &self.policy(), wish).await
    }
}

impl crate::fetch::Fetcher {
    /// Other rules for an account from here on, whatever they were; they are kept. Dropping the future may or may not change them.
    ///
    /// # Errors
    /// When they could not be written; the old ones hold.
    pub async fn set_policy(&self, account: &BareJid, policy: Policy) -> Result<(), StoreError> {
        let change = move |rules: &mut Policy| {
            *rules = policy;
            Ok(())
        };
        self.change_policy(account, change).await.map(drop)
    }

    /// Changes the rules of an account by what they are just now: nobody else changes them meanwhile, in this program or another. Gives
    /// what they are then. Dropping the future may or may not change them.
    ///
    /// # Errors
    /// When they could not be written, and whatever the change fails by; the old ones hold.
    pub async fn change_policy<T: Send + 'static, E: From<StoreError> + Send + 'static>(
        &self,
        account: &BareJid,
        change: impl FnOnce(&mut Policy) -> Result<T, E> + Send + 'static,
    ) -> Result<(Policy, T), E> {
        let (fetcher, account) = (self.clone(), account.clone());
        blocking(move || {
            let changed = standing::change_policy(&fetcher.store, &account, change)?;
            fetcher.look_at_policy(&account, &changed.0);
            Ok(changed)
        })
        .await
    }
}
