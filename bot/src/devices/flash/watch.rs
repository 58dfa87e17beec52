//! Who is told how far a flash is.

use windlass_core::device::flash::FlashStep;

/// How far an installation is, from both ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// How many bytes were sent.
    pub sent: u64,
    /// How many there are.
    pub total: u64,
    /// How far the device says that it is, in thousandths.
    pub device: Option<u64>,
}

/// Is told how far a flash is; it has to be quick.
pub trait Watch: Send + Sync {
    /// A step begins.
    fn step(&self, step: FlashStep);

    /// An installation is so far.
    fn progress(&self, progress: Progress) {
        let _ = progress;
    }

    /// Something that a person may want to know.
    fn say(&self, line: &str) {
        let _ = line;
    }
}

/// Says nothing to anybody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Watch for Silent {
    fn step(&self, _step: FlashStep) {}
}
