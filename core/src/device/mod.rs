//! Lab devices: what is said to them and what they say, as bytes and values; and what they are updated with.
//!
//! * [`omaha`]: the protocol by which a device asks for an update and tells what becomes of it
//! * [`payload`]: the update payload that a device downloads and writes into its other slot

pub mod omaha;
pub mod payload;
