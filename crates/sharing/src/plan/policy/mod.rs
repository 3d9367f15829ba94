//! A person's standing rules, as they read and write them: what is fetched unasked, what is asked about, what is never done.
//!
//! Rules stand in an order, and the first that covers a case decides it; where none does, the person is asked. The text form is
//! described in `docs/formats/policy.md`.

mod list;
mod text;
mod words;

pub use list::Rules;
pub use text::RuleError;
pub(crate) use text::{Reader, Size, joined, read_lines};

use balcony_wire::BareJid;

use crate::{ExposureKind, MediaType};

/// Rules of one person at most.
pub const MAX_RULES: usize = 256;

/// What a rule says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Do it.
    Fetch,
    /// Ask each time.
    Ask,
    /// Never, not even if the person asks for it: they change the rule first.
    Never,
}

/// A person's rules for fetching; the first that covers a case decides it.
pub type Policy = Rules<Rule>;

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What it says.
    pub verdict: Verdict,
    /// Whose files it is about; any of these.
    pub who: Vec<Who>,
    /// Only files larger than that, in bytes; one of unknown size counts as larger.
    pub over: Option<u64>,
    /// Only files up to that, in bytes; one of unknown size does not count.
    pub up_to: Option<u64>,
    /// Only files of such types, as their sender names them; none for all.
    pub types: Vec<TypeRange>,
    /// Only from such places; none for all.
    pub places: Vec<ExposureKind>,
    /// For [`Verdict::Fetch`]: also what no hash proves. For the others: only that.
    pub unproven: bool,
    /// For [`Verdict::Fetch`]: also where bytes cost money. For the others: only there.
    pub metered: bool,
    /// For [`Verdict::Fetch`]: also from places that somebody else than the sender named. For the others: only from there.
    pub attached: bool,
}

/// Whose files a rule is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// Everybody's.
    Everybody,
    /// Those of people in the roster.
    Contacts,
    /// Those of people in a group of the roster.
    Group(String),
    /// Those of one person.
    Person(BareJid),
    /// Those of people who are neither in the roster nor the person themself, and those of people nobody can tell.
    Strangers,
    /// What the person's other devices send.
    OwnDevices,
    /// What is said in rooms.
    Rooms,
    /// What is said in rooms that only members enter.
    PrivateRooms,
    /// What is said in rooms that anybody may enter.
    PublicRooms,
    /// What is said in one room.
    Room(BareJid),
}

/// `image/*`, `*/*` or a media type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeRange(String);

/// Who may enter a room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RoomKind {
    /// Members only.
    Private,
    /// Anybody, or nobody knows.
    #[default]
    Public,
}

/// How the person stands to whoever offers a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing<'a> {
    /// It is the person, on another device.
    Own,
    /// A contact, in these groups.
    Contact(&'a [String]),
    /// Anybody else.
    Stranger,
}

/// What rules look at: one way to fetch one file.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// Who offers it; `None` in a room that does not tell who its occupants are.
    pub person: Option<&'a BareJid>,
    /// How the person stands to them.
    pub standing: Standing<'a>,
    /// The room it was said in.
    pub room: Option<(&'a BareJid, RoomKind)>,
    /// Bytes announced.
    pub size: Option<u64>,
    /// The type its sender says it has.
    pub media_type: &'a MediaType,
    /// What fetching it reveals.
    pub exposure: ExposureKind,
    /// Whether a hash proves the bytes.
    pub is_proven: bool,
    /// Whether bytes cost money on this network.
    pub is_metered: bool,
    /// Whether somebody else than the sender, and not the person themself, says that it is there.
    pub is_attached: bool,
    /// Whether a contact learns by it that we are there who does not see our presence: no rule for contacts fetches that way.
    pub is_unseen: bool,
}

/// What the rules say of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ruling {
    /// What to do.
    pub verdict: Verdict,
    /// The rule that decided, counted from 0; `None` where none covers the case, and for what is never done whatever they say.
    pub rule: Option<usize>,
}

/// Why a rule does not cover a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Miss {
    /// It is about somebody else's files.
    Who,
    /// It is about other sizes.
    Size,
    /// It is about other types.
    Type,
    /// It is about other places.
    Place,
    /// It fetches only what a hash proves, or is only about what none does.
    Proof,
    /// It does not fetch where bytes cost money, or is only about that.
    Network,
    /// It does not fetch from where somebody else than the sender says, or is only about that.
    NamedBy,
}

impl Default for Policy {
    /// Files of contacts and own devices up to 10 MiB, from where they reveal nothing to third parties. Everything else is asked about.
    fn default() -> Self {
        let places = vec![
            ExposureKind::Nothing,
            ExposureKind::OwnServer,
            ExposureKind::Presence,
            ExposureKind::ViaProxy,
            ExposureKind::SendersServer,
        ];
        let unasked = Rule { up_to: Some(10 << 20), places, ..Rule::new(Verdict::Fetch, vec![Who::Contacts, Who::OwnDevices]) };
        Self::new(vec![unasked, Rule::new(Verdict::Ask, vec![Who::Everybody])])
    }
}

