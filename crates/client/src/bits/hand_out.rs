//! Hands out small data of ours to those whom an offer of ours told of it. To everybody else it is unknown, whether it is there or
//! not: nobody finds out by asking what we have.
//!
//! XEP-0231 Bits of binary, v1.1 <https://xmpp.org/extensions/xep-0231.html> (§2.3)

use balcony_sharing::MediaType;
use balcony_sharing::transfer::bits::Bits;
use balcony_store::{Store, StoreError};
use balcony_wire::bits_of_binary::BitsOfBinary;
use balcony_wire::stanza::DefinedCondition;
use balcony_wire::{BareJid, Element, Iq, IqKind, Payload as _, StanzaError};
use tokio::sync::mpsc;

use crate::account::state::Command;
use crate::blocking::blocking;

/// Requests that may wait.
const WAITING: usize = 64;

/// Whether somebody asks for small data.
pub(crate) fn is_for_us(request: &Iq) -> bool {
    matches!(&request.kind, IqKind::Get(payload) if BitsOfBinary::matches(payload))
}

/// The way of requests to the task that answers them.
#[derive(Clone, Debug)]
pub(crate) struct HandOut(mpsc::Sender<Iq>);

impl HandOut {
    /// Begins to answer. Must be called within a tokio runtime.
    pub(crate) fn start(store: Store, account: BareJid, commands: mpsc::WeakSender<Command>) -> Self {
        let (asked, mut requests) = mpsc::channel::<Iq>(WAITING);
        tokio::spawn(async move {
            while let Some(request) = requests.recv().await {
                let (store, account) = (store.clone(), account.clone());
                let answer = blocking(move || answer(&request, &store, &account)).await;
                let Some(commands) = commands.upgrade() else { return };
                let _ = commands.send(Command::Answer(Box::new(answer))).await; // the account is closed: nobody waits
            }
        });
        Self(asked)
    }

    /// Takes a request; gives the answer at once where there are too many.
    pub(crate) fn take(&self, request: Iq) -> Option<Iq> {
        let returned = self.0.try_send(request).err()?.into_inner();
        Some(returned.refuse(StanzaError::new(DefinedCondition::ResourceConstraint)))
    }
}

fn answer(request: &Iq, store: &Store, account: &BareJid) -> Iq {
    match find(request, store, account) {
        Ok(Some(data)) => request.result(Some(data)),
        Ok(None) => request.refuse(StanzaError::new(DefinedCondition::ItemNotFound)),
        Err(error) => {
            tracing::warn!(%error, "small data cannot be read");
            request.refuse(StanzaError::new(DefinedCondition::ItemNotFound))
        }
    }
}

fn find(request: &Iq, store: &Store, account: &BareJid) -> Result<Option<Element>, StoreError> {
    let IqKind::Get(payload) = &request.kind else { return Ok(None) };
    let Ok(asked) = BitsOfBinary::read(payload) else { return Ok(None) }; // without a name there is nothing to find
    let asker = request.from.as_ref().map_or_else(|| account.clone(), |from| from.bare());
    let Some(row) = store.bits(asked.cid.as_str(), None)? else { return Ok(None) };
    // Our other devices see all that we tell others.
    if asker != *account && !store.is_told_of(account, &asker, asked.cid.as_str())? {
        return Ok(None);
    }
    let media_type = row.media_type.as_deref().map(MediaType::from_peer).unwrap_or_default();
    Ok(Bits::of_ours(row.data, media_type).filter(|bits| *bits.cid() == asked.cid).map(|bits| bits.to_element()))
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use balcony_store::{OutboxState, Outgoing};
    use balcony_wire::Jid;
    use balcony_wire::bits_of_binary::ContentId;

    use super::*;

    /// Proves: BOB-2.3-1.
    #[test]
    fn small_data_goes_to_whom_it_was_told_of_and_to_others_it_is_unknown() {
        let (store, romeo): (_, BareJid) = (Store::in_memory().unwrap(), "romeo@montague.example".parse().unwrap());
        let bits = Bits::of_ours(b"small".to_vec(), MediaType::from_peer("image/png")).unwrap();
        let row = balcony_store::Bits {
            cid: bits.cid().as_str().to_owned(),
            from: None,
            media_type: Some("image/png".to_owned()),
            data: b"small".to_vec(),
            expires_at: None,
        };
        store.add_bits(&row).unwrap();
        let to = Jid::parse("juliet@capulet.example").unwrap();
        let told = Outgoing::preparing(romeo.clone(), "m1".to_owned(), to, Vec::new(), SystemTime::now());
        let stanza = Some(format!("<message><thumbnail uri='{}'/></message>", bits.cid().to_uri()));
        store.add_outgoing(&Outgoing { stanza, state: OutboxState::Sending, ..told }).unwrap();
        let ask = |from: &str, cid: &ContentId| {
            let request = Iq::get("1", None, balcony_sharing::transfer::bits::request(cid));
            answer(&Iq { from: Some(Jid::parse(from).unwrap()), ..request }, &store, &romeo).kind
        };
        for asker in ["juliet@capulet.example/balcony", "romeo@montague.example/phone"] {
            let IqKind::Result(Some(data)) = ask(asker, bits.cid()) else { panic!("{asker} gets nothing") };
            assert_eq!((data.attr("type"), data.attr("cid")), (Some("image/png"), Some(bits.cid().as_str())));
        }
        let unknown = ContentId::new("sha1+0000000000000000000000000000000000000000@bob.xmpp.org");
        let refused = [ask("mallory@evil.example/x", bits.cid()), ask("juliet@capulet.example/balcony", &unknown)];
        let [IqKind::Error(not_for_them), IqKind::Error(not_there)] = refused else { panic!("{refused:?}") };
        assert_eq!(not_for_them, not_there, "nobody can tell what we have by asking");
        assert_eq!(not_there.condition, DefinedCondition::ItemNotFound);
    }
}
