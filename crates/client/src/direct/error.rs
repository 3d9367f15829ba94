//! Why bytes did not come, or did not get there, between two devices.

use balcony_sharing::transfer::SessionFailure;
use balcony_sharing::transfer::jingle::EndReason;
use balcony_wire::Jid;

use crate::error::Class;

/// How far a session had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stage {
    /// The other side was told what there is, or asked for it.
    Asking,
    /// They had agreed, and looked for a way for the bytes.
    FindingAWay,
    /// Bytes were on their way.
    Moving,
    /// All bytes were sent; the other side was to say that they arrived.
    Confirming,
}

/// Why a file did not go from device to device.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DirectError {
    /// Nobody is logged in.
    #[error("the account is not connected")]
    Offline,
    /// The session is over, or was never there.
    #[error("{peer} does not offer it any more")]
    Over {
        /// who
        peer: Jid,
    },
    /// None of their devices answered: they are offline, take no files, or do not let us see that they are there.
    #[error("no device of {jid} answered that takes files directly: they may be offline, or may not let you see when they are there")]
    NoDevice {
        /// whose
        jid: Jid,
    },
    /// They do not have it, or do not give it: nobody can tell which.
    #[error("{peer} does not have the file, or does not give it")]
    NotAvailable {
        /// who
        peer: Jid,
    },
    /// Nothing came for too long.
    #[error("{peer} said nothing any more {}", .stage.words())]
    Silent {
        /// who
        peer: Jid,
        /// how far it had come
        stage: Stage,
    },
    /// The session ended, with or without a word.
    #[error("{peer}: {}", ended(reason, *.stage))]
    Ended {
        /// with whom it was
        peer: Jid,
        /// how far it had come
        stage: Stage,
        /// how it ended
        reason: EndReason,
    },
    /// They broke the rules.
    #[error("{peer} broke the rules: {what}")]
    Rules {
        /// who
        peer: Jid,
        /// which
        what: String,
    },
    /// Too much is under way at once.
    #[error("too many transfers are under way")]
    TooMany,
    /// Our file cannot be read, or is another one by now.
    #[error("the file cannot be sent: {0}")]
    File(String),
    /// A part of this program ended without a word.
    #[error("the transfer broke off inside this program")]
    Inside,
}

impl Stage {
    /// Fits behind what happened.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Asking => "before it was agreed on",
            Self::FindingAWay => "while a way for the bytes was looked for",
            Self::Moving => "while the bytes were on their way",
            Self::Confirming => "when all bytes were there",
        }
    }
}

