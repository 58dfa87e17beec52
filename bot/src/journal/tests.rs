//! The journal under attack.
