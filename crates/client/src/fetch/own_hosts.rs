//! Hosts that are a person's own on the net: their domain, what they said themselves, what their server named before. Remembered
//! in the store, so that they are known offline as well.
//!
//! Where a person connects to is not among them: much else may lie behind that address, which links of others must not reach.

use balcony_sharing::NetRules;
use balcony_store::{Store, StoreError};
use balcony_wire::BareJid;

use super::{Fetcher, SetupError};
use crate::net::proxy::Proxy;
use crate::net::tls::Trust;

impl Fetcher {
    /// Decides and fetches as this account would, without connecting it: the same authorities (`ca_pem` besides the system's), the
    /// same proxy, the same hosts of its own, as far as an earlier connection learnt them. Blocks for a moment.
    ///
    /// # Errors
    /// When the authority or the store cannot be read.
    pub fn offline(account: &BareJid, ca_pem: Option<&str>, proxy: Option<Proxy>, store: Store) -> Result<Self, SetupError> {
        let onion = proxy.as_ref().is_some_and(Proxy::reaches_onion);
        let trust = Trust::new(ca_pem)?.by_way_of(proxy);
        let rules = NetRules { onion, ..rules(account, remembered(&store, account)?) };
        Ok(Self::with_trust(store, trust, rules))
    }
}

/// The rules of an account with these hosts besides its domain.
pub(crate) fn rules(account: &BareJid, hosts: impl IntoIterator<Item = String>) -> NetRules {
    let mut rules = NetRules { own_hosts: vec![account.domain().to_owned()], ..NetRules::default() };
    for host in hosts {
        if !rules.own_hosts.contains(&host) {
            rules.own_hosts.push(host);
        }
    }
    rules
}

/// The hosts that were the account's before.
pub(crate) fn remembered(store: &Store, account: &BareJid) -> Result<Vec<String>, StoreError> {
    let hosts = store.setting(&setting(account))?.unwrap_or_default();
    Ok(hosts.split_whitespace().map(str::to_owned).collect())
}

/// Remembers them.
pub(crate) fn remember(store: &Store, account: &BareJid, hosts: &[String]) -> Result<(), StoreError> {
    store.set_setting(&setting(account), Some(&hosts.join(" ")))
}

fn setting(account: &BareJid) -> String {
    format!("own-hosts {account}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_connection_learnt_is_known_offline() {
        let (store, account): (_, BareJid) = (Store::in_memory().unwrap(), "romeo@montague.example".parse().unwrap());
        remember(&store, &account, &["files.montague.example".to_owned(), "montague.example".to_owned()]).unwrap();
        let rules = Fetcher::offline(&account, None, None, store.clone()).unwrap().rules();
        assert_eq!(rules.own_hosts, ["montague.example", "files.montague.example"]);
        assert!(!rules.loopback_http);
        let other = "juliet@capulet.example".parse().unwrap();
        assert_eq!(Fetcher::offline(&other, None, None, store).unwrap().rules().own_hosts, ["capulet.example"]);
    }
}
