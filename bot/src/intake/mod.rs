//! How requests come in: over the Unix socket, and as files in the spool. Each is on record before it is answered.

pub mod socket;
pub mod spool;
