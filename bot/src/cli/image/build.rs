//! `windlass image build`: an image from a Dockerfile, unless it is up to date.

use std::path::PathBuf;
use std::time::Duration;

use windlass_core::image::ImageName;

use super::Common;
use super::site::{SKIPPED, Site, Without, oci};
use super::what::WhatArgs;
use crate::cli::Context;
use crate::exit::Exit;
use crate::images::build::request::{Cache, Pre};
use crate::images::build::{self as images, Built};

/// Arguments of `windlass image build`.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "one flag each")]
#[command(after_help = "\
An image is built only if something differs from what it was made from: the Dockerfile, a base,
a file that COPY or ADD names, an extra file, the program or one of its libraries, the script
FILE.pre, build arguments, platform, target, user. Bases of ours (FROM localhost/NAME or
windlass/NAME with NAME.docker beside the file) are built first where they need it.

Exit codes: 0 built or up to date, 1 failed, 2 usage, 3 no engine, or skipped: FILE with the
suffix .pre ended with code 3.

Examples:
  windlass image build -t tool -f tool.docker --context .
  windlass image build -t tool -f tool.docker --dry-run    # would it be, and why?
  windlass image build -t debian-arm -f debian-arm.docker -e /usr/bin/qemu-arm-static -u
  windlass image build -t site -f site.docker --context public --output oci:site.oci")]
pub struct Args {
    /// The image's name
    #[arg(short = 't', long = "tag", value_name = "NAME")]
    tag: ImageName,
    /// The Dockerfile
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    what: WhatArgs,
    /// Take images and layers from this registry where they fit
    #[arg(short = 'r', long, value_name = "REGISTRY")]
    registry: Option<String>,
    /// Build in any case, and take nothing that is there
    #[arg(long)]
    no_cache: bool,
    /// Look for newer foreign bases
    #[arg(long)]
    pull: bool,
    /// Write the image there instead of into an engine
    #[arg(long, value_name = "oci:DIR", value_parser = oci)]
    output: Option<PathBuf>,
    /// How long the script beside the Dockerfile may take
    #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
    pre_timeout: u64,
    /// Say what would be built and why; change nothing
    #[arg(long)]
    dry_run: bool,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn build(context: &mut Context, common: &Common, args: &Args) -> anyhow::Result<Exit> {
    let mut request = args.what.request(args.tag.clone(), args.file.clone())?;
    request.registry.clone_from(&args.registry);
    request.cache = if args.no_cache { Cache::Leave } else { Cache::Take };
    request.pull = args.pull;
    request.output.clone_from(&args.output);
    request.pre = Pre::Run(Duration::from_secs(args.pre_timeout));
    let output = args.output.as_deref().map(|path| (&args.tag, path));
    let site = Site::open(common, Without::GoOn, output)?;
    let out = &mut context.output;
    if args.dry_run {
        let plan = match site.runtime.block_on(images::plan(&site.session, &request)) {
            Ok(plan) => plan,
            Err(error) => return site.failed(out, error),
        };
        if args.json {
            out.json(&plan)?;
        } else {
            out.data(plan.to_string())?;
        }
        return Ok(Exit::Done);
    }
    let built = match site.runtime.block_on(images::build(&site.session, &request)) {
        Ok(built) => built,
        Err(error) => return site.failed(out, error),
    };
    if args.json {
        out.json(&built)?;
    }
    Ok(match &built {
        Built::Skipped { image, why } => {
            out.say(format!("skipped {image}: {why}"));
            SKIPPED
        }
        Built::UpToDate { id } | Built::Built { id, .. } | Built::Fetched { id, .. } => {
            if !args.json {
                out.line(id)?;
            }
            Exit::Done
        }
    })
}
