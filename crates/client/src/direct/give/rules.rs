//! The person's rules of giving, remembered in the store as text (`docs/formats/giving.md`). Read each time somebody asks, so that a
//! change counts at once, in every program that serves the account.

use balcony_sharing::give::Giving;
use balcony_store::{Store, StoreError};
use balcony_wire::BareJid;

use crate::blocking::blocking;
use crate::fetch::{Fetcher, standing};

/// The rules of an account; those everybody begins with, where none were made. Blocks.
pub(super) fn remembered(store: &Store, account: &BareJid) -> Result<Giving, StoreError> {
    Ok(read(store.setting(&setting(account))?))
}

fn read(text: Option<String>) -> Giving {
    match text {
        None => Giving::default(),
        // Written by a later version, or by hand: without rules nothing is given.
        Some(text) => text.parse().unwrap_or_else(|_| Giving::new(Vec::new())),
    }
}

impl Fetcher {
    /// The person's rules of giving: who may have which file from this device, how fast, and whether they see its address. Safe to drop.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn giving(&self, account: &BareJid) -> Result<Giving, StoreError> {
        let (store, account) = (self.store().clone(), account.clone());
        blocking(move || remembered(&store, &account)).await
    }

    /// Remembers other rules of giving, whatever they were. They hold at once, also in other programs that serve the account; what is being
    /// given goes on. Dropping the future may or may not change them.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn set_giving(&self, account: &BareJid, giving: Giving) -> Result<(), StoreError> {
        let change = move |rules: &mut Giving| {
            *rules = giving;
            Ok(())
        };
        self.change_giving(account, change).await.map(drop)
    }

    /// Changes the rules of giving by what they are just now: nobody else changes them meanwhile, in this program or another. Gives what
    /// they are then, and holds as [`Fetcher::set_giving`] does.
    ///
    /// # Errors
    /// When the store fails, and whatever the change fails by; the old ones hold.
    pub async fn change_giving<T: Send + 'static, E: From<StoreError> + Send + 'static>(
        &self,
        account: &BareJid,
        change: impl FnOnce(&mut Giving) -> Result<T, E> + Send + 'static,
    ) -> Result<(Giving, T), E> {
        let (store, name) = (self.store().clone(), setting(account));
        blocking(move || standing::change_rules(&store, &name, read, change)).await
    }
}

fn setting(account: &BareJid) -> String {
    format!("giving {account}")
}
