//! What a person's account knows between connections, remembered in the store: their rules, whom they know, and which web servers
//! are their own server's. With it, decisions offline are those of the last connection.
//!
//! Where a person connects to is not among their own web servers: much else may lie behind that address, which links of others must
//! not reach.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::sync::Arc;

use balcony_sharing::plan::{Contacts, Policy};
use balcony_sharing::{NetRules, Origin};
use balcony_store::{Store, StoreError};
use balcony_wire::BareJid;

use super::{Fetcher, SetupError};
use crate::net::network::Network;
use crate::net::proxy::Proxy;

/// What is remembered of an account.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    pub(crate) policy: Policy,
    pub(crate) contacts: Arc<Contacts>,
    pub(crate) own: Vec<Origin>,
}

impl Fetcher {
    /// Decides and fetches as this account would, without connecting it: the same authorities (`ca_pem` besides the system's), the
    /// same proxy, its rules, its contacts and its own web servers, as far as an earlier connection learnt them. Blocks for a moment.
    ///
    /// # Errors
    /// When the authority or the store cannot be read.
    pub fn offline(account: &BareJid, ca_pem: Option<&str>, proxy: Option<Proxy>, store: Store) -> Result<Self, SetupError> {
        let network = Network::new(ca_pem, proxy)?;
        let onion = network.reaches_onion();
        let standing = Standing::remembered(&store, account)?;
        let rules = NetRules { own: standing.own.clone(), onion, ..NetRules::default() };
        Ok(Self::with_network(store, network, rules).of_account(standing))
    }
}

impl Standing {
    /// What the store remembers; of an account that was never connected, the domain alone and the rules everybody begins with.
    pub(crate) fn remembered(store: &Store, account: &BareJid) -> Result<Self, StoreError> {
        let policy = kept_policy(store, account)?;
        let contacts = store.setting(&setting("contacts", account))?.map(|text| Contacts::from_record(&text));
        let hosts = store.setting(&setting("own-hosts", account))?.unwrap_or_default();
        let mut own = vec![Origin::https(account.domain())];
        own.extend(hosts.split_whitespace().filter_map(Origin::parse).filter(|origin| *origin != Origin::https(account.domain())));
        Ok(Self { policy, contacts: Arc::new(contacts.unwrap_or_default()), own })
    }
}

/// The rules as they were remembered; those everybody begins with, where none were made.
fn policy(text: Option<String>) -> Policy {
    match text {
        None => Policy::default(),
        // Written by a later version, or by hand: without rules everything is asked about.
        Some(text) => text.parse().unwrap_or_else(|_| Policy::new(Vec::new())),
    }
}

/// The rules as they are remembered now.
pub(crate) fn kept_policy(store: &Store, account: &BareJid) -> Result<Policy, StoreError> {
    Ok(policy(store.setting(&setting("policy", account))?))
}

/// Changes the rules, by what they are just now: several programs may use one account, here and below.
pub(crate) fn change_policy<T, E: From<StoreError>>(
    store: &Store,
    account: &BareJid,
    change: impl FnOnce(&mut Policy) -> Result<T, E>,
) -> Result<(Policy, T), E> {
    change_rules(store, &setting("policy", account), policy, change)
}

/// Changes rules of whatever kind that a setting keeps as text; gives what they are then.
pub(crate) fn change_rules<R: Display, T, E: From<StoreError>>(
    store: &Store,
    setting: &str,
    read: impl FnOnce(Option<String>) -> R,
    change: impl FnOnce(&mut R) -> Result<T, E>,
) -> Result<(R, T), E> {
    store.change_setting(setting, |text| {
        let mut rules = read(text.take());
        let done = change(&mut rules)?;
        *text = Some(rules.to_string());
        Ok((rules, done))
    })
}

/// Remembers whom the person knows.
pub(crate) fn remember_contacts(store: &Store, account: &BareJid, contacts: &Contacts) -> Result<(), StoreError> {
    store.set_setting(&setting("contacts", account), Some(&contacts.to_record()))
}

/// Who may see when the person is there as soon as they ask for it.
pub(crate) fn approved(store: &Store, account: &BareJid) -> Result<BTreeSet<BareJid>, StoreError> {
    Ok(jids(store.setting(&setting("approved", account))?.as_deref()))
}

