//! `cargo xtask bench hooks|pipeline|images|devices`: figures for hooks and bot, for the way of a task, for images and for what devices are
//! given; built for release.

mod bot;
mod devices;
mod figure;
mod growth;
mod images;
mod pipeline;
mod place;
mod push;

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use anyhow::bail;
use windlass_tests::programs::{Programs, workspace};

use self::figure::{Figures, ms};
use self::place::Place;
use crate::{packages, process, say};

/// Arguments of `cargo xtask bench`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Hooks against a bash hook with `git verify-tag`; the bot's socket
    #[command(after_help = "\
Examples:
  cargo xtask bench hooks
  cargo xtask bench hooks --json | jq '.[] | {name, median}'
  cargo xtask bench hooks --runs 5          quicker and coarser")]
    Hooks(Hooks),
    /// A task on a small repository, stage by stage; and a second run of what has not changed
    #[command(after_help = "\
Examples:
  cargo xtask bench pipeline
  cargo xtask bench pipeline --runs 3       quicker and coarser
  cargo xtask bench pipeline --json | jq '.[] | {name, median}'")]
    Pipeline(Pipeline),
    /// Container images: whether one is up to date, against the script whose place that took
    #[command(after_help = "\
Examples:
  cargo xtask bench images
  cargo xtask bench images --peer qemu/tests/docker/docker.py
  cargo xtask bench images --runs 5 --json | jq '.[] | {name, median}'")]
    Images(images::Images),
    /// Payloads and stateful archives against xz and gzip; a flash; the update server against nginx
    #[command(after_help = "\
Payloads are measured on root file systems of packages that are fetched: one kernel, and the next one.

Examples:
  cargo xtask bench devices
  cargo xtask bench devices --runs 3        quicker and coarser
  cargo xtask bench devices --only server   the update server alone
  cargo xtask bench devices --json | jq '.[] | {name, median}'")]
    Devices(Devices),
}

/// Arguments of `cargo xtask bench devices`.
#[derive(Debug, clap::Args)]
struct Devices {
    /// Measure this part alone; may be said several times
    #[arg(long, value_name = "PART", value_enum)]
    only: Vec<devices::Part>,
    /// How often each thing is done
    #[arg(long, default_value_t = 7)]
    runs: usize,
    /// Print the figures as JSON
    #[arg(long)]
    json: bool,
    /// Install what is missing without asking
    #[arg(long)]
    yes: bool,
}

/// Arguments of `cargo xtask bench pipeline`.
#[derive(Debug, clap::Args)]
struct Pipeline {
    /// How many tasks land, and how often one is tested again
    #[arg(long, default_value_t = 10)]
    runs: usize,
    /// Print the figures as JSON
    #[arg(long)]
    json: bool,
    /// Install what is missing without asking
    #[arg(long)]
    yes: bool,
}

/// Arguments of `cargo xtask bench hooks`.
#[derive(Debug, clap::Args)]
struct Hooks {
    /// How often one tag is judged on each side
    #[arg(long, default_value_t = 40)]
    runs: usize,
    /// Print the figures as JSON
    #[arg(long)]
    json: bool,
    /// Install what is missing without asking
    #[arg(long)]
    yes: bool,
}

/// Runs it.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.what {
        What::Hooks(args) => hooks(args),
        What::Pipeline(args) => {
            packages::ensure(
                packages::DEMO.iter().chain(&packages::MACHINES).chain(&packages::TESTS),
                args.yes,
            )?;
            let mut figures = Figures::default();
            pipeline::measure(release()?, args.runs, &mut figures)?;
            tell(&figures, args.json)
        }
        What::Images(args) => {
            packages::ensure(packages::MACHINES.iter().chain(&packages::TESTS), args.yes)?;
            let mut figures = Figures::default();
            images::measure(args, &release()?, &mut figures)?;
            tell(&figures, args.json)
        }
        What::Devices(args) => {
            packages::ensure(
                packages::DEMO
                    .iter()
                    .chain(&packages::MACHINES)
                    .chain(&packages::DEVICES),
                args.yes,
            )?;
            let mut figures = Figures::default();
            let programs = release_with(&["-p", "windlass-tests", "--bins", "--lib"])?;
            devices::measure(programs, &args.only, args.runs, &mut figures)?;
            tell(&figures, args.json)
        }
    }
}

/// The programs, built for release.
fn release() -> anyhow::Result<Programs> {
    release_with(&[])
}

/// The same, and what else is named.
fn release_with(more: &[&str]) -> anyhow::Result<Programs> {
    let root = workspace()?;
    let mut build = Command::new("cargo");
    build.args([
        "build",
        "--quiet",
        "--release",
        "--locked",
        "-p",
        "windlass",
        "-p",
        "windlass-hooks",
    ]);
    build.args(more);
    if !process::run(build.current_dir(&root))? {
        bail!("the programs do not build");
    }
    Programs::in_folder(&root.join("target/release"))
}

/// Prints the figures; whether all goals are reached is the exit code.
fn tell(figures: &Figures, json: bool) -> anyhow::Result<ExitCode> {
    if json {
        say::data(serde_json::to_string_pretty(&figures.list())?);
    } else {
        say::data(figures);
    }
    Ok(if figures.all_reached() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    })
}

fn hooks(args: &Hooks) -> anyhow::Result<ExitCode> {
    packages::ensure(&packages::DEMO, args.yes)?;
    let programs = release()?;
    let mut figures = Figures::default();
    // From start to verdict: in memory, since the peer writes nothing. What the durable ledger adds on disk stands below it.
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        let mut place = Place::make(memory, programs.clone())?;
        push::against_the_peer(&mut place, 1, args.runs, &mut figures)?;
        push::against_the_peer(&mut place, 300, (args.runs / 8).max(3), &mut figures)?;
        push::keyrings(&mut place, args.runs, &mut figures)?;
        growth::measure(&mut place, &mut figures)?;
    } else {
        say::talk("SKIPPED: judging alone: there is no /dev/shm, so that every figure holds the disk's time");
    }
    let mut place = Place::make(&std::env::temp_dir(), programs)?;
    push::on_disk(&mut place, args.runs, &mut figures)?;
    sizes(&place, args.runs, &mut figures)?;
    bot::measure(&mut place, &mut figures)?;
    tell(&figures, args.json)
}

/// How large the two programs of the git side are, and how long they take to start and say their version.
fn sizes(place: &Place, runs: usize, figures: &mut Figures) -> anyhow::Result<()> {
    figures.add(
        "true, start to end: what any process costs",
        "ms",
        starts(Path::new("true"), runs)?,
    );
    let programs = place.world.programs();
    for program in [&programs.hook, &programs.shell] {
        let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let times = starts(program, runs)?;
        figures.add(&format!("{name} --version, start to end"), "ms", times);
        let kib = u32::try_from(program.metadata()?.len() / 1024)?;
        figures.one(&format!("{name}, size"), "MiB", f64::from(kib) / 1024.0);
    }
    Ok(())
}

/// How long a program takes that does nothing but start and end.
fn starts(program: &Path, runs: usize) -> anyhow::Result<Vec<f64>> {
    let mut times = Vec::new();
    for _ in 0..runs {
        let mut command = Command::new(program);
        command
            .arg("--version")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let started = Instant::now();
        command.status()?;
        times.push(ms(started.elapsed()));
    }
    Ok(times)
}
