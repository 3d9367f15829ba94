//! Checking who logs in: the old profile (RFC 6120 §6) and SASL2 over the same exchanges.

use balcony_wire::stream::error::StreamErrorCondition;
use balcony_wire::stream::sasl::{self, Failure, SaslCondition};
use balcony_wire::stream::sasl2;
use balcony_wire::{BareJid, Element, Jid, Payload as _, ns};

use super::Action;
use super::negotiate::Await;
use super::stream::{Phase, ServerStream};
use crate::scram::{Mechanism, ScramHash, ServerScram, ServerScramError, StoredKeys};

/// A login under way.
#[derive(Debug)]
pub(super) struct Attempt {
    mechanism: Mechanism,
    /// SASL2, with what was asked for along with it.
    sasl2: Option<Box<sasl2::Authenticate>>,
    exchange: Exchange,
}

enum Exchange {
    /// The client did not send its first message along.
    NotBegun,
    /// PLAIN: name (`None` if no account can have it) and password.
    Plain { account: Option<BareJid>, password: String },
    /// SCRAM.
    Scram { account: Option<BareJid>, scram: Box<ServerScram> },
}

impl std::fmt::Debug for Exchange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NotBegun => "NotBegun",
            Self::Plain { .. } => "Plain",
            Self::Scram { .. } => "Scram",
        })
    }
}

impl ServerStream {
    pub(super) fn begin_auth(&mut self, element: &Element) {
        match sasl::Auth::read(element) {
            Ok(auth) => self.begin_attempt(&auth.mechanism, auth.initial, None),
            Err(_) if element.attr("mechanism").is_some() => self.fail_login(false, Failure::new(SaslCondition::IncorrectEncoding)),
            Err(_) => self.fail_login(false, Failure::new(SaslCondition::InvalidMechanism)),
        }
    }

    pub(super) fn begin_authenticate(&mut self, element: &Element) {
        match sasl2::Authenticate::read(element) {
            Ok(mut request) => {
                self.user_agent = request.user_agent.as_ref().and_then(|agent| agent.id.clone()).filter(|id| id.len() <= 64);
                let (mechanism, initial) = (request.mechanism.clone(), request.initial.take());
                self.begin_attempt(&mechanism, initial, Some(Box::new(request)));
            }
            Err(_) => self.fail_login(true, Failure::new(SaslCondition::MalformedRequest)),
        }
    }

    fn begin_attempt(&mut self, mechanism: &str, initial: Option<Vec<u8>>, sasl2: Option<Box<sasl2::Authenticate>>) {
        let known = Mechanism::from_name(mechanism).filter(|mechanism| self.mechanisms().any(|offered| offered == *mechanism));
        let Some(mechanism) = known else {
            return self.fail_login(sasl2.is_some(), Failure::new(SaslCondition::InvalidMechanism));
        };
        let attempt = Attempt { mechanism, sasl2, exchange: Exchange::NotBegun };
        match initial {
            Some(data) => self.first_message(attempt, &data),
            None => {
                self.challenge(&attempt, Vec::new());
                self.phase = Phase::Login(Box::new(attempt));
            }
        }
    }

    fn challenge(&mut self, attempt: &Attempt, data: Vec<u8>) {
        let element = if attempt.sasl2.is_some() { sasl2::Challenge { data }.write() } else { sasl::Challenge { data }.write() };
        self.line.say(&element);
    }

    fn first_message(&mut self, mut attempt: Attempt, data: &[u8]) {
        let sasl2 = attempt.sasl2.is_some();
        let Ok(text) = std::str::from_utf8(data) else {
            return self.fail_login(sasl2, Failure::new(SaslCondition::MalformedRequest));
        };
        let begun = match attempt.mechanism {
            Mechanism::Plain => self.begin_plain(text),
            mechanism => self.begin_scram(mechanism, text),
        };
        match begun {
            Ok((exchange, account)) => {
                attempt.exchange = exchange;
                match account {
                    Some(account) => self.look_up(attempt, &account),
                    // No account can have this name: answered like any other unknown one.
                    None => self.go_on_with_keys(Box::new(attempt), None),
                }
            }
            Err(condition) => self.fail_login(sasl2, Failure::new(condition)),
        }
    }

    fn look_up(&mut self, attempt: Attempt, account: &BareJid) {
        let username = account.local().unwrap_or_default().to_owned();
        self.actions.push_back(Action::LookUp { username, mechanism: attempt.mechanism });
        self.phase = Phase::Waiting(Await::Keys(Box::new(attempt)));
    }

    fn begin_plain(&self, text: &str) -> Result<(Exchange, Option<BareJid>), SaslCondition> {
        let mut parts = text.split('\0');
        let (Some(authzid), Some(name), Some(password), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return Err(SaslCondition::MalformedRequest);
        };
        if name.is_empty() || password.is_empty() {
            return Err(SaslCondition::MalformedRequest);
        }
        let account = self.account_of(name);
        check_authzid(Some(authzid).filter(|authzid| !authzid.is_empty()), account.as_ref())?;
        Ok((Exchange::Plain { account: account.clone(), password: password.to_owned() }, account))
    }

    fn begin_scram(&mut self, mechanism: Mechanism, text: &str) -> Result<(Exchange, Option<BareJid>), SaslCondition> {
        let offers_plus = self.mechanisms().any(Mechanism::is_plus);
        let nonce = self.entropy.nonce();
        let scram = ServerScram::begin(mechanism, text, &nonce, &self.bindings, offers_plus).map_err(|error| match error {
            ServerScramError::Malformed => SaslCondition::MalformedRequest,
            _ => SaslCondition::NotAuthorized,
        })?;
        let account = self.account_of(scram.username());
        check_authzid(scram.authzid(), account.as_ref())?;
        Ok((Exchange::Scram { account: account.clone(), scram: Box::new(scram) }, account))
    }

