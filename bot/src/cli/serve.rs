//! `windlass serve`: the bot.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::{Context, Run};
use crate::exit::Exit;

/// Arguments of `windlass serve`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  windlass serve
  windlass --config ./windlass.toml serve --log-format json 2> bot.log")]
pub struct Args {
    /// How the log on stderr is written
    #[arg(long, value_enum, default_value_t = LogFormat::Text, value_name = "FORMAT")]
    log_format: LogFormat,
    /// What is logged, as in `info` or `windlass=debug`
    #[arg(long, env = "WINDLASS_LOG", default_value = "info", value_name = "FILTER")]
    log: String,
}

/// How a log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// A line for people, the fields behind it.
    Text,
    /// A JSON object a line.
    Json,
}

impl Run for Args {
    fn run(self, context: &mut Context) -> anyhow::Result<Exit> {
        let config = context.config()?;
        let settings = context.settings(&config);
        let filter = EnvFilter::try_new(&self.log)
            .map_err(|error| crate::exit::Usage::new(format!("--log '{}': {error}", self.log)))?;
        let log = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(std::io::stderr);
        match self.log_format {
            LogFormat::Text => log.with_ansi(false).with_target(false).finish().try_init()?,
            LogFormat::Json => log.json().flatten_event(true).finish().try_init()?,
        }
        crate::serve::serve(&config, &settings)?;
        Ok(Exit::Done)
    }
}
