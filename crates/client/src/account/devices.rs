//! Which devices of contacts, and of the account itself, are there just now, and what they can do. Devices say the hash of their
//! abilities in their presence; one answer serves all who say the same. Everything is bounded.
//!
//! A few strangers who show us their presence count as well, since they may give us a file. Whoever does not see us is asked nothing, as
//! that would show them that we are there: what they can do is known only where others said the same before.
//!
//! XEP-0115 Entity capabilities, v1.6.0 <https://xmpp.org/extensions/xep-0115.html> (§5.4, §6)
//! RFC 6121 §4

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use balcony_session::client::Ask;
use balcony_session::disco_cache::{Announced, DiscoCache, Unverified};
use balcony_session::iq_table::{RequestError, RequestId};
use balcony_sharing::plan::{Abilities, Devices};
use balcony_wire::caps::Caps;
use balcony_wire::disco::DiscoInfo;
use balcony_wire::jingle_file::Version;
use balcony_wire::stanza::PresenceKind;
use balcony_wire::{Element, FullJid, Jid, Payload as _, Presence, ns};
use tokio::sync::watch;

use super::sight::{Sight, View};
use super::{Account, answers};

/// How long a device may take to say what it can do.
pub(super) const ANSWER: Duration = Duration::from_secs(20);
/// Devices of one contact that count.
const OF_ONE: usize = 16;
/// Devices of one stranger that count.
const OF_STRANGER: usize = 2;
/// Devices of all strangers that count.
const OF_STRANGERS: usize = 32;
/// Devices that count.
const IN_ALL: usize = 2_000;
/// Kinds of devices whose abilities are remembered.
const KINDS: usize = 512;
/// Devices that are asked at once; the others wait.
const AT_ONCE: usize = 16;

/// The devices as the connection's task keeps them.
pub(super) struct DeviceBook {
    own: Option<FullJid>,
    sight: Sight,
    cache: DiscoCache,
    /// Each with what it announced.
    present: BTreeMap<Jid, Option<Caps>>,
    /// To be asked, and not asked yet.
    waiting: BTreeSet<Jid>,
    /// Asked, and gave no answer that can be used: once is enough as long as they announce the same.
    silent: BTreeSet<Jid>,
    asked: HashMap<RequestId, Jid>,
    devices: watch::Sender<Arc<Devices>>,
}

impl DeviceBook {
    pub(super) fn new(sight: Sight) -> (Self, watch::Receiver<Arc<Devices>>) {
        let (devices, seen) = watch::channel(Arc::default());
        let mut cache = DiscoCache::new(KINDS);
        if let Some((caps, info)) = answers::known() {
            let _ = cache.restore(&caps, info); // it has its own hash
        }
        let book = Self {
            own: None,
            sight,
            cache,
            present: BTreeMap::new(),
            waiting: BTreeSet::new(),
            silent: BTreeSet::new(),
            asked: HashMap::new(),
            devices,
        };
        (book, seen)
    }

    /// A new session: the server tells anew who is there.
    pub(super) fn begin_session(&mut self, own: FullJid) {
        self.own = Some(own);
        self.asked.clear();
        self.remove(|_| true);
        self.tell();
    }

    /// Looks at a presence. [`DeviceBook::question`] may have something to ask behind it.
    pub(super) fn see(&mut self, presence: &Presence) {
        let Some(from) = &presence.from else { return };
        match presence.kind {
            PresenceKind::Available => self.came(from, presence),
            // From a bare address all of them go.
            PresenceKind::Unavailable => self.remove(|device| device == from || (from.is_bare() && device.bare_str() == from.as_str())),
            _ => return,
        }
        self.tell();
    }

