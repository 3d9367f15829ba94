//! Offers that nothing says a place for yet: which of them a person was told of. They are not told again at each run, only when they
//! gain a source.

use std::collections::BTreeSet;

use balcony_store::{OfferKey, Store, StoreError};
use balcony_wire::BareJid;

/// What was told, of one account.
pub(crate) struct Told {
    store: Store,
    setting: String,
    offers: BTreeSet<i64>,
}

impl Told {
    /// As the last run left it.
    pub(crate) fn of(store: &Store, account: &BareJid) -> Result<Self, StoreError> {
        let setting = format!("pending-told {account}");
        let text = store.setting(&setting)?.unwrap_or_default();
        let offers = text.split_whitespace().filter_map(|number| number.parse().ok()).collect();
        Ok(Self { store: store.clone(), setting, offers })
    }

    /// Whether it was told.
    pub(crate) fn has(&self, offer: OfferKey) -> bool {
        self.offers.contains(&offer.number())
    }

    /// It is told now.
    pub(crate) fn add(&mut self, offer: OfferKey) -> Result<(), StoreError> {
        if self.offers.insert(offer.number()) { self.write() } else { Ok(()) }
    }

    /// Forgets all but those that still wait.
    pub(crate) fn keep(&mut self, waiting: &BTreeSet<OfferKey>) -> Result<(), StoreError> {
        let before = self.offers.len();
        self.offers.retain(|number| waiting.contains(&OfferKey::from_number(*number)));
        if self.offers.len() < before { self.write() } else { Ok(()) }
    }

    fn write(&self) -> Result<(), StoreError> {
        let text: Vec<String> = self.offers.iter().map(i64::to_string).collect();
        self.store.set_setting(&self.setting, Some(&text.join(" ")))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_is_remembered_until_it_waits_no_more() {
        let (store, account): (_, BareJid) = (Store::in_memory().unwrap(), "romeo@montague.example".parse().unwrap());
        let key = OfferKey::from_number;
        let mut told = Told::of(&store, &account).unwrap();
        assert!(!told.has(key(7)));
        told.add(key(7)).unwrap();
        told.add(key(8)).unwrap();
        let mut later = Told::of(&store, &account).unwrap();
        assert!(later.has(key(7)) && later.has(key(8)) && !later.has(key(9)));
        later.keep(&BTreeSet::from([key(8), key(9)])).unwrap();
        let later = Told::of(&store, &account).unwrap();
        assert!(!later.has(key(7)) && later.has(key(8)));
    }
}
