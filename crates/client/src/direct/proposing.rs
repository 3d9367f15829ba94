//! Which device of somebody: all of them are asked by message, the first that wants to go on gets the session. So whoever shows nobody
//! when they are there can be reached as well.
//!
//! XEP-0353 Jingle message initiation, v0.8.0 <https://xmpp.org/extensions/xep-0353.html>
//! Status: partial: proposals of contacts who see us are answered by going on at once, where somebody waits for offers here; the person is asked in
//! the session, so nothing rings before it. Those of others are answered by nobody, and told to the person as offers that wait
//! (`offers/taking.rs`).

use std::sync::Arc;
use std::time::{Duration, Instant};

use balcony_sharing::transfer::jingle::EndReason;
use balcony_sharing::transfer::jingle::proposal::{ProposalAction, ProposalEnd, ProposalEvent, ProposalSettings, Proposing};
use balcony_wire::hints::Hint;
use balcony_wire::jingle_file::JingleFile;
use balcony_wire::jingle_message::{JingleMessage, Proceed, Propose};
use balcony_wire::stanza::MessageKind;
use balcony_wire::{BareJid, Element, FullJid, Jid, Message, Payload as _, ns};
use tokio::sync::oneshot;
use tokio::time::sleep_until;

use super::publish::random_id;
use super::switchboard::Mailbox;
use super::{Desk, DirectError, Stage};

/// How long some device may take to show that it heard.
const ANSWER: Duration = Duration::from_secs(8);

/// A device that goes on, and what it was asked. Dropping it tells that device that it is over.
#[derive(Debug)]
pub(super) struct Agreed {
    pub(super) device: FullJid,
    /// The id that the session gets.
    pub(super) sid: String,
    over: Option<oneshot::Sender<EndReason>>,
}

impl Agreed {
    /// The session is over.
    pub(super) fn finish(mut self, reason: EndReason) {
        self.over.take().and_then(|over| over.send(reason).err()).map(drop).unwrap_or_default();
    }
}

/// Asks all devices of somebody which of them takes a file. Dropping the future takes it back.
pub(super) async fn propose(desk: &Arc<Desk>, person: &BareJid, file: &JingleFile) -> Result<Agreed, DirectError> {
    let id = random_id();
    let mail = desk.switchboard.proposal(person.clone(), id.clone());
    let description = Element::new("description", ns::JINGLE_FILE_TRANSFER_5).with_child(file.write());
    let settings = ProposalSettings { answer: ANSWER, ..ProposalSettings::default() };
    let machine = Proposing::new(id.clone(), person.clone(), vec![description], settings, Instant::now());
    let (over, is_over) = oneshot::channel();
    let (say, begins) = oneshot::channel();
    // It goes on beside this: others who want to go on are told that it is taken.
    tokio::spawn(Asking { desk: Arc::clone(desk), machine, mail, say: Some(say) }.run(is_over));
    match begins.await {
        Ok(Ok(device)) => Ok(Agreed { device, sid: id, over: Some(over) }),
        Ok(Err(ProposalEnd::NoAnswer)) | Err(_) => Err(DirectError::NoDevice { jid: person.clone().into() }),
        Ok(Err(end)) => {
            let reason = match end {
                ProposalEnd::Rejected(words) => EndReason::PeerDeclined(words),
                ProposalEnd::TieBroken => EndReason::TieBroken,
                ProposalEnd::Declined => EndReason::Stopped,
                _ => EndReason::Undecided,
            };
            Err(DirectError::Ended { peer: person.clone().into(), stage: Stage::Asking, reason })
        }
    }
}

/// A proposal of ours.
struct Asking {
    desk: Arc<Desk>,
    machine: Proposing,
    mail: Mailbox<Message>,
    /// Who waits for a device.
    say: Option<oneshot::Sender<Result<FullJid, ProposalEnd>>>,
}

impl Asking {
    /// Until it is over, or nobody waits for it any more.
    async fn run(mut self, mut is_over: oneshot::Receiver<EndReason>) {
        loop {
            self.perform().await;
            if self.machine.is_over() {
                return;
            }
            let deadline = self.machine.deadline();
            tokio::select! {
                message = self.mail.next() => match message {
                    Some(message) => self.hear(&message),
                    None => return,
                },
                () = sleep_until(deadline.unwrap_or_else(Instant::now).into()), if deadline.is_some() => self.machine.handle_timeout(Instant::now()),
                reason = &mut is_over => {
                    match reason {
                        Ok(reason) => self.machine.finish(&reason),
                        Err(_) if self.say.is_some() => self.machine.retract(),
                        Err(_) => self.machine.finish(&EndReason::Stopped),
                    }
                    return self.perform().await;
                }
            }
        }
    }

    fn hear(&mut self, message: &Message) {
        let from = message.from.clone().and_then(|from| from.into_full().ok());
        if let Some((from, said)) = from.zip(JingleMessage::of(message)) {
            self.machine.handle_message(Instant::now(), &from, &said);
        }
    }

    async fn perform(&mut self) {
        while let Some(action) = self.machine.poll_action() {
            match action {
                ProposalAction::Say { to, message } => say(&self.desk, to, &message).await,
                ProposalAction::Event(ProposalEvent::Begin(device)) => self.tell(Ok(device)),
                ProposalAction::Event(ProposalEvent::Ended(end)) => self.tell(Err(end)),
                ProposalAction::Event(ProposalEvent::Ringing(_)) => {}
            }
        }
    }

    fn tell(&mut self, what: Result<FullJid, ProposalEnd>) {
        self.say.take().and_then(|say| say.send(what).err()).map(drop).unwrap_or_default(); // nobody waits any more
    }
}

/// Somebody proposes a session to all devices of ours.
pub(super) async fn answer(desk: &Arc<Desk>, message: &Message) {
    let (Some(from), Some(JingleMessage::Propose(propose))) = (message.from.clone(), JingleMessage::of(message)) else { return };
    let Ok(from) = from.into_full() else { return };
    // Going on by itself says that we are there (§6).
    if !desk.is_seen_by(&from.bare()) || !is_about_files(&propose) {
        return;
    }
    // The session that follows is looked at like any other: the person is asked then. Where none follows there is nothing to forget.
    say(desk, from.into_jid(), &JingleMessage::Proceed(Proceed { id: propose.id })).await;
}

fn is_about_files(propose: &Propose) -> bool {
    let is_file = |description: &Element| matches!(description.ns(), ns::JINGLE_FILE_TRANSFER_5 | ns::JINGLE_FILE_TRANSFER_4);
    !propose.descriptions.is_empty() && propose.descriptions.iter().all(is_file)
}

/// Servers keep it for devices that come later (XEP-0334).
async fn say(desk: &Desk, to: Jid, message: &JingleMessage) {
    let mut stanza = Message { id: Some(random_id()), ..Message::new(MessageKind::Chat, Some(to)) };
    stanza.payloads.extend([message.write(), Hint::Store.write()]);
    // Whoever waits for an answer runs into a deadline of their own.
    if let Err(error) = desk.courier.say(stanza).await {
        tracing::debug!(%error, "a word about a session to come was not sent");
    }
}