    /// The next device to ask, and for what; say whose answer it will be with [`DeviceBook::asked`].
    pub(super) fn question(&mut self) -> Option<(Jid, Ask)> {
        while self.asked.len() < AT_ONCE {
            let device = self.waiting.pop_first()?;
            if !self.may_be_asked(&device) {
                continue; // they said the same as somebody who was asked
            }
            let caps = self.present.get(&device).cloned().flatten();
            match self.cache.announce(&device, caps) {
                Announced::Ask { node } => return Some((device, Ask::Get(DiscoInfo::query(Some(node)).write()))),
                Announced::Known(_) => self.tell(),
                // The answer is on its way, or there is nothing to ask.
                Announced::Asked | Announced::Nothing => {}
            }
        }
        None
    }

    /// This request asks a device what it can do.
    pub(super) fn asked(&mut self, request: RequestId, device: Jid) {
        self.asked.insert(request, device);
    }

    /// Takes an answer, if it is one to a question from here; else gives it back.
    pub(super) fn answered(
        &mut self,
        request: RequestId,
        answer: Result<Option<Element>, RequestError>,
    ) -> Option<Result<Option<Element>, RequestError>> {
        let Some(device) = self.asked.remove(&request) else { return Some(answer) };
        let info = answer.ok().flatten().and_then(|element| DiscoInfo::read(&element).ok());
        let learnt = info.map(|info| self.cache.learn(&device, info));
        match learnt {
            // What does not have the announced hash still is what this device says of itself.
            Some(Ok(_) | Err(Unverified::Mismatch | Unverified::IllFormed(_) | Unverified::UnknownHash(_) | Unverified::NotAnnounced)) => {}
            Some(Err(Unverified::TooLong)) | None => {
                self.cache.failed(&device);
                self.silent.insert(device.clone());
            }
        }
        // Others announced the same and waited for this answer; it may have been for this device alone.
        let caps = self.present.get(&device).cloned().flatten();
        let same = self.present.iter().filter(|(other, announced)| **announced == caps && !self.silent.contains(*other));
        let same: Vec<Jid> = same.map(|(other, _)| other.clone()).filter(|other| *other != device).collect();
        self.waiting.extend(same);
        self.tell();
        None
    }

    fn came(&mut self, from: &Jid, presence: &Presence) {
        if !self.counts(from) {
            return;
        }
        let caps = presence.payload::<Caps>().and_then(Result::ok);
        let before = self.present.insert(from.clone(), caps.clone());
        if before.as_ref() == Some(&caps) {
            return;
        }
        self.silent.remove(from);
        match caps {
            Some(_) if self.may_be_asked(from) => drop(self.waiting.insert(from.clone())),
            Some(caps) => {
                self.cache.announce(from, Some(caps));
                self.cache.failed(from);
            }
            None => {
                self.waiting.remove(from);
                self.cache.gone(from);
            }
        }
    }

    /// Others see us now than before: whoever does is asked, if they were not.
    pub(super) fn look_again(&mut self) {
        let asked = |device: &Jid| self.asked.values().any(|asked| asked == device);
        let unasked = self.present.iter().filter(|(device, caps)| caps.is_some() && !self.silent.contains(*device) && !asked(device));
        let waiting: Vec<Jid> = unasked.map(|(device, _)| device.clone()).filter(|device| self.may_be_asked(device)).collect();
        self.waiting.extend(waiting);
    }

    /// Whether a device sees us: then nothing is shown to it by asking.
    fn may_be_asked(&self, device: &Jid) -> bool {
        self.sight.view(&device.bare()) > View::Nothing
    }

    /// Whether this is a device of ours, or of a contact.
    fn is_known(&self, device: &Jid) -> bool {
        self.sight.knows(&device.bare())
    }

    /// Whether this device counts, and there is room for it.
    fn counts(&self, from: &Jid) -> bool {
        let is_self = self.own.as_ref().is_some_and(|own| **own == *from);
        if from.resource().is_none() || is_self {
            return false;
        }
        let is_known = self.is_known(from);
        let of_person = || self.present.keys().filter(|device| device.bare_str() == from.bare_str()).count();
        let of_strangers = || self.present.keys().filter(|device| !self.is_known(device)).count();
        self.present.contains_key(from)
            || match is_known {
                true => self.present.len() < IN_ALL && of_person() < OF_ONE,
                false => of_person() < OF_STRANGER && of_strangers() < OF_STRANGERS,
            }
    }

