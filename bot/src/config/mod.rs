//! The configuration: one TOML file, every key documented in its template, unknown keys refused.
//!
//! What the hooks read too has its types in `windlass_hooks::settings`; here is the whole file, read strictly, and
//! what no single key can say is checked in `checks`.

pub mod problem;
pub mod strict;

mod repository;
#[cfg(test)]
mod tests;

pub use repository::Repository;
