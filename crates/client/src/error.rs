//! Who can mend a failure. Every error of this crate says its class; programs turn classes into exit codes and colours.

use balcony_session::client::{Cause, End};

use crate::net::NetError;
use crate::net::tls::TrustError;

/// Who can mend it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// The caller: what was asked for cannot be.
    Usage,
    /// Whoever has the password: the login was refused.
    Login,
    /// Nobody but time, or the network's owner: not found, not reached, broken off.
    Network,
    /// Whoever runs the server: the certificate does not fit, or TLS is missing.
    Certificate,
    /// Whoever runs the server: it refused.
    Server,
    /// The sender: the file cannot be had where they say it is.
    Source,
    /// The sender, or somebody in between: the bytes are not the file that was offered.
    Proof,
    /// The owner of this machine: disk, permissions, files.
    Local,
    /// The person's own rules, or an answer they have not given.
    Policy,
    /// Patience: it took too long.
    Timeout,
}

/// Why an account could not be connected.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The authorities to trust could not be used.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The stream ended before the login was done.
    #[error("{0}")]
    Ended(End),
    /// The store could not be asked.
    #[error("the store cannot be used")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl ConnectError {
    /// Who can mend it.
    pub fn class(&self) -> Class {
        match self {
            Self::Trust(error) => error.class(),
            Self::Store(_) => Class::Local,
            Self::Ended(end) => class_of(end.cause),
        }
    }

    /// What to try next.
    pub fn advice(&self) -> Option<&'static str> {
        match self {
            Self::Trust(_) | Self::Store(_) => None,
            // What answers a first greeting with something else is mostly no server that is broken, but another one.
            Self::Ended(End { cause: Cause::Protocol, .. }) => {
                Some("check the port: it may be one that begins with TLS, or one for something else than XMPP clients")
            }
            Self::Ended(end) => advice_for(end.cause),
        }
    }
}

/// Who can mend what ended a stream.
pub(crate) fn class_of(cause: Cause) -> Class {
    match cause {
        Cause::Credentials | Cause::KeysOutdated | Cause::LoginUnavailable | Cause::LoginRefused => Class::Login,
        Cause::Downgrade | Cause::Certificate | Cause::Tls => Class::Certificate,
        Cause::Closed | Cause::Unreachable | Cause::ConnectionLost | Cause::Silent | Cause::ResumedDeaf => Class::Network,
        Cause::Conflict | Cause::PolicyViolation | Cause::HostUnknown | Cause::Server | Cause::Protocol => Class::Server,
    }
}

/// What to try next.
pub(crate) fn advice_for(cause: Cause) -> Option<&'static str> {
    Some(match cause {
        Cause::Credentials => "check name and password",
        Cause::KeysOutdated => "log in with the password once more",
        Cause::LoginUnavailable => "try again later",
        Cause::LoginRefused => "ask whoever runs the server",
        Cause::Downgrade => "try from another network; if it stays, ask whoever runs the server before you log in again",
        Cause::Certificate => "check the domain; if the server has its own certificate authority, name it",
        Cause::Tls => "check the port: one kind begins with TLS, the other starts it on the stream",
        Cause::Unreachable => "check the network and the domain, or name host and port of the server",
        Cause::ConnectionLost | Cause::Silent | Cause::ResumedDeaf => "check the network",
        Cause::Conflict => "another program uses this session; stop it or take another resource",
        Cause::HostUnknown => "check the domain of the address",
        Cause::PolicyViolation | Cause::Server | Cause::Protocol => "try again later, or ask whoever runs the server",
        Cause::Closed => return None,
    })
}

impl TrustError {
    /// Who can mend it.
    pub fn class(&self) -> Class {
        match self {
            Self::Nobody | Self::Setup(_) => Class::Local,
            Self::Empty | Self::Unreadable(_) => Class::Usage,
        }
    }
}

impl NetError {
    /// Who can mend it.
    pub fn class(&self) -> Class {
        match self {
            Self::Unknown { .. } | Self::TimedOut { .. } | Self::Unreachable { .. } | Self::Proxy { .. } => Class::Network,
            Self::Forbidden(_) => Class::Policy,
            Self::Certificate { .. } | Self::Tls { .. } => Class::Certificate,
        }
    }
}