    fn remove(&mut self, is_gone: impl Fn(&Jid) -> bool) {
        let gone: Vec<Jid> = self.present.keys().filter(|device| is_gone(device)).cloned().collect();
        for device in gone {
            self.present.remove(&device);
            self.waiting.remove(&device);
            self.silent.remove(&device);
            self.cache.gone(&device);
            self.asked.retain(|_, asked| *asked != device);
        }
    }

    /// Tells what is known now.
    fn tell(&mut self) {
        let cache = &mut self.cache;
        let abilities = |device: &Jid| cache.info(device).map(|info| abilities(&info)).unwrap_or_default();
        let mut abilities = abilities;
        let devices = Devices::new(self.present.keys().map(|device| (device.clone(), abilities(device))));
        self.devices.send_if_modified(|known| {
            let is_new = **known != devices;
            *known = Arc::new(devices);
            is_new
        });
    }
}

/// What the features of a device mean here.
fn abilities(info: &DiscoInfo) -> Abilities {
    let file_transfer = [(Version::V5, ns::JINGLE_FILE_TRANSFER_5), (Version::V4, ns::JINGLE_FILE_TRANSFER_4)];
    Abilities {
        file_transfer: file_transfer.into_iter().find(|(_, feature)| info.has(feature)).map(|(version, _)| version),
        s5b: info.has(ns::JINGLE_S5B),
        ibb: info.has(ns::JINGLE_IBB),
        published_sessions: info.has(ns::JINGLE_PUB),
        message_initiation: info.has(ns::JINGLE_MESSAGE),
        stream_initiation: info.has(ns::SI_FILE_TRANSFER),
    }
}

impl Account {
    /// Devices that are there just now and what they can do: those of contacts, and the account's other ones. Empty where the account
    /// hides ([`super::Availability::Hidden`]): the server then tells nothing.
    pub fn devices(&self) -> watch::Receiver<Arc<Devices>> {
        self.inner.devices.clone()
    }

    /// What a device can do: as it announced, else it is asked, which shows it that we are there. `None` if it does not answer. Safe to
    /// drop.
    pub async fn abilities(&self, device: &FullJid) -> Option<Abilities> {
        let device = Jid::from(device.clone());
        let known = self.inner.devices.borrow().get(&device);
        if let Some(known) = known.filter(|known| *known != Abilities::default()) {
            return Some(known);
        }
        let answer = self.request(Some(device), Ask::Get(DiscoInfo::query(None).write()), ANSWER).await.ok()??;
        DiscoInfo::read(&answer).ok().map(|info| abilities(&info))
    }
}

#[cfg(test)]
mod tests {
    use balcony_wire::caps::verification_string;
    use balcony_wire::disco::Identity;
    use balcony_wire::roster::Subscription;
    use balcony_wire::{Message, MessageKind};
    use sha1::{Digest as _, Sha1};

    use super::*;
    use crate::account::sight::Shows;

    fn jid(text: &str) -> Jid {
        Jid::parse(text).unwrap()
    }

    fn book() -> (DeviceBook, watch::Receiver<Arc<Devices>>) {
        let contacts = [("juliet@capulet.example", Subscription::Both), ("tybalt@capulet.example", Subscription::To)];
        let (mut book, seen) = DeviceBook::new(Sight::with_contacts("romeo@montague.example", &contacts));
        book.begin_session(jid("romeo@montague.example/me").into_full().unwrap());
        (book, seen)
    }

    fn info(features: &[&str]) -> DiscoInfo {
        let features = features.iter().map(|feature| (*feature).to_owned()).collect();
        DiscoInfo { identities: vec![Identity::new("client", "pc", None)], features, ..DiscoInfo::default() }
    }

    fn caps(info: &DiscoInfo) -> Caps {
        let ver = verification_string(info, |input| Sha1::digest(input).to_vec()).unwrap();
        Caps { hash: "sha-1".to_owned(), node: "urn:example".to_owned(), ver }
    }

