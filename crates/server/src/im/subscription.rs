//! RFC 6121 §3 and Appendix A: what a subscription stanza changes on either side. Pure: states in, states and duties out.

use balcony_wire::PresenceKind;
use balcony_wire::roster::Subscription;

/// What an account knows of one contact.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Contact {
    /// In the roster that clients see; a contact that only asked is not.
    pub(crate) listed: bool,
    /// What the user calls it; empty for nothing (RFC 6121 §2.1.2.4).
    pub(crate) name: String,
    pub(crate) groups: Vec<String>,
    /// The user sees the contact's presence (`to`).
    pub(crate) sees: bool,
    /// The contact sees the user's presence (`from`).
    pub(crate) seen: bool,
    /// The user asked to see the contact's presence (pending out).
    pub(crate) asked: bool,
    /// The user said yes before being asked (§3.4).
    pub(crate) approved: bool,
    /// The contact asked, with these words: the stanza as text (pending in).
    pub(crate) request: Option<String>,
}

/// What to do after a stanza was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sent {
    /// The user's item changed: push it.
    pub(crate) push: bool,
    /// The stanza goes on to the contact.
    pub(crate) route: bool,
}

/// What to do after a stanza came in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Came {
    /// The item changed: push it.
    pub(crate) push: bool,
    /// The stanza goes to the account's sessions.
    pub(crate) deliver: bool,
    /// The server answers for the account.
    pub(crate) reply: Option<PresenceKind>,
}

impl Contact {
    pub(crate) fn subscription(&self) -> Subscription {
        match (self.sees, self.seen) {
            (true, true) => Subscription::Both,
            (true, false) => Subscription::To,
            (false, true) => Subscription::From,
            (false, false) => Subscription::None,
        }
    }

    /// Bytes of what the user calls the contact.
    pub(crate) fn weight(&self) -> usize {
        self.name.len() + self.groups.iter().map(String::len).sum::<usize>() + self.groups.len()
    }

    /// Whether there is nothing left to remember.
    pub(crate) fn is_nothing(&self) -> bool {
        !(self.listed || self.sees || self.seen || self.asked || self.approved || self.request.is_some())
    }

    /// The user sends `kind` to the contact.
    pub(crate) fn send(&mut self, kind: PresenceKind) -> Sent {
        let before = self.visible();
        let route = match kind {
            PresenceKind::Subscribe => {
                self.listed = true;
                self.asked |= !self.sees;
                // Routed even when it is granted already: the sides may disagree (A.2.1).
                true
            }
            PresenceKind::Subscribed => {
                let asked = self.request.take().is_some();
                if asked {
                    self.seen = true;
                } else if !self.seen {
                    self.approved = true;
                }
                self.listed |= asked || self.approved;
                asked
            }
            PresenceKind::Unsubscribe => {
                let had = self.sees || self.asked;
                self.sees = false;
                self.asked = false;
                had
            }
            PresenceKind::Unsubscribed => {
                let had = self.seen || self.request.is_some();
                self.seen = false;
                self.approved = false;
                self.request = None;
                had
            }
            _ => false,
        };
        Sent { push: self.listed && self.visible() != before, route }
    }

    /// The contact sent `kind`; `words` is the stanza as text.
    pub(crate) fn receive(&mut self, kind: PresenceKind, words: &str) -> Came {
        let before = self.visible();
        let (deliver, reply) = match kind {
            PresenceKind::Subscribe if self.seen => (false, Some(PresenceKind::Subscribed)),
            PresenceKind::Subscribe if self.approved => {
                self.seen = true;
                self.approved = false;
                (false, Some(PresenceKind::Subscribed))
            }
            PresenceKind::Subscribe => {
                // Once in a while is enough, but new words replace the old ones.
                let again = self.request.as_deref() == Some(words);
                self.request = Some(words.to_owned());
                (!again, None)
            }
            PresenceKind::Subscribed => {
                let asked = std::mem::take(&mut self.asked);
                self.sees |= asked;
                (asked, None)
            }
            PresenceKind::Unsubscribe => {
                let had = std::mem::take(&mut self.seen) | self.request.take().is_some();
                (had, None)
            }
            PresenceKind::Unsubscribed => {
                let had = std::mem::take(&mut self.sees) | std::mem::take(&mut self.asked);
                (had, None)
            }
            _ => (false, None),
        };
        Came { push: self.listed && self.visible() != before, deliver, reply }
    }

    /// What a roster item shows of the state.
    fn visible(&self) -> (bool, Subscription, bool, bool) {
        (self.listed, self.subscription(), self.asked, self.approved)
    }
}

#[cfg(test)]
mod tests {
    use PresenceKind::{Subscribe, Subscribed, Unsubscribe, Unsubscribed};

