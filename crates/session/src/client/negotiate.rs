//! From the first header to a session: features, STARTTLS, resumption, binding. Logging in is in `login`.

use std::time::{Duration, Instant};

use balcony_wire::framing::StreamHead;
use balcony_wire::stream::bind::{Bind, LegacySession};
use balcony_wire::stream::error::{StreamError, StreamErrorCondition};
use balcony_wire::stream::features::StreamFeatures;
use balcony_wire::stream::{sm, starttls};
use balcony_wire::{Element, FullJid, Iq, IqKind, Jid, Payload, Stanza, StanzaError, ns};

use super::end::{Cause, End};
use super::login::InlineOutcome;
use super::session::{Managed, Session};
use super::stream::{ClientStream, Phase};
use super::{Action, Learned, PeerLimits};
use crate::sm::TooHigh;

/// Stanzas that may come between binding and `<enabled/>`.
const MOST_EARLY: usize = 256;

impl ClientStream {
    /// Opens a stream, the first or one after TLS or login.
    pub(super) fn open(&mut self, now: Instant) {
        if self.proof.is_some() {
            self.line.restart_logged_in();
        }
        let domain = Jid::parse(self.config.account.domain()).ok();
        // Who we are is nobody's business on an unencrypted line (RFC 6120 §4.7.1).
        let from = self.encrypted.then(|| self.config.account.clone().into());
        let head = StreamHead {
            from,
            to: domain,
            id: None,
            version: Some("1.0".to_owned()),
            lang: self.config.lang.clone(),
            content: ns::CLIENT.to_owned(),
        };
        self.line.open(&head);
        self.pulse.spoke = now;
        self.phase = Phase::Header;
        self.step(now);
    }

    pub(super) fn handle_header(&mut self, now: Instant, head: &StreamHead) {
        let right_domain = head.from.as_ref().is_none_or(|from| from.as_str() == self.config.account.domain());
        let right_version = head.version.as_deref().is_some_and(|version| version.trim().starts_with("1."));
        if head.content != ns::CLIENT {
            self.refuse(StreamErrorCondition::InvalidNamespace, "this is no server for clients");
        } else if !right_version {
            self.refuse(StreamErrorCondition::UnsupportedVersion, "the server speaks no XMPP 1.0");
        } else if !right_domain {
            self.refuse(StreamErrorCondition::InvalidFrom, "the server says it is another one");
        } else if matches!(self.phase, Phase::Header) {
            self.phase = Phase::Features(None);
            self.step(now);
        }
    }

    fn refuse(&mut self, condition: StreamErrorCondition, words: &str) {
        self.line.say(&StreamError::new(condition).write());
        self.break_off(End::new(Cause::Protocol, words));
    }

    /// An element of the stream, stream errors taken out.
    pub(super) fn handle_element(&mut self, now: Instant, element: Element) {
        // Each handler puts the next phase in; until then nothing counts as logged in.
        match std::mem::replace(&mut self.phase, Phase::Header) {
            Phase::Online => {
                self.phase = Phase::Online;
                self.handle_online(element);
            }
            Phase::Closing => {
                self.phase = Phase::Closing;
                self.handle_closing(element);
            }
            Phase::Features(outcome) => self.handle_features(now, outcome, element),
            Phase::StartTls => self.handle_starttls(now, &element),
            Phase::Login(login) => self.handle_login(now, login, &element),
            Phase::Resuming(features) => self.handle_resuming(now, features, element),
            Phase::Binding(features, id) => self.handle_binding(now, features, id, element),
            Phase::Enabling(features, early) => self.handle_enabling(now, features, early, element),
            phase @ (Phase::Connecting | Phase::Header | Phase::Handshake | Phase::Ended) => self.phase = phase,
        }
    }

    fn handle_features(&mut self, now: Instant, outcome: Option<Box<InlineOutcome>>, element: Element) {
        let features = StreamFeatures::read(&element).ok();
        match (outcome, features) {
            (None, Some(features)) => self.go_on_with(now, Box::new(features)),
            (Some(outcome), Some(features)) => self.settle_inline(now, *outcome, Box::new(features)),
            // A server that resends before it says its features: go on without them.
            (Some(outcome), None) if outcome.jid.is_some() || outcome.resumed.is_some() => {
                self.settle_inline(now, *outcome, Box::default());
                if matches!(self.phase, Phase::Online) {
                    self.handle_online(element);
                }
            }
            (outcome, None) => {
                self.phase = Phase::Features(outcome);
                self.break_off(End::new(Cause::Protocol, "the server did not say what it offers"));
            }
        }
    }

