//! balcony.
fn main() {}
