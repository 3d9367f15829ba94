//! Why a fetch gave no file.

use balcony_sharing::plan::Outcome;
use balcony_sharing::transfer::fetch::FetchFailed;
use balcony_store::StoreError;

use crate::error::Class;
use crate::net::tls::TrustError;

/// Why a fetch gave no file. What was fetched so far is kept for another try, except where its bytes were wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// No source gave it.
    #[error(transparent)]
    Failed(#[from] FetchFailed),
    /// The disk or the catalogue.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What an earlier try left cannot be read.
    #[error("the bytes kept from an earlier try cannot be read")]
    Reread(#[source] std::io::Error),
    /// A part of this program ended without a word.
    #[error("the fetch broke off inside this program")]
    Broken,
}

impl FetchError {
    /// Who can mend it.
    pub fn class(&self) -> Class {
        match self {
            Self::Failed(failed) => class_of(failed),
            Self::Store(_) | Self::Reread(_) | Self::Broken => Class::Local,
        }
    }

    /// What to try next.
    pub fn advice(&self) -> Option<&'static str> {
        match self {
            Self::Failed(failed) => Some(match class_of(failed) {
                Class::Proof => "ask the sender to share the file again, and do not open what you may have got elsewhere under this name",
                Class::Policy => {
                    "the link leads where your rules do not let it lead unasked; agree to that, or ask the sender for another one"
                }
                Class::Network => "try again later; what was fetched is kept",
                _ => "ask the sender to share the file again",
            }),
            Self::Store(_) => None,
            Self::Reread(_) => Some("check the disk"),
            Self::Broken => Some("try again; what was fetched is kept"),
        }
    }
}

/// Wrong bytes weigh most, then the last thing that happened.
fn class_of(failed: &FetchFailed) -> Class {
    let outcomes = || failed.outcomes.iter().map(|(_, outcome)| outcome);
    if outcomes().any(|outcome| matches!(outcome, Outcome::WrongBytes | Outcome::WrongTag | Outcome::WrongPadding)) {
        return Class::Proof;
    }
    match outcomes().next_back() {
        Some(Outcome::Blocked(_)) => Class::Policy,
        Some(Outcome::Unreachable(_) | Outcome::NoWay(_) | Outcome::Stalled(_)) => Class::Network,
        _ => Class::Source,
    }
}

/// Why nothing can be fetched at all.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
#[non_exhaustive]
pub enum SetupError {
    /// The authorities to trust could not be used.
    Trust(#[from] TrustError),
    /// The disk or the catalogue.
    Store(#[from] StoreError),
}

impl SetupError {
    /// Who can mend it.
    pub fn class(&self) -> Class {
        match self {
            Self::Trust(error) => error.class(),
            Self::Store(_) => Class::Local,
        }
    }
}

#[cfg(test)]
mod tests {
    use balcony_sharing::SourceKey;

    use super::*;

    fn class(outcomes: Vec<Outcome>) -> Class {
        let outcomes = outcomes.into_iter().map(|outcome| (SourceKey::from_record("url https://a.example/"), outcome)).collect();
        FetchError::Failed(FetchFailed { outcomes, kept: 0 }).class()
    }

    #[test]
    fn every_way_to_fail_has_somebody_to_mend_it() {
        assert_eq!(class(vec![Outcome::Gone(410)]), Class::Source);
        assert_eq!(class(vec![Outcome::TooShort { got: 1, expected: 2 }]), Class::Source);
        assert_eq!(class(vec![Outcome::WrongBytes, Outcome::Gone(404)]), Class::Proof);
        assert_eq!(class(vec![Outcome::WrongTag]), Class::Proof);
        assert_eq!(class(vec![Outcome::Blocked(String::new())]), Class::Policy);
        assert_eq!(class(vec![Outcome::Gone(404), Outcome::Stalled(30)]), Class::Network);
        assert_eq!(class(Vec::new()), Class::Source);
    }
}
