//! Logging in: the old profile (RFC 6120 §6) and SASL2, with binding and resumption inline where offered.

use std::time::Instant;

use balcony_wire::Payload as _;
use balcony_wire::stream::features::{Sasl2Feature, StreamFeatures};
use balcony_wire::stream::sasl::{self, Failure, SaslCondition};
use balcony_wire::stream::{bind2, sasl2, sm};
use balcony_wire::{Element, FullJid, Jid, ns};

use super::choose::{Choice, Offer, choose};
use super::end::{Cause, End};
use super::stream::{ClientStream, Phase};
use super::{ClientConfig, Credentials};
use crate::binding::BindingKind;
use crate::scram::{ClientScram, ClientScramError, ClientSecret, Mechanism, ScramKeys};

/// A login under way.
#[derive(Debug)]
pub(super) struct Login {
    choice: Choice,
    exchange: Exchange,
    /// SASL2, and what was asked for inline.
    inline: Option<Inline>,
}

#[derive(Debug)]
enum Exchange {
    Scram(Box<ClientScram>),
    Plain,
}

/// What was asked for along with the login.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Inline {
    pub(super) carbons: bool,
}

/// A login that worked.
#[derive(Clone, Debug)]
pub(super) struct Proof {
    pub(super) mechanism: Mechanism,
    pub(super) binding: Option<BindingKind>,
    pub(super) keys: Option<ScramKeys>,
    pub(super) sasl2: bool,
}

/// What came of the inline requests; features follow.
#[derive(Debug, Default)]
pub(super) struct InlineOutcome {
    pub(super) jid: Option<FullJid>,
    pub(super) bound: Option<bind2::Bound>,
    pub(super) resumed: Option<sm::Resumed>,
    pub(super) resume_failed: Option<sm::Failed>,
    pub(super) carbons: bool,
}

impl ClientStream {
    /// Begins to log in with what the encrypted stream offers.
    pub(super) fn begin_login(&mut self, now: Instant, features: &StreamFeatures) {
        let mechanisms = match (&features.sasl2, &features.mechanisms) {
            (Some(sasl2), _) if !sasl2.mechanisms.is_empty() => &sasl2.mechanisms,
            (_, Some(mechanisms)) => mechanisms,
            _ => return self.break_off(End::new(Cause::Protocol, "the server offers no login")),
        };
        let offer = Offer { mechanisms, bindings: features.channel_bindings.as_deref() };
        let begun = choose(&offer, &self.config.credentials, &self.bindings, self.config.floor)
            .and_then(|choice| self.exchange(choice).map(|(exchange, first)| (choice, exchange, first)));
        let (choice, exchange, first) = match begun {
            Ok(begun) => begun,
            Err(end) => return self.break_off(end),
        };
        let sasl2 = features.sasl2.as_ref().filter(|sasl2| !sasl2.mechanisms.is_empty());
        let inline = sasl2.map(|sasl2| self.authenticate(sasl2, choice.mechanism, &first));
        if inline.is_none() {
            self.say(&sasl::Auth { mechanism: choice.mechanism.name().to_owned(), initial: Some(first.into_bytes()) }.write());
        }
        self.phase = Phase::Login(Box::new(Login { choice, exchange, inline }));
        self.step(now);
    }

    fn exchange(&mut self, choice: Choice) -> Result<(Exchange, String), End> {
        let name = self.config.account.local().unwrap_or_default();
        let secret = match &self.config.credentials {
            Credentials::Password(password) if choice.mechanism == Mechanism::Plain => {
                return Ok((Exchange::Plain, format!("\0{name}\0{password}")));
            }
            Credentials::Password(password) => ClientSecret::Password(password.clone()),
            Credentials::Keys(keys) => ClientSecret::Keys(keys.clone()),
        };
        let nonce = self.entropy.nonce();
        let Choice { mechanism, binding, server_cannot_bind } = choice;
        let scram = ClientScram::new(mechanism, name, secret, nonce, &self.bindings, binding, server_cannot_bind).map_err(scram_end)?;
        let first = scram.first();
        Ok((Exchange::Scram(Box::new(scram)), first))
    }

