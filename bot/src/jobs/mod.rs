//! Jobs: what is done after something landed.
//!
//! ```text
//!   a commit ──causes──▶ events in its own batch ──▶ world ──core::job::plan──▶ runner ──▶ image: build, look, push, say what it is
//!                                                                                    └──▶ payload: file systems, payload, archive, stock
//! ```
//! [`Causes`] says what a generation makes stale; it goes on record with the generation itself. [`JobRunner`] does what is on record.
//! Where a job stands only the journal knows: a bot that is killed leaves leases, which the next one takes back at its start.

mod causes;
mod flash;
mod image;
#[cfg(test)]
mod layers;
mod logs;
mod packages;
mod payload;
mod pinned;
mod place;
mod runner;
mod statements;
mod trouble;

pub use causes::{Causes, Consequences};
pub use flash::address as device_address;
pub use logs::JobLogs;
pub use payload::PAYLOAD_POINTS;
pub use runner::{JobRunner, POINTS};
pub use trouble::Trouble;
