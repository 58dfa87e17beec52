//! `windlass image clean`: containers of ours that were left over, by a kill or by --keep.

use windlass_core::image::label;

use super::images::short;
use super::{Common, failure};
use crate::cli::Context;
use crate::exit::Exit;
use crate::images::engine::{ContainerFacts, Environment};
use crate::images::runtime;

/// Arguments of `windlass image clean`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Containers that run go too, also those of a command that is still waited for. Containers that
windlass did not make are never touched.

Examples:
  windlass image clean --dry-run
  windlass image clean
  windlass image clean --all    # those of other users too")]
pub struct Args {
    /// Those of all users, not only one's own
    #[arg(long)]
    all: bool,
    /// Say what would be removed, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn clean(context: &mut Context, common: &Common, args: &Args) -> anyhow::Result<Exit> {
    let environment = Environment::process();
    let mut filter = vec![label::INSTANCE.to_owned()];
    if !args.all {
        filter.push(format!("{}={}", label::OWNER, environment.uid));
    }
    runtime()?.block_on(async {
        let engine = common.find(&environment).await?;
        let found = engine.containers(&filter).await.map_err(failure)?;
        let mut removed: Vec<&ContainerFacts> = Vec::new();
        let mut wrong = None;
        for facts in &found {
            if !args.dry_run
                && let Err(error) = engine.container(&facts.id).remove().await
            {
                context.output.say(format!("windlass: {error}"));
                wrong = Some(error);
                continue;
            }
            removed.push(facts);
        }
        if args.json {
            context.output.json(&removed)?;
        } else if !common.quiet {
            let done = if args.dry_run { "would be removed" } else { "removed" };
            for facts in removed {
                let image = windlass_core::escape::escaped(&facts.image);
                context.output.line(format!("{}  {image}  {done}", short(&facts.id)))?;
            }
        }
        wrong.map_or(Ok(Exit::Done), |error| Err(failure(error)))
    })
}
