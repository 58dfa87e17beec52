//! Lab devices: what is said to them and what they say, as bytes and values.
//!
//! * [`omaha`]: the protocol by which a device asks for an update and tells what becomes of it

pub mod omaha;
