//! `windlass device flash` on machines of the virtual lab: they really update, really restart, really roll back.

mod bad;
mod good;
mod world;
