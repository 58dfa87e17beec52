//! `cargo xtask bench devices`: what devices are given, and how fast.

mod flash;
mod payload;
mod roots;
mod server;

use windlass_tests::programs::Programs;

use super::figure::Figures;

/// Payloads and flashes take long: they are measured no more often than this.
const MOST_LONG: usize = 5;

/// Measures, and adds the rows.
pub(super) fn measure(programs: Programs, runs: usize, figures: &mut Figures) -> anyhow::Result<()> {
    payload::measure(&programs, runs.min(MOST_LONG), figures)?;
    flash::measure(&programs, runs.min(MOST_LONG), figures)?;
    server::measure(programs, runs, figures)
}
