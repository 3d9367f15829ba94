//! Looks for what somebody asks for: among what is shared live, among what was offered to them, among what the store keeps. Blocks.

use std::fs;

use balcony_sharing::give::{Fit, Giving, Grant, Request, Sought};
use balcony_sharing::plan::{Contacts, Standing};
use balcony_sharing::transfer::Reach;
use balcony_sharing::verify::{Hasher, SHARED_ALGOS};
use balcony_sharing::{DigestSet, MediaType, Source};
use balcony_store::{FileRef, FileStamp, Listing, LiveShare, OfferRow, OfferState, Store, StoreError};
use balcony_wire::file_metadata::FileMetadata;
use balcony_wire::hashes::Hash;
use balcony_wire::{BareJid, Element, Jid, Payload as _};

use super::{Asked, Gift, Giver, GivingEvent, GivingStep, rules};
use crate::offers::CataloguedOffer;
use crate::share::FileFrom;

/// Offers that are looked through for one request.
const OFFERS: usize = 200;

/// Why somebody gets nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotGiven {
    /// There is nothing of that name, or they must not learn that there is.
    Unknown,
    /// It is there and not for them, and they know us well enough to hear it.
    Forbidden,
}

type Looked<T> = Result<T, StoreError>;

/// Somebody who asks, and what counts for them.
struct Asking<'a> {
    giver: &'a Giver,
    store: &'a Store,
    account: &'a BareJid,
    asker: &'a Jid,
    person: BareJid,
    standing: Standing<'a>,
    giving: Giving,
}

/// A file that may be the one, before anybody judged.
struct Candidate {
    file: FileMetadata,
    size: u64,
    digests: DigestSet,
    is_offered: bool,
    shared: Option<Reach>,
    share: Option<String>,
    place: Place,
}

/// Where its bytes may be.
enum Place {
    Live(FileRef, Option<FileStamp>),
    /// In the store, else where the message of that id says.
    Sent {
        message: Option<String>,
        position: usize,
    },
    Stored,
}

impl Giver {
    pub(super) fn look_now(&self, asker: &Jid, asked: &Asked) -> Looked<Result<Gift, NotGiven>> {
        self.asking(asker, |asking| match asked {
            Asked::Published(id) => asking.published(id),
            Asked::ByFile(file) => Ok(asking.by_file(&Sought::of(file))?.ok_or(NotGiven::Unknown)),
        })
    }

    /// Whether there is anything of ours that somebody could be given. Blocks.
    pub(super) fn has_something_now(&self, asker: &Jid) -> Looked<bool> {
        self.asking(asker, |asking| {
            let has_offers = self.store.has_offered(&self.account, &asking.person)? && asking.has_offers()?;
            Ok(asking.giving.has_something_for(&asking.person, asking.standing, has_offers))
        })
    }

    fn asking<T>(&self, asker: &Jid, look: impl FnOnce(Asking<'_>) -> Looked<T>) -> Looked<T> {
        let contacts = std::sync::Arc::clone(&self.contacts.borrow());
        look(Asking {
            giver: self,
            store: &self.store,
            account: &self.account,
            asker,
            person: asker.bare(),
            standing: standing(&self.account, &contacts, &asker.bare()),
            giving: rules::remembered(&self.store, &self.account)?,
        })
    }
}

fn standing<'a>(account: &BareJid, contacts: &'a Contacts, person: &BareJid) -> Standing<'a> {
    match contacts.groups(person) {
        _ if person == account => Standing::Own,
        Some(groups) => Standing::Contact(groups),
        None => Standing::Stranger,
    }
}

