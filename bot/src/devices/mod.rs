//! Lab devices: what they are given and what becomes of it.
//!
//! * [`server`]: the update server: Omaha, files with ranges, events on record, one budget of bandwidth

pub mod server;
