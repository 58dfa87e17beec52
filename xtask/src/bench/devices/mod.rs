//! `cargo xtask bench devices`: what devices are given, and how fast.

mod server;

use windlass_tests::programs::Programs;

use super::figure::Figures;

/// Measures, and adds the rows.
pub(super) fn measure(programs: Programs, runs: usize, figures: &mut Figures) -> anyhow::Result<()> {
    server::measure(programs, runs, figures)
}
