//! What follows an offer that was announced before its file was uploaded. Pure.
//!
//! An announcement promises a source. It is kept by attaching one; where that cannot be done, or would come too late to be joined,
//! one whole message takes its place. Nobody is left with a promise alone (dino#1713, dino#1714).
//!
//! XEP-0447 Stateless file sharing, v0.3.1 <https://xmpp.org/extensions/xep-0447.html> (§3.3)
//! XEP-0367 Message attaching, v0.3 <https://xmpp.org/extensions/xep-0367.html> (§4.1)

use std::time::{Duration, SystemTime};

use crate::DigestSet;

/// How long a room may take to reflect the announcement with an id of its own.
pub const REFLECTION: Duration = Duration::from_secs(30);
/// After that an announcement is far up in everybody's archive, and clients that keep loose sources drop them sooner than they find it.
pub const TOO_LATE: Duration = Duration::from_secs(24 * 60 * 60);

/// An announcement, as far as is known by now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// When it was made; `None` when the clock was set since, or nobody knows.
    pub at: Option<SystemTime>,
    /// Where it stands.
    pub stands: Stands,
    /// The digests it announced.
    pub digests: DigestSet,
}

/// Where an announcement stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stands {
    /// It did not go out: it failed, was given up, or waits for a connection.
    Unsaid,
    /// A person was told, under this id.
    WithPerson(String),
    /// It went into a room; the id is the room's own, once it was reflected (recognised by its origin-id).
    InRoom(Option<String>),
}

/// What to send once the file is uploaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FollowUp {
    /// A message that attaches the source to the announcement of this id.
    Attach(String),
    /// One whole message that offers the file.
    Whole(Why),
    /// Nothing yet: the room has until then to reflect the announcement.
    Wait(SystemTime),
}

/// Why a whole message takes the place of an attachment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// There is no announcement to attach to.
    Unsaid,
    /// The file is another one by now.
    Changed,
    /// The announcement is too long ago.
    Late,
    /// The room gave it no id.
    NoId,
}

impl Announcement {
    /// What to send when the uploaded file has these digests.
    #[must_use]
    pub fn follow_up(&self, uploaded: &DigestSet, now: SystemTime) -> FollowUp {
        let age = self.at.and_then(|at| now.duration_since(at).ok());
        if !self.is_of(uploaded) {
            return FollowUp::Whole(Why::Changed);
        }
        match (&self.stands, age) {
            (Stands::Unsaid, _) => FollowUp::Whole(Why::Unsaid),
            (_, None) => FollowUp::Whole(Why::Late),
            (_, Some(age)) if age > TOO_LATE => FollowUp::Whole(Why::Late),
            (Stands::WithPerson(id) | Stands::InRoom(Some(id)), _) => FollowUp::Attach(id.clone()),
            (Stands::InRoom(None), Some(age)) if age < REFLECTION => FollowUp::Wait(now + (REFLECTION - age)),
            (Stands::InRoom(None), _) => FollowUp::Whole(Why::NoId),
        }
    }

    /// Every digest that was announced is one of the file's: what is unknown is not claimed again.
    fn is_of(&self, uploaded: &DigestSet) -> bool {
        !self.digests.is_empty() && self.digests.iter().all(|digest| uploaded.get(digest.algo()) == Some(digest))
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use balcony_wire::hashes::{Digest, HashAlgo};

    use super::*;

    fn digests(byte: u8) -> DigestSet {
        [HashAlgo::Sha256, HashAlgo::Blake2b256].map(|algo| Digest::new(algo, vec![byte; 32]).unwrap()).into_iter().collect()
    }

    fn announced(stands: Stands) -> Announcement {
        Announcement { at: Some(UNIX_EPOCH), stands, digests: digests(1) }
    }

    fn after(seconds: u64, stands: Stands, uploaded: u8) -> FollowUp {
        announced(stands).follow_up(&digests(uploaded), UNIX_EPOCH + Duration::from_secs(seconds))
    }

    const HOUR: u64 = 60 * 60;

    /// Proves: SFS-3.3-7.
    #[test]
    fn who_announced_first_attaches_when_the_upload_is_done() {
        assert_eq!(after(HOUR, Stands::WithPerson("m1".into()), 1), FollowUp::Attach("m1".into()));
        assert_eq!(after(HOUR, Stands::InRoom(Some("r1".into())), 1), FollowUp::Attach("r1".into()));
    }

    /// A client that waits for the room for ever never sends the file (dino#1713).
    ///
    /// Proves: ATT-4.1-2.
    #[test]
    fn a_room_that_gives_no_id_is_waited_for_a_little_and_then_told_all_at_once() {
        assert_eq!(after(10, Stands::InRoom(None), 1), FollowUp::Wait(UNIX_EPOCH + REFLECTION));
        assert_eq!(after(30, Stands::InRoom(None), 1), FollowUp::Whole(Why::NoId));
    }

    #[test]
    fn what_was_never_said_or_is_long_ago_is_said_whole() {
        assert_eq!(after(1, Stands::Unsaid, 1), FollowUp::Whole(Why::Unsaid));
        assert_eq!(after(25 * HOUR, Stands::WithPerson("m1".into()), 1), FollowUp::Whole(Why::Late));
        let timeless = Announcement { at: None, ..announced(Stands::WithPerson("m1".into())) };
        assert_eq!(timeless.follow_up(&digests(1), UNIX_EPOCH), FollowUp::Whole(Why::Late));
    }

    #[test]
    fn a_file_that_changed_since_is_another_offer() {
        assert_eq!(after(1, Stands::WithPerson("m1".into()), 2), FollowUp::Whole(Why::Changed));
        let partly = announced(Stands::WithPerson("m1".into()));
        let fewer: DigestSet = digests(1).iter().take(1).cloned().collect();
        assert_eq!(partly.follow_up(&fewer, UNIX_EPOCH), FollowUp::Whole(Why::Changed), "not all of what was announced was checked");
    }
}
