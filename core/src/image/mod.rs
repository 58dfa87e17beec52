//! Container images: what a Dockerfile says, what an image is made of, and what is stale because of what.
//!
//! Pure as all of core: texts, digests and lists come in, values go out. Engines, registries and files are the bot's.
//!
//! * [`name`]: image names, always fully qualified, and digests
//! * [`dockerfile`]: a Dockerfile's text → stages and instructions with their lines; bases, sources, canonical form
//! * [`label`]: the labels that our images carry

pub mod dockerfile;
pub mod label;
pub mod name;

pub use dockerfile::Dockerfile;
pub use name::{Digest, ImageName};
