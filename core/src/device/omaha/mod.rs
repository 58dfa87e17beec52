//! Omaha, the protocol by which a device asks for an update and tells what becomes of it.
//!
//! Three dialects are spoken: 2.0 in XML as the first developers' server answered it, byte for byte; 3.0 in XML and in JSON; 3.1 in
//! JSON. A request is at once a ping, a check and any number of events, and is answered to each of them.
//! Sources: <https://github.com/google/omaha/blob/main/doc/ServerProtocolV3.md>, Chromium's `docs/updater/protocol_3_1.md`.
//!
//! Flow: bytes → [`Request::parse`] → [`answer`] with what there is to [`Offer`] → [`Response::render`] → bytes. Events fold
//! into a [`Stage`]. A request is never trusted: its size, depth and number of things are limited, and nothing in it is
//! replaced by something else.

mod answer;
mod event;
mod json;
mod offer;
mod problem;
mod render;
mod request;
mod stage;
mod version;
mod xml;

#[cfg(test)]
mod tests;

pub use answer::{Answered, Check, DayStart, Response, answer};
pub use event::{Event, EventKind, EventResult};
pub use offer::{Metadata, Offer, Package};
pub use problem::BadRequest;
pub use request::{App, Dialect, Request, UpdateCheck};
pub use stage::Stage;
pub use version::{FORCED, prefix_allows};

/// The most bytes of a request; those of real devices have one or two thousand.
pub const MOST_BYTES: usize = 64 << 10;

/// How deep elements or values may stand in each other; those of real devices have 5.
pub const DEEPEST: usize = 16;

/// How many elements a request in XML may have.
pub const MOST_ELEMENTS: usize = 1024;

/// How many attributes an element may have; a device's `app` has some twenty.
pub const MOST_ATTRIBUTES: usize = 64;

/// How many apps a request may be about.
pub const MOST_APPS: usize = 32;

/// How many events one request may tell of an app.
pub const MOST_EVENTS: usize = 64;

/// The most bytes of one word: an id, a version, a board.
pub const MOST_WORD: usize = 256;
