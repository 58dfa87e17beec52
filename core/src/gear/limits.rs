//! How much of a tag's content is read at most. What comes out of a repository is never trusted to be small.

/// The bounds of one export. Who goes over one is refused with its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// A tag object, in bytes.
    pub tag: u64,
    /// The rules, the list of stored tags, in bytes.
    pub rules: u64,
    /// A spec file, in bytes.
    pub spec: u64,
    /// A commit object, in bytes.
    pub commit: u64,
    /// One directory's object, in bytes.
    pub tree: u64,
    /// One file, in bytes.
    pub blob: u64,
    /// One side of a file that a patch changes, in bytes.
    pub patched: u64,
    /// All that is read for one export, in bytes.
    pub total: u64,
    /// Entries of directories that are looked at for one export.
    pub entries: u64,
    /// Commits that are looked at to find out whether one is an ancestor of another.
    pub commits: u64,
    /// Directories within each other.
    pub depth: usize,
    /// Files in pkg.tar.
    pub members: usize,
    /// pkg.tar itself, in bytes.
    pub output: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            tag: 1 << 20,
            rules: 256 << 10,
            spec: 8 << 20,
            commit: 4 << 20,
            tree: 64 << 20,
            blob: 1 << 30,
            patched: 64 << 20,
            total: 16 << 30,
            entries: 4_000_000,
            commits: 4_000_000,
            depth: 256,
            members: 10_000,
            output: 16 << 30,
        }
    }
}
