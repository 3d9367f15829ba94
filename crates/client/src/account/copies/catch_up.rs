//! Which pages of an archive are asked for, one behind the other, and where that ends. Knows no network.
//!
//! XEP-0059 Result set management, v1.0 <https://xmpp.org/extensions/xep-0059.html>
//! Status: partial: pages of an archive are asked for; nothing of ours is given out by pages.
//! XEP-0313 Message archive management, v1.1.3 <https://xmpp.org/extensions/xep-0313.html>

use std::collections::BTreeSet;

use balcony_wire::archive::{ArchiveEnd, ArchiveQuery};
use balcony_wire::datetime::DateTime;
use balcony_wire::result_set::ResultSet;

/// Messages on a page.
pub(super) const PAGE: u64 = 50;
/// Pages of one session at most; the next session goes on there.
const PAGES: usize = 100;
/// A longer id of an archive is none that we remember.
const LONGEST_ID: usize = 1024;
/// Seconds between clocks that a search by time allows for.
const CLOCKS: i64 = 3600;

/// Up to where an archive is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Mark {
    /// It was never looked at: what is in it by then is no news.
    #[default]
    Nowhere,
    /// It was empty.
    Start,
    /// Up to this message.
    Behind(Seen),
}

/// A message of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// As the archive names it.
    pub(crate) id: String,
    /// When it was said, for archives that forget ids.
    pub(crate) at: Option<DateTime>,
}

/// Goes through an archive from a mark to its end.
#[derive(Debug)]
pub(super) struct CatchUp {
    mark: Mark,
    next: Next,
    /// Ids where a page ended.
    ends: BTreeSet<String>,
    is_caught_up: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Next {
    /// The newest message alone, to begin behind it the next time.
    Newest,
    /// The page behind the mark.
    Behind,
    /// The page behind an id, of what was said since.
    Since(DateTime, Option<String>),
    Nothing,
}

impl CatchUp {
    pub(super) fn new(mark: Mark) -> Self {
        let next = if mark == Mark::Nowhere { Next::Newest } else { Next::Behind };
        Self { mark, next, ends: BTreeSet::new(), is_caught_up: false }
    }

    /// What to ask now; `None` when that is all.
    pub(super) fn query(&self, query_id: &str) -> Option<ArchiveQuery> {
        let query = ArchiveQuery { query_id: Some(query_id.to_owned()), ..ArchiveQuery::default() };
        Some(match &self.next {
            Next::Newest => ArchiveQuery { page: ResultSet::last_page(1), ..query },
            Next::Behind => ArchiveQuery { page: ResultSet::page_after(PAGE, self.mark.id().map(str::to_owned)), ..query },
            Next::Since(start, after) => ArchiveQuery { start: Some(*start), page: ResultSet::page_after(PAGE, after.clone()), ..query },
            Next::Nothing => return None,
        })
    }

    /// Whether the results of the query are to be looked at; else they only say where the archive ends.
    pub(super) fn is_for_news(&self) -> bool {
        self.next != Next::Newest
    }

    /// A page ended; `last` is the last message of it that came.
    pub(super) fn handle_end(&mut self, end: &ArchiveEnd, last: Option<Seen>) {
        let told = end.page.last.as_deref().filter(|id| !id.is_empty());
        let seen = match told {
            Some(id) => Some(Seen { id: id.to_owned(), at: last.and_then(|last| last.at) }),
            None => last,
        };
        match (&self.next, seen) {
            (Next::Newest, None) => {
                self.mark = Mark::Start;
                self.finish(true);
            }
            (_, None) => self.finish(true),
            (_, Some(seen)) if seen.id.len() > LONGEST_ID || !self.ends.insert(seen.id.clone()) || self.mark.id() == Some(&seen.id) => {
                self.finish(false); // the same page again, or nothing to go on with
            }
            (next, Some(seen)) => {
                let (is_newest, since) = (*next == Next::Newest, next.since());
                self.mark = Mark::Behind(seen.clone());
                if is_newest || end.is_complete {
                    self.finish(true);
                } else if self.ends.len() >= PAGES {
                    self.finish(false);
                } else {
                    self.next = since.map_or(Next::Behind, |start| Next::Since(start, Some(seen.id)));
                }
            }
        }
    }

    /// The archive does not know the id any more: by time then, else from its newest message on.
    pub(super) fn handle_forgotten(&mut self) {
        let at = match &self.mark {
            Mark::Behind(seen) if self.next == Next::Behind => seen.at,
            Mark::Behind(_) | Mark::Nowhere | Mark::Start => None,
        };
        self.next = match at.and_then(|at| DateTime::from_unix(at.unix().saturating_sub(CLOCKS))) {
            Some(start) => Next::Since(start, None),
            None if self.next == Next::Newest || self.mark.id().is_none() => Next::Nothing,
            None => Next::Newest,
        };
    }

    /// Up to where all of it was asked for.
    pub(super) fn mark(&self) -> &Mark {
        &self.mark
    }

    /// Whether nothing was left behind the mark when that was asked.
    pub(super) fn is_caught_up(&self) -> bool {
        self.is_caught_up
    }

    fn finish(&mut self, is_caught_up: bool) {
        self.next = Next::Nothing;
        self.is_caught_up = is_caught_up;
    }
}

impl Next {
    fn since(&self) -> Option<DateTime> {
        match self {
            Self::Since(start, _) => Some(*start),
            Self::Newest | Self::Behind | Self::Nothing => None,
        }
    }
}

impl Mark {
    fn id(&self) -> Option<&str> {
        match self {
            Self::Behind(seen) => Some(&seen.id),
            Self::Nowhere | Self::Start => None,
        }
    }

