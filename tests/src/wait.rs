//! Waiting for a condition, with a deadline: the one place in which a story lets time pass.

use std::time::{Duration, Instant};

use anyhow::bail;

/// How long anything in a story may take before it counts as stuck. Generous: a loaded machine with two cores is slow.
pub const DEADLINE: Duration = Duration::from_mins(1);

/// Asks until the answer is there; fails after [`DEADLINE`], naming what was waited for.
pub fn until<T>(what: &str, ask: impl FnMut() -> anyhow::Result<Option<T>>) -> anyhow::Result<T> {
    until_within(DEADLINE, what, ask)
}

/// Asks until the answer is there; fails after this long.
pub fn until_within<T>(
    limit: Duration,
    what: &str,
    mut ask: impl FnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let end = Instant::now() + limit;
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(answer) = ask()? {
            return Ok(answer);
        }
        if Instant::now() > end {
            bail!("waited {} seconds for {what}", limit.as_secs());
        }
        std::thread::park_timeout(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}
