//! Every request of others comes through here: to those who see this device it is open, others are looked at first.

use balcony_wire::stanza::DefinedCondition;
use balcony_wire::{BareJid, Iq, StanzaError};

use super::answers;
use super::sight::View;
use crate::bits::{HandOut, is_for_us};
use crate::direct::Switchboard;

/// See the module. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    account: BareJid,
    hand_out: HandOut,
    switchboard: Switchboard,
}

impl Door {
    pub(crate) fn new(account: BareJid, hand_out: HandOut, switchboard: Switchboard) -> Self {
        Self { account, hand_out, switchboard }
    }

    /// Takes a request, whoever asks; gives the answer, if it is given at once.
    pub(crate) fn take(&self, request: Iq) -> Option<Iq> {
        let view = request.from.as_ref().map_or(View::Presence, |from| self.switchboard.view(&from.bare()));
        if view == View::Nothing { self.switchboard.unseen(request) } else { self.answer(request) }
    }

    /// Takes a request of somebody who may learn that we are there.
    pub(crate) fn answer(&self, request: Iq) -> Option<Iq> {
        match () {
            () if is_for_us(&request) => self.hand_out.take(request),
            () if Switchboard::is_for_us(&request) => self.switchboard.take(request),
            () => Some(answers::answer(&request, &self.account)),
        }
    }
}

/// What servers say for a device that is not there (RFC 6121 §8.5.3.2.3), to the letter: neither words nor anything else tells us from
/// nobody.
pub(crate) fn as_if_nobody_was_here(request: &Iq) -> Iq {
    request.refuse(StanzaError::new(DefinedCondition::ServiceUnavailable))
}