    /// `<authenticate/>` with everything that saves a round trip.
    fn authenticate(&mut self, offered: &Sasl2Feature, mechanism: Mechanism, first: &str) -> Inline {
        let can = |namespace: &str| offered.bind.as_ref().is_some_and(|names| names.iter().any(|name| name == namespace));
        let inline = Inline { carbons: self.config.carbons && can(ns::CARBONS) };
        let mut request = sasl2::Authenticate::new(mechanism.name(), Some(first.as_bytes().to_vec()));
        request.user_agent = user_agent(&self.config);
        request.bind = offered.bind.as_ref().map(|_| bind2::BindRequest {
            tag: Some(self.config.tag.clone()),
            enable_sm: can(ns::SM).then_some(sm::Enable { resume: true, max: None }),
            enable_carbons: inline.carbons,
            ..bind2::BindRequest::default()
        });
        if offered.sm {
            request.resume = self.session.as_ref().and_then(|session| session.resume_request());
        }
        self.say(&request.write());
        inline
    }

    /// An element while logging in.
    pub(super) fn handle_login(&mut self, now: Instant, mut login: Box<Login>, element: &Element) {
        let sasl2 = login.inline.is_some();
        let step = match (element.name(), element.ns()) {
            ("challenge", ns::SASL) if !sasl2 => sasl::Challenge::read(element).map(|challenge| Step::Challenge(challenge.data)),
            ("challenge", ns::SASL2) if sasl2 => sasl2::Challenge::read(element).map(|challenge| Step::Challenge(challenge.data)),
            ("success", ns::SASL) if !sasl2 => sasl::Success::read(element).map(|success| Step::Success(success.data)),
            ("success", ns::SASL2) if sasl2 => sasl2::Success::read(element).map(|success| Step::Success2(Box::new(success))),
            ("failure", ns::SASL) if !sasl2 => Failure::read(element).map(Step::Failure),
            ("failure", ns::SASL2) if sasl2 => sasl2::Sasl2Failure::read(element).map(|failure| Step::Failure(failure.0)),
            ("continue", ns::SASL2) if sasl2 => Ok(Step::Continue),
            _ => return self.break_off(End::new(Cause::Protocol, "the server said something else in the middle of the login")),
        };
        let Ok(step) = step else { return self.break_off(End::new(Cause::Protocol, "the server's login message cannot be read")) };
        match step {
            Step::Challenge(data) => match login.respond(&data) {
                Ok(response) if sasl2 => self.say(&sasl2::Response { data: response }.write()),
                Ok(response) => self.say(&sasl::Response { data: response }.write()),
                Err(end) => return self.give_up_login(sasl2, end),
            },
            Step::Success(data) => return self.logged_in(now, *login, data.as_deref(), None),
            Step::Success2(success) => {
                let data = success.data.clone();
                return self.logged_in(now, *login, data.as_deref(), Some(success));
            }
            Step::Failure(failure) => return self.break_off(failure_end(failure, &self.config.credentials)),
            Step::Continue => {
                return self
                    .give_up_login(true, End::new(Cause::LoginRefused, "the server wants a second step to log in, which we cannot do"));
            }
        }
        self.phase = Phase::Login(login);
        self.step(now);
    }

    fn give_up_login(&mut self, sasl2: bool, end: End) {
        self.say(&if sasl2 { sasl2::Abort::default().write() } else { sasl::Abort.write() });
        self.break_off(end);
    }

    fn logged_in(&mut self, now: Instant, mut login: Login, data: Option<&[u8]>, success: Option<Box<sasl2::Success>>) {
        if let Err(end) = login.verify(data) {
            return self.break_off(end);
        }
        let proof = Proof {
            mechanism: login.choice.mechanism,
            binding: login.choice.binding,
            keys: match &login.exchange {
                Exchange::Scram(scram) => scram.verified_keys().cloned(),
                Exchange::Plain => None,
            },
            sasl2: login.inline.is_some(),
        };
        self.proof = Some(proof);
        self.line.set_limits(self.config.limits);
        let (Some(success), Some(inline)) = (success, login.inline) else { return self.open(now) };
        let identity = Jid::from_server(&success.authorization_identifier);
        if !identity.as_ref().is_ok_and(|jid| jid.bare() == self.config.account) {
            return self.break_off(End::new(Cause::Protocol, "the server logged us in as somebody else"));
        }
        let outcome = InlineOutcome {
            jid: identity.ok().and_then(|jid| jid.into_full().ok()),
            carbons: inline.carbons && success.bound.is_some(),
            bound: success.bound,
            resumed: success.resumed,
            resume_failed: success.resume_failed,
        };
        self.phase = Phase::Features(Some(Box::new(outcome)));
        self.step(now);
    }
}