impl DirectError {
    /// Who can mend it.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Ended { reason, .. } => class_of(reason),
            Self::Over { .. } | Self::NotAvailable { .. } | Self::Rules { .. } => Class::Source,
            Self::Offline | Self::NoDevice { .. } => Class::Network,
            Self::Silent { .. } => Class::Timeout,
            Self::TooMany | Self::File(_) | Self::Inside => Class::Local,
        }
    }

    /// What to try next.
    #[must_use]
    pub fn advice(&self) -> Option<&'static str> {
        use EndReason as R;
        Some(match self {
            Self::NoDevice { .. } => {
                "if they are online, add each other with `balcony contacts add` and send it again; or send it without --direct: a link \
                 waits for them"
            }
            Self::Over { .. } | Self::NotAvailable { .. } => "ask them to send it again",
            Self::Rules { .. } => "try again, or send it without --direct",
            Self::Silent { .. } => "send it again when they are online",
            Self::Offline => "check the network",
            Self::TooMany => "wait until one of them has ended",
            Self::File(_) => "check the file, then send it again",
            Self::Inside => "try again",
            Self::Ended { reason, stage, .. } => match reason {
                R::PeerDeclined(_) => "ask them whether they want it before you send it again",
                R::Declined | R::Stopped | R::Done => return None,
                R::NotServed | R::PeerGone => "try again when they are online, or send it without --direct: a link waits for them",
                R::NoWay(_) => "try again without --relay-only, or send it without --direct",
                R::PeerStopped(_) => "ask them, then send it again",
                R::NoAnswer(_) if *stage == Stage::Asking => "they may have gone offline a moment ago: try again when they are there",
                R::Undecided => "tell them that a file waits for their answer, then send it again",
                R::Unconfirmed => "ask them whether they have it",
                reason if reason.is_passing() => "send it again, or send it without --direct: a link waits for them",
                _ => "try again, or send it without --direct",
            },
        })
    }

    /// Whether a new session with the same device may go on where this one stopped.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(self, Self::Ended { reason, .. } if reason.is_passing() || *reason == EndReason::PeerGone)
    }

    /// Whether they have too much to do just now, and were not told more than that we wanted something.
    pub(crate) fn is_busy(&self) -> bool {
        matches!(self, Self::Ended { reason: EndReason::PeerBusy(_), stage: Stage::Asking, .. })
    }

    /// As the fetch wants to hear it.
    pub(crate) fn to_failure(&self) -> SessionFailure {
        // Whoever hears it knows whom it asked.
        let words = || match self {
            Self::Ended { stage, reason, .. } => ended(reason, *stage),
            error => error.to_string(),
        };
        match self {
            Self::Offline => SessionFailure::Offline,
            Self::Over { .. } => SessionFailure::Over,
            Self::NotAvailable { .. } => SessionFailure::NotGiven(words()),
            Self::NoDevice { .. } | Self::TooMany => SessionFailure::NoAnswer(words()),
            Self::Ended { reason: EndReason::PeerHasNot | EndReason::PeerDeclined(_), .. } => SessionFailure::NotGiven(words()),
            Self::Ended { reason: EndReason::NoWay(_), .. } => SessionFailure::NoWay(words()),
            Self::Ended { stage: Stage::Asking, reason: EndReason::NoAnswer(_), .. } | Self::Silent { stage: Stage::Asking, .. } => {
                SessionFailure::Silent(words())
            }
            Self::Ended { stage: Stage::Asking, .. } => SessionFailure::NoAnswer(words()),
            Self::Ended { .. } | Self::Silent { .. } | Self::Rules { .. } | Self::File(_) | Self::Inside => SessionFailure::Broken(words()),
        }
    }
}

/// How far it had come is left out where the reason says so.
fn ended(reason: &EndReason, stage: Stage) -> String {
    use EndReason as R;
    match reason {
        R::PeerDeclined(_) | R::Declined | R::NotServed | R::PeerHasNot | R::Undecided | R::Unconfirmed => reason.to_string(),
        _ => format!("{reason}, {}", stage.words()),
    }
}

fn class_of(reason: &EndReason) -> Class {
    use EndReason as R;
    match reason {
        R::PeerDeclined(_) | R::PeerStopped(_) | R::Declined | R::Stopped | R::NotGiven => Class::Policy,
        R::NotServed | R::NoWay(_) | R::Broke { .. } | R::PeerGone | R::Disconnected | R::Forgotten => Class::Network,
        R::NoAnswer(_) | R::Stalled { .. } | R::Undecided | R::Unconfirmed => Class::Timeout,
        R::Unusable => Class::Local,
        R::WrongBytes => Class::Proof,
        _ => Class::Source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(stage: Stage, reason: EndReason) -> DirectError {
        DirectError::Ended { peer: Jid::parse("juliet@capulet.example/phone").unwrap(), stage, reason }
    }

    #[test]
    fn how_far_it_had_come_is_said_where_it_is_news() {
        let declined = ended(Stage::Asking, EndReason::NotServed);
        assert_eq!(declined.to_string(), "juliet@capulet.example/phone: the other side is not there, or knows no file transfer");
        let stopped = ended(Stage::Moving, EndReason::Stalled { at: 2_000_000 });
        let words = "juliet@capulet.example/phone: nothing came for too long, after 2 MB, while the bytes were on their way";
        assert_eq!(stopped.to_string(), words);
    }

    #[test]
    fn who_says_no_at_whatever_time_is_a_person_and_no_broken_source() {
        for (stage, words) in [(Stage::Asking, None), (Stage::Moving, Some("not now"))] {
            let no = EndReason::PeerStopped(balcony_sharing::transfer::jingle::Words::new(words));
            assert_eq!(ended(stage, no).class(), Class::Policy);
        }
        assert_eq!(ended(Stage::Moving, EndReason::WrongBytes).class(), Class::Proof);
    }
}