/// Changes who that is.
pub(crate) fn change_approved(store: &Store, account: &BareJid, change: impl FnOnce(&mut BTreeSet<BareJid>)) -> Result<(), StoreError> {
    store.change_setting(&setting("approved", account), |text| {
        let mut approved = jids(text.as_deref());
        change(&mut approved);
        let approved: Vec<_> = approved.iter().map(ToString::to_string).collect();
        *text = (!approved.is_empty()).then(|| approved.join(" "));
        Ok(())
    })
}

fn jids(text: Option<&str>) -> BTreeSet<BareJid> {
    text.unwrap_or_default().split_whitespace().filter_map(|jid| jid.parse().ok()).collect()
}

/// Remembers which web servers are the own server's.
pub(crate) fn remember_own(store: &Store, account: &BareJid, own: &[Origin]) -> Result<(), StoreError> {
    let hosts: Vec<_> = own.iter().map(ToString::to_string).collect();
    store.set_setting(&setting("own-hosts", account), Some(&hosts.join(" ")))
}

fn setting(what: &str, account: &BareJid) -> String {
    format!("{what} {account}")
}

#[cfg(test)]
mod tests {
    use balcony_wire::Jid;
    use balcony_wire::roster::RosterItem;

    use super::*;

    #[test]
    fn what_a_connection_learnt_is_known_offline_and_to_its_own_account_only() {
        let (store, account): (_, BareJid) = (Store::in_memory().unwrap(), "romeo@montague.example".parse().unwrap());
        let own = [Origin::parse("files.montague.example:5443").unwrap(), Origin::https("montague.example")];
        remember_own(&store, &account, &own).unwrap();
        let policy: Policy = "never everybody if metered\nfetch contacts".parse().unwrap();
        let change = |rules: &mut Policy| {
            *rules = policy.clone();
            Ok::<_, StoreError>(())
        };
        change_policy(&store, &account, change).unwrap();
        let contacts = Contacts::from_items([RosterItem::new(Jid::parse("nurse@capulet.example").unwrap())]);
        remember_contacts(&store, &account, &contacts).unwrap();
        let offline = Fetcher::offline(&account, None, None, store.clone()).unwrap();
        assert_eq!(offline.rules().own, [Origin::https("montague.example"), Origin::parse("files.montague.example:5443").unwrap()]);
        assert!(!offline.rules().loopback_http);
        assert_eq!((offline.policy(), &*offline.contacts()), (policy, &contacts));

        let other = Fetcher::offline(&"juliet@capulet.example".parse().unwrap(), None, None, store).unwrap();
        assert_eq!(other.rules().own, [Origin::https("capulet.example")]);
        assert_eq!((other.policy(), other.contacts().len()), (Policy::default(), 0));
    }

    /// Each through a store of its own, as programs have it.
    #[test]
    fn what_programs_of_one_account_change_at_once_is_all_remembered() {
        let (dir, account): (_, BareJid) = (tempfile::tempdir().unwrap(), "romeo@montague.example".parse().unwrap());
        let person = |program: usize, n: usize| format!("p{program}-{n}@verona.example").parse::<BareJid>().unwrap();
        std::thread::scope(|scope| {
            for program in 0..4 {
                let (dir, account) = (dir.path(), &account);
                scope.spawn(move || {
                    let store = Store::open(dir).unwrap();
                    for n in 0..10 {
                        change_approved(&store, account, |approved| approved.extend([person(program, n)])).unwrap();
                        let rule = format!("never {}", person(program, n)).parse().unwrap();
                        change_policy(&store, account, |policy| Ok::<_, StoreError>(policy.insert(0, rule))).unwrap();
                    }
                });
            }
        });
        let store = Store::open(dir.path()).unwrap();
        let policy = Standing::remembered(&store, &account).unwrap().policy;
        assert_eq!((approved(&store, &account).unwrap().len(), policy.rules().len()), (40, 40 + Policy::default().rules().len()));
    }

    #[test]
    fn rules_that_cannot_be_read_fetch_nothing() {
        let (store, account): (_, BareJid) = (Store::in_memory().unwrap(), "romeo@montague.example".parse().unwrap());
        store.set_setting(&setting("policy", &account), Some("fetch everything from everywhere")).unwrap();
        assert!(!Fetcher::offline(&account, None, None, store).unwrap().policy().fetches());
    }
}
