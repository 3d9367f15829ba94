//! From the client's header to an address: headers, features, STARTTLS, binding, resumption. Logging in is in `login`.

use std::time::Instant;

use balcony_wire::framing::StreamHead;
use balcony_wire::stanza::DefinedCondition;
use balcony_wire::stream::bind::Bind;
use balcony_wire::stream::error::{StreamError, StreamErrorCondition};
use balcony_wire::stream::features::{Sasl2Feature, StartTlsFeature, StreamFeatures, StreamLimits};
use balcony_wire::stream::sasl::{Failure, SaslCondition};
use balcony_wire::stream::{bind2, sasl2, sm, starttls};
use balcony_wire::{Element, Iq, IqKind, Jid, Payload as _, Stanza, StanzaError, ns};

use super::login::Attempt;
use super::stream::{Phase, ServerStream, Session};
use super::{Action, BindRequest, Bound, Detached, WantedResource};
use crate::scram::Mechanism;
use crate::sm::Queue;

/// What the driver was asked.
#[derive(Debug)]
pub(super) enum Await {
    /// whose keys these are
    Keys(Box<Attempt>),
    /// for an address
    Bound(Box<AwaitBound>),
    /// for an old session
    Session(Box<AwaitSession>),
}

/// A login that wants an address.
#[derive(Debug)]
pub(super) enum AwaitBound {
    /// by iq
    Iq(Iq),
    /// along with the login
    Inline(InlineRequest),
}

/// A login that wants its old session back.
#[derive(Debug)]
pub(super) struct AwaitSession {
    resume: sm::Resume,
    /// When asked along with the login: what else was asked for.
    inline: Option<InlineRequest>,
}

/// What a SASL2 login asked for, and its success so far.
#[derive(Debug)]
pub(super) struct InlineRequest {
    success: sasl2::Success,
    bind: Option<bind2::BindRequest>,
}

impl ServerStream {
    /// Our header; `to` is whom the client says it is.
    pub(super) fn open(&mut self, to: Option<Jid>) {
        let head = StreamHead {
            from: Some(self.config.domain.clone().into()),
            to,
            id: Some(self.entropy.id(18)),
            version: Some("1.0".to_owned()),
            lang: Some("en".to_owned()),
            content: ns::CLIENT.to_owned(),
        };
        self.line.open(&head);
    }

    pub(super) fn handle_header(&mut self, head: &StreamHead) {
        self.open(head.from.clone());
        let right_version = head.version.as_deref().is_some_and(|version| version.trim().starts_with("1."));
        let domain: &Jid = &self.config.domain;
        if head.content != ns::CLIENT {
            self.refuse(StreamErrorCondition::InvalidNamespace, "this port is for clients");
        } else if head.to.is_none() {
            self.refuse(StreamErrorCondition::ImproperAddressing, "the stream header does not say which domain is wanted");
        } else if head.to.as_ref() != Some(domain) {
            self.refuse(StreamErrorCondition::HostUnknown, "this domain is not served here");
        } else if !right_version {
            self.refuse(StreamErrorCondition::UnsupportedVersion, "only XMPP 1.0 is spoken here");
        } else {
            self.phase = Phase::Choosing;
            let features = self.features();
            self.line.say(&features.write());
        }
    }

