//! Lab devices: what is said to them and what they say, as bytes and values; and what they are updated with.
//!
//! * [`flash`]: the steps of flashing a device, how its result is judged, what stays of it
//! * [`lab`]: what is on record of each device, and what may be flashed onto it now
//! * `omaha` (feature `device`): the protocol by which a device asks for an update and tells what becomes of it
//! * `payload` (feature `device`): the update payload that a device downloads and writes into its other slot
//! * `version` (feature `device`): how versions are named, and which is newer

pub mod flash;
pub mod lab;
#[cfg(feature = "device")]
pub mod omaha;
#[cfg(feature = "device")]
pub mod payload;
#[cfg(feature = "device")]
pub mod version;