impl Policy {
    /// The same rules, except that nothing is fetched unasked.
    #[must_use]
    pub fn asking(&self) -> Self {
        Self::new(self.rules().iter().filter(|rule| rule.verdict != Verdict::Fetch).cloned().collect())
    }

    /// Whether anything at all is fetched unasked.
    pub fn fetches(&self) -> bool {
        self.rules().iter().any(|rule| rule.verdict == Verdict::Fetch)
    }

    /// What the rules say. What everybody on the way could read is never fetched.
    pub fn judge(&self, case: &Case<'_>) -> Ruling {
        if case.exposure == ExposureKind::Everybody {
            return Ruling { verdict: Verdict::Never, rule: None };
        }
        let covering = self.rules().iter().enumerate().find(|(_, rule)| rule.covers(case));
        covering.map_or(Ruling { verdict: Verdict::Ask, rule: None }, |(at, rule)| Ruling { verdict: rule.verdict, rule: Some(at) })
    }

    /// The fetching rule that comes nearest to covering a case: what it misses is what a person would have to agree to.
    pub(super) fn nearest(&self, case: &Case<'_>) -> Option<&Rule> {
        // A rule about somebody else or other kinds of files is further off than one about other sizes.
        let weight = |miss: &Miss| if matches!(miss, Miss::Who | Miss::Type) { 2 } else { 1 };
        let distance = |rule: &&Rule| rule.missing(case).map(|miss| weight(&miss)).sum::<u32>();
        self.rules().iter().filter(|rule| rule.verdict == Verdict::Fetch).min_by_key(distance)
    }
}

impl Rule {
    /// About all files of these people.
    #[must_use]
    pub fn new(verdict: Verdict, who: Vec<Who>) -> Self {
        Self {
            verdict,
            who,
            over: None,
            up_to: None,
            types: Vec::new(),
            places: Vec::new(),
            unproven: false,
            metered: false,
            attached: false,
        }
    }

    /// Whether it is about this case.
    pub fn covers(&self, case: &Case<'_>) -> bool {
        self.missing(case).next().is_none()
    }

    /// Everything that keeps it from being about this case; nothing if it is.
    pub fn misses(&self, case: &Case<'_>) -> Vec<Miss> {
        self.missing(case).collect()
    }

    pub(super) fn missing<'a>(&'a self, case: &'a Case<'_>) -> impl Iterator<Item = Miss> + 'a {
        ALL_MISSES.into_iter().filter(|miss| self.has_miss(*miss, case))
    }

    fn has_miss(&self, miss: Miss, case: &Case<'_>) -> bool {
        // A fetching rule is widened by a word, the others are narrowed by it.
        let is_beyond = |is_so: bool, says: bool| if self.verdict == Verdict::Fetch { is_so && !says } else { says && !is_so };
        match miss {
            Miss::Who => {
                let is_kept_from =
                    |who: &Who| case.is_unseen && self.verdict == Verdict::Fetch && matches!(who, Who::Contacts | Who::Group(_));
                !self.who.iter().any(|who| who.includes(case.person, case.standing, case.room) && !is_kept_from(who))
            }
            Miss::Size => {
                let too_large = self.up_to.is_some_and(|limit| case.size.is_none_or(|size| size > limit));
                too_large || self.over.is_some_and(|limit| case.size.is_some_and(|size| size <= limit))
            }
            Miss::Type => !self.types.is_empty() && !self.types.iter().any(|range| case.media_type.is_accepted_by(&range.0)),
            Miss::Place => !self.places.is_empty() && !self.places.contains(&case.exposure),
            Miss::Proof => is_beyond(!case.is_proven, self.unproven),
            Miss::Network => is_beyond(case.is_metered, self.metered),
            Miss::NamedBy => is_beyond(case.is_attached, self.attached),
        }
    }
}

const ALL_MISSES: [Miss; 7] = [Miss::Who, Miss::Size, Miss::Type, Miss::Place, Miss::Proof, Miss::Network, Miss::NamedBy];

impl Who {
    /// Whether this is about what somebody does, in this room or outside of rooms.
    pub(crate) fn includes(&self, person: Option<&BareJid>, standing: Standing<'_>, room: Option<(&BareJid, RoomKind)>) -> bool {
        match self {
            Self::Everybody => true,
            Self::Contacts => matches!(standing, Standing::Contact(_)),
            Self::Group(wanted) => matches!(standing, Standing::Contact(groups) if groups.contains(wanted)),
            Self::Person(jid) => person == Some(jid),
            Self::Strangers => standing == Standing::Stranger,
            Self::OwnDevices => standing == Standing::Own,
            Self::Rooms => room.is_some(),
            Self::PrivateRooms => matches!(room, Some((_, RoomKind::Private))),
            Self::PublicRooms => matches!(room, Some((_, RoomKind::Public))),
            Self::Room(jid) => matches!(room, Some((room, _)) if room == jid),
        }
    }
}

impl Verdict {
    /// The word in a rule.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fetch => "fetch",
            Self::Ask => "ask",
            Self::Never => "never",
        }
    }
}
