//! Why a file was not shared.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use balcony_session::client::SendError;
use balcony_sharing::transfer::upload::UploadError;
use balcony_store::StoreError;

use balcony_wire::Jid;

use crate::account::OfflineError;
use crate::error::{Class, advice_for};

/// Why a file was not shared. Nobody was told about it, unless the variant says otherwise.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShareError {
    /// A folder, a pipe, a device.
    #[error("{} is no file", .path.display())]
    NoFile {
        /// which
        path: PathBuf,
    },
    /// It is not there, or cannot be read.
    #[error("{} cannot be read: {source}", .path.display())]
    Unreadable {
        /// which
        path: PathBuf,
        /// what the system says
        source: io::Error,
    },
    /// No service took it.
    #[error("{name} was not uploaded: {source}")]
    Upload {
        /// name of the file
        name: String,
        /// why
        source: UploadError,
    },
    /// The account is offline and will not come back by itself.
    #[error(transparent)]
    Offline(#[from] OfflineError),
    /// The files are uploaded, but the message is not out: it is in the outbox and goes with the next connection.
    #[error("the message about it is not out yet: {why}; it waits in the outbox")]
    Waiting {
        /// why
        why: OfflineError,
    },
    /// The message came back: they do not know of the files.
    #[error("{to} was not told: {why}")]
    Returned {
        /// whom it was for
        to: Jid,
        /// why
        why: String,
    },
    /// Another process has the message: it sends it, or tries it anew.
    #[error("the message about it is being sent by another process")]
    Elsewhere,
    /// The message was given up meanwhile: they do not know of the files.
    #[error("the message about it was given up meanwhile")]
    GivenUp,
    /// The server does not take the message.
    #[error("the message about it cannot be sent: {0}")]
    Unsendable(#[from] SendError),
    /// The store or its disk.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The offer is out, and its file is not up: it is in the outbox, and goes up with the next connection.
    #[error("it was announced, but is not up yet: {0}; it waits in the outbox")]
    Promised(#[source] Box<ShareError>),
    /// The others went without this one, which is in the outbox as failed.
    #[error("not all of it was sent: {0}")]
    NotAll(#[source] Arc<ShareError>),
    /// It changed since it was offered.
    #[error("the file is not the one that was offered")]
    OtherFile,
    /// A file that was to be sent from the store.
    #[error("the file is not in the store any more")]
    Gone,
    /// Nothing to share, or nobody to share it with.
    #[error("{0}")]
    Nothing(&'static str),
    /// A record of the outbox that cannot be understood.
    #[error("a message in the outbox cannot be understood: {0}")]
    Record(&'static str),
    /// A part of this program ended without a word.
    #[error("the sharing broke off inside this program")]
    Broken,
}

impl ShareError {
    /// Who can mend it.
    pub fn class(&self) -> Class {
        match self {
            Self::NoFile { .. } | Self::Nothing(_) | Self::GivenUp => Class::Usage,
            Self::Promised(error) => error.class(),
            Self::NotAll(error) => error.class(),
            Self::Unreadable { .. } | Self::Gone | Self::OtherFile | Self::Store(_) | Self::Record(_) | Self::Elsewhere | Self::Broken => {
                Class::Local
            }
            Self::Upload { source, .. } => upload_class(source),
            Self::Returned { .. } => Class::Server,
            Self::Offline(offline) | Self::Waiting { why: offline } => offline.class(),
            Self::Unsendable(SendError::TooLarge { .. }) => Class::Usage,
            Self::Unsendable(_) => Class::Network,
        }
    }

    /// What to try next.
    pub fn advice(&self) -> Option<&'static str> {
        match self {
            Self::Upload { source, .. } => Some(source.advice()),
            Self::Promised(_) => Some("`balcony outbox resume` goes on with it"),
            Self::NotAll(error) => error.advice(),
            Self::OtherFile => Some("send it as a file of its own"),
            Self::Offline(offline) | Self::Waiting { why: offline } => advice_for(offline.0.cause),
            Self::Unsendable(SendError::TooLarge { .. }) => Some("say less, or share fewer files at once"),
            Self::Returned { .. } => Some("check the address, or ask them in another way"),
            Self::NoFile { .. } => Some("pack a folder first, or name its files"),
            _ => None,
        }
    }
}

fn upload_class(error: &UploadError) -> Class {
    match error {
        UploadError::NoService
        | UploadError::TooLarge { .. }
        | UploadError::TooLargeForUnknownLimit(_)
        | UploadError::Quota { .. }
        | UploadError::Refused { .. }
        | UploadError::BadSlot { .. }
        | UploadError::Status { .. } => Class::Server,
        UploadError::Silent { .. } | UploadError::Broken { .. } | UploadError::Stalled { .. } => Class::Network,
        UploadError::Certificate { .. } => Class::Certificate,
        UploadError::FileChanged(_) | UploadError::Unreadable(_) => Class::Local,
        UploadError::Empty => Class::Usage,
    }
}
