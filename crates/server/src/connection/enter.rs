//! Answers the machine's questions while a client comes in: keys, an address, an old session.

use std::sync::Arc;
use std::time::{Duration, Instant};

use balcony_session::server::{BindRequest, Bound, WantedResource};
use balcony_session::{Mechanism, ScramHash};
use balcony_wire::stream::error::StreamErrorCondition;
use balcony_wire::{BareJid, FullJid, StanzaError};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::sync::{mpsc, oneshot};

use super::desk::Desk;
use super::{Connection, InFlight};
use crate::accounts::random;
use crate::mailbox::mailbox;
use crate::refusal::{Reason, Refusal};
use crate::sessions::{Control, HandedOver, NotAdded, Session};

/// How long an old session may take to make room, or to be handed over.
const PATIENCE: Duration = Duration::from_secs(10);

impl Connection {
    pub(super) async fn look_up(&mut self, username: &str, mechanism: Mechanism) {
        if !self.port.guesses.begins(Instant::now(), self.address) {
            tracing::info!("too many wrong logins from one address, the next ones are not looked at");
            return self.stream.handle_credentials_unavailable(Instant::now());
        }
        self.guessing = true;
        let hash = mechanism.hash().unwrap_or(ScramHash::Sha256);
        match self.port.hub.accounts().keys(username, hash).await {
            Ok(keys) => self.stream.handle_credentials(Instant::now(), keys),
            Err(error) => {
                tracing::error!(%error, "nobody can log in at the moment");
                self.stream.handle_credentials_unavailable(Instant::now());
            }
        }
    }

    pub(super) async fn bind(&mut self, request: BindRequest) {
        let bound = self.open_desk(request).await.map(|jid| Bound { jid, answers: Vec::new() });
        self.stream.handle_bound(Instant::now(), bound.map_err(|refusal: Refusal| -> StanzaError { refusal.to_stanza_error() }));
    }

    /// Only who knew the password gets as far as to ask for an address or an old session.
    fn logged_in(&mut self) {
        if std::mem::take(&mut self.guessing) {
            self.port.guesses.was_right(self.address);
        }
    }

    async fn open_desk(&mut self, request: BindRequest) -> Result<FullJid, Refusal> {
        self.logged_in();
        let hub = self.port.hub.clone();
        let jid = address(&request)?;
        if let Some(agent) = &request.user_agent {
            // The same installation again: its older session is of no use to anybody (XEP-0386 §3.2).
            for old in hub.sessions().of(&request.account) {
                if old.standing().user_agent.as_ref() == Some(agent) {
                    make_room(&old).await;
                }
            }
        }
        let (mail, inbox) = mailbox(hub.limits().mailbox_bytes);
        let (tell, control) = mpsc::unbounded_channel();
        let session = Session::new(jid.clone(), mail, tell, request.user_agent);
        while let Err(why) = hub.sessions().add(&session, hub.limits().sessions_per_account) {
            match why {
                // Whoever is here counts more than who may come back.
                NotAdded::TooMany => match hub.sessions().lost_longest(session.account()) {
                    Some(lost) => end_old(&lost).await?,
                    None => return Err(Reason::TooManySessions.into()),
                },
                NotAdded::Taken(old) => end_old(&old).await?,
            }
        }
        let in_flight = InFlight::new(hub.spool().part(session.localpart()));
        self.desk = Some(Desk::new(hub, session, inbox, in_flight, control));
        Ok(jid)
    }

    pub(super) async fn resume(&mut self, account: &BareJid, id: &str) {
        self.logged_in();
        let outcome = self.take_over(account, id).await.ok_or(None);
        self.stream.handle_resume(Instant::now(), outcome);
    }

    async fn take_over(&mut self, account: &BareJid, id: &str) -> Option<balcony_session::server::Detached> {
        let hub = self.port.hub.clone();
        let session = hub.sessions().resumable(id, account)?;
        let (to, from) = oneshot::channel();
        session.tell(Control::TakeOver(to));
        let handed_over = tokio::time::timeout(PATIENCE, from).await.ok()?.ok()?;
        let HandedOver { session, detached, inbox, in_flight, control } = handed_over;
        session.standing().lost_since = None;
        self.desk = Some(Desk::new(hub, session, inbox, in_flight, control));
        Some(detached)
    }
}

/// Ends an old session and waits until everybody knows. `false` when it takes too long.
async fn make_room(old: &Arc<Session>) -> bool {
    old.tell(Control::Close(StreamErrorCondition::Conflict, "the same address logged in again"));
    tokio::time::timeout(PATIENCE, old.until_over()).await.is_ok()
}

async fn end_old(old: &Arc<Session>) -> Result<(), Refusal> {
    if make_room(old).await { Ok(()) } else { Err(Reason::Stuck.into()) }
}

/// The address of a new session.
fn address(request: &BindRequest) -> Result<FullJid, Refusal> {
    let fresh = || URL_SAFE_NO_PAD.encode(random::<9>());
    let resource = match &request.wanted {
        WantedResource::Any => fresh(),
        WantedResource::Named(name) => name.clone(),
        WantedResource::Tagged(tag) => format!("{tag}/{}", fresh()),
    };
    request.account.with_resource(&resource).map_err(|error| Refusal::from(Reason::BadAddress).with_words(error.to_string()))
}