    fn presence(from: &str, kind: PresenceKind, caps: Option<&Caps>) -> Presence {
        let presence = Presence { from: Some(jid(from)), ..Presence::new(kind, None) };
        match caps {
            Some(caps) => presence.with(caps),
            None => presence,
        }
    }

    fn id(number: u64) -> RequestId {
        // ids are only made by tables of requests
        let mut table = balcony_session::iq_table::IqTable::new("romeo@montague.example".parse().unwrap(), "x".to_owned());
        let mut last = table.begin(None, std::time::Instant::now()).0;
        for _ in 0..number {
            last = table.begin(None, std::time::Instant::now()).0;
        }
        last
    }

    fn names(seen: &watch::Receiver<Arc<Devices>>) -> Vec<String> {
        seen.borrow().iter().map(|(device, _)| device.to_string()).collect()
    }

    #[test]
    fn devices_of_contacts_and_our_own_count_but_not_this_one() {
        let (mut book, seen) = book();
        for from in ["juliet@capulet.example/a", "romeo@montague.example/other", "romeo@montague.example/me", "juliet@capulet.example"] {
            book.see(&presence(from, PresenceKind::Available, None));
        }
        assert_eq!(names(&seen), ["juliet@capulet.example/a", "romeo@montague.example/other"]);
        book.see(&presence("juliet@capulet.example/a", PresenceKind::Unavailable, None));
        assert_eq!(names(&seen), ["romeo@montague.example/other"]);
        book.see(&presence("juliet@capulet.example/a", PresenceKind::Available, None));
        book.see(&presence("juliet@capulet.example/b", PresenceKind::Available, None));
        book.see(&presence("juliet@capulet.example", PresenceKind::Unavailable, None));
        assert_eq!(names(&seen), ["romeo@montague.example/other"], "all of them went");
        book.begin_session(jid("romeo@montague.example/me").into_full().unwrap());
        assert!(names(&seen).is_empty(), "who is there is told anew");
    }

    #[test]
    fn one_answer_serves_all_who_announce_the_same() {
        let (mut book, seen) = book();
        let info = info(&[ns::JINGLE_FILE_TRANSFER_5, ns::JINGLE_FILE_TRANSFER_4, ns::JINGLE_S5B, ns::JINGLE_PUB]);
        let caps = caps(&info);
        for from in ["juliet@capulet.example/a", "juliet@capulet.example/b"] {
            book.see(&presence(from, PresenceKind::Available, Some(&caps)));
        }
        let (asked, _) = book.question().unwrap();
        assert!(book.question().is_none());
        let ours = answers::known().unwrap().0;
        book.see(&presence("juliet@capulet.example/ours", PresenceKind::Available, Some(&ours)));
        assert!(book.question().is_none() && seen.borrow().get(&jid("juliet@capulet.example/ours")).unwrap().gives_files());
        book.asked(id(1), asked.clone());
        assert!(book.answered(id(2), Ok(None)).is_some(), "an answer to somebody else");
        assert!(book.answered(id(1), Ok(Some(info.write()))).is_none());
        assert!(book.question().is_none(), "it is known by now");
        for device in ["juliet@capulet.example/a", "juliet@capulet.example/b"] {
            let abilities = seen.borrow().get(&jid(device)).unwrap();
            assert_eq!(abilities.file_transfer, Some(Version::V5), "{device}");
            assert!(abilities.s5b && !abilities.ibb && abilities.published_sessions);
        }
    }