    /// For the settings; `None` for nowhere.
    pub(super) fn to_record(&self) -> Option<String> {
        match self {
            Self::Nowhere => None,
            Self::Start => Some("start".to_owned()),
            Self::Behind(Seen { id, at }) => Some(format!("behind {} {id}", at.map(|at| at.unix().to_string()).as_deref().unwrap_or("-"))),
        }
    }

    /// From the settings; what nobody here wrote is nowhere.
    pub(super) fn from_record(record: &str) -> Self {
        let fields: Vec<&str> = record.splitn(3, ' ').collect();
        match fields[..] {
            ["start"] => Self::Start,
            ["behind", at, id] => {
                Self::Behind(Seen { id: id.to_owned(), at: at.parse().ok().and_then(DateTime::from_unix) }) // "-" is no time
            }
            _ => Self::Nowhere,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(last: &str, is_complete: bool) -> ArchiveEnd {
        let last = Some(last.to_owned()).filter(|last| !last.is_empty());
        ArchiveEnd { is_complete, page: ResultSet { last, ..ResultSet::default() } }
    }

    fn behind(id: &str, at: Option<i64>) -> Mark {
        Mark::Behind(Seen { id: id.to_owned(), at: at.and_then(DateTime::from_unix) })
    }

    fn after(work: &CatchUp) -> Option<String> {
        work.query("q").expect("more is asked").page.after
    }

    /// Proves: C0313-4-1.
    #[test]
    fn page_follows_page_behind_the_mark_until_the_archive_says_that_it_is_all() {
        let mut work = CatchUp::new(behind("a", None));
        assert_eq!((after(&work).as_deref(), work.query("q").unwrap().page.max), (Some("a"), Some(PAGE)));
        work.handle_end(&page("b", false), None);
        assert_eq!(after(&work).as_deref(), Some("b"));
        work.handle_end(&page("c", true), Some(Seen { id: "c".into(), at: DateTime::from_unix(7) }));
        assert!(work.query("q").is_none() && work.is_caught_up());
        assert_eq!(*work.mark(), behind("c", Some(7)));
        let mut work = CatchUp::new(behind("c", Some(7)));
        work.handle_end(&page("", true), None);
        assert!(work.query("q").is_none() && work.is_caught_up());
        assert_eq!(*work.mark(), behind("c", Some(7)), "nothing new: the mark stays");
    }

    #[test]
    fn an_archive_never_looked_at_gives_its_newest_message_for_a_mark_and_no_news() {
        let mut work = CatchUp::new(Mark::default());
        let query = work.query("q").unwrap();
        assert_eq!((query.page.before.as_deref(), query.page.max, work.is_for_news()), (Some(""), Some(1), false));
        work.handle_end(&page("z", false), None);
        assert!(work.query("q").is_none() && work.is_caught_up() && *work.mark() == behind("z", None));
        let mut empty = CatchUp::new(Mark::default());
        empty.handle_end(&page("", true), None);
        assert_eq!(*empty.mark(), Mark::Start);
        let from_start = CatchUp::new(Mark::Start);
        assert!(from_start.is_for_news() && after(&from_start).is_none(), "all that came into an empty archive is news");
    }

    #[test]
    fn the_same_page_for_ever_and_pages_without_end_come_to_an_end() {
        let mut same = CatchUp::new(behind("a", None));
        for last in ["b", "c", "b"] {
            same.handle_end(&page(last, false), None);
        }
        assert!(same.query("q").is_none() && !same.is_caught_up());
        let mut stuck = CatchUp::new(behind("a", None));
        stuck.handle_end(&page("a", false), None);
        assert!(stuck.query("q").is_none() && !stuck.is_caught_up());
        let mut endless = CatchUp::new(behind("a", None));
        for n in 0.. {
            assert!(n <= PAGES, "it never ends");
            endless.handle_end(&page(&format!("{n}"), false), None);
            if endless.query("q").is_none() {
                break;
            }
        }
        assert!(!endless.is_caught_up());
        let mut huge = CatchUp::new(behind("a", None));
        huge.handle_end(&page(&"x".repeat(LONGEST_ID + 1), false), None);
        assert!(huge.query("q").is_none() && *huge.mark() == behind("a", None));
    }

    #[test]
    fn an_id_that_the_archive_forgot_is_replaced_by_its_time_and_at_last_by_the_newest() {
        let mut work = CatchUp::new(behind("a", Some(10_000)));
        work.handle_forgotten();
        let query = work.query("q").unwrap();
        assert_eq!((query.start.unwrap().unix(), query.page.after), (10_000 - CLOCKS, None));
        work.handle_end(&page("b", false), None);
        let query = work.query("q").unwrap();
        assert_eq!((query.start.unwrap().unix(), query.page.after.as_deref()), (10_000 - CLOCKS, Some("b")));
        work.handle_forgotten();
        assert!(!work.is_for_news());
        work.handle_forgotten();
        assert!(work.query("q").is_none(), "an archive that forgets all is left alone");
        let mut timeless = CatchUp::new(behind("a", None));
        timeless.handle_forgotten();
        assert!(!timeless.is_for_news());
    }

    #[test]
    fn a_mark_is_remembered_as_it_was() {
        for mark in [Mark::Start, behind("a b\u{e9}", Some(-7)), behind("x", None)] {
            assert_eq!(Mark::from_record(&mark.to_record().unwrap()), mark);
        }
        assert_eq!(Mark::Nowhere.to_record(), None);
        for odd in ["", "behind", "behind 7", "ahead 7 x"] {
            assert_eq!(Mark::from_record(odd), Mark::Nowhere, "{odd}");
        }
    }
}
