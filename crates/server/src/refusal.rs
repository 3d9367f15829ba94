//! Why something is refused: one table for everything the server says no to.

use balcony_wire::stanza::{DefinedCondition, ErrorKind};
use balcony_wire::{Element, StanzaError};

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident: $kind:ident, $condition:ident, $status:literal, $words:literal;)*) => {
        /// Why something is refused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Reason {
            $($(#[$doc])* $name,)*
        }

        impl Reason {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The row of the table.
            pub fn row(self) -> Row {
                match self {
                    $(Self::$name => Row {
                        kind: ErrorKind::$kind, condition: DefinedCondition::$condition, status: $status, words: $words,
                    },)*
                }
            }
        }
    };
}

/// One row: how a reason is told by stanza and by HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// What the sender may do about it.
    pub kind: ErrorKind,
    /// The defined condition.
    pub condition: DefinedCondition,
    /// HTTP status.
    pub status: u16,
    /// In words, lower case, no full stop.
    pub words: &'static str,
}

reasons! {
    // reason: stanza error type, condition, HTTP status, words
    /// The address is not served here, or nobody is there.
    NobodyThere: Cancel, ServiceUnavailable, 404, "nobody here answers that";
    /// A stanza of a kind that is not understood there.
    NotUnderstood: Cancel, ServiceUnavailable, 501, "this is not understood here";
    /// A request without the parts it needs.
    Malformed: Modify, BadRequest, 400, "the request breaks the rules";
    /// An address that RFC 7622 refuses.
    BadAddress: Modify, JidMalformed, 400, "the address is malformed";
    /// Somebody else's.
    NotYours: Auth, Forbidden, 403, "this is only for the owner of the account";
    /// The addressee takes nothing.
    Stuck: Wait, ResourceConstraint, 503, "the addressee takes nothing at the moment";
    /// Too many messages wait for an account.
    OfflineFull: Wait, ServiceUnavailable, 503, "too many messages wait for the addressee already";
    /// The sender forbids storing what cannot be delivered now.
    NotStored: Wait, RecipientUnavailable, 404, "the addressee is not there and the message must not be stored";
    /// Another domain; this server does not talk to others.
    OtherServer: Cancel, RemoteServerNotFound, 404, "this server does not talk to other servers";
    /// The database or the disk failed.
    Broken: Wait, InternalServerError, 500, "the server made a mistake";
    /// A disco node that is not there.
    NoSuchNode: Cancel, ItemNotFound, 404, "there is no such node";
    /// The roster is full.
    RosterFull: Modify, PolicyViolation, 400, "the roster is full";
    /// A name or group that is empty, too long or full of controls.
    OddRosterItem: Modify, NotAcceptable, 400, "a name or group of the contact is not acceptable";
    /// No such contact.
    NoSuchContact: Cancel, ItemNotFound, 404, "there is no such contact";
    /// The account has enough sessions.
    TooManySessions: Wait, ResourceConstraint, 503, "the account has too many sessions";
    /// Too much presence sent to others.
    TooManyDirected: Wait, ResourceConstraint, 503, "presence was sent to too many addresses";

    /// Not one of those whose streams are carried.
    NoRelay: Auth, Forbidden, 403, "streams of this account are not carried here";
    /// The proxy carries as many streams as it may.
    RelayFull: Wait, NotAllowed, 503, "as many streams as can be are carried already";
    /// No connection to what the request names.
    NoSuchStream: Cancel, ItemNotFound, 404, "nobody is connected for this stream";
    /// One connection where two are needed.
    OneSideMissing: Cancel, NotAllowed, 409, "only one side of the stream is connected";
    /// The connections are for a stream that somebody else asked for.
    NotYourStream: Auth, NotAuthorized, 403, "the stream was asked for by somebody else";
    /// The account, or all of them, have enough streams.
    TooManyStreams: Wait, ResourceConstraint, 503, "too many streams are carried already";
    /// More streams in a minute than anybody needs.
    TooManyActivations: Wait, ResourceConstraint, 429, "too many streams were begun";

    /// The file is larger than the service takes.
    FileTooLarge: Modify, NotAcceptable, 413, "the file is too large";
    /// Files of no bytes.
    EmptyFile: Modify, BadRequest, 400, "a file of no bytes is not taken";
    /// The daily share is used up.
    DailyQuota: Wait, ResourceConstraint, 429, "the account has uploaded its share for today";
    /// The room of the account is used up.
    TotalQuota: Wait, ResourceConstraint, 507, "the room of the account is used up";
    /// More slots in a minute than anybody needs.
    TooManySlots: Wait, ResourceConstraint, 429, "too many slots were asked for";
    /// Not an account of this server.
    NoGuests: Auth, Forbidden, 403, "only accounts of this server may upload";
    /// A purpose that is not announced.
    OtherPurpose: Cancel, FeatureNotImplemented, 501, "files of this purpose are not taken";
    /// It would have to be gone before it is there.
    GoneAlready: Modify, BadRequest, 400, "the file would expire before it could be uploaded";
    /// A slot that we did not give, or that was changed.
    BadSlot: Auth, NotAuthorized, 403, "this is no slot of this service";
    /// A slot after its end.
    SlotEnded: Auth, NotAuthorized, 403, "the slot has run out, ask for another one";
    /// A slot a second time.
    SlotUsed: Cancel, Conflict, 409, "the file is there already, a slot can be used once";
    /// PUT without a length.
    NoLength: Modify, BadRequest, 411, "the length of the file must be told";
    /// PUT of another length than that of the slot.
    OtherLength: Modify, BadRequest, 400, "the length is not that of the slot";
    /// PUT of another media type than that of the slot.
    OtherType: Modify, BadRequest, 415, "the content type is not that of the slot";
    /// The body ended early.
    ShortBody: Modify, BadRequest, 400, "the file ended before its length was reached";
    /// The body came too slowly.
    TooSlow: Wait, ResourceConstraint, 408, "the file came too slowly";
    /// No room on the disk.
    DiskFull: Wait, ResourceConstraint, 507, "there is no room on the disk";
    /// There never was such a file, as far as is known.
    NoSuchFile: Cancel, ItemNotFound, 404, "there is no such file";
    /// There was such a file.
    FileGone: Cancel, Gone, 410, "the file has expired";
    /// A method that is not served.
    OtherMethod: Cancel, NotAllowed, 405, "this method is not served here";
    /// A range that lies behind the end.
    OutOfRange: Modify, BadRequest, 416, "the range lies behind the end of the file";
    /// `If-Match` and the like do not hold.
    Precondition: Modify, BadRequest, 412, "the file is not the one that was meant";
}

