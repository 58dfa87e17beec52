//! x

pub mod judge;
pub mod keyring;
pub mod objects;
