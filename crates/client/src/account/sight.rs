//! Who may learn that this device is there, and how much. One question, asked of one place by all that answers others: requests,
//! sessions, proposals of sessions. Whoever may learn nothing hears what they would hear if nobody was there.
//!
//! Our server tells contacts with a subscription `from` or `both` that we are there; nobody else learns it by asking, whether they are in
//! the roster or not. To whom we speak from this device we show it ourselves, for a while, and with directed presence until it is taken
//! back. What the store knows, offers made to somebody, is looked up by the reception (`direct/reception.rs`): it takes a while.
//!
//! RFC 6121 §3.1, §4.6, §8.5.3
//! XEP-0030 Service discovery, v2.5.0 <https://xmpp.org/extensions/xep-0030.html> (§8)

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use balcony_sharing::plan::Contacts;
use balcony_wire::stanza::{MessageKind, PresenceKind};
use balcony_wire::{BareJid, Jid, Stanza};
use tokio::sync::watch;

use super::options::Availability;

/// How long somebody to whom something was said may ask back: to learn what we can do, to fetch what was offered.
const SPOKEN: Duration = Duration::from_secs(300);
/// People of whom it is remembered that something was said to them.
const MOST: usize = 4_096;

/// What somebody may learn of this device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum View {
    /// Nothing.
    Nothing,
    /// That it is there and what it can do, since it was shown to them.
    Shown,
    /// The same, and whenever it is there: contacts who see our presence, and our own devices. They may offer files, and open streams.
    Presence,
}

/// What somebody sees of us by a stanza of ours, once it goes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shows {
    /// Nothing that they did not see before: answers, errors, what the server does with subscriptions.
    Nothing,
    /// That we are there.
    Presence(BareJid),
    /// That we are gone.
    Absence(BareJid),
    /// Where we speak from.
    Word(BareJid),
}

impl Shows {
    /// What a stanza shows.
    pub(crate) fn of(stanza: &Stanza) -> Self {
        match stanza {
            Stanza::Presence(presence) => match (&presence.to, presence.kind) {
                (Some(to), PresenceKind::Available) => Self::Presence(to.bare()),
                (Some(to), PresenceKind::Unavailable) => Self::Absence(to.bare()),
                _ => Self::Nothing,
            },
            Stanza::Message(message) if message.kind != MessageKind::Error => Self::word(message.to.as_ref()),
            Stanza::Iq(iq) if iq.request().is_some() => Self::word(iq.to.as_ref()),
            Stanza::Message(_) | Stanza::Iq(_) => Self::Nothing,
        }
    }

    /// What it shows to say or ask something.
    pub(crate) fn word(to: Option<&Jid>) -> Self {
        to.map_or(Self::Nothing, |to| Self::Word(to.bare()))
    }
}

/// To whom this device is shown. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Sight {
    account: BareJid,
    contacts: watch::Receiver<Arc<Contacts>>,
    /// Whether contacts are told that we are there.
    is_available: bool,
    shown: Arc<Mutex<Shown>>,
}

/// What was done from this device since it logged in.
#[derive(Debug, Default)]
struct Shown {
    /// Got a presence of ours that was not taken back.
    presence: BTreeSet<BareJid>,
    /// Got something else, and when.
    spoken: HashMap<BareJid, Instant>,
}

impl Sight {
    pub(crate) fn new(account: BareJid, contacts: watch::Receiver<Arc<Contacts>>, availability: Availability) -> Self {
        Self { account, contacts, is_available: availability != Availability::Hidden, shown: Arc::default() }
    }

    /// Of somebody who is available, with these contacts.
    #[cfg(test)]
    pub(crate) fn with_contacts(account: &str, contacts: &[(&str, balcony_wire::roster::Subscription)]) -> Self {
        use balcony_wire::roster::RosterItem;
        let item =
            |(jid, subscription): &(&str, _)| RosterItem { subscription: *subscription, ..RosterItem::new(Jid::parse(jid).unwrap()) };
        let contacts = watch::channel(Arc::new(Contacts::from_items(contacts.iter().map(item)))).1;
        Self::new(account.parse().unwrap(), contacts, Availability::Available(0))
    }

    /// Whether a person is in the roster, or ourselves. That they may see us does not follow.
    pub(crate) fn knows(&self, person: &BareJid) -> bool {
        *person == self.account || self.contacts.borrow().groups(person).is_some()
    }

    /// What somebody, a person, a service or a room, may learn.
    pub(crate) fn view(&self, who: &BareJid) -> View {
        self.view_at(who, Instant::now())
    }

    fn view_at(&self, who: &BareJid, now: Instant) -> View {
        if *who == self.account || (self.is_available && self.contacts.borrow().sees_us(who)) {
            return View::Presence;
        }
        let shown = self.lock();
        let is_shown = shown.presence.contains(who)
            || shown.spoken.get(who).is_some_and(|at| now.saturating_duration_since(*at) < SPOKEN)
            || *who == self.account.domain_jid();
        if is_shown { View::Shown } else { View::Nothing }
    }

    /// This goes out: the connection took it. Whether somebody sees us by that who did not before.
    pub(crate) fn wrote(&self, shows: Shows) -> bool {
        self.wrote_at(shows, Instant::now())
    }

    fn wrote_at(&self, shows: Shows, now: Instant) -> bool {
        match shows {
            Shows::Nothing => false,
            Shows::Presence(to) => self.lock().presence.insert(to),
            Shows::Absence(to) => {
                self.hide(&to);
                false
            }
            Shows::Word(to) => {
                let is_new = self.view_at(&to, now) == View::Nothing;
                let spoken = &mut self.lock().spoken;
                if spoken.len() >= MOST {
                    spoken.retain(|_, at| now.saturating_duration_since(*at) < SPOKEN);
                }
                if spoken.len() < MOST || spoken.contains_key(&to) {
                    spoken.insert(to, now);
                }
                is_new
            }
        }
    }

