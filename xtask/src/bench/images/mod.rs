//! `cargo xtask bench images`: figures for container images.

mod builder;
mod check;
mod tree;

use std::path::PathBuf;

use windlass_tests::programs::Programs;

use super::figure::Figures;

/// Arguments of `cargo xtask bench images`.
#[derive(Debug, clap::Args)]
pub(super) struct Images {
    /// How often `image check` is measured; builds of 200 MB take a quarter of it
    #[arg(long, default_value_t = 20)]
    pub(super) runs: usize,
    /// The script whose place `windlass image` took: QEMU's tests/docker/docker.py
    #[arg(long, value_name = "FILE", env = "WINDLASS_DOCKER_PY")]
    peer: Option<PathBuf>,
    /// Print the figures as JSON
    #[arg(long)]
    pub(super) json: bool,
    /// Install what is missing without asking
    #[arg(long)]
    pub(super) yes: bool,
}

/// Measures everything.
pub(super) fn measure(args: &Images, programs: &Programs, figures: &mut Figures) -> anyhow::Result<()> {
    check::measure(programs, args.peer.as_deref(), args.runs, figures)?;
    builder::measure(programs, args.runs.div_ceil(4), figures)
}
