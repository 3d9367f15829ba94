//! Which web servers are the account's own server's: those may have addresses in the network we live in, and see nothing new. They are
//! known by host *and* port, from what the server says of its upload service; whatever else answers on those hosts is a foreign server.
//!
//! XEP-0363 HTTP file upload, v1.2.0 <https://xmpp.org/extensions/xep-0363.html>

use std::time::Duration;

use balcony_session::client::Ask;
use balcony_sharing::Origin;
use balcony_wire::Payload as _;
use balcony_wire::http_upload::{Slot, SlotRequest};
use url::Url;

use super::Account;
use crate::blocking::blocking;
use crate::fetch::standing::remember_own;

/// How long a service may take to say where it is.
const ANSWER: Duration = Duration::from_secs(8);

impl Account {
    /// The account's own server named this URL for uploads or downloads.
    pub(crate) async fn learn_own(&self, url: &Url) {
        if let Some(origin) = Origin::of(url) {
            self.keep_own(origin).await;
        }
    }

    /// Where one of these URLs leads to an unknown port of a host of our own server: asks the upload services where they are, once on
    /// each connection. That takes a slot of one byte, which nobody uses: no other question has the answer. Safe to drop.
    pub(crate) async fn locate_own<'u>(&self, urls: impl Iterator<Item = &'u str>) {
        let rules = self.fetcher().rules();
        let is_odd = |url: &Url| !rules.is_own(url) && rules.own.iter().any(|own| url.host_str() == Some(own.host()));
        if !urls.filter_map(|url| Url::parse(url).ok()).any(|url| is_odd(&url)) {
            return;
        }
        let (Ok(services), Ok(online)) = (self.services().await, self.online().await) else { return };
        let mut located = self.inner.located.lock().await;
        if *located == online.connection {
            return;
        }
        for service in &services.uploads {
            let request = SlotRequest { filename: "where".to_owned(), size: 1, content_type: None, purpose: None };
            let answer = self.request(Some(service.jid.clone()), Ask::Get(request.write()), ANSWER).await;
            // A service that says nothing stays where it was; others may say more.
            let Some(slot) = answer.ok().flatten().and_then(|element| Slot::read(&element).ok()) else { continue };
            for url in [slot.put_url, slot.get_url].iter().filter_map(|url| Url::parse(url).ok()) {
                self.learn_own(&url).await;
            }
        }
        *located = online.connection;
    }

    pub(super) async fn keep_own(&self, origin: Origin) {
        if !self.fetcher().add_own(origin) {
            return;
        }
        let (store, jid, own) = (self.store().clone(), self.jid().clone(), self.fetcher().rules().own);
        if let Err(error) = blocking(move || remember_own(&store, &jid, &own)).await {
            tracing::warn!(%error, "a web server of the own server could not be remembered");
        }
    }
}
