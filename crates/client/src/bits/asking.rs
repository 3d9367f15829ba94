//! Asks devices for small data, and keeps what they give as long as they wish.
//!
//! XEP-0231 §2.3, §2.4. It holds no handle of the account: whoever drops the last one still closes it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use balcony_session::client::Ask;
use balcony_session::iq_table::RequestError;
use balcony_sharing::transfer::bits::{Bits, BitsCache, NoAnswer};
use balcony_store::Store;
use balcony_wire::bits_of_binary::{BitsOfBinary, ContentId};
use balcony_wire::stanza::DefinedCondition;
use balcony_wire::{Element, Jid};
use tokio::sync::mpsc;

use crate::account::reply::ReplyTo;
use crate::account::state::Command;
use crate::blocking::blocking;

/// How long a device may take.
const ANSWER: Duration = Duration::from_secs(20);
/// Longer than that nothing is kept over a restart, whatever its sender wishes.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);

/// Asks for small data. Cheap to clone; all clones keep the same.
#[derive(Clone, Debug)]
pub(crate) struct Asker {
    store: Store,
    cache: Arc<Mutex<BitsCache>>,
    /// `None` offline: then there is only what is kept.
    commands: Option<mpsc::WeakSender<Command>>,
}

impl Asker {
    pub(crate) fn offline(store: Store) -> Self {
        Self { store, cache: Arc::default(), commands: None }
    }

    pub(crate) fn online(store: Store, commands: mpsc::WeakSender<Command>) -> Self {
        Self { commands: Some(commands), ..Self::offline(store) }
    }

    /// What is kept from before; asks nobody.
    pub(crate) async fn kept(&self, cid: &ContentId, from: &Jid) -> Option<Bits> {
        if let Some(bits) = self.cache().get(cid, from, Instant::now()) {
            return Some(bits.clone());
        }
        let (store, name, sender) = (self.store.clone(), cid.as_str().to_owned(), from.bare());
        let row = blocking(move || store.bits(&name, Some(&sender))).await;
        // A catalogue that fails has nothing.
        let row = row.inspect_err(|error| tracing::warn!(%error, "small data cannot be read")).ok().flatten()?;
        let max_age = row.expires_at.map(|at| at.duration_since(SystemTime::now()).unwrap_or_default().as_secs());
        Bits::judge(cid, BitsOfBinary { cid: cid.clone(), media_type: row.media_type, max_age, data: Some(row.data) }).ok()
    }

    /// Asks a device; exactly one answer. Tells it that we are there.
    pub(crate) async fn ask(&self, to: Jid, payload: Element) -> Result<Option<Element>, NoAnswer> {
        let silent = |why: &str| NoAnswer::Silent(why.to_owned());
        let commands = self.commands.as_ref().and_then(mpsc::WeakSender::upgrade).ok_or_else(|| silent("the account is not connected"))?;
        let (reply, answer) = ReplyTo::one();
        let command = Command::Request { to: Some(to), ask: Ask::Get(payload), timeout: ANSWER, reply };
        commands.send(command).await.map_err(|_| silent("the account is not connected"))?;
        drop(commands);
        match answer.await.unwrap_or(Err(RequestError::Disconnected)) {
            Ok(answer) => Ok(answer),
            Err(RequestError::Refused { error, .. }) if error.condition == DefinedCondition::ItemNotFound => Err(NoAnswer::Refused),
            // Its server answers for a device that is gone.
            Err(RequestError::Refused { .. }) => Err(silent("the sender's device is not there, or takes no questions")),
            Err(error) => Err(NoAnswer::Silent(error.to_string())),
        }
    }

    /// Keeps what a device gave: until the program ends, over restarts only where its sender says for how long (XEP-0231 §2.4) and
    /// it has no more bytes than the catalogue takes.
    pub(crate) async fn keep(&self, bits: &Bits, from: &Jid) {
        self.cache().put(bits, from, Instant::now());
        let Some(age) = bits.max_age().filter(|age| !age.is_zero()) else { return };
        let row = balcony_store::Bits {
            cid: bits.cid().as_str().to_owned(),
            from: Some(from.bare()),
            media_type: bits.media_type().map(ToString::to_string),
            data: bits.bytes().to_vec(),
            expires_at: Some(SystemTime::now() + age.min(LONGEST)),
        };
        let store = self.store.clone();
        // What cannot be kept is asked for again.
        if let Err(error) = blocking(move || store.add_bits(&row)).await {
            tracing::warn!(%error, "small data cannot be kept");
        }
    }

    fn cache(&self) -> MutexGuard<'_, BitsCache> {
        // No step of the cache leaves it half changed.
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