/// A reason with what is to be said in this very case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    reason: Reason,
    words: Option<String>,
    application: Option<Element>,
}

impl Refusal {
    /// Why.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// This refusal with other words than those of the table.
    #[must_use]
    pub fn with_words(mut self, words: impl Into<String>) -> Self {
        self.words = Some(words.into());
        self
    }

    /// This refusal with an application condition.
    #[must_use]
    pub fn with_application(mut self, element: Element) -> Self {
        self.application = Some(element);
        self
    }

    /// In words.
    pub fn words(&self) -> &str {
        self.words.as_deref().unwrap_or(self.reason.row().words)
    }

    /// As a stanza error. That nobody is there is said without words: so do devices that are there, to those who must not know.
    #[must_use]
    pub fn to_stanza_error(&self) -> StanzaError {
        let row = self.reason.row();
        let error = StanzaError::new(row.condition).with_kind(row.kind);
        if self.reason == Reason::NobodyThere {
            return error;
        }
        let error = error.with_text(self.words());
        let mut error = match &self.application {
            Some(application) => error.with_application(application.clone()),
            None => error,
        };
        error.lang = Some("en".into());
        error
    }
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Self { reason, words: None, application: None }
    }
}

impl From<crate::database::DatabaseError> for Refusal {
    fn from(error: crate::database::DatabaseError) -> Self {
        tracing::error!(%error, "refused because the database failed");
        Reason::Broken.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_words_fit_to_read_aloud_and_an_http_error() {
        for reason in Reason::ALL {
            let row = reason.row();
            assert!((400..600).contains(&row.status), "{reason:?}");
            assert!(!row.words.ends_with('.') && !row.words.is_empty() && !row.words.starts_with(char::is_uppercase), "{reason:?}");
        }
    }

    /// Proves: HUP-6-2.
    #[test]
    fn passing_refusals_say_wait_and_lasting_ones_do_not() {
        for reason in [Reason::DailyQuota, Reason::TotalQuota, Reason::TooManySlots, Reason::DiskFull] {
            assert_eq!(Refusal::from(reason).to_stanza_error().kind, ErrorKind::Wait);
        }
        for reason in [Reason::FileTooLarge, Reason::NoGuests, Reason::EmptyFile] {
            assert_ne!(Refusal::from(reason).to_stanza_error().kind, ErrorKind::Wait);
        }
    }
}
