//! Who may have which file of ours from a device of ours, how fast, and whether they see its address. Pure.
//!
//! What was offered to somebody may be had by them; everything else is for rules. Rules stand in an order, and the first that covers
//! a request decides it; where none does, nothing is given. The text form is described in `docs/formats/giving.md`. Whoever asks for
//! what they may not have hears the same as for what is not there (XEP-0234 §9.1).

mod fits;
mod text;
mod words;

pub use fits::{Fit, Sought};

use balcony_wire::BareJid;

use crate::MediaType;
use crate::plan::{Rules, Standing, TypeRange, Who};
use crate::transfer::Reach;

/// What a rule of giving says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GivingVerdict {
    /// Give it to them.
    Give,
    /// Give them nothing, whatever was offered to them.
    Never,
    /// After a file that they offered was fetched and proved: say in that conversation that it can be had here, too.
    Announce,
}

/// By which way bytes may go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Showing {
    /// As was said when the file was shared; where nothing was said, without the address.
    #[default]
    AsShared,
    /// Also directly: they see the address of this device. What was shared without the address stays without it.
    Address,
    /// By what lies between us, whatever was said: no address is shown.
    NoAddress,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivingRule {
    /// What it says.
    pub verdict: GivingVerdict,
    /// Who asks, any of these; for [`GivingVerdict::Announce`]: who offered the file. Rooms are none of them.
    pub who: Vec<Who>,
    /// Only files larger than that, in bytes.
    pub over: Option<u64>,
    /// Only files up to that, in bytes.
    pub up_to: Option<u64>,
    /// Only files of such types; none for all.
    pub types: Vec<TypeRange>,
    /// For [`GivingVerdict::Give`]: at most so many bytes a second for each of their transfers.
    pub rate: Option<u64>,
    /// For [`GivingVerdict::Give`]: also what was not offered to them, if they know a digest of it.
    pub unoffered: bool,
    /// For [`GivingVerdict::Give`]: by which way.
    pub showing: Showing,
}

/// A person's rules for giving; the first that covers a request decides it.
pub type Giving = Rules<GivingRule>;

/// Somebody asks for a file of ours.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Who.
    pub person: &'a BareJid,
    /// How the person stands to them.
    pub standing: Standing<'a>,
    /// Bytes it has.
    pub size: u64,
    /// What it is.
    pub media_type: &'a MediaType,
    /// Whether it was offered to them, in a conversation with them or as a live share.
    pub is_offered: bool,
}

/// How they may have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The rule that says so, counted from 0.
    pub rule: usize,
    /// By which way.
    pub showing: Showing,
    /// At most so many bytes a second.
    pub rate: Option<u64>,
}

impl Default for Giving {
    /// Own devices get what they ask for, directly; everybody else what was offered to them.
    fn default() -> Self {
        let own = GivingRule { unoffered: true, showing: Showing::Address, ..GivingRule::new(GivingVerdict::Give, vec![Who::OwnDevices]) };
        Self::new(vec![own, GivingRule::new(GivingVerdict::Give, vec![Who::Everybody])])
    }
}

impl Giving {
    /// How they may have it; `None` if not at all.
    pub fn judge(&self, request: &Request<'_>) -> Option<Grant> {
        let mut deciding = self.rules().iter().enumerate().filter(|(_, rule)| rule.verdict != GivingVerdict::Announce);
        let (at, rule) = deciding.find(|(_, rule)| rule.covers(request))?;
        (rule.verdict == GivingVerdict::Give).then_some(Grant { rule: at, showing: rule.showing, rate: rule.rate })
    }

    /// Whether there is anything that somebody could be given, of what was offered to them, if something was, and of all else: then they
    /// may learn that this device is there.
    pub fn has_something_for(&self, person: &BareJid, standing: Standing<'_>, has_offers: bool) -> bool {
        let about = self.rules().iter().filter(|rule| rule.is_about(person, standing));
        for rule in about {
            match rule.verdict {
                GivingVerdict::Give if has_offers || rule.unoffered => return true,
                GivingVerdict::Never if rule.is_about_all_files() => return false,
                GivingVerdict::Give | GivingVerdict::Never | GivingVerdict::Announce => {}
            }
        }
        false
    }

    /// Whether others of the conversation are told that a file is here as well, now that it was fetched and proved. `request` is
    /// whoever offered it.
    pub fn announces(&self, request: &Request<'_>) -> bool {
        self.rules().iter().any(|rule| rule.verdict == GivingVerdict::Announce && rule.covers(request))
    }
}

impl GivingRule {
    /// About all files, for these people.
    #[must_use]
    pub fn new(verdict: GivingVerdict, who: Vec<Who>) -> Self {
        Self { verdict, who, over: None, up_to: None, types: Vec::new(), rate: None, unoffered: false, showing: Showing::AsShared }
    }

    /// Whether it is about this request.
    pub fn covers(&self, request: &Request<'_>) -> bool {
        let is_offered = self.verdict != GivingVerdict::Give || self.unoffered || request.is_offered;
        let fits = self.up_to.is_none_or(|limit| request.size <= limit) && self.over.is_none_or(|limit| request.size > limit);
        let is_type = self.types.is_empty() || self.types.iter().any(|range| range.includes(request.media_type));
        is_offered && fits && is_type && self.is_about(request.person, request.standing)
    }

    /// Rooms ask for nothing: their occupants do, and nobody can tell who they are.
    fn is_about(&self, person: &BareJid, standing: Standing<'_>) -> bool {
        self.who.iter().any(|who| who.includes(Some(person), standing, None))
    }

    fn is_about_all_files(&self) -> bool {
        self.over.is_none() && self.up_to.is_none() && self.types.is_empty()
    }
}

impl Grant {
    /// By which way the bytes go; `shared` is what was said when the file was shared, if anything was. Who shared it without their
    /// address meant that whatever a rule says.
    pub fn reach(&self, shared: Option<Reach>) -> Reach {
        match (self.showing, shared) {
            (Showing::NoAddress, _) | (_, Some(Reach::Relay)) | (Showing::AsShared, None) => Reach::Relay,
            (Showing::Address, None) | (Showing::AsShared | Showing::Address, Some(Reach::Direct)) => Reach::Direct,
        }
    }
}

impl GivingVerdict {
    /// The word in a rule.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Give => "give",
            Self::Never => "never",
            Self::Announce => "announce",
        }
    }
}
