//! What became of the files so far, and how the command ends by it.

use std::collections::{BTreeMap, BTreeSet};

use balcony_client::CataloguedOffer;
use balcony_store::OfferKey;
use balcony_wire::BareJid;

use crate::console::Console;
use crate::exit::{Class, Failure};

/// What became of the files so far.
#[derive(Default)]
pub(super) struct Tally {
    /// Files still wanted, if there is an end.
    left: Option<u64>,
    saved: u64,
    failed: BTreeMap<OfferKey, (Class, Named)>,
    ended_with: BTreeSet<OfferKey>,
}

/// How a person would say which file it is. Whoever offers it once more, because their program ended in the middle, offers the same.
#[derive(PartialEq, Eq)]
struct Named {
    person: Option<BareJid>,
    name: String,
    size: Option<u64>,
}

impl Named {
    fn of(offer: &CataloguedOffer) -> Self {
        Self { person: offer.provenance().person(), name: offer.name().as_str().to_owned(), size: offer.size() }
    }
}

/// Why nothing new is awaited.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Nothing came for as long as the person said.
    Silence,
    /// All is there that was wanted, or the person has seen enough.
    Enough,
}

impl Tally {
    /// For so many files, if there is an end.
    pub(super) fn of(count: Option<u64>) -> Self {
        Self { left: count, ..Self::default() }
    }

    /// How many may be under way: no more than are still wanted.
    pub(super) fn at_once(&self, jobs: usize) -> usize {
        self.left.map_or(jobs, |left| jobs.min(usize::try_from(left).unwrap_or(usize::MAX)))
    }

    /// Whether no more are wanted.
    pub(super) fn is_enough(&self) -> bool {
        self.left == Some(0)
    }

    /// A file ended. What stops the whole command is handed back.
    pub(super) fn note(&mut self, console: &Console, offer: &CataloguedOffer, done: Result<(), Failure>) -> Result<(), Failure> {
        match done {
            Ok(()) => {
                self.saved += 1;
                let named = Named::of(offer);
                self.failed.retain(|key, (_, missed)| *key != offer.key() && *missed != named);
            }
            Err(failure) if failure.class == Class::Interrupted || failure.class == Class::Local => return Err(failure),
            // One file that cannot be had is no reason to stop listening.
            Err(failure) => {
                console.failure(&failure);
                self.failed.insert(offer.key(), (failure.class, Named::of(offer)));
            }
        }
        if self.ended_with.insert(offer.key()) {
            self.left = self.left.map(|left| left.saturating_sub(1));
        }
        Ok(())
    }

    /// The end of the command: whatever ended it, a file that could not be had is told by the exit code.
    pub(super) fn sum_up(self, end: End) -> Result<(), Failure> {
        match self.failed.into_values().next_back() {
            Some((class, _)) => Err(Failure::new(class, "not every file could be had; the reasons are above")),
            None if self.saved == 0 && end == End::Silence => Err(Failure::new(Class::Timeout, "no file came in time")),
            None => Ok(()),
        }
    }
}
