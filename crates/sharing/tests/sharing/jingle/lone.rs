//! One session against hand-written stanzas.

use std::time::{Duration, Instant};

use balcony_sharing::transfer::Reach;
use balcony_sharing::transfer::bytestream::SocketAction;
use balcony_sharing::transfer::jingle::{
    Action, Between, ContentId, Event, JingleRefusal, Means, RequestId, Session, Settings, StreamId, Terms,
};
use balcony_wire::jingle::{Action as Verb, Creator, Jingle};
use balcony_wire::jingle_file::{JingleFile, Version};
use balcony_wire::{Element, FullJid, Jid, Payload as _, StanzaError};

use crate::fetch::dawn;

pub(crate) const SID: &str = "a73sjjvkla37jfea";

pub(crate) fn full(text: &str) -> FullJid {
    Jid::parse(text).unwrap().into_full().unwrap()
}

pub(crate) fn romeo() -> FullJid {
    full("romeo@montague.lit/orchard")
}

pub(crate) fn juliet() -> FullJid {
    full("juliet@capulet.lit/balcony")
}

/// Juliet's session with Romeo, whatever he says by hand, or his with her.
pub(crate) struct Lone {
    pub(crate) now: Instant,
    pub(crate) session: Session,
    pub(crate) said: Vec<(RequestId, Jingle)>,
    pub(crate) events: Vec<Event>,
    pub(crate) others: Vec<Action>,
}

pub(crate) fn terms(peer: Means) -> Terms {
    Terms { peer, reach: Reach::Direct, settings: Settings::default(), random: [7; 32] }
}

pub(crate) fn in_band_only() -> Means {
    Means { socks: false, ..Means::ALL }
}

pub(crate) fn jingle(attributes: &str, children: &str) -> Jingle {
    let xml = format!("<jingle xmlns='urn:xmpp:jingle:1' {attributes}>{children}</jingle>");
    Jingle::read(&Element::parse(&xml).unwrap()).unwrap()
}

/// A content as strangers write it.
pub(crate) fn content(name: &str, senders: &str, file: &str, transport: &str) -> String {
    format!(
        "<content creator='initiator' name='{name}' senders='{senders}'>\
         <description xmlns='urn:xmpp:jingle:apps:file-transfer:5'><file>{file}</file></description>{transport}</content>"
    )
}

pub(crate) const IBB: &str = "<transport xmlns='urn:xmpp:jingle:transports:ibb:1' block-size='4096' sid='ch3d9s71'/>";
pub(crate) const S5B: &str = "<transport xmlns='urn:xmpp:jingle:transports:s5b:1' mode='tcp' sid='vj3hs98y'>\
     <candidate cid='hft54dqy' host='192.168.4.1' jid='romeo@montague.lit/orchard' port='5086' priority='8257636' type='direct'/></transport>";
pub(crate) const FILE: &str = "<name>test.txt</name><size>6144</size><range/>\
     <hash xmlns='urn:xmpp:hashes:2' algo='sha-1'>w0mcJylzCn+AfvuGdqkty2+KP48=</hash>";

impl Lone {
    fn of(session: Session, now: Instant) -> Self {
        let mut lone = Self { now, session, said: Vec::new(), events: Vec::new(), others: Vec::new() };
        lone.drain();
        lone
    }

    /// Juliet, when Romeo begins like that.
    pub(crate) fn incoming(children: &str) -> Result<Self, JingleRefusal> {
        Self::incoming_as("initiator='romeo@montague.lit/orchard'", children, terms(Means::ALL))
    }

    pub(crate) fn incoming_as(attributes: &str, children: &str, terms: Terms) -> Result<Self, JingleRefusal> {
        let now = dawn();
        let jingle = jingle(&format!("action='session-initiate' sid='{SID}' {attributes}"), children);
        let between = Between { own: juliet(), peer: romeo(), sid: SID.into() };
        Session::incoming(between, &jingle, terms, now).map(|session| Self::of(session, now))
    }

    /// Romeo, who offers files; own candidates are none.
    pub(crate) fn offering(files: Vec<JingleFile>, terms: Terms) -> Self {
        let now = dawn();
        let between = Between { own: romeo(), peer: juliet(), sid: SID.into() };
        Self::of(Session::offer(between, files, Version::V5, terms, now), now)
    }

    /// Romeo, who asks for files.
    pub(crate) fn asking(files: Vec<JingleFile>, terms: Terms) -> Self {
        let now = dawn();
        let between = Between { own: romeo(), peer: juliet(), sid: SID.into() };
        Self::of(Session::ask(between, files, Version::V5, terms, now), now)
    }