    fn go_on_with(&mut self, now: Instant, features: Box<StreamFeatures>) {
        if !self.encrypted {
            if features.starttls.is_none() {
                let words = "the server offers no encryption: it has none, or somebody in between removed it";
                return self.break_off(End::new(Cause::Downgrade, words));
            }
            self.say(&starttls::StartTls.write());
            self.phase = Phase::StartTls;
            self.step(now);
        } else if self.proof.is_none() {
            self.begin_login(now, &features);
        } else {
            let resume = if features.sm { self.session.as_ref().and_then(Session::resume_request) } else { None };
            match resume {
                Some(resume) => {
                    self.say(&resume.write());
                    self.phase = Phase::Resuming(features);
                    self.step(now);
                }
                None => self.bind(now, features),
            }
        }
    }

    fn handle_starttls(&mut self, now: Instant, element: &Element) {
        if starttls::Proceed::matches(element) {
            self.line.hush();
            self.phase = Phase::Handshake;
            self.actions.push_back(Action::StartTls);
            self.step(now);
        } else {
            self.break_off(End::new(Cause::Tls, "the server offered encryption and then refused it"));
        }
    }

    fn settle_inline(&mut self, now: Instant, outcome: InlineOutcome, features: Box<StreamFeatures>) {
        if let Some(resumed) = outcome.resumed {
            return self.resumed(now, &resumed, &features);
        }
        if let Some(failed) = outcome.resume_failed {
            self.resumption_failed(failed.h);
        }
        match (outcome.jid, outcome.bound) {
            (Some(jid), Some(bound)) => {
                self.lose_session();
                let mut session = Session::new(jid, self.config.queue);
                session.managed = bound.sm_enabled.as_ref().map(Managed::new);
                session.carbons = outcome.carbons;
                self.session = Some(session);
                self.go_online(now, &features, bound.others, false);
            }
            // SASL2 without Bind 2: the old way goes on.
            _ if self.session.is_some() && features.sm => self.go_on_with(now, features),
            _ => self.bind(now, features),
        }
    }

    fn handle_resuming(&mut self, now: Instant, features: Box<StreamFeatures>, element: Element) {
        if let Ok(resumed) = sm::Resumed::read(&element) {
            self.resumed(now, &resumed, &features);
        } else if let Ok(failed) = sm::Failed::read(&element) {
            self.resumption_failed(failed.h);
            self.bind(now, features);
        } else {
            self.phase = Phase::Resuming(features);
            if element.ns() == ns::SM {
                self.break_off(End::new(Cause::Protocol, "the server's answer to resuming cannot be read"));
            }
        }
    }

    fn resumed(&mut self, now: Instant, resumed: &sm::Resumed, features: &StreamFeatures) {
        let Some(session) = self.session.as_mut() else {
            return self.break_off(End::new(Cause::Protocol, "the server resumed a session that nobody asked for"));
        };
        if session.resume_request().is_none_or(|request| request.previd != resumed.previd) {
            return self.break_off(End::new(Cause::Protocol, "the server resumed another session than ours"));
        }
        session.lost_at = None;
        let acknowledged = session.queue.acknowledge(resumed.h);
        self.phase = Phase::Online;
        match acknowledged {
            Ok(acknowledged) => {
                self.go_online(now, features, Vec::new(), true);
                self.acknowledged(acknowledged);
                self.resend();
            }
            Err(too_high) => self.refuse_count(too_high),
        }
    }

    /// The old session is gone; `h` says how much of it arrived before, if the server still knows.
    fn resumption_failed(&mut self, h: Option<u32>) {
        let acknowledged = match (h, self.session.as_mut()) {
            // A count that cannot be is no reason to end a stream that has nothing to do with it.
            (Some(h), Some(session)) => session.queue.acknowledge(h).unwrap_or_default(),
            _ => Vec::new(),
        };
        self.acknowledged(acknowledged);
        self.lose_session();
    }

    fn bind(&mut self, now: Instant, features: Box<StreamFeatures>) {
        self.lose_session();
        if !features.bind {
            return self.break_off(End::new(Cause::Protocol, "the server gives out no address after the login"));
        }
        let id = self.entropy.id(9);
        let request = Bind::Request(self.config.resource.clone());
        self.say(&Iq::set(id.clone(), None, request.write()).into_element());
        self.phase = Phase::Binding(features, id);
        self.step(now);
    }

    fn handle_binding(&mut self, now: Instant, features: Box<StreamFeatures>, id: String, element: Element) {
        match Stanza::read(element) {
            Ok(Stanza::Iq(iq)) if iq.id == id => match iq.kind {
                IqKind::Result(Some(payload)) => match Bind::read(&payload) {
                    Ok(Bind::Bound(jid)) if jid.bare() == self.config.account => self.bound(now, features, jid),
                    _ => self.break_off(End::new(Cause::Protocol, "the server gave us no usable address")),
                },
                IqKind::Error(error) => self.break_off(bind_end(error)),
                _ => self.break_off(End::new(Cause::Protocol, "the server gave us no address")),
            },
            _ => self.phase = Phase::Binding(features, id),
        }
    }

