//! What an account knows without being connected.

use balcony_store::Store;

use super::{ConnectOptions, known, rules};
use crate::error::ConnectError;
use crate::fetch::Fetcher;
use crate::net::tls::Trust;

impl Fetcher {
    /// Decides and fetches as the account of these options would, without connecting it: the same authorities, the same hosts
    /// of its own, as far as an earlier connection learnt them. Blocks for a moment.
    ///
    /// # Errors
    /// When the authority or the store cannot be read.
    pub fn offline(options: &ConnectOptions, store: Store) -> Result<Self, ConnectError> {
        let trust = Trust::new(options.ca_pem.as_deref())?;
        let (_, hosts) = known(&store, &options.account).map_err(|error| ConnectError::Store(Box::new(error)))?;
        Ok(Self::with_trust(store, trust, rules(options, hosts)))
    }
}