    /// Romeo's offer of one file in band, accepted by Juliet, with bytes flowing.
    pub(crate) fn giving_in_band() -> Self {
        let mut lone = Self::offering(vec![super::world::described("test.txt", &super::world::bytes(6144))], terms(in_band_only()));
        lone.accept_all();
        lone
    }

    /// Juliet taking Romeo's file in band, with bytes flowing.
    pub(crate) fn taking_in_band() -> Self {
        let mut lone = Self::incoming(&content("f", "initiator", FILE, IBB)).unwrap();
        let id = lone.id(0);
        lone.session.accept(lone.now, &id, 0);
        lone.drain();
        lone.acknowledge();
        lone
    }

    /// Whatever was offered is accepted by the peer as it is, with no candidates of its own.
    pub(crate) fn accept_all(&mut self) {
        let (_, mut accept) = self.said.iter().find(|(_, said)| said.action == Verb::SessionInitiate).cloned().unwrap();
        self.acknowledge();
        accept.action = Verb::SessionAccept;
        for content in &mut accept.contents {
            if let Some(balcony_wire::jingle::Transport::S5b(transport)) = &mut content.transport {
                transport.payload = balcony_wire::jingle::S5bPayload::Nothing;
            }
        }
        self.hear(&accept).unwrap();
    }

    pub(crate) fn drain(&mut self) {
        while let Some(action) = self.session.poll_action() {
            match action {
                Action::Ask { id, jingle } => self.said.push((id, Jingle::read(&jingle).unwrap())),
                Action::Event(event) => self.events.push(event),
                Action::Gather { stream, .. } => self.session.handle_own_candidates(self.now, stream, Vec::new()),
                other => self.others.push(other),
            }
        }
    }

    pub(crate) fn hear(&mut self, jingle: &Jingle) -> Result<(), JingleRefusal> {
        let answer = self.session.handle_request(self.now, jingle);
        self.drain();
        answer
    }

    pub(crate) fn hears(&mut self, action: &str, children: &str) -> Result<(), JingleRefusal> {
        self.hear(&jingle(&format!("action='{action}' sid='{SID}'"), children))
    }

    /// The peer acknowledges all that was said.
    pub(crate) fn acknowledge(&mut self) {
        for (id, _) in self.said.clone() {
            self.session.handle_answer(self.now, id, Ok(()));
            self.drain();
        }
    }

    /// The peer answers the last request by an error.
    pub(crate) fn refuses_last(&mut self, error: StanzaError) {
        let id = self.said.last().unwrap().0;
        self.session.handle_answer(self.now, id, Err(error));
        self.drain();
    }

    pub(crate) fn wait(&mut self, seconds: u64) {
        let until = self.now + Duration::from_secs(seconds);
        while let Some(due) = self.session.deadline().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.session.handle_timeout(self.now);
            self.drain();
        }
        self.now = until;
    }

    pub(crate) fn act(&mut self, act: impl FnOnce(&mut Session, Instant)) {
        act(&mut self.session, self.now);
        self.drain();
    }

    pub(crate) fn last(&self) -> &Jingle {
        &self.said.last().unwrap().1
    }

    pub(crate) fn verbs(&self) -> Vec<&str> {
        self.said.iter().map(|(_, jingle)| jingle.action.as_str()).collect()
    }

    pub(crate) fn id(&self, at: usize) -> ContentId {
        self.session.contents().nth(at).unwrap().clone()
    }

    pub(crate) fn end(&self) -> Option<String> {
        self.events.iter().find_map(|event| match event {
            Event::Ended(reason) => Some(reason.to_string()),
            _ => None,
        })
    }

    pub(crate) fn ended(&self, at: usize) -> Option<String> {
        self.session.ended(&self.id(at)).map(ToString::to_string)
    }

    pub(crate) fn has_begun(&self) -> bool {
        self.others.iter().any(|action| matches!(action, Action::Begin { .. }))
    }

    pub(crate) fn dials(&self) -> usize {
        let is_dial = |action: &&Action| matches!(action, Action::Socket { action: SocketAction::Dial { .. }, .. });
        self.others.iter().filter(is_dial).count()
    }

    pub(crate) fn stream(&self) -> StreamId {
        StreamId(1)
    }
}

pub(crate) fn initiators(name: &str) -> ContentId {
    ContentId { creator: Creator::Initiator, name: name.into() }
}
