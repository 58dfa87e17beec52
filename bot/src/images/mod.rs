//! Container images: engines, building without one, registries, and what makes an image up to date.

pub mod build;
