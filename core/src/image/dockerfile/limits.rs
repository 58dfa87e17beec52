//! How large a Dockerfile and what it says may be. What exceeds a limit is a problem with its line, never a crash.

/// The most bytes of a file.
pub const FILE: usize = 1 << 20;
/// The most bytes of one line of the file, as for Docker.
pub const LINE: usize = 65_535;
/// The most instructions of a file.
pub const INSTRUCTIONS: usize = 5_000;
/// The most heredocs of one instruction.
pub const HEREDOCS: usize = 64;
/// How deep `${a:-${b:-…}}` may be nested.
pub const DEPTH: usize = 32;
/// The most bytes that a word may have after its variables were filled in: `ENV a=$a$a` doubles with every line.
pub const EXPANDED: usize = 1 << 20;
