//! Container images: what a Dockerfile says, what an image is made of, and what is stale because of what.
//!
//! Pure as all of core: texts, digests and lists come in, values go out. Engines, registries and files are the bot's.
//!
//! * [`name`]: image names, always fully qualified, and digests
//! * [`dockerfile`]: a Dockerfile's text → stages and instructions with their lines; bases, sources, canonical form
//! * [`ignore`]: which files of a context an engine never sees
//! * [`inputs`]: everything that can change an image, as one digest and as a label that can be compared
//! * [`graph`]: what stands on what, in which order it is built, what is stale because of what
//! * [`lock`]: which digest each foreign base stands for
//! * [`label`]: the labels that our images carry

pub mod dockerfile;
mod glob;
pub mod graph;
pub mod ignore;
pub mod inputs;
pub mod label;
pub mod lock;
pub mod name;

pub use dockerfile::Dockerfile;
pub use graph::Graph;
pub use ignore::Ignore;
pub use inputs::Inputs;
pub use lock::Lock;
pub use name::{Digest, ImageName};
