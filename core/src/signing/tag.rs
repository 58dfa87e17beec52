//! A tag object's bytes, taken apart.
