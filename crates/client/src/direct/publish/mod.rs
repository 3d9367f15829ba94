//! Published sessions: somebody says which session they will start for whoever asks with its id.
//!
//! Asked for one of ours, we say how the session will be called and start it, if the rules of giving allow it at that moment. Asking
//! for one of theirs, we take the session that they start then, and no other.
//!
//! XEP-0358 Publishing available Jingle sessions, v0.4 <https://xmpp.org/extensions/xep-0358.html>

mod expected;

pub(crate) use expected::Expected;

use balcony_store::JobId;
use balcony_wire::jingle_pub::{Start, Starting};
use balcony_wire::stanza::DefinedCondition;
use balcony_wire::{Iq, IqKind, Payload as _, StanzaError};

use super::give::{Asked, Gift, Giver, NotGiven};

/// What becomes of a `start`.
#[derive(Debug)]
pub(crate) struct Started {
    /// To be sent first.
    pub(crate) answer: Iq,
    /// To be started then: a session of this id that gives this.
    pub(crate) session: Option<(String, Gift)>,
}

/// Somebody asks for a session that we published. The announcement gives no right by itself: the rules do, as they are now.
pub(crate) async fn start(giver: &Giver, request: &Iq) -> Started {
    let refuse = |condition| Started { answer: request.refuse(StanzaError::new(condition)), session: None };
    let (IqKind::Get(payload), Some(asker)) = (&request.kind, &request.from) else { return refuse(DefinedCondition::BadRequest) };
    let Ok(wanted) = Start::read(payload) else { return refuse(DefinedCondition::BadRequest) };
    match giver.look(asker, Asked::Published(wanted.id)).await {
        Ok(gift) => {
            let sid = random_id();
            let answer = request.result(Some(Starting { sid: sid.clone() }.write()));
            Started { answer, session: Some((sid, gift)) }
        }
        Err(NotGiven::Unknown) => refuse(DefinedCondition::NotAcceptable),
        Err(NotGiven::Forbidden) => refuse(DefinedCondition::Forbidden),
    }
}

/// A name that nobody can guess.
pub(crate) fn random_id() -> String {
    JobId::random().to_string()
}
