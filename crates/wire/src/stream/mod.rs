//! Elements of stream negotiation.

pub mod error;
