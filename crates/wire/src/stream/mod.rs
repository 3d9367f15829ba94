//! Elements of stream negotiation: what is said between `<stream:stream>` and the first stanza, and around stanzas.

pub mod bind;
pub mod bind2;
pub mod csi;
pub mod error;
pub mod features;
pub mod sasl;
pub mod sasl2;
pub mod sm;
pub mod starttls;
