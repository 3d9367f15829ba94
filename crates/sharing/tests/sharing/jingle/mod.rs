//! Sessions of Jingle file transfer: both roles against each other and against strangers, on a virtual clock.

mod examples;
mod hostile;
mod lone;
mod pairings;
mod proposals;
mod rows_files;
mod rows_frame;
mod scenes;
mod storm;
mod tables;
mod world;
