//! `cargo xtask bench devices`: what devices are given, and how fast.

mod flash;
mod payload;
mod roots;
mod server;

use windlass_tests::programs::Programs;

use super::figure::Figures;

/// Payloads and flashes take long: they are measured no more often than this.
const MOST_LONG: usize = 5;

/// What can be measured alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Part {
    /// Payloads and the stateful archive
    Payloads,
    /// One flash of a virtual machine
    Flash,
    /// The update server
    Server,
}

/// Measures these parts, all where none is named, and adds the rows.
pub(super) fn measure(programs: Programs, only: &[Part], runs: usize, figures: &mut Figures) -> anyhow::Result<()> {
    let wanted = |part| only.is_empty() || only.contains(&part);
    if wanted(Part::Payloads) {
        payload::measure(&programs, runs.min(MOST_LONG), figures)?;
    }
    if wanted(Part::Flash) {
        flash::measure(&programs, runs.min(MOST_LONG), figures)?;
    }
    if wanted(Part::Server) {
        server::measure(programs, runs, figures)?;
    }
    Ok(())
}
