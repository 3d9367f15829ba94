//! Rules in an order. What they are about is for their own modules.

use std::fmt;

use super::MAX_RULES;

/// A person's rules of one kind, in their order; the first that is about something decides it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules<R> {
    rules: Vec<R>,
}

impl<R> Rules<R> {
    /// With these rules, in this order; those over [`MAX_RULES`] are left out.
    #[must_use]
    pub fn new(mut rules: Vec<R>) -> Self {
        rules.truncate(MAX_RULES);
        Self { rules }
    }

    /// The rules, in their order.
    pub fn rules(&self) -> &[R] {
        &self.rules
    }

    /// Puts a rule before the one that has this place now, or at the end. `false` if there are too many.
    #[must_use]
    pub fn insert(&mut self, at: usize, rule: R) -> bool {
        let has_room = self.rules.len() < MAX_RULES;
        if has_room {
            self.rules.insert(at.min(self.rules.len()), rule);
        }
        has_room
    }

    /// Takes a rule out; `None` if there is none at this place.
    pub fn remove(&mut self, at: usize) -> Option<R> {
        (at < self.rules.len()).then(|| self.rules.remove(at))
    }
}

/// A line for each.
impl<R: fmt::Display> fmt::Display for Rules<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rules.iter().try_for_each(|rule| writeln!(f, "{rule}"))
    }
}
