//! Lab devices: what updates them is made and served here, and what becomes of it; the rules are in [`windlass_core::device`].
//!
//! * [`payload`]: update payloads made, looked at, verified, applied
//! * [`stateful`]: the archive of what stays over updates, which goes beside a payload
//! * [`gpt`]: the partitions of a disk image
//! * [`stock`]: the payloads that jobs made, found again
//! * [`server`]: the update server: Omaha, files with ranges, events on record, one budget of bandwidth
//! * [`ssh`], [`tunnel`]: the way to a device, and the way back
//! * [`driver`]: what updates a device, behind one trait
//! * [`flash`](mod@flash): one device flashed, from its lock to its record
//! * [`lab`]: what a record says of the job that flashed and of the device

pub mod driver;
pub mod flash;
pub mod gpt;
mod greeting;
pub mod lab;
mod ordered;
pub mod payload;
mod place;
pub mod server;
pub mod ssh;
pub mod stateful;
pub mod stock;
pub mod tunnel;

pub use place::Place;
