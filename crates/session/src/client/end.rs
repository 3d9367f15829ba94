//! Why a client's stream ended, and whether to try again.

use std::fmt;

/// Whether connecting again can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// Only a person can mend it. Connecting again would fail alike, or do harm (locked accounts, sessions that kick
    /// each other out).
    Stop,
    /// Try again, by [`crate::reconnect::Backoff`].
    Retry,
}

/// What kind of end it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// We closed the stream.
    Closed,
    /// The server refused name and password (or keys).
    Credentials,
    /// The saved keys no longer fit: the password is needed once.
    KeysOutdated,
    /// The server cannot log anybody in just now.
    LoginUnavailable,
    /// The login is impossible for another reason: disabled account, expired password, no common mechanism.
    LoginRefused,
    /// Less protection than before, or none: stripped STARTTLS, a weaker mechanism, a server that did not know the password.
    Downgrade,
    /// The server's certificate is not good for the domain.
    Certificate,
    /// The TLS handshake failed otherwise.
    Tls,
    /// No connection.
    Unreachable,
    /// The connection was lost.
    ConnectionLost,
    /// The server answers no more.
    Silent,
    /// A resumed session swallowed what we said; the next session must be a new one (and will be).
    ResumedDeaf,
    /// Another session took our place.
    Conflict,
    /// The server holds us for a breaker of its rules.
    PolicyViolation,
    /// The server does not serve this domain.
    HostUnknown,
    /// The server ended the stream for another reason, shutdown most of the time.
    Server,
    /// The server broke the protocol.
    Protocol,
}

impl Cause {
    /// What follows from it.
    pub fn advice(self) -> Advice {
        match self {
            Self::Closed
            | Self::Credentials
            | Self::KeysOutdated
            | Self::LoginRefused
            | Self::Downgrade
            | Self::Certificate
            | Self::Conflict
            | Self::PolicyViolation
            | Self::HostUnknown => Advice::Stop,
            Self::LoginUnavailable
            | Self::Tls
            | Self::Unreachable
            | Self::ConnectionLost
            | Self::Silent
            | Self::ResumedDeaf
            | Self::Server
            | Self::Protocol => Advice::Retry,
        }
    }
}

/// The end of a stream: what kind, in words, and what to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// What kind of end.
    pub cause: Cause,
    /// What happened, lower case, fit to read aloud, from us.
    pub words: String,
    /// The server's own words, if it had any. Not to be trusted with a terminal.
    pub server_words: Option<String>,
    /// Where the server sent us instead (`see-other-host`); to be used only if the certificate there is good for the domain.
    pub other_host: Option<String>,
    /// What ended the stream would end a resumed session again.
    pub(crate) loses_session: bool,
}

impl End {
    /// An end of that kind, in these words: for a driver whose stream never told one.
    pub fn new(cause: Cause, words: impl Into<String>) -> Self {
        Self { cause, words: words.into(), server_words: None, other_host: None, loses_session: false }
    }

    #[must_use]
    pub(crate) fn with_server_words(mut self, words: Option<String>) -> Self {
        self.server_words = words.filter(|words| !words.trim().is_empty());
        self
    }

    /// Whether the session may be gone on with on another connection.
    pub(crate) fn keeps_session(&self) -> bool {
        let broken_off = matches!(
            self.cause,
            Cause::Closed | Cause::ResumedDeaf | Cause::Conflict | Cause::PolicyViolation | Cause::HostUnknown | Cause::Protocol
        );
        !broken_off && !self.loses_session
    }

    /// Whether to try again.
    pub fn advice(&self) -> Advice {
        self.cause.advice()
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)?;
        match &self.server_words {
            Some(words) => write!(f, " (the server says: {words})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for End {}

/// What went wrong below the stream, as the driver saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No TCP connection: in words.
    Connect(String),
    /// The certificate was refused: in words.
    Certificate(String),
    /// The handshake failed otherwise: in words.
    Tls(String),
    /// Reading or writing failed: in words.
    Io(String),
}
