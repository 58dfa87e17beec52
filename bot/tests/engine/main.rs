//! The engine layer against an engine that follows a script: every way in which a real one fails, at will.

mod builds;
mod containers;
mod fake;
mod probing;
mod tls;
mod transfers;