enum Step {
    Challenge(Vec<u8>),
    Success(Option<Vec<u8>>),
    Success2(Box<sasl2::Success>),
    Failure(Failure),
    Continue,
}

impl Login {
    fn respond(&mut self, challenge: &[u8]) -> Result<Vec<u8>, End> {
        let Exchange::Scram(scram) = &mut self.exchange else {
            return Err(End::new(Cause::Protocol, "the server asks for more after the password"));
        };
        let challenge = std::str::from_utf8(challenge).map_err(|_not_text| scram_end(ClientScramError::Malformed))?;
        // Some servers send their signature as a challenge; the answer to it is empty.
        if challenge.starts_with("v=") {
            return scram.verify(challenge).map(|()| Vec::new()).map_err(scram_end);
        }
        scram.answer(challenge).map(String::into_bytes).map_err(scram_end)
    }

    /// Success is believed only from a server that knows the password too.
    fn verify(&mut self, data: Option<&[u8]>) -> Result<(), End> {
        let Exchange::Scram(scram) = &mut self.exchange else { return Ok(()) };
        if scram.verified_keys().is_some() {
            return Ok(());
        }
        let data = data.and_then(|data| std::str::from_utf8(data).ok()).unwrap_or_default();
        scram.verify(data).map_err(|error| match error {
            ClientScramError::OutOfOrder | ClientScramError::Malformed => scram_end(ClientScramError::ServerSignature),
            other => scram_end(other),
        })
    }
}

fn user_agent(config: &ClientConfig) -> Option<sasl2::UserAgent> {
    let agent = config.user_agent.as_ref()?;
    Some(sasl2::UserAgent { id: Some(agent.id.clone()), software: Some(agent.software.clone()), device: agent.device.clone() })
}

fn scram_end(error: ClientScramError) -> End {
    let cause = match &error {
        ClientScramError::KeysOutdated => Cause::KeysOutdated,
        ClientScramError::ServerSignature | ClientScramError::Iterations(_) | ClientScramError::Nonce => Cause::Downgrade,
        ClientScramError::Password(_) | ClientScramError::Refused(_) => Cause::Credentials,
        ClientScramError::Malformed | ClientScramError::NoBinding(_) | ClientScramError::OutOfOrder => Cause::Protocol,
    };
    End::new(cause, error.to_string())
}

fn failure_end(failure: Failure, credentials: &Credentials) -> End {
    let (cause, words) = match failure.condition {
        SaslCondition::NotAuthorized if matches!(credentials, Credentials::Keys(_)) => {
            (Cause::Credentials, "the server no longer accepts the saved login, the password may have changed")
        }
        SaslCondition::NotAuthorized => (Cause::Credentials, "wrong user name or password"),
        SaslCondition::AccountDisabled => (Cause::LoginRefused, "the account is disabled"),
        SaslCondition::CredentialsExpired => (Cause::LoginRefused, "the password has expired"),
        SaslCondition::TemporaryAuthFailure => (Cause::LoginUnavailable, "the server cannot check passwords just now"),
        SaslCondition::Aborted => (Cause::LoginUnavailable, "the login was aborted"),
        SaslCondition::MechanismTooWeak | SaslCondition::EncryptionRequired => {
            (Cause::LoginRefused, "the server wants a stronger way to log in than it offers")
        }
        SaslCondition::InvalidAuthzid => (Cause::LoginRefused, "the server does not let us act for this account"),
        SaslCondition::IncorrectEncoding | SaslCondition::InvalidMechanism | SaslCondition::MalformedRequest => {
            (Cause::LoginRefused, "the server did not understand the login")
        }
    };
    End::new(cause, words).with_server_words(failure.text)
}
