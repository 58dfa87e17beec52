//! How long an engine may take, and how much it may say.

use std::time::Duration;

/// Every limit on an engine's answers. All times can be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How long a candidate may take to be connected to and to say its version, where others come after it.
    pub probe: Duration,
    /// The same where none comes after it: it was named, or we started it ourselves. A busy machine is given its time.
    pub probe_last: Duration,
    /// How long the answer to a small question may take.
    pub answer: Duration,
    /// How long nothing may come from a build, a pull, a push or an archive on its way.
    pub silence: Duration,
    /// How long a `podman system service` that we start may take until it listens, and an ssh connection until it stands.
    pub start: Duration,
    /// The most bytes of the answer to a small question.
    pub answer_bytes: u64,
    /// The most bytes of one message in a stream of them.
    pub message_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            probe: Duration::from_secs(2),
            probe_last: Duration::from_secs(15),
            answer: Duration::from_mins(2),
            // A step that compiles says nothing for long.
            silence: Duration::from_hours(1),
            start: Duration::from_secs(15),
            answer_bytes: 64 << 20,
            message_bytes: 8 << 20,
        }
    }
}
