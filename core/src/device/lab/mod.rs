//! The lab: what is on record of each device, who may have it, and what is flashed next.
//!
//! ```text
//!   unknown ─▶ good ◀─▶ looping            by what flashes come to
//!      └─────────┴──▶ bad | maintenance | retired    by people, and bad after so many bad flashes in a row; only people take that back
//! ```
//! A device is what its events have made of it ([`Device`]). A flash is a job: its lease is the device's, so that two jobs never have
//! one device, and a cancelled job frees it. A person has a device by a [`Reservation`], which ends by itself. What keeps a device
//! from being flashed is a [`Hold`]; such a device delays no other. Which flash waits for which is in [`rollout`]: canaries first.
//!
//! Whose fault a bad flash is decides what follows ([`Limits::follows`]): a payload that is refused or does not come up is the product's, and
//! says nothing against the device. A device that does not answer is left alone for a while, ever longer. One that answers and fails
//! all the same is at fault itself: so many times in a row, and it is quarantined. Where another one answers in its place, by its host key, that happens
//! at once.

#[cfg(feature = "task")]
pub mod calendar;
pub mod device;
pub mod event;
pub mod history;
pub mod hold;
pub mod limits;
#[cfg(feature = "task")]
pub mod nightly;
pub mod rollout;

#[cfg(test)]
mod laws;

#[cfg(feature = "task")]
pub use self::calendar::{BadCalendar, Calendar};
pub use self::device::{Device, Devices, Reservation, Standing};
pub use self::event::{DeviceEvent, Ending, FlashEnd, Health};
pub use self::history::FlashLine;
pub use self::hold::Hold;
pub use self::limits::Limits;
#[cfg(feature = "task")]
pub use self::nightly::{Due, Nightlies, Nightly, NightlyEvent, due};
