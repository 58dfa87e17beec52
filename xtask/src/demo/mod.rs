//! `cargo xtask demo`: the whole main job on real input, from keys to a client that installs what landed.
//!
//! Every command is run for real and shown with the essential part of what it printed. Everything lies in one folder, which
//! goes at the end unless it is to stay.

mod client;
mod devices;
mod image;
mod interrupt;
mod place;
mod server;
mod show;
mod tasks;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::bail;
use windlass_tests::programs::workspace;

use self::place::Place;
use self::show::Show;
use crate::{packages, process, say};

/// Arguments of `cargo xtask demo`.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "one flag each")]
#[command(after_help = "\
Examples:
  cargo xtask demo                          in a temporary folder, which is removed at the end
  cargo xtask demo --devices                what lands goes to two lab devices (virtual machines)
  cargo xtask demo --dir /tmp/w --keep      leaves everything there, to go on by hand
  cargo xtask demo --json | jq -r '.commands[] | \"\\(.who)$ \\(.command)\"'")]
pub(crate) struct Args {
    /// Where everything lies; the path must be short, sockets lie below it [default: a temporary folder]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Show lab devices in place of the main job: what lands is flashed, proven, or rolled back
    #[arg(long)]
    devices: bool,
    /// Leave everything there at the end
    #[arg(long)]
    keep: bool,
    /// Print one JSON object a step, on a line of its own
    #[arg(long)]
    json: bool,
    /// Install what is missing without asking
    #[arg(long)]
    yes: bool,
}

type StepOf = fn(&mut Place) -> anyhow::Result<()>;

/// The steps, in order.
const STEPS: [StepOf; 12] = [
    server::set_up,
    server::people,
    tasks::library,
    tasks::programs,
    tasks::wrong_key,
    tasks::unmet,
    tasks::repair,
    tasks::together,
    tasks::approval,
    image::follows,
    client::install,
    server::record,
];

/// The steps with lab devices.
const DEVICES: [StepOf; 6] = [
    devices::machines,
    devices::server,
    server::people,
    devices::good,
    devices::bad,
    devices::mended,
];

/// Plays it.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let steps: &[StepOf] = if args.devices {
        packages::ensure(packages::DEMO.iter().chain(&packages::MACHINES), args.yes)?;
        &DEVICES
    } else {
        packages::ensure(&packages::DEMO, args.yes)?;
        &STEPS
    };
    // There are no examples; but with them cargo gives the libraries the features that the tests need, and the tests that follow
    // one day compile none of them again.
    let mut build = std::process::Command::new("cargo");
    build.args(["build", "--workspace", "--bins", "--examples"]);
    if !process::run(build.current_dir(workspace()?))? {
        bail!("the programs do not build");
    }
    let (dir, temporary) = folder(args)?;
    interrupt::watch()?;
    let mut place = Place::make(&dir, Show::new(steps.len(), args.json))?;
    let played = steps.iter().try_for_each(|step| step(&mut place));
    let seconds = place.show.elapsed().as_secs_f64();
    let (json, kept) = (args.json, args.keep || played.is_err());
    place.show.end();
    let stopped = place.stop();
    if interrupt::told() {
        if temporary.is_none() {
            Place::remove(&dir)?;
        }
        say::talk("interrupted: all that ran is ended, and what was made is removed");
        return Ok(ExitCode::from(130));
    }
    if kept {
        place.write_scripts()?;
        let dir = temporary.map_or(dir, tempfile::TempDir::keep);
        played.inspect_err(|_| say::talk(left_behind(&dir)))?;
        if !json {
            say::data(ending(args.devices, seconds));
        }
        say::talk(left_behind(&dir));
    } else {
        if temporary.is_none() {
            Place::remove(&dir)?;
        }
        if !json {
            say::data(ending(args.devices, seconds));
            say::data("\nTo look around in all this afterwards:  cargo xtask demo --dir /tmp/w --keep");
        }
    }
    stopped?;
    Ok(ExitCode::SUCCESS)
}

/// What it came to.
fn ending(devices: bool, seconds: f64) -> String {
    let what = if devices {
        "three tasks landed; two devices run the last of them, and the one that did not come up went no further than the canary"
    } else {
        "five tasks landed, one of them at its second try; one push was refused; an image and a client have what landed"
    };
    format!(
        "\n{}\nDone in {seconds:.0} s: {what}.\n\n\
         Where to look next:\n\
         \x20 README.md                 a server of your own, by hand, in ten commands\n\
         \x20 ssh windlass help         all that a packager can ask (windlass help: all that an administrator can)\n\
         \x20 templates/demo/           the packages that were built here\n\
         \x20 ARCHITECTURE.md           how it works inside",
        "─".repeat(60)
    )
}

/// How to go on in the folder that stays.
fn left_behind(dir: &Path) -> String {
    let dir = dir.display();
    format!(
        "\nEverything is left in {dir}. To go on there:\n\
         \x20 {dir}/start               starts the server again, until Ctrl-C\n\
         \x20 {dir}/as alice            a shell as Alice (or bob, carol, admin): git push, ssh windlass task ls\n\
         \x20 {dir}/srv/serve.log       what the daemon said"
    )
}

/// The folder for all of it: the one that was named, or a temporary one that goes when it is dropped.
fn folder(args: &Args) -> anyhow::Result<(PathBuf, Option<tempfile::TempDir>)> {
    let Some(dir) = &args.dir else {
        let temporary = tempfile::Builder::new().prefix("windlass-").tempdir()?;
        return Ok((temporary.path().to_owned(), Some(temporary)));
    };
    std::fs::create_dir_all(dir)?;
    Ok((dir.canonicalize()?, None))
}