impl Asking<'_> {
    /// A published session gives no right by itself (XEP-0358 §2.2): they were told of it, and the rules allow it still.
    fn published(&self, id: &str) -> Looked<Result<Gift, NotGiven>> {
        let Some(share) = self.store.live_share(self.account, id)? else { return Ok(Err(NotGiven::Unknown)) };
        let Some(candidate) = self.live(share) else { return Ok(Err(NotGiven::Unknown)) };
        // To strangers nobody says that there is something they must not have.
        let refusal = if self.standing == Standing::Stranger { NotGiven::Unknown } else { NotGiven::Forbidden };
        let Some(grant) = self.judge(&candidate).filter(|_| candidate.is_offered) else { return Ok(Err(refusal)) };
        Ok(self.gift(candidate, grant)?.ok_or(NotGiven::Unknown))
    }

    /// What fits, in the order in which it is most surely there; the first that may be given.
    fn by_file(&self, sought: &Sought) -> Looked<Option<Gift>> {
        if !sought.says_anything() {
            return Ok(None);
        }
        let live = self.store.live_shares(self.account, balcony_store::MAX_ROWS)?;
        let mut candidates: Vec<Candidate> = live.into_iter().filter_map(|share| self.live(share)).collect();
        candidates.extend(self.sent(sought)?);
        candidates.extend(self.stored(sought)?);
        for candidate in candidates {
            // Of what was not offered to them they have to know a digest, whatever a rule gives: a name is easily guessed.
            let may_ask = candidate.is_offered || sought.digests.has_proof();
            if may_ask
                && sought.fits(&candidate.file, &candidate.digests) == Fit::Yes
                && let Some(grant) = self.judge(&candidate)
                && let Some(gift) = self.gift(candidate, grant)?
            {
                return Ok(Some(gift));
            }
        }
        Ok(None)
    }

    fn judge(&self, candidate: &Candidate) -> Option<Grant> {
        let media_type = media_type(&candidate.file);
        self.giving.judge(&Request {
            person: &self.person,
            standing: self.standing,
            size: candidate.size,
            media_type: &media_type,
            is_offered: candidate.is_offered,
        })
    }

    fn live(&self, share: LiveShare) -> Option<Candidate> {
        let file = FileMetadata::read(&Element::parse(&share.description).ok()?).ok()?;
        Some(Candidate {
            file,
            size: share.size,
            digests: share.digests,
            // Our other devices see all that we tell others.
            is_offered: self.standing == Standing::Own || share.told.contains(&self.person),
            shared: share.reach,
            share: Some(share.published),
            place: Place::Live(share.file, share.stamp),
        })
    }

    /// Whether something was offered to them that is not over: what was shared live ends.
    fn has_offers(&self) -> Looked<bool> {
        let is_told = |share: &LiveShare| share.told.contains(&self.person);
        let live = self.store.live_shares(self.account, balcony_store::MAX_ROWS)?;
        Ok(live.iter().any(is_told) || !self.sent(&Sought::default())?.is_empty())
    }

    /// What was offered to them once, by a message of ours.
    fn sent(&self, sought: &Sought) -> Looked<Vec<Candidate>> {
        let is_own = self.standing == Standing::Own;
        let rows = if sought.digests.has_proof() {
            self.store.offers_claiming(&sought.digests, OFFERS)?
        } else if is_own {
            self.store.offers(Listing::Account(self.account), None, OFFERS)?
        } else {
            self.store.offers(Listing::Conversation(self.account, &self.person), None, OFFERS)?
        };
        let is_theirs = |row: &OfferRow| row.account == *self.account && (is_own || row.conversation == self.person);
        let is_it = |row: &OfferRow| sought.size.is_none() || sought.digests.has_proof() || row.size == sought.size;
        let rows = rows.into_iter().filter(|row| row.state == OfferState::Own && is_theirs(row) && is_it(row));
        Ok(rows.filter_map(|row| sent_candidate(&row)).collect())
    }

    /// What the store keeps, whoever gave it: for rules that give more than was offered.
    fn stored(&self, sought: &Sought) -> Looked<Option<Candidate>> {
        if !sought.digests.has_proof() {
            return Ok(None);
        }
        let Some(blob) = self.store.find(&sought.digests)? else { return Ok(None) };
        let named = self.store.offers_of_blob(blob.sha256(), 1)?.pop();
        let offer = named.and_then(|row| CataloguedOffer::from_row(&row, &[]));
        let (name, media_type) = offer.map(|offer| (offer.name().to_string(), offer.media_type().to_string())).unzip();
        let file = FileMetadata { name, media_type, size: Some(blob.size()), ..FileMetadata::default() };
        let (size, digests) = (blob.size(), blob.digests().clone());
        Ok(Some(Candidate { file, size, digests, is_offered: false, shared: None, share: None, place: Place::Stored }))
    }

    /// The bytes, if they are there and still those.
    fn gift(&self, candidate: Candidate, grant: Grant) -> Looked<Option<Gift>> {
        let found = match &candidate.place {
            Place::Live(file, stamp) => self.live_bytes(file, *stamp)?,
            Place::Stored => self.store.find(&candidate.digests)?.map(|blob| (FileFrom::Store(blob), None)),
            Place::Sent { message, position } => match self.store.find(&candidate.digests)? {
                Some(blob) => Some((FileFrom::Store(blob), None)),
                None => self.sent_bytes(message.as_deref(), *position, &candidate)?,
            },
        };
        let Some((from, stamp)) = found else {
            self.complain(&candidate);
            return Ok(None);
        };
        // Who shared it directly showed the address to those who were told, and to nobody else.
        let shared = candidate.shared.filter(|reach| candidate.is_offered || *reach == Reach::Relay);
        let hashes = candidate.digests.iter().filter(|digest| SHARED_ALGOS.contains(&digest.algo())).cloned().map(Hash::from).collect();
        Ok(Some(Gift {
            from,
            stamp,
            file: FileMetadata { size: Some(candidate.size), hashes, ..candidate.file },
            size: candidate.size,
            digests: candidate.digests,
            reach: grant.reach(shared),
            rate: grant.rate,
            share: candidate.share,
        }))
    }

    /// The person shares something that cannot be given any more: they are told, and whoever asked is not.
    fn complain(&self, candidate: &Candidate) {
        if candidate.share.is_some() {
            let why = "the file was written to or taken away since it was shared; share it anew".to_owned();
            let (name, share) = (candidate.file.name.clone(), candidate.share.clone());
            let step = GivingStep::Failed { why };
            self.giver.tell(GivingEvent { to: self.asker.clone(), name, size: candidate.size, step, share });
        }
    }

    fn live_bytes(&self, file: &FileRef, stamp: Option<FileStamp>) -> Looked<Option<(FileFrom, Option<FileStamp>)>> {
        match file {
            FileRef::Blob(sha256) => Ok(self.store.blob(sha256)?.map(|blob| (FileFrom::Store(blob), None))),
            // Somebody wrote to it since: it is another file, and nobody was offered that one.
            FileRef::Path(path) => {
                let is_same = stamp.is_some() && fs::metadata(path).ok().map(|metadata| FileStamp::of(&metadata)) == stamp;
                Ok(is_same.then(|| (FileFrom::Path(path.clone()), stamp)))
            }
        }
    }

    /// The person's own file, where it was when it was sent. One that may have changed is read once to see.
    fn sent_bytes(&self, message: Option<&str>, position: usize, wanted: &Candidate) -> Looked<Option<(FileFrom, Option<FileStamp>)>> {
        let Some(message) = message else { return Ok(None) };
        let Some(sent) = self.store.outgoing(self.account, message)? else { return Ok(None) };
        let Some(FileRef::Path(path)) = sent.files.get(position) else { return Ok(None) };
        let from = FileFrom::Path(path.clone());
        let Some(metadata) = fs::metadata(path).ok().filter(fs::Metadata::is_file) else { return Ok(None) };
        let stamp = FileStamp::of(&metadata);
        let is_it = |digests: &DigestSet| digests.agreement(&wanted.digests) == balcony_sharing::Agreement::Same;
        let is_same = stamp.size() == wanted.size
            && match self.store.remembered_digests(&metadata)? {
                Some(known) => is_it(&known),
                None => self.hash(&from, stamp)?.is_some_and(|digests| is_it(&digests)),
            };
        Ok(is_same.then_some((from, Some(stamp))))
    }

    /// `None` if it cannot be read, or somebody writes to it.
    fn hash(&self, from: &FileFrom, stamp: FileStamp) -> Looked<Option<DigestSet>> {
        let Ok(mut input) = from.open(Some(stamp), self.store) else { return Ok(None) };
        let mut hasher = Hasher::new(SHARED_ALGOS);
        let mut buffer = vec![0; 256 * 1024];
        loop {
            match std::io::Read::read(&mut input, &mut buffer) {
                Ok(0) => break,
                Ok(read) => hasher.update(&buffer[..read]),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => return Ok(None), // it cannot be given either
            }
        }
        let hashed = hasher.finish();
        if !matches!(input.is_unchanged(), Ok(true)) {
            return Ok(None);
        }
        self.store.remember_digests(&stamp, &hashed, std::time::SystemTime::now())?;
        Ok(Some(hashed.digests().clone()))
    }
}

/// What a message of ours says about a file.
fn sent_candidate(row: &OfferRow) -> Option<Candidate> {
    let offer = CataloguedOffer::from_row(row, &[])?;
    // What was shared live is given as long as it is shared, and not because a message spoke of it.
    let is_live = |source: &Source| matches!(source, Source::Published { from, .. } if from.bare() == row.account);
    if offer.sources().any(is_live) {
        return None;
    }
    let file = FileMetadata { thumbnails: Vec::new(), dropped: Vec::new(), ..offer.file().clone() };
    Some(Candidate {
        size: offer.size()?,
        digests: offer.digests().clone(),
        file,
        is_offered: true,
        shared: None,
        share: None,
        place: Place::Sent { message: row.message.clone(), position: row.position },
    })
}

fn media_type(file: &FileMetadata) -> MediaType {
    file.media_type.as_deref().map(MediaType::from_peer).unwrap_or_default()
}
