//! Sharing a file: look at it, upload it while its digests are taken, say so in one message.

mod dimensions;
mod draft;
