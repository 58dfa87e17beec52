//! `windlass config`: checks the configuration, or shows what is in force.

use std::path::Path;

use anyhow::Context as _;
use clap::Subcommand;

use super::{Context, Run};
use crate::config::{Config, ConfigError};
use crate::exit::Exit;

/// Arguments of `windlass config`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Read the file strictly and tell everything that is wrong in it
    #[command(after_help = "\
Examples:
  windlass config check
  windlass --config new.toml config check      # before it is put in place
  windlass config check --json | jq '.problems[].line'")]
    Check {
        /// Print the problems as JSON
        #[arg(long)]
        json: bool,
    },
    /// Print what is in force, defaults included
    #[command(after_help = "\
Examples:
  windlass config show
  windlass config show --json | jq .signing.mode")]
    Show {
        /// Print it as JSON
        #[arg(long)]
        json: bool,
    },
}

impl Run for Args {
    fn run(self, context: &mut Context) -> anyhow::Result<Exit> {
        match self.action {
            Action::Check { json: false } => {
                let config = context.config()?;
                let file = context.global.config.clone();
                context.output.line(summary(&config, &file))?;
                Ok(Exit::Done)
            }
            Action::Check { json: true } => {
                let problems = match Config::load(&context.global.config) {
                    Ok(_) => Vec::new(),
                    Err(ConfigError::Wrong(wrong)) => wrong.problems,
                    Err(ConfigError::Read { .. }) => return context.config().map(|_| Exit::Done),
                };
                context.output.json(&serde_json::json!({
                    "file": context.global.config,
                    "problems": problems,
                }))?;
                Ok(if problems.is_empty() { Exit::Done } else { Exit::Failed })
            }
            Action::Show { json } => {
                let config = effective(context.config()?);
                if json {
                    context.output.json(&config)?;
                } else {
                    let text = toml::to_string(&config).context("the configuration cannot be written as TOML")?;
                    context.output.data(text)?;
                }
                Ok(Exit::Done)
            }
        }
    }
}

/// With the paths that follow from others, and the default repository, written out.
fn effective(mut config: Config) -> Config {
    let paths = &mut config.paths;
    paths.people = Some(paths.people());
    paths.git = Some(paths.git());
    paths.spool = Some(paths.spool());
    paths.socket = Some(paths.socket());
    paths.state = Some(paths.state());
    if let [only] = config.repositories.as_mut_slice() {
        only.default = true;
    }
    config
}

fn summary(config: &Config, file: &Path) -> String {
    let repositories = match (config.repositories.len(), config.default_repository()) {
        (0, _) => "no [[repository]] yet, so no task can be made".to_owned(),
        (1, Some(only)) => format!("repository {only}"),
        (count, Some(default)) => format!("{count} repositories, {default} by default"),
        (count, None) => format!("{count} repositories"),
    };
    format!("{}: good; {repositories}", file.display())
}
