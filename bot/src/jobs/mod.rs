//! Jobs: what is done after something landed.
//!
//! [`Causes`] says what a generation makes stale; it goes on record with the generation itself.

mod causes;

pub use causes::{Causes, Consequences};