    fn features(&self) -> StreamFeatures {
        let config = &self.config;
        let limits = Some(StreamLimits {
            max_bytes: Some(config.limits_after.stanza as u64),
            idle_seconds: Some((config.timing.idle + config.timing.answer).as_secs()),
        });
        if !self.encrypted {
            return StreamFeatures { starttls: Some(StartTlsFeature { required: true }), ..StreamFeatures::default() };
        }
        if self.account.is_some() {
            let bound = self.session.is_some();
            let managed = self.session.as_ref().is_some_and(|session| session.managed);
            return StreamFeatures {
                bind: !bound,
                session: (!bound).then_some(true),
                sm: !managed,
                csi: true,
                limits,
                others: config.features.clone(),
                ..StreamFeatures::default()
            };
        }
        let names: Vec<String> = self.mechanisms().map(|mechanism| mechanism.name().to_owned()).collect();
        let bindings: Vec<String> = self.bindings.kinds().map(|kind| kind.name().to_owned()).collect();
        let inline = [ns::SM, ns::CSI].into_iter().map(str::to_owned).chain(config.bind2_features.iter().cloned());
        let sasl2 = Sasl2Feature { mechanisms: names.clone(), bind: Some(inline.collect()), sm: true, other_inline: Vec::new() };
        StreamFeatures {
            mechanisms: Some(names),
            sasl2: config.sasl2.then_some(sasl2),
            channel_bindings: (!bindings.is_empty()).then_some(bindings),
            limits,
            ..StreamFeatures::default()
        }
    }

    /// What this connection may log in with, strongest first.
    pub(super) fn mechanisms(&self) -> impl Iterator<Item = Mechanism> {
        let binds = self.bindings.any();
        let encrypted = self.encrypted;
        Mechanism::ALL
            .into_iter()
            .filter(|mechanism| self.config.mechanisms.contains(mechanism))
            .filter(move |mechanism| encrypted && (binds || !mechanism.is_plus()))
    }

    pub(super) fn handle_element(&mut self, now: Instant, element: Element) {
        match std::mem::replace(&mut self.phase, Phase::Choosing) {
            Phase::Choosing if !self.encrypted => self.handle_in_the_clear(&element),
            Phase::Choosing if self.account.is_none() => self.handle_choice(&element),
            Phase::Choosing => self.handle_logged_in(now, element),
            Phase::Login(attempt) => self.handle_login(*attempt, &element),
            Phase::Online => {
                self.phase = Phase::Online;
                self.handle_online(now, element);
            }
            Phase::Closing => {
                self.phase = Phase::Closing;
                self.handle_closing(&element);
            }
            phase @ (Phase::Handshake | Phase::Header | Phase::Waiting(_) | Phase::Ended) => self.phase = phase,
        }
    }

    fn handle_in_the_clear(&mut self, element: &Element) {
        match (element.name(), element.ns()) {
            ("starttls", ns::TLS) => {
                self.line.say(&starttls::Proceed.write());
                self.line.hush();
                self.phase = Phase::Handshake;
                self.actions.push_back(Action::StartTls);
            }
            ("auth", ns::SASL) => self.fail_login(false, Failure::new(SaslCondition::EncryptionRequired)),
            ("authenticate", ns::SASL2) => self.fail_login(true, Failure::new(SaslCondition::EncryptionRequired)),
            _ => self.refuse(StreamErrorCondition::PolicyViolation, "TLS is required first"),
        }
    }

    fn handle_choice(&mut self, element: &Element) {
        match (element.name(), element.ns()) {
            ("auth", ns::SASL) => self.begin_auth(element),
            ("authenticate", ns::SASL2) if self.config.sasl2 => self.begin_authenticate(element),
            ("abort", ns::SASL) => self.fail_login(false, Failure::new(SaslCondition::Aborted)),
            ("response", ns::SASL) => self.fail_login(false, Failure::new(SaslCondition::MalformedRequest)),
            ("starttls", ns::TLS) => {
                self.line.say(&starttls::TlsFailure.write());
                self.line.close();
                self.finish("the client asked for TLS inside TLS", None, false);
            }
            _ => self.refuse(StreamErrorCondition::NotAuthorized, "log in first"),
        }
    }

    /// Between login and address.
    fn handle_logged_in(&mut self, now: Instant, element: Element) {
        if let Ok(resume) = sm::Resume::read(&element) {
            return self.ask_for_session(AwaitSession { resume, inline: None });
        }
        if element.ns() == ns::SM {
            self.sm_failed(DefinedCondition::UnexpectedRequest, None);
            return;
        }
        match Stanza::read(element) {
            Ok(Stanza::Iq(iq)) if iq.request().is_some_and(Bind::matches) => self.handle_bind(now, iq),
            _ => self.refuse(StreamErrorCondition::NotAuthorized, "bind an address first"),
        }
    }

