//! What belongs to a login and outlives its connection: address, counters, unacknowledged stanzas.

use std::time::{Duration, Instant};

use balcony_wire::FullJid;
use balcony_wire::stream::sm;

use super::ResumePromise;
use super::config::ResumeState;
use crate::iq_table::IqTable;
use crate::sm::Queue;

/// A session, going on or waiting to be resumed.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) jid: FullJid,
    pub(super) queue: Queue,
    /// Stream management of the session; `None` when the server does not do it.
    pub(super) managed: Option<Managed>,
    pub(super) carbons: bool,
    /// When its connection was lost.
    pub(super) lost_at: Option<Instant>,
}

#[derive(Clone, Debug)]
pub(super) struct Managed {
    /// What to resume by; `None` when acknowledgements are all there is.
    pub(super) id: Option<String>,
    pub(super) within: Option<Duration>,
    pub(super) location: Option<String>,
}

impl Managed {
    pub(super) fn new(enabled: &sm::Enabled) -> Self {
        Self {
            id: enabled.id.clone().filter(|id| enabled.resume && !id.is_empty()),
            within: enabled.max.map(|seconds| Duration::from_secs(seconds.into())),
            location: enabled.location.clone(),
        }
    }
}

impl Session {
    pub(super) fn new(jid: FullJid, bound: usize) -> Self {
        Self { jid, queue: Queue::new(bound), managed: None, carbons: false, lost_at: None }
    }

    pub(super) fn is_resumable(&self) -> bool {
        self.managed.as_ref().is_some_and(|managed| managed.id.is_some())
    }

    pub(super) fn resume_request(&self) -> Option<sm::Resume> {
        let previd = self.managed.as_ref()?.id.clone()?;
        Some(sm::Resume { h: self.queue.handled(), previd })
    }

    pub(super) fn promise(&self) -> Option<ResumePromise> {
        let managed = self.managed.as_ref().filter(|managed| managed.id.is_some())?;
        Some(ResumePromise { within: managed.within })
    }

    /// Takes apart what a former stream left: the session and the table of its requests with the last number given out.
    pub(super) fn revive(mut state: ResumeState) -> (Self, IqTable, u64) {
        state.queue.forget_pending();
        let managed = Managed { id: Some(state.id), within: state.within, location: state.location };
        let session = Self { jid: state.jid, queue: state.queue, managed: Some(managed), carbons: state.carbons, lost_at: state.lost_at };
        (session, state.requests, state.next_sent)
    }

    pub(super) fn into_state(self, requests: IqTable, next_sent: u64) -> Option<ResumeState> {
        let managed = self.managed?;
        Some(ResumeState {
            id: managed.id?,
            jid: self.jid,
            queue: self.queue,
            requests,
            next_sent,
            location: managed.location,
            within: managed.within,
            lost_at: self.lost_at,
            carbons: self.carbons,
        })
    }
}
