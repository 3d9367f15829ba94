//! RFC 6121: roster, presence, messages.

pub(crate) mod contacts;
pub(crate) mod message;
pub(crate) mod offline;
pub(crate) mod presence;
pub(crate) mod roster;
pub(crate) mod spool;
pub(crate) mod subscription;
