//! Tables and laws for the structure of tags.
