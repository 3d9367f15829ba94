//! What may be shown to its owner and must not get into logs: addresses of people and machines, file names, URLs.

use std::fmt;

/// A value that says in logs only that it is there.
///
/// `tracing::debug!(jid = %Redacted(&jid), "asked for a slot")` writes `jid=…`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Redacted<T>(pub T);

impl<T> fmt::Debug for Redacted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl<T> fmt::Display for Redacted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_nothing_of_what_it_holds() {
        let secret = Redacted("romeo@montague.example");
        assert_eq!(format!("{secret} {secret:?}"), "… …");
    }
}
