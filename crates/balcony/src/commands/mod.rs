//! The commands, a file each. They turn what the library says into words and JSON, and hold no protocol.

pub(crate) mod accounts;
pub(crate) mod attach;
pub(crate) mod contacts;
pub(crate) mod doctor;
pub(crate) mod draft;
pub(crate) mod explain;
pub(crate) mod files;
pub(crate) mod give;
pub(crate) mod login;
pub(crate) mod manual;
pub(crate) mod offers;
pub(crate) mod outbox;
mod outgoing;
pub(crate) mod pending;
pub(crate) mod policy;
pub(crate) mod receive;
mod rules;
pub(crate) mod send;
mod send_direct;
pub(crate) mod serve;
pub(crate) mod share_live;
pub(crate) mod thumbnail;
pub(crate) mod try_it;
pub(crate) mod why;
