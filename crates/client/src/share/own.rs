//! What we said ourselves belongs into the catalogue as well: our offers, and the sources that we attached.

use std::collections::BTreeSet;
use std::time::SystemTime;

use balcony_sharing::attach::Attachment;
use balcony_sharing::{Offer, Received, dialect};
use balcony_store::{NewOffer, Store, StoreError};
use balcony_wire::{BareJid, Message};

use crate::account::Account;
use crate::blocking::blocking;
use crate::offers::new_attachment;

/// Writes down what the server has by now.
pub(super) async fn remember(account: &Account, messages: Vec<Message>) -> Result<(), StoreError> {
    if messages.is_empty() {
        return Ok(());
    }
    let (store, jid) = (account.store().clone(), account.jid().clone());
    blocking(move || write_down(&store, &jid, messages)).await
}

fn write_down(store: &Store, account: &BareJid, messages: Vec<Message>) -> Result<(), StoreError> {
    let now = SystemTime::now();
    let said: BTreeSet<String> = messages.iter().filter_map(|message| message.id.clone()).collect();
    let mut offers = Vec::new();
    for message in messages {
        let stanza = message.clone().into_element().to_xml();
        let received = Received::own(message, account);
        let reading = dialect::read(&received);
        offers.extend(reading.offers.iter().map(|offer: &Offer| NewOffer::new(offer, stanza.clone(), now).own()));
        // What goes along with its offer only repeats what that says.
        let attached = Attachment::of(&reading, received.provenance(), now).filter(|attached| !said.contains(attached.target()));
        if let Some(attached) = attached {
            store.add_attachment(&new_attachment(&attached, received.inner(), now))?;
        }
    }
    store.add_offers(&offers).map(drop)
}