    fn bound(&mut self, now: Instant, features: Box<StreamFeatures>, jid: FullJid) {
        self.session = Some(Session::new(jid, self.config.queue));
        if features.session == Some(false) {
            let id = self.entropy.id(9);
            self.say(&Iq::set(id, None, LegacySession.write()).into_element());
        }
        if features.sm {
            self.say(&sm::Enable { resume: true, max: None }.write());
            self.phase = Phase::Enabling(features, Vec::new());
            self.step(now);
        } else {
            self.go_online(now, &features, Vec::new(), false);
        }
    }

    fn handle_enabling(&mut self, now: Instant, features: Box<StreamFeatures>, mut early: Vec<Element>, element: Element) {
        let managed = match sm::Enabled::read(&element) {
            Ok(enabled) => Some(Managed::new(&enabled)),
            Err(_) if sm::Failed::matches(&element) => None,
            Err(_not_yet) => {
                early.push(element);
                let too_many = early.len() > MOST_EARLY;
                self.phase = Phase::Enabling(features, early);
                if too_many {
                    self.break_off(End::new(Cause::Protocol, "the server does not answer but goes on sending"));
                }
                return;
            }
        };
        if let Some(session) = self.session.as_mut() {
            session.managed = managed;
        }
        self.go_online(now, &features, Vec::new(), false);
        for element in early {
            self.handle_stanza(element);
        }
        // The server counts from `<enabled/>` on: what came before is not part of it.
        if let Some(session) = self.session.as_mut() {
            session.queue.restart_count();
        }
    }

    fn go_online(&mut self, now: Instant, features: &StreamFeatures, bound: Vec<Element>, resumed: bool) {
        let (Some(session), Some(proof)) = (self.session.as_ref(), self.proof.as_ref()) else {
            return self.break_off(End::new(Cause::Protocol, "the server gave us no address"));
        };
        self.limits = PeerLimits {
            stanza: features.limits.and_then(|limits| limits.max_bytes).and_then(|bytes| usize::try_from(bytes).ok()),
            idle: features.limits.and_then(|limits| limits.idle_seconds).map(Duration::from_secs),
        };
        self.client_state = features.csi;
        let learned = Learned {
            mechanism: proof.mechanism,
            binding: proof.binding,
            keys: proof.keys.clone(),
            sasl2: proof.sasl2,
            acknowledged: session.managed.is_some(),
            resumable: session.promise(),
            carbons: session.carbons,
            client_state: features.csi,
            features: features.clone(),
            bound,
        };
        let jid = session.jid.clone();
        self.phase = Phase::Online;
        self.step_until = None;
        self.pulse.begin(now, resumed);
        self.actions.push_back(Action::Online { jid, resumed, learned: Box::new(learned), limits: self.limits });
    }

    pub(super) fn refuse_count(&mut self, too_high: TooHigh) {
        let condition = sm::HandledCountTooHigh { h: too_high.acknowledged, send_count: too_high.sent };
        let mut error = StreamError::new(StreamErrorCondition::UndefinedCondition);
        error.application = Some(condition.write());
        self.line.say(&error.write());
        self.break_off(End::new(Cause::Protocol, format!("the server lost count: {too_high}")));
    }

    pub(super) fn handle_step_timeout(&mut self) {
        let waited_for = match &self.phase {
            Phase::Closing => return self.finish(End::new(Cause::Closed, "closed; the server did not close its side in time")),
            Phase::Connecting => "the server cannot be reached: no connection in time",
            Phase::Header | Phase::Features(_) => "the server does not answer",
            Phase::StartTls | Phase::Handshake => "the server does not finish the encryption",
            Phase::Login(_) => "the server does not answer the login",
            Phase::Resuming(_) | Phase::Binding(..) | Phase::Enabling(..) => "the server does not finish the login",
            Phase::Online | Phase::Ended => return,
        };
        let cause = if matches!(self.phase, Phase::Connecting) { Cause::Unreachable } else { Cause::Silent };
        self.break_off(End::new(cause, waited_for));
    }
}

fn bind_end(error: StanzaError) -> End {
    use balcony_wire::stanza::DefinedCondition as Condition;
    let (cause, words) = match error.condition {
        Condition::ResourceConstraint => (Cause::LoginUnavailable, "too many devices are logged in to this account"),
        Condition::Conflict => (Cause::Conflict, "another device uses this resource"),
        Condition::NotAllowed => (Cause::LoginRefused, "the server gives this account no address"),
        _ => (Cause::Protocol, "the server refused to give us an address"),
    };
    End::new(cause, format!("{words} ({})", error.condition.as_str())).with_server_words(error.text)
}
