//! What the account's server can do, as data: `balcony doctor` turns it into words.

use balcony_session::client::Ask;
use balcony_wire::disco::DiscoInfo;
use balcony_wire::{Payload as _, ns};
use std::sync::Arc;
use std::time::Duration;

use super::state::Online;
use super::upload_service::Services;
use super::{Account, OfflineError};

/// What the account's server can do.
#[derive(Clone, Debug)]
pub struct Report {
    /// The login: address, TLS, mechanism, channel binding, resumption, limits.
    pub login: Arc<Online>,
    /// The server and its services.
    pub services: Arc<Services>,
    /// What the account itself can do (archive, PEP, …); `None` if it did not say.
    pub account: Option<DiscoInfo>,
}

impl Report {
    /// Name of the server's software, if it says it.
    pub fn software(&self) -> Option<&str> {
        self.services.server.as_ref()?.identities.iter().find(|identity| identity.category == "server")?.name.as_deref()
    }

    /// Whether messages are copied to all devices of the account (XEP-0280).
    pub fn has_carbons(&self) -> bool {
        self.login.learned.carbons || self.server_has(ns::CARBONS)
    }

    /// Whether messages are kept for devices that come later (XEP-0313).
    pub fn has_archive(&self) -> bool {
        self.account.as_ref().is_some_and(|info| info.has(ns::MAM)) || self.server_has(ns::MAM)
    }

    fn server_has(&self, feature: &str) -> bool {
        self.services.server.as_ref().is_some_and(|info| info.has(feature))
    }
}

/// Asks.
pub(super) async fn report(account: &Account) -> Result<Report, OfflineError> {
    let login = account.online().await?;
    let about_account = async {
        let ask = Ask::Get(DiscoInfo::query(None).write());
        let answer = account.request(Some(account.jid().clone().into()), ask, Duration::from_secs(8)).await.ok()??;
        DiscoInfo::read(&answer).ok()
    };
    let (services, about_account) = tokio::join!(account.services(), about_account);
    Ok(Report { login, services: services?, account: about_account })
}
