//! `windlass device flash` on machines of the virtual lab: they really update, really restart, really roll back.

mod bad;
mod boards;
mod drivers;
mod faults;
mod good;
mod held;
mod inventory;
mod world;
