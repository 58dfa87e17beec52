//! `windlass image probe`: which engine is taken, what it can, and why others are not.

use serde_json::json;

use super::Common;
use crate::cli::Context;
use crate::exit::Exit;
use crate::images::engine::{Engine, Environment};
use crate::images::runtime;

/// Arguments of `windlass image probe`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The first word is the engine's: docker, podman, or no. With --quiet it is the only one.

Examples:
  windlass image probe
  windlass image probe --engine docker --json
  windlass image probe --host ssh://builder.example.org")]
pub struct Args {
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn probe(context: &mut Context, common: &Common, args: &Args) -> anyhow::Result<Exit> {
    let environment = Environment::process();
    let found = runtime()?.block_on(Engine::find_within(
        common.engine,
        &common.place(),
        &environment,
        common.limits(),
    ));
    match found {
        Ok(engine) => {
            let probed = engine.probed();
            if args.json {
                context.output.json(&json!({"engine": probed, "tried": []}))?;
            } else if common.quiet {
                context.output.line(probed.kind.name())?;
            } else {
                let rights = if probed.rootless {
                    "rootless"
                } else {
                    "with root's rights"
                };
                let builder = if probed.buildkit { "BuildKit" } else { "no BuildKit" };
                context.output.line(format!(
                    "{} {}, API {}, {}, {rights}, {builder}, {}",
                    probed.kind.name(),
                    probed.version,
                    probed.api,
                    probed.architecture,
                    probed.address
                ))?;
            }
            Ok(Exit::Done)
        }
        Err(none) => {
            if args.json {
                context
                    .output
                    .json(&json!({"engine": null, "tried": none.tried, "hint": none.hint}))?;
            } else {
                context.output.line("no")?;
                if !common.quiet {
                    context.output.say(none.to_string());
                }
            }
            Ok(Exit::Failed)
        }
    }
}
