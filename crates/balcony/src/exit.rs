//! Exit codes: one for each kind of person who can mend it.

use std::process::ExitCode;

use balcony_store::StoreError;

/// Why the program ended. The numbers are part of the interface: docs/exit-codes.md is written from this table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// A mistake of this program.
    Internal = 1,
    /// The command line cannot be understood, or names an offer or a folder that is not there.
    Usage = 2,
    /// The account's server refused the login, or there is no account.
    Login = 3,
    /// The server cannot be found or reached, or the connection broke for good.
    Network = 4,
    /// The certificate does not fit or TLS is missing.
    Certificate = 5,
    /// The server refused: no upload service, too large, quota.
    Server = 6,
    /// What the sender offered cannot be had: gone, forbidden, cut short.
    Source = 7,
    /// The bytes are not the file that was offered.
    Proof = 8,
    /// This machine: disk full, no permission, no such file, the file changed.
    Local = 9,
    /// The policy forbids it, or it needs an answer that was not given.
    Policy = 10,
    /// Waited long enough.
    Timeout = 11,
    /// Interrupted by the person.
    Interrupted = 130,
}

impl Class {
    /// All, with their words.
    pub(crate) const TABLE: [(Self, &'static str); 12] = [
        (Self::Internal, "a mistake of this program"),
        (Self::Usage, "the command line cannot be understood, or names an offer or a folder that is not there"),
        (Self::Login, "the login was refused, or there is no account"),
        (Self::Network, "the server cannot be found or reached, or the connection broke for good"),
        (Self::Certificate, "the certificate does not fit, or TLS is missing"),
        (Self::Server, "the server refused: no upload service, too large, quota used up"),
        (Self::Source, "the file cannot be had where the sender says it is: gone, forbidden, cut short"),
        (Self::Proof, "the bytes are not the file that was offered"),
        (Self::Local, "this machine: disk full, no permission, no such file, the file changed"),
        (Self::Policy, "the policy forbids it, it needs an answer that was not given, or the other side said no"),
        (Self::Timeout, "waited long enough"),
        (Self::Interrupted, "interrupted; what was begun can be taken up again"),
    ];

    /// The name used in JSON.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Internal => "internal",
            Self::Usage => "usage",
            Self::Login => "login",
            Self::Network => "network",
            Self::Certificate => "certificate",
            Self::Server => "server",
            Self::Source => "source",
            Self::Proof => "proof",
            Self::Local => "local",
            Self::Policy => "policy",
            Self::Timeout => "timeout",
            Self::Interrupted => "interrupted",
        }
    }

    /// The number for the shell.
    pub(crate) fn code(self) -> ExitCode {
        ExitCode::from(self as u8)
    }
}

/// A failure as a person meets it: what, who, and what to do next.
#[derive(Debug)]
pub(crate) struct Failure {
    /// Which exit code.
    pub(crate) class: Class,
    /// What failed, in one sentence without full stop.
    pub(crate) what: String,
    /// What to try next.
    pub(crate) next: Option<String>,
}

impl Failure {
    /// A failure without advice.
    pub(crate) fn new(class: Class, what: impl Into<String>) -> Self {
        Self { class, what: what.into(), next: None }
    }

    /// This failure with advice.
    pub(crate) fn advise(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }

    /// From any error, with its causes.
    pub(crate) fn from_error(class: Class, error: &dyn std::error::Error) -> Self {
        let mut what = error.to_string();
        let mut cause = error.source();
        while let Some(next) = cause {
            let words = next.to_string();
            if !what.contains(&words) {
                what.push_str(": ");
                what.push_str(&words);
            }
            cause = next.source();
        }
        Self::new(class, what)
    }
}

/// The disk, or what is on it.
impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::from_error(Class::Local, &error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_about_exit_codes_says_the_same() {
        let page = include_str!("../../../docs/exit-codes.md");
        for (class, words) in Class::TABLE {
            let row = format!("| {} | {} | {words} |", class as u8, class.name());
            assert!(page.contains(&row), "docs/exit-codes.md lacks {row}");
        }
    }
}
