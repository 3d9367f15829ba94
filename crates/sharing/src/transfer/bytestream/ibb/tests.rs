//! The vectors, and both sides of one stream on a virtual clock.