    use super::*;

    /// The nine states of RFC 6121 A.1: (to, from, pending out, pending in).
    const STATES: [(bool, bool, bool, bool); 9] = [
        (false, false, false, false), // None
        (false, false, true, false),  // None + Pending Out
        (false, false, false, true),  // None + Pending In
        (false, false, true, true),   // None + Pending Out+In
        (true, false, false, false),  // To
        (true, false, false, true),   // To + Pending In
        (false, true, false, false),  // From
        (false, true, true, false),   // From + Pending Out
        (true, true, false, false),   // Both
    ];

    fn contact(at: usize) -> Contact {
        let (sees, seen, asked, pending_in) = STATES[at];
        Contact { listed: true, sees, seen, asked, request: pending_in.then(|| "old".to_owned()), ..Contact::default() }
    }

    fn state(contact: &Contact) -> usize {
        let now = (contact.sees, contact.seen, contact.asked, contact.request.is_some());
        STATES.iter().position(|state| *state == now).unwrap_or(99)
    }

    /// Tables A.2.1 to A.2.4: where each state goes, and whether the stanza is routed.
    #[test]
    fn sending_follows_the_tables_of_the_rfc() {
        let tables: [(PresenceKind, [(bool, usize); 9]); 4] = [
            (Subscribe, [(true, 1), (true, 1), (true, 3), (true, 3), (true, 4), (true, 5), (true, 7), (true, 7), (true, 8)]),
            (Unsubscribe, [(false, 0), (true, 0), (false, 2), (true, 2), (true, 0), (true, 2), (false, 6), (true, 6), (true, 6)]),
            (Subscribed, [(false, 0), (false, 1), (true, 6), (true, 7), (false, 4), (true, 8), (false, 6), (false, 7), (false, 8)]),
            (Unsubscribed, [(false, 0), (false, 1), (true, 0), (true, 1), (false, 4), (true, 4), (true, 0), (true, 1), (true, 4)]),
        ];
        for (kind, table) in tables {
            for (from, (route, to)) in table.into_iter().enumerate() {
                let mut contact = contact(from);
                let sent = contact.send(kind);
                assert_eq!((sent.route, state(&contact)), (route, to), "{kind:?} in state {from}");
            }
        }
    }

    /// Tables A.3.1 to A.3.4: where each state goes, and whether the stanza is delivered.
    #[test]
    fn receiving_follows_the_tables_of_the_rfc() {
        let tables: [(PresenceKind, [(bool, usize); 9]); 4] = [
            (Subscribe, [(true, 2), (true, 3), (true, 2), (true, 3), (true, 5), (true, 5), (false, 6), (false, 7), (false, 8)]),
            (Unsubscribe, [(false, 0), (false, 1), (true, 0), (true, 1), (false, 4), (true, 4), (true, 0), (true, 1), (true, 4)]),
            (Subscribed, [(false, 0), (true, 4), (false, 2), (true, 5), (false, 4), (false, 5), (false, 6), (true, 8), (false, 8)]),
            (Unsubscribed, [(false, 0), (true, 0), (false, 2), (true, 2), (true, 0), (true, 2), (false, 6), (true, 6), (true, 6)]),
        ];
        for (kind, table) in tables {
            for (from, (deliver, to)) in table.into_iter().enumerate() {
                let mut contact = contact(from);
                let came = contact.receive(kind, "new");
                assert_eq!((came.deliver, state(&contact)), (deliver, to), "{kind:?} in state {from}");
            }
        }
    }

    #[test]
    fn a_request_that_is_granted_already_or_beforehand_is_answered_by_the_server() {
        let mut granted = contact(6);
        assert_eq!(granted.receive(Subscribe, "x"), Came { push: false, deliver: false, reply: Some(Subscribed) });
        let mut friend = Contact::default();
        assert_eq!(friend.send(Subscribed), Sent { push: true, route: false });
        assert!(friend.approved && friend.listed);
        assert_eq!(friend.receive(Subscribe, "x"), Came { push: true, deliver: false, reply: Some(Subscribed) });
        assert_eq!(friend.subscription(), Subscription::From);
    }

    #[test]
    fn the_same_request_again_is_not_shown_again_and_one_that_only_asked_is_not_listed() {
        let mut stranger = Contact::default();
        assert_eq!(stranger.receive(Subscribe, "hello"), Came { push: false, deliver: true, reply: None });
        assert!(!stranger.listed && !stranger.is_nothing());
        assert!(!stranger.receive(Subscribe, "hello").deliver);
        assert!(stranger.receive(Subscribe, "please").deliver);
        assert_eq!(stranger.send(Unsubscribed), Sent { push: false, route: true });
        assert!(stranger.is_nothing());
    }
}