    /// The account of a name as typed; `None` when no account can have it.
    fn account_of(&self, name: &str) -> Option<BareJid> {
        if name.contains(['@', '/']) {
            return None;
        }
        let jid = Jid::parse(&format!("{name}@{}", self.config.domain)).ok()?;
        jid.into_bare().ok().filter(|jid| jid.domain() == self.config.domain.domain())
    }

    pub(super) fn go_on_with_keys(&mut self, mut attempt: Box<Attempt>, keys: Option<StoredKeys>) {
        let salts = &self.config.fake_salts;
        match &mut attempt.exchange {
            Exchange::NotBegun => {}
            Exchange::Plain { account, password } => {
                let name = account.as_ref().and_then(|account| account.local()).unwrap_or_default();
                let known = keys.is_some();
                // The same work for a name that does not exist.
                let fits = keys.unwrap_or_else(|| salts.keys(ScramHash::Sha256, name)).fits(password);
                match account.take().filter(|_| fits && known) {
                    Some(account) => self.logged_in(*attempt, account, None),
                    None => self.fail_login(attempt.sasl2.is_some(), Failure::new(SaslCondition::NotAuthorized)),
                }
            }
            Exchange::Scram { account, scram } => {
                let name = account.as_ref().and_then(|account| account.local()).unwrap_or(scram.username()).to_owned();
                match scram.challenge(keys, salts, &name) {
                    Ok(challenge) => {
                        self.challenge(&attempt, challenge.into_bytes());
                        self.phase = Phase::Login(attempt);
                    }
                    Err(_keys_of_another_hash) => {
                        self.fail_login(attempt.sasl2.is_some(), Failure::new(SaslCondition::TemporaryAuthFailure));
                    }
                }
            }
        }
    }

    pub(super) fn keys_unavailable(&mut self, attempt: &Attempt) {
        self.fail_login(attempt.sasl2.is_some(), Failure::new(SaslCondition::TemporaryAuthFailure));
    }

    /// An element in the middle of a login.
    pub(super) fn handle_login(&mut self, attempt: Attempt, element: &Element) {
        let sasl2 = attempt.sasl2.is_some();
        let data = match (element.name(), element.ns()) {
            ("response", ns::SASL) if !sasl2 => sasl::Response::read(element).map(|response| response.data),
            ("response", ns::SASL2) if sasl2 => sasl2::Response::read(element).map(|response| response.data),
            ("abort", ns::SASL) if !sasl2 => return self.fail_login(sasl2, Failure::new(SaslCondition::Aborted)),
            ("abort", ns::SASL2) if sasl2 => return self.fail_login(sasl2, Failure::new(SaslCondition::Aborted)),
            _ => return self.refuse(StreamErrorCondition::NotAuthorized, "finish the login first"),
        };
        let Ok(data) = data else {
            return self.fail_login(sasl2, Failure::new(SaslCondition::IncorrectEncoding));
        };
        if matches!(attempt.exchange, Exchange::NotBegun) {
            return self.first_message(attempt, &data);
        }
        self.last_message(attempt, &data);
    }

    fn last_message(&mut self, mut attempt: Attempt, data: &[u8]) {
        let sasl2 = attempt.sasl2.is_some();
        let checked = match (&mut attempt.exchange, std::str::from_utf8(data)) {
            (Exchange::Scram { account, scram }, Ok(text)) => scram.check(text).map(|signature| (account.take(), signature)),
            _ => Err(ServerScramError::Malformed),
        };
        match checked {
            Ok((Some(account), signature)) => self.logged_in(attempt, account, Some(signature.into_bytes())),
            Ok((None, _)) => self.fail_login(sasl2, Failure::new(SaslCondition::NotAuthorized)),
            Err(ServerScramError::Malformed) => self.fail_login(sasl2, Failure::new(SaslCondition::MalformedRequest)),
            Err(_) => self.fail_login(sasl2, Failure::new(SaslCondition::NotAuthorized)),
        }
    }

    fn logged_in(&mut self, attempt: Attempt, account: BareJid, data: Option<Vec<u8>>) {
        self.account = Some(account.clone());
        self.line.set_limits(self.config.limits_after);
        match attempt.sasl2 {
            Some(request) => {
                let success = sasl2::Success { data, authorization_identifier: account.as_str().to_owned(), ..sasl2::Success::default() };
                self.settle_inline(success, *request);
            }
            None => {
                self.line.say(&sasl::Success { data }.write());
                self.line.restart_logged_in();
                self.phase = Phase::Header;
            }
        }
    }

    /// Refuses a login; after too many the connection is closed.
    pub(super) fn fail_login(&mut self, sasl2: bool, failure: Failure) {
        self.line.say(&if sasl2 { sasl2::Sasl2Failure(failure).write() } else { failure.write() });
        self.phase = Phase::Choosing;
        self.failed_tries = self.failed_tries.saturating_add(1);
        if self.failed_tries >= self.config.tries {
            self.refuse(StreamErrorCondition::PolicyViolation, "too many failed logins");
        }
    }
}

/// Only the account itself may be acted for.
fn check_authzid(authzid: Option<&str>, account: Option<&BareJid>) -> Result<(), SaslCondition> {
    let Some(authzid) = authzid else { return Ok(()) };
    let named = Jid::parse(authzid).ok().and_then(|jid| jid.into_bare().ok());
    if named.as_ref() == account && account.is_some() { Ok(()) } else { Err(SaslCondition::InvalidAuthzid) }
}
