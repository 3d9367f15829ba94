//! Elements of stream negotiation. (Skeleton.)