    #[test]
    fn what_does_not_have_its_hash_counts_for_whoever_said_it_and_silence_lets_the_next_be_asked() {
        let (mut book, seen) = book();
        let (honest, forged) = (info(&[ns::JINGLE_IBB]), info(&[ns::JINGLE_FILE_TRANSFER_5, ns::JINGLE_S5B]));
        let caps = caps(&honest);
        for resource in ["a", "b", "c"] {
            book.see(&presence(&format!("juliet@capulet.example/{resource}"), PresenceKind::Available, Some(&caps)));
        }
        let abilities = |resource: &str| seen.borrow().get(&jid(&format!("juliet@capulet.example/{resource}"))).unwrap();
        let (first, _) = book.question().unwrap();
        book.asked(id(1), first.clone());
        book.answered(id(1), Ok(Some(forged.write())));
        assert!(abilities("a").s5b && !abilities("b").s5b, "nobody else is thought to do what the liar said");
        let (second, _) = book.question().unwrap();
        book.asked(id(2), second.clone());
        book.answered(id(2), Err(RequestError::TimedOut));
        let (third, _) = book.question().unwrap();
        assert_eq!([first, second, third.clone()].map(|device| device.resource().unwrap().to_owned()), ["a", "b", "c"]);
        book.asked(id(3), third);
        book.answered(id(3), Ok(Some(honest.write())));
        assert!(abilities("b").ibb && abilities("c").ibb && !abilities("a").ibb);
    }

    /// Who asks a stranger shows them that somebody is there.
    #[test]
    fn a_stranger_who_shows_their_presence_is_asked_nothing_and_what_is_known_from_others_counts() {
        let (mut book, seen) = book();
        let of_ours = answers::known().unwrap().0;
        let unknown = caps(&info(&[ns::JINGLE_FILE_TRANSFER_5, ns::JINGLE_IBB]));
        book.see(&presence("nurse@capulet.example/a", PresenceKind::Available, Some(&of_ours)));
        book.see(&presence("nurse@capulet.example/b", PresenceKind::Available, Some(&unknown)));
        assert!(book.question().is_none());
        let abilities = |resource: &str| seen.borrow().get(&jid(&format!("nurse@capulet.example/{resource}"))).unwrap();
        assert!(abilities("a").gives_files() && abilities("a").published_sessions && abilities("b") == Abilities::default());
        book.see(&presence("nurse@capulet.example/c", PresenceKind::Available, None));
        for number in 0..200 {
            book.see(&presence(&format!("guest{number}@evil.example/x"), PresenceKind::Available, None));
        }
        assert_eq!(seen.borrow().iter().count(), OF_STRANGERS);
        // A contact whom we see and who does not see us is no better off.
        book.see(&presence("tybalt@capulet.example/a", PresenceKind::Available, Some(&unknown)));
        assert!(book.question().is_none());
        // A contact who says the same as a stranger is asked; where they do not answer, the strangers are not asked instead.
        book.see(&presence("juliet@capulet.example/a", PresenceKind::Available, Some(&unknown)));
        let (asked, _) = book.question().unwrap();
        assert_eq!(asked, jid("juliet@capulet.example/a"));
        book.asked(id(1), asked);
        book.answered(id(1), Err(RequestError::TimedOut));
        assert!(book.question().is_none());
        // To whom we showed ourselves we may speak.
        assert!(book.sight.wrote(Shows::of(&Message::new(MessageKind::Chat, Some(jid("nurse@capulet.example"))).into())));
        book.look_again();
        assert_eq!(book.question().unwrap().0, jid("nurse@capulet.example/b"));
        assert!(book.question().is_none());
    }

    #[test]
    fn a_flood_of_devices_is_bounded() {
        let contacts: Vec<_> = (0..200).map(|number| format!("guest{number}@capulet.example")).collect();
        let contacts: Vec<_> = contacts.iter().map(|contact| (contact.as_str(), Subscription::None)).collect();
        let (mut book, seen) = DeviceBook::new(Sight::with_contacts("romeo@montague.example", &contacts));
        for resource in 0..100 {
            book.see(&presence(&format!("guest0@capulet.example/{resource}"), PresenceKind::Available, None));
        }
        assert_eq!(seen.borrow().iter().count(), OF_ONE);
        for guest in 1..200 {
            for resource in 0..12 {
                book.present.insert(jid(&format!("guest{guest}@capulet.example/{resource}")), None);
            }
        }
        let before = book.present.len();
        book.see(&presence("guest1@capulet.example/last", PresenceKind::Available, None));
        assert_eq!(book.present.len(), before, "{before}");
        assert!(before > IN_ALL);
    }
}