    fn handle_bind(&mut self, _now: Instant, iq: Iq) {
        let wanted = match (&iq.kind, iq.request().map(Bind::read)) {
            (IqKind::Set(_), Some(Ok(Bind::Request(None)))) => WantedResource::Any,
            (IqKind::Set(_), Some(Ok(Bind::Request(Some(resource))))) => WantedResource::Named(resource),
            _ => {
                let refusal = iq.refuse(StanzaError::new(DefinedCondition::BadRequest));
                self.line.say(&refusal.into_element());
                return;
            }
        };
        self.ask_for_address(AwaitBound::Iq(iq), wanted, Vec::new());
    }

    fn ask_for_address(&mut self, wait: AwaitBound, wanted: WantedResource, enable: Vec<Element>) {
        let Some(account) = self.account.clone() else { return };
        let user_agent = self.user_agent.clone();
        self.actions.push_back(Action::Bind(BindRequest { account, wanted, user_agent, enable }));
        self.phase = Phase::Waiting(Await::Bound(Box::new(wait)));
    }

    fn ask_for_session(&mut self, wait: AwaitSession) {
        let Some(account) = self.account.clone() else { return };
        self.actions.push_back(Action::Resume { account, id: wait.resume.previd.clone() });
        self.phase = Phase::Waiting(Await::Session(Box::new(wait)));
    }

    /// A SASL2 login worked: resumption first, then binding (XEP-0386 §3.2).
    pub(super) fn settle_inline(&mut self, success: sasl2::Success, request: sasl2::Authenticate) {
        let inline = InlineRequest { success, bind: request.bind };
        match request.resume {
            Some(resume) => self.ask_for_session(AwaitSession { resume, inline: Some(inline) }),
            None => self.bind_inline(inline),
        }
    }

    fn bind_inline(&mut self, inline: InlineRequest) {
        let Some(bind) = &inline.bind else { return self.succeed(inline.success) };
        let wanted = bind.tag.clone().map_or(WantedResource::Any, WantedResource::Tagged);
        let offered = |namespace: &str| self.config.bind2_features.iter().any(|known| known == namespace);
        let mut enable: Vec<Element> = bind.others.iter().filter(|other| offered(other.ns())).cloned().collect();
        if bind.enable_carbons && offered(ns::CARBONS) {
            enable.push(Element::new("enable", ns::CARBONS));
        }
        self.ask_for_address(AwaitBound::Inline(inline), wanted, enable);
    }

    /// `<success/>` of SASL2; features follow at once, in the same stream.
    fn succeed(&mut self, success: sasl2::Success) {
        self.line.say(&success.write());
        let features = self.features();
        self.line.say(&features.write());
        if !matches!(self.phase, Phase::Online) {
            self.phase = Phase::Choosing;
        }
    }

    pub(super) fn go_on_bound(&mut self, now: Instant, wait: AwaitBound, bound: Result<Bound, StanzaError>) {
        match (wait, bound) {
            (AwaitBound::Iq(iq), Ok(bound)) => {
                let answer = Iq::new(iq.id, None, IqKind::Result(Some(Bind::Bound(bound.jid.clone()).write())));
                self.line.say(&answer.into_element());
                self.begin_session(now, bound);
            }
            (AwaitBound::Iq(iq), Err(error)) => {
                let refusal = Iq::new(iq.id, None, IqKind::Error(error));
                self.line.say(&refusal.into_element());
            }
            (AwaitBound::Inline(inline), Ok(bound)) => self.go_on_bound_inline(now, inline, bound),
            // Without address the old way stays open.
            (AwaitBound::Inline(inline), Err(_)) => self.succeed(inline.success),
        }
    }