    /// A message of ours came back from somebody, or from a server in their name: nothing was heard there.
    pub(crate) fn came_back(&self, from: &BareJid) {
        self.lock().spoken.remove(from);
    }

    /// They were told that we are gone.
    fn hide(&self, who: &BareJid) {
        let mut shown = self.lock();
        shown.presence.remove(who);
        shown.spoken.remove(who);
    }

    /// A new login: what was shown was another device.
    pub(crate) fn begin_session(&self) {
        *self.lock() = Shown::default();
    }

    fn lock(&self) -> MutexGuard<'_, Shown> {
        // No step leaves it half changed.
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use balcony_wire::roster::Subscription;
    use balcony_wire::{Element, Iq, Message, Presence};

    use super::*;

    fn bare(text: &str) -> BareJid {
        text.parse().unwrap()
    }

    fn sight(availability: Availability) -> Sight {
        use Subscription::{Both, From, None, To};
        let contacts = ["none", "to", "from", "both"].map(|name| format!("{name}@capulet.example"));
        let contacts: Vec<_> = contacts.iter().map(String::as_str).zip([None, To, From, Both]).collect();
        Sight { is_available: availability == AVAILABLE, ..Sight::with_contacts("romeo@montague.example", &contacts) }
    }

    const AVAILABLE: Availability = Availability::Available(0);

    /// Proves: JIN-13-1.
    #[test]
    fn being_in_the_roster_shows_nothing_and_a_subscription_from_them_does() {
        use View::{Nothing, Presence, Shown};
        let table = [
            ("none@capulet.example", [Nothing, Nothing]),
            ("to@capulet.example", [Nothing, Nothing]),
            ("from@capulet.example", [Presence, Nothing]),
            ("both@capulet.example", [Presence, Nothing]),
            ("mallory@evil.example", [Nothing, Nothing]),
            ("evil.example", [Nothing, Nothing]),
            ("romeo@montague.example", [Presence, Presence]),
            ("montague.example", [Shown, Shown]),
        ];
        for (who, expected) in table {
            let view = |availability| sight(availability).view(&bare(who));
            assert_eq!([AVAILABLE, Availability::Hidden].map(view), expected, "{who}");
        }
    }

    #[test]
    fn to_whom_we_speak_we_show_ourselves_for_a_while() {
        let (sight, now) = (sight(AVAILABLE), Instant::now());
        let (nurse, phone) = (bare("nurse@verona.example"), Jid::parse("nurse@verona.example/phone").unwrap());
        let speaks = |to| sight.wrote_at(Shows::word(to), now);
        assert!(speaks(Some(&phone)) && !speaks(Some(&phone)));
        assert_eq!(sight.view_at(&nurse, now + SPOKEN / 2), View::Shown);
        assert_eq!(sight.view_at(&nurse, now + SPOKEN), View::Nothing);
        assert!(!speaks(None) && !speaks(Some(&Jid::parse("both@capulet.example").unwrap())), "they see us anyway");
        sight.begin_session();
        assert_eq!(sight.view_at(&nurse, now), View::Nothing);
    }

    #[test]
    fn presence_shows_us_until_it_is_taken_back_and_answers_and_errors_do_not() {
        let (sight, to) = (sight(AVAILABLE), Jid::parse("nurse@verona.example/phone").unwrap());
        let view = || sight.view(&to.bare());
        let request = Iq::get("1", Some(to.clone()), Element::new("query", "urn:example"));
        let answer = Iq { to: Some(to.clone()), ..Iq { from: Some(to.clone()), ..request.clone() }.result(None) };
        let error = Message::new(MessageKind::Error, Some(to.clone()));
        let goes_out = |stanza: &Stanza| sight.wrote(Shows::of(stanza));
        for says_nothing in [Stanza::Iq(answer), error.into(), Presence::new(PresenceKind::Subscribe, Some(to.clone())).into()] {
            assert!(!goes_out(&says_nothing) && view() == View::Nothing, "{says_nothing:?}");
        }
        let gone = Stanza::Presence(Presence::new(PresenceKind::Unavailable, Some(to.clone())));
        let there = Presence::new(PresenceKind::Available, Some(to.clone()));
        for shows in [there.into(), Message::new(MessageKind::Chat, Some(to.clone())).into(), Stanza::Iq(request)] {
            assert!(goes_out(&shows) && view() == View::Shown, "{shows:?}");
            assert!(!goes_out(&gone) && view() == View::Nothing);
        }
    }

    #[test]
    fn what_came_back_showed_nothing_and_presence_is_not_taken_back_by_it() {
        let (sight, to) = (sight(AVAILABLE), Jid::parse("nurse@verona.example").unwrap());
        assert!(sight.wrote(Shows::word(Some(&to))));
        sight.came_back(&to.bare());
        assert_eq!(sight.view(&to.bare()), View::Nothing);
        sight.wrote(Shows::Presence(to.bare()));
        sight.came_back(&to.bare());
        assert_eq!(sight.view(&to.bare()), View::Shown);
    }

    #[test]
    fn it_remembers_so_many_and_forgets_the_old_ones_first() {
        let (sight, now) = (sight(AVAILABLE), Instant::now());
        let person = |n: usize| Jid::parse(&format!("p{n}@verona.example")).unwrap();
        for n in 0..MOST * 2 {
            sight.wrote_at(Shows::word(Some(&person(n))), now);
        }
        assert_eq!(sight.lock().spoken.len(), MOST);
        sight.wrote_at(Shows::word(Some(&person(0))), now + SPOKEN);
        assert_eq!(sight.lock().spoken.len(), 1);
    }
}
