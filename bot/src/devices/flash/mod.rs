//! Flashes one device: steps, machine and judgement are in [`windlass_core::device::flash`], here is what they make happen.
//!
//! [`flash()`] takes the device's lock, reads the payload, looks at the device, brings up server and tunnel, has the driver install, restarts the
//! device, waits for it and judges what came back. Whatever happens, tunnel, server, console and lock are gone when it returns, and a record of it
//! lies in the records' folder. Whoever flashes, a person or a job, calls this function. [`check()`] does what of it changes nothing.

mod check;
mod goods;
mod host;
mod locks;
mod log;
mod order;
pub mod prepare;
pub mod records;
mod run;
mod server;
mod watch;

pub use check::{CheckOrder, Checked, Found, Verdict, check};
pub use goods::{Content, Goods};
pub use host::Console;
pub use locks::address_lock;
pub use log::UpdateLog;
pub use order::{FlashOrder, Limits, Parcels};
pub use run::{Looked, flash, look_at};
pub use watch::{Progress, Silent, Watch};