    fn go_on_bound_inline(&mut self, now: Instant, mut inline: InlineRequest, bound: Bound) {
        let request = inline.bind.take().unwrap_or_default();
        inline.success.authorization_identifier = bound.jid.as_str().to_owned();
        let others = bound.answers.clone();
        self.begin_session(now, bound);
        let sm_enabled = request.enable_sm.map(|enable| self.enable(&enable));
        inline.success.bound = Some(bind2::Bound { sm_enabled, sm_failed: None, others });
        self.succeed(inline.success);
        if request.inactive {
            self.actions.push_back(Action::Activity(super::Activity::Inactive));
        }
    }

    fn begin_session(&mut self, now: Instant, bound: Bound) {
        let queue = Queue::new(self.config.queue);
        self.session = Some(Session { jid: bound.jid, queue, managed: false, id: None, detached: false });
        self.go_online(now);
    }

    fn go_online(&mut self, now: Instant) {
        self.phase = Phase::Online;
        self.until = None;
        self.pulse.begin(now);
    }

    /// Turns stream management on.
    pub(super) fn enable(&mut self, enable: &sm::Enable) -> sm::Enabled {
        let resumable = enable.resume && !self.config.resume_for.is_zero();
        let id = resumable.then(|| self.entropy.id(18));
        if let Some(session) = self.session.as_mut() {
            session.managed = true;
            session.id.clone_from(&id);
        }
        if let Some(id) = id.clone() {
            self.actions.push_back(Action::Resumable { id });
        }
        let max = resumable.then(|| u32::try_from(self.config.resume_for.as_secs()).unwrap_or(u32::MAX));
        sm::Enabled { id, resume: resumable, max, location: None }
    }

    pub(super) fn go_on_resumed(&mut self, now: Instant, wait: AwaitSession, found: Result<Detached, Option<u32>>) {
        let found = found.and_then(|session| match &self.account {
            Some(account) if session.jid.bare() == *account => Ok(session),
            _ => Err(None),
        });
        let session = match found {
            Ok(session) => session,
            Err(h) => return self.go_on_not_resumed(wait, h),
        };
        let Detached { id, jid, queue } = session;
        let session = self.session.insert(Session { jid, queue, managed: true, id: Some(id), detached: false });
        if let Err(too_high) = session.queue.acknowledge(wait.resume.h) {
            return self.refuse_count(too_high);
        }
        let resumed = sm::Resumed { h: session.queue.handled(), previd: wait.resume.previd };
        let full = session.jid.as_str().to_owned();
        self.go_online(now);
        match wait.inline {
            Some(mut inline) => {
                inline.success.authorization_identifier = full;
                inline.success.resumed = Some(resumed);
                self.succeed(inline.success);
            }
            None => {
                self.line.say(&resumed.write());
            }
        }
        self.actions.push_back(Action::Activity(super::Activity::Active));
        self.resend();
    }

    fn go_on_not_resumed(&mut self, wait: AwaitSession, h: Option<u32>) {
        match wait.inline {
            Some(mut inline) => {
                inline.success.resume_failed = Some(sm::Failed { h, condition: Some(DefinedCondition::ItemNotFound), text: None });
                self.bind_inline(inline);
            }
            None => self.sm_failed(DefinedCondition::ItemNotFound, h),
        }
    }

    pub(super) fn sm_failed(&mut self, condition: DefinedCondition, h: Option<u32>) {
        self.line.say(&sm::Failed { h, condition: Some(condition), text: None }.write());
    }

    pub(super) fn refuse_count(&mut self, too_high: crate::sm::TooHigh) {
        let condition = sm::HandledCountTooHigh { h: too_high.acknowledged, send_count: too_high.sent };
        let mut error = StreamError::new(StreamErrorCondition::UndefinedCondition).with_text(too_high.to_string());
        error.application = Some(condition.write());
        self.refuse_with(error);
    }
}
