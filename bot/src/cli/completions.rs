//! `windlass completions`: completions for a shell, from the whole grammar.

use clap_complete::Shell;

use super::{Context, Run, grammar};
use crate::exit::Exit;

/// Arguments of `windlass completions`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  windlass completions bash > /usr/share/bash-completion/completions/windlass
  windlass completions zsh > ~/.zfunc/_windlass
  windlass completions fish > ~/.config/fish/completions/windlass.fish")]
pub struct Args {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Run for Args {
    fn run(self, context: &mut Context) -> anyhow::Result<Exit> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut grammar(), "windlass", &mut script);
        context.output.data(script)?;
        Ok(Exit::Done)
    }
}
