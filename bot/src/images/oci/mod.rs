//! Images without an engine: OCI layouts, written and read, and the builder that makes them from Dockerfiles without RUN.
//!
//! The same inputs give the same bytes, whoever builds, wherever and in whichever order a directory is listed.
//!
//! * [`spec`]: the documents of an image; [`layout`]: images as a directory
//! * `tree`: the files of an image as an index; `base`: read from the layers of a base; `store`: where contents come from
//! * `builder`: a Dockerfile is carried out
//! * `archive`, `squeeze`, `layer`: a layer is written

mod archive;
mod base;
mod builder;
mod error;
mod layer;
pub mod layout;
pub mod spec;
mod squeeze;
mod store;
mod tree;

pub use builder::{Built, FindBase, OciBuild, build};
pub use error::OciError;
pub use layout::{Draft, Image, Layout};
