//! What the devices of contacts can do, by verified caps. (Filled when wire has the typed elements.)
