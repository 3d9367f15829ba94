//! Offers that nothing says a place for yet: which of them a person was told of. They are not told again at each run, only when they
//! gain a source.

use std::collections::BTreeSet;

use balcony_store::{OfferKey, Store, StoreError};
use balcony_wire::BareJid;

/// More than the catalogue keeps of everybody's: who is unknown can offer one after the other, and what fell out of it is not told again.
const MOST: usize = 20_000;

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
        let offers = numbers(store.setting(&setting)?.as_deref());
        Ok(Self { store: store.clone(), setting, offers })
    }

    /// Whether it was told.
    pub(crate) fn has(&self, offer: OfferKey) -> bool {
        self.offers.contains(&offer.number())
    }

    /// It is told now.
    pub(crate) fn add(&mut self, offer: OfferKey) -> Result<(), StoreError> {
        if !self.offers.insert(offer.number()) {
            return Ok(());
        }
        self.change(|told| {
            told.insert(offer.number());
        })
    }

    /// Forgets all but those that still wait.
    pub(crate) fn keep(&mut self, waiting: &BTreeSet<OfferKey>) -> Result<(), StoreError> {
        let waits = |number: &i64| waiting.contains(&OfferKey::from_number(*number));
        let over: BTreeSet<i64>;
        (self.offers, over) = std::mem::take(&mut self.offers).into_iter().partition(waits);
        if over.is_empty() { Ok(()) } else { self.change(|told| told.retain(|number| !over.contains(number))) }
    }

    /// Another program of the account may have told more meanwhile.
    fn change(&self, change: impl FnOnce(&mut BTreeSet<i64>)) -> Result<(), StoreError> {
        self.store.change_setting(&self.setting, |text| {
            let mut told = numbers(text.as_deref());
            change(&mut told);
            let newest = told.len().saturating_sub(MOST);
            let told: Vec<String> = told.iter().skip(newest).map(i64::to_string).collect();
            *text = Some(told.join(" "));
            Ok(())
        })
    }
}

fn numbers(text: Option<&str>) -> BTreeSet<i64> {
    text.unwrap_or_default().split_whitespace().filter_map(|number| number.parse().ok()).collect()
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

    #[test]
    fn of_more_than_a_catalogue_holds_the_newest_are_remembered() {
        let (store, account): (_, BareJid) = (Store::in_memory().unwrap(), "romeo@montague.example".parse().unwrap());
        let many: Vec<String> = (1..=MOST).map(|number| number.to_string()).collect();
        store.set_setting(&format!("pending-told {account}"), Some(&many.join(" "))).unwrap();
        let newest = OfferKey::from_number(1_000_000);
        Told::of(&store, &account).unwrap().add(newest).unwrap();
        let later = Told::of(&store, &account).unwrap();
        assert!(later.has(newest) && !later.has(OfferKey::from_number(1)) && later.has(OfferKey::from_number(2)));
    }

    #[test]
    fn two_programs_of_an_account_forget_nothing_that_the_other_told() {
        let (store, account): (_, BareJid) = (Store::in_memory().unwrap(), "romeo@montague.example".parse().unwrap());
        let key = OfferKey::from_number;
        let mut programs = [Told::of(&store, &account).unwrap(), Told::of(&store, &account).unwrap()];
        programs[0].add(key(7)).unwrap();
        programs[1].add(key(8)).unwrap();
        programs[0].keep(&BTreeSet::new()).unwrap();
        let later = Told::of(&store, &account).unwrap();
        assert!(!later.has(key(7)) && later.has(key(8)));
    }
}
