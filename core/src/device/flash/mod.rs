//! Flashing one device: what is judged, decided and recorded of it. Nothing here talks to a device.
//!
//! * [`machine`]: the steps of a flash as a state machine: what happened goes in, what is to be done next comes out
//! * [`judge()`]: whether a device that answers again runs what was written
//! * [`look`]: what a device says of itself, read without believing it
//! * [`limit`]: how long a device may take to restart, learned from its history
//! * [`record`]: what stays of a flash
//! * [`driver`]: what updates a device, and how it is told to
//! * [`shell`]: words for a device's shell

pub mod driver;
pub mod judge;
#[cfg(test)]
mod laws;
pub mod limit;
pub mod look;
pub mod machine;
pub mod outcome;
pub mod record;
pub mod shell;

pub use driver::DriverChoice;
pub use judge::{Expected, Seen, SlotRule, Verdict, judge};
pub use limit::reboot_limit;
pub use look::{Look, Updater};
pub use machine::{Effect, Event, Plan, State, step};
pub use outcome::{Fault, FlashStep, Outcome};
pub use record::{FlashId, FlashRecord, StepTime, Told};
