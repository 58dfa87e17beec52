//! `windlass image update`: one more layer, with a program and its libraries, or a user.

use std::path::PathBuf;

use serde_json::json;
use windlass_core::image::ImageName;

use super::Common;
use super::site::{Site, Without};
use crate::cli::Context;
use crate::exit::{Exit, Usage};
use crate::images::build::update::{Update, update as put};
use crate::images::build::user::User;

/// Arguments of `windlass image update`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The image keeps its name and carries another checksum: `windlass image check` says that it was
changed, and a build makes it anew.

Examples:
  windlass image update debian-arm --executable /usr/bin/qemu-arm-static
  windlass image update tool -u")]
pub struct Args {
    /// The image's name
    #[arg(value_name = "TAG")]
    tag: ImageName,
    /// A program that goes into the image with all its libraries
    #[arg(short = 'e', long, visible_alias = "include-executable", value_name = "PROGRAM")]
    executable: Option<PathBuf>,
    /// Do not ask `binfmt_misc` where the program goes: to its own path
    #[arg(long)]
    skip_binfmt: bool,
    /// Add the current user to the image's passwd
    #[arg(short = 'u', long)]
    add_current_user: bool,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn update(context: &mut Context, common: &Common, args: Args) -> anyhow::Result<Exit> {
    if args.executable.is_none() && !args.add_current_user {
        return Err(Usage::new("there is nothing to add")
            .hint("--executable PROGRAM, -u, or both")
            .into());
    }
    let order = Update {
        executable: args.executable,
        skip_binfmt: args.skip_binfmt,
        user: args.add_current_user.then(User::current).transpose()?,
    };
    let site = Site::open(common, Without::GiveUp, None)?;
    let have = match site.runtime.block_on(put(&site.session, &args.tag, &order)) {
        Ok(have) => have,
        Err(error) => return site.failed(&mut context.output, error),
    };
    if args.json {
        context
            .output
            .json(&json!({ "tag": args.tag.to_string(), "id": have.id }))?;
    } else {
        context.output.line(have.id)?;
    }
    Ok(Exit::Done)
}
